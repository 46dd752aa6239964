//! What the caller of domstate has set up reaches QEMU where that was promised, and nothing else of it does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::harness::{Guest, Host, Said, finish, is_alive, processes_with, send, until, with_argv};

/// A program that sets something up and then becomes what its arguments say.
fn through(host: &Host, setup: &[&str], args: &[&str]) -> Command {
    let plain = host.command(args);
    let mut words = setup.iter();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(plain.get_program()).args(args);
    command
        .env("DOMSTATE_DIR", host.state_dir())
        .stdin(Stdio::null());
    command
}

fn python(code: &str) -> [&str; 3] {
    ["python3", "-c", code]
}

const BLOCKS_ALL: &str = "import os, signal, sys\n\
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n\
    os.execv(sys.argv[1], sys.argv[1:])";

const IGNORES_ALL: &str = "import os, signal, sys\n\
    for number in (1, 2, 3, 10, 12, 13, 15, 17):\n    signal.signal(number, signal.SIG_IGN)\n\
    os.execv(sys.argv[1], sys.argv[1:])";

/// A guest's QEMU, started with `verb`: `start`, which is done, or `run`, which goes on.
struct Started {
    _guest: Guest,
    qemu: i32,
    run: Option<Child>,
}

/// Starts `v` with `start` or `run` behind a set-up, with these options and further arguments for QEMU.
fn started(
    host: &Host,
    setup: &[&str],
    verb: &str,
    options: &[&str],
    qemu_args: &[&str],
) -> Started {
    let line = host.line("v");
    let argv = host.argv("v", qemu_args);
    let args = with_argv(&[&[verb, "v"], options].concat(), &argv);
    let mut command = through(host, setup, &args);
    let mut run = None;
    if verb == "run" {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        run = Some(command.spawn().unwrap());
    } else {
        let said = finish(command);
        assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    }
    let guest = Guest::connected(&line);
    Started {
        _guest: guest,
        qemu: host.qemu_pid("v"),
        run,
    }
}

impl Started {
    /// Waits for `run`, if that is what it was started with.
    fn ended(&mut self) {
        if let Some(mut run) = self.run.take() {
            until("run's end", || run.try_wait().unwrap().is_some());
        }
    }
}

/// A line of /proc/PID/status.
fn status_line(pid: i32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    value.unwrap().trim_start_matches(':').trim().to_owned()
}

#[test]
fn signals_that_the_caller_blocks_or_ignores_are_neither_to_qemu() {
    for verb in ["start", "run"] {
        for setup in [
            &python(BLOCKS_ALL)[..],
            &python(IGNORES_ALL),
            &[
                "bash",
                "-c",
                "trap '' TERM HUP INT QUIT USR1 CHLD; exec \"$@\"",
                "sh",
            ],
        ] {
            let host = Host::new();
            let mut started = started(&host, setup, verb, &[], &[]);
            // QEMU blocks SIGUSR1 and the like in threads of its own; its main thread handles these.
            let bits = |key| u64::from_str_radix(&status_line(started.qemu, key), 16).unwrap();
            let bit = |signal: Signal| 1_u64 << (signal as i32 - 1);
            for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
                assert_eq!(bits("SigBlk") & bit(signal), 0, "{verb} {setup:?} {signal}");
                assert_eq!(bits("SigIgn") & bit(signal), 0, "{verb} {setup:?} {signal}");
            }
            send(started.qemu, Signal::SIGTERM);
            until("QEMU to obey", || !is_alive(started.qemu));
            started.ended();
            assert_eq!(host.wait("v"), "shut off (destroyed)", "{verb} {setup:?}");
            assert_eq!(host.json("v")["cause"]["kind"], "host-signal");
        }
    }
}

#[test]
fn destroy_from_a_caller_that_blocks_all_signals_works() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    // Its adopter is brought about by such a caller too.
    host.kill_supervisor("v");
    let said = finish(through(&host, &python(BLOCKS_ALL), &["destroy", "v"]));
    assert_eq!(said.stdout, "Domain 'v' destroyed\n", "{said:?}");
    assert_eq!(host.answer("v"), "shut off (destroyed)");
}

#[test]
fn a_lock_of_a_script_is_free_after_the_script_while_qemu_lives() {
    let host = Host::new();
    let line = host.line("v");
    let lock = host.folder().join("script.lock");
    let locking = format!(
        "exec 9>'{0}'; flock 9; \"$@\"; status=$?; flock -n '{0}' true && echo free inside; exit $status",
        lock.display()
    );
    let argv = host.argv("v", &[]);
    let args = with_argv(&["start", "v"], &argv);
    let said = finish(through(&host, &["bash", "-c", &locking, "sh"], &args));
    assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    assert!(is_free(&lock), "while QEMU lives");
    let _guest = Guest::connected(&line);
    // Nor does an adopter have it.
    host.kill_supervisor("v");
    let said = finish(through(&host, &["bash", "-c", &locking, "sh"], &["v"]));
    assert_eq!(said.stdout, "running\n", "{said:?}");
    assert_ne!(host.supervisor_pid("v"), 0);
    assert!(is_free(&lock), "while an adopter lives");
}

fn is_free(lock: &Path) -> bool {
    let mut command = Command::new("flock");
    command.arg("-n").arg(lock).arg("true");
    finish(command).code == Some(0)
}

/// Where a process's descriptors lead, by number.
fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let named = entries.filter_map(|entry| {
        let to = fs::read_link(entry.path()).ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, to.to_string_lossy().into_owned()))
    });
    named.collect()
}

/// Opens files as 15 to 17, which every child inherits, and becomes its arguments.
const OPENS_FILES: &str = "import os, sys\n\
    for number in (15, 16, 17):\n    \
        os.dup2(os.open(f'{sys.argv[1]}/open{number}', os.O_WRONLY | os.O_CREAT), number)\n\
    os.execv(sys.argv[2], sys.argv[2:])";

#[test]
fn qemu_inherits_no_descriptor_but_the_lock_and_what_is_passed() {
    for verb in ["start", "run"] {
        let host = Host::new();
        let folder = host.folder().to_string_lossy().into_owned();
        let setup = ["python3", "-c", OPENS_FILES, &folder];
        let started = started(&host, &setup, verb, &[], &[]);
        let all = descriptors(started.qemu);
        for (number, to) in &all {
            assert!(!to.contains("/open"), "{verb}: {number} -> {to}");
            let run = host.run_folder("v").to_string_lossy().into_owned();
            let own = [
                "anon_inode:",
                "socket:",
                "pipe:",
                "/memfd:",
                "/dev/null",
                "guest.img",
            ];
            let is_expected = *number < 3
                || own.iter().any(|own| to.contains(own))
                || to.starts_with(&run)
                || *to == host.state_dir().join("v/lock").to_string_lossy();
            assert!(is_expected, "{verb}: {number} -> {to}");
        }
        let holds = |name: &str| all.iter().filter(|(_, to)| to.ends_with(name)).count();
        assert_eq!(holds("/lock"), 1, "{verb}: {all:?}");
        assert_eq!(holds("supervisor.lock"), 0, "{verb}: {all:?}");
        assert_eq!(holds("/journal"), 1, "{verb}: {all:?}");
        // Nor has the supervisor anything of the caller's.
        if verb == "start" {
            let supervisor = host.supervisor_pid("v");
            let all = descriptors(supervisor);
            assert!(all.iter().all(|(_, to)| !to.contains("/open")), "{all:?}");
            assert!(all.iter().all(|(_, to)| !to.ends_with("v/lock")), "{all:?}");
        }
    }
}

#[test]
fn a_descriptor_that_is_passed_reaches_qemu_and_nobody_else() {
    for verb in ["start", "run"] {
        let host = Host::new();
        let folder = host.folder().to_string_lossy().into_owned();
        let setup = ["python3", "-c", OPENS_FILES, &folder];
        // A set that nothing uses is closed again by QEMU.
        let uses = "file,id=passed,path=/dev/fdset/1";
        let qemu_args = ["-add-fd", "fd=16,set=1", "-chardev", uses];
        let options = ["--pass-fds", "16,17"];
        let started = started(&host, &setup, verb, &options, &qemu_args);
        let all = descriptors(started.qemu);
        let holds = |name: &str| all.iter().any(|(_, to)| to.ends_with(name));
        assert!(holds("/open16"), "{verb}: {all:?}");
        assert!(!holds("/open15"), "{verb}: {all:?}");
        if verb == "start" {
            let all = descriptors(host.supervisor_pid("v"));
            assert!(all.iter().all(|(_, to)| !to.contains("/open")), "{all:?}");
        }
    }
}

#[test]
fn a_socket_that_is_passed_is_the_guests_line() {
    let host = Host::new();
    let code = "ours.send(b'o')\nprint('heard', b'READY' in heard, status)";
    let said = through_passed_socket(&host, code);
    assert_eq!(
        said.stdout, "Domain 'v' started\nheard True 0\n",
        "{said:?}"
    );
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn a_socket_that_is_passed_to_restore_is_the_restored_guests_line() {
    let host = Host::new();
    let code = "import subprocess\n\
        program = [sys.argv[1]]\n\
        subprocess.run([*program, 'save', 'v', 'v.save'], check=True)\n\
        if subprocess.run([*program, 'restore', 'v.save'], capture_output=True).returncode != 1: sys.exit('restored')\n\
        ours, theirs = socket.socketpair()\n\
        os.dup2(theirs.fileno(), 8)\n\
        subprocess.run([*program, 'restore', 'v.save', '--pass-fds', '8'], check=True, close_fds=False)\n\
        ours.send(b'o')";
    let said = through_passed_socket(&host, code);
    assert!(
        said.stdout.ends_with("Domain restored from v.save\n"),
        "{said:?}"
    );
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

/// Starts `v` with the guest's line on a socket that is passed to it, and goes on with `code` once the guest was heard.
fn through_passed_socket(host: &Host, code: &str) -> Said {
    let before = "import os, socket, sys\n\
        ours, theirs = socket.socketpair()\n\
        os.dup2(theirs.fileno(), 8)\n\
        pid = os.fork()\n\
        if pid == 0:\n    os.execv(sys.argv[1], sys.argv[1:])\n\
        status = os.waitpid(pid, 0)[1]\n\
        theirs.close(); os.close(8)\n\
        ours.settimeout(60)\n\
        heard = b''\n\
        while b'READY' not in heard:\n    \
            more = ours.recv(100)\n    \
            if not more: break\n    \
            heard += more\n"
        .to_owned()
        + code;
    let image = super::harness::guest_folder().join("guest.img");
    let drive = format!("file={},format=raw,if=floppy,readonly=on", image.display());
    let qemu = super::harness::qemu();
    let mut args = vec!["start", "v", "--pass-fds", "8", "--", &qemu];
    let fixed = "-accel tcg -M pc -nodefaults -no-user-config -display none -m 16 -boot a";
    args.extend(fixed.split(' '));
    args.extend([
        "-drive",
        &drive,
        "-chardev",
        "socket,id=line,fd=8",
        "-serial",
        "chardev:line",
    ]);
    let mut command = through(host, &python(&before), &args);
    command.current_dir(host.folder());
    finish(command)
}

#[test]
fn a_descriptor_that_is_closed_cannot_be_passed() {
    let host = Host::new();
    for number in ["3", "4", "5", "77"] {
        let argv = host.argv("v", &[]);
        let args = with_argv(&["start", "v", "--pass-fds", number], &argv);
        let setup =
            python("import os, sys\nos.closerange(3, 1024)\nos.execv(sys.argv[1], sys.argv[1:])");
        let said: Said = finish(through(&host, &setup, &args));
        assert_eq!(said.code, Some(1), "{number}: {said:?}");
        let words = format!("cannot pass descriptor {number}: it is not open\n");
        assert!(said.stderr.ends_with(&words), "{number}: {said:?}");
        assert!(processes_with(&host.state_dir().to_string_lossy()).is_empty());
    }
}

#[test]
fn umask_environment_limits_and_working_directory_of_the_caller_are_qemus() {
    const SETS_UP: &str = "import os, resource, sys\n\
        os.umask(0o027)\n\
        os.environ['DOMSTATE_TEST'] = 'of the caller'\n\
        resource.setrlimit(resource.RLIMIT_NOFILE, (345, 678))\n\
        resource.setrlimit(resource.RLIMIT_CPU, (12345, 67890))\n\
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n\
        os.mkdir(sys.argv[1] + '/here')\n\
        os.chdir(sys.argv[1] + '/here')\n\
        os.execv(sys.argv[2], sys.argv[2:])";
    for verb in ["start", "run"] {
        let host = Host::new();
        let folder = host.folder().to_string_lossy().into_owned();
        let setup = ["python3", "-c", SETS_UP, &folder];
        let started = started(&host, &setup, verb, &[], &[]);
        let qemu = started.qemu;
        assert_eq!(status_line(qemu, "Umask"), "0027", "{verb}");
        let environment = fs::read(format!("/proc/{qemu}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let mut variables = environment.split('\0');
        assert!(
            variables.any(|v| v == "DOMSTATE_TEST=of the caller"),
            "{verb}"
        );
        let limits = fs::read_to_string(format!("/proc/{qemu}/limits")).unwrap();
        let limit = |name: &str| -> Vec<String> {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let words = line.unwrap().split_whitespace().take(2);
            words.map(str::to_owned).collect()
        };
        // QEMU 10 and 11 take as many as they may by themselves.
        assert_eq!(limit("Max open files")[1], "678", "{verb}");
        assert_eq!(limit("Max cpu time"), ["12345", "67890"], "{verb}");
        assert_eq!(limit("Max core file size"), ["0", "0"], "{verb}");
        let cwd = fs::read_link(format!("/proc/{qemu}/cwd")).unwrap();
        assert_eq!(cwd, host.folder().join("here"), "{verb}");
        if verb == "start" {
            // The supervisor keeps no file system busy.
            let cwd = fs::read_link(format!("/proc/{}/cwd", host.supervisor_pid("v"))).unwrap();
            assert_eq!(cwd, Path::new("/"));
        }
    }
}
