//! That an image is at its place whole or not at all, and nobody else's is touched.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;
use crate::domain::{Timestamp, Uuid};
use crate::store::save_image::samples::{Folder, image, write_image};

fn owner(image: &SaveImage) -> Owner<'_> {
    Owner {
        name: &image.name,
        run: image.run,
        began: image.saved_at,
    }
}

fn put(path: &Path) -> Result<()> {
    put_in_place(path, &owner(&image())).map(drop)
}

fn drop_part(path: &Path) {
    discard(path, &owner(&image())).unwrap();
}

#[test]
fn an_image_is_put_in_place_once_or_again() {
    let folder = Folder::new();
    let path = folder.path("image");
    fs::write(&path, "old").unwrap();
    write_image(&path, &image(), b"stream");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    for _ in 0..3 {
        put(&path).unwrap();
        assert!(!part_of(&path).exists());
        assert_eq!(OpenImage::open(&path).unwrap().image, image());
    }
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_not_sealed_or_not_ours_is_not_put_in_place() {
    let folder = Folder::new();
    let path = folder.path("image");
    let missing = "No such file or directory (os error 2)";
    assert_eq!(put(&path).unwrap_err().to_string(), missing);
    fs::write(&path, "old").unwrap();
    let foreign = "it is not a save image";
    assert_eq!(put(&path).unwrap_err().to_string(), foreign);
    let mut new = NewImage::create(&path, &image()).unwrap();
    let unfinished = "it was not written to its end";
    assert_eq!(put(&path).unwrap_err().to_string(), unfinished);
    let empty = new.seal().unwrap_err();
    assert_eq!(empty.to_string(), "there is no stream");
    new.file().write_all(b"stream").unwrap();
    new.seal().unwrap();
    let found = "it is the image of run 7 of 'web', saved at 2026-11-23T03:00:00.000001Z";
    let image = image();
    let ours = owner(&image);
    let others = [
        Owner { run: 8, ..ours },
        // Undefined and defined anew, it is of the same name and number.
        Owner {
            began: Timestamp(5),
            ..ours
        },
    ];
    for other in &others {
        let error = put_in_place(&path, other).unwrap_err();
        assert_eq!(error.to_string(), found);
        discard(&path, other).unwrap();
        assert!(part_of(&path).exists());
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    put(&path).unwrap();
    // The place is taken by a later save, so it was not this one that was done before.
    let other = put_in_place(&path, &others[1]).unwrap_err();
    assert_eq!(other.to_string(), found);
}

#[test]
fn what_is_discarded_leaves_the_old_file_as_it_was() {
    let folder = Folder::new();
    let path = folder.path("image");
    drop_part(&path);
    fs::write(&path, "old").unwrap();
    drop_part(&path);
    let new = NewImage::create(&path, &image()).unwrap();
    new.file().write_all(b"half").unwrap();
    drop_part(&path);
    assert!(!part_of(&path).exists());
    write_image(&path, &image(), b"stream");
    drop_part(&path);
    assert!(!part_of(&path).exists());
    // Killed before the first header was there, or in the middle of it.
    for begun in [&b""[..], b"domstate save", b"domstate save image\n{\"de"] {
        fs::write(part_of(&path), begun).unwrap();
        drop_part(&path);
        assert!(!part_of(&path).exists());
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn what_another_save_has_left_is_not_touched() {
    let folder = Folder::new();
    let path = folder.path("image");
    let other = SaveImage { run: 8, ..image() };
    write_image(&path, &other, b"stream");
    let error = NewImage::create(&path, &image()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    drop_part(&path);
    let left = OpenImage::open(&part_of(&path)).unwrap();
    assert_eq!(left.image, other);
    fs::remove_file(part_of(&path)).unwrap();
    // One that is half written is of no use to its own domain, which makes one image at a time.
    drop(NewImage::create(&path, &other).unwrap());
    drop(NewImage::create(&path, &image()).unwrap());
    let mut stranger = image();
    stranger.definition.uuid = Uuid::from_random([7; 16]);
    let error = NewImage::create(&path, &stranger).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let newer = "domstate save image\n{\"format\":3}\n";
    fs::write(part_of(&path), newer).unwrap();
    drop_part(&path);
    assert_eq!(fs::read_to_string(part_of(&path)).unwrap(), newer);
}

#[test]
fn a_folder_or_a_fifo_is_no_place() {
    let folder = Folder::new();
    mkfifo(&folder.path("fifo"), Mode::S_IRWXU).unwrap();
    for (name, words) in [
        ("fifo", "it is no regular file"),
        (".", "Is a directory (os error 21)"),
        ("/dev/null", "it is no regular file"),
    ] {
        let path = folder.path(name);
        let place = place_of(&path).unwrap_err();
        let created = NewImage::create(&path, &image()).unwrap_err();
        assert_eq!([place.to_string(), created.to_string()], [words, words]);
    }
    for name in ["none/image", "none/..", "fifo/image"] {
        assert!(place_of(&folder.path(name)).is_err(), "{name}");
    }
}

#[test]
fn a_link_is_written_through() {
    let folder = Folder::new();
    fs::create_dir(folder.path("disk")).unwrap();
    let (link, target) = (folder.path("link"), folder.path("disk/image"));
    symlink("disk/image", &link).unwrap();
    let nowhere = place_of(&link).unwrap_err();
    assert_eq!(nowhere.to_string(), "it is a link that leads nowhere");
    fs::write(&target, "old").unwrap();
    let place = place_of(&link).unwrap();
    assert_eq!(place, target);
    write_image(&place, &image(), b"stream");
    assert!(part_of(&target).exists());
    put(&place).unwrap();
    assert!(link.is_symlink());
    assert_eq!(OpenImage::open(&link).unwrap().image, image());
    // Whoever does not ask for the place is told, and the link stays.
    let error = NewImage::create(&link, &image()).unwrap_err();
    assert_eq!(error.to_string(), "it is no regular file");
}

#[test]
fn a_place_is_absolute() {
    let folder = Folder::new();
    symlink(".", folder.path("here")).unwrap();
    let place = place_of(&folder.path("here/here/new image")).unwrap();
    assert_eq!(place, folder.path("new image"));
    let place = place_of(Path::new("surely-not-there")).unwrap();
    assert_eq!(
        place,
        fs::canonicalize(".").unwrap().join("surely-not-there")
    );
}
