//! Frames: four bytes of length, big-endian, then one MessagePack value.
//! Structs travel as maps with named fields, so a field can be added; unknown fields are ignored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::wire::bounded::{self, BoundError};
use crate::wire::message::Request;
use crate::wire::names::names_of;

/// Bytes before the value.
pub const LEN: usize = 4;

/// Why a frame cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FrameError {
    /// Not one bounded MessagePack value.
    #[error(transparent)]
    Bound(#[from] BoundError),
    /// A bounded value that is not the expected message.
    #[error("the message is malformed: {0}")]
    Malformed(String),
    /// Longer than the message's cap, or empty.
    #[error("a message of {len} bytes where at most {cap} are allowed")]
    TooLong {
        /// What was claimed.
        len: usize,
        /// What is allowed.
        cap: usize,
    },
    /// A message of a type that this version does not know.
    #[error("a message of an unknown type")]
    Unknown,
}

/// The frame of a message: length and value.
///
/// # Errors
/// When it is longer than `cap`.
pub fn encode<T: Serialize>(message: &T, cap: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; LEN];
    let mut to = rmp_serde::Serializer::new(&mut frame).with_struct_map();
    message.serialize(&mut to).map_err(|e| FrameError::Malformed(e.to_string()))?;
    let len = check_len(frame.len() - LEN, cap)?;
    frame[..LEN].copy_from_slice(&len.to_be_bytes());
    Ok(frame)
}

/// Reads the length that precedes a value and checks it, before anything is allocated.
///
/// # Errors
/// When it is zero or more than `cap`.
pub fn length(prefix: [u8; LEN], cap: usize) -> Result<usize, FrameError> {
    let len = u32::from_be_bytes(prefix) as usize;
    check_len(len, cap)?;
    Ok(len)
}

/// Reads a value, without its length.
///
/// # Errors
/// When the bytes are not exactly one bounded value of that type.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, FrameError> {
    bounded::check(value)?;
    let mut from = rmp_serde::Deserializer::from_read_ref(value);
    from.set_max_depth(crate::wire::limits::DEPTH * 4);
    T::deserialize(&mut from).map_err(|e| FrameError::Malformed(e.to_string()))
}

/// Reads a request; tells an unknown type from a malformed message.
///
/// # Errors
/// As [`decode`], and [`FrameError::Unknown`].
pub fn decode_request(value: &[u8]) -> Result<Request, FrameError> {
    bounded::check(value)?;
    match bounded::tag(value) {
        Some(tag) if !names_of::<Request>().contains(&tag) => Err(FrameError::Unknown),
        _ => decode(value),
    }
}

fn check_len(len: usize, cap: usize) -> Result<u32, FrameError> {
    let too_long = FrameError::TooLong { len, cap };
    if len == 0 || len > cap {
        return Err(too_long);
    }
    u32::try_from(len).map_err(|_| too_long)
}
