#!/bin/sh
# Assemble the test guest into a folder: build.sh OUTPUT-FOLDER
# Needs GNU binutils that know x86 (as, ld, objcopy); set AS, LD and OBJCOPY
# for others, such as x86_64-linux-gnu-as.
# SPDX-License-Identifier: MIT OR Apache-2.0
set -eu

[ $# -eq 1 ] || { echo "usage: $0 OUTPUT-FOLDER" >&2; exit 2; }
src=$(dirname -- "$0")
out=$1
mkdir -p -- "$out"
tmp=$(mktemp -d)
trap 'rm -rf -- "$tmp"' EXIT

# image SOURCE ADDRESS RESULT SIZE [as option...]
image() {
    source=$src/$1 address=$2 result=$out/$3 size=$4
    shift 4
    "${AS:-as}" --32 --fatal-warnings "$@" -o "$tmp/a.o" "$source"
    "${LD:-ld}" -m elf_i386 -e _start -Ttext="$address" -o "$tmp/a.elf" "$tmp/a.o"
    "${OBJCOPY:-objcopy}" -O binary -j .text "$tmp/a.elf" "$result"
    chmod 644 "$result"                 # objcopy makes it executable
    is=$(($(wc -c <"$result")))
    [ "$is" -eq "$size" ] || { echo "$result: $is bytes, not $size" >&2; exit 1; }
}

image guest.S 0x7c00 guest.img 512
image rom.S 0xffc0 rom-poweroff.bin 64 --defsym POWEROFF=1
image rom.S 0xffc0 rom-panic.bin 64 --defsym PANIC=1
image rom.S 0xffc0 rom-reset.bin 64 --defsym RESET=1
