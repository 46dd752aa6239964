//! The definition of a domain: what `start` runs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::durable::{FORMAT, read_json, write_durably};
use crate::domain::Uuid;

/// What `define` keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub uuid: Uuid,
    /// QEMU's command line as the user gave it; the first is the program. Never empty.
    pub argv: Vec<OsString>,
    /// Absolute path of the folder that QEMU is started in.
    pub workdir: PathBuf,
}

impl Definition {
    /// Reads the definition at `path`.
    ///
    /// # Errors
    /// With the path and the field that is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let context = || format!("{}", path.display());
        let value = read_json(path).with_context(context)?;
        Self::from_json(&value).with_context(context)
    }

    /// Writes it to `path`; on return it is on the disk.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        write_durably(path, format!("{:#}\n", self.to_json()).as_bytes())
    }

    fn to_json(&self) -> Value {
        json!({
            "format": FORMAT,
            "uuid": self.uuid.to_string(),
            "argv": self.argv.iter().map(|a| os_to_json(a)).collect::<Vec<_>>(),
            "workdir": os_to_json(self.workdir.as_os_str()),
        })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let field = |name: &'static str| {
            let missing = move || anyhow!("field '{name}' is missing");
            value.get(name).ok_or_else(missing)
        };
        let wrong = |name: &'static str| move || anyhow!("field '{name}' is not what it should be");
        let uuid = field("uuid")?.as_str().and_then(|text| text.parse().ok());
        let argv = field("argv")?.as_array().and_then(|list| {
            let argv: Option<Vec<OsString>> = list.iter().map(os_from_json).collect();
            argv.filter(|argv| !argv.is_empty())
        });
        let workdir = os_from_json(field("workdir")?).map(PathBuf::from);
        Ok(Self {
            uuid: uuid.ok_or_else(wrong("uuid"))?,
            argv: argv.ok_or_else(wrong("argv"))?,
            workdir: workdir.ok_or_else(wrong("workdir"))?,
        })
    }
}

/// Text as a JSON string; bytes that are no UTF-8, which Linux allows in arguments and paths, as a list of them.
fn os_to_json(text: &OsStr) -> Value {
    match text.to_str() {
        Some(text) => json!(text),
        None => json!(text.as_bytes()),
    }
}

fn os_from_json(value: &Value) -> Option<OsString> {
    if let Some(text) = value.as_str() {
        return Some(OsString::from(text));
    }
    let byte = |v: &Value| v.as_u64().and_then(|n| u8::try_from(n).ok());
    let bytes: Option<Vec<u8>> = value.as_array()?.iter().map(byte).collect();
    bytes.map(OsString::from_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_comes_back_byte_for_byte() {
        let definition = Definition {
            uuid: Uuid::from_random([7; 16]),
            argv: vec!["qemu".into(), OsString::from_vec(vec![b'a', 0xff])],
            workdir: "/tmp".into(),
        };
        let back = Definition::from_json(&definition.to_json()).unwrap();
        assert_eq!(back, definition);
    }

    #[test]
    fn a_damaged_definition_names_the_field() {
        let whole = Definition {
            uuid: Uuid::from_random([7; 16]),
            argv: vec!["qemu".into()],
            workdir: "/".into(),
        }
        .to_json();
        for key in ["uuid", "argv", "workdir"] {
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(key);
            let error = Definition::from_json(&cut).unwrap_err().to_string();
            assert_eq!(error, format!("field '{key}' is missing"));
            cut[key] = json!([]);
            if key != "workdir" {
                assert!(Definition::from_json(&cut).is_err(), "{key}");
            }
        }
    }
}
