//! The records of a Fetch stream: each unit's bytes after a head of five bytes.

use super::codec::FrameError;

/// Bytes of a record's head.
pub const RECORD_HEAD: usize = 5;

/// What precedes a unit's bytes: its index, big-endian, and one byte for what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// The unit's index within the content.
    pub unit: u32,
    /// What follows.
    pub kind: RecordKind,
}

/// What follows a record's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// The unit's bytes; their number is known to both sides.
    Bytes = 0,
    /// Nothing: this side has not got the unit (any more).
    Missing = 1,
}

impl RecordHead {
    /// As it travels.
    pub fn to_bytes(self) -> [u8; RECORD_HEAD] {
        let [a, b, c, d] = self.unit.to_be_bytes();
        [a, b, c, d, self.kind as u8]
    }

    /// Reads it.
    ///
    /// # Errors
    /// Unknown, for a kind that is none of these.
    pub const fn parse([a, b, c, d, kind]: [u8; RECORD_HEAD]) -> Result<Self, FrameError> {
        let kind = match kind {
            0 => RecordKind::Bytes,
            1 => RecordKind::Missing,
            _ => return Err(FrameError::Unknown),
        };
        Ok(Self { unit: u32::from_be_bytes([a, b, c, d]), kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_another_kind_is_refused() {
        for kind in [RecordKind::Bytes, RecordKind::Missing] {
            let head = RecordHead { unit: 0x0102_0304, kind };
            assert_eq!(head.to_bytes(), [1, 2, 3, 4, kind as u8]);
            assert_eq!(RecordHead::parse(head.to_bytes()).expect("known"), head);
        }
        assert!(RecordHead::parse([0, 0, 0, 0, 2]).is_err());
    }
}
