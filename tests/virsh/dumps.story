# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## dump
start v -> running (booted)
    Domain 'v' started
dump v v.core --memory-only -> running (unpaused)
    Domain 'v' dumped to v.core
dump v v.core --memory-only --live -> running (unpaused)
    Domain 'v' dumped to v.core
dump v v.core --memory-only --crash -> shut off (crashed)
    Domain 'v' dumped to v.core

## dump reset
start v -> running (booted)
    Domain 'v' started
dump v v.core --memory-only --reset -> running (unpaused)
    Domain 'v' dumped to v.core
guest boots -> running (unpaused)

## dump of everything
start v -> running (booted)
    Domain 'v' started
dump v v.core -> running (unpaused)
    Domain 'v' dumped to v.core

## dump --live
start v -> running (booted)
    Domain 'v' started
dump v v.core --memory-only --live -> running (unpaused)
    Domain 'v' dumped to v.core

## dump --crash
start v -> running (booted)
    Domain 'v' started
dump v v.core --crash -> shut off (crashed)
    Domain 'v' dumped to v.core
start v -> running (booted)
    Domain 'v' started

## dump --reset
start v -> running (booted)
    Domain 'v' started
dump v v.core --reset -> running (unpaused)
    Domain 'v' dumped to v.core
guest boots -> running (unpaused)

## dump of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
dump v v.core --memory-only -> paused (user)
    Domain 'v' dumped to v.core
dump v v.core -> paused (user)
    Domain 'v' dumped to v.core
resume v -> running (unpaused)
    Domain 'v' resumed

## dump --reset of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
dump v v.core --memory-only --reset -> paused (user)
    Domain 'v' dumped to v.core
look -> paused (user)

## dump --crash of a paused one
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
dump v v.core --memory-only --crash -> shut off (crashed)
    Domain 'v' dumped to v.core

## asleep: dump
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
dump v v.core --memory-only -> pmsuspended (unknown)
    Domain 'v' dumped to v.core
look -> pmsuspended (unknown)

## dump over a file
start v -> running (booted)
    Domain 'v' started
dump v v.core --memory-only -> running (unpaused)
    Domain 'v' dumped to v.core
dump v v.core --memory-only -> running (unpaused)
    Domain 'v' dumped to v.core
suspend v -> paused (user)
    Domain 'v' suspended
