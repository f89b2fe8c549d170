//! What is offered to single nodes: told to each of them, and pulled by them like any content.

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::{ContentId, Kind, Provider, PutId, SafePath};
use crate::wire::limits;

/// See [`super::Request::Put`]. Asked again with the same id it is the same offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Tells it from others of the same node.
    pub put: PutId,
    /// What is offered; may be nothing where there is a text.
    #[serde(deserialize_with = "at_most::<_, _, { limits::PUT_ITEMS }>")]
    pub items: Vec<PutItem>,
    /// A message, at most [`limits::PUT_TEXT`] bytes of UTF-8; empty where there is none.
    #[serde(default)]
    pub text: String,
    /// The other nodes that may have it, and where they are, so that they feed each other.
    #[serde(deserialize_with = "at_most::<_, _, { limits::PUT_RECEIVERS }>")]
    pub receivers: Vec<Provider>,
}

/// One content that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutItem {
    /// What it is to be called: one component. All names together have at most [`limits::PUT_NAMES`] bytes.
    pub name: SafePath,
    /// The content id.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// File bytes; for a collection the sum over its files.
    pub size: u64,
    /// Files in a collection; 1 for a file.
    pub files: u32,
    /// Whether the owner of a single file may execute it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// What becomes of it at the receiver; the stream ends after `Declined` and `Done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutEvent {
    /// It is not wanted.
    Declined,
    /// All of it is there.
    Done,
    /// It was accepted, and so many bytes of it are proven there.
    Have(u64),
    /// Nobody has decided yet.
    Waiting,
}
