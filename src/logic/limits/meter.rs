//! How often something may be done to each of many targets: a token bucket for each.
//! Invariant: targets whose bucket is full are not remembered, and no more than a limit of them at all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bucket::Bucket;

/// Token buckets by target.
#[derive(Debug)]
pub struct Meter<T> {
    /// A full bucket.
    full: Bucket,
    /// How long one token takes to come back.
    pace: Duration,
    targets: usize,
    buckets: BTreeMap<T, Bucket>,
}

impl<T: Ord> Meter<T> {
    /// `burst` at once, then one every `pace`; `targets` at most are remembered, and others wait for room.
    #[must_use]
    pub fn new(burst: u32, pace: Duration, targets: usize) -> Self {
        Self { full: Bucket::new(pace * burst), pace, targets, buckets: BTreeMap::new() }
    }

    /// Takes a token of the target, if there is one.
    pub fn allow(&mut self, target: T, now: Duration) -> bool {
        if self.buckets.len() >= self.targets {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.buckets.len() >= self.targets && !self.buckets.contains_key(&target) {
            return false;
        }
        let bucket = self.buckets.entry(target).or_insert_with(|| self.full.clone());
        bucket.take(self.pace, Duration::ZERO, now)
    }

    /// Puts a token back that turned out not to be needed.
    pub fn give_back(&mut self, target: &T) {
        if let Some(bucket) = self.buckets.get_mut(target) {
            bucket.give_back(self.pace);
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
