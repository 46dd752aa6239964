//! A supervisor in which something fails.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::harness::{Host, until};

/// Gives a domain that has no supervisor one to which strace does this, and waits until it has been done and it sleeps.
pub(crate) fn adopter_of(domain: &str, host: &Host, injected: &str) -> Child {
    let trace = host.path("adopter");
    let mut command = Command::new("strace");
    command.args(["-o", &trace, "-e", &format!("inject={injected}")]);
    let script = r#"exec -a domstate-supervisor "$0" watch "$1" 1"#;
    command.args(["bash", "-c", script, env!("CARGO_BIN_EXE_domstate")]);
    command.arg(host.run_folder(domain)).stderr(Stdio::null());
    let adopter = command.spawn().unwrap();
    until("its sleep", || {
        let trace = fs::read_to_string(&trace).unwrap_or_default();
        let sleeps = |line: &str| line.starts_with("poll(");
        trace.contains("INJECTED") && trace.lines().last().is_some_and(sleeps)
    });
    adopter
}
