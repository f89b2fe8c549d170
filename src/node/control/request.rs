//! What a command asks of the running node of its home, and what it is told: both ends have one version of it.

use serde::{Deserialize, Serialize};

use crate::model::{ContentId, FoundHit, Hit, Query};
use crate::node::types::{Event, Notice, PeerRef, Places};

/// Bytes of an answer at most: a list of a collection of the most files that are usual.
pub(super) const ANSWER: usize = 256 << 20;

/// The first frame of a stream, beside those of `wire/control.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Something is asked for, with where to look for it.
    Ask(Places, Ask),
    /// Everything that the node reports from now on.
    Events,
}

/// What is asked: a method of [`crate::node::Node`] each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    Holdings(Hit),
    IsAsShown(Query, FoundHit),
    Knows(PeerRef),
    List(PeerRef),
    Locate(ContentId),
    Manifest(ContentId),
    Meant(Query),
    Neighbours,
    NotFound(String, Query),
    Peers,
    Search(Query, u32),
}

/// A frame of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// The end: so many bytes of MessagePack follow, what the method gives.
    Answer(u64),
    /// What is reported from now on comes.
    Begun,
    /// What the node reports.
    Event(Event),
    /// Something to tell the user.
    Notice(Notice),
}
