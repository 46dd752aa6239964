# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## a disk without room
domain: disk=full
start v -> running (booted)
    Domain 'v' started
key w -> paused (I/O error)
resume v -> paused (I/O error)
    Domain 'v' resumed
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## a disk without room, suspend
domain: disk=full
start v -> running (booted)
    Domain 'v' started
key w -> paused (I/O error)
suspend v -> paused (I/O error)
    Domain 'v' suspended
resume v -> paused (I/O error)
    Domain 'v' resumed

## a disk without room, reset
domain: disk=full
start v -> running (booted)
    Domain 'v' started
key w -> paused (I/O error)
reset v -> paused (I/O error)
    Domain 'v' was reset
resume v -> paused (I/O error)
    Domain 'v' resumed

## a disk without room, sigkill
domain: disk=full
start v -> running (booted)
    Domain 'v' started
key w -> paused (I/O error)
signal 9 to QEMU -> shut off (crashed)
