//! Numbers on the command line, refused in words that tell what belongs there.

/// Reads the number of a run; the first is 1.
pub(super) fn run(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "use a run's number as 'domstate history' shows it".to_owned())
}

/// Reads a file descriptor's number.
pub(super) fn descriptor(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| "use numbers of open file descriptors, as in 3,4".to_owned())
}
