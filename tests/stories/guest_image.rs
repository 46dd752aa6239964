//! The checked-in images are what the sources assemble to.

use std::fs;
use std::process::Command;

use super::harness::{Host, guest_folder};

#[test]
fn the_guest_images_are_what_their_sources_assemble_to() {
    let host = Host::new();
    let script = guest_folder().join("build.sh");
    let status = Command::new("sh")
        .arg(&script)
        .arg(host.folder())
        .status()
        .unwrap();
    assert!(status.success(), "{}: {status}", script.display());
    for name in [
        "guest.img",
        "rom-poweroff.bin",
        "rom-panic.bin",
        "rom-reset.bin",
    ] {
        let built = fs::read(host.folder().join(name)).unwrap();
        assert_eq!(
            built,
            fs::read(guest_folder().join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(
        fs::read(guest_folder().join("guest.img")).unwrap().len(),
        512
    );
}
