//! A supervisor sleeps for months: what it does not need meanwhile it gives back.

use crate::sys;

/// Gives back the pages of our own program file that are in memory for this process (they cost nothing to read
/// anew, and there is one supervisor a guest), the freed part of the heap and the used part of the stack.
#[inline(never)]
pub(super) fn give_back() {
    // A call of its own: what it took is free by the time that what is free goes.
    if let Some(stack_start) = give_back_program() {
        sys::drop_unused_memory(stack_start);
    }
}

/// The first of the three. The stack's lowest address.
#[inline(never)]
fn give_back_program() -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let program = std::fs::read_link("/proc/self/exe").ok();
    let program = program.as_ref().and_then(|p| p.to_str()).unwrap_or("?");
    let program_mappings = maps.lines().filter(|line| line.ends_with(program));
    for (start, end) in code_mappings(program_mappings) {
        sys::drop_file_pages(start, end);
    }
    let stack = maps.lines().find(|line| line.ends_with("[stack]"));
    stack.and_then(bounds).map(|(start, _)| start)
}

/// The mappings up to the code: what is read-only behind it was written once, at start-up (relocations), and would
/// come back as the file has it.
fn code_mappings<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for line in lines {
        let rights = line.split_ascii_whitespace().nth(1).unwrap_or_default();
        if rights == "r--p" || rights == "r-xp" {
            found.extend(bounds(line));
        }
        if rights == "r-xp" {
            break;
        }
    }
    found
}

fn bounds(line: &str) -> Option<(usize, usize)> {
    let range = line.split_ascii_whitespace().next()?;
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    address(start).zip(address(end))
}
