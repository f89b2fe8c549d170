//! How fast bytes come while they are awaited: a sliding window over busy time.
//! Invariant: time in which nothing was asked for does not count, so that an idle provider does not look slow.

use std::time::Duration;

const SLOT: Duration = Duration::from_millis(100);
/// Two seconds: long enough to smooth bursts, short enough to notice a provider that slows down.
const SLOTS: usize = 20;
/// The first bytes of a fast provider come in less than a slot; a shorter time would be noise.
const SHORTEST: Duration = Duration::from_millis(10);

/// The rate of one flow.
#[derive(Debug, Clone, Default)]
pub struct Speed {
    slots: [u64; SLOTS],
    newest: u64,
    /// All bytes that ever came.
    pub total: u64,
    busy: Duration,
    since: Option<Duration>,
}

impl Speed {
    /// Bytes are awaited from now on.
    pub fn start(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// Nothing is awaited any more.
    pub fn stop(&mut self, now: Duration) {
        self.busy = self.clock(now);
        self.since = None;
    }

    /// Bytes have come.
    pub fn add(&mut self, bytes: u64, now: Duration) {
        self.turn_to(slot_of(self.clock(now)));
        self.slots[index(self.newest)] += bytes;
        self.total += bytes;
    }

    /// For how long bytes were awaited in all.
    pub fn busy(&self, now: Duration) -> Duration {
        self.clock(now)
    }

    /// Bytes per second over the last two busy seconds; `None` before the first byte.
    pub fn rate(&self, now: Duration) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let clock = self.clock(now);
        let current = slot_of(clock);
        let oldest = current.saturating_sub(SLOTS as u64 - 1);
        let first = oldest.max((self.newest + 1).saturating_sub(SLOTS as u64));
        let bytes: u64 = (first..=self.newest).map(|slot| self.slots[index(slot)]).sum();
        let window = clock.saturating_sub(SLOT * u32::try_from(oldest).unwrap_or(u32::MAX)).max(SHORTEST);
        let per_second = u128::from(bytes) * 1_000_000_000 / window.as_nanos();
        u64::try_from(per_second).ok()
    }

    fn clock(&self, now: Duration) -> Duration {
        self.busy + self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn turn_to(&mut self, slot: u64) {
        if slot <= self.newest {
            return;
        }
        let stale = (slot - self.newest).min(SLOTS as u64);
        for behind in 0..stale {
            self.slots[index(slot - behind)] = 0;
        }
        self.newest = slot;
    }
}

fn slot_of(clock: Duration) -> u64 {
    u64::try_from(clock.as_nanos() / SLOT.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "below SLOTS")]
const fn index(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_flow_has_its_rate_at_any_time() {
        let mut speed = Speed::default();
        assert_eq!(speed.rate(ms(0)), None);
        speed.start(ms(1000));
        for step in 1..=500 {
            speed.add(10_000, ms(1000 + step * 10));
            if step > 10 {
                let rate = speed.rate(ms(1000 + step * 10)).expect("flows");
                assert!((900_000..1_100_000).contains(&rate), "{rate} at step {step}");
            }
        }
    }

    #[test]
    fn idle_time_does_not_count_and_silence_does() {
        let mut speed = Speed::default();
        speed.start(ms(0));
        speed.add(1_000_000, ms(1000));
        speed.stop(ms(1000));
        assert_eq!(speed.rate(ms(60_000)), Some(1_000_000));
        assert_eq!(speed.busy(ms(60_000)), ms(1000));
        speed.start(ms(60_000));
        assert_eq!(speed.rate(ms(61_000)).map(|r| r / 100_000), Some(5));
        assert_eq!(speed.rate(ms(70_000)), Some(0));
    }
}
