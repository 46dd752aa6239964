//! The user's QEMU command line: what it says that domstate must know, and how the recorder is added to it.
//!
//! Pure: no file, no process; what a file of options holds is asked of the caller. The user's words are never changed,
//! reordered or dropped, only added to. Bytes are not assumed to be UTF-8. The command may begin with a wrapper (`sudo -n`, a script), whose own
//! words are not QEMU's. The value of an option is never read as an option, whatever it looks like.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::actions::Actions;
use super::config_file::{ReadConfig, Section, sections};
use super::options::{self, Word};
use crate::domain::{Begin, Bmc, ExitDevice, LaunchKind, Uuid};

/// What ids of ours begin with.
const RESERVED: &[u8] = b"domstate-";

/// What a value holds that names a stream inherited from us, or the terminal.
const STDIO_MENTIONS: &[&[u8]] = &[
    b"stdio",
    b"/dev/stdout",
    b"/dev/stderr",
    b"/dev/tty",
    b"/dev/fd/",
    b"/proc/self/fd/",
];

/// Of the boards of these QEMUs one has a device by which a guest ends QEMU, or did so without a word: sifive_test (7.2) and that
/// of tricore_testboard.
const EXITING_BOARDS: &[&[u8]] = &[
    b"qemu-system-riscv",
    b"qemu-system-or1k",
    b"qemu-system-tricore",
];

/// QEMUs of which the default board has a watchdog that resets it without a word: pseries (7.1 to 11) and axis-dev88 (7.2,
/// `hw/timer/etraxfs_timer.c`).
const RESETTING: &[&[u8]] = &[b"qemu-system-ppc64", b"qemu-system-cris"];

/// Other boards that have one (7.2, `hw/ppc/ppc.c`).
const RESETTING_BOARDS: &[&[u8]] = &[b"ref405ep", b"taihu"];

/// What the command line says, as far as domstate's answers and doings depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// By what the guest can end QEMU with a status of its own.
    pub exit_device: ExitDevice,
    /// A debugger may attach: `-s`, `-gdb`.
    pub debugger: bool,
    /// What else may end it: a BMC (`ipmi-bmc-sim`, `ipmi-bmc-extern`, that of powernv), or nobody can tell: a file of options
    /// (`-readconfig`) cannot be read. Errs toward more.
    pub bmc: Bmc,
    /// `-S`: the user wants the guest paused.
    pub starts_paused: bool,
    pub kind: LaunchKind,
    /// The value of `-uuid`. An invalid one is left for QEMU to refuse.
    pub uuid: Option<Uuid>,
    /// QEMU may write the guest's output on our stdout, or read our stdin. Errs toward true.
    pub uses_stdio: bool,
    /// What QEMU is told to do by itself when the guest ends.
    pub actions: Actions,
}

impl Facts {
    /// What a status means that another may have given, too, stays unclear.
    fn note_exit_device(&mut self, is_there: bool) {
        if is_there && self.exit_device == ExitDevice::None {
            self.exit_device = ExitDevice::Own;
        }
    }

    fn note_machine(&mut self, value: &[u8]) {
        // It makes a BMC itself.
        if holds(value, b"powernv") {
            self.bmc = Bmc::CutsPower;
        }
        let resets = RESETTING_BOARDS.iter().any(|board| holds(value, board));
        if resets && self.bmc == Bmc::None {
            self.bmc = Bmc::Resets;
        }
    }
}

/// Why a command line cannot be run by domstate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedArgument {
    /// There is no program to run.
    Empty,
    /// The argument at this place (the program is 0) holds a NUL byte.
    Nul(usize),
    /// QEMU would go into the background by itself, as the user wrote the option.
    Daemonize(String),
    /// QEMU would answer nobody, as the user wrote the option.
    Preconfig(String),
    /// An id that belongs to domstate.
    ReservedId(String),
    /// The last word is an option that needs a value, and would swallow what domstate adds.
    ValueMissing(String),
}

impl fmt::Display for RefusedArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no QEMU command is given"),
            Self::Nul(at) => write!(f, "argument {at} of the QEMU command holds a NUL byte"),
            Self::Daemonize(option) => {
                write!(
                    f,
                    "option '{option}' is not allowed: domstate itself keeps QEMU in the background"
                )
            }
            Self::Preconfig(option) => write!(
                f,
                "option '{option}' is not allowed: QEMU would not answer before it is configured"
            ),
            Self::ReservedId(id) => {
                write!(
                    f,
                    "id '{id}' is not allowed: ids that begin with 'domstate-' belong to domstate"
                )
            }
            Self::ValueMissing(option) => write!(f, "option '{option}' lacks its value"),
        }
    }
}

impl std::error::Error for RefusedArgument {}

/// Reads the command line; argv\[0\] is the program, QEMU or a wrapper that starts it. `read` gives the files of options
/// that it names.
pub fn examine(argv: &[OsString], read: ReadConfig<'_>) -> Result<Facts, RefusedArgument> {
    if argv.is_empty() {
        return Err(RefusedArgument::Empty);
    }
    let nul = argv.iter().position(|word| word.as_bytes().contains(&0));
    if let Some(at) = nul {
        return Err(RefusedArgument::Nul(at));
    }
    let calls = |program: &[u8]| argv.iter().any(|word| holds(word.as_bytes(), program));
    let mut facts = Facts {
        exit_device: match EXITING_BOARDS.iter().any(|program| calls(program)) {
            true => ExitDevice::Unclear,
            false => ExitDevice::None,
        },
        debugger: false,
        bmc: match RESETTING.iter().any(|program| calls(program)) {
            true => Bmc::Resets,
            false => Bmc::None,
        },
        starts_paused: false,
        kind: LaunchKind::Boot,
        uuid: None,
        uses_stdio: false,
        actions: Actions::default(),
    };
    for word in options::words(argv) {
        match word {
            Word::Plain(word) => note_plain(&mut facts, word)?,
            Word::Valued { option, value } if options::name(option) == Some(b"readconfig") => {
                note_config(&mut facts, option, value, read)?;
            }
            Word::Valued { option, value } => note_valued(&mut facts, option, value)?,
            Word::Unfinished(word) => return Err(RefusedArgument::ValueMissing(shown(word))),
        }
    }
    Ok(facts)
}

/// Notes an option without a value, or a word that is no option.
fn note_plain(facts: &mut Facts, word: &[u8]) -> Result<(), RefusedArgument> {
    match options::name(word) {
        Some(b"daemonize") => return Err(RefusedArgument::Daemonize(shown(word))),
        Some(b"preconfig") => return Err(RefusedArgument::Preconfig(shown(word))),
        Some(b"S") => facts.starts_paused = true,
        Some(b"semihosting") => facts.note_exit_device(true),
        Some(b"s") => facts.debugger = true,
        Some(b"nographic" | b"curses") => facts.uses_stdio = true,
        Some(b"no-reboot") => facts.actions.note(b"reboot=shutdown", &shown(word)),
        Some(b"no-shutdown") => facts.actions.note(b"shutdown=pause", &shown(word)),
        // Perhaps the value of an option that this domstate does not know.
        _ => {
            facts.uses_stdio |= mentions_stdio(word);
            refuse_reserved_id(word)?;
        }
    }
    Ok(())
}

fn note_valued(facts: &mut Facts, option: &[u8], value: &[u8]) -> Result<(), RefusedArgument> {
    match options::name(option).unwrap_or_default() {
        // Text for the guest and for people: nothing in it names anything on the host.
        b"append" => return Ok(()),
        // `-set device.ID.driver=`.
        b"device" | b"set" => note_device(facts, value),
        b"gdb" => facts.debugger = value != b"none",
        // By a word on such a line a guest ends QEMU as by isa-debug-exit (kvm-unit-tests).
        b"chardev" | b"serial" | b"parallel" | b"monitor" | b"debugcon" => {
            facts.note_exit_device(holds(value, b"testdev"));
        }
        b"semihosting-config" => {
            let off = |part: &Vec<u8>| part == b"enable=off";
            facts.note_exit_device(!parts(value).iter().any(off));
        }
        // One may end QEMU (contrib/plugins/stoptrigger.c, 9.2).
        b"plugin" => facts.exit_device = ExitDevice::Unclear,
        b"M" | b"machine" => facts.note_machine(value),
        b"incoming" => facts.kind = LaunchKind::Incoming,
        b"loadvm" if facts.kind == LaunchKind::Boot => facts.kind = LaunchKind::Snapshot,
        b"uuid" => facts.uuid = str::from_utf8(value).ok().and_then(|v| v.parse().ok()),
        b"action" => {
            let option = format!("{} {}", shown(option), shown(value));
            note_actions(facts, value, &option);
        }
        b"display" => facts.uses_stdio |= holds(value, b"curses"),
        _ => {}
    }
    facts.uses_stdio |= mentions_stdio(value);
    refuse_reserved_id(value)
}

fn note_device(facts: &mut Facts, value: &[u8]) {
    match is_device(value, "isa-debug-exit") {
        Some(is_there) => facts.note_exit_device(is_there),
        // The status of a QEMU that failed must not be taken for the guest's own.
        None => facts.exit_device = ExitDevice::Unclear,
    }
    if is_device(value, "ipmi-bmc") != Some(false) {
        facts.bmc = Bmc::CutsPower;
    }
}

/// Whether a device is the one of this name; given as JSON it may be spelt with escapes. `None`: only QEMU can read it.
fn is_device(value: &[u8], name: &str) -> Option<bool> {
    if holds(value, name.as_bytes()) {
        return Some(true);
    }
    if !value.trim_ascii_start().starts_with(b"{") || !value.contains(&b'\\') {
        return Some(false);
    }
    let device = serde_json::from_slice::<Value>(value).ok()?;
    Some(device.get("driver")?.as_str()?.contains(name))
}

fn note_actions(facts: &mut Facts, value: &[u8], option: &str) {
    for pair in parts(value) {
        facts.actions.note(&pair, option);
    }
}

/// Notes what stands in a file of options, at its place among them. Of a file that cannot be read QEMU may know more
/// (one that a wrapper puts there, a descriptor): what may be in it must not be told as the guest's own doing.
fn note_config(
    facts: &mut Facts,
    option: &[u8],
    file: &[u8],
    read: ReadConfig<'_>,
) -> Result<(), RefusedArgument> {
    let text = read(Path::new(OsStr::from_bytes(file)));
    let Some(sections) = text.and_then(|text| sections(&text)) else {
        facts.bmc = Bmc::CutsPower;
        facts.exit_device = ExitDevice::Unclear;
        facts.uses_stdio = true;
        return Ok(());
    };
    let option = format!("{} {}", shown(option), shown(file));
    for Section { group, value } in sections {
        // Those of QEMU's groups that matter and that it heeds there: it does not enable semihosting in a file.
        match group.as_slice() {
            b"device" => note_device(facts, &value),
            b"machine" => facts.note_machine(&value),
            b"chardev" => facts.note_exit_device(holds(&value, b"testdev")),
            b"action" => note_actions(facts, &value, &option),
            _ => {}
        }
        facts.uses_stdio |= mentions_stdio(&value);
        refuse_reserved_id(&value)?;
    }
    Ok(())
}

fn mentions_stdio(value: &[u8]) -> bool {
    STDIO_MENTIONS.iter().any(|mention| holds(value, mention))
}

fn refuse_reserved_id(value: &[u8]) -> Result<(), RefusedArgument> {
    let id = if value.starts_with(b"{") {
        reserved_in_json(value)
    } else {
        parts(value).into_iter().find_map(|part| {
            let id = part.strip_prefix(b"id=")?;
            id.starts_with(RESERVED).then(|| shown(id))
        })
    };
    id.map_or(Ok(()), |id| Err(RefusedArgument::ReservedId(id)))
}

fn reserved_in_json(value: &[u8]) -> Option<String> {
    let id = match serde_json::from_slice::<Value>(value) {
        Ok(object) => object.get("id")?.as_str()?.to_owned(),
        // QEMU's JSON has strings in single quotes too, which is no JSON to others.
        Err(_) if holds(value, b"'domstate-") || holds(value, b"\"domstate-") => {
            "domstate-".to_owned()
        }
        Err(_) => return None,
    };
    id.as_bytes()
        .starts_with(RESERVED)
        .then(|| shown(id.as_bytes()))
}

fn holds(value: &[u8], what: &[u8]) -> bool {
    value.windows(what.len()).any(|window| window == what)
}

/// The comma-separated parts of a value; a doubled comma stands for one that separates nothing.
fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b',' || bytes.next_if_eq(&b',').is_some() {
            part.push(byte);
        } else {
            parts.push(std::mem::take(&mut part));
        }
    }
    parts.push(part);
    parts
}

/// A word as it can stand in a message: on one line, without control characters.
fn shown(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    text.chars().flat_map(char::escape_debug).collect()
}

/// Where QEMU finds what the recorder needs, as QEMU itself can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderPaths {
    /// The run's folder: `recorder.in`, `recorder.out` and `journal` lie in it.
    pub run: PathBuf,
    /// The control socket that QEMU binds; at most 107 bytes.
    pub socket: PathBuf,
}

/// Adds the recorder and the control socket to a command line that [`examine`] let pass. What else is to be added
/// (actions, `-incoming`) is added before: the `-S` of the recorder stays the last word.
///
/// `-S` given twice is the same as once; `-qmp chardev:ID` works on 7.2 and draws no warning on 11.1.
pub fn with_recorder(argv: &[OsString], paths: &RecorderPaths) -> Vec<OsString> {
    let recorder = [
        "pipe,id=domstate-recorder,path=".into(),
        escaped(&paths.run.join("recorder")),
        ",logfile=".into(),
        escaped(&paths.run.join("journal")),
        ",logappend=on".into(),
    ];
    let control = [
        "socket,id=domstate-control,path=".into(),
        escaped(&paths.socket),
        ",server=on,wait=off".into(),
    ];
    // `-S` is last: should the user's last word be an option unknown to us that lacks its value, it swallows
    // a `-chardev` and QEMU refuses the rest, where a swallowed `-S` would start the guest unrecorded.
    let added = [
        "-chardev".into(),
        recorder.into_iter().collect(),
        "-qmp".into(),
        "chardev:domstate-recorder".into(),
        "-chardev".into(),
        control.into_iter().collect(),
        "-qmp".into(),
        "chardev:domstate-control".into(),
        "-S".into(),
    ];
    argv.iter().cloned().chain(added).collect()
}

/// The path as it stands in the value of an option: commas doubled.
fn escaped(path: &Path) -> OsString {
    let mut bytes = Vec::new();
    for &byte in OsStr::as_bytes(path.as_os_str()) {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(byte);
        }
    }
    OsString::from_vec(bytes)
}

/// What `recorder.in` holds: the commands that QEMU reads at its start, one a line. With `incoming`, the guest comes from
/// there: QEMU listens before it tells its status, so that one who waits for that knows it does.
pub fn recorder_commands(begin: Begin, incoming: Option<&str>) -> String {
    let capability = |name: &str| {
        json!({"execute": "migrate-set-capabilities", "arguments": {
            "capabilities": [{"capability": name, "state": true}],
        }})
    };
    let mut commands = vec![json!({"execute": "qmp_capabilities"}), capability("events")];
    if let Some(uri) = incoming {
        // Where the host has no userfaultfd it is refused, and the source cannot hand over: no harm.
        commands.push(capability("postcopy-ram"));
        let arguments = json!({"uri": uri});
        commands.push(
            json!({"execute": "migrate-incoming", "id": "domstate-cont", "arguments": arguments}),
        );
    }
    commands.push(json!({"execute": "query-status", "id": "domstate-status"}));
    if begin == Begin::Running {
        commands.push(json!({"execute": "cont", "id": "domstate-cont"}));
    }
    let lines = commands.iter().map(|command| format!("{command}\n"));
    lines.collect()
}

#[cfg(test)]
#[path = "argv_tests.rs"]
mod tests;
