//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970 UTC; none before.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the time of day itself is asked for")]
pub fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
