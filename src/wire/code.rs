//! Error codes: one type for refusals in answers, for stream resets and for closed connections.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u32", from = "u32")]
pub enum Code {
    /// The request was understood and is wrong in itself.
    BadRequest,
    /// Over a quota: try again after the time that comes with it.
    Busy,
    /// No longer wanted: the other side has it, or gave up.
    Cancelled,
    /// The file changed on the disk; nobody is to blame.
    Changed,
    /// The node is stopping.
    Closing,
    /// A second connection between the same two nodes.
    Duplicate,
    /// Not allowed for this node.
    Forbidden,
    /// Something failed on the answering side.
    Internal,
    /// Not offered.
    NotFound,
    /// The end of a connection that was only to see who answers.
    Probe,
    /// The id is offered with another size.
    SizeDiffers,
    /// No byte for too long.
    TimedOut,
    /// More than the limits allow.
    TooLarge,
    /// The file may not be read any more by whoever offers it.
    Unreadable,
    /// A message of an unknown type, or one that this role does not answer.
    Unsupported,
    /// A number that this version does not know.
    Other(u32),
}

const CODES: [(Code, u32); 15] = [
    (Code::Closing, 0),
    (Code::BadRequest, 1),
    (Code::Busy, 2),
    (Code::Cancelled, 3),
    (Code::Changed, 4),
    (Code::Duplicate, 5),
    (Code::Forbidden, 6),
    (Code::Internal, 7),
    (Code::NotFound, 8),
    (Code::Probe, 9),
    (Code::SizeDiffers, 10),
    (Code::TimedOut, 11),
    (Code::TooLarge, 12),
    (Code::Unsupported, 13),
    (Code::Unreadable, 14),
];

impl From<Code> for u32 {
    fn from(code: Code) -> Self {
        if let Code::Other(number) = code {
            return number;
        }
        CODES.iter().find(|(c, _)| *c == code).map_or(Self::MAX, |(_, number)| *number)
    }
}

impl From<u32> for Code {
    fn from(number: u32) -> Self {
        CODES.iter().find(|(_, n)| *n == number).map_or(Self::Other(number), |(code, _)| *code)
    }
}

/// In words: a cause, as it stands behind a colon.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest => "the request is wrong in itself",
            Self::Busy => "too much is asked at once",
            Self::Cancelled => "it is no longer wanted",
            Self::Changed => "the file has changed",
            Self::Closing => "it is stopping",
            Self::Duplicate => "another connection between the two stays",
            Self::Forbidden => "this node is not served there",
            Self::Internal => "something failed on that side",
            Self::NotFound => "it is not offered",
            Self::Other(number) => return write!(f, "code {number}, which this version does not know"),
            Self::Probe => "it was only to see who answers",
            Self::SizeDiffers => "it is offered with another size",
            Self::TimedOut => "nothing came for too long",
            Self::TooLarge => "it is more than the limits allow",
            Self::Unreadable => "the file may not be read any more",
            Self::Unsupported => "such requests are not answered there",
        })
    }
}

/// A request that was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}")]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// With Busy: after how many milliseconds to ask again.
    #[serde(default)]
    pub retry_ms: u32,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self { code, retry_ms: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number() {
        for (code, number) in CODES {
            assert_eq!((u32::from(code), Code::from(number)), (number, code));
        }
        assert_eq!(u32::from(Code::from(9999)), 9999);
    }
}
