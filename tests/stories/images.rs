//! What is in an image counts when it is taken up, not what became of the domain since; and an image that is not whole,
//! or that was taken up already, is none.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::harness::{Guest, Host, Said, finish, with_argv};
use super::jobs::{interrupt, part_of};

/// Its guest was let run before its QEMU was told to end.
mod let_run;
/// The one image of a domain that `managedsave` makes.
mod managedsave;

/// The two lines of a restore from `file` that failed.
fn failed(file: &str, why: &str) -> String {
    format!("error: Failed to restore domain from {file}\nerror: {why}\n")
}

/// The argument for a disk of the guest's; a file that is made.
fn disk(host: &Host) -> String {
    let disk = host.path("disk");
    fs::write(&disk, [0; 1024]).unwrap();
    format!("file={disk},format=raw,if=ide,index=0")
}

/// Saves `v` into this file of the host's.
fn saved(host: &Host, name: &str) -> String {
    let file = host.path(name);
    host.ok(&["save", "v", &file]);
    assert_eq!(host.answer("v"), "shut off (saved)");
    file
}

fn managed(host: &Host) -> std::path::PathBuf {
    host.state_dir().join("v/managed.save")
}

/// `Managed save:` of dominfo.
fn has_managed_save(host: &Host) -> bool {
    let info = host.ok(&["dominfo", "v"]);
    let told = |word: &str| info.contains(&format!("\nManaged save:   {word}\n"));
    assert!(told("yes") != told("no"), "{info}");
    told("yes")
}

#[test]
fn an_image_that_is_not_whole_or_not_ours_is_refused_before_qemu_starts() {
    let host = Host::new();
    let _guest = host.start_slow(&[]);
    let unfinished = host.path("unfinished");
    let never = host.path("never");
    let save = host.under_way(&["save", "v", &never], "paused (saving)");
    fs::copy(part_of(&never), &unfinished).unwrap();
    interrupt(save);
    host.limit(super::jobs::UNLIMITED);
    let file = saved(&host, "v.save");
    let whole = fs::read(&file).unwrap();
    let length = whole.len();
    let text = String::from_utf8_lossy(&whole[..4096]).into_owned();
    let newer = text.find("\"format\":1,\"header_bytes\"").unwrap() + "\"format\":".len();
    let name = text.find("\"name\":\"v\"").unwrap() + "\"name\":\"".len();
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        assert_ne!(bytes[at], byte);
        bytes[at] = byte;
        bytes
    };
    let cut = |bytes: usize| whole[..bytes].to_vec();
    let (before, history) = (host.guest_json(), host.ok(&["history", "v"]));
    let runs = fs::read_dir(host.state_dir().join("v/runs"))
        .unwrap()
        .count();
    for (bytes, why) in [
        (Vec::new(), "it is not a save image".to_owned()),
        (
            b"LibvirtQemudSave and so on".to_vec(),
            "it is not a save image".to_owned(),
        ),
        (cut(10), "it is not a save image".to_owned()),
        (
            cut(100),
            "it is cut short or damaged: its header has no end".to_owned(),
        ),
        (
            cut(length - 1),
            format!("it is cut short: {} bytes are left of {length}", length - 1),
        ),
        (
            [&whole[..], b"\n"].concat(),
            format!(
                "it is too long: {} bytes, of which {length} were written by save",
                length + 1
            ),
        ),
        (
            changed(newer, b'9'),
            "format 9 is newer than this domstate, which knows 2".to_owned(),
        ),
        (changed(name, b'w'), "its header is damaged".to_owned()),
        (
            fs::read(&unfinished).unwrap(),
            "it was not written to its end".to_owned(),
        ),
    ] {
        let damaged = host.path("damaged");
        fs::write(&damaged, bytes).unwrap();
        let why = format!("cannot restore {damaged}: {why}");
        let said = host.domstate(&["restore", &damaged]);
        assert_eq!(said.stderr, failed(&damaged, &why));
        assert_eq!(said.code, Some(1));
        let fresh = host.folder().join("fresh");
        let said = host.domstate_in(&fresh, &["restore", &damaged]);
        assert_eq!(said.stderr, failed(&damaged, &why));
        assert!(!fresh.exists());
        // The domain's own image is looked at as closely.
        fs::copy(&damaged, managed(&host)).unwrap();
        let path = managed(&host).to_str().unwrap().to_owned();
        let why = why.replace(&damaged, &path);
        let words = format!("error: Failed to start domain 'v'\nerror: {why}\n");
        host.refused(&["start", "v"], &words);
        assert!(has_managed_save(&host), "{why}");
        fs::remove_file(managed(&host)).unwrap();
    }
    for (missing, why) in [
        (host.path("missing"), "No such file or directory"),
        (host.path("."), "Is a directory"),
    ] {
        let why = format!("cannot restore {missing}: {why}");
        host.refused(&["restore", &missing], &failed(&missing, &why));
    }
    assert_eq!(
        (host.guest_json(), host.ok(&["history", "v"])),
        (before, history)
    );
    let now = fs::read_dir(host.state_dir().join("v/runs"))
        .unwrap()
        .count();
    assert_eq!(now, runs);
    host.restore(&file, &[]).answers();
}

#[test]
fn a_domain_that_is_active_is_not_restored() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let file = saved(&host, "v.save");
    let mut guest = host.restore(&file, &[]);
    let why = "Requested operation is not valid: domain 'v' is already active";
    host.refused(&["restore", &file], &failed(&file, why));
    host.ok(&["suspend", "v"]);
    host.refused(&["restore", &file], &failed(&file, why));
    host.assert_is("v", "paused (user)", &Value::Null, "witnessed");
    host.ok(&["resume", "v"]);
    guest.answers();
    host.assert_only_run(2);
}

/// Runs domstate in the host's folder.
fn in_folder(host: &Host, state: &Path, args: &[&str]) -> Said {
    let mut command = host.command(args);
    command
        .current_dir(host.folder())
        .env("DOMSTATE_DIR", state);
    finish(command)
}

#[test]
fn an_image_is_all_that_another_state_directory_needs_and_is_found_from_the_callers_folder() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let (uuid, shown) = (host.ok(&["domuuid", "v"]), host.ok(&["show", "v"]));
    let said = in_folder(&host, &host.state_dir(), &["save", "v", "v.save"]);
    assert_eq!(said.stdout, "Domain 'v' saved to v.save\n", "{said:?}");
    assert!(host.folder().join("v.save").exists());
    let fresh = host.folder().join("fresh");
    let line = host.line("v");
    let said = in_folder(&host, &fresh, &["restore", "v.save"]);
    assert_eq!(said.stdout, "Domain restored from v.save\n", "{said:?}");
    let mut guest = Guest::taken(&line);
    guest.answers();
    for (args, wanted) in [
        (["--reason", "v"], "running (restored)\n"),
        (["domuuid", "v"], &uuid),
        (["show", "v"], &shown),
    ] {
        assert_eq!(host.domstate_in(&fresh, &args).stdout, wanted);
    }
    guest.press('o');
    let said = host.domstate_in(&fresh, &["wait", "v", "--timeout", "60"]);
    assert_eq!(said.stdout, "shut off (shutdown)\n");
    // It is a domain like any other now.
    let line = host.line("v");
    let said = host.domstate_in(&fresh, &["start", "v"]);
    assert_eq!(said.stdout, "Domain 'v' started\n", "{said:?}");
    Guest::connected(&line).answers();
    assert_eq!(host.answer("v"), "shut off (saved)");
}

#[test]
fn another_domain_of_the_name_or_of_the_uuid_keeps_an_image_from_being_restored() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let file = saved(&host, "v.save");
    let uuid = host.ok(&["domuuid", "v"]);
    let uuid = uuid.trim_end();
    host.ok(&["domrename", "v", "w"]);
    let why = format!("operation failed: domain 'w' is already defined with uuid {uuid}");
    host.refused(&["restore", &file], &failed(&file, &why));
    host.ok(&["undefine", "w"]);
    host.ok(&["define", "v", "--", "some-other-qemu"]);
    let other = host.ok(&["domuuid", "v"]);
    let other = other.trim_end();
    assert_ne!(uuid, other);
    let shown = host.ok(&["show", "v"]);
    let why = format!("operation failed: domain 'v' already exists with uuid {other}");
    host.refused(&["restore", &file], &failed(&file, &why));
    assert_eq!(host.ok(&["show", "v"]), shown);
    assert_eq!(host.answer("v"), "shut off (unknown)");
    host.ok(&["undefine", "v"]);
    host.restore(&file, &[]).answers();
}

#[test]
fn the_command_line_of_the_run_goes_into_the_image_not_one_that_was_defined_since() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    host.ok(&["define", "v", "--", "qemu-that-is-not-there"]);
    let defined = host.ok(&["show", "v"]);
    let file = saved(&host, "v.save");
    let mut guest = host.restore(&file, &[]);
    guest.answers();
    // What was defined is for the next boot.
    assert_eq!(host.ok(&["show", "v"]), defined);
    host.ok(&["managedsave", "v"]);
    host.takes_up(&["start", "v"], "Domain 'v' started\n")
        .answers();
    assert_eq!(host.ok(&["show", "v"]), defined);
}

#[test]
fn a_guest_whose_disk_another_qemu_has_is_restored_later() {
    let host = Host::new();
    let drive = disk(&host);
    let _guest = host.start("v", &["-drive", &drive]);
    let file = saved(&host, "v.save");
    let image = fs::read(&file).unwrap();
    let _other = host.start("w", &["-drive", &drive]);
    let _line = host.line("v");
    let said = host.domstate(&["restore", &file]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
    let sentence = format!("error: Failed to restore domain from {file}\n");
    assert!(said.stderr.starts_with(&sentence), "{said:?}");
    assert!(
        said.stderr.contains("Failed to get \"write\" lock"),
        "{said:?}"
    );
    assert_eq!(host.answer("v"), "shut off (failed)");
    let message = host.json("v")["cause"]["message"].clone();
    assert!(message.as_str().unwrap().contains("lock"), "{message}");
    assert_eq!(fs::read(&file).unwrap(), image);
    host.ok(&["destroy", "w"]);
    let mut guest = host.restore(&file, &[]);
    host.assert_is("v", "running (restored)", &Value::Null, "witnessed");
    guest.press('w');
    guest.hears("ok");
}

#[test]
fn the_policies_of_the_run_that_was_saved_hold_for_the_guest_that_is_restored() {
    for given in ["with the definition", "to this run"] {
        let host = Host::new();
        let pvpanic = ["-device", "pvpanic"];
        let preserve = ["--on-crash", "preserve"];
        let _guest = match given {
            "to this run" => {
                let argv = host.argv("v", &pvpanic);
                let args = with_argv(&["define", "v"], &argv);
                host.ok(&args);
                let start = [&["start", "v"], &preserve[..]].concat();
                let mut guest = host.takes_up(&start, "Domain 'v' started\n");
                guest.hears("READY");
                guest
            }
            _ => host.start_with("v", &preserve, &pvpanic),
        };
        let shown = host.ok(&["show", "v"]);
        let file = saved(&host, "v.save");
        let _guest = host.restore(&file, &[]);
        host.ok(&["managedsave", "v"]);
        let mut guest = host.takes_up(&["start", "v"], "Domain 'v' started\n");
        guest.press('p');
        until_panicked(&host, given);
        assert_eq!(host.ok(&["show", "v"]), shown, "{given}");
    }
}

fn until_panicked(host: &Host, given: &str) {
    let said = host.domstate(&["wait", "v", "--timeout", "60"]);
    assert_eq!(said.stdout, "crashed (panicked)\n", "given {given}");
}
