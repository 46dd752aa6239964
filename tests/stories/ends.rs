//! How a run ends, and what domstate calls it.

use nix::sys::signal::Signal;

use super::harness::{Host, send};

#[test]
fn a_guest_that_powers_itself_off_is_shut_off_by_its_own_shutdown() {
    for (letter, disk) in [('o', "ACPI S5"), ('d', "ACPI S4")] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        assert_eq!(host.answer("v"), "running (booted)");
        guest.press(letter);
        assert_eq!(host.wait("v"), "shut off (shutdown)", "{disk}");
        let json = host.json("v");
        assert_eq!(json["cause"]["kind"], "guest-shutdown");
        assert_eq!(json["certainty"], "witnessed");
    }
}

#[test]
fn a_signal_that_qemu_does_not_obey_but_dies_of_is_a_crash() {
    for signal in [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGABRT] {
        let host = Host::new();
        let _guest = host.start("v", &[]);
        send(host.qemu_pid("v"), signal);
        assert_eq!(host.wait("v"), "shut off (crashed)");
        let json = host.json("v");
        assert_eq!(json["cause"]["kind"], "signal");
        assert_eq!(json["cause"]["signal"], signal.as_str());
        assert_eq!(json["certainty"], "witnessed");
    }
}
