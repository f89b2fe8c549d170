//! What neighbours say to each other on the standing stream of a [`crate::wire::Request::Join`].
//! Invariant: nothing here holds an address of who asks; a provider's address is filled in by its own neighbour.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::query::{MAX_WORDS, QueryError, Reading};
use crate::model::{ContentId, Hit, NodeId, Query, QueryId};
use crate::wire::heard::{Event, Heard, since};
use crate::wire::limits::{self, UNTOLD};

/// See [`crate::wire::Request::Join`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Asks, and is asked nothing: a command that ends soon.
    pub visiting: bool,
    /// What it says of itself.
    pub about: About,
}

/// What a node says of itself to a neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Addresses that may reach it, at most [`crate::wire::limits::CANDIDATES`]; dialled back before they are told on.
    #[serde(deserialize_with = "at_most::<_, _, { limits::CANDIDATES }>")]
    pub candidates: Vec<SocketAddr>,
    /// How many offers it has.
    pub offers: u64,
    /// [`crate::wire::limits::VERSION`] of the sender, which only a dialler is told otherwise.
    #[serde(default = "untold")]
    pub version: u16,
}

const fn untold() -> u16 {
    UNTOLD
}

impl Default for About {
    fn default() -> Self {
        Self { candidates: Vec::new(), offers: 0, version: UNTOLD }
    }
}

/// A frame between neighbours, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NeighbourFrame {
    /// The sender's own answer and all its branches are done.
    Done(QueryId),
    /// What was found, back on the way of the query.
    Found(QueryHits),
    /// Look for this, and ask your other neighbours.
    Query(FloodQuery),
    /// The sender has changed.
    About(About),
}

impl NeighbourFrame {
    /// The same for a neighbour of this version.
    #[must_use]
    pub fn for_version(self, version: u16) -> Self {
        match self {
            Self::Query(query) => Self::Query(FloodQuery { what: query.what.for_version(version), ..query }),
            frame => frame,
        }
    }

    /// The first version that has all of this frame.
    pub fn since(&self) -> u16 {
        match self {
            Self::Done(_) => since("NeighbourFrame::Done"),
            Self::Found(_) => since("NeighbourFrame::Found"),
            Self::Query(query) => since("NeighbourFrame::Query").max(query.what.since()),
            Self::About(_) => since("NeighbourFrame::About"),
        }
    }
}

/// A query on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloodQuery {
    /// Random; by it a node knows that it has answered already.
    pub id: QueryId,
    /// Over how many more links it may travel, this one counted; 0 is answered by Done alone.
    pub ttl: u8,
    /// What is looked for.
    pub what: Sought,
}

/// What a query looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Heard<Named>")]
pub enum Sought {
    /// Who has this content.
    Content(ContentId),
    /// Offers whose names match, where words are more than parts of names.
    Names(Names),
    /// Which nodes are there.
    Nodes,
    /// Something that a later version looks for: answered by Done alone, and never said.
    #[serde(skip_serializing)]
    Unknown,
    /// Offers whose names match; the words as typed.
    Words(#[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")] Vec<String>),
}

/// Words, and how they are read; as in [`crate::wire::Search`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The words as typed.
    #[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")]
    pub words: Vec<String>,
    /// Words may be patterns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub glob: bool,
    /// One word alone may be the beginning of an id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ids: bool,
    /// Words that are nearly theirs are as good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
}

impl From<&Query> for Sought {
    /// What needs no more than words is understood by every version.
    fn from(query: &Query) -> Self {
        let (words, Reading { glob, ids, near }) = (query.words().to_vec(), query.reading());
        if glob || ids || near { Self::Names(Names { words, glob, ids, near }) } else { Self::Words(words) }
    }
}

impl Sought {
    /// The query, where names are looked for.
    ///
    /// # Errors
    /// When the words are none.
    pub fn query(&self) -> Option<Result<Query, QueryError>> {
        match self {
            Self::Content(_) | Self::Nodes | Self::Unknown => None,
            Self::Names(Names { words, glob, ids, near }) => {
                Some(Query::read(words, Reading { glob: *glob, ids: *ids, near: *near }))
            }
            Self::Words(words) => Some(Query::read(words, Reading::default())),
        }
    }

    /// Whether names are looked for: one of several things is chosen then.
    pub const fn is_by_name(&self) -> bool {
        matches!(self, Self::Names(_) | Self::Words(_))
    }

    /// The same for a neighbour of an earlier version, which finds a part of it by the words alone.
    #[must_use]
    pub fn for_version(self, version: u16) -> Self {
        match self {
            Self::Names(names) if version < since("Sought::Names") => Self::Words(names.words),
            what => what,
        }
    }

    fn since(&self) -> u16 {
        match self {
            Self::Content(_) => since("Sought::Content"),
            Self::Names(_) => since("Sought::Names"),
            Self::Nodes => since("Sought::Nodes"),
            Self::Unknown => u16::MAX,
            Self::Words(_) => since("Sought::Words"),
        }
    }
}

/// Those that are known, as they travel.
#[derive(Deserialize)]
enum Named {
    Content(ContentId),
    Names(Names),
    Nodes,
    Words(#[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")] Vec<String>),
}

impl Event for Named {}

impl From<Heard<Named>> for Sought {
    fn from(heard: Heard<Named>) -> Self {
        match heard {
            Heard::Known(Named::Content(id)) => Self::Content(id),
            Heard::Known(Named::Names(names)) => Self::Names(names),
            Heard::Known(Named::Nodes) => Self::Nodes,
            Heard::Known(Named::Words(words)) => Self::Words(words),
            Heard::Unknown => Self::Unknown,
        }
    }
}

/// Part of an answer; a query may get several, and Done after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryHits {
    /// Of which query.
    pub id: QueryId,
    /// Offers. One without provider is of the node that sends this frame.
    #[serde(deserialize_with = "at_most::<_, _, { limits::FOUND }>")]
    pub hits: Vec<Hit>,
    /// Nodes, for [`Sought::Nodes`].
    #[serde(deserialize_with = "at_most::<_, _, { limits::FOUND }>")]
    pub nodes: Vec<Seen>,
}

/// A node as one of its neighbours knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which node.
    pub node: NodeId,
    /// Where its neighbour dialled it.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ADDRESSES }>")]
    pub addrs: Vec<SocketAddr>,
    /// How many offers it says to have.
    pub offers: u64,
    /// The neighbour that tells of it.
    pub by: NodeId,
}
