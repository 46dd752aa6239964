//! A managed image whose guest was let run before its QEMU was told to end.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use super::{has_managed_save, managed};
use crate::harness::{Guest, Host, finish, send};

#[test]
fn an_image_whose_guest_went_on_is_not_taken_up() {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let mut guest = host.start("v", &["-qmp", &third_party]);
    let supervisor = host.supervisor_pid("v");
    send(supervisor, Signal::SIGSTOP);
    // Killed at its last line, when the image has its name.
    let journal = host.run_folder("v").join("journal");
    let mut save = Command::new("strace");
    save.args(["-f", "-o", "/dev/null", "-P"]).arg(journal);
    save.args([
        "-e",
        "trace=write",
        "-e",
        "inject=write:signal=SIGKILL:when=5",
    ]);
    save.arg(env!("CARGO_BIN_EXE_domstate"));
    save.args(["managedsave", "v"])
        .env("DOMSTATE_DIR", host.state_dir());
    let said = finish(save);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(managed(&host).exists(), "{}", host.journal("v"));
    host.third_party("v").execute("cont", &json!({}));
    send(supervisor, Signal::SIGCONT);
    guest.answers();
    host.ok(&["suspend", "v"]);
    host.ok(&["resume", "v"]);
    assert!(!has_managed_save(&host), "{}", host.journal("v"));
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    assert!(!has_managed_save(&host));
    let line = host.line("v");
    host.ok(&["start", "v"]);
    Guest::connected(&line).answers();
    assert_eq!(host.answer("v"), "running (booted)");
    assert!(!managed(&host).exists());
}
