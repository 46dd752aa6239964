# guest.S - the test guest of domstate: one boot sector that obeys letters.
#
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Boots from SeaBIOS on QEMU's `-M pc`, writes "READY\n" to COM1 (again after
# each reset) and sleeps until a letter comes. It echoes the letter and "\n",
# then acts; it ignores other bytes. See `letters` below and NOTES.md.
#
#   o  power off (ACPI S5)            w  write a sector to the other disk,
#   s  sleep to memory (S3)              answers "ok\n" or "err\n"
#   d  sleep to disk (S4)             f  pvpanic: crash-loaded, for ever
#   p  pvpanic: panicked              g  ib700 watchdog, fires at once
#   l  pvpanic: crash-loaded          h  hang, deaf for good (cli; hlt)
#   r  reset (i8042)                  x  isa-debug-exit, QEMU's status is 33
#   t  triple fault                   n  nothing but the echo
#
# Best minimal arguments (QEMU 7.2, TCG: READY 0.11 s after exec):
#   qemu-system-x86_64 -accel tcg -M pc -nodefaults -no-user-config
#     -display none -m 16 -boot a -serial stdio
#     -drive file=guest.img,format=raw,if=floppy,readonly=on
# As `if=ide,snapshot=on` it boots some 10 ms sooner, but then the image is
# drive 80h and the disk to write to must be a second one (index=1). Memory
# down to 2 MiB, `-net none`, `-M pc,usb=off,hpet=off` and `-bios bios.bin` (the
# smaller SeaBIOS) changed nothing beyond the noise. Do NOT use graphics=off or
# -nographic: SeaBIOS then writes its own screen to COM1.

        .code16
        .section .text
        .globl  _start

        # Ports. COM1 and the 8259s are where every PC has them; the rest is
        # what QEMU's `-M pc` gives (its docs/specs and device defaults).
        .set    COM1,       0x3f8       # RBR/THR; +1 IER, +2 FCR, +3 LCR ...
        .set    LSR,        COM1 + 5
        .set    LSR_DR,     0x01        # a byte waits in RBR
        .set    LSR_TEMT,   0x40        # the last byte has left the UART
        .set    PIC1,       0x20
        .set    PIC1_MASK,  0x21
        .set    IRQ4_VEC,   0x0c        # SeaBIOS: IRQ0 at int 08h, so IRQ4 at 0Ch
        .set    KBC,        0x64        # i8042; command FEh pulses the reset line
        .set    ISA_EXIT,   0xf4        # -device isa-debug-exit,iobase=0xf4,...
        .set    IB700_ON,   0x443       # -device ib700; 0 = 30 s ... 0Fh = 0 s
        .set    PVPANIC,    0x505       # -device pvpanic; bit 0 panic, 1 crashload
        .set    PM1A_CNT,   0x604       # PIIX4: SeaBIOS puts PMBASE at 600h
        .set    SLP_EN,     0x2000      # SLP_TYP is bits 10-12: S5 0, S3 1, S4 2
        .set    FLOOD_WAIT, 0xffff      # some 0.1 ms under TCG
        .set    HERE,       0x7c00      # where the BIOS loads a boot sector

_start: cli
        ljmp    $0, $1f                 # some BIOSes come in with cs = 07C0h
1:      xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $HERE, %sp
        cld

        # The disk to write to: 80h when booted from a floppy, and the next
        # one when booted from a hard disk (so that we never hit ourselves).
        test    %dl, %dl
        js      1f
        mov     $0x7f, %dl
1:      inc     %dx
        mov     %dl, disk

        # IRQ4 alone may wake us: with the PIT masked too the guest sleeps
        # until a byte comes. int 13h still works, as SeaBIOS polls for ATA.
        movw    $irq4, IRQ4_VEC * 4
        mov     %ax, IRQ4_VEC * 4 + 2   # ax = 0
        mov     $0xef, %al
        out     %al, $PIC1_MASK

        # UART: 8n1, 16-byte FIFO (so letters sent in one go are not lost),
        # interrupt on receive. OUT2 is the gate to the PIC on real PCs. The
        # speed stays as it is, for QEMU's backends do not care.
        mov     $uart, %si
        mov     $COM1 + 1, %dx
1:      lodsb
        out     %al, %dx
        inc     %dx
        cmp     $LSR, %dx
        jne     1b

        mov     $ready, %si
        call    puts

        # The IRQ is edge triggered: so empty the FIFO before each sleep, and
        # look with interrupts off. `sti` holds them off for one instruction
        # more, so that a byte which comes just before `hlt` still ends it.
        # Most handlers return here; those that end the machine may also come
        # back (a device that is not there), and the guest then just goes on.
main:   cli
        mov     $LSR, %dx
        in      %dx, %al
        test    $LSR_DR, %al
        jnz     1f
        sti
        hlt
        jmp     main
1:      mov     $COM1 & 0xff, %dl       # dh is the same
        in      %dx, %al
        mov     $letters, %si
2:      mov     (%si), %bl
        test    %bl, %bl
        jz      main                    # not a letter of ours: no echo at all
        cmp     %al, %bl
        je      3f
        add     $3, %si
        jmp     2b
3:      call    putc                    # the echo is out before we act
        mov     $'\n', %al
        call    putc
        push    $main
        jmp     *1(%si)

irq4:   push    %ax
        mov     $0x20, %al              # EOI; the byte is read by `main`
        out     %al, $PIC1
        pop     %ax
        iret

        # Write al, and wait until it has gone. Changes ax, dx.
putc:   mov     $COM1, %dx
        out     %al, %dx
        mov     $LSR & 0xff, %dl
1:      in      %dx, %al
        test    $LSR_TEMT, %al
        jz      1b
        ret

        # Write the string at si up to its newline. Changes ax, dx, si.
puts:   lodsb
        push    %ax
        call    putc
        pop     %ax
        cmp     $'\n', %al
        jne     puts
        ret

        # Write a sector to LBA 0 of the disk, CF set on error. What is written
        # does not matter, but it must not be zeros, which a block driver may
        # treat apart, and must not end in 55 AA, or the next boot would be from
        # that disk: so it is this code, 16 bytes further on. By LBA
        # (int 13h, AH=43h, EDD), so that the geometry the BIOS makes up for a
        # tiny disk does not matter: one of 512 bytes will do.
        # The BIOS puts the count done into the packet, 0 after an error, and
        # to write 0 sectors is `ok`: so set the count each time.
sector: mov     $dap, %si
        movw    $1, 2(%si)
        mov     disk, %dl
        mov     $0x4300, %ax
        int     $0x13
        ret

        .macro  letter l, handler
        .byte   \l
        .word   \handler
        .endm

letters:
        letter  'o', off
        letter  'p', panic
        letter  'l', crashload
        letter  'r', reset
        letter  't', triple
        letter  's', s3
        letter  'd', s4
        letter  'w', write
        letter  'f', flood
        letter  'g', watchdog
        letter  'h', hang
        letter  'x', exit
        letter  'n', nothing
        .byte   0

off:    mov     $SLP_EN, %ax
        jmp     pm
s3:     mov     $SLP_EN | 1 << 10, %ax
        jmp     pm
s4:     mov     $SLP_EN | 2 << 10, %ax
pm:     mov     $PM1A_CNT, %dx
        out     %ax, %dx
        ret

panic:  mov     $1, %al
        jmp     1f
crashload:
        mov     $2, %al
1:      mov     $PVPANIC, %dx
        jmp     outb

watchdog:
        mov     $0x0f, %al
        mov     $IB700_ON, %dx
        jmp     outb

exit:   mov     $0x10, %al              # exit status (10h << 1) | 1 = 33
        mov     $ISA_EXIT, %dx
outb:   out     %al, %dx
nothing:
        ret

reset:  mov     $0xfe, %al
        out     %al, $KBC
        ret

triple: lidt    no_idt                  # no vector fits in the limit: the trap,
        int3                            # its fault and the double fault all fail

write:  call    sector
        mov     $ok, %si
        jnc     puts
        mov     $err, %si
        jmp     puts

flood:  call    crashload
        mov     $FLOOD_WAIT, %cx
1:      loop    1b
        jmp     flood

hang:   cli
        hlt
        jmp     hang                    # an NMI would wake the hlt

uart:   .byte   0x01                    # IER: receive
        .byte   0x07                    # FCR: FIFO on and emptied, level 1
        .byte   0x03                    # LCR: 8n1, DLAB off
        .byte   0x0b                    # MCR: DTR, RTS, OUT2
ready:  .ascii  "READY\n"
ok:     .ascii  "ok\n"
err:    .ascii  "err\n"
no_idt: .word   0                       # limit 0, base 0
        .long   0
dap:    .byte   16, 0                   # disk address packet: its size,
        .word   1                       # one sector,
        .word   HERE + 16, 0            # from 0000:7C10 (see `sector`),
        .quad   0                       # to LBA 0
disk:   .byte   0                       # its BIOS number

        .org    510
        .byte   0x55, 0xaa
