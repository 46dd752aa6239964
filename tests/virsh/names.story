# Told by virsh of libvirt 9.0.0, with QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3), under TCG, on 2026-11-25.

## domrename
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
domrename v w -> shut off (destroyed)
    Domain successfully renamed
start w -> running (booted)
    Domain 'w' started
destroy w -> shut off (destroyed)
    Domain 'w' destroyed

## domrename to one that is there
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
define w -> shut off (unknown)
    Domain 'w' defined from w.xml
domrename v w -> shut off (unknown)
    error: Requested operation is not valid: domain with name 'w' already exists

## domrename to itself
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
domrename v v -> shut off (unknown)
    error: Requested operation is not valid: Can't rename domain to itself

## undefine
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
undefine v -> error: failed to get domain 'v'
    Domain 'v' has been undefined
undefine v -> error: failed to get domain 'v'
    error: failed to get domain 'v'

## undefine and define
start v -> running (booted)
    Domain 'v' started
key p -> shut off (crashed)
undefine v -> error: failed to get domain 'v'
    Domain 'v' has been undefined
define v -> shut off (unknown)
    Domain 'v' defined from v.xml
look -> shut off (unknown)

## undefine with a managed save
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
undefine v -> shut off (saved)
    error: Refusing to undefine while domain managed save image exists
! one form -> shut off (saved)
    error: Failed to undefine domain 'v'
    error: Requested operation is not valid: Refusing to undefine while domain managed save image exists
undefine v --managed-save -> error: failed to get domain 'v'
    Domain 'v' has been undefined

## domrename with a managed save
start v -> running (booted)
    Domain 'v' started
managedsave v -> shut off (saved)
    Domain 'v' state saved by libvirt
domrename v w -> shut off (saved)
    error: Requested operation is not valid: domain with a managed saved state can't be renamed

## a start that fails
domain: disk=missing
silently start v -> shut off (failed)
silently start v -> shut off (failed)
destroy v -> shut off (failed)
    error: Failed to destroy domain 'v'
    error: Requested operation is not valid: domain is not running

## a second run
start v -> running (booted)
    Domain 'v' started
destroy v -> shut off (destroyed)
    Domain 'v' destroyed
start v -> running (booted)
    Domain 'v' started
signal 9 to QEMU -> shut off (crashed)
start v -> running (booted)
    Domain 'v' started
key o -> shut off (shutdown)
