//! A set of units, one bit each.
//! Invariant: bits beyond the length are never set. Not responsible for what a unit is.

use std::ops::Range;

/// A fixed number of bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// `len` bits, all clear.
    #[must_use]
    pub fn empty(len: u32) -> Self {
        Self { bytes: vec![0; len.div_ceil(8) as usize], len, ones: 0 }
    }

    /// `len` bits, all set.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut field = Self::empty(len);
        field.set_range(0..len);
        field
    }

    /// From the bytes as they travel: bit `i` is bit `i % 8`, counted from the lowest, of byte `i / 8`.
    /// `None` when the byte count is not that of `len` bits, or a bit beyond is set.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        let spare = len % 8;
        if spare != 0 && bytes.last().is_some_and(|last| last >> spare != 0) {
            return None;
        }
        let ones = bytes.iter().map(|b| b.count_ones()).sum();
        Some(Self { bytes: bytes.to_vec(), len, ones })
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no bits at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bits are set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every bit is set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether the bit is set; false beyond the end.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        index < self.len && self.bytes[(index / 8) as usize] >> (index % 8) & 1 == 1
    }

    /// Sets the bit; says whether it was clear. Beyond the end nothing happens.
    pub fn set(&mut self, index: u32) -> bool {
        if index >= self.len || self.has(index) {
            return false;
        }
        self.bytes[(index / 8) as usize] |= 1 << (index % 8);
        self.ones += 1;
        true
    }

    /// Clears the bit; says whether it was set.
    pub fn clear(&mut self, index: u32) -> bool {
        if !self.has(index) {
            return false;
        }
        self.bytes[(index / 8) as usize] &= !(1 << (index % 8));
        self.ones -= 1;
        true
    }

    /// Sets all bits of the range that exist.
    pub fn set_range(&mut self, range: Range<u32>) {
        for index in range.start..range.end.min(self.len) {
            self.set(index);
        }
    }

    /// The set bits in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|&i| self.has(i))
    }

    /// The set bits as ascending, disjoint, non-adjacent ranges.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range<u32>> {
        ranges_of(self.iter())
    }
}

/// Joins ascending numbers into ranges.
#[must_use]
pub fn ranges_of(numbers: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for n in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == n => last.end += 1,
            _ => ranges.push(n..n + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_counts_and_ranges_agree() {
        let mut field = Bitfield::empty(19);
        field.set_range(3..6);
        assert!(field.set(18));
        assert!(!field.set(18) && !field.set(19));
        assert_eq!((field.count(), field.ranges()), (4, vec![3..6, 18..19]));
        assert!(field.clear(4) && !field.clear(4));
        assert_eq!(field.iter().collect::<Vec<_>>(), [3, 5, 18]);
        assert_eq!(Bitfield::from_bytes(field.as_bytes(), 19), Some(field));
        assert!(Bitfield::full(19).is_full());
    }

    #[test]
    fn bytes_with_bits_beyond_the_end_are_refused() {
        assert_eq!(Bitfield::from_bytes(&[0, 0, 8], 19), None);
        assert_eq!(Bitfield::from_bytes(&[0, 0], 19), None);
    }
}
