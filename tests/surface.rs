//! What a user reads and types is what the program has: the man page, the completions and the README against the
//! command line. `make generate` renews what is generated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../examples/generate/completions.rs"]
mod completions;
#[path = "../examples/generate/page.rs"]
mod page;
#[path = "../examples/generate/pieces.rs"]
mod pieces;
#[path = "../examples/generate/reliability.rs"]
mod reliability;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn command() -> clap::Command {
    let mut command = domstate::cli::command();
    command.build();
    command
}

fn verbs() -> Vec<String> {
    let command = command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_generated_is_what_is_checked_in() {
    for (path, text) in pieces::all() {
        let same = read(path) == text;
        assert!(same, "{path} is stale: run 'make generate'");
    }
}

#[test]
fn every_verb_and_option_stands_in_the_man_page() {
    let page = read("man/domstate.1").replace("\\-", "-");
    for verb in command().get_subcommands() {
        let name = verb.get_name();
        if name == "help" {
            continue;
        }
        assert!(page.contains(&format!("\n.SS {name}\n")), "{name}");
        for long in verb.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{long}")), "{name} --{long}");
        }
    }
}

#[test]
fn every_cause_and_ending_stands_in_the_man_page_and_the_endings_in_the_readme() {
    use domstate::domain::{ShutOff, State};
    let page = read("man/domstate.1").replace("\\-", "-");
    for line in read("src/store/encode.rs").lines() {
        let kind = line.trim().strip_prefix("Cause::");
        let kind = kind.and_then(|rest| rest.split(" => \"").nth(1));
        if let Some((kind, _)) = kind.and_then(|kind| kind.split_once("\",")) {
            assert!(page.contains(&format!("\n.B {kind}\n")), "{kind}");
        }
    }
    let readme = read("README.md");
    for reason in [
        ShutOff::Shutdown,
        ShutOff::Destroyed,
        ShutOff::Crashed,
        ShutOff::Failed,
        ShutOff::Unknown,
    ] {
        let answer = State::ShutOff(reason).to_string();
        assert!(page.contains(&format!("\n.B {answer}\n")), "{answer}");
        assert!(readme.contains(&format!("| `{answer}` |")), "{answer}");
    }
}

#[test]
fn the_readme_lists_the_verbs_that_there_are() {
    let readme = read("README.md");
    let rows = readme
        .lines()
        .filter(|line| line.starts_with("| `domstate "));
    let listed: Vec<String> = rows
        .flat_map(|row| {
            let cell = row.split('|').nth(1).unwrap().replace("`domstate ", "`");
            let words = cell.split('`').skip(1).step_by(2);
            let words = words.map(|word| word.split(' ').next().unwrap().to_owned());
            words.collect::<Vec<_>>()
        })
        .filter(|word| !word.starts_with(['-', '[']))
        .collect();
    let verbs = verbs();
    for verb in &verbs {
        // `state` is the verb that may be left out.
        assert!(
            listed.contains(verb) || verb == "state",
            "{verb} is not in the README"
        );
    }
    for word in &listed {
        assert!(verbs.contains(word), "the README lists {word}");
    }
}

/// What git keeps of this folder, where it is one of git's: a released archive is none.
fn git(args: &[&str]) -> Option<String> {
    if !root().join(".git").exists() {
        return None;
    }
    let output = Command::new("git")
        .args(args)
        .current_dir(root())
        .output()
        .expect("git");
    let is_done = output.status.success();
    is_done.then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn no_file_names_a_folder_of_the_machine_that_it_was_written_on() {
    // In two parts, or this file were one.
    let folders = [("/dev", "/shm/"), ("/tmp", "/domstate-"), ("/wo", "rk/")];
    let folders = folders.map(|(first, rest)| format!("{first}{rest}"));
    let files = git(&["ls-files", "-z"]).unwrap_or_default();
    for path in files.split('\0').filter(|path| !path.is_empty()) {
        // What is removed and not yet committed.
        let Ok(bytes) = fs::read(root().join(path)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        for folder in &folders {
            assert!(!text.contains(folder), "{path} has {folder}");
        }
    }
}

/// Nobody can run again what a commit was that is gone.
#[test]
fn every_record_is_of_a_commit_in_the_history_or_says_that_it_is_not() {
    let is_whole = git(&["rev-parse", "--is-shallow-repository"]);
    if is_whole.is_none_or(|answer| answer.trim() != "false") {
        return;
    }
    let folder = root().join("tests/reliability");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let record: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut commits = vec![record["commit"].as_str().unwrap()];
        for table in record["tables"].as_array().unwrap() {
            let columns = table["columns"].as_array().unwrap();
            let of_commits = columns.iter().position(|column| column == "Commit");
            let rows = table["rows"].as_array().unwrap().iter();
            commits.extend(of_commits.iter().flat_map(|at| {
                let rows = rows.clone();
                rows.map(|row| row[*at].as_str().unwrap())
            }));
        }
        for commit in commits {
            let is_there = git(&["merge-base", "--is-ancestor", commit, "HEAD"]).is_some();
            let says_not = commit.ends_with(" (not in the history)");
            assert!(is_there || says_not, "{}: {commit}", path.display());
        }
    }
}

/// Nothing that groff warns of.
#[test]
fn the_man_pages_are_well_formed() {
    for page in ["man/domstate.1", "man/domstate-states.7"] {
        let groff = Command::new("groff")
            .args(["-man", "-ww", "-Tutf8", "-z"])
            .arg(root().join(page))
            .output()
            .expect("groff (Debian: groff-base)");
        assert!(groff.status.success(), "{groff:?}");
        let warnings = String::from_utf8_lossy(&groff.stderr);
        assert!(warnings.is_empty(), "{warnings}");
    }
}

#[test]
fn the_page_of_the_states_has_every_pair_that_domstate_can_print_and_the_five_that_it_never_does() {
    use domstate::domain::State;
    let page = read("man/domstate-states.7").replace("\\-", "-");
    let (reached, never) = page.split_once("\n.SH PAIRS THAT NEVER COME\n").unwrap();
    let pairs = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(".B "));
        let mut pairs: Vec<String> = lines
            .filter(|line| line.contains(" (") && line.ends_with(')'))
            .map(str::to_owned)
            .collect();
        pairs.sort();
        pairs
    };
    let mut known: Vec<String> = State::all().map(|state| state.to_string()).collect();
    known.sort();
    assert_eq!(pairs(reached), known);
    let never = pairs(never);
    assert_eq!(never.len(), 5);
    assert!(never.iter().all(|pair| !known.contains(pair)), "{never:?}");
    let counted = format!("libvirt has the {} pairs", known.len() + never.len());
    assert!(page.contains(&counted), "{counted}");
    assert!(page.contains(&format!("prints {} of them", known.len())));
}

/// A domain to complete, in a folder of its own.
struct State(PathBuf);

impl State {
    fn with_domain(name: &str, folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        let _ = fs::remove_dir_all(&folder);
        let mut define = Command::new(env!("CARGO_BIN_EXE_domstate"));
        define.args(["--quiet", "define", name, "--", "qemu-system-x86_64"]);
        let status = define.env("DOMSTATE_DIR", &folder).status().unwrap();
        assert!(status.success());
        Self(folder)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn bash_completes_verbs_domains_and_what_follows_the_dashes() {
    let state = State::with_domain("webserver", "surface-completion");
    let script = r#"
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _domstate_with_domains "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let program = Path::new(env!("CARGO_BIN_EXE_domstate"));
    let complete = |line: &str| {
        let bash = Command::new("bash")
            .args(["--norc", "-c", script, "bash"])
            .arg(root().join("completions/domstate.bash"))
            .arg(program)
            .args(line.split(' '))
            .env("DOMSTATE_DIR", &state.0)
            .output()
            .unwrap();
        assert!(bash.stderr.is_empty(), "{line}: {bash:?}");
        let text = String::from_utf8(bash.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (line, wanted) in [
        ("start ", "webserver"),
        ("start w", "webserver"),
        ("", "webserver"),
        ("", "explain"),
        ("--reason w", "webserver"),
        ("wait --domain ", "webserver"),
        ("destroy --g", "--graceful"),
        ("--format ", "json"),
        ("start webserver -- /bin/tru", "/bin/true"),
    ] {
        let found = complete(line);
        assert!(found.iter().any(|word| word == wanted), "{line}: {found:?}");
    }
    for line in ["list ", "start webserver -- "] {
        let found = complete(line);
        assert!(
            !found.contains(&"webserver".to_owned()),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn bash_takes_its_completion_script_without_a_word() {
    let bash = Command::new("bash")
        .args(["--norc", "-n"])
        .arg(root().join("completions/domstate.bash"))
        .output()
        .unwrap();
    assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
}

/// A program of this name that runs these lines.
fn put_program(folder: &Path, name: &str, lines: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_installing_one_need_takes_away_is_installed_again() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("needs");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    put_program(&folder, "second", "");
    put_program(&folder, "sudo", r#"exec "$@""#);
    // QEMU's package removes a qemu-img of another version.
    let apt = r#"
        here=$(dirname "$0")
        for word in "$@"; do
            case $word in
                first-package) cp "$here/sudo" "$here/first"; rm -f "$here/second" ;;
                second-package) cp "$here/sudo" "$here/second" ;;
            esac
        done"#;
    put_program(&folder, "apt-get", apt);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let installed = Command::new(root().join("scripts/install-needs"))
        .args(["first=first-package", "second=second-package"])
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(installed.status.success(), "{installed:?}");
    assert!(folder.join("first").exists() && folder.join("second").exists());
}

#[test]
fn the_bounds_of_the_man_page_are_those_that_the_campaign_holds_commands_to() {
    let page = read("man/domstate.1").replace('\n', " ");
    let play = read("tests/campaign/play.rs");
    for bound in ["LOOK_BOUND", "ACT_BOUND"] {
        let (_, rest) = play
            .split_once(&format!("const {bound}: Duration = Duration::from_secs("))
            .unwrap();
        let (seconds, _) = rest.split_once(')').unwrap();
        let told = format!("it is over within {seconds} seconds.");
        assert!(page.contains(&told), "{bound}: {told}");
    }
}
