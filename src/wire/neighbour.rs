//! What neighbours say to each other on the standing stream of a [`crate::wire::Request::Join`].
//! Invariant: nothing here holds an address of who asks; a provider's address is filled in by its own neighbour.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::query::MAX_WORDS;
use crate::model::{ContentId, Hit, NodeId, QueryId};
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
    /// Which nodes are there.
    Nodes,
    /// Something that a later version looks for: answered by Done alone, and never said.
    #[serde(skip_serializing)]
    Unknown,
    /// Offers whose names match; the words as typed.
    Words(#[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")] Vec<String>),
}

impl Sought {
    fn since(&self) -> u16 {
        match self {
            Self::Content(_) => since("Sought::Content"),
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
    Nodes,
    Words(#[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")] Vec<String>),
}

impl Event for Named {}

impl From<Heard<Named>> for Sought {
    fn from(heard: Heard<Named>) -> Self {
        match heard {
            Heard::Known(Named::Content(id)) => Self::Content(id),
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
