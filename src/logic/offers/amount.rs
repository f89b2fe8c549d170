//! How much memory an offer needs where it is listed: what quotas count.

use crate::model::Offer;

/// What an offer takes in the lists of its segment: itself, where its folded name ends (with the line's own end), its place
/// in the order of ids.
const LISTED: u64 = size_of::<Offer>() as u64 + 5 + 2;
/// Two counters precede a shared name.
const COUNTERS: u64 = 16;

/// How much there is of something that has quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Offers.
    pub names: u64,
    /// Bytes of memory that they need.
    pub bytes: u64,
}

impl Amount {
    /// What one offer needs, as the allocator rounds it; folding can make a name many times longer. The lists of a segment
    /// are large, and rounded up by an eighth on the average.
    pub fn of(offer: &Offer, folded: &str) -> Self {
        let listed = LISTED + folded.len() as u64;
        Self { names: 1, bytes: allocated(COUNTERS + offer.name.as_str().len() as u64) + listed + listed / 8 }
    }

    /// Adds another amount.
    pub fn add(&mut self, other: Self) {
        self.names += other.names;
        self.bytes += other.bytes;
    }

    /// Takes another amount away.
    pub fn subtract(&mut self, other: Self) {
        self.names = self.names.saturating_sub(other.names);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// Whether nothing of either is left.
    pub const fn is_none(self) -> bool {
        self.names == 0 && self.bytes == 0
    }
}

/// What jemalloc takes for so many bytes: four sizes for each doubling, multiples of 16 at least.
const fn allocated(bytes: u64) -> u64 {
    let step = if bytes <= 128 { 16 } else { 1 << ((bytes - 1).ilog2() - 2) };
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SafePath;

    #[test]
    fn names_are_counted_as_the_allocator_takes_them() {
        let sizes = [(1, 16), (16, 16), (17, 32), (128, 128), (129, 160), (1025, 1280), (4096, 4096), (4112, 5120)];
        assert_eq!(sizes.map(|(bytes, _)| allocated(bytes)), sizes.map(|(_, size)| size));
        let name = SafePath::parse(&vec!["n".repeat(240); 16].join("/")).expect("a name");
        let long = Offer::file(name, 1, None);
        let bytes = Amount::of(&long, long.name.as_str()).bytes;
        assert!((8300..9000).contains(&bytes), "{bytes}");
    }
}
