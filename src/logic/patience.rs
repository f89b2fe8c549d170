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
    /// How long is waited without news.
    pub limit: Duration,
    since: Duration,
}

impl Patience {
    /// Begins to wait.
    pub const fn new(limit: Duration, now: Duration) -> Self {
        Self { limit, since: now }
    }

    /// Something came: the wait begins anew.
    pub fn news(&mut self, now: Duration) {
        self.since = self.since.max(now);
    }

    /// So much of the time was no waiting for others: it does not count.
    pub fn held(&mut self, time: Duration, now: Duration) {
        self.since = (self.since + time).min(now).max(self.since);
    }

    /// Whether nothing came for too long.
    pub fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= self.limit
    }

    /// How much longer is waited without news.
    pub fn left(&self, now: Duration) -> Duration {
        self.limit.saturating_sub(now.saturating_sub(self.since))
    }
}

/// What comes has to come so fast at least, or is no news: 4 KiB within 4 s. A unit of 256 KiB takes four minutes then.
const FLOW: (u64, Duration) = (4 << 10, Duration::from_secs(4));
/// So much that comes, and of which nothing proves right, is no news any more: twice what a transfer may ask for at a time.
const UNPROVEN: u64 = 128 << 20;

/// What of the bytes that come to a transfer is news. Nobody holds it up with a byte now and then, nor with any number
/// of bytes that never become a unit; what is proven always is news, and is for the caller to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteNews {
    since: Duration,
    gathered: u64,
    unproven: u64,
}

impl ByteNews {
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
/// What hashing has to do in a second to be news, in bytes: that of a file on a network disk behind 2 Mbit/s. At this rate a
/// claim of any size ends, and whoever says that there is a byte more now and then holds nobody up.
const RATE: u64 = 256 << 10;

/// What of a provider's hashing is news: what is done beyond all that was, within the whole that was told first. A file that
/// is written to all the time is hashed again and again, and what it grew by meanwhile is no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HashingNews {
    /// The whole as it was told first.
    whole: Option<u64>,
    /// The most that was done when there was news, and when that was.
    most: u64,
    at: Duration,
}

impl HashingNews {
    /// So much is done of so much, at this time of an [`Awake`]; says whether that is news. More than `bound` is no whole.
    pub fn see(&mut self, (done, total): (u64, u64), bound: u64, now: Duration) -> bool {
        if self.whole.is_none() {
            // The first word says only where it begins.
            self.at = now;
        }
        let whole = *self.whole.get_or_insert_with(|| total.min(bound));
        let done = done.min(whole);
        let millis = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        // Of a small file, a hundredth.
        let step = STEP.min(whole / 100).max(1).max(RATE.saturating_mul(millis) / 1000);
        if done <= self.most || done < self.most.saturating_add(step).min(whole) {
            return false;
        }
        (self.most, self.at) = (done, now);
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

    #[test]
    fn what_was_no_waiting_does_not_count() {
        let mut patience = Patience::new(s(5), s(0));
        patience.held(s(3), s(4));
        assert!(!patience.is_over(s(7)) && patience.is_over(s(8)));
        patience.held(s(3600), s(8));
        assert!(!patience.is_over(s(12)) && patience.is_over(s(13)), "never beyond now");
    }

    /// Which of these words of a provider, one every so many milliseconds, are news.
    fn told(millis: u64, bound: u64, words: impl IntoIterator<Item = (u64, u64)>) -> Vec<bool> {
        let mut rising = HashingNews::default();
        let news = |(n, word)| rising.see(word, bound, Duration::from_millis(millis * n));
        (0..).zip(words).map(news).collect()
    }

    /// How many of these steps, each so many milliseconds and bytes, are news.
    fn news_of(steps: u64, millis: u64, bytes: u64) -> usize {
        let mut arrivals = ByteNews::default();
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
        let mut arrivals = ByteNews::default();
        let told = (0..1000).filter(|n| {
            arrivals.proven();
            arrivals.came(1 << 20, Duration::from_millis(n * 100))
        });
        assert_eq!(told.count(), 1000);
    }

    #[test]
    fn hashing_that_goes_on_is_news() {
        let large = 1 << 40;
        let news = told(1, large, [(STEP, large), (STEP + 1, large), (2 * STEP, large), (large, large)]);
        assert_eq!(news, [true, false, true, true], "a byte more is none");
        // 1 % a second of a gigabyte, and a slow disk's megabyte each 3 s.
        assert!(told(1000, 1 << 30, (1..=100).map(|n| (n * 10_737_419, 1 << 30))).iter().all(|news| *news));
        assert!(told(3000, large, (1..=100).map(|n| (n * STEP, large))).iter().all(|news| *news));
        // Files were added meanwhile, and one was hashed again from its beginning: the same bytes again are none.
        let words = [(0, 100), (10, 100), (10, 100), (40, 100), (50, 400), (20, 400), (49, 400), (54, 400)];
        assert_eq!(told(0, 1000, words), [false, true, false, true, true, false, false, true]);
    }

    #[test]
    fn a_log_that_grows_is_no_news_for_ever() {
        let words = (0..1000_u64).map(|n| {
            let size = 5000 + 11 * n;
            // Done and begun again by turns.
            (if n % 2 == 0 { 300_000 + size } else { 300_000 }, 300_000 + size)
        });
        assert!(told(100, 1 << 30, words).iter().filter(|news| **news).count() <= 1);
    }

    #[test]
    fn claims_beyond_the_whole_or_slower_than_any_disk_are_no_news_for_ever() {
        let count = |millis, bound, word: fn(u64) -> (u64, u64)| {
            told(millis, bound, (0..5000).map(word)).into_iter().filter(|news| *news).count()
        };
        assert!(count(1000, 5000, |n| (n, 1000)) <= 1, "a byte a second");
        assert!(count(1000, 5000, |n| (2000 + n, 1000)) <= 1, "past the total");
        assert!(count(1000, 5000, |n| (300 * n, 1000)) <= 2, "past the total at a rate");
        assert!(count(1000, 5000, |n| (0, 1000 + n)) == 0, "another total each time");
        assert!(count(1000, 5000, |n| (n, 0)) == 0, "of nothing");
        assert!(count(1000, 64 << 20, |n| (n << 20, u64::MAX)) <= 64, "past what was offered");
        assert!(count(8500, 1 << 40, |n| (n * 1_000_000, 1 << 40)) <= 1, "slower than any disk");
    }
}
