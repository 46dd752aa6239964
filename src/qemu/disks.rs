//! The disks that a guest can write to, as QEMU lists them (`query-block`), and what they hold of snapshots.
//!
//! Pure: what QEMU answered comes in as JSON.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::options::{self, Word};

/// A disk with a medium that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What a user knows it by: the drive's id, else that of its device, else its node.
    pub name: String,
    /// What commands know it by; another in each run, where the user has not named it.
    pub node: String,
    /// The block driver: `qcow2`, `raw`.
    pub format: String,
    /// The image as QEMU was given it: a path, absolute or from QEMU's working directory, or a URL.
    pub file: PathBuf,
    pub tags: Vec<DiskTag>,
}

/// An internal snapshot in a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskTag {
    pub name: String,
    pub memory: Memory,
}

/// Whether a disk holds the guest's memory along with its own content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Here,
    Elsewhere,
}

impl Disk {
    /// The internal snapshot of this name, if the disk holds one.
    pub fn tag(&self, name: &str) -> Option<&DiskTag> {
        self.tags.iter().find(|tag| tag.name == name)
    }
}

/// The disks of a `query-block` answer (7.2 to 11.1) that a snapshot has to take in.
pub fn writable_disks(block: &Value) -> Vec<Disk> {
    let devices = block.as_array().into_iter().flatten();
    devices.filter_map(writable_disk).collect()
}

fn writable_disk(device: &Value) -> Option<Disk> {
    let inserted = device.get("inserted")?;
    if inserted.get("ro")?.as_bool()? {
        return None;
    }
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let image = inserted.get("image")?;
    let node = word(inserted, "node-name")?;
    let known_by = ["device", "qdev"].map(|key| word(device, key).filter(|id| !id.is_empty()));
    let tags = image.get("snapshots").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(|tag| {
        let size = tag.get("vm-state-size").and_then(Value::as_u64);
        Some(DiskTag {
            name: word(tag, "name")?,
            memory: match size {
                None | Some(0) => Memory::Elsewhere,
                Some(_) => Memory::Here,
            },
        })
    });
    Some(Disk {
        name: known_by
            .into_iter()
            .flatten()
            .next()
            .unwrap_or_else(|| node.clone()),
        format: word(inserted, "drv")?,
        file: file_of(&word(image, "filename")?),
        tags: tags.collect(),
        node,
    })
}

/// The image of a file name that QEMU has put together: where options go with it, a JSON object behind `json:`.
fn file_of(name: &str) -> PathBuf {
    let described = name
        .strip_prefix("json:")
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut node = described.as_ref();
    while let Some(described) = node {
        if let Some(file) = described.get("filename").and_then(Value::as_str) {
            return file.into();
        }
        node = described.get("file");
    }
    name.into()
}

/// Whether the file's name is no path: a protocol of QEMU's comes before any slash.
pub fn is_url(file: &Path) -> bool {
    let name = file.as_os_str().as_encoded_bytes();
    let end = name.iter().find(|byte| matches!(byte, b':' | b'/'));
    end == Some(&b':')
}

/// The option by which QEMU writes into files of its own that go with it, if there is one: `-snapshot`, or `snapshot=on`
/// of a drive.
pub fn throwaway_option(argv: &[OsString]) -> Option<&'static str> {
    options::words(argv)
        .into_iter()
        .find_map(|word| match word {
            Word::Plain(word) if options::name(word) == Some(b"snapshot") => Some("-snapshot"),
            Word::Valued { option, value } if options::name(option) == Some(b"drive") => {
                let is_on = |part: &[u8]| {
                    let on: [&[u8]; 5] = [
                        b"snapshot=on",
                        b"snapshot=yes",
                        b"snapshot=true",
                        b"snapshot=y",
                        b"snapshot",
                    ];
                    on.contains(&part)
                };
                let is_throwaway = value.split(|byte| *byte == b',').any(is_on);
                is_throwaway.then_some("snapshot=on")
            }
            Word::Plain(_) | Word::Valued { .. } | Word::Unfinished(_) => None,
        })
}

/// What is added to a command line without another beginning: the guest is loaded from the snapshot of this name.
pub fn snapshot_words(tag: &str) -> [OsString; 2] {
    ["-loadvm".into(), tag.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_takes_in_what_can_be_written_to() {
        let block = serde_json::json!([
            {"device": "floppy0", "inserted": {"ro": true, "drv": "raw", "node-name": "f",
                "image": {"filename": "/f"}}},
            {"device": "cd0", "removable": true},
            {"device": "", "qdev": "/machine/x", "inserted": {"ro": false, "drv": "qcow2", "node-name": "n",
                "image": {"filename": "/a", "snapshots": [
                    {"name": "s1", "vm-state-size": 600}, {"name": "s2", "vm-state-size": 0}]}}},
            {"device": "", "inserted": {"ro": false, "drv": "raw", "node-name": "m", "image": {"filename": "/b"}}},
        ]);
        let disks = writable_disks(&block);
        let names: Vec<_> = disks
            .iter()
            .map(|d| (d.name.as_str(), d.node.as_str()))
            .collect();
        assert_eq!(names, [("/machine/x", "n"), ("m", "m")]);
        assert_eq!(disks[0].tag("s1").unwrap().memory, Memory::Here);
        assert_eq!(disks[0].tag("s2").unwrap().memory, Memory::Elsewhere);
        assert_eq!(disks[0].tag("s3"), None);
        assert_eq!((disks[1].format.as_str(), disks[1].tags.len()), ("raw", 0));
        assert!(writable_disks(&Value::Null).is_empty());
    }

    #[test]
    fn a_disk_is_a_path_or_a_url_however_qemu_calls_it() {
        let described = r#"json:{"backing": {"driver": "qcow2", "file": {"driver": "file", "filename": "/a"}},
            "driver": "qcow2", "file": {"driver": "file", "filename": "/b"}}"#;
        for (name, file, url) in [
            ("/a:b", "/a:b", false),
            ("a.qcow2", "a.qcow2", false),
            ("d/a:b", "d/a:b", false),
            (described, "/b", false),
            ("nbd://h/x", "nbd://h/x", true),
            ("json:{\"file\":1}", "json:{\"file\":1}", true),
        ] {
            assert_eq!(file_of(name), Path::new(file));
            assert_eq!(is_url(&file_of(name)), url, "{name}");
        }
    }

    #[test]
    fn what_is_thrown_away_is_told_by_its_option() {
        for (line, option) in [
            ("qemu-kvm -drive file=a", None),
            ("qemu-kvm -drive file=a,snapshot=off", None),
            ("qemu-kvm -name snapshot=on -append -snapshot", None),
            ("qemu-kvm --drive file=a,snapshot=on", Some("snapshot=on")),
            ("qemu-kvm -m 1 -snapshot", Some("-snapshot")),
            ("sudo -snapshot qemu-kvm -m 1", None),
        ] {
            let argv: Vec<OsString> = line.split(' ').map(Into::into).collect();
            assert_eq!(throwaway_option(&argv), option, "{line}");
        }
    }
}
