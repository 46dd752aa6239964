# rom.S - ROMs for `-bios` that end the machine in its first instructions.
#
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# These are the last 64 bytes of a ROM; put anything (zeros) in front up to
# 64 KiB, as QEMU wants a multiple of that. After a reset the CPU starts at
# F000:FFF0, 16 bytes before the end, in real mode; no firmware has run, so
# nothing is set up: no stack, no PMBASE. Build with one of --defsym
# POWEROFF=1, PANIC=1 or RESET=1 (see build.sh). For `-M pc`.

        .code16
        .section .text
        .globl  _start

_start:                                 # F000:FFC0
.ifdef POWEROFF
        # PIIX4 power management, PCI 00:01.3. What SeaBIOS does at boot:
        # register 40h (PMBASE) = 600h, bit 0 is fixed to 1 (I/O space);
        # register 80h (PMREGMISC) bit 0 (PMIOSE) = 1 makes it answer.
        # Then SLP_EN with SLP_TYP 0 (S5) to PM1a_CNT, PMBASE + 4.
body:   mov     $0x80000b40, %eax       # enable | dev 1 << 11 | fn 3 << 8 | 40h
        mov     $0xcf8, %dx
        out     %eax, %dx
        mov     %eax, %ebx
        mov     $0x601, %ax
        mov     $0xfc, %dl              # 0CFCh, the data port
        out     %ax, %dx
        mov     %ebx, %eax
        mov     $0x80, %al
        mov     $0xf8, %dl
        out     %eax, %dx
        mov     $1, %al
        mov     $0xfc, %dl
        out     %al, %dx
        mov     $0x2000, %ax
        mov     $0x604, %dx
        out     %ax, %dx
        jmp     stop
.endif

        .org    0x30                    # F000:FFF0, where the CPU starts
.ifdef POWEROFF
        jmp     body
.endif
.ifdef PANIC
        mov     $0x505, %dx             # -device pvpanic
        mov     $1, %al                 # bit 0: panicked
        out     %al, %dx
.endif
.ifdef RESET
        mov     $0xfe, %al              # i8042: pulse the reset line
        out     %al, $0x64
.endif
stop:   hlt                             # interrupts are off after a reset
        jmp     stop
        .org    0x40
