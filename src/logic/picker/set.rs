//! A set of units with a fast "next one from here": a tree of 64-ary words.
//! Invariant: a bit of an upper level is set exactly when its word below is not zero.

/// A set of unit indexes below a fixed bound.
#[derive(Debug, Clone)]
pub(super) struct UnitSet {
    levels: Vec<Vec<u64>>,
    count: u32,
}

impl UnitSet {
    pub(super) fn new(len: u32) -> Self {
        let mut levels = vec![vec![0; (len as usize).div_ceil(64)]];
        while let Some(below) = levels.last().map(Vec::len).filter(|len| *len > 1) {
            levels.push(vec![0; below.div_ceil(64)]);
        }
        Self { levels, count: 0 }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn insert(&mut self, unit: u32) -> bool {
        let mut at = unit as usize;
        if self.levels[0][at / 64] >> (at % 64) & 1 == 1 {
            return false;
        }
        for level in &mut self.levels {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
        self.count += 1;
        true
    }

    pub(super) fn remove(&mut self, unit: u32) -> bool {
        let mut at = unit as usize;
        if self.levels[0][at / 64] >> (at % 64) & 1 == 0 {
            return false;
        }
        self.count -= 1;
        for level in &mut self.levels {
            level[at / 64] &= !(1 << (at % 64));
            if level[at / 64] != 0 {
                break;
            }
            at /= 64;
        }
        true
    }

    /// The first unit that is at least `from`.
    #[expect(clippy::cast_possible_truncation, reason = "positions come from u32 units")]
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let mut at = from as usize;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / 64)? & (u64::MAX << (at % 64));
            if word != 0 {
                let found = at / 64 * 64 + word.trailing_zeros() as usize;
                return Some(self.descend(found, height) as u32);
            }
            at = at / 64 + 1;
        }
        None
    }

    fn descend(&self, mut at: usize, height: usize) -> usize {
        for level in self.levels[..height].iter().rev() {
            at = at * 64 + level[at].trailing_zeros() as usize;
        }
        at
    }

    /// The 64 units from `64 × index` on, the lowest bit first.
    pub(super) fn word(&self, index: usize) -> u64 {
        self.levels[0].get(index).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_an_ordered_set(ops in prop::collection::vec((any::<bool>(), 0_u32..9000, 0_u32..9100), 1..300)) {
            let (mut set, mut model) = (UnitSet::new(9000), BTreeSet::new());
            for (insert, unit, from) in ops {
                if insert {
                    prop_assert_eq!(set.insert(unit), model.insert(unit));
                } else {
                    prop_assert_eq!(set.remove(unit), model.remove(&unit));
                }
                prop_assert_eq!(set.next(from), model.range(from..).next().copied());
                prop_assert_eq!(set.count() as usize, model.len());
            }
        }
    }

    #[test]
    fn an_empty_row_has_no_next() {
        assert_eq!(UnitSet::new(0).next(0), None);
        assert_eq!(UnitSet::new(64).next(64), None);
    }
}
