//! Who may write to the state directory, and who may reach what lies in it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::{Guest, Host, Said, finish, is_root, processes_with, until, with_argv};

/// A link in place of each file.
mod links;

/// A user who is nobody's friend.
const STRANGER: u32 = 65534;

/// domstate behind a umask.
fn with_umask(host: &Host, umask: &str, args: &[&str]) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\"; exec \"$@\"", umask]);
    command.arg(env!("CARGO_BIN_EXE_domstate")).args(args);
    command.env("DOMSTATE_DIR", host.state_dir());
    finish(command)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    found.push(folder.to_owned());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap().is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn folders_are_0700_and_files_0600_whatever_the_umask() {
    for umask in ["0000", "0022", "0077"] {
        let host = Host::new();
        let ok = |args: &[&str]| {
            let said = with_umask(&host, umask, args);
            assert_eq!(said.code, Some(0), "umask {umask}: {args:?}: {said:?}");
        };
        let disk = host.folder().join("disk.qcow2");
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(&disk)
            .arg("1M")
            .status();
        assert!(made.unwrap().success());
        let drive = format!("file={},format=qcow2,if=ide", disk.display());
        let argv = host.argv("v", &["-drive", &drive, "-device", "pvpanic"]);
        let line = host.line("v");
        ok(&with_argv(
            &["start", "v", "--on-crash", "coredump-destroy"],
            &argv,
        ));
        let guest = Guest::connected(&line);
        ok(&["snapshot-create-as", "v", "s1"]);
        ok(&["managedsave", "v"]);
        drop(guest);
        ok(&["start", "v"]);
        let mut guest = Guest::taken(&line);
        guest.press('p');
        ok(&["wait", "v"]);
        drop(guest);
        ok(&["start", "v"]);
        let _guest = Guest::connected(&line);
        ok(&["managedsave", "v"]);
        ok(&["start", "v", "--force-boot"]);
        let _guest = Guest::connected(&line);
        let mut found = Vec::new();
        walk(&host.state_dir(), &mut found);
        let names: Vec<&str> = found
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        for name in [
            "journal",
            "log",
            "lock",
            "domain.json",
            "s1.json",
            "qmp.sock",
            "recorder.in",
            "job.lock",
            "supervisor.lock",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(
            names.iter().any(|name| name.ends_with(".core")),
            "{names:?}"
        );
        for path in &found {
            let metadata = fs::symlink_metadata(path).unwrap();
            let mode = metadata.mode() & 0o7777;
            if metadata.is_dir() {
                assert_eq!(mode, 0o700, "umask {umask}: {path:?}");
            } else if metadata.is_file() {
                assert_eq!(mode, 0o600, "umask {umask}: {path:?}");
            } else {
                // QEMU makes its socket itself, and the folder guards it.
                let is_link = metadata.is_symlink()
                    && (path.ends_with("recorder.out") || path.ends_with("v/state.json"));
                assert!(is_link || metadata.file_type().is_socket(), "{path:?}");
            }
        }
        host.ok(&["destroy", "v"]);
    }
}

/// A command of another user's, who may walk up to the state directory.
fn as_stranger(host: &Host, words: &[&str]) -> Said {
    set_mode(host.folder(), 0o755);
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={STRANGER}"));
    command.args(["--clear-groups", "--"]).args(words);
    // Root's own programs may lie where nobody else can reach them.
    command.env("PATH", "/usr/bin:/bin");
    command.env("DOMSTATE_DIR", host.state_dir());
    finish(command)
}

#[test]
fn the_control_socket_is_its_owners_alone() {
    if !is_root("the_control_socket_is_its_owners_alone") {
        return;
    }
    let host = Host::new();
    let argv = host.argv("v", &[]);
    let line = host.line("v");
    let said = with_umask(&host, "0000", &with_argv(&["start", "v"], &argv));
    assert_eq!(said.code, Some(0), "{said:?}");
    let _guest = Guest::connected(&line);
    let socket = host.run_folder("v").join("qmp.sock");
    let connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
    let words = ["python3", "-c", connect, socket.to_str().unwrap()];
    let mut ours = Command::new(words[0]);
    ours.args(&words[1..]);
    assert_eq!(finish(ours).code, Some(0));
    let theirs = as_stranger(&host, &words);
    assert_eq!(theirs.code, Some(1), "{theirs:?}");
    assert!(theirs.stderr.contains("PermissionError"), "{theirs:?}");
}

const LOOKS: &[&str] = &[
    "state v",
    "list --all",
    "wait v --timeout 0",
    "explain v",
    "show v",
    "domid v",
    "logs v",
];

const ACTS: &[&str] = &[
    "start v",
    "destroy v",
    "suspend v",
    "save v /tmp/never",
    "undefine v",
    "define v -- true",
    "run v",
];

fn assert_refused(host: &Host, state_dir: &Path, verb: &str, why: &str) {
    let args: Vec<&str> = verb.split(' ').collect();
    let said = host.domstate_in(state_dir, &args);
    let words = format!(
        "error: cannot use the state directory {}: {why}\n",
        state_dir.display()
    );
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", words.as_str()),
        "{verb}"
    );
    // `run` has a status of its own for what is not the guest's.
    let code = if verb == "run v" { 125 } else { 1 };
    assert_eq!(said.code, Some(code), "{verb}");
}

/// A host with a domain that has ended, in a state directory with a parent of its own.
fn ended() -> Host {
    let host = Host::with_state_dir("parent/state");
    let mut guest = host.start("v", &[]);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    until("the supervisor's end", || {
        host.noted_supervisor("v").is_none()
    });
    host
}

#[test]
fn a_state_directory_that_others_may_write_to_or_replace_is_refused() {
    let host = ended();
    let (state, parent) = (host.state_dir(), host.folder().join("parent"));
    for verb in LOOKS.iter().chain(ACTS) {
        for (mode, why) in [
            (0o770, "others may write to it (mode 0770)"),
            (0o707, "others may write to it (mode 0707)"),
        ] {
            set_mode(&state, mode);
            assert_refused(&host, &state, verb, why);
        }
        set_mode(&state, 0o700);
        set_mode(&parent, 0o777);
        let why = format!(
            "anybody may replace it: {} has mode 0777, without the sticky bit",
            parent.display()
        );
        assert_refused(&host, &state, verb, &why);
        // As it is in /tmp.
        set_mode(&parent, 0o1777);
    }
    let answer = host.domstate_in(&state, &["--reason", "v"]);
    assert_eq!(answer.stdout, "shut off (shutdown)\n");
    // Nor is one made there.
    set_mode(&parent, 0o777);
    let new = parent.join("new");
    let why = format!(
        "anybody may replace it: {} has mode 0777, without the sticky bit",
        parent.display()
    );
    assert_refused(&host, &new, "define v -- true", &why);
    assert!(!new.exists());
}

#[test]
fn root_looks_at_what_another_user_has_and_does_not_act_there_and_nobody_else_even_looks() {
    if !is_root(
        "root_looks_at_what_another_user_has_and_does_not_act_there_and_nobody_else_even_looks",
    ) {
        return;
    }
    let host = ended();
    let state = host.state_dir();
    let mut found = Vec::new();
    walk(&state, &mut found);
    for path in &found {
        std::os::unix::fs::lchown(path, Some(1000), Some(1000)).unwrap();
    }
    let before: Vec<PathBuf> = found.clone();
    for verb in LOOKS.iter().chain(ACTS) {
        let args: Vec<&str> = verb.split(' ').collect();
        if ACTS.contains(verb) {
            assert_refused(
                &host,
                &state,
                verb,
                "it belongs to user 1000, as whom root does not act",
            );
        } else {
            assert_eq!(host.domstate_in(&state, &args).code, Some(0), "{verb}");
        }
    }
    let mut after = Vec::new();
    walk(&state, &mut after);
    assert_eq!(before, after);
    set_mode(&host.folder().join("parent"), 0o755);
    let domstate = env!("CARGO_BIN_EXE_domstate");
    // The program may lie where a stranger cannot reach it.
    let program = host.folder().join("domstate");
    fs::copy(domstate, &program).unwrap();
    set_mode(&state, 0o755);
    let said = as_stranger(&host, &[program.to_str().unwrap(), "list", "--all"]);
    let words = format!(
        "error: cannot use the state directory {}: it belongs to user 1000\n",
        state.display()
    );
    assert_eq!((said.code, said.stderr), (Some(1), words));
    chown(&state, Some(0), Some(0)).unwrap();
}

#[test]
fn root_adopts_no_run_in_another_users_state_directory_be_it_his_own_one() {
    if !is_root("root_adopts_no_run_in_another_users_state_directory_be_it_his_own_one") {
        return;
    }
    let host = Host::with_state_dir("parent/state");
    let _guest = host.start("v", &[]);
    let state = host.state_dir();
    // The folders in it stay root's: somebody may have moved them there.
    chown(&state, Some(1000), Some(1000)).unwrap();
    let link = host.folder().join("link");
    symlink(&state, &link).unwrap();
    host.kill_supervisor("v");
    let watchers = || processes_with(&format!("watch\0{}", host.folder().display()));
    for verb in LOOKS
        .iter()
        .chain(&["history v", "dominfo v", "domblkerror v"])
    {
        let args: Vec<&str> = verb.split(' ').collect();
        for place in [&state, &link] {
            let said = host.domstate_in(place, &args);
            assert_eq!(said.stderr, "", "{verb}: {said:?}");
            // Who adopts has started it before it ends.
            assert_eq!(watchers(), [0; 0], "{verb}");
        }
    }
    chown(&state, Some(0), Some(0)).unwrap();
    assert_eq!(host.answer("v"), "running (booted)");
    assert_eq!(watchers().len(), 1);
}

fn remove(path: &Path) {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    assert!(removed.is_ok() || !path.exists(), "{removed:?}");
}

#[test]
fn a_link_in_the_state_directory_is_refused_and_what_it_leads_to_is_left_alone() {
    let host = ended();
    let elsewhere = host.folder().join("elsewhere");
    let links = [
        ("v", "list --all|state v|start v|define v -- true|show v"),
        (
            "v/runs",
            "list --all|state v|start v|history v|logs v|wait v",
        ),
        (
            "v/runs/00000001",
            "list --all|state v|start v|history v|logs v|explain v|undefine v",
        ),
        ("v/domain.json", "show v|start v"),
        ("v/runs/00000001/log", "logs v"),
        ("v/snapshots", "snapshot-list v"),
        ("v/managed.save", "start v"),
    ];
    for (name, verbs) in links {
        for verb in verbs.split('|') {
            let copy = host.copied_state();
            remove(&elsewhere);
            let place = copy.join(name);
            if place.exists() {
                fs::rename(&place, &elsewhere).unwrap();
            } else {
                fs::create_dir(&elsewhere).unwrap();
            }
            symlink(&elsewhere, &place).unwrap();
            let before = fs::symlink_metadata(&elsewhere).unwrap().mtime_nsec();
            let args: Vec<&str> = verb.split(' ').collect();
            let said = host.domstate_in(&copy, &args);
            assert_eq!(said.code, Some(1), "{name}: {verb}: {said:?}");
            assert!(
                said.stderr.contains("is a symbolic link"),
                "{name}: {verb}: {said:?}"
            );
            assert_eq!(
                said.stderr
                    .lines()
                    .filter(|line| line.starts_with("error: "))
                    .count(),
                said.stderr.lines().count()
            );
            assert_eq!(
                fs::symlink_metadata(&elsewhere).unwrap().mtime_nsec(),
                before,
                "{name}: {verb}"
            );
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    // What only saves time is passed over, and what would tell is missed.
    for (name, answer) in [
        ("v/runs/00000001/state.json", "shut off (shutdown)"),
        ("v/runs/00000001/supervisor.lock", "shut off (shutdown)"),
        ("v/lock", "shut off (shutdown)"),
    ] {
        let copy = host.copied_state();
        remove(&elsewhere);
        fs::rename(copy.join(name), &elsewhere).unwrap();
        symlink(&elsewhere, copy.join(name)).unwrap();
        let said = host.domstate_in(&copy, &["--reason", "v"]);
        assert_eq!(said.stdout.trim_end(), answer, "{name}: {said:?}");
        let start = host.domstate_in(&copy, &["start", "v"]);
        let is_refused = start.stderr.contains("is a symbolic link");
        assert_eq!(is_refused, name == "v/lock", "{name}: {start:?}");
        host.domstate_in(&copy, &["destroy", "v"]);
    }
    let copy = host.copied_state();
    let journal = copy.join("v/runs/00000001/journal");
    remove(&elsewhere);
    fs::rename(&journal, &elsewhere).unwrap();
    symlink(&elsewhere, &journal).unwrap();
    let said = host.domstate_in(&copy, &["--format", "json", "v"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["reason"], "unknown");
    assert_eq!(json["cause"]["why"], "it is a symbolic link");
}

#[test]
fn a_link_in_place_of_the_current_state_is_replaced_and_never_followed() {
    let host = ended();
    let precious = host.folder().join("precious");
    fs::write(&precious, "mine").unwrap();
    let link = host.state_dir().join("v/state.json");
    fs::remove_file(&link).unwrap();
    symlink(&precious, &link).unwrap();
    let line = host.line("v");
    host.ok(&["start", "v"]);
    let _guest = Guest::connected(&line);
    assert_eq!(
        fs::read_link(&link).unwrap(),
        Path::new("runs/00000002/state.json")
    );
    host.ok(&["destroy", "v"]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
}

#[test]
fn a_link_in_place_of_the_control_socket_leads_nobody_to_another_guest() {
    let host = Host::new();
    let _other = host.start("w", &[]);
    let _guest = host.start("v", &[]);
    let socket = host.run_folder("v").join("qmp.sock");
    fs::remove_file(&socket).unwrap();
    symlink(host.run_folder("w").join("qmp.sock"), &socket).unwrap();
    let said = host.domstate(&["suspend", "v"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("it is no socket"), "{said:?}");
    assert_eq!(host.answer("w"), "running (booted)");
    host.ok(&["destroy", "v"]);
    assert_eq!(host.answer("w"), "running (booted)");
}
