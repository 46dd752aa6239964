//! `domstate domjobinfo`: the save or dump that is under way, under virsh's labels.

use serde_json::{Value, json};

use super::{Context, Exit, Failure};
use crate::cli::DomainArg;
use crate::domain::{Timestamp, Verb};
use crate::observe::now;
use crate::operation::{JobInfo, job_info};
use crate::output::Format;

/// virsh's units for amounts of data, each 1,024 times the one before.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

pub(super) fn run(args: &DomainArg, context: &mut Context) -> Result<Exit, Failure> {
    let (domain, seen) = context.look(args.as_str())?;
    let info = job_info(&domain, seen)?;
    if context.printer.format() == Format::Json {
        context.printer.object(&to_json(info.as_ref()))?;
        return Ok(Exit::Done);
    }
    for (label, value) in lines(info.as_ref(), now()) {
        context.printer.line(&line(label, &value))?;
    }
    Ok(Exit::Done)
}

fn to_json(info: Option<&JobInfo>) -> Value {
    let progress = info.and_then(|info| info.progress);
    json!({
        "operation": info.map(|info| info.verb.word()),
        "processed": progress.map(|progress| progress.processed),
        "remaining": progress.map(|progress| progress.remaining),
        "total": progress.map(|progress| progress.total),
    })
}

fn lines(info: Option<&JobInfo>, now: Timestamp) -> Vec<(&'static str, String)> {
    let Some(info) = info else {
        return vec![("Job type:", "None".to_owned())];
    };
    let mut lines = vec![
        ("Job type:", "Unbounded".to_owned()),
        ("Operation:", operation(info.verb).to_owned()),
    ];
    if let Some(began) = info.began {
        let elapsed = now.0.saturating_sub(began.0) / 1000;
        lines.push(("Time elapsed:", format!("{elapsed:<12} ms")));
    }
    let amounts = info.progress.map(|progress| {
        [
            ("Data processed:", progress.processed),
            ("Data remaining:", progress.remaining),
            ("Data total:", progress.total),
        ]
    });
    let amounts = amounts.into_iter().flatten();
    lines.extend(amounts.map(|(label, bytes)| (label, amount(bytes))));
    lines
}

/// As virsh calls it (9.0.0, `virshDomainJobOperation`).
fn operation(verb: Verb) -> &'static str {
    if matches!(verb, Verb::Save | Verb::ManagedSave) {
        "Save"
    } else if verb == Verb::Migrate {
        "Outgoing migration"
    } else if matches!(verb, Verb::SnapshotCreate | Verb::SnapshotHalt) {
        "Snapshot"
    } else if verb == Verb::SnapshotRevert {
        "Snapshot revert"
    } else if verb == Verb::SnapshotDelete {
        "Snapshot delete"
    } else {
        "Dump"
    }
}

/// As virsh lays it out, trailing blanks and all (9.0.0, `cmdDomjobinfo`).
fn line(label: &str, value: &str) -> String {
    match value.contains(' ') {
        true => format!("{label:<17} {value}"),
        false => format!("{label:<17} {value:<12}"),
    }
}

fn amount(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut amount = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while amount >= 1024.0
        && let Some(next) = units.next()
    {
        amount /= 1024.0;
        unit = Some(next);
    }
    format!("{amount:.3} {}", unit.unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::JobProgress;

    #[test]
    fn a_job_is_told_under_virshs_labels() {
        let now = Timestamp(5_000_000);
        assert_eq!(lines(None, now), [("Job type:", "None".to_owned())]);
        let info = JobInfo {
            verb: Verb::ManagedSave,
            began: Some(Timestamp(3_500_000)),
            progress: Some(JobProgress {
                processed: 1024 * 1024,
                remaining: 512 * 1024,
                total: 3 * 1024 * 1024 / 2,
            }),
        };
        let shown: Vec<String> = lines(Some(&info), now)
            .iter()
            .map(|(label, value)| line(label, value))
            .collect();
        assert_eq!(
            shown,
            [
                "Job type:         Unbounded   ",
                "Operation:        Save        ",
                "Time elapsed:     1500         ms",
                "Data processed:   1.000 MiB",
                "Data remaining:   512.000 KiB",
                "Data total:       1.500 MiB",
            ]
        );
        let info = JobInfo {
            verb: Verb::SnapshotCreate,
            began: None,
            progress: None,
        };
        let unbounded = ("Job type:", "Unbounded".to_owned());
        let snapshot = ("Operation:", "Snapshot".to_owned());
        assert_eq!(lines(Some(&info), now), [unbounded, snapshot]);
        assert_eq!(to_json(Some(&info))["processed"], Value::Null);
    }
}
