//! What the clock of this machine says, for whoever compares its own with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::actors::serve::Stream;
use crate::wire::{ClockNow, limits};

/// Answers [`crate::wire::Request::Clock`].
pub async fn tell(stream: Stream) {
    stream.finish_with(ClockNow { unix_ms: millis(now()) }, limits::CONTROL).await;
}

/// The time of day, since 1970; none before.
#[expect(clippy::disallowed_methods, reason = "the time of day itself is asked for")]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
