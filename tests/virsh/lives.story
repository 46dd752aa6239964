# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## s3
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## reset
start v -> running (booted)
    Domain 'v' started
reset v -> running (booted)
    Domain 'v' was reset
guest boots -> running (booted)

## suspend/resume
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed
suspend v -> paused (user)
    Domain 'v' suspended
reset v -> paused (user)
    Domain 'v' was reset
resume v -> running (unpaused)
    Domain 'v' resumed
guest boots -> running (unpaused)

## start paused
start v --paused -> paused (user)
    Domain 'v' started
resume v -> running (unpaused)
    Domain 'v' resumed
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## shutdown acpi ignored
start v -> running (booted)
    Domain 'v' started
shutdown v -> running (booted)
    Domain 'v' is being shutdown
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## nmi
start v -> running (booted)
    Domain 'v' started
inject-nmi v -> running (booted)

## suspend twice
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
suspend v -> paused (user)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed
resume v -> running (unpaused)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## triple fault
start v -> running (booted)
    Domain 'v' started
key t -> running (booted)
guest boots -> running (booted)

## reset while paused at the start
start v --paused -> paused (user)
    Domain 'v' started
reset v -> paused (user)
    Domain 'v' was reset
resume v -> running (unpaused)
    Domain 'v' resumed
guest boots -> running (unpaused)

## s3 twice
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
guest boots -> running (event wakeup)
key s -> pmsuspended (unknown)
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
guest boots -> running (event wakeup)

## s3, reset
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
reset v -> pmsuspended (unknown)
    Domain 'v' was reset
! it sleeps no more -> paused (user)
look -> pmsuspended (unknown)
! it sleeps no more -> paused (user)

## s3, reboot
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
reboot v -> pmsuspended (unknown)
    Domain 'v' is being rebooted

## s3, wake-up, suspend, resume
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
guest boots -> running (event wakeup)
suspend v -> paused (user)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed

## crash-loaded, then a panic
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key l -> running (booted)
key p -> crashed (panicked)

## nmi while paused
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
inject-nmi v -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed
