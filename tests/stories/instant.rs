//! Guests that end in their very first instruction: a recorder that is late by anything misses them. So many of each,
//! since it is a race: before the recorder let the guest run, a third to a half of such runs told nothing.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::harness::{Host, guest_folder, qemu};

/// Runs of each guest.
const RUNS: u32 = 200;

/// At the same time: more than there are processors, so that each is interrupted at every point.
const AT_ONCE: u32 = 4;

/// The 64 bytes at the reset vector, at the end of a BIOS of 64 KiB, the least that QEMU takes.
fn bios(host: &Host, rom: &str) -> PathBuf {
    let end = fs::read(guest_folder().join(rom)).unwrap();
    let mut image = vec![0xff; 65_536 - end.len()];
    image.extend(end);
    let path = host.folder().join(rom);
    fs::write(&path, image).unwrap();
    path
}

/// Runs the guest of `rom` again and again, by `start` and `wait` and by `run` in turns; each time it must end thus.
fn ends_each_time(rom: &str, qemu_args: &str, answer: &str, cause: &str, status: i32) {
    let host = Host::new();
    let bios = bios(&host, rom);
    let argv =
        format!("-accel tcg -M pc -nodefaults -no-user-config -display none {qemu_args} -bios");
    let mut argv: Vec<&str> = argv.split(' ').collect();
    let qemu = qemu();
    argv.insert(0, &qemu);
    argv.push(bios.to_str().unwrap());
    let next = AtomicU32::new(0);
    let ends = |domain: &str, number: u32| {
        let verb = if number.is_multiple_of(2) {
            "start"
        } else {
            "run"
        };
        let said = host.domstate(&[&[verb, domain, "--"], &argv[..]].concat());
        if verb == "start" {
            let told = (said.stdout.as_str(), said.code);
            let wanted = format!("Domain '{domain}' started\n");
            assert_eq!(told, (wanted.as_str(), Some(0)), "{said:?}");
            assert_eq!(host.wait(domain), answer, "{}", host.journal(domain));
        } else {
            assert_eq!(said.stdout.trim_end(), answer, "{}", host.journal(domain));
            assert_eq!(said.code, Some(status), "{said:?}");
        }
        let json = host.json(domain);
        assert_eq!(json["cause"]["kind"], cause, "{json}");
        assert_eq!(json["certainty"], "witnessed", "{json}");
    };
    std::thread::scope(|scope| {
        for domain in 0..AT_ONCE {
            let (next, ends) = (&next, &ends);
            scope.spawn(move || {
                let domain = format!("v{domain}");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= RUNS {
                        break;
                    }
                    ends(&domain, number);
                }
            });
        }
    });
}

#[test]
fn a_guest_that_powers_off_at_once_shut_down_each_time() {
    ends_each_time(
        "rom-poweroff.bin",
        "-m 1",
        "shut off (shutdown)",
        "guest-shutdown",
        0,
    );
}

#[test]
fn a_guest_that_panics_at_once_crashed_each_time() {
    ends_each_time(
        "rom-panic.bin",
        "-m 1 -device pvpanic",
        "shut off (crashed)",
        "guest-panic",
        3,
    );
}

#[test]
fn a_guest_that_resets_at_once_and_may_not_reboot_shut_down_each_time() {
    ends_each_time(
        "rom-reset.bin",
        "-m 1 -no-reboot",
        "shut off (shutdown)",
        "guest-reset",
        0,
    );
}
