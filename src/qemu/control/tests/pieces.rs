//! A command that a socket takes only in pieces.

use std::io::{IoSliceMut, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use nix::unistd::Pid;

use super::*;

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
