//! A look over MessagePack bytes before serde sees them: depth, claimed lengths, trailing bytes.
//! Invariant: what passes is exactly one value, nested at most [`DEPTH`] deep, in which every array, map and
//! string has room in the bytes that remain. Extension types and floats are refused: no message has any.

use serde::{Deserialize, Serialize};

use crate::wire::limits::DEPTH;

/// Why bytes are not one bounded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BoundError {
    /// Nested too deep.
    #[error("the message nests too deep")]
    Depth,
    /// A type that no message uses.
    #[error("the message has a type that is not used")]
    Type,
    /// The bytes end before the value does, or a length claims more than there is.
    #[error("the message is cut short")]
    Short,
    /// Bytes after the value.
    #[error("the message has trailing bytes")]
    Trailing,
}

/// Checks that `bytes` are one bounded value.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(bytes: &[u8]) -> Result<(), BoundError> {
    let mut reader = Reader { rest: bytes };
    reader.value(0)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(BoundError::Trailing) }
}

/// The variant name of an externally tagged enum value, if that is what the bytes are.
pub fn tag(bytes: &[u8]) -> Option<&str> {
    let mut reader = Reader { rest: bytes };
    let first = reader.byte().ok()?;
    let len = match first {
        0x81 => reader.byte().ok().filter(|b| b & 0xe0 == 0xa0)? & 0x1f,
        0xa0..=0xbf => first & 0x1f,
        _ => return None,
    };
    std::str::from_utf8(reader.take(u64::from(len)).ok()?).ok()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<(), BoundError> {
        if depth > DEPTH {
            return Err(BoundError::Depth);
        }
        match self.byte()? {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Ok(()),
            marker @ 0x80..=0x8f => self.values(u64::from(marker & 0x0f) * 2, depth),
            marker @ 0x90..=0x9f => self.values(u64::from(marker & 0x0f), depth),
            marker @ 0xa0..=0xbf => self.take(u64::from(marker & 0x1f)).map(drop),
            marker @ (0xc4..=0xc6 | 0xd9..=0xdb) => {
                let width = 1 << (marker - if marker < 0xd0 { 0xc4 } else { 0xd9 });
                let len = self.number(width)?;
                self.take(len).map(drop)
            }
            marker @ 0xcc..=0xcf => self.take(1 << (marker - 0xcc)).map(drop),
            marker @ 0xd0..=0xd3 => self.take(1 << (marker - 0xd0)).map(drop),
            marker @ 0xdc..=0xdd => {
                let count = self.number(2 << (marker - 0xdc))?;
                self.values(count, depth)
            }
            marker @ 0xde..=0xdf => {
                let count = self.number(2 << (marker - 0xde))?;
                self.values(count * 2, depth)
            }
            _ => Err(BoundError::Type),
        }
    }

    fn values(&mut self, count: u64, depth: usize) -> Result<(), BoundError> {
        if count > self.rest.len() as u64 {
            return Err(BoundError::Short);
        }
        (0..count).try_for_each(|_| self.value(depth + 1))
    }

    fn byte(&mut self) -> Result<u8, BoundError> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self, width: usize) -> Result<u64, BoundError> {
        Ok(self.take(width as u64)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], BoundError> {
        let len = usize::try_from(len).map_err(|_| BoundError::Short)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(BoundError::Short)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_refused() {
        assert_eq!(check(&[0x91; 700]), Err(BoundError::Depth));
        assert_eq!(check(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(BoundError::Short));
        assert_eq!(check(&[0xdf, 0xff, 0xff, 0xff, 0xff]), Err(BoundError::Short));
        assert_eq!(check(&[0xc6, 0xff, 0xff, 0xff, 0xff, 1]), Err(BoundError::Short));
        assert_eq!(check(&[0xcb, 0, 0, 0, 0, 0, 0, 0, 0]), Err(BoundError::Type));
        assert_eq!(check(&[0xd4, 1, 1]), Err(BoundError::Type));
        assert_eq!(check(&[1, 1]), Err(BoundError::Trailing));
        assert_eq!(check(&[]), Err(BoundError::Short));
    }

    #[test]
    fn the_tag_of_a_variant_is_found() {
        assert_eq!(tag(b"\x81\xa5Fetch\x90"), Some("Fetch"));
        assert_eq!(tag(b"\xa5Peers"), Some("Peers"));
        assert_eq!(tag(b"\x82\xa5Peers"), None);
        assert_eq!(tag(b"\x81\xa5Pee"), None);
    }
}
