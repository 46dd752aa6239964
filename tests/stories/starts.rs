//! Starts that fail, arguments that are refused, and names and places that are unusual.

use std::fs;

use serde_json::{Value, json};

use super::harness::{
    Host, finish, finish_child, qemu, send, spawn, until, what_qemu_calls_itself, with_argv,
};

/// A QEMU that starts, with a machine and nothing else, and these further arguments.
fn bare_qemu(args: &[&str]) -> Vec<String> {
    let fixed = "-accel tcg -M pc -nodefaults -no-user-config -display none -m 16";
    let words = fixed.split(' ').chain(args.iter().copied());
    [qemu()]
        .into_iter()
        .chain(words.map(str::to_owned))
        .collect()
}

/// `VERB DOMAIN -- ARGV...`
fn words<'a>(verb: &'a str, domain: &'a str, argv: &'a [String]) -> Vec<&'a str> {
    with_argv(&[verb, "--domain", domain], argv)
}

fn start_failure(status: &Value, message: &str) -> Value {
    json!({"kind": "start-failure", "status": status, "signal": null, "message": message})
}

#[test]
fn a_qemu_that_ends_before_it_is_ready_has_failed_and_is_quoted() {
    let qemu = what_qemu_calls_itself();
    for (args, line) in [
        (
            &["-frobnicate"][..],
            format!("{qemu}: -frobnicate: invalid option"),
        ),
        (
            &["-drive", "file=/nonexistent,format=raw"],
            format!(
                "{qemu}: -drive file=/nonexistent,format=raw: Could not open '/nonexistent': No such file or directory"
            ),
        ),
    ] {
        let host = Host::new();
        let argv = bare_qemu(args);
        let stderr = format!(
            "error: Failed to start domain 'v'\nerror: QEMU ended before it was ready (exit status 1)\n  {line}\n"
        );
        host.refused(&words("start", "v", &argv), &stderr);
        let cause = start_failure(&json!(1), &line);
        host.assert_is("v", "shut off (failed)", &cause, "witnessed");
        let said = host.domstate(&words("run", "v", &argv));
        assert_eq!(said.stderr, format!("{line}\n"));
        assert_eq!(said.stdout, "shut off (failed)\n");
        assert_eq!(said.code, Some(5));
        host.assert_is("v", "shut off (failed)", &cause, "witnessed");
        // The definition is kept, to be started again once what it lacks is there.
        host.refused(&["start", "v"], &stderr);
        assert!(host.json("v")["since"].is_string());
    }
}

#[test]
fn a_program_that_cannot_be_executed_has_failed_and_run_tells_how() {
    let host = Host::new();
    let file = host.folder().join("file");
    fs::write(&file, "no program").unwrap();
    let missing = host.folder().join("missing");
    for (program, why, status) in [
        (missing.to_str().unwrap(), "No such file or directory", 127),
        ("qemu-system-nonesuch", "No such file or directory", 127),
        (file.to_str().unwrap(), "Permission denied", 126),
        (host.folder().to_str().unwrap(), "Permission denied", 126),
    ] {
        let argv = [program.to_owned()];
        let message = format!("cannot execute '{program}': {why}");
        let stderr = format!("error: Failed to start domain 'v'\nerror: {message}\n");
        host.refused(&words("start", "v", &argv), &stderr);
        let cause = start_failure(&Value::Null, &message);
        host.assert_is("v", "shut off (failed)", &cause, "witnessed");
        assert!(host.json("v")["since"].is_string());
        let said = host.domstate(&words("run", "v", &argv));
        assert_eq!(said.stderr, format!("error: {message}\n"));
        assert_eq!(said.stdout, "shut off (failed)\n");
        assert_eq!(said.code, Some(status));
        host.assert_is("v", "shut off (failed)", &cause, "witnessed");
    }
}

#[test]
fn a_missing_working_directory_is_not_taken_for_a_missing_program() {
    let host = Host::new();
    let gone = host.folder().join("gone");
    fs::create_dir(&gone).unwrap();
    let argv = bare_qemu(&[]);
    let mut define = host.command(&words("define", "v", &argv));
    define.current_dir(&gone);
    assert_eq!(finish(define).code, Some(0));
    fs::remove_dir(&gone).unwrap();
    let message = format!(
        "cannot enter the working directory '{}': No such file or directory",
        gone.display()
    );
    let stderr = format!("error: Failed to start domain 'v'\nerror: {message}\n");
    let cause = start_failure(&Value::Null, &message);
    for (verb, status) in [("start", 1), ("run", 125)] {
        let said = host.domstate(&[verb, "v"]);
        assert_eq!((said.stderr, said.code), (stderr.clone(), Some(status)));
        assert_eq!(said.stdout, "");
        host.assert_is("v", "shut off (failed)", &cause, "witnessed");
        assert!(host.json("v")["since"].is_string());
    }
    // There again, it is used.
    fs::create_dir(&gone).unwrap();
    host.ok(&["start", "v"]);
    let workdir = fs::read_link(format!("/proc/{}/cwd", host.qemu_pid("v"))).unwrap();
    assert_eq!(workdir, gone);
}

#[test]
fn what_domstate_could_not_keep_watch_over_is_refused_and_leaves_nothing_behind() {
    let background = |option| {
        format!("option '{option}' is not allowed: domstate itself keeps QEMU in the background")
    };
    let preconfig = |option| {
        format!("option '{option}' is not allowed: QEMU would not answer before it is configured")
    };
    let id = |id| {
        format!("id '{id}' is not allowed: ids that begin with 'domstate-' belong to domstate")
    };
    let host = Host::new();
    for (args, why) in [
        (&["-daemonize"][..], background("-daemonize")),
        (&["--daemonize"], background("--daemonize")),
        (&["-preconfig"], preconfig("-preconfig")),
        (&["--preconfig"], preconfig("--preconfig")),
        (&["-device", "VGA,id=domstate-x"], id("domstate-x")),
        (&["-chardev", "null,id=domstate-x"], id("domstate-x")),
        (&["-m"], "option '-m' lacks its value".to_owned()),
    ] {
        let argv = bare_qemu(args);
        for (verb, deed, status) in [
            ("start", "start", 1),
            ("run", "start", 125),
            ("define", "define", 1),
        ] {
            let said = host.domstate(&words(verb, "v", &argv));
            let stderr = format!("error: Failed to {deed} domain 'v'\nerror: {why}\n");
            assert_eq!((said.stderr, said.code), (stderr, Some(status)), "{verb}");
            assert!(!host.state_dir().join("v").exists(), "{verb} {args:?}");
        }
    }
    // What the domain had before is kept.
    host.ok(&words("define", "v", &bare_qemu(&[])));
    let before = host.ok(&["show", "v"]);
    host.domstate(&words("start", "v", &bare_qemu(&["-daemonize"])));
    assert_eq!(host.ok(&["show", "v"]), before);
    assert_eq!(host.json("v")["cause"]["kind"], "never-run");
}

#[test]
fn a_name_that_a_path_or_a_terminal_could_misread_is_refused() {
    let host = Host::new();
    let argv = bare_qemu(&[]);
    let (long, shown) = ("n".repeat(200), "n".repeat(160));
    for (name, shown) in [
        ("a/b", "a/b"),
        ("../v", "../v"),
        ("..", ".."),
        (".v", ".v"),
        ("", ""),
        ("a b", "a b"),
        ("a\nb", "a\\nb"),
        ("a\u{1b}[2J", "a\\u{1b}[2J"),
        ("gru\u{df}", "gru\u{df}"),
        (&long, &shown),
    ] {
        let stderr = format!(
            "error: invalid domain name '{shown}': use letters, digits, '.', '_' and '-', not starting with '.' or \
             '-', at most 128 bytes\n"
        );
        for verb in ["start", "define"] {
            host.refused(&words(verb, name, &argv), &stderr);
        }
        let said = host.domstate(&words("run", name, &argv));
        assert_eq!((said.stderr, said.code), (stderr, Some(125)));
        assert!(!host.state_dir().exists());
        assert!(!host.folder().join("v").exists());
    }
}

#[test]
fn a_domain_may_be_named_like_a_verb_or_a_number_or_at_length() {
    let host = Host::new();
    let long = "n".repeat(128);
    let argv = bare_qemu(&[]);
    for name in ["list", "12345678", &long, "a.b_C-d"] {
        assert_eq!(
            host.ok(&words("start", name, &argv)),
            format!("Domain '{name}' started\n")
        );
        assert_eq!(host.ok(&["state", "--reason", name]), "running (booted)\n");
        assert_eq!(
            host.ok(&["destroy", name]),
            format!("Domain '{name}' destroyed\n")
        );
        assert_eq!(host.ok(&["wait", name]), "shut off (destroyed)\n");
    }
}

#[test]
fn the_state_directory_may_have_any_path() {
    let component = "d".repeat(120);
    let beyond_a_socket = format!("{component}/{component}");
    for path in ["a, b,,c=\u{e9}", "$(x)'\"\\", &beyond_a_socket] {
        let host = Host::with_state_dir(path);
        let mut guest = host.start("v", &[]);
        assert_eq!(host.answer("v"), "running (booted)");
        host.ok(&["suspend", "v"]);
        assert_eq!(host.answer("v"), "paused (user)");
        host.ok(&["resume", "v"]);
        guest.answers();
        host.kill_supervisor("v");
        host.ok(&["suspend", "v"]);
        host.ok(&["resume", "v"]);
        guest.press('o');
        let cause = json!({"kind": "guest-shutdown"});
        host.assert_ends("v", "shut off (shutdown)", &cause);
        host.ok(&["undefine", "v"]);
        assert_eq!(host.ok(&["list", "--all", "--name"]), "");
    }
}

#[test]
fn the_state_directory_may_be_named_relatively() {
    let host = Host::new();
    let argv = bare_qemu(&[]);
    let mut args = vec!["--state-dir", "elsewhere"];
    args.extend(words("start", "v", &argv));
    let mut start = host.command(&args);
    start.current_dir(host.folder());
    assert_eq!(finish(start).code, Some(0));
    let elsewhere = host.folder().join("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    let said = host.ok(&["--state-dir", elsewhere, "--reason", "v"]);
    assert_eq!(said, "running (booted)\n");
    host.ok(&["--state-dir", elsewhere, "destroy", "v"]);
}

#[test]
fn the_uuid_that_qemu_is_given_is_the_domains() {
    let uuid = "c7a5fdbd-cdaf-9455-926a-d65c16db1809";
    let host = Host::new();
    let argv = bare_qemu(&["-uuid", &uuid.to_uppercase()]);
    host.ok(&words("start", "v", &argv));
    assert_eq!(host.ok(&["domuuid", "v"]), format!("{uuid}\n"));
    assert_eq!(host.ok(&["--reason", uuid]), "running (booted)\n");
    let another = format!(
        "error: Failed to define domain 'w'\n\
         error: operation failed: domain 'v' already exists with uuid {uuid}\n"
    );
    host.refused(&words("define", "w", &argv), &another);
    host.ok(&["destroy", uuid]);
    // Without one, the domain keeps the one that it has.
    host.ok(&words("define", "v", &bare_qemu(&[])));
    assert_eq!(host.ok(&["domuuid", "v"]), format!("{uuid}\n"));
}

#[test]
fn a_qemu_is_started_with_no_signal_blocked_though_its_starter_blocks_some() {
    use nix::sys::signal::{SigSet, Signal};
    let host = Host::new();
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    blocked.add(Signal::SIGINT);
    // The mask of this thread alone, and of what it starts.
    blocked.thread_block().unwrap();
    host.ok(&words("start", "v", &bare_qemu(&[])));
    blocked.thread_unblock().unwrap();
    send(host.qemu_pid("v"), Signal::SIGTERM);
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["kind"], "host-signal");
}

#[test]
fn a_domain_that_is_just_being_started_can_be_destroyed() {
    let host = Host::new();
    let argv = bare_qemu(&[]);
    let args = words("start", "v", &argv);
    for _ in 0..20 {
        let _ = host.domstate(&["undefine", "v"]);
        let start = spawn(host.command(&args));
        // Announced, and nothing spawned yet, if this is quick enough.
        let runs = host.state_dir().join("v/runs/00000001");
        until("the run", || runs.exists());
        let said = host.domstate(&["destroy", "v"]);
        let started = finish_child(start);
        let too_early = said.stderr.ends_with("domain is not running\n");
        assert!(said.code == Some(0) || too_early, "{said:?}");
        if too_early {
            assert_eq!(started.code, Some(0), "{started:?}");
            host.ok(&["destroy", "v"]);
        }
        assert_eq!(host.answer("v"), "shut off (destroyed)");
    }
}
