//! How long a frame may take: what has come of it must be as much as at the slowest rate, after a grace.
//! A total would have to be that of the longest frame, which a claim of that length would then hold for nothing.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::CallError;

/// A stream's request must be there this long after the stream began; a frame may pause so long in all.
pub const REQUEST: Duration = Duration::from_secs(10);
/// The slowest rate at which a frame's rest may come or go, in bytes per second (128 kbit/s), after [`REQUEST`].
pub(super) const SLOWEST: u64 = 16 << 10;

/// How long so many bytes may take at most.
pub const fn limit(bytes: usize) -> Duration {
    Duration::from_millis(REQUEST.as_millis() as u64 + (bytes as u64 * 1000) / SLOWEST)
}

/// A frame on its way, or other bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    begun: Instant,
    done: usize,
    /// For how long there may be no byte at all.
    idle: Option<Duration>,
}

impl Pace {
    /// It begins now.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), done: 0, idle: None }
    }

    /// The same, of bytes that must not pause for so long.
    pub fn without_pause(idle: Duration) -> Self {
        Self { idle: Some(idle), ..Self::begin() }
    }

    /// So many bytes have moved.
    pub const fn add(&mut self, bytes: usize) {
        self.done += bytes;
    }

    /// The other side was not to blame for so long.
    pub fn forgive(&mut self, waited: Duration) {
        self.begun += waited;
    }

    /// The next step, which must be over when what has moved until now has used up its time.
    ///
    /// # Errors
    /// As the step's, and when it takes too long.
    pub async fn step<T, E: Into<CallError>>(&self, step: impl Future<Output = Result<T, E>>) -> Result<T, CallError> {
        let due = self.begun + limit(self.done);
        let due = self.idle.map_or(due, |idle| due.min(Instant::now() + idle));
        let ended = timeout_at(due, step).await;
        ended.map_err(|_| CallError::TimedOut)?.map_err(Into::into)
    }
}
