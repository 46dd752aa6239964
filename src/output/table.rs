//! Tables as virsh draws them (libvirt 9.0, `tools/vsh-table.c`): each cell is one space and the text, all
//! but the last padded to the column's width and two more, no spaces at the end of a line.

use comfy_table::{ContentArrangement, Table, presets};

/// Whether a line of dashes stands below the header, as in `list`.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    Dashes,
    Nothing,
}

/// The lines of a table. Cells have to be escaped already.
pub(super) fn render(header: &[&str], rows: &[Vec<String>], rule: Rule) -> String {
    let mut table = aligned(rows);
    table.set_header(header.iter().copied());
    let widths = table.column_max_content_widths();
    pad(&mut table);
    let mut out = String::new();
    for (at, line) in table.lines().enumerate() {
        out.push_str(line.trim_end());
        out.push('\n');
        if let (0, Rule::Dashes) = (at, rule) {
            let dashes = widths.iter().map(|width| usize::from(*width) + 3).sum();
            out.push_str(&"-".repeat(dashes));
            out.push('\n');
        }
    }
    out
}

/// The same without a header, whose words count for no width (virsh -q).
pub(super) fn render_rows(rows: &[Vec<String>]) -> String {
    let mut table = aligned(rows);
    pad(&mut table);
    let lines = table.lines();
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn aligned(rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .add_rows(rows);
    table
}

fn pad(table: &mut Table) {
    for column in table.column_iter_mut() {
        column.set_padding((1, 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_table_looks_as_virsh_draws_it() {
        let header = ["Id", "Name", "State"];
        let domains = rows(&[&["811", "v", "running"], &["-", "debian12-a", "shut off"]]);
        assert_eq!(
            render(&header, &domains, Rule::Dashes),
            " Id    Name         State\n\
             ------------------------------\n \
             811   v            running\n \
             -     debian12-a   shut off\n"
        );
        assert_eq!(
            render(&header, &[], Rule::Dashes),
            " Id   Name   State\n--------------------\n"
        );
        assert_eq!(
            render_rows(&domains),
            " 811   v            running\n -     debian12-a   shut off\n"
        );
        assert_eq!(render_rows(&[]), "");
    }
}
