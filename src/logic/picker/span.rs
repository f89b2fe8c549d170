//! How much one request holds.

/// How much one request may hold; the first unit always fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Bytes at most.
    pub bytes: u64,
    /// Units at most.
    pub units: usize,
    /// Ranges of consecutive units at most.
    pub ranges: usize,
}

/// Units collected for one request.
pub(super) struct Taken {
    pub(super) units: Vec<u32>,
    bytes: u64,
    ranges: usize,
    span: Span,
}

impl Taken {
    pub(super) const fn new(span: Span) -> Self {
        Self { units: Vec::new(), bytes: 0, ranges: 0, span }
    }

    pub(super) fn push(&mut self, unit: u32, len: u64) -> bool {
        let continues = unit > 0 && self.units.last() == Some(&(unit - 1));
        let ranges = self.ranges + usize::from(!continues);
        let fits =
            self.bytes + len <= self.span.bytes && self.units.len() < self.span.units && ranges <= self.span.ranges;
        if !fits && !self.units.is_empty() {
            return false;
        }
        self.units.push(unit);
        self.bytes += len;
        self.ranges = ranges;
        true
    }
}
