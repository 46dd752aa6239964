# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## watchdog pause
domain: watchdog=pause
start v -> running (booted)
    Domain 'v' started
key g -> paused (watchdog)
resume v -> running (unpaused)
    Domain 'v' resumed

## watchdog poweroff
domain: watchdog=poweroff
start v -> running (booted)
    Domain 'v' started
key g -> shut off (crashed)
resume v -> shut off (crashed)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is not running

## watchdog reset
domain: watchdog=reset
start v -> running (booted)
    Domain 'v' started
key g -> running (booted)
guest boots -> running (booted)
resume v -> running (booted)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## watchdog shutdown
domain: watchdog=shutdown
start v -> running (booted)
    Domain 'v' started
key g -> running (booted)
resume v -> running (booted)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## watchdog none
domain: watchdog=none
start v -> running (booted)
    Domain 'v' started
key g -> running (booted)
resume v -> running (booted)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## watchdog dump
domain: watchdog=dump
start v -> running (booted)
    Domain 'v' started
key g -> running (unpaused)
resume v -> running (unpaused)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## watchdog inject-nmi
domain: watchdog=inject-nmi
start v -> running (booted)
    Domain 'v' started
key g -> running (booted)
resume v -> running (booted)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## watchdog pause, reset
domain: watchdog=pause
start v -> running (booted)
    Domain 'v' started
key g -> paused (watchdog)
reset v -> paused (watchdog)
    Domain 'v' was reset
resume v -> running (unpaused)
    Domain 'v' resumed
guest boots -> running (unpaused)

## watchdog pause, suspend
domain: watchdog=pause
start v -> running (booted)
    Domain 'v' started
key g -> paused (watchdog)
suspend v -> paused (watchdog)
    Domain 'v' suspended
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## watchdog pause, sigkill
domain: watchdog=pause
start v -> running (booted)
    Domain 'v' started
key g -> paused (watchdog)
signal 9 to QEMU -> shut off (crashed)
