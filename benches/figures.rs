//! The first figures, by `make bench`: what an answer costs, what a supervisor costs, how much later than QEMU
//! `start` and `wait` are. Fails if a figure is above its gate.
//!
//! Machines are noisy, so what is compared is measured in turns, in one run. Guests are halted or paused. What the
//! device takes for an fsync is not ours and is taken off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and prints"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

const QEMU: &str = "qemu-system-x86_64";

/// Guests at once, for what a supervisor costs beside others.
const GUESTS: usize = 10;

const ANSWERS: usize = 500;
const STARTS: usize = 15;
const ENDS: usize = 15;
const IDLE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let host = Host::new();
    let mut table = Table::default();
    println!("{} on {}", env!("CARGO_BIN_EXE_domstate"), machine());
    println!("{:<58} {:>9} {:>9} {:>9}  gate", "", "min", "median", "max");
    answers(&host, &mut table);
    supervisors(&host, &mut table);
    starts(&host, &mut table);
    ends(&host, &mut table);
    table.verdict()
}

/// `domstate --reason D` of a guest that runs, against the smallest program there is.
fn answers(host: &Host, table: &mut Table) {
    host.start("v", "");
    let mut answer = host.command(&["--reason", "v"]);
    let mut nothing = Command::new("/bin/true");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ANSWERS {
        ours.push(millis(|| succeed(&mut answer)));
        theirs.push(millis(|| succeed(&mut nothing)));
    }
    let ratio = median(&ours) / median(&theirs);
    table.row("an answer, ms", ours, None);
    table.row("/bin/true, ms", theirs, None);
    table.row("an answer over /bin/true (about 1.0)", vec![ratio], None);
    table.row(
        "an answer, instructions",
        vec![instructions(host)],
        Some(200_000.0),
    );
    host.destroy("v");
}

/// What callgrind counts, without the user's environment: the C library reads through all of it.
fn instructions(host: &Host) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_domstate"), "--reason", "v"])
        .env_clear()
        .env("DOMSTATE_DIR", host.state())
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .expect("valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    line.unwrap_or_else(|| panic!("{text}"))
        .1
        .trim()
        .parse()
        .unwrap()
}

/// Memory and wake-ups of supervisors of paused guests, with others beside them.
fn supervisors(host: &Host, table: &mut Table) {
    let names: Vec<String> = (0..GUESTS).map(|n| format!("m{n}")).collect();
    for name in &names {
        host.start(name, "--paused");
    }
    let pids: Vec<u32> = names.iter().map(|name| host.supervisor(name)).collect();
    // Pages of a program that is not yet on the disk count as private and dirty.
    nix::unistd::sync();
    std::thread::sleep(Duration::from_secs(1));
    let wakes = || pids.iter().map(|pid| wake_ups(*pid)).collect::<Vec<_>>();
    let before = wakes();
    std::thread::sleep(IDLE);
    let after = wakes();
    let woken = before.iter().zip(&after).map(|(b, a)| a - b).collect();

    let memory = |fields: &[&str]| -> Vec<f64> {
        let kib = |pid: &u32| fields.iter().map(|field| rollup(*pid, field)).sum();
        pids.iter().map(kib).collect()
    };
    let private = memory(&["Private_Dirty:", "Private_Clean:"]);
    table.row("a supervisor's private memory, KiB", private, Some(64.0));
    table.row(
        "its PSS beside nine others, KiB",
        memory(&["Pss:"]),
        Some(130.0),
    );
    let seconds = IDLE.as_secs();
    let text = format!("wake-ups of an idle supervisor in {seconds} s");
    table.row(&text, woken, Some(0.0));
    for name in &names {
        host.destroy(name);
    }
}

/// `start` to its return, against the same QEMU without domstate up to its first RESUME.
fn starts(host: &Host, table: &mut Table) {
    host.start("v", "");
    host.destroy("v");
    let syncs = host.syncs_of_start();
    let mut start = host.command(&["start", "v"]);
    let (mut ours, mut bare, mut fsync) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        fsync.push(host.fsync());
        bare.push(millis(|| host.bare_qemu()));
        ours.push(millis(|| succeed(&mut start)));
        host.destroy("v");
    }
    let over = ours.iter().zip(&bare).zip(&fsync);
    let over = over.map(|((ours, bare), fsync)| ours - bare - syncs * fsync);
    let over: Vec<f64> = over.collect();
    table.row("start to its return, ms", ours, None);
    table.row("the bare QEMU to its first RESUME, ms", bare, None);
    table.row("an fsync of this device, ms", fsync, None);
    let text = format!("start over the bare QEMU and its {syncs} fsyncs, ms");
    table.row(&text, over, Some(6.0));
}

/// QEMU's death to the return of `wait`.
fn ends(host: &Host, table: &mut Table) {
    let (mut ours, mut fsync) = (Vec::new(), Vec::new());
    for _ in 0..ENDS {
        host.start("v", "--paused");
        let mut wait = host.command(&["wait", "v"]).spawn().unwrap();
        until_asleep(&wait);
        let qemu = Pid::from_raw(host.qemu("v").cast_signed()).unwrap();
        let qemu = pidfd_open(qemu, PidfdFlags::empty()).unwrap();
        fsync.push(host.fsync());
        pidfd_send_signal(&qemu, Signal::KILL).unwrap();
        let mut ended = [PollFd::new(
            std::os::fd::AsFd::as_fd(&qemu),
            PollFlags::POLLIN,
        )];
        poll(&mut ended, PollTimeout::NONE).unwrap();
        ours.push(millis(|| assert!(wait.wait().unwrap().success())));
        host.until_settled("v");
    }
    let over = ours.iter().zip(&fsync).map(|(ours, fsync)| ours - fsync);
    let over: Vec<f64> = over.collect();
    table.row("QEMU's death to the return of wait, ms", ours, None);
    table.row("an fsync of this device, ms", fsync, None);
    table.row("wait over one fsync, ms", over, Some(3.0));
}

/// The figures. A gate holds for the median.
#[derive(Default)]
struct Table {
    above: Vec<String>,
}

impl Table {
    fn row(&mut self, what: &str, mut figures: Vec<f64>, gate: Option<f64>) {
        figures.sort_by(f64::total_cmp);
        let middle = median(&figures);
        let is_above = gate.is_some_and(|gate| middle > gate);
        let verdict = match gate {
            Some(gate) if is_above => format!("{} ABOVE", number(gate)),
            Some(gate) => format!("{} ok", number(gate)),
            None => String::new(),
        };
        let cells = [figures[0], middle, figures[figures.len() - 1]].map(number);
        let line = format!(
            "{what:<58} {:>9} {:>9} {:>9}  {verdict}",
            cells[0], cells[1], cells[2]
        );
        println!("{}", line.trim_end());
        if is_above {
            self.above.push(what.to_owned());
        }
    }

    fn verdict(&self) -> ExitCode {
        if self.above.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: above the gate: {}", self.above.join("; "));
        ExitCode::FAILURE
    }
}

fn number(figure: f64) -> String {
    if figure.fract() == 0.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}

/// A state directory of its own, on the device that the build is on; /tmp may be memory.
struct Host {
    folder: PathBuf,
}

impl Host {
    fn new() -> Self {
        let name = format!("figures-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_domstate"));
        command.args(args).env("DOMSTATE_DIR", self.state());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn ask(&self, args: &[&str]) -> String {
        let output = self.command(args).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "domstate {args:?}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Starts a guest that does nothing, and waits until its supervisor has written that down.
    fn start(&self, name: &str, option: &str) {
        let mut args = vec!["start", name];
        args.extend(Some(option).filter(|option| !option.is_empty()));
        args.push("--");
        args.extend(guest());
        self.ask(&args);
        let folder = self.state().join(name);
        let _ = self.supervisor(name);
        until("the checkpoint", || folder.join("state.json").exists());
    }

    fn destroy(&self, name: &str) {
        self.ask(&["destroy", name]);
        self.until_settled(name);
    }

    /// Waits until the supervisor has nothing more to do.
    fn until_settled(&self, name: &str) {
        until("the supervisor's end", || {
            self.json(name)["supervisor"].is_null()
        });
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.ask(&["--format", "json", name])).unwrap()
    }

    fn supervisor(&self, name: &str) -> u32 {
        let mut pid = None;
        until("a supervisor", || {
            pid = self.json(name)["supervisor"].as_u64();
            pid.is_some()
        });
        u32::try_from(pid.unwrap()).unwrap()
    }

    fn qemu(&self, name: &str) -> u32 {
        self.ask(&["domid", name]).parse().unwrap()
    }

    /// What the device takes to keep a line, in ms.
    fn fsync(&self) -> f64 {
        let path = self.folder.join("line");
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(b"as long as a line of a journal is, about\n")
            .unwrap();
        millis(|| file.sync_all().unwrap())
    }

    /// How often `start` itself makes something durable before it returns.
    fn syncs_of_start(&self) -> f64 {
        let trace = self.folder.join("trace");
        let status = Command::new("strace")
            .args(["-qq", "-e", "trace=fsync,fdatasync", "-o"])
            .arg(&trace)
            .args([env!("CARGO_BIN_EXE_domstate"), "-q", "start", "v"])
            .env("DOMSTATE_DIR", self.state())
            .status()
            .expect("strace");
        assert!(status.success());
        self.destroy("v");
        let lines = fs::read_to_string(trace).unwrap();
        let count = lines.lines().filter(|line| line.contains("sync(")).count();
        f64::from(u32::try_from(count).unwrap())
    }

    /// Runs the same QEMU up to its first RESUME, as bare as that can be seen.
    fn bare_qemu(&self) {
        let commands = self.folder.join("commands.in");
        let out = self.folder.join("commands.out");
        if !commands.exists() {
            let text = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"cont\"}\n";
            fs::write(&commands, text).unwrap();
            nix::unistd::mkfifo(&out, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let path = self.folder.join("commands");
        let chardev = format!("pipe,id=c,path={}", path.display());
        let mut qemu = Command::new(QEMU)
            .args(&guest()[1..])
            .args(["-S", "-chardev", &chardev, "-qmp", "chardev:c"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(File::open(out).unwrap());
        let mut line = String::new();
        while !line.contains("RESUME") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "QEMU ended");
        }
        qemu.kill().unwrap();
        qemu.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let list = self
            .command(&["list", "--name"])
            .stdout(Stdio::piped())
            .output();
        let names = list.map(|list| list.stdout).unwrap_or_default();
        for name in String::from_utf8_lossy(&names).lines() {
            let _ = self.command(&["destroy", name]).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A guest whose firmware finds nothing to boot, and halts.
fn guest() -> Vec<&'static str> {
    let args = "-accel tcg -M pc -nodefaults -no-user-config -display none -m 16";
    [QEMU].into_iter().chain(args.split(' ')).collect()
}

fn machine() -> String {
    let version = Command::new(QEMU).arg("--version").output().expect(QEMU);
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let version = version.lines().next().unwrap_or_default();
    format!("Linux {}, {cpus} CPUs, {version}", kernel.trim_end())
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn millis(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1000.0
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `wait` waits.
fn until_asleep(child: &Child) {
    let calls = format!("/proc/{}/wchan", child.id());
    until("wait to wait", || {
        fs::read_to_string(&calls).is_ok_and(|text| text.contains("poll"))
    });
}

fn rollup(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    field_of(&text, field)
}

fn wake_ups(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    field_of(&text, "voluntary_ctxt_switches:")
}

fn field_of(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let value = line.unwrap_or_else(|| panic!("no {field} in {text}"));
    value.split_whitespace().next().unwrap().parse().unwrap()
}
