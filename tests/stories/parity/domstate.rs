//! Stories on domstate.

use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::signal::Signal;

use super::super::harness::{Host, Said, finish, is_alive, send, until};
use super::devices;
use super::player::{Side, Teller};
use super::story::Story;

pub(super) struct Domstate {
    here: Host,
    there: Host,
    line: UnixListener,
    /// For QEMU, and how domstate is to treat the domain.
    argv: Vec<String>,
    policies: Vec<String>,
    is_defined: bool,
    /// Of the QEMU that nobody watches: to ask domstate would bring a supervisor about.
    unwatched: Option<i32>,
}

impl Domstate {
    pub(super) fn new(story: &Story) -> Self {
        let (here, there) = (Host::new(), Host::new());
        let line = here.line("v");
        devices::put_no_image(here.folder());
        let mut qemu = vec!["-device".to_owned(), "pvpanic".to_owned()];
        if let Some(action) = story.setting("watchdog") {
            qemu.extend(["-device", "ib700", "-action"].map(str::to_owned));
            qemu.push(format!("watchdog={action}"));
        }
        match story.setting("disk") {
            Some("full") => qemu.extend(devices::full(here.folder())),
            Some("missing") => qemu.extend(devices::missing(here.folder())),
            Some("qcow2") => {
                let path = devices::qcow2(here.folder());
                qemu.extend(["-drive".to_owned(), devices::drive("qcow2", &path)]);
            }
            Some(disk) => panic!("disk={disk}"),
            None => {}
        }
        if story.setting("exit").is_some() {
            qemu.extend(devices::EXIT.map(str::to_owned));
        }
        let mut policies = Vec::new();
        for policy in ["on_crash", "on_poweroff", "on_reboot"] {
            if let Some(action) = story.setting(policy) {
                policies.push(format!("--{}", policy.replace('_', "-")));
                policies.push(action.to_owned());
            }
        }
        let qemu: Vec<&str> = qemu.iter().map(String::as_str).collect();
        Self {
            argv: here.argv("v", &qemu),
            here,
            there,
            line,
            policies,
            is_defined: false,
            unwatched: None,
        }
    }

    fn host(&self, side: Side) -> &Host {
        match side {
            Side::Here => &self.here,
            Side::There => &self.there,
        }
    }

    fn domstate(&self, side: Side, words: &[&str]) -> Said {
        let mut command = self.host(side).command(words);
        command.current_dir(self.here.folder());
        finish(command)
    }

    /// With what the domain is defined by.
    fn defining(&self, side: Side, words: &[&str]) -> Said {
        let mut words = words.to_vec();
        words.extend(self.policies.iter().map(String::as_str));
        words.push("--");
        words.extend(self.argv.iter().map(String::as_str));
        self.domstate(side, &words)
    }

    /// The destination is started first: with virsh that is part of `migrate`, and every migration is `--live`.
    fn migrate(&self, words: &[&str]) -> Said {
        let way = devices::way(self.here.folder(), words);
        let uri = format!("unix:{}", way.display());
        if !words.contains(&"nowhere") {
            self.defining(Side::There, &["start", "v", "--incoming", &uri]);
        }
        let mut args = vec!["migrate", "v", &uri];
        let words = words[2..].iter();
        args.extend(words.filter(|word| !["nowhere", "--live"].contains(word)));
        self.domstate(Side::Here, &args)
    }
}

impl Teller for Domstate {
    fn run(&mut self, side: Side, words: &[&str]) -> Said {
        match words {
            ["migrate", "v", ..] => self.migrate(words),
            ["define", name] => {
                self.is_defined |= *name == "v";
                self.defining(side, words)
            }
            ["start", "v", ..] if !self.is_defined => {
                self.is_defined = true;
                self.defining(side, words)
            }
            ["undefine", ..] => {
                self.is_defined = false;
                self.domstate(side, words)
            }
            _ => self.domstate(side, words),
        }
    }

    fn answer(&mut self, side: Side, domain: &str) -> String {
        let said = self.domstate(side, &["--reason", domain]);
        format!("{}{}", said.stdout, said.stderr)
            .trim_end()
            .to_owned()
    }

    fn qemu_pid(&mut self, side: Side) -> i32 {
        self.unwatched
            .unwrap_or_else(|| self.host(side).qemu_pid("v"))
    }

    fn watcher_dies(&mut self) {
        self.unwatched = self
            .domstate(Side::Here, &["domid", "v"])
            .stdout
            .trim()
            .parse()
            .ok();
        if let Some(pid) = self.here.noted_supervisor("v") {
            send(pid, Signal::SIGKILL);
            until("the supervisor's death", || !is_alive(pid));
        }
    }

    /// The next command brings one about.
    fn watcher_returns(&mut self) {
        self.unwatched = None;
    }

    fn folder(&self) -> &Path {
        self.here.folder()
    }

    fn line(&self) -> &UnixListener {
        &self.line
    }
}
