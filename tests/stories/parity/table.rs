//! The table of what virsh and domstate tell at each step.

use super::differences::{Verdict, judge};
use super::story::{Story, Told};

/// A line of the table.
struct Row {
    cells: [String; 5],
}

/// What the two told in a story; nothing of who did not play it, and why.
pub(super) struct Played {
    pub(super) story: Story,
    pub(super) virsh: Result<Vec<Told>, String>,
    pub(super) domstate: Result<Vec<Told>, String>,
}

/// The table as text, and how many steps have a difference that is not documented.
pub(super) fn table(played: &[Played]) -> (String, usize) {
    let mut rows = vec![Row {
        cells: ["Story", "Step", "virsh", "domstate", "Verdict"].map(str::to_owned),
    }];
    let mut undocumented = 0;
    for Played {
        story,
        virsh,
        domstate,
    } in played
    {
        for (number, step) in story.steps.iter().enumerate() {
            let mut cells = [&story.name, &step.action].map(Clone::clone).to_vec();
            let told = |told: &Result<Vec<Told>, String>| match told {
                Ok(told) => told[number].answer.clone(),
                Err(_) => String::new(),
            };
            cells.extend([told(virsh), told(domstate)]);
            let (virsh, domstate) = match (virsh, domstate) {
                (Ok(virsh), Ok(domstate)) => (&virsh[number], &domstate[number]),
                (Err(why), _) | (_, Err(why)) => {
                    cells.push(why.clone());
                    rows.push(Row {
                        cells: cells.try_into().unwrap(),
                    });
                    continue;
                }
            };
            let verdict = judge(step, virsh, domstate);
            cells.push(match &verdict {
                Verdict::Same => "same".to_owned(),
                Verdict::Documented(reasons) => reasons.join(", "),
                Verdict::Undocumented => {
                    undocumented += 1;
                    "UNDOCUMENTED".to_owned()
                }
            });
            rows.push(Row {
                cells: cells.try_into().unwrap(),
            });
            if virsh.printed != domstate.printed {
                let printed = |told: &Told| told.printed.replace('\n', " / ");
                rows.push(Row {
                    cells: [
                        String::new(),
                        "  printed".to_owned(),
                        printed(virsh),
                        printed(domstate),
                        String::new(),
                    ],
                });
            }
        }
    }
    (rendered(&rows), undocumented)
}

fn rendered(rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].chars().count());
        // What was printed may be long: it does not make the others wide.
        cells.filter(|width| *width < 48).max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let lines = rows.iter().map(|row| {
        let cells = row.cells.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}
