# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## off: destroy
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
destroy v -> shut off (unknown)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running

## off: destroy --graceful
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
destroy v --graceful -> shut off (unknown)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running

## off: reset
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
reset v -> shut off (unknown)
    error: Failed to reset domain 'v'
    error: Requested operation is not valid: domain is not running

## off: shutdown
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
shutdown v -> shut off (unknown)
    error: Failed to shutdown domain 'v'
    error: Requested operation is not valid: domain is not running

## off: reboot
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
reboot v -> shut off (unknown)
    error: Failed to reboot domain 'v'
    error: Requested operation is not valid: domain is not running

## off: suspend
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
suspend v -> shut off (unknown)
    error: Failed to suspend domain 'v'
    error: Requested operation is not valid: domain is not running

## off: resume
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
resume v -> shut off (unknown)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is not running

## off: save
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
save v v.save -> shut off (unknown)
    error: Failed to save domain 'v' to v.save
    error: Requested operation is not valid: domain is not running

## off: dump
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
dump v v.core --memory-only -> shut off (unknown)
    error: Failed to core dump domain 'v' to v.core
    error: Requested operation is not valid: domain is not running

## off: managedsave
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
managedsave v -> shut off (unknown)
    error: Failed to save domain 'v' state
    error: Requested operation is not valid: domain is not running

## off: managedsave-remove
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
managedsave-remove v -> shut off (unknown)
    Domain 'v' has no manage save image; removal skipped

## off: inject-nmi
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
inject-nmi v -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## off: dompmwakeup
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
dompmwakeup v -> shut off (unknown)
    error: Domain 'v' could not be woken up
    error: Requested operation is not valid: domain is not running

## off: domjobinfo
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
domjobinfo v -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## off: domjobabort
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
domjobabort v -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## off: domblkerror
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
domblkerror v -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## off: qemu-monitor-command
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
qemu-monitor-command v '{"execute":"query-status"}' -> shut off (unknown)
    error: Requested operation is not valid: domain is not running

## off: domid and domname
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
domid v -> shut off (unknown)
    -
domname v -> shut off (unknown)
    error: failed to get domain 'v'

## running: resume
start v -> running (booted)
    Domain 'v' started
resume v -> running (booted)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is already running

## running: start
start v -> running (booted)
    Domain 'v' started
start v -> running (booted)
    error: Domain is already active
start v --paused -> running (booted)
    error: Domain is already active

## running: dompmwakeup
start v -> running (booted)
    Domain 'v' started
dompmwakeup v -> running (booted)
    error: Domain 'v' could not be woken up
    error: internal error: unable to execute QEMU command 'system_wakeup': Unable to wake up: guest is not in suspended state
! its own words -> running (booted)
    error: Domain 'v' could not be woken up
    error: QEMU refused the command: Unable to wake up: guest is not in suspended state

## running: domrename
start v -> running (booted)
    Domain 'v' started
domrename v w -> running (booted)
    error: Requested operation is not valid: cannot rename active domain

## running: undefine
start v -> running (booted)
    Domain 'v' started
undefine v -> running (booted)
    Domain 'v' has been undefined
! not while it is active -> running (booted)
    error: Failed to undefine domain 'v'
    error: Requested operation is not valid: domain is active

## running: managedsave-remove
start v -> running (booted)
    Domain 'v' started
managedsave-remove v -> running (booted)
    Domain 'v' has no manage save image; removal skipped

## running: domjobinfo and domjobabort
start v -> running (booted)
    Domain 'v' started
domjobinfo v -> running (booted)
    Job type:         None
domjobabort v -> running (booted)
    error: Requested operation is not valid: no job is active on the domain

## running: domblkerror
start v -> running (booted)
    Domain 'v' started
domblkerror v -> running (booted)
    No errors found

## running: a command that QEMU has not got
start v -> running (booted)
    Domain 'v' started
qemu-monitor-command v '{"execute":"nonsense"}' -> running (booted)
    {"id":"libvirt-N","error":{"class":"CommandNotFound","desc":"The command nonsense has not been found"}}

## paused: suspend
start v --paused -> paused (user)
    Domain 'v' started
suspend v -> paused (user)
    Domain 'v' suspended
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## paused: shutdown
start v --paused -> paused (user)
    Domain 'v' started
shutdown v -> paused (user)
    error: Failed to shutdown domain 'v'
    error: Requested operation is not valid: domain is not running

## paused: start
start v --paused -> paused (user)
    Domain 'v' started
start v -> paused (user)
    error: Domain is already active

## paused: dompmwakeup
start v --paused -> paused (user)
    Domain 'v' started
dompmwakeup v -> paused (user)
    error: Domain 'v' could not be woken up
    error: internal error: unable to execute QEMU command 'system_wakeup': Unable to wake up: guest is not in suspended state
! its own words -> paused (user)
    error: Domain 'v' could not be woken up
    error: QEMU refused the command: Unable to wake up: guest is not in suspended state

## paused: inject-nmi
start v --paused -> paused (user)
    Domain 'v' started
inject-nmi v -> paused (user)

## asleep: suspend and resume
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
suspend v -> pmsuspended (unknown)
    error: Failed to suspend domain 'v'
    error: Requested operation is not valid: domain is pmsuspended
resume v -> pmsuspended (unknown)
    error: Failed to resume domain 'v'
    error: Requested operation is not valid: domain is pmsuspended
dompmwakeup v -> running (event wakeup)
    Domain 'v' successfully woken up
guest boots -> running (event wakeup)

## asleep: shutdown
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
shutdown v -> pmsuspended (unknown)
    error: Failed to shutdown domain 'v'
    error: Requested operation is not valid: domain is not running

## asleep: start
start v -> running (booted)
    Domain 'v' started
key s -> pmsuspended (unknown)
start v -> pmsuspended (unknown)
    error: Domain is already active

## crashed: start
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
start v -> crashed (panicked)
    error: Domain is already active

## crashed: shutdown
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
shutdown v -> crashed (panicked)
    error: Failed to shutdown domain 'v'
    error: Requested operation is not valid: domain is not running

## crashed: dompmwakeup
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
dompmwakeup v -> crashed (panicked)
    error: Domain 'v' could not be woken up
    error: internal error: unable to execute QEMU command 'system_wakeup': Unable to wake up: guest is not in suspended state
! its own words -> crashed (panicked)
    error: Domain 'v' could not be woken up
    error: QEMU refused the command: Unable to wake up: guest is not in suspended state

## crashed: inject-nmi
domain: on_crash=preserve
start v -> running (booted)
    Domain 'v' started
key p -> crashed (panicked)
inject-nmi v -> crashed (panicked)

## no such domain
destroy nope -> error: failed to get domain 'v'
    error: failed to get domain 'nope'
start nope -> error: failed to get domain 'v'
    error: failed to get domain 'nope'
suspend nope -> error: failed to get domain 'v'
    error: failed to get domain 'nope'
save nope v.save -> error: failed to get domain 'v'
    error: failed to get domain 'nope'
undefine nope -> error: failed to get domain 'v'
    error: failed to get domain 'nope'
domrename nope w -> error: failed to get domain 'v'
    error: failed to get domain 'nope'

## no such file
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
restore missing.save -> shut off (unknown)
    error: Failed to restore domain from missing.save
    error: Failed to open file 'DIR/missing.save': No such file or directory
! its own words -> shut off (unknown)
    error: Failed to restore domain from missing.save
    error: cannot restore missing.save: No such file or directory
restore missing.save --paused -> shut off (unknown)
    error: Failed to restore domain from missing.save
    error: Failed to open file 'DIR/missing.save': No such file or directory
! its own words -> shut off (unknown)
    error: Failed to restore domain from missing.save
    error: cannot restore missing.save: No such file or directory

## no image
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
restore no.save -> shut off (unknown)
    error: Failed to restore domain from no.save
    error: operation failed: image magic is incorrect
! its own words -> shut off (unknown)
    error: Failed to restore domain from no.save
    error: cannot restore no.save: it is not a save image

## restore of one that runs
start v -> running (booted)
    Domain 'v' started
save v v.save -> shut off (saved)
    Domain 'v' saved to v.save
restore v.save -> running (restored)
    Domain restored from v.save
restore v.save -> running (restored)
    error: Failed to restore domain from v.save
    error: Requested operation is not valid: domain 'v' is already active

## save: no such folder
start v -> running (booted)
    Domain 'v' started
save v missing/v.save -> running (save canceled)
    error: Failed to save domain 'v' to missing/v.save
    error: Failed to create file 'DIR/missing/v.save': No such file or directory
! nothing was begun -> running (booted)
    error: Failed to save domain 'v' to missing/v.save
    error: cannot write missing/v.save: No such file or directory

## dump: no such folder
start v -> running (booted)
    Domain 'v' started
dump v missing/v.core --memory-only -> running (unpaused)
    error: Failed to core dump domain 'v' to missing/v.core
    error: Failed to create file 'DIR/missing/v.core': No such file or directory
! nothing was begun -> running (booted)
    error: Failed to core dump domain 'v' to missing/v.core
    error: cannot write missing/v.core: No such file or directory

## options that exclude each other
start v -> running (booted)
    Domain 'v' started
save v v.save --running --paused -> running (booted)
    error: Failed to save domain 'v' to v.save
    error: Flags 'VIR_DOMAIN_SAVE_RUNNING' and 'VIR_DOMAIN_SAVE_PAUSED' are mutually exclusive
! options -> running (booted)
    error: the argument '--running' cannot be used with '--paused'
dump v v.core --memory-only --live --crash -> running (booted)
    error: Failed to core dump domain 'v' to v.core
    error: Flags 'VIR_DUMP_CRASH' and 'VIR_DUMP_LIVE' are mutually exclusive
! options -> running (booted)
    error: the argument '--live' cannot be used with '--crash'
destroy v -> shut off (destroyed)
    Domain 'v' destroyed

## policies that libvirt has not got
domain: on_reboot=preserve
define v -> error: failed to get domain 'v'
    error: Failed to define domain from v.xml
    error: unsupported configuration: qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'
! options -> error: failed to get domain 'v'
    error: invalid value 'preserve' for '--on-reboot <ACTION>': unsupported configuration: qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'

## policies that exclude each other
domain: on_poweroff=restart on_reboot=destroy
define v -> error: failed to get domain 'v'
    error: Failed to define domain from v.xml
    error: unsupported configuration: qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'
! no XML -> error: failed to get domain 'v'
    error: Failed to define domain 'v'
    error: unsupported configuration: qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'
