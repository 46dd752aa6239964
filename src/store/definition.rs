//! The definition of a domain: what `start` runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::durable::{FORMAT, read_json, write_durably, write_lightly};
use super::paths::{RunFolder, may_exist};
use crate::domain::{OnCrash, OnPoweroff, OnReboot, Policies, Uuid};
use crate::journal::{os_from_json, os_to_json};

/// What `define` keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub uuid: Uuid,
    /// QEMU's command line as the user gave it; the first is the program. Never empty.
    pub argv: Vec<OsString>,
    /// Absolute path of the folder that QEMU is started in.
    pub workdir: PathBuf,
    pub policies: Policies,
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

    /// Reads what `run` was started from.
    ///
    /// # Errors
    /// As [`Self::load`] has them; or the run is of a domstate that did not keep it yet. The domain's own definition may be
    /// another by now, so it does not stand in for it.
    pub fn of_run(run: &RunFolder) -> Result<Self> {
        let path = run.definition();
        if !may_exist(&path) {
            bail!(
                "an older domstate started the domain, and did not keep by what: {} is missing",
                path.display()
            );
        }
        Self::load(&path)
    }

    /// Writes it to `path`; on return it is on the disk.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        write_durably(path, format!("{:#}\n", self.to_json()).as_bytes())
    }

    /// Writes it to `path`, whole to every reader, for a run that a power cut ends anyway.
    pub(super) fn save_lightly(&self, path: &Path) -> std::io::Result<()> {
        write_lightly(path, format!("{:#}\n", self.to_json()).as_bytes())
    }

    /// The definition as its file holds it.
    pub fn to_json(&self) -> Value {
        json!({
            "format": FORMAT,
            "uuid": self.uuid.to_string(),
            "argv": self.argv.iter().map(|a| os_to_json(a)).collect::<Vec<_>>(),
            "workdir": os_to_json(self.workdir.as_os_str()),
            "on_crash": self.policies.on_crash.map(OnCrash::word),
            "on_poweroff": self.policies.on_poweroff.map(OnPoweroff::word),
            "on_reboot": self.policies.on_reboot.map(OnReboot::word),
        })
    }

    pub(super) fn from_json(value: &Value) -> Result<Self> {
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
            policies: Policies {
                on_crash: policy(value, "on_crash", OnCrash::of_word)?,
                on_poweroff: policy(value, "on_poweroff", OnPoweroff::of_word)?,
                on_reboot: policy(value, "on_reboot", OnReboot::of_word)?,
            },
        })
    }
}

/// A policy; there is none where the field is null or, as in definitions of format 1, missing.
fn policy<T>(value: &Value, name: &str, of_word: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    let word = match value.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(word) => word.as_str().unwrap_or_default(),
    };
    let unknown = || anyhow!("field '{name}': unknown word '{word}'");
    of_word(word).map(Some).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_definition_comes_back_byte_for_byte() {
        let definition = Definition {
            uuid: Uuid::from_random([7; 16]),
            argv: vec!["qemu".into(), OsString::from_vec(vec![b'a', 0xff])],
            workdir: "/tmp".into(),
            policies: Policies {
                on_crash: Some(OnCrash::CoredumpRestart),
                on_poweroff: None,
                on_reboot: Some(OnReboot::Destroy),
            },
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
            policies: Policies::default(),
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
        let mut strange = whole;
        strange["on_crash"] = json!("destory");
        let error = Definition::from_json(&strange).unwrap_err().to_string();
        assert_eq!(error, "field 'on_crash': unknown word 'destory'");
    }

    #[test]
    fn a_definition_of_format_1_has_no_policies() {
        let path = std::env::temp_dir().join(format!("domstate-format-1-{}", std::process::id()));
        let golden = include_str!("../../tests/golden/domain-1.json");
        std::fs::write(&path, golden).unwrap();
        let definition = Definition::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(definition.policies, Policies::default());
        assert_eq!(definition.argv.len(), 3);
    }
}
