//! The real QEMU.

use std::io::ErrorKind;
use std::process::{Child, Command};

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::domain::Begin;
use crate::qemu::argv::{RecorderPaths, recorder_commands, with_recorder};
use crate::qemu::wire::listener_pid;

/// A real QEMU with the recorder, its guest running; without a machine there is nothing to execute.
struct Guest {
    folder: Folder,
    child: Child,
}

impl Guest {
    fn start() -> Self {
        let folder = Folder::new();
        fs::write(
            folder.path.join("recorder.in"),
            recorder_commands(Begin::Running, None),
        )
        .unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path.join("recorder.out")).unwrap();
        let user = "qemu-system-x86_64 -accel tcg -M none -display none -nodefaults";
        let user: Vec<_> = user.split(' ').map(Into::into).collect();
        let paths = RecorderPaths {
            run: folder.path.clone(),
            // The test's own descriptor is close-on-exec; QEMU starts in the folder instead.
            socket: SOCKET_NAME.into(),
        };
        let argv = with_recorder(&user, &paths);
        let child = Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(&folder.path)
            .spawn()
            .expect("install qemu-system-x86 to run the tests");
        let guest = Self { folder, child };
        // Before it, the recorder's own `cont` may still come.
        until("the recorder", || {
            guest.journal().contains("domstate-cont").then_some(())
        });
        guest
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.folder.path.join("journal")).unwrap_or_default()
    }

    fn connect(&self) -> Control {
        self.folder.connect(LIMIT).unwrap()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = soon();
    while Instant::now() < end {
        if let Some(found) = look() {
            return found;
        }
        poll(&mut [], PollTimeout::from(2_u8)).unwrap();
    }
    panic!("waited in vain for {what}");
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect()
}

#[test]
fn commands_are_answered_and_their_events_reach_the_client_and_the_journal() {
    let guest = Guest::start();
    let mut control = guest.connect();
    assert_eq!(control.peer_pid().unwrap(), guest.child.id());
    let before = guest.journal().len();
    assert_eq!(control.execute("stop", None).unwrap(), json!({}));
    let status = control.execute("query-status", None).unwrap();
    assert_eq!(status["status"], "paused");
    assert_eq!(control.execute("cont", None).unwrap(), json!({}));
    assert_eq!(names(&control.events()), ["STOP", "RESUME"]);
    assert!(control.events().is_empty());
    let journal = guest.journal();
    let lines: Vec<&str> = journal[before..].lines().collect();
    assert!(
        lines.len() == 2 && lines[0].contains("STOP") && lines[1].contains("RESUME"),
        "{lines:?}"
    );
}

#[test]
fn a_refused_command_gives_qemus_words_and_the_next_one_works() {
    let guest = Guest::start();
    let mut control = guest.connect();
    let error = control
        .execute("frobnicate", Some(json!({"a": [1, "\u{e9}\n"]})))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "QEMU refused the command: The command frobnicate has not been found"
    );
    assert!(matches!(error, ControlError::Refused { .. }));
    control.execute("query-qmp-schema", None).unwrap();
}

#[test]
fn a_second_client_is_told_that_the_monitor_is_busy_and_served_once_it_is_free() {
    let guest = Guest::start();
    let mut first = guest.connect();
    let error = guest.folder.connect(SHORT).unwrap_err();
    assert!(matches!(error, ControlError::Busy), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("another command is busy with QEMU's monitor")
    );
    first.execute("query-status", None).unwrap();
    drop(first);
    guest.connect().execute("query-status", None).unwrap();
}

#[test]
fn asking_for_the_listener_disturbs_neither_qemu_nor_its_client() {
    let guest = Guest::start();
    let dir = guest.folder.file.as_fd();
    let before = guest.journal();
    let mut control = guest.connect();
    for _ in 0..2 {
        assert_eq!(listener_pid(dir).unwrap(), guest.child.id());
        control.execute("query-status", None).unwrap();
    }
    // The queue is full now, and says so in a bounded time.
    assert_eq!(listener_pid(dir).unwrap_err().kind(), ErrorKind::WouldBlock);
    control.execute("query-status", None).unwrap();
    drop(control);
    for _ in 0..100 {
        assert_eq!(listener_pid(dir).unwrap(), guest.child.id());
    }
    guest.connect().execute("query-status", None).unwrap();
    assert_eq!(guest.journal(), before);
}

#[test]
fn a_stopped_qemu_is_told_apart_from_a_dead_one_and_hangs_nobody() {
    let guest = Guest::start();
    let pid = Pid::from_raw(guest.child.id().cast_signed());
    let mut control = guest.connect();
    kill(pid, Signal::SIGSTOP).unwrap();
    control.set_deadline(Instant::now() + SHORT);
    let error = control.execute("query-status", None).unwrap_err();
    assert!(matches!(error, ControlError::Timeout), "{error}");
    assert_eq!(
        listener_pid(guest.folder.file.as_fd()).unwrap(),
        guest.child.id()
    );
    let error = guest.folder.connect(SHORT).unwrap_err();
    assert!(matches!(error, ControlError::Busy), "{error}");
    kill(pid, Signal::SIGCONT).unwrap();
    control.set_deadline(soon());
    let name = control.execute("query-name", None).unwrap();
    assert_eq!(
        name,
        json!({}),
        "the answer to the command that timed out is not taken for this one's"
    );
}

#[test]
fn quit_ends_qemu_and_leaves_its_reason_in_the_journal() {
    let mut guest = Guest::start();
    guest.connect().quit().unwrap();
    assert!(guest.child.wait().unwrap().success());
    assert!(guest.journal().contains("host-qmp-quit"));
    let error = guest.folder.connect(LIMIT).unwrap_err();
    assert!(matches!(error, ControlError::Unreachable(_)), "{error}");
}

#[test]
fn a_killed_qemu_is_a_closed_monitor() {
    let mut guest = Guest::start();
    let mut control = guest.connect();
    guest.child.kill().unwrap();
    guest.child.wait().unwrap();
    for _ in 0..2 {
        let error = control.execute("query-status", None).unwrap_err();
        assert!(matches!(error, ControlError::Closed), "{error}");
    }
    assert!(control.quit().is_ok());
}

#[test]
fn a_descriptor_is_passed_under_a_name_and_outlives_the_connection() {
    let guest = Guest::start();
    let descriptors = format!("/proc/{}/fd", guest.child.id());
    let count_of_path = || {
        let links = fs::read_dir(&descriptors).unwrap();
        let links = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
        links.filter(|link| *link == guest.folder.path).count()
    };
    let close = json!({"fdname": "state"});
    let mut control = guest.connect();
    for _ in 0..2 {
        control.pass("state", guest.folder.file.as_fd()).unwrap();
        assert_eq!(count_of_path(), 1, "QEMU has one copy");
    }
    let error = control.pass("7th", guest.folder.file.as_fd()).unwrap_err();
    assert!(matches!(error, ControlError::Refused { .. }), "{error}");
    let error = control.execute("getfd", Some(json!({"fdname": "none"})));
    assert_eq!(
        error.unwrap_err().to_string(),
        "QEMU refused the command: No file descriptor supplied via SCM_RIGHTS"
    );
    drop(control);
    let mut control = guest.connect();
    control.execute("closefd", Some(close.clone())).unwrap();
    assert_eq!(count_of_path(), 0);
    control.execute("closefd", Some(close)).unwrap_err();
}
