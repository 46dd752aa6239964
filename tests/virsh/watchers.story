# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## another watcher: running
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
watcher returns -> running (booted)
suspend v -> paused (user)
    Domain 'v' suspended

## another watcher: paused
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
watcher dies -> -
watcher returns -> paused (user)
resume v -> running (unpaused)
    Domain 'v' resumed

## another watcher: asleep
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
watcher dies -> -
watcher returns -> pmsuspended (unknown)
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
guest boots -> running (event wakeup)

## another watcher: crashed
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
watcher dies -> -
watcher returns -> crashed (panicked)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## another watcher: destroyed
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
watcher dies -> -
watcher returns -> shut off (unknown)
! it survives -> shut off (destroyed)

## another watcher: killed
start v -> running (booted)
    Domain 'v' started
signal 9 to QEMU -> shut off (crashed)
watcher dies -> -
watcher returns -> shut off (unknown)
! it survives -> shut off (crashed)

## another watcher: saved
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
watcher dies -> -
watcher returns -> shut off (unknown)
! it survives -> shut off (saved)
start v -> running (restored)
    Domain 'v' started

## unwatched: sigterm
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
signal 15 to QEMU -> -
watcher returns -> shut off (crashed)
! ended from outside -> shut off (destroyed)

## unwatched: sigkill
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
signal 9 to QEMU -> -
watcher returns -> shut off (crashed)

## unwatched: power off
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
key o -> -
watcher returns -> shut off (shutdown)

## unwatched: panic
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
key p -> -
watcher returns -> crashed (panicked)
! it had crashed -> shut off (crashed)

## unwatched: s3
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
key s -> -
watcher returns -> paused (unknown)
! it sleeps -> pmsuspended (unknown)

## unwatched: reset
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
key r -> -
guest boots -> -
watcher returns -> running (booted)

## unwatched: poweroff restart
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
watcher dies -> -
key o -> -
watcher returns -> running (booted)
guest boots -> running (booted)
