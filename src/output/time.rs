//! Times as people read them: `2026-11-23 03:00:00Z`, `03:00:02.104513Z`, `3 minutes ago`. Always UTC.

use crate::domain::Timestamp;
use crate::store::encode::time_text;

/// `2026-11-23 03:00:00Z`.
pub(super) fn text_time(time: Timestamp) -> String {
    let (date, clock) = split(time);
    let seconds = clock.split('.').next().unwrap_or(&clock);
    format!("{date} {seconds}Z")
}

/// `-` where nobody knows.
pub(super) fn text_time_or_dash(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), text_time)
}

/// `03:00:02.104513Z`.
pub(super) fn clock_time(time: Timestamp) -> String {
    split(time).1
}

/// `3 minutes ago`, in the largest unit that fits, rounded down.
pub(super) fn age(time: Timestamp, now: Timestamp) -> String {
    let Some(micros) = now.0.checked_sub(time.0) else {
        // The host's clock was set back, or the record comes from another host.
        return "in the future".to_owned();
    };
    let seconds = micros / 1_000_000;
    let units = [
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
        ("second", 1),
    ];
    let fitting = units.iter().find(|(_, length)| seconds >= *length);
    match fitting.map(|(unit, length)| (unit, seconds / length)) {
        Some((unit, 1)) => format!("1 {unit} ago"),
        Some((unit, count)) => format!("{count} {unit}s ago"),
        None => "just now".to_owned(),
    }
}

/// The date, and the time of the day with its `Z`.
fn split(time: Timestamp) -> (String, String) {
    let text = time_text(time);
    let (date, clock) = text.split_once('T').unwrap_or(("", &text));
    (date.to_owned(), clock.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_cut_not_rounded() {
        let time = Timestamp(1_795_402_802_904_513);
        assert_eq!(text_time(time), "2026-11-23 03:00:02Z");
        assert_eq!(clock_time(time), "03:00:02.904513Z");
        assert_eq!(text_time_or_dash(None), "-");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now = Timestamp(1_795_402_802_000_000);
        for (seconds, text) in [
            (0, "just now"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (239, "3 minutes ago"),
            (3_600, "1 hour ago"),
            (86_399, "23 hours ago"),
            (86_400, "1 day ago"),
            (864_000, "10 days ago"),
        ] {
            assert_eq!(age(Timestamp(now.0 - seconds * 1_000_000), now), text);
        }
        assert_eq!(age(Timestamp(now.0 + 1), now), "in the future");
    }
}
