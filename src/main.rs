//! The program: the hidden supervisor entry, then parse, run, exit status.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use domstate::cli::{self, Cli, Usage};
use domstate::commands::{self, Context, Exit, Failure};
use domstate::output::{Asked, Complaint, Printer, Stream, Style};
use domstate::store::StateDir;
use domstate::supervisor;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    // Before clap is touched: a supervisor stays small.
    if let Some(code) = supervisor::take_over(&args) {
        return code;
    }
    ExitCode::from(command(args).code())
}

// Not inlined: a supervisor would carry its frame on the stack for months.
#[inline(never)]
fn command(args: Vec<OsString>) -> Exit {
    match cli::parse(args) {
        Ok(cli) => run(cli),
        Err(usage) => tell(usage),
    }
}

fn run(cli: Cli) -> Exit {
    let style = style(cli.global.asked());
    let is_root = nix::unistd::geteuid().is_root();
    let state = match StateDir::choose(cli.global.state_dir, is_root, &|name| env::var_os(name)) {
        Ok(state) => state,
        Err(error) => return complain(style, &commands::ours(&cli.verb, Failure::from(error))),
    };
    let printer = Printer::new(style);
    let mut context = Context { state, printer };
    match commands::run(&cli.verb, &mut context) {
        Ok(exit) => exit,
        Err(failure) => complain(style, &failure),
    }
}

fn complain(style: Style, failure: &Failure) -> Exit {
    Printer::new(style).complain(&failure.complaint);
    failure.exit
}

/// Help and version are answers; anything else is wrong usage.
fn tell(usage: Usage) -> Exit {
    match usage {
        Usage::Asked(text) => {
            let printed = Printer::new(style(Asked::default())).help(&text);
            printed.map_or(Exit::Failed, |()| Exit::Done)
        }
        Usage::Nothing(text) => {
            Printer::new(style(Asked::default())).usage(&text);
            Exit::Usage
        }
        Usage::Wrong {
            message,
            hint,
            format,
        } => {
            let asked = Asked {
                format,
                ..Asked::default()
            };
            Printer::new(style(asked)).complain(&Complaint {
                kind: "usage",
                messages: vec![message],
                hint: Some(hint),
                ..Complaint::default()
            });
            Exit::Usage
        }
    }
}

fn style(asked: Asked) -> Style {
    let stream = |is_terminal| {
        if is_terminal {
            Stream::Terminal
        } else {
            Stream::Other
        }
    };
    Style::new(
        asked,
        env::var_os("NO_COLOR").as_deref(),
        stream(io::stdout().is_terminal()),
        stream(io::stderr().is_terminal()),
    )
}
