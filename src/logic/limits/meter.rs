//! How often something may be done to each of many targets: a token bucket for each.
//! Invariant: targets whose bucket is full are not remembered, and no more than a limit of them at all.

use std::collections::BTreeMap;
use std::time::Duration;

/// Token buckets by target.
#[derive(Debug)]
pub struct Meter<T> {
    burst: u32,
    /// How long one token takes to come back.
    pace: Duration,
    targets: usize,
    /// Until when each bucket is not full: a bucket that is full at `now` has no debt.
    full_at: BTreeMap<T, Duration>,
}

impl<T: Ord> Meter<T> {
    /// `burst` at once, then one every `pace`; `targets` at most are remembered, and others wait for room.
    #[must_use]
    pub const fn new(burst: u32, pace: Duration, targets: usize) -> Self {
        Self { burst, pace, targets, full_at: BTreeMap::new() }
    }

    /// Takes a token of the target, if there is one.
    pub fn allow(&mut self, target: T, now: Duration) -> bool {
        if self.full_at.len() >= self.targets {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= self.targets && !self.full_at.contains_key(&target) {
            return false;
        }
        let full_at = self.full_at.entry(target).or_default();
        let next = (*full_at).max(now) + self.pace;
        if next > now + self.pace * self.burst {
            return false;
        }
        *full_at = next;
        true
    }

    /// Puts a token back that turned out not to be needed.
    pub fn give_back(&mut self, target: &T) {
        if let Some(full_at) = self.full_at.get_mut(target) {
            *full_at = full_at.saturating_sub(self.pace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_pace_for_each_target() {
        let mut meter = Meter::new(3, Duration::from_secs(1), 2);
        let allowed = |meter: &mut Meter<u8>, target, at| meter.allow(target, Duration::from_secs(at));
        let now: Vec<_> = (0..5).map(|_| allowed(&mut meter, 1, 0)).collect();
        assert_eq!(now, [true, true, true, false, false]);
        assert!(allowed(&mut meter, 2, 0));
        assert!(!allowed(&mut meter, 3, 0), "no room");
        assert!(allowed(&mut meter, 3, 1), "2 is forgotten: its bucket is full");
        assert!(allowed(&mut meter, 1, 1) && !allowed(&mut meter, 1, 1));
        assert!(allowed(&mut meter, 1, 2));
    }
}
