//! Which provider works on which stretch of the row, so that each reads its disk in long sequential runs.
//! Invariant: regions never overlap. Not responsible for which units within a region are still wanted.

use std::ops::Range;

use crate::model::NodeId;

#[derive(Debug, Clone)]
struct Region {
    owner: Option<NodeId>,
    next: u32,
    end: u32,
    rate: u64,
}

/// The regions of all providers.
#[derive(Debug, Clone)]
pub(super) struct Regions {
    regions: Vec<Region>,
}

impl Regions {
    pub(super) fn new(units: u32) -> Self {
        Self { regions: vec![Region { owner: None, next: 0, end: units, rate: 0 }] }
    }

    /// Two regions, of which the one that begins at `start` is given out first.
    pub(super) fn from(units: u32, start: u32) -> Self {
        let region = |next, end| Region { owner: None, next, end, rate: 0 };
        let regions = [region(start, units), region(0, start)];
        Self { regions: regions.into_iter().filter(|r| r.next < r.end).collect() }
    }

    /// The rest of the provider's region.
    pub(super) fn of(&self, node: NodeId) -> Option<Range<u32>> {
        self.regions.iter().find(|r| r.owner == Some(node)).map(|r| r.next..r.end)
    }

    /// The provider has been given everything before `next`; its rate is remembered for the next division.
    pub(super) fn advance(&mut self, node: NodeId, next: u32, rate: u64) {
        if let Some(region) = self.regions.iter_mut().find(|r| r.owner == Some(node)) {
            region.next = next.min(region.end);
            region.rate = rate;
        }
        self.regions.retain(|r| r.next < r.end);
    }

    /// The provider is gone: its region is free.
    pub(super) fn forget(&mut self, node: NodeId) {
        for region in self.regions.iter_mut().filter(|r| r.owner == Some(node)) {
            region.owner = None;
        }
    }

    /// Gives a provider that has none a new region: the first free one, or its share, by rate, of the tail of the
    /// region that would take longest. `None` when nothing is worth dividing.
    pub(super) fn claim(&mut self, node: NodeId, rate: u64) -> Option<Range<u32>> {
        if let Some(free) = self.regions.iter_mut().find(|r| r.owner.is_none()) {
            free.owner = Some(node);
            free.rate = rate;
            return Some(free.next..free.end);
        }
        let longest = self.regions.iter_mut().filter(|r| r.end - r.next >= 2).max_by_key(|r| time_left(r))?;
        let share = share_of(longest.end - longest.next, rate, longest.rate);
        longest.end -= share;
        let range = longest.end..longest.end + share;
        self.regions.push(Region { owner: Some(node), next: range.start, end: range.end, rate });
        Some(range)
    }
}

fn time_left(region: &Region) -> u64 {
    (u64::from(region.end - region.next) << 32) / region.rate.max(1)
}

/// The part of `left` units for a newcomer; a rate that is not known yet counts as equal.
fn share_of(left: u32, newcomer: u64, owner: u64) -> u32 {
    let (newcomer, owner) = match (newcomer, owner) {
        (0, _) | (_, 0) => (1, 1),
        known => known,
    };
    let share = u128::from(left) * u128::from(newcomer) / (u128::from(newcomer) + u128::from(owner));
    u32::try_from(share).unwrap_or(left).clamp(1, left - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn newcomers_share_the_tail_by_rate() {
        let mut regions = Regions::new(100);
        assert_eq!(regions.claim(node(1), 0), Some(0..100));
        assert_eq!(regions.claim(node(2), 0), Some(50..100));
        regions.advance(node(1), 10, 30);
        regions.advance(node(2), 60, 10);
        assert_eq!(regions.claim(node(3), 30), Some(70..100));
        regions.forget(node(1));
        assert_eq!(regions.claim(node(4), 5), Some(10..50));
        regions.advance(node(4), 50, 5);
        assert_eq!(regions.of(node(4)), None);
    }

    #[test]
    fn a_single_unit_is_not_divided() {
        let mut regions = Regions::new(1);
        assert_eq!(regions.claim(node(1), 0), Some(0..1));
        assert_eq!(regions.claim(node(2), 0), None);
    }
}
