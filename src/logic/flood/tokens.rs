//! A token bucket that counts things instead of bytes, of which some tokens can be kept back.

use std::time::Duration;

/// `burst` tokens at once, then one every `pace`.
#[derive(Debug, Clone)]
pub struct Tokens {
    burst: u32,
    pace: Duration,
    /// When the bucket is full again.
    full_at: Duration,
}

impl Tokens {
    /// A full bucket.
    #[must_use]
    pub const fn new(burst: u32, pace: Duration) -> Self {
        Self { burst, pace, full_at: Duration::ZERO }
    }

    /// A bucket with only so many tokens yet.
    #[must_use]
    pub fn with(self, tokens: u32, now: Duration) -> Self {
        Self { full_at: now + self.pace * self.burst.saturating_sub(tokens), ..self }
    }

    /// Takes a token if more than `keep` are there.
    pub fn take(&mut self, keep: u32, now: Duration) -> bool {
        let next = self.full_at.max(now) + self.pace;
        let allowed = next <= now + self.pace * self.burst.saturating_sub(keep);
        if allowed {
            self.full_at = next;
        }
        allowed
    }

    /// Takes a token, of which there may be none yet, and says how long to wait for it.
    pub fn owe(&mut self, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now) + self.pace;
        self.full_at.saturating_sub(now + self.pace * self.burst)
    }
}

#[cfg(test)]
mod tests {
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
}
