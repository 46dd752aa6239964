//! The guest of a story: its devices, what QEMU does by itself when it ends, what domstate is to do then.

use std::fs;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;

use crate::fault::Fault;
use crate::harness::Host;

/// What stands between domstate and QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    None,
    Execs,
    Waits,
    /// It leaves a process behind that has all that QEMU inherits, the lock too.
    Leaks,
    /// It has fail in QEMU, once, what a file beside it says.
    Breaks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    None,
    /// The first write fails; QEMU stops the guest for it.
    FailsOnce,
    /// It can hold snapshots.
    Qcow2,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) wrapper: Wrapper,
    pub(crate) disk: Disk,
    pub(crate) has_exit_device: bool,
    pub(crate) no_reboot: bool,
    pub(crate) no_shutdown: bool,
    /// QEMU's `-action panic=`.
    pub(crate) panic: Option<&'static str>,
    /// QEMU's `-action watchdog=`.
    pub(crate) watchdog: Option<&'static str>,
    pub(crate) on_crash: Option<&'static str>,
    pub(crate) on_poweroff: Option<&'static str>,
    pub(crate) paused: bool,
    /// With a memory that cannot be sent in no time.
    pub(crate) is_bulky: bool,
}

impl Machine {
    /// One that does what QEMU does of itself.
    pub(crate) fn plain() -> Self {
        Self {
            wrapper: Wrapper::None,
            disk: Disk::None,
            has_exit_device: false,
            no_reboot: false,
            no_shutdown: false,
            panic: None,
            watchdog: None,
            on_crash: None,
            on_poweroff: None,
            paused: false,
            is_bulky: false,
        }
    }

    pub(crate) fn any(rng: &mut Rng) -> Self {
        let mut machine = Self {
            has_exit_device: rng.u8(..6) == 0,
            no_reboot: rng.u8(..4) == 0,
            no_shutdown: rng.u8(..10) == 0,
            paused: rng.u8(..10) == 0,
            ..Self::plain()
        };
        let any = |rng: &mut Rng, of: &[&'static str]| Some(of[rng.usize(..of.len())]);
        machine.wrapper = match rng.u8(..20) {
            0 => Wrapper::Execs,
            1 => Wrapper::Waits,
            2 => Wrapper::Leaks,
            _ => Wrapper::None,
        };
        machine.disk = match rng.u8(..8) {
            0 => Disk::FailsOnce,
            1 => Disk::Qcow2,
            _ => Disk::None,
        };
        if rng.u8(..4) == 0 {
            machine.watchdog = any(rng, &["pause", "poweroff", "shutdown", "none", "reset"]);
        }
        // A policy and QEMU's own option contradict each other, and are refused.
        match rng.u8(..6) {
            0 => machine.panic = any(rng, &["pause", "none", "exit-failure", "shutdown"]),
            1 => {
                machine.no_reboot = false;
                machine.no_shutdown = false;
                let policies = ["destroy", "restart", "preserve", "coredump-destroy"];
                machine.on_crash = any(rng, &policies);
            }
            2 => {
                machine.no_reboot = false;
                machine.no_shutdown = false;
                machine.on_poweroff = any(rng, &["destroy", "restart"]);
            }
            _ => {}
        }
        machine
    }

    /// Has domstate do something when the guest ends.
    pub(crate) fn follow_policy(&mut self, rng: &mut Rng) {
        (self.panic, self.no_reboot, self.no_shutdown) = (None, false, false);
        let crash = ["destroy", "restart", "restart", "preserve"];
        self.on_crash = Some(crash[rng.usize(..crash.len())]);
        self.on_poweroff = (rng.bool()).then_some("restart");
    }

    /// The options of `start`.
    pub(crate) fn options(&self) -> Vec<&'static str> {
        let mut options = self.policies();
        if self.paused {
            options.push("--paused");
        }
        options
    }

    /// Those of every verb that defines it.
    pub(crate) fn policies(&self) -> Vec<&'static str> {
        let mut options = Vec::new();
        if let Some(policy) = self.on_crash {
            options.extend(["--on-crash", policy]);
        }
        if let Some(policy) = self.on_poweroff {
            options.extend(["--on-poweroff", policy]);
        }
        options
    }

    /// QEMU's command line. Its monitor of the campaign's connects to `monitor`, which must be there before QEMU is.
    pub(crate) fn argv(&self, host: &Host, domain: &str, monitor: &Path) -> Vec<String> {
        let monitor = format!("unix:{}", monitor.display());
        let mut args = vec!["-device", "pvpanic", "-qmp", &monitor];
        let actions: Vec<String> = [("panic", self.panic), ("watchdog", self.watchdog)]
            .iter()
            .filter_map(|(what, action)| Some(format!("{what}={}", (*action)?)))
            .collect();
        for action in &actions {
            args.extend(["-action", action]);
        }
        if self.watchdog.is_some() {
            args.extend(["-device", "ib700"]);
        }
        if self.has_exit_device {
            args.extend(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        }
        if self.no_reboot {
            args.push("-no-reboot");
        }
        if self.no_shutdown {
            args.push("-no-shutdown");
        }
        let image = host.folder().join("disk");
        let drive = format!(
            "driver=blkdebug,image.driver=file,image.filename={},inject-error.0.event=none,\
             inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.once=on,werror=stop,if=ide,index=0",
            image.display()
        );
        let qcow2 = format!("file={},format=qcow2,if=ide,index=0", image.display());
        match self.disk {
            Disk::None => {}
            Disk::FailsOnce => {
                let _ = fs::File::create(&image).and_then(|file| file.set_len(65536));
                args.extend(["-drive", &drive]);
            }
            Disk::Qcow2 => {
                let mut create = Command::new("qemu-img");
                create.args(["create", "-q", "-f", "qcow2"]).arg(&image);
                assert!(create.arg("1M").status().unwrap().success());
                args.extend(["-drive", &qcow2]);
            }
        }
        let bulk = format!(
            "loader,file={},addr=0x200000,force-raw=on",
            host.folder().join("bulk").display()
        );
        if self.is_bulky {
            args.extend(["-device", &bulk]);
        }
        let argv = host.argv(domain, &args);
        match self.wrapper {
            Wrapper::None => argv,
            Wrapper::Execs => behind(host, "exec \"$@\"", argv),
            Wrapper::Waits => behind(host, "\"$@\"\nexit 7", argv),
            // Its own path is on the command line of what it leaves, which is found by it when the story is over.
            Wrapper::Leaks => behind(host, "tail -f \"$0\" & exec \"$@\"", argv),
            Wrapper::Breaks => behind(host, BREAKS, argv),
        }
    }
}

/// strace is not QEMU's parent (-D). Its output, what it stops at and what it does there are a line each.
const BREAKS: &str = "line() { sed -n \"$1\"p \"$0.taken\"; }
mv \"$0.fault\" \"$0.taken\" 2>/dev/null || exec \"$@\"
exec strace -D -f -o \"$(line 1)\" -e \"$(line 2)\" -e \"$(line 3)\" \"$@\"";

/// Has this fail in the next QEMU behind [`Wrapper::Breaks`].
pub(crate) fn break_next(host: &Host, trace: &Path, fault: &Fault) {
    let path = host.folder().join("wrapper.sh.fault");
    let lines = [fault.traced(), fault.injection()];
    let text = format!("{}\n{}\n", trace.display(), lines.join("\n"));
    fs::write(path, text).unwrap();
}

fn behind(host: &Host, script: &str, argv: Vec<String>) -> Vec<String> {
    let path = host.folder().join("wrapper.sh");
    if !path.exists() {
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    }
    let mut words = vec!["sh".to_owned(), path.to_string_lossy().into_owned()];
    words.extend(argv);
    words
}
