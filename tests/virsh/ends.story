# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## guest poweroff
start v -> running (booted)
    Domain 'v' started
key o -> shut off (shutdown)

## sigterm
start v -> running (booted)
    Domain 'v' started
signal 15 to QEMU -> shut off (shutdown)
! ended from outside -> shut off (destroyed)

## sigkill
start v -> running (booted)
    Domain 'v' started
signal 9 to QEMU -> shut off (crashed)

## sigsegv
start v -> running (booted)
    Domain 'v' started
signal 11 to QEMU -> shut off (crashed)

## sigint
start v -> running (booted)
    Domain 'v' started
signal 2 to QEMU -> shut off (shutdown)
! ended from outside -> shut off (destroyed)

## s4
start v -> running (booted)
    Domain 'v' started
key d -> shut off (shutdown)

## destroy graceful
start v -> running (booted)
    Domain 'v' started
destroy v --graceful -> shut off (destroyed)
    Domain 'v' destroyed

## qmp stop/cont outside
start v -> running (booted)
    Domain 'v' started
qemu-monitor-command v '{"execute":"stop"}' -> paused (unknown)
    {"return":{},"id":"libvirt-N"}
qemu-monitor-command v '{"execute":"cont"}' -> running (unpaused)
    {"return":{},"id":"libvirt-N"}
qemu-monitor-command v '{"execute":"system_powerdown"}' -> running (unpaused)
    {"return":{},"id":"libvirt-N"}
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## sighup
start v -> running (booted)
    Domain 'v' started
signal 1 to QEMU -> shut off (shutdown)
! ended from outside -> shut off (destroyed)

## sigabrt
start v -> running (booted)
    Domain 'v' started
signal 6 to QEMU -> shut off (crashed)

## sigstop
start v -> running (booted)
    Domain 'v' started
signal 19 to QEMU -> running (booted)
look -> running (booted)
signal 18 to QEMU -> running (booted)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## suspend, sigkill
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
signal 9 to QEMU -> shut off (crashed)

## suspend, sigterm
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
signal 15 to QEMU -> shut off (shutdown)
! ended from outside -> shut off (destroyed)

## suspend, destroy
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## suspend, reset, sigkill
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
reset v -> paused (user)
    Domain 'v' was reset
signal 9 to QEMU -> shut off (crashed)

## s3, sigkill
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
signal 9 to QEMU -> shut off (crashed)

## s3, sigterm
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
signal 15 to QEMU -> shut off (shutdown)
! ended from outside -> shut off (destroyed)

## s3, destroy
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## exit device
domain: exit=device
start v -> running (booted)
    Domain 'v' started
key x -> shut off (crashed)
! it exited -> shut off (shutdown)

## hang, shutdown, destroy
start v -> running (booted)
    Domain 'v' started
key h -> running (booted)
shutdown v -> running (booted)
    Domain 'v' is being shutdown
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## shutdown, then the guest does it
start v -> running (booted)
    Domain 'v' started
shutdown v -> running (booted)
    Domain 'v' is being shutdown
key o -> shut off (shutdown)

## destroy, and again
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
destroy v -> shut off (destroyed)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running
