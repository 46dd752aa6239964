//! A managed image is given up for a fresh boot, and for nothing less.

use std::fs;
use std::path::{Path, PathBuf};

use super::boot::{SECOND, after_boot_in};
use super::harness::{Guest, Host, is_root, with_argv};

#[test]
fn an_image_is_given_up_once_the_guest_has_booted_and_not_by_a_start_that_fails() {
    let (host, image) = saved();
    let failing = host.domstate(&["start", "v", "--force-boot", "--", "false"]);
    assert_eq!(failing.code, Some(1), "{failing:?}");
    assert_eq!(host.answer("v"), "shut off (failed)");
    assert!(image.exists());
    // Another command line is no hindrance to that.
    let argv = host.argv("v", &["-device", "pvpanic"]);
    let mut args = vec!["start", "v", "--force-boot", "--"];
    args.extend(argv.iter().map(String::as_str));
    let line = host.line("v");
    host.ok(&args);
    let mut guest = Guest::connected(&line);
    assert_eq!(host.answer("v"), "running (booted)");
    assert!(!image.exists());
    guest.press('o');
    assert_eq!(host.wait("v"), "shut off (shutdown)");
}

#[test]
fn an_image_is_given_up_for_a_guest_that_may_have_booted_before_the_power_went() {
    if !is_root("an_image_is_given_up_for_a_guest_that_may_have_booted_before_the_power_went") {
        return;
    }
    let (host, image) = saved();
    let saved = fs::read(&image).unwrap();
    let has_image = |word: &str| {
        let said = after_boot_in(&host.state_dir(), SECOND, &["dominfo", "v"]);
        let line = format!("\nManaged save:   {word}\n");
        assert!(
            said.stdout.contains(&line),
            "{said:?}\n{}",
            host.journal("v")
        );
    };
    has_image("yes");
    let line = host.line("v");
    host.ok(&["start", "v", "--force-boot"]);
    let _guest = Guest::connected(&line);
    host.kill_unseen("v");
    // The power takes what was not synced.
    fs::write(&image, saved).unwrap();
    let run = host.run_folder("v");
    fs::remove_file(run.join("state.json")).unwrap();
    let journal = host.journal("v");
    let (before, _) = journal.split_once("\"event\": \"RESUME\"").unwrap();
    let (before, _) = before.rsplit_once('\n').unwrap();
    fs::write(run.join("journal"), format!("{before}\n")).unwrap();
    has_image("no");
    let said = after_boot_in(&host.state_dir(), SECOND, &["--reason", "v"]);
    assert_eq!(said.stdout, "shut off (crashed)\n");
}

#[test]
fn a_guest_does_not_come_by_migration_into_a_domain_that_has_a_saved_one() {
    let (host, _) = saved();
    let way = format!("unix:{}", host.folder().join("way").display());
    let why = "error: Failed to start domain 'v'\nerror: the domain has a managed save image, in whose place no \
               other guest can come: remove it by 'managedsave-remove'\n";
    host.refused(&["start", "v", "--incoming", &way], why);
    assert_eq!(host.answer("v"), "shut off (saved)");
}

/// A guest that is saved, and where.
fn saved() -> (Host, PathBuf) {
    let host = Host::new();
    drop(host.start("v", &[]));
    host.ok(&["managedsave", "v"]);
    let image = host.state_dir().join("v/managed.save");
    (host, image)
}

/// A guest's image that is of no use any more is not in the way of the next.
fn is_given_up(host: &Host, image: &Path) {
    let line = host.line("v");
    host.ok(&["start", "v", "--force-boot"]);
    let mut guest = Guest::connected(&line);
    assert!(!image.exists());
    guest.answers();
    host.ok(&["managedsave", "v"]);
    drop((guest, line));
    let line = host.line("v");
    host.ok(&["start", "v"]);
    Guest::taken(&line).answers();
    assert_eq!(host.answer("v"), "running (restored)");
}

#[test]
fn an_image_that_cannot_be_restored_is_given_up_too() {
    let (host, image) = saved();
    let whole = fs::read(&image).unwrap();
    fs::write(&image, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(host.domstate(&["start", "v"]).code, Some(1));
    is_given_up(&host, &image);
}

#[test]
fn an_image_that_has_not_got_its_name_is_given_up_too_and_forgotten_by_who_forgets_it() {
    for forgets in [false, true] {
        let (host, image) = saved();
        let part = host.state_dir().join("v/managed.save.domstate-part");
        fs::rename(&image, &part).unwrap();
        if forgets {
            let removed = "Removed managedsave image for domain 'v'\n";
            assert_eq!(host.ok(&["managedsave-remove", "v"]), removed);
            assert!(!part.exists());
        }
        is_given_up(&host, &part);
    }
}

#[test]
fn an_image_is_not_given_up_for_a_guest_that_has_yet_to_come() {
    let (host, image) = saved();
    let way = format!("unix:{}", host.folder().join("way").display());
    let argv = host.argv("v", &["-incoming", &way]);
    let _line = host.line("v");
    host.ok(&with_argv(&["start", "v", "--force-boot"], &argv));
    assert_eq!(host.answer("v"), "paused (migrating)");
    assert!(image.exists());
    host.ok(&["destroy", "v"]);
    assert!(image.exists());
}
