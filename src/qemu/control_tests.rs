//! The client against the real QEMU, and against peers that are no QEMU.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind,
    listen, recvmsg, socket,
};
use nix::unistd::Pid;

use super::*;
use crate::domain::Begin;
use crate::qemu::argv::{RecorderPaths, recorder_commands, with_recorder};
use crate::qemu::wire::{SOCKET_NAME, dial, listener_pid};

/// Far above what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Long enough for a greeting that would come, short enough to wait for one that does not.
const SHORT: Duration = Duration::from_millis(300);

fn soon() -> Instant {
    Instant::now() + LIMIT
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

/// A folder that goes with the test.
struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// A comma and a long name, as a user's path may have.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("domstate,{}-{count}-{}", std::process::id(), "x".repeat(90));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        let file = File::open(&path).unwrap();
        Self { path, file }
    }

    fn short(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET_NAME}", self.file.as_raw_fd()).into()
    }

    fn connect(&self, limit: Duration) -> Result<Control, ControlError> {
        Control::connect(self.file.as_fd(), Instant::now() + limit)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).unwrap();
    }
}

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
fn a_missing_socket_is_unreachable() {
    let error = Folder::new().connect(LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to QEMU's monitor: No such file or directory"
    );
}

#[test]
fn a_full_queue_is_waited_for_until_the_deadline_and_no_longer() {
    let folder = Folder::new();
    let server = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let server = server.unwrap();
    let address = UnixAddr::new(&folder.short()).unwrap();
    bind(server.as_raw_fd(), &address).unwrap();
    listen(&server, Backlog::new(0).unwrap()).unwrap();
    let queued = dial(folder.file.as_fd(), soon()).unwrap();
    let began = Instant::now();
    let error = folder.connect(SHORT).unwrap_err();
    assert!(matches!(error, ControlError::Busy), "{error}");
    assert!(began.elapsed() >= SHORT && began.elapsed() < LIMIT);
    drop(queued);
}

/// What the client makes of a peer that greets, answers the negotiation, and then does `then`.
fn facing(
    greeting: &'static str,
    limit: Duration,
    then: impl FnOnce(UnixStream) + Send + 'static,
) -> Result<Value, ControlError> {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.short()).unwrap();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.write_all(greeting.as_bytes()).unwrap();
        then(stream);
    });
    let answer = folder.connect(LIMIT).and_then(|mut control| {
        control.set_deadline(Instant::now() + limit);
        let answer = control.execute("query-status", None);
        let kept: usize = control.events.iter().map(|(cost, _)| cost).sum();
        assert!(kept == control.event_bytes && kept <= EVENT_BYTES_MAX);
        answer
    });
    peer.join().unwrap();
    answer
}

/// The greeting, and the answer to qmp_capabilities before it is asked.
const HELLO: &str = "{\"QMP\":{}}\r\n{\"return\":{},\"id\":1}\r\n";

/// Answers the two requests, the second one with `text`, then hangs up.
fn answering(text: impl AsRef<[u8]> + Send + 'static) -> Result<Value, ControlError> {
    facing(HELLO, LIMIT, move |mut stream| {
        let mut requests = BufReader::new(stream.try_clone().unwrap()).lines();
        requests.next().unwrap().unwrap();
        requests.next().unwrap().unwrap();
        // The client may hang up first.
        drop(stream.write_all(text.as_ref()));
    })
}

#[test]
fn junk_is_an_error() {
    let deep = format!("{{\"a\":{}\n", "[".repeat(1_000_000));
    let junk: [Vec<u8>; 7] = [
        b"hello\n".to_vec(),
        b"[]\n".to_vec(),
        b"{\"return\":\"\xff\",\"id\":2}\n".to_vec(),
        b"{\"return\":{}}\n".to_vec(),
        b"{\"return\":{},\"id\":3}\n".to_vec(),
        b"{\"id\":2}\n".to_vec(),
        deep.into_bytes(),
    ];
    for text in junk {
        let start = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
        let answer = answering(text);
        assert!(
            matches!(answer, Err(ControlError::Garbage(_))),
            "{start}: {answer:?}"
        );
    }
    let greeting = facing("{\"event\":\"STOP\"}\n", LIMIT, drop);
    assert!(
        matches!(greeting, Err(ControlError::Garbage(_))),
        "{greeting:?}"
    );
}

#[test]
fn what_the_client_before_was_still_to_hear_may_stand_before_the_greeting() {
    for left in ["{\"event\":\"STOP\"}\r\n", "{\"event\":\"ST"] {
        let text = format!("{left}{HELLO}{{\"return\":8,\"id\":2}}\n");
        // Until the client hangs up: it has two requests to send.
        let answer = facing(text.leak(), LIMIT, |stream| {
            assert_eq!(BufReader::new(stream).lines().count(), 2);
        });
        assert_eq!(answer.unwrap(), 8);
    }
}

#[test]
fn events_blank_lines_and_late_answers_may_stand_before_the_answer() {
    let text = "\r\n{\"event\":\"NEW\"}\n{\"return\":7,\"id\":1}\n{\"return\":8,\"id\":2}\n";
    assert_eq!(answering(text).unwrap(), 8);
}

#[test]
fn an_end_in_the_middle_of_a_line_is_a_closed_monitor() {
    for greeting in ["", "{\"QMP\":"] {
        let answer = facing(greeting, LIMIT, drop);
        assert!(matches!(answer, Err(ControlError::Closed)), "{answer:?}");
    }
    let answer = answering("{\"return\":{},\"id\":2}");
    assert!(matches!(answer, Err(ControlError::Closed)), "{answer:?}");
}

#[test]
fn an_endless_line_is_given_up_with_bounded_memory() {
    let answer = facing("", LIMIT, |mut stream| {
        while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    assert!(
        matches!(answer, Err(ControlError::Garbage(_))),
        "{answer:?}"
    );
}

#[test]
fn a_flood_of_events_ends_at_the_deadline_with_bounded_memory() {
    let answer = facing(HELLO, SHORT, |mut stream| {
        let event = format!("{{\"event\":\"{}\"}}\n", "E".repeat(60_000));
        while stream.write_all(event.as_bytes()).is_ok() {}
    });
    assert!(matches!(answer, Err(ControlError::Timeout)), "{answer:?}");
}

#[test]
fn a_silent_peer_is_a_time_out_after_the_greeting() {
    let answer = facing(HELLO, SHORT, |stream| {
        let mut requests = BufReader::new(stream).lines();
        while requests.next().is_some_and(|line| line.is_ok()) {}
    });
    assert!(matches!(answer, Err(ControlError::Timeout)), "{answer:?}");
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

/// The folder in which the peer of a child listens.
const PEER_FOLDER: &str = "DOMSTATE_TEST_PEER_FOLDER";

/// Far more than a socket holds.
const LONG: usize = 1 << 20;

#[test]
fn a_descriptor_is_sent_once_though_its_command_is_sent_in_pieces() {
    if let Some(path) = std::env::var_os(PEER_FOLDER) {
        let file = File::open(path).unwrap();
        let mut control = Control::connect(file.as_fd(), soon()).unwrap();
        let long = json!({"long": "x".repeat(LONG)});
        control.execute_with("q", Some(long), file.as_fd()).unwrap();
        return;
    }
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.short()).unwrap();
    let module = module_path!().split_once("::").unwrap().1;
    let name = format!("{module}::a_descriptor_is_sent_once_though_its_command_is_sent_in_pieces");
    // A process of its own, because a stop interrupts the send of whoever is stopped.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--test-threads", "1", "--quiet"])
        .env(PEER_FOLDER, &folder.path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(HELLO.as_bytes()).unwrap();
    let (mut received, mut descriptors) = (Vec::new(), Vec::new());
    while received.len() < LONG || !received.ends_with(b"\n") {
        kill(pid, Signal::SIGSTOP).unwrap();
        kill(pid, Signal::SIGCONT).unwrap();
        let (bytes, more) = receive(&stream);
        received.extend(bytes);
        descriptors.extend(more);
    }
    stream.write_all(b"{\"return\":{},\"id\":2}\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(descriptors.len(), 1);
    let requests = String::from_utf8(received).unwrap();
    let request: Value = serde_json::from_str(requests.lines().nth(1).unwrap()).unwrap();
    assert_eq!(request["arguments"]["long"].as_str().unwrap().len(), LONG);
}

/// Some of what was sent, and the numbers of the descriptors that came with it.
fn receive(stream: &UnixStream) -> (Vec<u8>, Vec<i32>) {
    let mut bytes = vec![0; 16 << 10];
    let mut space = nix::cmsg_space!([i32; 4]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let mut descriptors = Vec::new();
    for part in message.cmsgs().unwrap() {
        let ControlMessageOwned::ScmRights(more) = part else {
            panic!("{part:?}");
        };
        descriptors.extend(more);
    }
    let count = message.bytes;
    assert!(count > 0, "the sender has gone");
    bytes.truncate(count);
    (bytes, descriptors)
}
