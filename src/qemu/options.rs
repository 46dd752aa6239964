//! QEMU's options, as far as telling them from their values needs it: which of them take a value.
//!
//! The table holds every such option of QEMU 7.2 for x86, each tried, and those of other versions and machines
//! that are known to us; a test holds it against the installed QEMU. An option that is not in it is taken to
//! have no value (a wrapper's own flag must not hide the word behind it): that errs only for an option
//! unknown to us whose value looks like an option.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The options that take a value (`HAS_ARG` in QEMU's `qemu-options.hx`), which is always the next word.
pub(super) const WITH_VALUE: &[&str] = &[
    "D",
    "L",
    "M",
    "accel",
    "acpitable",
    "action",
    "add-fd",
    "append",
    "audio",
    "audiodev",
    "bios",
    "blockdev",
    "boot",
    "cdrom",
    "chardev",
    "chroot",
    "compat",
    "cpu",
    "d",
    "debugcon",
    "device",
    "dfilter",
    "display",
    "drive",
    "dtb",
    "dump-vmstate",
    "echr",
    "fda",
    "fdb",
    "fsdev",
    "fw_cfg",
    "g",
    "gdb",
    "global",
    "hda",
    "hdb",
    "hdc",
    "hdd",
    "icount",
    "incoming",
    "initrd",
    "iscsi",
    "k",
    "kernel",
    "loadvm",
    "m",
    "machine",
    "mem-path",
    "mon",
    "monitor",
    "msg",
    "mtdblock",
    "name",
    "net",
    "netdev",
    "nic",
    "numa",
    "object",
    "option-rom",
    "overcommit",
    "parallel",
    "pflash",
    "pidfile",
    "plugin",
    "prom-env",
    "qmp",
    "qmp-pretty",
    "qtest",
    "qtest-log",
    "readconfig",
    "rotate",
    "rtc",
    "run-with",
    "runas",
    "sandbox",
    "sd",
    "seed",
    "semihosting-config",
    "serial",
    "set",
    "shim",
    "smbios",
    "smp",
    "soundhw",
    "spice",
    "tb-size",
    "tpmdev",
    "trace",
    "usbdevice",
    "uuid",
    "vga",
    "virtfs",
    "vnc",
    "watchdog",
    "watchdog-action",
    "writeconfig",
    "xen-domid",
];

/// A piece of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// An option without a value, dashes and all, or a word that is no option.
    Plain(&'a [u8]),
    /// An option, dashes and all, with its value.
    Valued { option: &'a [u8], value: &'a [u8] },
    /// The last word is an option whose value is missing, dashes and all.
    Unfinished(&'a [u8]),
}

/// QEMU's program and what stands before it: a wrapper's words.
pub(super) fn up_to_program(argv: &[OsString]) -> &[OsString] {
    argv.get(..=program_at(argv)).unwrap_or_default()
}

/// The words that are QEMU's: those behind its program, or behind the first word where no program can be told.
pub(super) fn words(argv: &[OsString]) -> Vec<Word<'_>> {
    let mut rest = argv.iter().skip(up_to_program(argv).len());
    let mut words = Vec::new();
    while let Some(word) = rest.next() {
        let word = word.as_bytes();
        words.push(match (valued(word), rest.len()) {
            (None, _) => Word::Plain(word),
            (Some(_), 0) => Word::Unfinished(word),
            (Some(_), _) => Word::Valued {
                option: word,
                value: rest.next().map_or(b"", |value| value.as_bytes()),
            },
        });
    }
    words
}

/// The option's name without its dashes, one or two; `None` if the word is no option.
pub(super) fn name(word: &[u8]) -> Option<&[u8]> {
    let name = word.strip_prefix(b"-")?;
    Some(name.strip_prefix(b"-").unwrap_or(name))
}

/// The option's name, if it takes a value.
fn valued(word: &[u8]) -> Option<&[u8]> {
    name(word).filter(|name| WITH_VALUE.iter().any(|known| known.as_bytes() == *name))
}

/// Where QEMU's program stands: a wrapper's `-S` (sudo reads a password) is not QEMU's.
fn program_at(argv: &[OsString]) -> usize {
    let mut places = argv.iter().enumerate();
    while let Some((at, word)) = places.next() {
        if is_qemu(word.as_bytes()) {
            return at;
        }
        if at > 0 && valued(word.as_bytes()).is_some() {
            places.next();
        }
    }
    0
}

fn is_qemu(word: &[u8]) -> bool {
    let file = word.rsplit(|&byte| byte == b'/').next().unwrap_or(word);
    file.starts_with(b"qemu-system-") || matches!(file, b"qemu-kvm" | b"kvm" | b"qemu")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    /// The options of QEMU 7.2 that take no value (`-h` and `-help` are one).
    const WITHOUT_VALUE: &[&str] = &[
        "S",
        "async-teardown",
        "audio-help",
        "daemonize",
        "enable-kvm",
        "enable-sync-profile",
        "full-screen",
        "h",
        "help",
        "mem-prealloc",
        "no-acpi",
        "no-fd-bootchk",
        "no-hpet",
        "no-reboot",
        "no-shutdown",
        "no-user-config",
        "nodefaults",
        "nographic",
        "only-migratable",
        "portrait",
        "preconfig",
        "s",
        "singlestep",
        "snapshot",
        "usb",
        "version",
        "win2k-hack",
        "xen-attach",
        "xen-domid-restrict",
        // Later versions.
        "curses",
        "jitdump",
        "one-insn-per-tb",
        "perfmap",
    ];

    #[test]
    fn every_option_of_the_installed_qemu_is_known_to_take_a_value_or_none() {
        let help = Command::new("qemu-system-x86_64").arg("-help").output();
        let help = help
            .expect("install qemu-system-x86 to run the tests")
            .stdout;
        let help = String::from_utf8_lossy(&help).into_owned();
        let names: BTreeSet<&str> = help
            .lines()
            .filter(|line| line.starts_with('-'))
            // `-fda/-fdb file` names two.
            .flat_map(|line| line.split(' ').next().unwrap().split('/'))
            .map(|option| option.trim_start_matches('-').split('\t').next().unwrap())
            .collect();
        assert!(names.len() > 100, "{names:?}");
        for option in names {
            let known = WITH_VALUE.contains(&option) || WITHOUT_VALUE.contains(&option);
            assert!(known, "-{option}: add it to one of the tables");
        }
    }

    #[test]
    fn the_installed_qemu_asks_for_the_value_of_an_option_that_has_one() {
        for option in [
            "append", "name", "incoming", "loadvm", "uuid", "add-fd", "k", "D", "serial",
        ] {
            let output = Command::new("qemu-system-x86_64")
                .arg(format!("--{option}"))
                .output();
            let words = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
            assert!(words.contains("requires an argument"), "{option}: {words}");
        }
    }

    #[test]
    fn no_option_is_in_both_tables() {
        assert!(WITH_VALUE.is_sorted());
        assert!(
            !WITH_VALUE
                .iter()
                .any(|option| WITHOUT_VALUE.contains(option))
        );
    }
}
