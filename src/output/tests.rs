//! Everything that is printed, compared whole with what domstate(1) and virsh print.

use std::ffi::OsStr;
use std::io::{self, Write};

use super::*;
use crate::domain::{
    Answer, Cause, Certainty, Exit, Paused, Running, ShutOff, SignalSender, State, Timestamp,
};

/// 2026-11-23 03:00:00 UTC.
const THREE: u64 = 1_795_402_800_000_000;

fn answer(state: State, cause: Option<Cause>) -> Answer {
    Answer {
        state,
        since: Some(Timestamp(THREE)),
        cause,
        certainty: Certainty::Witnessed,
    }
}

fn running() -> Report {
    Report {
        name: "v".parse().unwrap(),
        uuid: "c7a5fdbd-cdaf-9455-926a-d65c16db1809".parse().ok(),
        id: Some(811),
        run: Some(7),
        supervisor: Some(812),
        answer: answer(State::Running(Running::Booted), None),
    }
}

fn killed() -> Report {
    let sigkill = Cause::Signal {
        signal: 9,
        core_dumped: false,
    };
    Report {
        name: "debian12-a".parse().unwrap(),
        uuid: None,
        id: None,
        supervisor: None,
        answer: answer(State::ShutOff(ShutOff::Crashed), Some(sigkill)),
        ..running()
    }
}

fn asked(format: Format, volume: Volume, color: Color) -> Style {
    let asked = Asked {
        format,
        volume,
        color,
    };
    Style::new(asked, None, Stream::Other, Stream::Other)
}

fn plain() -> Style {
    asked(Format::Text, Volume::Normal, Color::Auto)
}

fn quiet() -> Style {
    asked(Format::Text, Volume::Quiet, Color::Auto)
}

fn colored() -> Style {
    asked(Format::Text, Volume::Normal, Color::Always)
}

fn as_json() -> Style {
    asked(Format::Json, Volume::Normal, Color::Always)
}

/// What stdout and stderr got.
fn both(
    style: Style,
    print: impl Fn(&mut Printer<&mut Vec<u8>, &mut Vec<u8>>),
) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    print(&mut Printer::with_streams(style, &mut stdout, &mut stderr));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr))
}

fn stdout(style: Style, print: impl Fn(&mut Printer<&mut Vec<u8>, &mut Vec<u8>>)) -> String {
    both(style, print).0
}

#[test]
fn an_answer_is_virshs_line_and_nothing_else() {
    use Detail::{State as Word, StateAndReason};
    for (style, detail, naming, text) in [
        (plain(), Word, Naming::Bare, "shut off\n"),
        (
            plain(),
            StateAndReason,
            Naming::Bare,
            "shut off (crashed)\n",
        ),
        (
            quiet(),
            StateAndReason,
            Naming::Bare,
            "shut off (crashed)\n",
        ),
        (
            plain(),
            StateAndReason,
            Naming::Named,
            "debian12-a: shut off (crashed)\n",
        ),
        (
            colored(),
            StateAndReason,
            Naming::Named,
            "debian12-a: \u{1b}[31mshut off\u{1b}[0m (crashed)\n",
        ),
    ] {
        let printed = stdout(style, |p| p.answer(&killed(), detail, naming).unwrap());
        assert_eq!(printed, text);
    }
    let printed = stdout(colored(), |p| {
        p.answer(&running(), Word, Naming::Bare).unwrap()
    });
    assert_eq!(printed, "\u{1b}[32mrunning\u{1b}[0m\n");
}

#[test]
fn json_has_every_key_in_the_order_of_the_contract() {
    let line = concat!(
        r#"{"name":"debian12-a","uuid":null,"id":null,"run":7,"state":"shut off","reason":"crashed","#,
        r#""since":"2026-11-23T03:00:00.000000Z","certainty":"witnessed","#,
        r#""cause":{"kind":"signal","signal":"SIGKILL","core_dumped":false},"supervisor":null}"#,
        "\n"
    );
    let v = concat!(
        r#"{"name":"v","uuid":"c7a5fdbd-cdaf-9455-926a-d65c16db1809","id":811,"run":7,"state":"running","#,
        r#""reason":"booted","since":"2026-11-23T03:00:00.000000Z","certainty":"witnessed","#,
        r#""cause":null,"supervisor":812}"#,
        "\n"
    );
    for detail in [Detail::State, Detail::StateAndReason] {
        let printed = stdout(as_json(), |p| {
            p.answer(&killed(), detail, Naming::Named).unwrap()
        });
        assert_eq!(printed, line);
    }
    let list = stdout(as_json(), |p| {
        p.list(&[running(), killed()], Detail::State).unwrap()
    });
    assert_eq!(list, format!("{v}{line}"));
    let names = stdout(as_json(), |p| {
        p.fields(&[running()], &[Field::Name]).unwrap()
    });
    assert_eq!(names, v);
    let labels = stdout(as_json(), |p| {
        p.labels(&running(), &[], Labels::Virsh).unwrap()
    });
    assert_eq!(labels, v);
}

#[test]
fn the_list_is_virshs_table_without_colors() {
    let reports = [running(), killed()];
    let table = |style| stdout(style, |p| p.list(&reports, Detail::StateAndReason).unwrap());
    let rows = " 811   v            running (booted)\n -     debian12-a   shut off (crashed)\n";
    let head = " Id    Name         State\n----------------------------------------\n";
    assert_eq!(table(plain()), format!("{head}{rows}"));
    assert_eq!(table(colored()), format!("{head}{rows}"));
    assert_eq!(table(quiet()), rows);
    let words = stdout(quiet(), |p| p.list(&reports, Detail::State).unwrap());
    assert_eq!(
        words,
        " 811   v            running\n -     debian12-a   shut off\n"
    );
    let fields = stdout(plain(), |p| {
        p.fields(&reports, &[Field::Uuid, Field::Name, Field::Id])
            .unwrap()
    });
    assert_eq!(
        fields,
        "c7a5fdbd-cdaf-9455-926a-d65c16db1809 v 811\n- debian12-a -\n"
    );
}

#[test]
fn the_history_is_a_table_of_runs() {
    let run = |run, started, ended, state, cause| RunReport {
        name: "v".parse().unwrap(),
        run,
        started: Some(Timestamp(started)),
        ended,
        answer: answer(state, cause),
    };
    let hour = 3_600_000_000;
    let sigterm = Cause::HostSignal(SignalSender::default());
    let runs = [
        run(
            6,
            THREE - hour,
            Some(Timestamp(THREE)),
            State::ShutOff(ShutOff::Destroyed),
            Some(sigterm),
        ),
        run(7, THREE, None, State::Paused(Paused::IoError), None),
    ];
    let header =
        " Run   Started                Ended                  Answer                 Cause\n";
    let rows = " 6     2026-11-23 02:00:00Z   2026-11-23 03:00:00Z   shut off (destroyed)   host-signal\n \
                7     2026-11-23 03:00:00Z   -                      paused (I/O error)     -\n";
    assert_eq!(
        stdout(plain(), |p| p.history(&runs).unwrap()),
        format!("{header}{rows}")
    );
    // Without the header its words count for no width, as in virsh.
    assert_eq!(
        stdout(quiet(), |p| p.history(&runs).unwrap()),
        rows.replace("6     ", "6   ").replace("7     ", "7   ")
    );
    let json = concat!(
        r#"{"name":"v","run":7,"started":"2026-11-23T03:00:00.000000Z","ended":null,"state":"paused","#,
        r#""reason":"I/O error","since":"2026-11-23T03:00:00.000000Z","certainty":"witnessed","cause":null}"#,
        "\n"
    );
    assert_eq!(
        stdout(as_json(), |p| p.history(runs.get(1..).unwrap()).unwrap()),
        json
    );
}

fn explanation() -> Explanation {
    let line = |micros, source, text: &str| Evidence {
        at: Some(Timestamp(THREE + micros)),
        source,
        text: text.to_owned(),
    };
    let sender = SignalSender {
        signal: Some(15),
        pid: Some(811),
        command: Some("/usr/lib/systemd/systemd".to_owned()),
    };
    let mut report = killed();
    report.name = "web".parse().unwrap();
    report.answer = Answer {
        since: Some(Timestamp(THREE + 2_131_207)),
        ..answer(
            State::ShutOff(ShutOff::Destroyed),
            Some(Cause::HostSignal(sender)),
        )
    };
    Explanation {
        report,
        now: Timestamp(THREE + 200_000_000),
        evidence: vec![
            line(2_104_513, "QEMU", "SHUTDOWN guest=false reason=host-signal"),
            line(2_104_600, "QEMU", "\"terminating\u{1b}[2J\""),
            line(2_131_207, "exit", "status 0"),
        ],
    }
}

#[test]
fn an_explanation_reads_as_in_the_contract() {
    let text = "\
Domain:    web
Answer:    shut off (destroyed)
Since:     2026-11-23 03:00:02Z (3 minutes ago)
Cause:     host-signal: SIGTERM from pid 811 (systemd)
Certainty: witnessed
Evidence:
  03:00:02.104513Z  QEMU   SHUTDOWN guest=false reason=host-signal
  03:00:02.104600Z  QEMU   \"terminating\\x1b[2J\"
  03:00:02.131207Z  exit   status 0
";
    assert_eq!(
        stdout(plain(), |p| p.explanation(&explanation()).unwrap()),
        text
    );
    let json = stdout(as_json(), |p| p.explanation(&explanation()).unwrap());
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["evidence"][1]["text"], "\"terminating\u{1b}[2J\"");
    assert_eq!(value["evidence"][2]["at"], "2026-11-23T03:00:02.131207Z");
    assert_eq!(value["cause"]["command"], "/usr/lib/systemd/systemd");
    assert!(
        json.ends_with("}]}\n") && json.lines().count() == 1,
        "{json}"
    );
}

#[test]
fn an_explanation_says_what_nobody_knows() {
    let mut explanation = explanation();
    explanation.report.answer = Answer {
        since: None,
        cause: Some(Cause::StartFailure {
            exit: Some(Exit::Status(1)),
            message: Some("qemu: \u{1b}[31mno".to_owned()),
        }),
        ..answer(State::ShutOff(ShutOff::Failed), None)
    };
    explanation.evidence = vec![Evidence {
        at: None,
        source: "QEMU",
        text: "status prelaunch".to_owned(),
    }];
    let text = "\
Domain:    web
Answer:    \u{1b}[31mshut off\u{1b}[0m (failed)
Since:     unknown
Cause:     start-failure: exit status 1: qemu: \\x1b[31mno
Certainty: witnessed
Evidence:
  -                 QEMU   status prelaunch
";
    assert_eq!(
        stdout(colored(), |p| p.explanation(&explanation).unwrap()),
        text
    );
}

#[test]
fn labels_stand_in_virshs_columns() {
    let lines = [("Id", "-".to_owned()), ("Managed save", "no\n".to_owned())];
    let block = |labels| stdout(plain(), |p| p.labels(&running(), &lines, labels).unwrap());
    assert_eq!(
        block(Labels::Virsh),
        "Id:             -\nManaged save:   no\\n\n"
    );
    assert_eq!(
        block(Labels::Fitted),
        "Id:           -\nManaged save: no\\n\n"
    );
}

#[test]
fn success_is_told_to_people_who_want_to_hear_it() {
    let print = |style| stdout(style, |p| p.success("Domain 'v' started").unwrap());
    assert_eq!(print(plain()), "Domain 'v' started\n");
    assert_eq!(print(quiet()), "");
    assert_eq!(print(as_json()), "");
}

#[test]
fn a_warning_goes_to_stderr_and_says_that_it_is_one() {
    let print = |style| both(style, |p| p.warn("it may\nbe lost"));
    let text = |words: &str| (String::new(), words.to_owned());
    assert_eq!(print(plain()), text("warning: it may\\nbe lost\n"));
    let json = "{\"warning\":{\"message\":\"it may\\nbe lost\"}}\n";
    assert_eq!(print(as_json()), text(json));
}

#[test]
fn a_complaint_names_what_failed_and_why() {
    let complaint = Complaint {
        kind: "start-failed",
        messages: vec![
            "Failed to start domain 'v'".to_owned(),
            "QEMU ended\u{7}".to_owned(),
        ],
        quoted: vec!["qemu: no disk".to_owned()],
        hint: Some("look".to_owned()),
    };
    let print = |style| both(style, |p| p.complain(&complaint));
    let lines = "error: Failed to start domain 'v'\nerror: QEMU ended\\x07\n  qemu: no disk\n";
    assert_eq!(print(plain()), (String::new(), lines.to_owned()));
    let json = r#"{"error":{"kind":"start-failed","message":"Failed to start domain 'v': QEMU ended\u0007"}}"#;
    assert_eq!(print(as_json()), (String::new(), format!("{json}\n")));
    let terminal = Style::new(Asked::default(), None, Stream::Other, Stream::Terminal);
    let colored = "\u{1b}[1;31merror:\u{1b}[0m Failed to start domain 'v'\n\
                   \u{1b}[1;31merror:\u{1b}[0m QEMU ended\\x07\n  qemu: no disk\n\
                   \u{1b}[1mhint:\u{1b}[0m look\n";
    assert_eq!(print(terminal).1, colored);
    let no_color = Some(OsStr::new("1"));
    let plain = Style::new(Asked::default(), no_color, Stream::Other, Stream::Terminal);
    assert_eq!(print(plain).1, format!("{lines}hint: look\n"));
}

#[test]
fn a_log_is_escaped_for_a_terminal_alone() {
    let bytes = b"a\x1b[2J\xff\n";
    let mut file = Vec::new();
    let mut printer = Printer::with_streams(plain(), &mut file, io::sink());
    printer.verbatim(bytes).unwrap();
    assert_eq!(file, bytes);
    let terminal = Style::new(Asked::default(), None, Stream::Terminal, Stream::Other);
    assert_eq!(
        stdout(terminal, |p| p.verbatim(bytes).unwrap()),
        "a\\x1b[2J\u{fffd}\n"
    );
}

/// A stream that fails in one way.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is_one() {
    let print = |kind| {
        let mut printer = Printer::with_streams(plain(), Broken(kind), io::sink());
        let printed = printer.answer(&running(), Detail::State, Naming::Bare);
        (
            printed.map_err(|error| error.to_string()),
            printer.is_read(),
        )
    };
    assert_eq!(print(io::ErrorKind::BrokenPipe), (Ok(()), false));
    let full = "cannot write to standard output: no storage space";
    let full = Err(full.to_owned());
    assert_eq!(print(io::ErrorKind::StorageFull), (full, true));
}
