//! What is asked of those who have a content: its list, its bytes, how much of it there is.

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::{ContentId, Offer, SafePath};
use crate::wire::code::{Code, Refusal};
use crate::wire::limits;

/// See [`super::Request::Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which collection.
    pub id: ContentId,
}

/// What follows: the collection's canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestHead {
    /// How many bytes.
    pub len: u64,
    /// What the provider's directory has beside what the collection has.
    #[serde(default)]
    pub left_out: LeftOut,
}

/// Files of a provider's directory that its collection of it leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// The first of them, at most eight.
    #[serde(deserialize_with = "at_most::<_, _, { limits::LEFT_OUT }>")]
    pub files: Vec<LeftOutFile>,
    /// How many more there are.
    pub more: u32,
}

impl LeftOut {
    /// Whether it is nothing.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty() && self.more == 0
    }
}

/// A file that a collection leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutFile {
    /// Its path within the directory.
    pub path: SafePath,
    /// Why: `Changed` while it is being written all the time, any other when it cannot be read.
    pub why: Code,
}

/// See [`super::Request::Times`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Which content.
    pub id: ContentId,
    /// Its size in bytes.
    pub size: u64,
}

/// What follows: for each file path of the content, in the order of its collection, nanoseconds since 1970 as eight
/// big-endian bytes, two's complement. No id vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimesHead {
    /// How many times: one for a file, one a file path for a collection.
    pub count: u32,
}

/// See [`super::Request::Fetch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Which content.
    pub id: ContentId,
    /// Its size in bytes: a provider that has another answers SizeDiffers.
    pub size: u64,
    /// Acceptable units as (first, count).
    #[serde(deserialize_with = "at_most::<_, _, { limits::FETCH_RANGES }>")]
    pub units: Vec<(u32, u32)>,
    /// How many of them to send. When fewer than are acceptable, the provider chooses those it has sent least.
    pub max: u32,
}

/// See [`super::Request::List`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The content through which the file is asked for: itself, or a collection that holds it.
    pub id: ContentId,
    /// Size of that content in bytes.
    pub size: u64,
    /// The file's first unit within that content.
    pub unit: u32,
}

/// What follows: `chunks` chaining values of 32 bytes, then the last chunk's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListHead {
    /// How many chaining values.
    pub chunks: u32,
}

/// See [`super::Request::Watch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Which content.
    pub id: ContentId,
    /// Its size in bytes.
    pub size: u64,
}

/// What a node has of a content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HaveEvent {
    /// Units newly there, as (first, count); everything in the first event.
    #[serde(deserialize_with = "at_most::<_, _, { limits::HAVE_RANGES }>")]
    pub units: Vec<(u32, u32)>,
    /// It has all of it and will send no further units.
    pub complete: bool,
    /// How many nodes are fetching this content from it right now.
    pub fetching: u32,
    /// Nothing is there any more: the file has gone or changed. No further event follows.
    #[serde(default)]
    pub gone: bool,
    /// Units newly not there any more because their file changed, as (first, count); they do not come back.
    #[serde(default, deserialize_with = "at_most::<_, _, { limits::HAVE_RANGES }>")]
    pub changed: Vec<(u32, u32)>,
    /// Whether the owner of a single file may execute it, as in an offer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// See [`super::Request::Resolve`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// The offer's name.
    pub name: SafePath,
}

/// How far hashing is; the stream ends after `Done`, or with a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResolveEvent {
    /// The offer, with its id.
    Done(Offer),
    /// Bytes hashed so far, of how many.
    Hashing(u64, u64),
    /// It could not be hashed; Changed says that it is being written all the time.
    Failed(Refusal),
}
