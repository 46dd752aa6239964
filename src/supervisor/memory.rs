//! A supervisor sleeps for months: what it does not need meanwhile it gives back.

use crate::sys;

/// Gives back the pages of our own program file that are in memory for this process. They cost nothing to read
/// anew, and there is one supervisor a guest.
pub(super) fn give_back_program_pages() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let Ok(program) = std::fs::read_link("/proc/self/exe") else {
        return;
    };
    let Some(program) = program.to_str() else {
        return;
    };
    for line in maps.lines().filter(|line| line.ends_with(program)) {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else {
            continue;
        };
        // Only up to the code: what is read-only behind it was written once, at start-up (relocations), and would
        // come back as the file has it.
        let is_code = rights == "r-xp";
        let bounds = range.split_once('-').and_then(|(start, end)| {
            let address = |text| usize::from_str_radix(text, 16).ok();
            address(start).zip(address(end))
        });
        if let Some((start, end)) = bounds.filter(|_| is_code || rights == "r--p") {
            sys::drop_file_pages(start, end);
        }
        if is_code {
            return;
        }
    }
}
