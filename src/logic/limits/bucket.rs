//! Token buckets in the debt model: who takes, waits for what was taken before and for its own.
//! Invariant: over any time t at most t and the burst are let go, both as times: what is taken costs time, bytes theirs at
//! a rate, things a pace each. Not responsible for the waiting itself.

use std::time::Duration;

use crate::model::Rate;

/// What all of them do: how much was taken, as the time at which all of it is paid.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    burst: Duration,
    /// When everything taken so far has been paid, and the bucket is full again.
    full_at: Duration,
}

impl Bucket {
    /// A full one.
    pub(super) const fn new(burst: Duration) -> Self {
        Self { burst, full_at: Duration::ZERO }
    }

    /// Whether nothing is owed.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }

    /// Takes what may not be there yet, and says how long to wait for it.
    fn owe(&mut self, cost: Duration, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now).saturating_add(cost);
        self.full_at.saturating_sub(now.saturating_add(self.burst))
    }

    /// Takes it if so much is there, and `kept` is left.
    pub(super) fn take(&mut self, cost: Duration, kept: Duration, now: Duration) -> bool {
        let next = self.full_at.max(now) + cost;
        let allowed = next <= now + self.burst.saturating_sub(kept);
        if allowed {
            self.full_at = next;
        }
        allowed
    }

    /// Puts back what turned out not to be needed.
    pub(super) const fn give_back(&mut self, cost: Duration) {
        self.full_at = self.full_at.saturating_sub(cost);
    }
}

/// The smallest burst, in bytes: one piece of reading or hashing.
const MIN_BURST: u64 = 64 << 10;
/// The burst as a time at the full rate.
const BURST: Duration = Duration::from_millis(50);

/// Limits a flow of bytes to a rate, first come, first served.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: Rate,
    bucket: Bucket,
}

impl TokenBucket {
    /// A bucket that has its whole burst: 50 ms of the rate, at least 64 KiB.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: Bucket::new(BURST.max(cost(MIN_BURST, rate))) }
    }

    /// Takes bytes, now, and says how long the caller must wait before they may go.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        self.bucket.owe(cost(bytes, self.rate), now)
    }

    /// How long it takes until what was taken has been paid but for the burst.
    pub fn due(&self, now: Duration) -> Duration {
        self.bucket.full_at.saturating_sub(now.saturating_add(self.bucket.burst))
    }
}

fn cost(bytes: u64, rate: Rate) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Counts things instead of bytes: `burst` tokens at once, then one every `pace`. Some can be kept back.
#[derive(Debug, Clone)]
pub struct Tokens {
    pace: Duration,
    bucket: Bucket,
}

impl Tokens {
    /// A full bucket.
    #[must_use]
    pub fn new(burst: u32, pace: Duration) -> Self {
        Self { pace, bucket: Bucket::new(pace * burst) }
    }

    /// A bucket with only so many tokens yet.
    #[must_use]
    pub fn with(mut self, tokens: u32, now: Duration) -> Self {
        self.bucket.full_at = now + self.bucket.burst.saturating_sub(self.pace * tokens);
        self
    }

    /// Takes a token if more than `keep` are there.
    pub fn take(&mut self, keep: u32, now: Duration) -> bool {
        self.bucket.take(self.pace, self.pace * keep, now)
    }

    /// Takes a token, of which there may be none yet, and says how long to wait for it.
    pub fn owe(&mut self, now: Duration) -> Duration {
        self.bucket.owe(self.pace, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_kept_back_is_there_for_others() {
        let mut tokens = Tokens::new(4, SECOND);
        let taken = (0..9).filter(|_| tokens.take(1, Duration::ZERO)).count();
        assert_eq!(taken, 3);
        assert!(tokens.take(0, Duration::ZERO) && !tokens.take(0, Duration::ZERO));
        assert!(tokens.take(0, SECOND) && !tokens.take(1, SECOND));
    }

    #[test]
    fn a_newcomer_begins_with_little() {
        let mut tokens = Tokens::new(4, SECOND).with(1, 9 * SECOND);
        assert!(tokens.take(0, 9 * SECOND) && !tokens.take(0, 9 * SECOND) && tokens.take(0, 10 * SECOND));
        assert_eq!((0..9).filter(|_| tokens.take(0, 99 * SECOND)).count(), 4);
    }

    #[test]
    fn who_owes_waits_a_pace_for_each() {
        let mut tokens = Tokens::new(2, SECOND);
        let waits: Vec<_> = (0..4).map(|_| tokens.owe(Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2]);
        assert_eq!(tokens.owe(9 * SECOND), Duration::ZERO);
    }

    fn rate(bytes: u64) -> Rate {
        Rate::bytes_per_second(bytes).expect("not zero")
    }

    #[test]
    fn the_burst_is_free_and_the_rest_waits() {
        let mut bucket = TokenBucket::new(rate(10_000_000));
        assert_eq!(bucket.take(500_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(bucket.take(1_000_000, Duration::ZERO), Duration::from_millis(100));
        assert_eq!(bucket.take(1_000_000, Duration::ZERO), Duration::from_millis(200));
        assert_eq!(bucket.take(500_000, Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn a_slow_rate_still_lets_one_piece_go() {
        let mut bucket = TokenBucket::new(rate(1000));
        assert_eq!(bucket.take(64 << 10, Duration::ZERO), Duration::ZERO);
        assert_eq!(bucket.take(1000, Duration::ZERO), Duration::from_secs(1));
        assert!(bucket.take(u64::MAX, Duration::ZERO) > Duration::from_secs(1 << 30));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_burst(takes in prop::collection::vec((1_u64..200_000, 0_u64..50), 1..200)) {
            let rate = rate(1_000_000);
            let mut bucket = TokenBucket::new(rate);
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
