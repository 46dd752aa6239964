//! What the tests of images are made with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::SaveImage;
use crate::domain::{Begin, Timestamp};
use crate::store::definition::Definition;
use crate::store::new_image::NewImage;

/// A folder that goes with the test.
pub(in crate::store) struct Folder(PathBuf);

impl Folder {
    pub(in crate::store) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("domstate-image-{}-{count}", std::process::id());
        let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in crate::store) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Run 7 of `web`.
pub(in crate::store) fn image() -> SaveImage {
    let definition = json!({
        "format": 1,
        "uuid": "c7a5fdbd-cdaf-4455-926a-d65c16db1809",
        "argv": ["qemu", "a\nb\",\"digest\":7}", [97, 0xff, 10]],
        "workdir": [47, 0xfe],
    });
    SaveImage {
        name: "web".parse().unwrap(),
        run: 7,
        saved_at: Timestamp(1_795_402_800_000_001),
        begin: Begin::Running,
        may_have_panicked: false,
        definition: Definition::from_json(&definition).unwrap(),
    }
}

/// Writes an image up to its seal.
pub(in crate::store) fn write_image(place: &Path, image: &SaveImage, stream: &[u8]) {
    let mut new = NewImage::create(place, image).unwrap();
    new.file().write_all(stream).unwrap();
    new.seal().unwrap();
}
