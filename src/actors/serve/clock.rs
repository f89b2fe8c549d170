//! What the clock of this machine says, for whoever compares its own with it.

use std::time::Duration;

use crate::actors::serve::Stream;
use crate::io::clock::time_of_day;
use crate::wire::{ClockNow, limits};

/// Answers [`crate::wire::Request::Clock`].
pub async fn tell(stream: Stream) {
    stream.finish_with(ClockNow { unix_ms: millis(time_of_day()) }, limits::CONTROL).await;
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
