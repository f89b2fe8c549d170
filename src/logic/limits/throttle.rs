//! A token bucket in the debt model: who takes, waits for what was taken before and for its own bytes.
//! Invariant: over any time t at most rate × t + burst bytes are let go. Not responsible for the waiting itself.

use std::time::Duration;

use crate::model::Rate;

/// The smallest burst, in bytes: one piece of reading or hashing.
const MIN_BURST: u64 = 64 << 10;
/// The burst as a time at the full rate.
const BURST: Duration = Duration::from_millis(50);

/// Limits a flow of bytes to a rate, first come, first served.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: Rate,
    burst: Duration,
    /// When everything taken so far has been paid, if nothing had been saved up.
    paid: Duration,
}

impl TokenBucket {
    /// A bucket that has its whole burst: 50 ms of the rate, at least 64 KiB.
    #[must_use]
    pub fn new(rate: Rate, now: Duration) -> Self {
        let burst = BURST.max(cost(MIN_BURST, rate));
        Self { rate, burst, paid: now }
    }

    /// The rate it keeps.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes bytes, now, and says how long the caller must wait before they may go.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        self.paid = self.paid.max(now).saturating_add(cost(bytes, self.rate));
        self.paid.saturating_sub(now.saturating_add(self.burst))
    }
}

fn cost(bytes: u64, rate: Rate) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(bytes: u64) -> Rate {
        Rate::bytes_per_second(bytes).expect("not zero")
    }

    #[test]
    fn the_burst_is_free_and_the_rest_waits() {
        let mut bucket = TokenBucket::new(rate(10_000_000), Duration::ZERO);
        assert_eq!(bucket.take(500_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(bucket.take(1_000_000, Duration::ZERO), Duration::from_millis(100));
        assert_eq!(bucket.take(1_000_000, Duration::ZERO), Duration::from_millis(200));
        assert_eq!(bucket.take(500_000, Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn a_slow_rate_still_lets_one_piece_go() {
        let mut bucket = TokenBucket::new(rate(1000), Duration::ZERO);
        assert_eq!(bucket.take(64 << 10, Duration::ZERO), Duration::ZERO);
        assert_eq!(bucket.take(1000, Duration::ZERO), Duration::from_secs(1));
        assert!(bucket.take(u64::MAX, Duration::ZERO) > Duration::from_secs(1 << 30));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_burst(takes in prop::collection::vec((1_u64..200_000, 0_u64..50), 1..200)) {
            let rate = rate(1_000_000);
            let mut bucket = TokenBucket::new(rate, Duration::ZERO);
            let (mut now, mut total, mut last) = (Duration::ZERO, 0, Duration::ZERO);
            for (bytes, pause) in takes {
                now += Duration::from_millis(pause);
                last = last.max(now + bucket.take(bytes, now));
                total += bytes;
                let allowed = last.as_secs_f64() * 1e6 + 65536.0;
                prop_assert!(total as f64 <= allowed + 1.0, "{total} by {last:?}");
            }
        }
    }
}
