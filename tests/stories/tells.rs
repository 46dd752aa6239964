//! What the verbs that only tell print, to the letter.

use std::io::pipe;
use std::process::Stdio;

use serde_json::{Value, json};

use super::harness::{Host, Said, finish_child, s, with_argv};

const UUID: &str = "c7a5fdbd-cdaf-9455-926a-d65c16db1809";

/// Every run of digits as one `#`: times and pids differ.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if masked.ends_with('#') => {}
            '0'..='9' => masked.push('#'),
            _ => masked.push(c),
        }
    }
    masked
}

/// Defines `v` without starting it.
fn defined(host: &Host) -> Vec<String> {
    let argv = host.argv("v", &["-uuid", UUID, "-name", "a b"]);
    let args = with_argv(&["define", "v"], &argv);
    assert_eq!(host.ok(&args), "Domain 'v' defined\n");
    argv
}

#[test]
fn a_domain_that_never_ran_is_told_as_virsh_tells_it() {
    let host = Host::new();
    defined(&host);
    for (args, text) in [
        (&["v"][..], "shut off\n".to_owned()),
        (&["--reason", "v"], "shut off (unknown)\n".to_owned()),
        (&["domid", "v"], "-\n".to_owned()),
        (&["domuuid", "v"], format!("{UUID}\n")),
        (&["domname", UUID], "v\n".to_owned()),
        (
            &["dominfo", "v"],
            format!(
                "Id:             -\nName:           v\nUUID:           {UUID}\nState:          shut off\n\
                 Persistent:     yes\nAutostart:      disable\nManaged save:   no\n"
            ),
        ),
        (
            &["explain", "v"],
            "Domain:    v\nAnswer:    shut off (unknown)\nSince:     unknown\n\
             Cause:     never-run: defined, and never started\nCertainty: witnessed\nEvidence:\n"
                .to_owned(),
        ),
        (
            &["history", "v"],
            " Run   Started   Ended   Answer   Cause\n".to_owned(),
        ),
        (&["logs", "v"], String::new()),
        (
            &["list"],
            " Id   Name   State\n--------------------\n".to_owned(),
        ),
        (
            &["list", "--all", "--reason"],
            " Id   Name   State\n---------------------------------\n -    v      shut off (unknown)\n"
                .to_owned(),
        ),
        (&["-q", "list", "--inactive"], " -   v   shut off\n".to_owned()),
        (&["list", "--all", "--name"], "v\n".to_owned()),
        (&["list", "--all", "--uuid"], format!("{UUID}\n")),
    ] {
        assert_eq!(host.ok(args), text, "{args:?}");
    }
    host.assert_is(
        "v",
        "shut off (unknown)",
        &json!({"kind": "never-run"}),
        "witnessed",
    );
}

#[test]
fn a_running_domain_is_found_by_id_uuid_and_name_in_that_order() {
    let host = Host::new();
    let guest = host.start("v", &["-uuid", UUID]);
    let id = host.qemu_pid("v").to_string();
    // A domain with the other's id for its name.
    let argv = host.argv("w", &[]);
    host.ok(&with_argv(&["define", &id], &argv));
    for typed in [&id, UUID, "v"] {
        assert_eq!(host.ok(&["--reason", typed]), "running (booted)\n");
        assert_eq!(host.ok(&["domid", typed]), format!("{id}\n"));
    }
    assert_eq!(host.ok(&["domname", &id]), "v\n");
    assert_eq!(
        host.ok(&["--reason", "--domain", "v"]),
        "running (booted)\n"
    );
    host.refused(&["domname", "v"], "error: failed to get domain 'v'\n");
    let widths = id.len() + 2;
    // A pid may be shorter than the heading of the names.
    let names = id.len().max("Name".len()) + 2;
    let dashes = "-".repeat(widths + names + "running".len() + 5);
    let list = host.ok(&["list", "--all"]);
    let wanted = format!(
        " {:widths$} {:names$} State\n{dashes}-\n {id}   {:names$} running\n {:widths$} {id:names$} shut off\n",
        "Id", "Name", "v", "-"
    );
    assert_eq!(list, wanted);
    host.ok(&["destroy", &id]);
    // Nobody has that id now: it is a name.
    assert_eq!(host.ok(&["--reason", &id]), "shut off (unknown)\n");
    drop(guest);
}

#[test]
fn an_unknown_domain_among_several_keeps_no_other_from_being_answered() {
    let host = Host::new();
    defined(&host);
    let said = host.domstate(&["--reason", "v", "nope", UUID]);
    let wanted = Said {
        stdout: "v: shut off (unknown)\nv: shut off (unknown)\n".to_owned(),
        stderr: "error: failed to get domain 'nope'\n".to_owned(),
        code: Some(1),
    };
    assert_eq!(said, wanted);
    host.refused(&["nope"], "error: failed to get domain 'nope'\n");
    host.refused(
        &["--format", "json", "nope"],
        "{\"error\":{\"kind\":\"no-such-domain\",\"message\":\"failed to get domain 'nope'\"}}\n",
    );
    for verb in [
        "wait", "start", "destroy", "suspend", "resume", "reset", "shutdown", "undefine", "show",
        "history", "explain", "logs", "dominfo", "domid", "domuuid",
    ] {
        host.refused(&[verb, "nope"], "error: failed to get domain 'nope'\n");
    }
}

#[test]
fn a_definition_can_be_pasted_and_forgotten() {
    let host = Host::new();
    let argv = defined(&host);
    let shown = host.ok(&["show", "v"]);
    let json: Value = serde_json::from_str(&host.ok(&["--format", "json", "show", "v"])).unwrap();
    assert_eq!(json["argv"], json!(argv));
    assert_eq!(
        host.ok(&["undefine", "v"]),
        "Domain 'v' has been undefined\n"
    );
    host.refused(&["v"], "error: failed to get domain 'v'\n");
    // By a shell, under the name by which a user has it.
    let script = format!("domstate() {{ \"$DOMSTATE\" \"$@\"; }}\n{shown}");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]);
    shell.env("DOMSTATE", env!("CARGO_BIN_EXE_domstate"));
    shell.env("DOMSTATE_DIR", host.state_dir());
    assert_eq!(super::harness::finish(shell).stdout, "Domain 'v' defined\n");
    assert_eq!(host.ok(&["show", "v"]), shown);
    assert!(shown.contains(" -name 'a b'"), "{shown}");
}

#[test]
fn an_active_domain_is_not_forgotten() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    let stderr = "error: Failed to undefine domain 'v'\nerror: Requested operation is not valid: domain is active\n";
    host.refused(&["undefine", "v"], stderr);
    assert_eq!(host.answer("v"), "running (booted)");
}

#[test]
fn the_history_of_a_domain_is_its_runs_and_each_can_be_explained() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('o');
    host.wait("v");
    let _guest = host.start("v", &[]);
    host.ok(&["destroy", "v"]);
    let _guest = host.start("v", &[]);
    let history = masked(&host.ok(&["history", "v"]));
    let wanted = " Run   Started                Ended                  Answer                 Cause
 #     #-#-# #:#:#Z   #-#-# #:#:#Z   shut off (shutdown)    guest-shutdown
 #     #-#-# #:#:#Z   #-#-# #:#:#Z   shut off (destroyed)   asked
 #     #-#-# #:#:#Z   -                      running (booted)       -
";
    assert_eq!(history, wanted);
    let lines = host.ok(&["--format", "json", "history", "v"]);
    let runs: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[1]["cause"]["verb"], "destroy");
    assert_eq!(runs[2]["ended"], Value::Null);
    assert!(s(&runs[0]["started"]) < s(&runs[0]["ended"]));
    assert!(s(&runs[0]["ended"]) < s(&runs[1]["started"]));
    let explained = host.ok(&["explain", "v", "--run", "1"]);
    assert!(
        explained.contains("\nAnswer:    shut off (shutdown)\n"),
        "{explained}"
    );
    host.refused(
        &["explain", "v", "--run", "9"],
        "error: domain 'v' has no run 9\n",
    );
    host.refused(
        &["logs", "v", "--run", "9"],
        "error: domain 'v' has no run 9\n",
    );
}

#[test]
fn an_explanation_names_the_cause_and_shows_the_evidence() {
    let host = Host::new();
    let mut guest = host.start("v", &[]);
    guest.press('o');
    host.wait("v");
    let text = masked(&host.ok(&["explain", "v"]));
    let (front, evidence) = text.split_once("Evidence:\n").unwrap();
    let (front, since) = front.split_once("Since:     #-#-# #:#:#Z (").unwrap();
    assert_eq!(front, "Domain:    v\nAnswer:    shut off (shutdown)\n");
    let (_, rest) = since.split_once(")\n").unwrap();
    assert_eq!(
        rest,
        "Cause:     guest-shutdown: the guest powered itself off\nCertainty: witnessed\n"
    );
    for line in [
        "  #:#:#.#Z  spawned   process #\n",
        "  #:#:#.#Z  found     QEMU is process #\n",
        "  -                 QEMU      status prelaunch\n",
        "  #:#:#.#Z  QEMU      RESUME\n",
        "  #:#:#.#Z  QEMU      SHUTDOWN guest=true reason=guest-shutdown\n",
    ] {
        assert!(evidence.contains(line), "{line}{evidence}");
    }
    assert!(
        evidence.starts_with("  #:#:#.#Z  start     run # by uid #, pid # ("),
        "{evidence}"
    );
    assert!(
        evidence.ends_with("  #:#:#.#Z  exit      status #\n"),
        "{evidence}"
    );
}

#[test]
fn the_log_of_a_run_is_what_qemu_wrote() {
    let host = Host::new();
    let _guest = host.start("v", &[]);
    assert_eq!(host.ok(&["logs", "v"]), "");
    host.ok(&["destroy", "v"]);
    let log = host.ok(&["logs", "v"]);
    assert!(
        log.contains(": terminating on signal 15 from pid "),
        "{log}"
    );
    assert_eq!(host.ok(&["logs", "v", "--run", "1", "--follow"]), log);
}

#[test]
fn the_answer_as_json_has_every_key_always() {
    let host = Host::new();
    defined(&host);
    let line = host.ok(&["--format", "json", "v"]);
    let wanted = format!(
        "{{\"name\":\"v\",\"uuid\":\"{UUID}\",\"id\":null,\"run\":null,\"state\":\"shut off\",\"reason\":\"unknown\",\
         \"since\":null,\"certainty\":\"witnessed\",\"cause\":{{\"kind\":\"never-run\"}},\"supervisor\":null}}\n"
    );
    assert_eq!(line, wanted);
    let guest = host.start("w", &[]);
    let json = host.json("w");
    assert_eq!(json["id"], host.qemu_pid("w"));
    assert_eq!(json["run"], 1);
    assert!(json["supervisor"].is_number());
    assert_eq!(
        host.ok(&["--format", "json", "list", "--all"])
            .lines()
            .count(),
        2
    );
    assert_eq!(
        host.ok(&["--format", "json", "domid", "w"]).lines().count(),
        1
    );
    drop(guest);
}

/// Runs domstate with a stdout whose reader went away before it began.
fn unread(host: &Host, args: &[&str]) -> Said {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = host.command(args);
    command.stdout(writer).stderr(Stdio::piped());
    finish_child(command.spawn().unwrap())
}

#[test]
fn for_a_reader_that_went_away_a_verb_says_nothing_and_exits_as_ever() {
    let host = Host::new();
    defined(&host);
    let unknown = "error: failed to get domain 'nobody'\n";
    let argv = ["sh", "-c", "echo words >&2; exec \"$0\" \"$@\""].map(str::to_owned);
    let argv = [argv.to_vec(), host.argv("w", &[])].concat();
    let mut guest = host.start_argv("w", &[], &argv);
    guest.hears("READY");
    assert_eq!(host.ok(&["logs", "w"]), "words\n");
    for (args, stderr, status) in [
        (&["v"][..], "", 0),
        (&["v", "w"], "", 0),
        (&["v", "nobody"], unknown, 1),
        (&["--format", "json", "v", "w"], "", 0),
        (&["list", "--all"], "", 0),
        (&["explain", "w"], "", 0),
        (&["history", "w"], "", 0),
        (&["dominfo", "v"], "", 0),
        (&["domuuid", "v"], "", 0),
        (&["show", "v"], "", 0),
        (&["logs", "w"], "", 0),
        // It ends although the guest does not.
        (&["logs", "w", "--follow"], "", 0),
        (&["wait", "w", "--timeout", "0"], "", 124),
        (&["--help"], "", 0),
        (&["suspend", "w"], "", 0),
        (&["destroy", "w"], "", 0),
        (&["wait", "w"], "", 0),
        (&["wait", "w", "--for", "shut off (shutdown)"], "", 3),
        (&["run", "v", "--", "true"], "", 5),
    ] {
        let said = unread(&host, args);
        assert_eq!(said.stderr, stderr, "domstate {args:?}");
        assert_eq!(said.code, Some(status), "domstate {args:?}");
    }
    assert_eq!(host.answer("w"), "shut off (destroyed)");
}
