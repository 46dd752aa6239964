# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## snapshot, revert
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
suspend v -> paused (user)
    Domain 'v' suspended
snapshot-revert v s -> running (from snapshot)
    Domain snapshot s reverted

## snapshot of a paused one
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
snapshot-create-as v s -> paused (user)
    Domain snapshot s created
resume v -> running (unpaused)
    Domain 'v' resumed
snapshot-revert v s -> paused (from snapshot)
    Domain snapshot s reverted
resume v -> running (unpaused)
    Domain 'v' resumed

## snapshot, revert --paused
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
snapshot-revert v s --paused -> paused (from snapshot)
    Domain snapshot s reverted
resume v -> running (unpaused)
    Domain 'v' resumed

## snapshot of a paused one, revert --running
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
snapshot-create-as v s -> paused (user)
    Domain snapshot s created
snapshot-revert v s --running -> running (from snapshot)
    Domain snapshot s reverted

## snapshot --halt
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s --halt -> shut off (from snapshot)
    Domain snapshot s created
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## snapshot, revert while off
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
snapshot-revert v s -> running (from snapshot)
    Domain snapshot s reverted

## snapshot of one that is off, revert while running
domain: disk=qcow2
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
snapshot-create-as v s -> shut off (unknown)
    Domain snapshot s created
start v -> running (booted)
    Domain 'v' started
snapshot-revert v s -> shut off (from snapshot)
    Domain snapshot s reverted

## snapshot of one that is off, revert --running
domain: disk=qcow2
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
snapshot-create-as v s -> shut off (unknown)
    Domain snapshot s created
snapshot-revert v s --running -> running (booted)
    Domain snapshot s reverted
guest boots -> running (booted)

## snapshot, delete
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
snapshot-delete v s -> running (unpaused)
    Domain snapshot s deleted
snapshot-delete v s -> running (unpaused)
    error: Domain snapshot not found: no domain snapshot with matching name 's'
snapshot-revert v s -> running (unpaused)
    error: Domain snapshot not found: no domain snapshot with matching name 's'

## snapshot twice
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
snapshot-create-as v s -> running (unpaused)
    error: operation failed: domain moment s already exists

## snapshot: undefine
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
undefine v -> shut off (destroyed)
    error: Failed to undefine domain 'v'
    error: Requested operation is not valid: cannot delete inactive domain with 1 snapshots
undefine v --snapshots-metadata -> error: failed to get domain 'v'
    Domain 'v' has been undefined

## snapshot: no disk for it
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (booted)
    error: unsupported configuration: internal and full system snapshots require all disks to be selected for snapshot

## snapshot of a crashed one
domain: disk=qcow2 on_crash=preserve
start v -> running (booted)
    Domain 'v' started
snapshot-create-as v s -> running (unpaused)
    Domain snapshot s created
key p -> crashed (panicked)
snapshot-revert v s -> running (from snapshot)
    Domain snapshot s reverted

## asleep: snapshot
domain: disk=qcow2
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
snapshot-create-as v s -> pmsuspended (unknown)
    error: Operation not supported: qemu doesn't support taking snapshots of PMSUSPENDED guests
