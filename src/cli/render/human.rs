//! Numbers as people read them: rates, durations, counts. Sizes are [`crate::model::Size`].

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::logic::explain::portions;
use crate::model::{Modified, Size};

/// Bytes a second: `50.0 MiB/s`.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", Size(bytes_per_second))
}

/// A duration in its two greatest units: `0.4 s`, `59 s`, `2 m 05 s`, `1 h 02 m`, `3 d 04 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// The day of a change, in UTC as its provider's clock says: `2026-11-30`; nothing where it is not known.
pub(crate) fn date(modified: Option<Modified>) -> String {
    let at = modified.map(|modified| UNIX_EPOCH + Duration::from_secs(modified.seconds()));
    at.map_or_else(String::new, |at| humantime::format_rfc3339_seconds(at).to_string().chars().take(10).collect())
}

/// A count with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 file`, `12,345 files`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// The word for one of several values, as in JSON.
pub(crate) fn word(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_default().trim_matches('"').to_owned()
}

/// How many whole hundredths `part` is of `whole`; 100 only when it is all.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    if part >= whole {
        return 100;
    }
    u64::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(100)
}

/// How many hundredths each part is of all of them: 100 together.
pub(crate) fn shares(parts: impl IntoIterator<Item = u64>) -> Vec<u32> {
    portions(&parts.into_iter().map(u128::from).collect::<Vec<_>>(), 100)
}

/// How long `bytes` take at a rate, if that is known.
pub(crate) fn time_left(bytes: u64, rate: u64) -> Option<Duration> {
    let millis = (u128::from(bytes) * 1000).checked_div(u128::from(rate))?;
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

/// The mean rate of a run in bytes a second; of a run that took no time, what it would be in a millisecond.
pub(crate) fn mean_rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0, "0.0 s"),
            (9_400, "9.4 s"),
            (59_900, "59 s"),
            (125_000, "2 m 05 s"),
            (3_720_000, "1 h 02 m"),
            (273_600_000, "3 d 04 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn dates_are_days() {
        let of = |seconds| date(Modified::new(seconds));
        assert_eq!((of(86_400), of(1_795_996_799)), ("1970-01-02".into(), "2026-11-29".into()));
        assert_eq!((of(253_402_300_799), of(0)), ("9999-12-31".into(), String::new()));
    }

    #[test]
    fn counts_shares_and_rates() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((counted(1, "file"), counted(1000, "file")), ("1 file".into(), "1,000 files".into()));
        assert_eq!((percent(0, 0), percent(999, 1000), percent(u64::MAX - 1, u64::MAX)), (100, 99, 99));
        assert_eq!((shares([1, 1, 1, 0]), shares([2, 1])), (vec![34, 33, 33, 0], vec![67, 33]));
        assert_eq!((shares([0, 0]), shares([])), (vec![0, 0], vec![]));
        assert_eq!(rate(50 << 20), "50.0 MiB/s");
        assert_eq!((time_left(100, 10), time_left(1, 0)), (Some(Duration::from_secs(10)), None));
        assert_eq!(time_left(71, 100), Some(Duration::from_millis(710)), "less than a second is not none");
        assert_eq!(mean_rate(1000, Duration::from_millis(500)), 2000);
        assert_eq!(mean_rate(7, Duration::ZERO), 7000);
    }
}
