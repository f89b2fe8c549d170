//! How long somebody waits: time in which this process could work, and what counts as news.
//! Invariant: a gap (the process was stopped, the machine slept) counts as one tick, however long it was.

use std::time::Duration;

/// The most that one tick counts for. Ticks come ten times a second, so only a process that did not run gets here.
const TICK: Duration = Duration::from_secs(1);
/// Without a tick for so long, what was known of others is old: they count on a sign of life every 3 s.
const GAP: Duration = Duration::from_secs(3);

/// A clock that runs only while the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Awake {
    counted: Duration,
    last: Duration,
}

impl Awake {
    /// The time on this clock when the one on the wall has run for `clock`.
    #[must_use]
    pub fn at(&self, clock: Duration) -> Duration {
        self.counted + clock.saturating_sub(self.last).min(TICK)
    }

    /// The process runs; says whether it did not for a while. To be told several times a second.
    pub fn tick(&mut self, clock: Duration) -> bool {
        self.counted = self.at(clock);
        let passed = clock.saturating_sub(std::mem::replace(&mut self.last, clock));
        passed >= GAP
    }
}

/// A wait without news that a person has bounded; in time of an [`Awake`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    limit: Duration,
    since: Duration,
}

impl Patience {
    /// Begins to wait.
    #[must_use]
    pub const fn new(limit: Duration, now: Duration) -> Self {
        Self { limit, since: now }
    }

    /// Something came: the wait begins anew.
    pub fn news(&mut self, now: Duration) {
        self.since = self.since.max(now);
    }

    /// Whether nothing came for too long.
    #[must_use]
    pub fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= self.limit
    }

    /// How long is waited without news.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

/// What comes has to come so fast at least, or is no news: 4 KiB within 4 s. A unit of 256 KiB takes four minutes then.
const FLOW: (u64, Duration) = (4 << 10, Duration::from_secs(4));
/// So much that comes, and of which nothing proves right, is no news any more: twice what a transfer may ask for at a time.
const UNPROVEN: u64 = 128 << 20;

/// What of the bytes that come to a transfer is news. Nobody holds it up with a byte now and then, nor with any number
/// of bytes that never become a unit; what is proven always is news, and is for the caller to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    since: Duration,
    gathered: u64,
    unproven: u64,
}

impl Arrivals {
    /// So many bytes came; says whether they are news.
    pub fn came(&mut self, bytes: u64, now: Duration) -> bool {
        if now.saturating_sub(self.since) > FLOW.1 {
            // What came before came too slowly.
            (self.since, self.gathered) = (now, 0);
        }
        self.gathered += bytes;
        self.unproven = self.unproven.saturating_add(bytes);
        let news = self.gathered >= FLOW.0;
        if news {
            (self.since, self.gathered) = (now, 0);
        }
        news && self.unproven <= UNPROVEN
    }

    /// Something of it has proven right.
    pub fn proven(&mut self) {
        self.unproven = 0;
    }
}

/// The least step of hashing that is news: that much is hashed in milliseconds, or read from a slow disk within a second.
const STEP: u64 = 1 << 20;

/// What of a provider's hashing is news. A file that is written to all the time is hashed again and again, and what it
/// grew by meanwhile is no progress; nor is a word that there is a byte more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rising {
    /// The most that was done, and the whole at that time.
    most: (u64, u64),
    last: u64,
    fell: bool,
}

impl Rising {
    /// So much is done of so much; says whether that is news.
    pub fn see(&mut self, done: u64, total: u64) -> bool {
        self.fell |= done < self.last;
        self.last = done;
        let grown = if self.fell { total.saturating_sub(self.most.1) } else { 0 };
        // Of a small file, a hundredth.
        let step = STEP.min(total / 100).max(1);
        let floor = self.most.0.saturating_add(grown);
        if done <= floor || done < floor.saturating_add(step).min(total) {
            return false;
        }
        self.most = (done, total);
        self.fell = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_gap_counts_as_one_tick() {
        let mut awake = Awake::default();
        assert!(!awake.tick(Duration::from_millis(100)) && !awake.tick(Duration::from_millis(900)));
        assert_eq!(awake.at(s(1)), s(1));
        assert!(awake.tick(s(3600)), "a gap");
        assert_eq!(awake.at(s(3600)), Duration::from_millis(1900));
        assert!(!awake.tick(s(3601)));
        assert_eq!(awake.at(s(3601)), Duration::from_millis(2900));
        // Between two ticks it does not run ahead of what the next one will count.
        assert_eq!(awake.at(s(9000)), Duration::from_millis(3900));
    }

    #[test]
    fn a_stop_longer_than_the_patience_does_not_end_it() {
        let (mut awake, mut clock) = (Awake::default(), Duration::ZERO);
        let patience = Patience::new(s(5), awake.at(clock));
        for _ in 0..30 {
            clock += Duration::from_millis(100);
            awake.tick(clock);
        }
        clock += s(24 * 3600);
        awake.tick(clock);
        assert!(!patience.is_over(awake.at(clock)), "it waited for 4 s");
        for _ in 0..10 {
            clock += Duration::from_millis(100);
            awake.tick(clock);
        }
        assert!(patience.is_over(awake.at(clock)));
    }

    #[test]
    fn news_begin_the_wait_anew() {
        let mut patience = Patience::new(s(5), s(0));
        patience.news(s(4));
        assert!(!patience.is_over(s(8)) && patience.is_over(s(9)));
    }

    /// How many of these steps, each so many milliseconds and bytes, are news.
    fn news_of(steps: u64, millis: u64, bytes: u64) -> usize {
        let mut arrivals = Arrivals::default();
        (1..=steps).filter(|n| arrivals.came(bytes, Duration::from_millis(n * millis))).count()
    }

    #[test]
    fn bytes_that_trickle_are_no_news() {
        assert_eq!(news_of(10_000, 300, 1), 0);
        assert_eq!(news_of(1000, 100, 90), 0, "900 bytes a second");
        assert!(news_of(1000, 100, 110) >= 25, "1100 bytes a second");
        assert_eq!(news_of(5, 100, 1 << 20), 5);
    }

    #[test]
    fn bytes_that_never_prove_are_no_news_for_ever() {
        assert_eq!(news_of(1000, 100, 1 << 20), 128);
        let mut arrivals = Arrivals::default();
        let told = (0..1000).filter(|n| {
            arrivals.proven();
            arrivals.came(1 << 20, Duration::from_millis(n * 100))
        });
        assert_eq!(told.count(), 1000);
    }

    #[test]
    fn hashing_that_goes_on_is_news() {
        let mut rising = Rising::default();
        let large = 1 << 40;
        assert!(rising.see(STEP, large) && !rising.see(STEP + 1, large), "a byte more is none");
        assert!(rising.see(2 * STEP, large) && rising.see(large, large));
        let mut rising = Rising::default();
        assert!(!rising.see(0, 100));
        assert!(rising.see(10, 100) && !rising.see(10, 100) && rising.see(40, 100));
        // Files were added meanwhile: what is done goes on rising.
        assert!(rising.see(50, 400));
        // One of them was hashed again from its beginning: the same bytes again are none.
        assert!(!rising.see(20, 400) && !rising.see(49, 400) && rising.see(54, 400));
    }

    #[test]
    fn a_log_that_grows_is_no_news_for_ever() {
        let mut rising = Rising::default();
        let told = (0..1000_u64).filter(|n| {
            let size = 5000 + 11 * n;
            // Done and begun again by turns.
            let done = if n % 2 == 0 { 300_000 + size } else { 300_000 };
            rising.see(done, 300_000 + size)
        });
        assert!(told.count() <= 1);
    }
}
