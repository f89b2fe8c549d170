//! Rarest first: how many partial providers have each unit, and which wanted ones are the rarest.
//! Complete providers have every unit and so do not count. Exact for rows of a few thousand wanted units; above
//! that the rarest of a sample that begins at a place of the node's own, so that no choice costs more than it.

use std::ops::Range;

use itertools::Itertools as _;

use crate::model::Bitfield;

use super::Picker;

/// Wanted units that are compared for one choice.
const SAMPLE: usize = 4096;

/// How many partial providers have each unit; no memory until there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Availability {
    counts: Vec<u16>,
}

impl Availability {
    pub(super) fn of(&self, unit: u32) -> u16 {
        self.counts.get(unit as usize).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, unit: u32, total: u32) {
        if self.counts.is_empty() {
            self.counts = vec![0; total as usize];
        }
        if let Some(count) = self.counts.get_mut(unit as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, unit: u32) {
        if let Some(count) = self.counts.get_mut(unit as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Picker {
    /// Up to `count` units, the rarest first.
    pub(super) fn rarest(&self, has: Option<&Bitfield>, count: usize, allowed: impl Fn(u32) -> bool) -> Vec<u32> {
        let start = self.sample_start();
        let mut sample = Vec::new();
        self.sample(&mut sample, start..u32::MAX, has, &allowed);
        self.sample(&mut sample, 0..start, has, &allowed);
        sample.into_iter().k_smallest(count).map(|(_, _, unit)| unit).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder of a u32")]
    fn sample_start(&self) -> u32 {
        if self.wanted.count() as usize <= SAMPLE {
            return 0;
        }
        let draw = mix(self.seed ^ (u64::from(self.missing) << 32));
        (draw % u64::from(self.map.units())) as u32 & !63
    }

    fn sample(
        &self,
        sample: &mut Vec<(u16, u64, u32)>,
        range: Range<u32>,
        has: Option<&Bitfield>,
        allowed: &impl Fn(u32) -> bool,
    ) {
        let mut from = range.start;
        while let Some(next) = self.wanted.next(from).filter(|u| *u < range.end) {
            let word = next / 64;
            let mut bits = self.wanted.word(word as usize) & has.map_or(u64::MAX, |h| word_of(h, word as usize));
            while bits != 0 {
                let unit = word * 64 + bits.trailing_zeros();
                bits &= bits - 1;
                if allowed(unit) {
                    sample.push((self.availability.of(unit), mix(self.seed ^ u64::from(unit)), unit));
                }
            }
            if sample.len() >= SAMPLE {
                return;
            }
            let Some(after) = (word + 1).checked_mul(64) else { return };
            from = after;
        }
    }
}

fn word_of(field: &Bitfield, index: usize) -> u64 {
    let bytes = field.as_bytes().get(index * 8..).unwrap_or_default();
    let mut word = [0; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    u64::from_le_bytes(word)
}

/// A place in the row that differs from node to node.
#[expect(clippy::cast_possible_truncation, reason = "the remainder of a u32")]
pub(super) fn place(seed: u64, units: u32) -> u32 {
    (mix(seed) % u64::from(units.max(1))) as u32
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): spreads neighbouring numbers.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}
