//! Every file of a state directory, cut at every byte.
//!
//! Whatever reads it is asked in this process, which nobody could tell from a command; some lengths are put to the commands
//! themselves. Of the managed image, which is far larger than the rest, every byte of the head and of the tail.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use domstate::domain::{Answer, Name};
use domstate::observe::{look, look_at_run};
use domstate::operation::managed_image;
use domstate::store::{Definition, DomainFolder, Snapshot, StateDir};
use serde_json::Value;

use super::{STRIDE, in_run};
use crate::harness::{Guest, Host, Said, finish, processes_with, s, until, with_argv};

/// A file up to this size is cut at every byte.
const SMALL_BYTES: u64 = 32 * 1024;

/// Of a larger one so much of its head, which has all that domstate reads of it, and a quarter as much of its tail.
const HEAD_BYTES: u64 = 4096;

/// In between, at no multiple of any block.
const LARGE_STRIDE: usize = 4093;

const MANAGED_SAVE: &str = "managed.save";

/// What is asked of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Newest,
    Run(u32),
    Definition,
    /// What a run was started from.
    Kept(u32),
    Snapshots,
    Image,
}

const QUESTIONS: [Question; 8] = [
    Question::Newest,
    Question::Run(1),
    Question::Run(2),
    Question::Definition,
    Question::Kept(1),
    Question::Kept(2),
    Question::Snapshots,
    Question::Image,
];

/// The answers, or why there is none.
type Told = BTreeMap<Question, Result<String, String>>;

/// A domain that has run twice, to its shutdown and into its managed image, with a snapshot and policies. Nothing lives.
fn run_twice() -> Host {
    let host = Host::new();
    let disk = host.path("disk.qcow2");
    let mut make = Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2", &disk, "1M"]);
    let made = finish(make);
    assert_eq!(made.code, Some(0), "(Debian: qemu-utils) {made:?}");
    let drive = format!("file={disk},format=qcow2,if=ide");
    // The monitor greets, which is something to have in the log.
    let further = ["-drive", &drive, "-device", "pvpanic", "-monitor", "stdio"];
    let argv = host.argv("v", &further);
    let options = [
        "define",
        "v",
        "--on-crash",
        "coredump-destroy",
        "--on-reboot",
        "restart",
        "--on-poweroff",
        "destroy",
    ];
    host.ok(&with_argv(&options, &argv));
    let line = host.line("v");
    host.ok(&["start", "v"]);
    let mut guest = Guest::connected(&line);
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
    host.ok(&["start", "v"]);
    let _guest = Guest::connected(&line);
    host.ok(&["snapshot-create-as", "v", "s1"]);
    host.ok(&["managedsave", "v"]);
    assert_eq!(host.wait("v"), "shut off (saved)");
    let ours = || processes_with(&host.state_dir().to_string_lossy());
    until("the supervisor's end", || ours().is_empty());
    host
}

/// The files below `folder` that have a byte to lose, by their paths there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() && metadata.len() > 0 {
                found.push(path);
            }
        }
    }
    found.sort();
    let below = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
    found.into_iter().map(below).collect()
}

fn domain(state_dir: &Path) -> DomainFolder {
    let root = StateDir::choose(Some(state_dir.to_owned()), true, &|_| None).unwrap();
    let name: Name = "v".parse().unwrap();
    assert_eq!(root.names().unwrap(), std::slice::from_ref(&name));
    root.domain(&name)
}

/// Asks as the commands do.
fn ask(domain: &DomainFolder, questions: &[Question]) -> Told {
    let told = |answer: Answer| format!("{}, {}", answer.state, answer.certainty.word());
    let one = |question: &Question| -> anyhow::Result<String> {
        Ok(match *question {
            Question::Newest => told(look(domain)?.answer),
            Question::Run(number) => told(look_at_run(domain, &domain.run(number))?.answer),
            Question::Definition => format!("{:?}", Definition::load(&domain.definition())?),
            Question::Kept(number) => format!("{:?}", Definition::of_run(&domain.run(number))?),
            Question::Snapshots => format!("{:?}", Snapshot::list(domain)?),
            Question::Image => {
                let image = managed_image(domain)?;
                format!("{:?}", image.map(|open| (open.image, open.stream_bytes)))
            }
        })
    };
    let answers = questions.iter().map(|question| {
        let answer = one(question).map_err(|error| format!("{error:#}"));
        (*question, answer)
    });
    answers.collect()
}

/// What a file is read for, by which the rest could be worked out.
fn read_for(file: &Path) -> Vec<Question> {
    let number = match file.starts_with("v/runs/00000001") {
        true => 1,
        false => 2,
    };
    match file.file_name().unwrap().to_str().unwrap() {
        "journal" | "state.json" | "log" | "supervisor.lock" | "job.lock" | "recorder.in" => {
            vec![Question::Run(number)]
        }
        "definition.json" => vec![Question::Kept(number)],
        "domain.json" => vec![Question::Definition],
        MANAGED_SAVE => vec![Question::Image],
        "s1.json" => vec![Question::Snapshots],
        other => panic!("{other} is new in the state directory: what is it read for?"),
    }
}

/// What may be told less well, or not at all, if a file is cut. Everything else stays as it was.
fn may_lack(file: &Path, question: Question) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    match question {
        Question::Newest => file == Path::new("v/runs/00000002/journal"),
        Question::Run(_) => name == "journal" && read_for(file).contains(&question),
        Question::Kept(_) => read_for(file).contains(&question),
        Question::Definition => name == "domain.json",
        Question::Snapshots => name == "s1.json",
        Question::Image => name == MANAGED_SAVE,
    }
}

/// Descending: each is cut from what the one before has left.
fn lengths(whole: u64) -> impl Iterator<Item = u64> {
    let is_near_an_end = move |length: u64| {
        whole <= SMALL_BYTES || length < HEAD_BYTES || length >= whole - HEAD_BYTES / 4
    };
    let every = (0..whole).filter(move |length| is_near_an_end(*length));
    let some = (0..whole).step_by(LARGE_STRIDE);
    let all = every.chain(some.filter(move |length| !is_near_an_end(*length)));
    let mut all: Vec<u64> = all.collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.into_iter()
}

/// A file that is cut in place: the very file that it was, with all of its bytes again in the end.
struct Cut {
    path: PathBuf,
    whole: Vec<u8>,
}

impl Cut {
    fn new(path: PathBuf) -> Self {
        let whole = fs::read(&path).unwrap();
        Self { path, whole }
    }

    fn to(&self, length: u64) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.set_len(length).unwrap();
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.whole);
    }
}

fn assert_one_line(error: &str, why: &str) {
    assert!(!error.is_empty() && !error.contains('\n'), "{why}: {error}");
    // The system's words, and not how a library shows them to a programmer.
    for inner in ["Os {", "Error(", "Error {", "panicked"] {
        assert!(!error.contains(inner), "{why}: {error}");
    }
}

#[test]
fn a_file_that_is_cut_at_any_byte_has_no_answer_changed_but_for_a_worse_one() {
    let host = run_twice();
    let domain = domain(&host.state_dir());
    let before = ask(&domain, &QUESTIONS);
    let truth = |question| before[&question].as_deref().unwrap();
    assert_eq!(truth(Question::Run(1)), "shut off (shutdown), witnessed");
    assert_eq!(truth(Question::Run(2)), "shut off (saved), witnessed");
    assert!(truth(Question::Image).starts_with("Some("));
    let files = files(&host.state_dir());
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    for name in [
        "v/domain.json",
        "v/managed.save",
        "v/snapshots/s1.json",
        "v/runs/00000001/journal",
        "v/runs/00000001/state.json",
        "v/runs/00000001/definition.json",
        "v/runs/00000001/log",
        "v/runs/00000001/recorder.in",
        "v/runs/00000001/supervisor.lock",
        "v/runs/00000002/journal",
        "v/runs/00000002/state.json",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for file in &files {
        let cut = Cut::new(host.state_dir().join(file));
        let whole = u64::try_from(cut.whole.len()).unwrap();
        let identity = fs::metadata(&cut.path).unwrap().ino();
        let reading = read_for(file);
        for (nth, length) in lengths(whole).enumerate() {
            cut.to(length);
            let questions = match nth % STRIDE {
                0 => &QUESTIONS[..],
                _ => &reading,
            };
            for (question, now) in ask(&domain, questions) {
                let why = format!(
                    "{} cut at {length} of {whole}: {question:?}",
                    file.display()
                );
                judge(&why, file, question, truth(question), &now);
            }
        }
        assert_eq!(fs::metadata(&cut.path).unwrap().ino(), identity);
        drop(cut);
        assert_eq!(ask(&domain, &QUESTIONS), before, "{}", file.display());
    }
}

/// Whether an answer may be given of a state directory in which one file is cut.
fn judge(why: &str, file: &Path, question: Question, truth: &str, now: &Result<String, String>) {
    let may_lack = may_lack(file, question);
    match (question, now) {
        (Question::Newest | Question::Run(_), Ok(now)) if may_lack => {
            let (state, _) = truth.split_once(", ").unwrap();
            // That the guest has shut itself down is told of no journal that lacks anything.
            let is_same = *now == format!("{state}, inferred") && state != "shut off (shutdown)";
            assert!(
                is_same || now == "shut off (unknown), unknown",
                "{why}: {now}"
            );
        }
        // A newline at the end of a file is of no moment.
        (_, Ok(now)) => assert_eq!(now, truth, "{why}"),
        (Question::Newest | Question::Run(_), Err(error)) => panic!("{why}: {error}"),
        (_, Err(error)) => {
            assert!(may_lack, "{why}: {error}");
            assert_one_line(error, why);
            let name = file.to_str().unwrap();
            assert!(error.contains(name), "{why}: {error}");
        }
    }
}

#[test]
fn a_managed_image_is_never_taken_for_one_that_was_taken_up_by_what_is_left_of_its_run() {
    let host = run_twice();
    let domain = domain(&host.state_dir());
    let before = ask(&domain, &[Question::Image]);
    let state = in_run_2(&host.state_dir(), "state.json");
    let whole = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    let cut = Cut::new(in_run_2(&host.state_dir(), "journal"));
    // No divisor of any line's length.
    for length in lengths(u64::try_from(cut.whole.len()).unwrap()).step_by(7) {
        cut.to(length);
        let now = ask(&domain, &[Question::Image, Question::Run(2)]);
        assert_eq!(now[&Question::Image], before[&Question::Image], "{length}");
        let told = now[&Question::Run(2)].as_deref().unwrap();
        assert!(!told.starts_with("shut off (shutdown)"), "{length}: {told}");
        assert!(told.starts_with("shut off ("), "{length}: {told}");
    }
    fs::write(&state, whole).unwrap();
}

fn in_run_2(state_dir: &Path, file: &str) -> PathBuf {
    let run = in_run(state_dir, file);
    run.parent().unwrap().with_file_name("00000002").join(file)
}

/// The verbs that only tell.
const TELLS: &[&[&str]] = &[
    &["--reason", "v"],
    &["list", "--all", "--reason"],
    &["dominfo", "v"],
    &["--format", "json", "history", "v"],
    &["show", "v"],
    &["snapshot-list", "v"],
    &["explain", "v"],
    &["wait", "v"],
];

#[test]
fn the_commands_tell_of_a_file_that_is_cut_in_one_line_and_never_panic() {
    let host = run_twice();
    let copy = host.copied_state();
    let ask = |args: &&[&str]| host.domstate_in(&copy, args);
    let before: Vec<Said> = TELLS.iter().map(ask).collect();
    for (args, said) in TELLS.iter().zip(&before) {
        assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{args:?}");
    }
    for file in files(&copy) {
        let cut = Cut::new(copy.join(&file));
        let whole = u64::try_from(cut.whole.len()).unwrap();
        for length in [whole.saturating_sub(2), whole / 2, 0] {
            cut.to(length);
            for (args, before) in TELLS.iter().zip(&before) {
                let said = ask(args);
                let why = format!("{} cut at {length}: {args:?}: {said:?}", file.display());
                judge_said(&why, &file, args, before, &said);
            }
        }
    }
}

/// Whether a command may say that of a state directory in which one file is cut.
fn judge_said(why: &str, file: &Path, args: &[&str], before: &Said, said: &Said) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let lacks = match args[0] {
        "show" => name == "domain.json",
        "snapshot-list" => name == "s1.json",
        _ => false,
    };
    if lacks && said.code != Some(0) {
        assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{why}");
        assert!(said.stderr.starts_with("error: "), "{why}");
        assert!(said.stderr.contains(file.to_str().unwrap()), "{why}");
        assert_eq!(said.stderr.lines().count(), 1, "{why}");
        assert_one_line(said.stderr.trim_end(), why);
        return;
    }
    assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{why}");
    let is_of = |run: &str| name == "journal" && file.parent().unwrap().ends_with(run);
    let newest = |told: &str| {
        let is_worse = is_of("00000002") && told == "shut off (unknown)";
        assert!(is_worse || told == "shut off (saved)", "{why}");
    };
    match args {
        ["--reason", _] | ["wait", _] => newest(said.stdout.trim_end()),
        ["list", ..] => {
            let row = said.stdout.lines().last().unwrap();
            let state = row.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
            newest(&state);
        }
        [_, _, "history", _] => {
            let told: Vec<Value> = said
                .stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(told.len(), 2, "{why}");
            for told in told {
                let (number, truth) = match told["run"].as_u64() {
                    Some(1) => ("00000001", "shutdown"),
                    _ => ("00000002", "saved"),
                };
                let is_worse = is_of(number) && told["reason"] == "unknown";
                assert!(is_worse || s(&told["reason"]) == truth, "{why}");
            }
        }
        ["dominfo", _] => {
            let is_known = |line: &&str| !line.starts_with("UUID:") || name != "domain.json";
            let lines = |said: &Said| -> Vec<String> {
                said.stdout
                    .lines()
                    .filter(is_known)
                    .map(str::to_owned)
                    .collect()
            };
            assert_eq!(lines(said), lines(before), "{why}");
        }
        ["explain", _] => assert!(!said.stdout.is_empty(), "{why}"),
        _ => assert_eq!(said.stdout, before.stdout, "{why}"),
    }
}
