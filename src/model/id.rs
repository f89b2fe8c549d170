//! Node ids and content ids: 32 bytes each, with one text form each. Query ids: 16 random bytes.
//! A node id is BLAKE3 of a public key; a content id is BLAKE3 of the bytes, as `b3sum` prints it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text or byte string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 52 characters of lower-case base32.
    #[error("not a node id (52 characters of a-z and 2-7)")]
    Node,
    /// Not 64 hexadecimal characters.
    #[error("not a content id (64 hexadecimal characters)")]
    Content,
}

/// BLAKE3 of the DER SubjectPublicKeyInfo of a node's Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// Length of the text form in characters.
    pub const TEXT_LEN: usize = 52;

    /// The id of the key whose DER SubjectPublicKeyInfo is given.
    #[must_use]
    pub fn of_public_key(spki_der: &[u8]) -> Self {
        Self(*blake3::hash(spki_der).as_bytes())
    }

    /// The id just before this one in order; none before the first.
    #[must_use]
    pub fn before(&self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let borrows = *byte == 0;
            *byte = byte.wrapping_sub(1);
            if !borrows {
                return Some(Self(bytes));
            }
        }
        None
    }

    /// The first 8 characters, for display only.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let lower = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if text.len() != Self::TEXT_LEN || !lower {
            return Err(IdError::Node);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| IdError::Node)?;
        bytes.try_into().map(Self).map_err(|_| IdError::Node)
    }
}

/// The plain BLAKE3 hash of a file's bytes, or of a collection's canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// Length of the text form in characters.
    pub const TEXT_LEN: usize = 64;

    /// The id of no bytes at all (BLAKE3's first test vector).
    pub const NOTHING: Self = Self([
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b, 0xcb,
        0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
    ]);

    /// Whether a file of `size` bytes can have this id, as far as that is known without its bytes: what has none has one
    /// id, and what has that id has none. A file without bytes has no unit by which it would be proven.
    #[must_use]
    pub fn may_have(&self, size: u64) -> bool {
        (size == 0) == (*self == Self::NOTHING)
    }

    /// The id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first 16 hexadecimal characters, which name partial files.
    #[must_use]
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..8])
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for ContentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).map_err(|_| IdError::Content)?;
        bytes.try_into().map(Self).map_err(|_| IdError::Content)
    }
}

/// The beginning of a content id's text form: all ids from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdPrefix {
    first: ContentId,
    last: ContentId,
}

impl IdPrefix {
    /// The shortest beginning that may stand for an id, in characters.
    pub const MIN_LEN: usize = 8;

    /// Whether an id begins with it.
    #[must_use]
    pub fn is_of(self, id: ContentId) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// The least id that begins with it.
    #[must_use]
    pub const fn first(self) -> ContentId {
        self.first
    }
}

impl FromStr for IdPrefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() < Self::MIN_LEN || text.len() > ContentId::TEXT_LEN {
            return Err(IdError::Content);
        }
        let filled = |by: &str| (text.to_owned() + &by.repeat(ContentId::TEXT_LEN - text.len())).parse();
        Ok(Self { first: filled("0")?, last: filled("f")? })
    }
}

/// A random number drawn at start: a lease is one per (node id, epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A random number drawn by whoever asks a query: it says nothing about who that is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueryId(#[serde(with = "bytes")] [u8; 16]);

impl QueryId {
    /// An id from its 16 bytes, as they travel.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A random number drawn by whoever offers something to single nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PutId(#[serde(with = "bytes")] [u8; 16]);

impl PutId {
    /// An id from its 16 bytes, as they travel.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// In hexadecimal digits.
impl fmt::Display for PutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryId({})", HEXLOWER.encode(&self.0[..4]))
    }
}

struct Bytes<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

/// What all ids have alike. In what people read they are their text form, else the bytes.
macro_rules! ids {
    ($($id:ident)*) => {$(
        impl $id {
            /// An id from its 32 bytes, as they travel.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes, as they travel.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($id), self.short())
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { to.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    return String::deserialize(from)?.parse().map_err(D::Error::custom);
                }
                from.deserialize_bytes(Bytes).map(Self)
            }
        }
    )*};
}

ids!(NodeId ContentId);

/// Ids travel as bytes, not as sequences of numbers.
mod bytes {
    use super::*;

    pub(super) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_that_of_all_that_begin_with_it() {
        let id = ContentId::of(b"x");
        let text = id.to_string();
        for length in [8, 9, 63, 64] {
            let prefix: IdPrefix = text[..length].to_uppercase().parse().expect("a beginning");
            assert!(prefix.is_of(id) && prefix.first() <= id && !prefix.is_of(ContentId::of(b"y")), "{length}");
        }
        for text in [&text[..7], &format!("{text}0"), "papers12", "\u{e9}1234567"] {
            assert!(text.parse::<IdPrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_forms_round_trip() {
        let node = NodeId::of_public_key(b"key");
        assert_eq!(node.to_string().len(), NodeId::TEXT_LEN);
        assert_eq!(node.to_string().parse(), Ok(node));
        let content = ContentId::of(b"");
        assert_eq!(content.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(content.to_string().parse(), Ok(content));
    }

    #[test]
    fn only_the_id_of_nothing_has_no_bytes() {
        assert_eq!(ContentId::of(b""), ContentId::NOTHING);
        let other = ContentId::of(b"x");
        assert_eq!([ContentId::NOTHING.may_have(0), other.may_have(1)], [true; 2]);
        assert_eq!([ContentId::NOTHING.may_have(1), other.may_have(0)], [false; 2]);
    }

    #[test]
    fn wrong_texts_are_refused() {
        let upper = NodeId::of_public_key(b"key").to_string().to_ascii_uppercase();
        assert_eq!(upper.parse::<NodeId>(), Err(IdError::Node));
        assert_eq!("a".repeat(51).parse::<NodeId>(), Err(IdError::Node));
        assert_eq!("g".repeat(64).parse::<ContentId>(), Err(IdError::Content));
    }
}
