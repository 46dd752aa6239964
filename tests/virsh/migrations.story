# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## migrate
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there look -> running (migrated)
there destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## migrate, then start here
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there destroy v -> shut off (destroyed)
    Domain 'v' destroyed
start v -> running (booted)
    Domain 'v' started

## migrate, then the guest powers off
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there look -> running (migrated)
key o -> shut off (migrated)
there look -> shut off (shutdown)

## migrate of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
migrate v --live -> shut off (migrated)
there look -> paused (user)
there resume v -> running (unpaused)
    Domain 'v' resumed

## migrate, suspend, resume
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there suspend v -> paused (user)
    Domain 'v' suspended
there resume v -> running (unpaused)
    Domain 'v' resumed

## migrate of one that is off
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
migrate v --live -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## migrate of a crashed one
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
migrate v --live -> shut off (migrated)
! a crash stays -> crashed (panicked)
    error: Requested operation is not valid: domain is crashed
there look -> running (migrated)
! a crash stays -> paused (migrating)

## migrate, then resume here
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
resume v -> shut off (migrated)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is not running

## migrate, then sigkill
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there signal 9 to QEMU -> shut off (crashed)

## migrate to nowhere
start v -> running (booted)
    Domain 'v' started
silently migrate v nowhere -> running (booted)

## migrate, then start here while it runs there
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there look -> running (migrated)
start v -> running (booted)
    Domain 'v' started

## migrate, reset
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
there reset v -> running (migrated)
    Domain 'v' was reset
there guest boots -> running (migrated)

## migrate, then a panic
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
migrate v --live -> shut off (migrated)
key p -> shut off (migrated)
there look -> crashed (panicked)
there destroy v -> shut off (destroyed)
    Domain 'v' destroyed
