//! What the host has in use.

use std::fs;

/// Processes that have `text` on their command line, by the sum of a field of theirs in smaps_rollup, in KiB.
pub(super) fn kib_of(pids: &[i32], field: &str) -> u64 {
    pids.iter()
        .map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(field));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            number.unwrap_or(0)
        })
        .sum()
}

/// The supervisors of a host's guests.
pub(super) fn supervisors(folder: &str) -> Vec<i32> {
    let mut pids = crate::harness::processes_with(folder);
    pids.retain(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"domstate-supervisor")
    });
    pids
}

/// Files and folders below a folder, and the bytes of disk that they take.
pub(super) fn disk(folder: &std::path::Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.path().symlink_metadata() else {
                continue;
            };
            sum = (sum.0 + 1, sum.1 + metadata.blocks() * 512);
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    sum
}

/// Descriptors that are open on the host.
pub(super) fn descriptors() -> u64 {
    let text = fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0)
}
