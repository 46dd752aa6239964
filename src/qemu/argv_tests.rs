//! The command line tables: what is refused, what is noted, what is left alone, and what is added.

use super::*;
use crate::qemu::{AtPanic, AtReboot, AtShutdown};

fn argv(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn facts(words: &[&str]) -> Facts {
    let mut all = vec!["qemu-system-x86_64"];
    all.extend(words);
    examine(&argv(&all)).unwrap()
}

/// Reads a command line that names no file.
fn examine(argv: &[OsString]) -> Result<Facts, RefusedArgument> {
    super::examine(argv, &|file| panic!("reads {}", file.display()))
}

/// The same with `-readconfig` of a file that holds this, at the end.
fn facts_with(words: &[&str], text: Option<&str>) -> Result<Facts, RefusedArgument> {
    let all = [&["qemu-kvm"], words, &["-readconfig", "a.cfg"]].concat();
    super::examine(&argv(&all), &|file| {
        assert_eq!(file, Path::new("a.cfg"));
        text.map(|text| text.as_bytes().to_vec())
    })
}

const UUID: &str = "c7a5fdbd-cdaf-9455-926a-d65c16db1809";

#[test]
fn what_domstate_cannot_run_is_refused_in_one_clear_line() {
    let table: &[(&[&str], &str)] = &[
        (&[], "no QEMU command is given"),
        (
            &["q", "a\0b"],
            "argument 1 of the QEMU command holds a NUL byte",
        ),
        (
            &["q", "-m", "1", "-daemonize"],
            "option '-daemonize' is not allowed: domstate itself keeps QEMU in the background",
        ),
        (
            &["sudo", "-n", "qemu-kvm", "--daemonize"],
            "option '--daemonize' is not allowed: domstate itself keeps QEMU in the background",
        ),
        (
            &["./vm.sh", "--verbose", "--preconfig"],
            "option '--preconfig' is not allowed: QEMU would not answer before it is configured",
        ),
        (
            &["q", "-chardev", "null,id=domstate-recorder"],
            "id 'domstate-recorder' is not allowed: ids that begin with 'domstate-' belong to domstate",
        ),
        (
            &["q", "-device", r#"{"driver":"x","id":"domstate-\u001b"}"#],
            "id 'domstate-\\u{1b}' is not allowed: ids that begin with 'domstate-' belong to domstate",
        ),
        (
            &["q", "-device", "{'driver':'x','id':'domstate-x'}"],
            "id 'domstate-' is not allowed: ids that begin with 'domstate-' belong to domstate",
        ),
        (
            &["q", "-future", "id=domstate-x"],
            "id 'domstate-x' is not allowed: ids that begin with 'domstate-' belong to domstate",
        ),
        (
            &["q", "-m", "1", "-append"],
            "option '-append' lacks its value",
        ),
    ];
    for (words, message) in table {
        let refused = examine(&argv(words)).unwrap_err();
        assert_eq!(refused.to_string(), *message, "{words:?}");
    }
}

#[test]
fn a_value_that_looks_like_an_option_is_none() {
    let plain = facts(&[]);
    for words in [
        ["-append", "-S"],
        ["--append", "-S"],
        ["-name", "-daemonize"],
        ["-name", "--preconfig"],
        ["-k", "-nographic"],
        ["-append", "console=/dev/tty0 id=domstate-x,id=domstate-y"],
        ["-drive", "file=a,,id=domstate-x"],
        ["-chardev", "null,id=mydomstate-x"],
        ["-object", r#"{"qom-type":"x","id":"mine"}"#],
    ] {
        assert_eq!(facts(&words), plain, "{words:?}");
    }
    assert!(facts(&["-append", "-S", "-S"]).starts_paused);
}

#[test]
fn the_words_of_a_wrapper_are_not_qemus() {
    let sudo = argv(&[
        "sudo",
        "-S",
        "-u",
        "nobody",
        "/usr/bin/qemu-system-arm",
        "-m",
        "1",
    ]);
    assert!(!examine(&sudo).unwrap().starts_paused);
    let sudo = argv(&["sudo", "-n", "qemu-system-arm", "-m", "1", "--S"]);
    assert!(examine(&sudo).unwrap().starts_paused);
    let script = argv(&[
        "./vm.sh",
        "big",
        "--verbose",
        "-S",
        "-name",
        "qemu-system-x",
    ]);
    assert!(examine(&script).unwrap().starts_paused);
}

#[test]
fn what_the_answers_depend_on_is_noted() {
    assert!(facts(&["-s"]).debugger);
    assert!(facts(&["-gdb", "tcp::1234"]).debugger);
    assert!(!facts(&["-gdb", "none"]).debugger);
    assert!(!facts(&["-S", "-append", "-s"]).debugger);
    assert_eq!(
        facts(&["-device", "ipmi-bmc-sim,id=bmc0"]).bmc,
        Bmc::CutsPower
    );
    assert_eq!(
        facts(&["-device", r#"{"driver":"ipmi-bmc-extern"}"#]).bmc,
        Bmc::CutsPower
    );
    // Spelt with an escape, in the key or in the name; and what only QEMU can read.
    for device in [
        r#"{"driver":"\u0069pmi-bmc-sim","id":"b"}"#,
        r#" {"dr\u0069ver":"ipmi\u002dbmc-extern"}"#,
        r"{'driver':'\u0069pmi-bmc-sim'}",
    ] {
        assert_eq!(facts(&["-device", device]).bmc, Bmc::CutsPower, "{device}");
    }
    assert_eq!(
        facts(&["-device", r#"{"driver":"x","serial":"a\\b"}"#]).bmc,
        Bmc::None
    );
    assert_eq!(facts(&["-device", "{'driver':'x'}"]).bmc, Bmc::None);
    let set = [
        "-device",
        "pvpanic,id=x",
        "-set",
        "device.x.driver=ipmi-bmc-sim",
    ];
    assert_eq!(facts(&set).bmc, Bmc::CutsPower);
    assert_eq!(facts(&["-append", "ipmi-bmc-sim"]).bmc, Bmc::None);
    assert_eq!(
        facts(&["-device", "isa-debug-exit,iobase=0xf4"]).exit_device,
        ExitDevice::Own
    );
    assert_eq!(
        facts(&["-device", r#"{"driver":"isa-debug-exit"}"#]).exit_device,
        ExitDevice::Own
    );
    assert_eq!(facts(&["-semihosting"]).exit_device, ExitDevice::Own);
    assert_eq!(
        facts(&["--semihosting-config", "enable=on,target=native"]).exit_device,
        ExitDevice::Own
    );
    assert_eq!(
        facts(&["-semihosting-config", "target=native"]).exit_device,
        ExitDevice::Own
    );
    assert_eq!(
        facts(&["-semihosting-config", "enable=off"]).exit_device,
        ExitDevice::None
    );
    assert_eq!(
        facts(&["-append", "isa-debug-exit"]).exit_device,
        ExitDevice::None
    );
    // kvm-unit-tests, and the boards of RISC-V.
    assert_eq!(facts(&["-serial", "testdev"]).exit_device, ExitDevice::Own);
    assert_eq!(
        facts(&["-chardev", "testdev,id=t"]).exit_device,
        ExitDevice::Own
    );
    assert_eq!(
        facts(&["-device", "pc-testdev"]).exit_device,
        ExitDevice::None
    );
    let riscv = argv(&["sudo", "/usr/bin/qemu-system-riscv64", "-M", "virt"]);
    assert_eq!(examine(&riscv).unwrap().exit_device, ExitDevice::Unclear);
    for program in ["qemu-system-or1k", "qemu-system-tricore"] {
        let noted = examine(&argv(&[program, "-semihosting"])).unwrap();
        assert_eq!(noted.exit_device, ExitDevice::Unclear, "{program}");
    }
    // A plugin may end QEMU, and so may the guest.
    let plugin = ["-device", "isa-debug-exit", "-plugin", "x.so,addr=0x1:3"];
    assert_eq!(facts(&plugin).exit_device, ExitDevice::Unclear);
    // Spelt with an escape; and what only QEMU can read.
    let escaped = r#"{"driver":"\u0069sa-debug-exit"}"#;
    assert_eq!(facts(&["-device", escaped]).exit_device, ExitDevice::Own);
    let single = r"{'driver':'\u0069sa-debug-exit'}";
    assert_eq!(facts(&["-device", single]).exit_device, ExitDevice::Unclear);
    // A watchdog of the board, and a BMC that it makes itself.
    let ppc64 = |args: &[&str]| {
        let words = [&["qemu-system-ppc64"], args].concat();
        examine(&argv(&words)).unwrap().bmc
    };
    assert_eq!(ppc64(&["-M", "pseries"]), Bmc::Resets);
    assert_eq!(ppc64(&["-machine", "powernv9"]), Bmc::CutsPower);
    let of = |words: &[&str]| examine(&argv(words)).unwrap().bmc;
    assert_eq!(of(&["qemu-system-cris"]), Bmc::Resets);
    assert_eq!(of(&["qemu-system-ppc", "-M", "ref405ep"]), Bmc::Resets);
    assert_eq!(of(&["qemu-system-ppc", "-M", "g3beige"]), Bmc::None);
    assert_eq!(of(&["qemu-system-ppc", "-name", "taihu"]), Bmc::None);

    assert_eq!(facts(&[]).kind, LaunchKind::Boot);
    assert_eq!(facts(&["--loadvm", "t"]).kind, LaunchKind::Snapshot);
    assert_eq!(facts(&["-incoming", "defer"]).kind, LaunchKind::Incoming);
    let both = facts(&["-incoming", "defer", "-loadvm", "t"]);
    assert_eq!(both.kind, LaunchKind::Incoming);

    assert_eq!(facts(&["-uuid", UUID]).uuid, UUID.parse().ok());
    assert_eq!(facts(&["-uuid", "junk"]).uuid, None);
}

#[test]
fn what_qemu_is_told_to_do_by_itself_is_noted_and_the_last_word_holds() {
    use AtPanic::{ExitFailure, Pause};
    /// What is noted of `panic`, `shutdown` and `reboot`.
    type Noted = (
        Option<(AtPanic, &'static str)>,
        Option<(AtShutdown, &'static str)>,
        Option<(AtReboot, &'static str)>,
    );
    let pause = Some((AtShutdown::Pause, "-no-shutdown"));
    let shutdown = |option| Some((AtReboot::Shutdown, option));
    let several = "-action reboot=shutdown,shutdown=pause,panic=exit-failure,watchdog=none";
    let again = "-action reboot=shutdown,reboot=reset,panic=none,panic=pause";
    let table: &[(&[&str], Noted)] = &[
        (&[], (None, None, None)),
        (&["-no-shutdown"], (None, pause, None)),
        (&["--no-reboot"], (None, None, shutdown("--no-reboot"))),
        (
            &several.split(' ').collect::<Vec<_>>(),
            (
                Some((ExitFailure, several)),
                Some((AtShutdown::Pause, several)),
                shutdown(several),
            ),
        ),
        (
            &again.split(' ').collect::<Vec<_>>(),
            (Some((Pause, again)), None, Some((AtReboot::Reset, again))),
        ),
        (
            &[
                "-action",
                "panic=pause",
                "--action",
                "reboot=reset",
                "-no-reboot",
            ],
            (
                Some((Pause, "-action panic=pause")),
                None,
                shutdown("-no-reboot"),
            ),
        ),
        (
            &["-no-reboot", "--action", "reboot=reset"],
            (None, None, Some((AtReboot::Reset, "--action reboot=reset"))),
        ),
        // Each of these QEMU refuses, or it is a value of something else.
        (&["-action", "panic=PAUSE,panic"], (None, None, None)),
        (
            &["-action", "reboot=shutdown,,panic=none"],
            (None, None, None),
        ),
        (
            &["-append", "-no-reboot", "-name", "-no-shutdown"],
            (None, None, None),
        ),
    ];
    for (words, (panic, shutdown, reboot)) in table {
        let actions = facts(words).actions;
        let noted = (
            actions
                .panic
                .as_ref()
                .map(|s| (s.action, s.option.as_str())),
            actions
                .shutdown
                .as_ref()
                .map(|s| (s.action, s.option.as_str())),
            actions
                .reboot
                .as_ref()
                .map(|s| (s.action, s.option.as_str())),
        );
        assert_eq!(noted, (*panic, *shutdown, *reboot), "{words:?}");
    }
    let wrapper = argv(&["sudo", "-no-reboot", "qemu-kvm", "-m", "1"]);
    assert_eq!(examine(&wrapper).unwrap().actions, Actions::default());
}

#[test]
fn what_stands_in_a_file_of_options_counts_as_on_the_command_line() {
    let noted = |text: &str| facts_with(&[], Some(text)).unwrap();
    let device = |driver| noted(&format!("[device \"x\"]\n driver = \"{driver}\"\n"));
    assert_eq!(noted("# nothing\n"), facts(&[]));
    assert_eq!(device("ipmi-bmc-extern").bmc, Bmc::CutsPower);
    assert_eq!(device("isa-debug-exit").exit_device, ExitDevice::Own);
    let testdev = noted("[chardev \"c\"]\nbackend = \"testdev\"\n");
    assert_eq!(testdev.exit_device, ExitDevice::Own);
    let machine = noted("[machine]\ntype = \"powernv\"\n");
    assert_eq!(machine.bmc, Bmc::CutsPower);
    assert_eq!(device("pvpanic"), facts(&[]));
    assert!(noted("[chardev \"c\"]\nbackend = \"stdio\"\n").uses_stdio);
    // QEMU takes this and does nothing with it.
    let semihosting = "[semihosting-config]\nenable = \"on\"\n";
    assert_eq!(noted(semihosting), facts(&[]));
    // Words of a guest's, and sections of nothing that matters.
    let others = "[name]\nguest = \"ipmi-bmc-sim\"\n[readconfig]\nfile = \"b.cfg\"\n";
    assert_eq!(noted(others), facts(&[]));
    let reserved = facts_with(&[], Some("[chardev \"domstate-recorder\"]\n"));
    assert_eq!(
        reserved,
        Err(RefusedArgument::ReservedId("domstate-recorder".to_owned()))
    );
    // By its place among the options, too.
    let actions = "[action]\nshutdown = \"poweroff\"\nreboot = \"shutdown\"\n";
    let actions = facts_with(&["-no-shutdown"], Some(actions))
        .unwrap()
        .actions;
    let option = "-readconfig a.cfg".to_owned();
    let shutdown = actions.shutdown.unwrap();
    assert_eq!(
        (shutdown.action, &shutdown.option),
        (AtShutdown::Poweroff, &option)
    );
    assert_eq!(actions.reboot.unwrap().option, option);
}

#[test]
fn of_a_file_that_cannot_be_read_the_worst_is_feared() {
    for text in [None, Some("nonsense")] {
        let facts = facts_with(&[], text).unwrap();
        assert!(facts.uses_stdio, "{text:?}");
        assert_eq!(facts.bmc, Bmc::CutsPower, "{text:?}");
        // The status of a QEMU that failed must not be taken for the guest's own, nor that for a failure.
        assert_eq!(facts.exit_device, ExitDevice::Unclear, "{text:?}");
    }
}

#[test]
fn a_panic_pauses_where_qemu_says_so_or_shuts_down_into_a_pause() {
    for (option, alone, under_pause) in [
        ("", false, true),
        ("panic=shutdown", false, true),
        ("panic=pause", true, true),
        ("panic=exit-failure", false, false),
        ("panic=none", false, false),
    ] {
        let words = ["-action", option];
        assert_eq!(facts(&words).actions.panic_pauses(), alone, "{option}");
        let words = ["-no-shutdown", "-action", option];
        assert_eq!(
            facts(&words).actions.panic_pauses(),
            under_pause,
            "{option}"
        );
    }
}

#[test]
fn whatever_may_write_on_our_stdout_is_noted() {
    for words in [
        &["-nographic"][..],
        &["--nographic"],
        &["-curses"],
        &["-display", "curses,charset=CP437"],
        &["-serial", "stdio"],
        &["-serial", "mon:stdio"],
        &["-chardev", "stdio,id=c"],
        &["-chardev", "file,id=c,path=/dev/stdout"],
        &["-serial", "/dev/tty"],
        &["-D", "/dev/fd/1"],
        &["-future", "stdio"],
    ] {
        assert!(facts(words).uses_stdio, "{words:?}");
    }
    assert!(!facts(&["-display", "none", "-serial", "file:out"]).uses_stdio);
}

#[test]
fn the_recorder_is_added_behind_the_users_words_with_commas_doubled() {
    let paths = RecorderPaths {
        run: OsString::from_vec(b"/s/a,b/\xff".to_vec()).into(),
        socket: "/proc/self/fd/9/qmp.sock".into(),
    };
    let user = argv(&["qemu-system-x86_64", "-m", "1"]);
    let all = with_recorder(&user, &paths);
    assert_eq!(all[..3], user[..]);
    let added: Vec<&[u8]> = all[3..].iter().map(|word| word.as_bytes()).collect();
    let wanted: &[&[u8]] = &[
        b"-chardev",
        b"pipe,id=domstate-recorder,path=/s/a,,b/\xff/recorder,logfile=/s/a,,b/\xff/journal,logappend=on",
        b"-qmp",
        b"chardev:domstate-recorder",
        b"-chardev",
        b"socket,id=domstate-control,path=/proc/self/fd/9/qmp.sock,server=on,wait=off",
        b"-qmp",
        b"chardev:domstate-control",
        b"-S",
    ];
    assert_eq!(added, wanted);
}

#[test]
fn the_recorder_lets_the_guest_run_only_if_it_is_meant_to() {
    let running = recorder_commands(Begin::Running, None);
    let paused = recorder_commands(Begin::Paused, None);
    assert_eq!(running.lines().count(), 4);
    assert_eq!(
        running.strip_prefix(&paused),
        Some("{\"execute\":\"cont\",\"id\":\"domstate-cont\"}\n")
    );
    for line in running.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
