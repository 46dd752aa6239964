//! Stories that once ended in a false answer, a hang or a panic.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use super::adopter::adopter_of;
use super::harness::{
    Host, Said, finish, finish_child, is_alive, is_root, send, spawn, until, with_argv,
};

/// A paused guest that may neither reboot nor let QEMU exit, after the reset button: QEMU stays and tells nobody.
fn reset_and_stayed() -> Host {
    let host = Host::new();
    let third_party = host.third_party_socket("v");
    let args = ["-no-reboot", "-no-shutdown", "-qmp", &third_party];
    let _guest = host.start("v", &args);
    host.ok(&["suspend", "v"]);
    // Our own is refused there.
    host.third_party("v").execute("system_reset", &json!({}));
    host.wait_for_event("v", "host-qmp-system-reset");
    assert_eq!(host.answer("v"), "paused (user)");
    host
}

#[test]
fn a_guest_that_stays_after_its_reset_is_destroyed_by_destroy() {
    let host = reset_and_stayed();
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("v"), "shut off (destroyed)");
    assert_eq!(host.json("v")["cause"]["verb"], "destroy");
}

#[test]
fn what_ends_a_guest_that_stayed_after_its_reset_is_no_shutdown() {
    let host = reset_and_stayed();
    send(host.qemu_pid("v"), Signal::SIGKILL);
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let host = reset_and_stayed();
    host.third_party("v").execute("quit", &json!({}));
    assert_eq!(host.wait("v"), "shut off (destroyed)");
    let host = reset_and_stayed();
    host.ok(&["resume", "v"]);
    assert_eq!(host.json("v")["state"], "running");
}

#[test]
fn a_domain_whose_files_cannot_be_looked_for_is_not_taken_for_one_that_is_not_there() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    // What is no folder is no domain all the same.
    fs::write(host.state_dir().join("w"), "").unwrap();
    let folder = host.state_dir().join("v");
    let files = ["domain.json", "runs"].map(|file| folder.join(file).display().to_string());
    for error in ["EIO", "EMFILE", "ENOMEM"] {
        let inject = format!("inject=statx:error={error}");
        for args in [&["list", "--all", "--name"][..], &["--reason", "v"]] {
            let mut ask = Command::new("strace");
            ask.args(["-o", "/dev/null", "-P", &files[0], "-P", &files[1]]);
            ask.args(["-e", "trace=statx", "-e", &inject]);
            ask.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
            ask.env("DOMSTATE_DIR", host.state_dir());
            let said = finish(ask);
            let told = match args[0] {
                "list" => "v\n",
                _ => "running (booted)\n",
            };
            assert_eq!(
                (said.stdout.as_str(), said.code),
                (told, Some(0)),
                "{error} {said:?}"
            );
        }
    }
}

#[test]
fn a_guest_whose_process_cannot_be_opened_is_not_taken_for_dead() {
    for error in ["EMFILE", "ENOSYS", "EPERM"] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        host.kill_supervisor("v");
        // A supervisor that gets no descriptor of QEMU, as under a sandbox that knows no pidfd_open.
        let mut adopter = adopter_of("v", &host, &format!("pidfd_open:error={error}"));
        assert_eq!(host.answer("v"), "running (booted)", "{error}");
        assert!(!host.journal("v").contains("DOMSTATE_EXITED"));
        guest.press('o');
        assert_eq!(host.wait("v"), "shut off (shutdown)");
        adopter.wait().unwrap();
        assert_eq!(host.journal("v").matches("DOMSTATE_EXITED").count(), 1);
    }
}

#[test]
fn a_run_that_ended_with_its_pid_namespace_is_over_also_while_the_next_run_lives() {
    if !is_root("a_run_that_ended_with_its_pid_namespace_is_over_also_while_the_next_run_lives") {
        return;
    }
    let host = Host::new();
    let argv = host.argv("v", &[]);
    let line = host.line("v");
    // As a container ends: everything in it at once, so that nobody is left to write it down.
    let script = r#""$@" && kill -9 -1"#;
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--mount-proc", "sh", "-c", script, "sh"]);
    command
        .args([env!("CARGO_BIN_EXE_domstate"), "start", "v", "--"])
        .args(&argv);
    command.env("DOMSTATE_DIR", host.state_dir());
    finish(command);
    drop(line);
    assert_eq!(host.answer("v"), "shut off (crashed)");
    let _guest = host.start("v", &[]);
    let history = host.ok(&["history", "v"]);
    let first = history.lines().nth(1).unwrap();
    assert!(first.contains("shut off (crashed)"), "{history}");
    let explained = host.ok(&["explain", "v", "--run", "1"]);
    assert!(explained.contains("shut off (crashed)"), "{explained}");
}

#[test]
fn an_old_supervisor_of_an_undefined_domain_writes_nothing_into_a_new_one_of_its_name() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let old = host.supervisor_pid("v");
    let qemu = host.qemu_pid("v");
    send(old, Signal::SIGSTOP);
    guest.press('o');
    until("QEMU's death", || !is_alive(qemu));
    host.ok(&["undefine", "v"]);
    let mut guest = host.start("v", &[]);
    host.supervisor_pid("v");
    let checkpoint = host.run_folder("v").join("state.json");
    until("its checkpoint", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("running"))
    });
    let before = fs::read(&checkpoint).unwrap();
    send(old, Signal::SIGCONT);
    until("the old supervisor's end", || !is_alive(old));
    assert_eq!(fs::read(&checkpoint).unwrap(), before);
    host.assert_is("v", "running (booted)", &json!(null), "witnessed");
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_wait_for_a_domain_that_is_undefined_meanwhile_ends_and_invents_no_answer() {
    for condition in ["running", "inactive"] {
        let host = Host::new();
        if condition == "running" {
            host.ok(&["define", "v", "--", "true"]);
        } else {
            host.start("v", &[]);
        }
        let waiting = spawn(host.command(&["wait", "v", "--for", condition]));
        let pid = i32::try_from(waiting.id()).unwrap();
        until("its sleep", || {
            let sleeps_in = fs::read_to_string(format!("/proc/{pid}/wchan"));
            sleeps_in.is_ok_and(|function| function.contains("poll"))
        });
        // It comes to look only when all is over.
        send(pid, Signal::SIGSTOP);
        if condition == "inactive" {
            host.ok(&["destroy", "v"]);
        }
        host.ok(&["undefine", "v"]);
        send(pid, Signal::SIGCONT);
        let said = finish_child(waiting);
        let stderr = "error: failed to get domain 'v'\n";
        assert_eq!(said.stderr, stderr, "{condition}");
        assert_eq!((said.stdout.as_str(), said.code), ("", Some(1)));
    }
}

#[test]
fn a_timeout_beyond_every_clock_is_none() {
    let host = Host::new();
    let timeout = u64::MAX.to_string();
    let said = host.domstate(&["run", "v", "--timeout", &timeout, "--", "true"]);
    assert_eq!(
        (said.stdout.as_str(), said.code),
        ("shut off (failed)\n", Some(5)),
        "{said:?}"
    );
}

#[test]
fn what_is_no_file_in_place_of_one_keeps_no_command_waiting() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    let in_run =
        ["journal", "state.json", "supervisor.lock", "log"].map(|f| format!("runs/00000001/{f}"));
    let in_domain = ["lock", "domain.json"].map(str::to_owned);
    for file in in_run.iter().chain(&in_domain) {
        for what in ["FIFO", "device"] {
            let copy = host.copied_state();
            let path = copy.join("v").join(file);
            fs::remove_file(&path).unwrap();
            if what == "FIFO" {
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            } else {
                std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            }
            for verb in [
                "--reason v",
                "list --all --uuid",
                "explain v",
                "history v",
                "wait v",
                "logs v",
                "show v",
            ] {
                let args: Vec<&str> = verb.split(' ').collect();
                let mut command = Command::new("timeout");
                command
                    .arg("20")
                    .arg(env!("CARGO_BIN_EXE_domstate"))
                    .args(args);
                command.env("DOMSTATE_DIR", &copy);
                let said = finish(command);
                assert!(
                    matches!(said.code, Some(0 | 1)),
                    "{what} {file}: {verb}: {said:?}"
                );
                let lies = file.ends_with("journal") && said.stdout.contains("(shutdown)");
                assert!(!lies, "{what} {file}: {verb}: {said:?}");
            }
        }
    }
}

#[test]
fn a_qemu_that_was_spawned_unseen_has_not_failed_while_it_starts() {
    let host = Host::new();
    let mut argv = vec!["sh".to_owned(), "-c".to_owned()];
    argv.extend([r#"sleep 2; exec "$@""#.to_owned(), "sh".to_owned()]);
    argv.extend(host.argv("v", &[]));
    let line = host.line("v");
    let args = with_argv(&["start", "v"], &argv);
    let starting = spawn(host.command(&args));
    until("the spawning", || {
        host.state_dir().join("v/runs/00000001").exists()
            && host.journal("v").contains("DOMSTATE_SPAWNED")
    });
    // As if the supervisor had died before it could write down what it had spawned.
    let supervisor = host.noted_supervisor("v").unwrap();
    send(supervisor, Signal::SIGSTOP);
    let run = host.run_folder("v");
    let spawned = host.journal("v").find("DOMSTATE_SPAWNED").unwrap();
    let launched = host.journal("v")[..spawned].rfind('\n').unwrap();
    let journal = fs::File::options().write(true).open(run.join("journal"));
    journal.unwrap().set_len(launched as u64).unwrap();
    let _ = fs::remove_file(run.join("state.json"));
    send(supervisor, Signal::SIGKILL);
    until("its death", || !is_alive(supervisor));
    let mut answers = Vec::new();
    until("the guest", || {
        answers.push(host.answer("v"));
        answers
            .last()
            .is_some_and(|answer| answer == "running (booted)")
    });
    answers
        .retain(|answer| !matches!(answer.as_str(), "paused (starting up)" | "running (booted)"));
    assert_eq!(answers, Vec::<String>::new());
    let said = finish_child(starting);
    assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    drop(line);
}

/// Stops a command that waits until the domain's run is over and the next one lives.
fn restarted_meanwhile(host: &Host, waits: &[&str], ends: &mut dyn FnMut()) -> Said {
    let waiting = spawn(host.command(waits));
    let pid = i32::try_from(waiting.id()).unwrap();
    until("its sleep", || {
        let sleeps_in = fs::read_to_string(format!("/proc/{pid}/wchan"));
        sleeps_in.is_ok_and(|function| function.contains("poll"))
    });
    send(pid, Signal::SIGSTOP);
    ends();
    host.start("v", &[]);
    send(pid, Signal::SIGCONT);
    finish_child(waiting)
}

#[test]
fn an_end_is_not_missed_because_the_domain_was_started_anew_at_once() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    let said = restarted_meanwhile(&host, &["wait", "v"], &mut || {
        guest.press('o');
        host.wait("v");
    });
    assert_eq!(said.stdout, "shut off (shutdown)\n", "{said:?}");
    // A guest that takes its time, so that destroy waits.
    let qemu = host.qemu_pid("v");
    let supervisor = host.supervisor_pid("v");
    send(qemu, Signal::SIGSTOP);
    let begun = std::time::Instant::now();
    let said = restarted_meanwhile(&host, &["destroy", "v", "--graceful"], &mut || {
        send(supervisor, Signal::SIGSTOP);
        send(qemu, Signal::SIGKILL);
        until("its death", || !is_alive(qemu));
        send(supervisor, Signal::SIGCONT);
        host.wait("v");
    });
    // It was killed by somebody else, and the end was seen all the same.
    assert!(said.stderr.contains("domain is not running"), "{said:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(9));
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn a_guest_that_is_adopted_from_another_time_namespace_is_not_taken_for_dead() {
    if !is_root("a_guest_that_is_adopted_from_another_time_namespace_is_not_taken_for_dead") {
        return;
    }
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    host.kill_supervisor("v");
    // Start times are counted from the boot, which is at another time there.
    let mut command = Command::new("unshare");
    command.args([
        "-T",
        "--boottime",
        "1000000",
        env!("CARGO_BIN_EXE_domstate"),
    ]);
    command
        .args(["--reason", "v"])
        .env("DOMSTATE_DIR", host.state_dir());
    let said = finish(command);
    assert_eq!(said.stdout, "running (booted)\n", "{said:?}");
    until("its supervisor", || host.noted_supervisor("v").is_some());
    for _ in 0..20 {
        assert_eq!(
            host.answer("v"),
            "running (booted)",
            "{}",
            host.journal("v")
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_reboot_and_a_shutdown_at_once_leave_a_guest_whose_power_off_is_an_end_or_a_restart() {
    let host = Host::new();
    for _ in 0..4 {
        let mut guest = host.start("v", &[]);
        let both = ["shutdown", "reboot"].map(|verb| spawn(host.command(&[verb, "v"])));
        for child in both {
            assert_eq!(finish_child(child).code, Some(0));
        }
        guest.press('o');
        // Whichever came last, the guest is not left hanging in between.
        until("an end or a new start", || {
            let answer = host.answer("v");
            let restarted = host.journal("v").contains("host-qmp-system-reset");
            answer == "shut off (shutdown)" || (restarted && answer == "running (booted)")
        });
        let _ = host.domstate(&["destroy", "v"]);
    }
}

#[test]
fn a_managed_image_of_another_domain_is_not_taken_up() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let _other = host.start("w", &[]);
    host.ok(&["managedsave", "v"]);
    host.ok(&["destroy", "w"]);
    let image = |domain: &str| host.state_dir().join(domain).join("managed.save");
    fs::copy(image("v"), image("w")).unwrap();
    let start = host.domstate(&["start", "w"]);
    assert_eq!(start.code, Some(1));
    assert!(start.stderr.contains("it is another domain's"), "{start:?}");
    assert_eq!(host.answer("w"), "shut off (destroyed)");
}

#[test]
fn core_files_make_room_for_each_other_and_nobody_elses() {
    let host = Host::new();
    let mut guest = host.start_with(
        "v",
        &["--on-crash", "coredump-destroy"],
        &["-device", "pvpanic"],
    );
    // A disk may be mounted there, with other files on it.
    let dump = host.state_dir().join("v/dump");
    fs::create_dir(&dump).unwrap();
    for number in 0..7 {
        fs::write(dump.join(format!("{number}precious")), "mine").unwrap();
    }
    guest.press('p');
    assert_eq!(host.wait("v"), "shut off (crashed)");
    let files: Vec<String> = fs::read_dir(&dump)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mine = files.iter().filter(|name| name.ends_with("precious"));
    assert_eq!(mine.count(), 7, "{files:?}");
    assert_eq!(files.len(), 8, "{files:?}");
}

#[test]
fn a_folder_of_core_files_that_is_a_link_is_not_followed_and_the_guest_is_kept() {
    let host = Host::new();
    let mut guest = host.start_with(
        "v",
        &["--on-crash", "coredump-destroy"],
        &["-device", "pvpanic"],
    );
    let elsewhere = host.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, host.state_dir().join("v/dump")).unwrap();
    guest.press('p');
    until("a word of it", || {
        !host.json("v")["cause"]["kept"].is_null()
    });
    let kept = format!(
        "{} is a symbolic link",
        host.state_dir().join("v/dump").display()
    );
    assert_eq!(host.json("v")["cause"]["kept"], kept.as_str());
    assert_eq!(host.answer("v"), "crashed (panicked)");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    host.ok(&["destroy", "v"]);
}
