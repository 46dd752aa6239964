//! Stories on virsh, with a libvirt of the test's own behind it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::super::harness::{Host, Said, guest_folder, qemu};
use super::devices;
use super::instance::{Instance, give};
use super::player::{Side, Teller};
use super::story::Story;

pub(super) struct Virsh {
    here: Instance,
    there: Option<Instance>,
    line: UnixListener,
    is_defined: bool,
    /// Last: what is in its folder is to be ended before.
    host: Host,
}

impl Virsh {
    pub(super) fn new(story: &Story) -> Self {
        let host = Host::new();
        let line = host.line("v");
        devices::put_no_image(host.folder());
        fs::copy(
            guest_folder().join("guest.img"),
            host.folder().join("guest.img"),
        )
        .unwrap();
        for name in ["v", "w"] {
            let path = host.folder().join(format!("{name}.xml"));
            fs::write(path, xml(name, story, host.folder())).unwrap();
        }
        give(host.folder());
        let here = Instance::start(host.folder().join("here"), Side::Here);
        let there = story
            .steps
            .iter()
            .any(|step| step.action.contains("migrate v"))
            .then(|| Instance::start(host.folder().join("there"), Side::There));
        Self {
            here,
            there,
            line,
            is_defined: false,
            host,
        }
    }

    fn instance(&self, side: Side) -> &Instance {
        match side {
            Side::Here => &self.here,
            Side::There => self.there.as_ref().expect("a story that migrates"),
        }
    }

    fn virsh(&self, side: Side, words: &[&str]) -> Said {
        self.instance(side).virsh(self.host.folder(), words)
    }

    /// Through a socket of QEMU's; `nowhere` is one that cannot be.
    fn migrate(&self, words: &[&str]) -> Said {
        let to = self.instance(Side::There).uri();
        let by = devices::way(self.host.folder(), words);
        let by = format!("unix://{}", by.display());
        let mut args = vec!["migrate", "v", &to, "--persistent", "--migrateuri", &by];
        args.extend(words[2..].iter().filter(|word| **word != "nowhere"));
        self.virsh(Side::Here, &args)
    }
}

impl Teller for Virsh {
    fn run(&mut self, side: Side, words: &[&str]) -> Said {
        let is_defined = self.is_defined;
        self.is_defined = words[0] != "undefine";
        match words {
            ["migrate", "v", ..] => return self.migrate(words),
            ["define", name] => return self.virsh(side, &["define", &format!("{name}.xml")]),
            ["start", "v", ..] if !is_defined => {
                let said = self.virsh(side, &["define", "v.xml"]);
                assert_eq!(said.code, Some(0), "{said:?}");
            }
            _ => {}
        }
        let mut said = self.virsh(side, words);
        said.stdout = without_number(&said.stdout);
        said
    }

    fn answer(&mut self, side: Side, domain: &str) -> String {
        let said = self.virsh(side, &["-q", "domstate", domain, "--reason"]);
        format!("{}{}", said.stdout, said.stderr)
            .trim_end()
            .to_owned()
    }

    fn qemu_pid(&mut self, side: Side) -> i32 {
        self.instance(side).qemu_pid("v")
    }

    fn watcher_dies(&mut self) {
        self.here.end_daemon();
    }

    fn watcher_returns(&mut self) {
        self.here.run_daemon();
    }

    fn folder(&self) -> &Path {
        self.host.folder()
    }

    fn line(&self) -> &UnixListener {
        &self.line
    }
}

/// Of a reply the number that libvirt gave its request.
fn without_number(printed: &str) -> String {
    let Some((before, after)) = printed.split_once("\"libvirt-") else {
        return printed.to_owned();
    };
    let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
    format!("{before}\"libvirt-N{after}")
}

/// The domain of a story: the devices that domstate's guests have, as libvirt writes them down.
fn xml(name: &str, story: &Story, folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let emulator = find(&qemu());
    let (image, serial) = (path("guest.img"), path("v.serial"));
    let mut xml = format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>{name}</name><memory unit='MiB'>16</memory>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os><features><acpi/></features>
"
    );
    for policy in ["on_poweroff", "on_reboot", "on_crash"] {
        if let Some(action) = story.setting(policy) {
            let _ = writeln!(xml, "<{policy}>{action}</{policy}>");
        }
    }
    let _ = writeln!(
        xml,
        "<devices><emulator>{emulator}</emulator>
<disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='{image}'/>\
         <target dev='fda' bus='fdc'/><readonly/></disk>
<controller type='usb' model='none'/><memballoon model='none'/><panic model='isa'/>
<serial type='unix'><source mode='connect' path='{serial}'/><target port='0'/></serial>"
    );
    if let Some(action) = story.setting("watchdog") {
        let _ = writeln!(xml, "<watchdog model='ib700' action='{action}'/>");
    }
    let mut qemu_args = Vec::new();
    match story.setting("disk") {
        Some("qcow2") => {
            let disk = devices::qcow2(folder);
            let _ = writeln!(
                xml,
                "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
                 <source file='{}'/><target dev='hda' bus='ide'/></disk>",
                disk.display()
            );
        }
        Some("full") => qemu_args.extend(devices::full(folder)),
        Some("missing") => qemu_args.extend(devices::missing(folder)),
        Some(disk) => panic!("disk={disk}"),
        None => {}
    }
    if story.setting("exit").is_some() {
        qemu_args.extend(devices::EXIT.map(str::to_owned));
    }
    xml.push_str("</devices>\n<qemu:commandline>\n");
    for arg in qemu_args {
        let _ = writeln!(xml, "<qemu:arg value='{arg}'/>");
    }
    xml.push_str("</qemu:commandline>\n</domain>\n");
    xml
}

/// A program's path.
fn find(program: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let folders = std::iter::once("").chain(path.split(':'));
    let mut candidates = folders.map(|folder| Path::new(folder).join(program));
    let found = candidates.find(|path| path.is_absolute() && path.is_file());
    found.expect(program).display().to_string()
}
