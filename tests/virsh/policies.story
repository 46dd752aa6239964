# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## panic on_crash=destroy
domain: on_crash=destroy
start v -> running (booted)
    Domain 'v' started
key p -> shut off (crashed)
destroy v -> shut off (crashed)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running

## panic on_crash=restart
domain: on_crash=restart
start v -> running (booted)
    Domain 'v' started
key p -> running (crashed)
guest boots -> running (crashed)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## panic on_crash=preserve
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## panic on_crash=coredump-destroy
domain: on_crash=coredump-destroy
start v -> running (booted)
    Domain 'v' started
key p -> shut off (crashed)
destroy v -> shut off (crashed)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running

## panic on_crash=coredump-restart
domain: on_crash=coredump-restart
start v -> running (booted)
    Domain 'v' started
key p -> running (crashed)
guest boots -> running (crashed)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## crashload
start v -> running (booted)
    Domain 'v' started
key l -> running (booted)

## poweroff restart
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
key o -> running (booted)
guest boots -> running (booted)

## reboot destroy
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
key r -> shut off (shutdown)

## reboot restart
start v -> running (booted)
    Domain 'v' started
key r -> running (booted)
guest boots -> running (booted)

## poweroff restart, again and again
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
key o -> running (booted)
guest boots -> running (booted)
key o -> running (booted)
guest boots -> running (booted)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## poweroff restart, s4
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
key d -> running (booted)
guest boots -> running (booted)

## poweroff restart, suspend, resume
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed
key o -> running (unpaused)
guest boots -> running (unpaused)

## poweroff restart, shutdown
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
shutdown v -> running (booted)
    Domain 'v' is being shutdown
key o -> running (booted)
guest boots -> running (booted)

## poweroff restart, sigterm
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
signal 15 to QEMU -> shut off (crashed)
! ended from outside -> shut off (destroyed)

## poweroff restart, sigkill
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
signal 9 to QEMU -> shut off (crashed)

## poweroff restart, exit device
domain: on_poweroff=restart exit=device
start v -> running (booted)
    Domain 'v' started
key o -> running (booted)
guest boots -> running (booted)
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## poweroff restart, panic
domain: on_poweroff=restart
start v -> running (booted)
    Domain 'v' started
key p -> shut off (crashed)

## reboot destroy, reset
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
reset v -> shut off (shutdown)
    Domain 'v' was reset

## reboot destroy, triple fault
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
key t -> shut off (shutdown)

## reboot destroy, s4
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
key d -> shut off (shutdown)

## reboot destroy, panic restart
domain: on_reboot=destroy on_crash=restart
start v -> running (booted)
    Domain 'v' started
key p -> shut off (shutdown)
! it had crashed -> shut off (crashed)

## reboot destroy, watchdog reset
domain: on_reboot=destroy watchdog=reset
start v -> running (booted)
    Domain 'v' started
key g -> shut off (shutdown)
! it had crashed -> shut off (crashed)

## reboot destroy, reboot
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
reboot v -> running (booted)
    Domain 'v' is being rebooted
key o -> shut off (shutdown)

## reboot destroy, suspend, reset
domain: on_reboot=destroy
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
reset v -> shut off (shutdown)
    Domain 'v' was reset

## reboot, the guest does it
start v -> running (booted)
    Domain 'v' started
reboot v -> running (booted)
    Domain 'v' is being rebooted
key o -> running (booted)
guest boots -> running (booted)
key o -> shut off (shutdown)

## reboot, the guest resets itself
start v -> running (booted)
    Domain 'v' started
reboot v -> running (booted)
    Domain 'v' is being rebooted
key r -> running (booted)
guest boots -> running (booted)

## reboot, then shutdown
start v -> running (booted)
    Domain 'v' started
reboot v -> running (booted)
    Domain 'v' is being rebooted
shutdown v -> running (booted)
    Domain 'v' is being shutdown
key o -> shut off (shutdown)

## reboot, then destroy
start v -> running (booted)
    Domain 'v' started
reboot v -> running (booted)
    Domain 'v' is being rebooted
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## suspend, reboot
start v -> running (booted)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
reboot v -> paused (user)
    Domain 'v' is being rebooted
resume v -> running (unpaused)
    Domain 'v' resumed

## panic on_crash=preserve, reset
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
reset v -> paused (crashed)
    Domain 'v' was reset
resume v -> running (unpaused)
    Domain 'v' resumed
guest boots -> running (unpaused)

## panic on_crash=preserve, resume
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
resume v -> running (unpaused)
    Domain 'v' resumed

## panic on_crash=preserve, suspend
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
suspend v -> crashed (panicked)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed

## panic on_crash=preserve, dump
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
dump v v.core --memory-only -> crashed (panicked)
    Domain 'v' dumped to v.core
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
start v -> running (booted)
    Domain 'v' started

## panic on_crash=preserve, save
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
! a crash stays -> crashed (panicked)
    error: Failed to save domain 'v' to v.save
    error: Requested operation is not valid: domain is crashed
look -> shut off (saved)
! a crash stays -> crashed (panicked)

## panic on_crash=preserve, reboot
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
reboot v -> crashed (panicked)
    Domain 'v' is being rebooted
look -> crashed (panicked)

## panic on_crash=preserve, sigkill
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
signal 9 to QEMU -> shut off (crashed)

## panic on_crash=preserve, sigterm
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
signal 15 to QEMU -> shut off (shutdown)
! it had crashed -> shut off (crashed)

## panic on_crash=restart, again
domain: on_crash=restart
start v -> running (booted)
    Domain 'v' started
key p -> running (crashed)
guest boots -> running (crashed)
key p -> running (crashed)
guest boots -> running (crashed)

## panic on_crash=restart, suspend, resume
domain: on_crash=restart
start v -> running (booted)
    Domain 'v' started
key p -> running (crashed)
guest boots -> running (crashed)
suspend v -> paused (user)
    Domain 'v' suspended
resume v -> running (unpaused)
    Domain 'v' resumed

## panic on_crash=coredump-restart, power off
domain: on_crash=coredump-restart
start v -> running (booted)
    Domain 'v' started
key p -> running (crashed)
guest boots -> running (crashed)
key o -> shut off (shutdown)

## panic, then start
start v -> running (booted)
    Domain 'v' started
key p -> shut off (crashed)
start v -> running (booted)
    Domain 'v' started
