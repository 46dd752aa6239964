//! What a run was started with, as the journal has it, and as a checkpoint has it.

use serde_json::{Map, Value, json};

use super::encode::begin_word;
use super::parse::{actor_from_json, begin, owned, text, unsigned};
use crate::domain::{
    Actor, Bmc, BootId, ExitDevice, FileId, Launch, LaunchKind, Lifecycle, OnCrash, OnPoweroff,
    OnReboot, Timestamp,
};

/// What every checkpoint holds goes into lists: a quarter of what a query costs is reading keys.
const LAUNCH_KEYS: [&str; 19] = [
    "run",
    "kind",
    "begin",
    "boot",
    "pid_namespace",
    "exit_device",
    "uid",
    "pid",
    "command",
    "on_crash",
    "on_poweroff",
    "on_reboot",
    "debugger",
    "bmc",
    "journal_device",
    "journal_inode",
    "journal_born",
    BMC_RESETS,
    MAY_HAVE_PANICKED,
];

/// Where in the list they stand that not every domstate has written.
const BMC_RESETS_AT: usize = 17;
const MAY_HAVE_PANICKED_AT: usize = 18;

/// A watchdog of the board is all that there is of one.
const BMC_RESETS: &str = "bmc_resets";

/// Its guest comes from a file or a snapshot, and it is not known whether it had panicked.
const MAY_HAVE_PANICKED: &str = "may_have_panicked";

pub(super) fn launch_to_list(launch: &Launch) -> Value {
    let fields = launch_to_json(launch);
    json!(LAUNCH_KEYS.map(|key| fields.get(key).cloned()))
}

pub(super) fn launch_from_list(value: &Value) -> Option<Launch> {
    let list = value.as_array()?;
    let mut field = list.iter();
    let mut number = || field.next()?.as_u64();
    let run = u32::try_from(number()?).ok()?;
    let mut word = || field.next()?.as_str();
    Some(Launch {
        run,
        kind: launch_kind(word()?)?,
        begin: begin(word()?)?,
        boot: BootId(word()?.to_owned()),
        pid_namespace: field.next()?.as_u64()?,
        exit_device: exit_device_from_json(field.next()?)?,
        actor: Actor {
            uid: u32::try_from(field.next()?.as_u64()?).ok()?,
            pid: u32::try_from(field.next()?.as_u64()?).ok()?,
            command: field.next()?.as_str()?.to_owned(),
        },
        lifecycle: lifecycle_from(&mut |_| field.next())?,
        // Older ones end here.
        debugger: is(field.next()),
        bmc: bmc_from_json(field.next(), list.get(BMC_RESETS_AT)),
        may_have_panicked: is(list.get(MAY_HAVE_PANICKED_AT)),
        journal: file_id(&mut |_| field.next()),
    })
}

pub(super) fn launch_to_json(launch: &Launch) -> Value {
    let mut fields = json!({
        "run": launch.run,
        "kind": match launch.kind {
            LaunchKind::Boot => "boot",
            LaunchKind::Incoming => "incoming",
            LaunchKind::Snapshot => "snapshot",
            LaunchKind::Restore => "restore",
        },
        "begin": begin_word(launch.begin),
        "boot": launch.boot.0,
        "pid_namespace": launch.pid_namespace,
        "exit_device": exit_device_to_json(launch.exit_device),
        "debugger": launch.debugger,
        // An older domstate is to doubt more, not less.
        "bmc": launch.bmc != Bmc::None,
        "uid": launch.actor.uid,
        "pid": launch.actor.pid,
        "command": launch.actor.command,
        "on_crash": launch.lifecycle.on_crash.word(),
        "on_poweroff": launch.lifecycle.on_poweroff.word(),
        "on_reboot": launch.lifecycle.on_reboot.word(),
    });
    if let Some(fields) = fields.as_object_mut().filter(|_| launch.bmc == Bmc::Resets) {
        fields.insert(BMC_RESETS.to_owned(), json!(true));
    }
    if let Some(fields) = fields.as_object_mut().filter(|_| launch.may_have_panicked) {
        fields.insert(MAY_HAVE_PANICKED.to_owned(), json!(true));
    }
    if let (Some(fields), Some(journal)) = (fields.as_object_mut(), launch.journal) {
        fields.insert("journal_device".to_owned(), json!(journal.device));
        fields.insert("journal_inode".to_owned(), json!(journal.inode));
        fields.insert("journal_born".to_owned(), json!(journal.born.0));
    }
    fields
}

pub(super) fn launch_from_json(data: &Map<String, Value>) -> Option<Launch> {
    Some(Launch {
        run: unsigned(data, "run")?,
        kind: launch_kind(text(data, "kind")?)?,
        begin: begin(text(data, "begin")?)?,
        boot: BootId(owned(data, "boot")?),
        pid_namespace: data.get("pid_namespace")?.as_u64()?,
        exit_device: exit_device_from_json(data.get("exit_device")?)?,
        // A run that was started before domstate looked for them is believed as it was then.
        debugger: is(data.get("debugger")),
        bmc: bmc_from_json(data.get("bmc"), data.get(BMC_RESETS)),
        may_have_panicked: is(data.get(MAY_HAVE_PANICKED)),
        journal: file_id(&mut |key| data.get(key)),
        lifecycle: lifecycle_from(&mut |key| data.get(key))?,
        actor: actor_from_json(data)?,
    })
}

fn exit_device_to_json(device: ExitDevice) -> Value {
    match device {
        ExitDevice::None => json!(false),
        ExitDevice::Own => json!(true),
        ExitDevice::Unclear => json!("unclear"),
    }
}

fn exit_device_from_json(value: &Value) -> Option<ExitDevice> {
    match (value.as_bool(), value.as_str()) {
        (Some(false), _) => Some(ExitDevice::None),
        (Some(true), _) => Some(ExitDevice::Own),
        (None, Some("unclear")) => Some(ExitDevice::Unclear),
        (None, _) => None,
    }
}

/// Of a run that was started before domstate looked for one it is not known.
fn bmc_from_json(is_there: Option<&Value>, resets: Option<&Value>) -> Bmc {
    match (is(is_there), is(resets)) {
        (false, _) => Bmc::None,
        (true, true) => Bmc::Resets,
        (true, false) => Bmc::CutsPower,
    }
}

fn is(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool) == Some(true)
}

fn launch_kind(word: &str) -> Option<LaunchKind> {
    match word {
        "boot" => Some(LaunchKind::Boot),
        "incoming" => Some(LaunchKind::Incoming),
        "snapshot" => Some(LaunchKind::Snapshot),
        "restore" => Some(LaunchKind::Restore),
        _ => None,
    }
}

/// What an older domstate has not written is not known.
fn file_id<'a>(field: &mut impl FnMut(&'static str) -> Option<&'a Value>) -> Option<FileId> {
    Some(FileId {
        device: field("journal_device")?.as_u64()?,
        inode: field("journal_inode")?.as_u64()?,
        born: Timestamp(field("journal_born")?.as_u64()?),
    })
}

/// What holds for a run. One that was started before domstate knew of policies has the defaults.
fn lifecycle_from<'a>(
    field: &mut impl FnMut(&'static str) -> Option<&'a Value>,
) -> Option<Lifecycle> {
    let mut lifecycle = Lifecycle::default();
    if let Some(word) = field("on_crash") {
        lifecycle.on_crash = OnCrash::of_word(word.as_str()?)?;
    }
    if let Some(word) = field("on_poweroff") {
        lifecycle.on_poweroff = OnPoweroff::of_word(word.as_str()?)?;
    }
    if let Some(word) = field("on_reboot") {
        lifecycle.on_reboot = OnReboot::of_word(word.as_str()?)?;
    }
    Some(lifecycle)
}
