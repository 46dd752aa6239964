//! A symbolic link in place of each file of a state directory: nothing is written, cut, removed or made where it leads to,
//! whatever is asked or done; where it is in the way of a verb, that says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{remove, walk};
use crate::harness::{Host, finish, is_alive, processes_with, send, until};

/// All that the verbs read and write by a name.
const FILES: &[&str] = &[
    "v/lock",
    "v/domain.json",
    "v/state.json",
    "v/managed.save",
    "v/snapshots/s1.json",
    "v/snapshots/.s1.json",
    "v/runs/00000001/journal",
    "v/runs/00000001/state.json",
    "v/runs/00000001/definition.json",
    "v/runs/00000001/log",
    "v/runs/00000001/recorder.in",
    "v/runs/00000001/supervisor.lock",
    "v/runs/00000001/job.lock",
];

/// Verbs that only tell.
const TELLS: &[&str] = &[
    "--reason v",
    "list --all",
    "dominfo v",
    "history v",
    "explain v",
    "show v",
    "logs v",
    "snapshot-list v",
    "domjobinfo v",
    "wait v --timeout 0",
];

/// Verbs that act on a domain that is not active; the last brings it to an end again.
const ACTS: &[&str] = &[
    "managedsave-remove v",
    "snapshot-delete v s1",
    "snapshot-revert v s1",
    "define v --on-crash destroy -- true",
    "domrename v w",
    "domrename w v",
    "start v",
    "destroy v",
    "undefine v",
];

/// Verbs that act on a guest that lives.
const ACTS_LIVING: &[&str] = &[
    "suspend v",
    "resume v",
    "managedsave v",
    "snapshot-create-as v s1",
    "snapshot-delete v s1",
    "dump v DUMP",
    "domjobabort v",
    "destroy v",
];

/// What lies outside of the state directory: each file with its content, its mode and when it was changed.
type Outside = BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)>;

/// A folder of somebody's, with a file that a link leads to.
struct Elsewhere {
    folder: PathBuf,
}

impl Elsewhere {
    fn new(host: &Host) -> Self {
        let folder = host.folder().join("elsewhere");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn look(&self) -> Outside {
        let mut found = Vec::new();
        walk(&self.folder, &mut found);
        let look = |path: PathBuf| {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = match metadata.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            let at = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec());
            (path, (content, at.0, at.1, at.2))
        };
        found.into_iter().map(look).collect()
    }
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// What stood in its place, so that a reader who followed it would find all as it should be; or something of somebody's.
    File,
    /// Where a writer who followed it would make a file.
    Nothing,
}

const TARGETS: [Target; 2] = [Target::File, Target::Nothing];

/// Puts a link in place of a file.
fn put_link(place: &Path, elsewhere: &Elsewhere, target: Target) {
    let there = elsewhere.folder.join("file");
    let is_there = fs::symlink_metadata(place).is_ok();
    match target {
        Target::File if is_there => {
            fs::copy(place, &there).unwrap();
        }
        Target::File => fs::write(&there, "mine\n").unwrap(),
        Target::Nothing => {}
    }
    if is_there {
        remove(place);
    }
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    symlink(&there, place).unwrap();
}

#[test]
fn nothing_is_written_where_a_link_leads_that_stands_for_any_file_of_a_domain_that_has_ended() {
    let host = super::ended();
    for name in FILES {
        for target in TARGETS {
            let copy = host.copied_state();
            let elsewhere = Elsewhere::new(&host);
            let place = copy.join(name);
            put_link(&place, &elsewhere, target);
            let before = elsewhere.look();
            for verb in TELLS.iter().chain(ACTS) {
                let args: Vec<&str> = verb.split(' ').collect();
                let _line = (*verb == "start v").then(|| host.line("v"));
                let said = host.domstate_in(&copy, &args);
                let why = format!("{name} to {target:?}: {verb}: {said:?}");
                assert!([Some(0), Some(1), Some(124)].contains(&said.code), "{why}");
                assert_eq!(elsewhere.look(), before, "{why}");
                if *verb == "--reason v" {
                    let is_journal = name.ends_with("journal");
                    let answer = match is_journal {
                        true => "shut off (unknown)\n",
                        false => "shut off (shutdown)\n",
                    };
                    assert_eq!((said.code, &*said.stdout), (Some(0), answer), "{why}");
                }
            }
            let ours = || processes_with(&copy.to_string_lossy());
            until("their end", || ours().is_empty());
            assert_eq!(elsewhere.look(), before, "{name} to {target:?}");
            fs::remove_dir_all(&copy).unwrap();
        }
    }
}

#[test]
fn nothing_is_written_where_a_link_leads_that_stands_for_any_file_of_a_guest_that_lives() {
    for name in FILES {
        for target in TARGETS {
            let host = Host::new();
            let _guest = host.start("v", &[]);
            // Who comes next would give it another, who writes to all of them.
            host.kill_supervisor("v");
            let elsewhere = Elsewhere::new(&host);
            put_link(&host.state_dir().join(name), &elsewhere, target);
            let before = elsewhere.look();
            let dump = host.path("v.dump");
            for verb in TELLS.iter().chain(ACTS_LIVING) {
                let args: Vec<&str> = verb
                    .split(' ')
                    .map(|word| if word == "DUMP" { &dump } else { word })
                    .collect();
                let said = host.domstate(&args);
                let why = format!("{name} to {target:?}: {verb}: {said:?}");
                assert!([Some(0), Some(1), Some(124)].contains(&said.code), "{why}");
                assert_eq!(elsewhere.look(), before, "{why}");
                if *verb == "--reason v" {
                    let is_journal = name.ends_with("journal");
                    let is_running = match is_journal {
                        true => said.stdout.starts_with("running ("),
                        false => said.stdout == "running (booted)\n",
                    };
                    assert!(is_running && said.code == Some(0), "{why}");
                }
            }
            for pid in processes_with(&host.folder().to_string_lossy()) {
                send(pid, Signal::SIGKILL);
            }
            let ours = || processes_with(&host.folder().to_string_lossy());
            until("their end", || ours().is_empty());
            assert_eq!(elsewhere.look(), before, "{name} to {target:?}");
        }
    }
}

#[test]
fn what_a_verb_needs_of_a_guest_that_lives_it_does_not_take_from_where_a_link_leads() {
    for (name, verb) in [
        ("job.lock", "managedsave v"),
        ("definition.json", "managedsave v"),
    ] {
        let host = Host::new();
        let mut guest = host.start("v", &[]);
        let elsewhere = Elsewhere::new(&host);
        let place = host.run_folder("v").join(name);
        put_link(&place, &elsewhere, Target::File);
        let args: Vec<&str> = verb.split(' ').collect();
        let said = finish(host.command(&args));
        assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{said:?}");
        assert!(said.stderr.contains("symbolic link"), "{name}: {said:?}");
        guest.answers();
        assert_eq!(host.json("v")["certainty"], Value::from("witnessed"));
    }
    // Who would look after the guest cannot, and says nothing: the answer needs nobody.
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    host.kill_supervisor("v");
    let elsewhere = Elsewhere::new(&host);
    let place = host.run_folder("v").join("supervisor.lock");
    put_link(&place, &elsewhere, Target::File);
    host.assert_is("v", "running (booted)", &Value::Null, "witnessed");
    let qemu = host.qemu_pid("v");
    guest.press('o');
    until("QEMU's end", || !is_alive(qemu));
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn whether_a_guest_lives_of_which_no_process_is_known_is_not_told_where_a_link_stands_for_its_lock()
{
    let host = super::ended();
    let state = host.state_dir();
    let run = host.run_folder("v");
    let journal = fs::read(run.join("journal")).unwrap();
    let text = String::from_utf8_lossy(&journal);
    let launched = text.find("DOMSTATE_LAUNCHED").unwrap();
    let first = launched + text[launched..].find('\n').unwrap() + 1;
    fs::write(run.join("journal"), &journal[..first]).unwrap();
    remove(&run.join("state.json"));
    let elsewhere = Elsewhere::new(&host);
    let place = state.join("v/lock");
    put_link(&place, &elsewhere, Target::File);
    let before = elsewhere.look();
    let lock = place.display();
    let words =
        format!("error: cannot read domain 'v': cannot read {lock}: it is a symbolic link\n");
    for verb in ["--reason v", "list --all", "history v", "dominfo v"] {
        let args: Vec<&str> = verb.split(' ').collect();
        let said = host.domstate(&args);
        assert_eq!((said.code, &said.stderr), (Some(1), &words), "{verb}");
        assert!(!said.stdout.contains("shut off"), "{verb}: {said:?}");
    }
    assert_eq!(elsewhere.look(), before);
}
