# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## save/restore
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save --paused -> paused (migrating)
    Domain restored from v.save
! nothing migrates -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## suspend,save,restore
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> paused (migrating)
    Domain restored from v.save
! nothing migrates -> paused (user)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## managedsave
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
start v -> running (restored)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## save --paused
start v -> running (booted)
    Domain 'v' started
save v v.save --paused -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> paused (migrating)
    Domain restored from v.save
! nothing migrates -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## save --running of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
save v v.save --running -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save

## restore --running of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save --running -> running (restored)
    Domain restored from v.save

## managedsave --paused
start v -> running (booted)
    Domain 'v' started
managedsave v --paused -> shut off (saved)
    Domain 'v' state saved by libvirt
start v -> paused (migrating)
    Domain 'v' started
! nothing migrates -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## managedsave --running of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
managedsave v --running -> shut off (saved)
    Domain 'v' state saved by libvirt
start v -> running (restored)
    Domain 'v' started

## managedsave, start --paused
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
start v --paused -> paused (migrating)
    Domain 'v' started
! nothing migrates -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## managedsave of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
start v -> paused (migrating)
    Domain 'v' started
! nothing migrates -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## managedsave, start --force-boot
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
start v --force-boot -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
start v -> running (booted)
    Domain 'v' started

## managedsave, managedsave-remove
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
managedsave-remove v -> shut off (saved)
    Removed managedsave image for domain 'v'
start v -> running (booted)
    Domain 'v' started

## managedsave twice
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
managedsave v -> shut off (saved)
    error: Failed to save domain 'v' state
    error: Requested operation is not valid: domain is not running

## managedsave, start, power off
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
start v -> running (restored)
    Domain 'v' started
key o -> shut off (shutdown)
start v -> running (booted)
    Domain 'v' started

## asleep: save
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
! sleep is not saved -> pmsuspended (unknown)
    error: Failed to save domain 'v' to v.save
    error: Requested operation is not valid: domain is pmsuspended
restore v.save -> paused (migrating)
    Domain restored from v.save
! sleep is not saved -> pmsuspended (unknown)
    error: Failed to restore domain from v.save
    error: cannot restore v.save: No such file or directory

## asleep: managedsave
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
! sleep is not saved -> pmsuspended (unknown)
    error: Failed to save domain 'v' state
    error: Requested operation is not valid: domain is pmsuspended
start v -> paused (migrating)
    Domain 'v' started
! sleep is not saved -> pmsuspended (unknown)
    error: Domain is already active

## save over a file
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save

## restore twice
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
restore v.save -> running (restored)
    Domain restored from v.save

## save, restore, reset
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save
reset v -> running (restored)
    Domain 'v' was reset
guest boots -> running (restored)
