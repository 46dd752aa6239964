//! A managed image is given up for a fresh boot, and for nothing less.

use super::harness::{Guest, Host};

#[test]
fn an_image_is_given_up_once_the_guest_has_booted_and_not_by_a_start_that_fails() {
    let host = Host::new();
    let image = host.state_dir().join("v/managed.save");
    drop(host.start("v", &[]));
    host.ok(&["managedsave", "v"]);
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
fn a_guest_does_not_come_by_migration_into_a_domain_that_has_a_saved_one() {
    let host = Host::new();
    drop(host.start("v", &[]));
    host.ok(&["managedsave", "v"]);
    let way = format!("unix:{}", host.folder().join("way").display());
    let why = "error: Failed to start domain 'v'\nerror: the domain has a managed save image, in whose place no \
               other guest can come: remove it by 'managedsave-remove'\n";
    host.refused(&["start", "v", "--incoming", &way], why);
    assert_eq!(host.answer("v"), "shut off (saved)");
}
