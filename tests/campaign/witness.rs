//! What is seen from outside of a guest: its serial line, a monitor of QEMU's that domstate knows nothing of, and the
//! processes that there are.

/// What is seen of one of them.
mod qemu;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::{Value, json};

pub(crate) use self::qemu::Qemu;

use crate::harness::{is_alive, processes_with};

#[derive(Default)]
struct Seen {
    /// In the order in which they connected.
    qemus: Mutex<Vec<Qemu>>,
    changed: Condvar,
    is_over: AtomicBool,
}

/// See the module.
pub(crate) struct Witness {
    seen: Arc<Seen>,
    folder: PathBuf,
    domain: &'static str,
}

impl Witness {
    /// Takes every connection to these two sockets.
    pub(crate) fn begin(folder: &Path, domain: &'static str, serial: UnixListener) -> Self {
        let witness = Self {
            seen: Arc::default(),
            folder: folder.to_owned(),
            domain,
        };
        let monitor = UnixListener::bind(witness.monitor_path()).unwrap();
        let seen = Arc::clone(&witness.seen);
        std::thread::spawn(move || accept(&seen, &serial, hear_guest));
        let seen = Arc::clone(&witness.seen);
        std::thread::spawn(move || accept(&seen, &monitor, hear_monitor));
        witness
    }

    pub(crate) fn monitor_path(&self) -> PathBuf {
        self.folder.join(format!("{}.monitor", self.domain))
    }

    /// For who watches the other end of a journey.
    pub(crate) fn sight(&self) -> Sight {
        Sight(Arc::clone(&self.seen))
    }

    /// Looks at what was seen.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Qemu]) -> T) -> T {
        look(&self.seen.qemus.lock().unwrap())
    }

    /// The QEMUs that live, of those that have connected. A zombie does not; one that is dying is waited for: its first
    /// thread may be gone before the others, and what is told of it then is true both ways.
    pub(crate) fn connected(&self) -> Vec<i32> {
        let open = |qemus: &[Qemu]| -> Vec<i32> {
            let open = qemus.iter().filter(|qemu| qemu.is_open());
            open.map(|qemu| qemu.pid).collect()
        };
        let mut pids = self.look(open);
        pids.retain(|pid| {
            while !is_alive(*pid) && has_threads(*pid) {
                std::thread::yield_now();
            }
            is_alive(*pid)
        });
        pids
    }

    /// The QEMUs that live, also those that have not connected: all processes are looked at.
    pub(crate) fn alive(&self) -> Vec<i32> {
        let mut pids = processes_with(&self.monitor_path().to_string_lossy());
        pids.retain(|pid| is_qemu(*pid) && is_alive(*pid));
        pids.extend(self.connected());
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// domstate's own processes that live.
    pub(crate) fn supervisors(&self) -> Vec<i32> {
        let folder = self.folder.to_string_lossy().into_owned();
        let mut pids = processes_with(&folder);
        let runs = format!("/{}/runs/", self.domain);
        pids.retain(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.starts_with("domstate-supervisor") && line.contains(&runs) && is_alive(*pid)
        });
        pids
    }

    /// Whether somebody of domstate's is there who may be starting a QEMU: also who is only just becoming a supervisor, and
    /// between two programs has no command line for a moment.
    pub(crate) fn is_being_started(&self) -> bool {
        let folder = self.folder.to_string_lossy();
        let is_ours = |pid: &i32| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            exe.ends_with("domstate") && is_alive(*pid)
        };
        (0..3).any(|time| {
            std::thread::sleep(Duration::from_millis(5 * time));
            processes_with(&folder).iter().any(is_ours)
        })
    }

    /// The number of connections so far.
    pub(crate) fn count(&self) -> usize {
        self.look(<[Qemu]>::len)
    }

    /// Waits until a condition on what was seen holds; whether it does.
    pub(crate) fn until(&self, patience: Duration, holds: impl FnMut(&[Qemu]) -> bool) -> bool {
        self.seen.until(patience, holds)
    }

    /// Waits until all that the newest QEMU, which is dead, has said is here, and until nothing of it is left: without its
    /// memory, and so without a command line, a process may go on dying for some time.
    pub(crate) fn hear_out(&self) {
        let over = |qemus: &[Qemu]| qemus.last().is_none_or(|qemu| !qemu.is_open());
        let patience = Duration::from_secs(10);
        let deadline = Instant::now() + patience;
        self.until(patience, over);
        let Some(pid) = self.look(|qemus| qemus.last().map(|qemu| qemu.pid)) else {
            return;
        };
        let command_line = PathBuf::from(format!("/proc/{pid}/cmdline"));
        let has_none = || fs::read(&command_line).is_ok_and(|line| line.is_empty());
        while has_threads(pid) && has_none() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    /// Sends the newest guest a letter, if there is one to hear it; whether there is.
    pub(crate) fn press(&self, letter: char) -> bool {
        let mut bytes = [0; 4];
        let bytes = letter.encode_utf8(&mut bytes).as_bytes();
        let serial = self.look(|qemus| qemus.last()?.serial.as_ref()?.try_clone().ok());
        serial.is_some_and(|mut serial| serial.write_all(bytes).is_ok())
    }

    /// Executes a command at the newest QEMU's monitor; what it returned, if it did so in time.
    pub(crate) fn execute(&self, command: &str, patience: Duration) -> Option<Value> {
        self.execute_with(command, &json!({}), patience)
    }

    /// The same with arguments.
    pub(crate) fn execute_with(
        &self,
        command: &str,
        arguments: &Value,
        patience: Duration,
    ) -> Option<Value> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let index = self.count().checked_sub(1)?;
        let monitor = self.look(|qemus| qemus[index].monitor.as_ref()?.try_clone().ok());
        let request = json!({"execute": command, "arguments": arguments, "id": id});
        let line = request.to_string() + "\n";
        let _ = monitor?.write_all(line.as_bytes());
        let deadline = Instant::now() + patience;
        let answered =
            |qemus: &[Qemu]| qemus[index].replies.contains_key(&id) || qemus[index].monitor_over;
        self.until(deadline - Instant::now(), answered);
        self.look(|qemus| qemus[index].replies.get(&id).cloned())
    }

    /// QEMU's own word for what its machine does.
    pub(crate) fn status(&self) -> Option<String> {
        let status = self.execute("query-status", Duration::from_secs(2))?;
        status["status"].as_str().map(str::to_owned)
    }
}

/// What is seen of another domain's QEMUs.
pub(crate) struct Sight(Arc<Seen>);

impl Sight {
    /// Looks at what was seen.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Qemu]) -> T) -> T {
        look(&self.0.qemus.lock().unwrap())
    }

    /// Waits until a condition on what was seen holds; whether it does.
    pub(crate) fn until(&self, patience: Duration, holds: impl FnMut(&[Qemu]) -> bool) -> bool {
        self.0.until(patience, holds)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::Relaxed);
        // So that those who accept see it.
        let _ = UnixStream::connect(self.monitor_path());
        let _ = UnixStream::connect(self.folder.join(format!("{}.serial", self.domain)));
    }
}

/// Whether a thread of it lives.
fn has_threads(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
        state.is_some_and(|state| !state.starts_with(['Z', 'X']))
    })
}

fn is_qemu(pid: i32) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    exe.to_string_lossy().contains("qemu-system")
}

fn accept(seen: &Arc<Seen>, listener: &UnixListener, hear: fn(&Seen, i32, UnixStream)) {
    for stream in listener.incoming() {
        if seen.is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { return };
        let Ok(peer) = getsockopt(&stream, PeerCredentials) else {
            continue;
        };
        let seen = Arc::clone(seen);
        std::thread::spawn(move || hear(&seen, peer.pid(), stream));
    }
}

impl Seen {
    fn until(&self, patience: Duration, mut holds: impl FnMut(&[Qemu]) -> bool) -> bool {
        let qemus = self.qemus.lock().unwrap();
        let waits = |qemus: &mut Vec<Qemu>| !holds(qemus);
        let (_guard, timed) = self
            .changed
            .wait_timeout_while(qemus, patience, waits)
            .unwrap();
        !timed.timed_out()
    }

    fn of(&self, pid: i32, change: impl FnOnce(&mut Qemu)) {
        let mut qemus = self.qemus.lock().unwrap();
        // A pid that comes again belongs to another QEMU if the one that had it is gone.
        let same = |qemu: &Qemu| qemu.pid == pid && qemu.is_open();
        let index = qemus.iter().rposition(same).unwrap_or_else(|| {
            qemus.push(Qemu {
                pid,
                ..Qemu::default()
            });
            qemus.len() - 1
        });
        change(&mut qemus[index]);
        drop(qemus);
        self.changed.notify_all();
    }
}

fn hear_guest(seen: &Seen, pid: i32, stream: UnixStream) {
    let kept = stream.try_clone().unwrap();
    seen.of(pid, |qemu| qemu.serial = Some(kept));
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        seen.of(pid, |qemu| qemu.heard.push(line));
    }
    seen.of(pid, |qemu| qemu.serial_over = true);
}

fn hear_monitor(seen: &Seen, pid: i32, mut stream: UnixStream) {
    let _ = stream.write_all(b"{\"execute\":\"qmp_capabilities\"}\n");
    let kept = stream.try_clone().unwrap();
    seen.of(pid, |qemu| qemu.monitor = Some(kept));
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let Ok(value) = serde_json::from_slice::<Value>(&line) else {
            continue;
        };
        if let Some(event) = value["event"].as_str() {
            let event = (event.to_owned(), value["data"].clone());
            seen.of(pid, |qemu| {
                // Of a flood the first is enough.
                let is_of_flood = event.0 == "GUEST_CRASHLOADED";
                if !is_of_flood || qemu.events.last() != Some(&event) {
                    qemu.events.push(event);
                }
            });
        } else if let Some(id) = value["id"].as_u64() {
            let returned = value["return"].clone();
            seen.of(pid, |qemu| drop(qemu.replies.insert(id, returned)));
        }
    }
    seen.of(pid, |qemu| qemu.monitor_over = true);
}
