//! A rate limit that tasks wait at, in the order in which they come.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::logic::limits::bucket::TokenBucket;
use crate::model::Rate;

/// A shared token bucket with a clock; cheap to clone. Without a rate nobody waits.
#[derive(Debug, Clone, Default)]
pub struct Throttle {
    bucket: Option<Arc<Limit>>,
}

#[derive(Debug)]
struct Limit {
    bucket: Mutex<TokenBucket>,
    rate: Rate,
    started: Instant,
}

impl Throttle {
    /// Limits to `rate`, or not at all.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        let limit = |rate| {
            let bucket = Mutex::new(TokenBucket::new(rate));
            Arc::new(Limit { bucket, rate, started: Instant::now() })
        };
        Self { bucket: rate.map(limit) }
    }

    /// Whether anybody may ever have to wait.
    pub const fn limits(&self) -> bool {
        self.bucket.is_some()
    }

    /// Waits until these bytes may go. Who came first goes first.
    pub async fn pass(&self, bytes: u64) {
        let Some(limit) = &self.bucket else { return };
        let wait = {
            let mut bucket = limit.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(bytes, limit.started.elapsed())
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How many bytes to pass at a time: what goes in a quarter of a second, so that nobody waits long behind
    /// one step, and who is on the other side does not take a step for silence; everything when there is no limit.
    pub fn step(&self) -> u64 {
        self.bucket.as_ref().map_or(u64::MAX, |limit| (limit.rate.get() / 4).max(1 << 10))
    }
}
