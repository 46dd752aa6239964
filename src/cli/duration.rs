//! DURATION on the command line: `30` (seconds), `30s`, `500ms`, `2m`, `1h`.

use std::time::Duration;

/// Reads a DURATION. What humantime reads beyond the contract (`1h 30m`) is welcome.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok().map(Duration::from_secs)
    } else {
        humantime::parse_duration(text).ok()
    };
    parsed.ok_or_else(|| "use 30 (seconds), 500ms, 30s, 2m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds_and_units_are_those_of_the_contract() {
        for (text, millis) in [
            ("0", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1h 30m", 5_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "s", "5x", "99999999999999999999", "1e3"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
