//! What goes into the machine and what comes out.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::address::Teller;
use crate::model::{Hit, NodeId, QueryId};
use crate::wire::{FloodQuery, NeighbourFrame, QueryHits, Seen, Sought};

/// What the machine is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// The own answer to a query, all of it.
    Answered {
        /// Which query.
        id: QueryId,
        /// Offers, without provider.
        hits: Vec<Hit>,
        /// Nodes.
        nodes: Vec<Seen>,
    },
    /// The own answer, all of it, for this neighbour alone: see [`FloodOrder::Aside`].
    Aside {
        /// Which query.
        id: QueryId,
        /// Who asked.
        from: NodeId,
        /// Offers, without provider.
        hits: Vec<Hit>,
    },
    /// Something is looked for here.
    Ask {
        /// What, and how far.
        query: FloodQuery,
        /// Until then new neighbours are asked too, and the search is not over.
        hold: Duration,
    },
    /// A frame came.
    Frame {
        /// From which neighbour.
        from: NodeId,
        /// What it said.
        frame: NeighbourFrame,
    },
    /// Who the friends are: see [`crate::logic::look::FRIENDS`].
    Friends(BTreeSet<NodeId>),
    /// A new neighbour.
    Joined {
        /// Which.
        node: NodeId,
        /// Its end of the connection, and at which address it sees this one.
        ends: Teller,
        /// It is a command that ends soon: see [`Input::Reached`].
        visiting: bool,
    },
    /// A neighbour is gone.
    Left(NodeId),
    /// A neighbour is one no more, until it comes again over the connection that stays.
    Moved(NodeId),
    /// Where a neighbour was dialled under its own id; nowhere for a visitor that has nothing to give any more.
    Reached(NodeId, Vec<SocketAddr>),
    /// This search need not be held for new neighbours any longer.
    Release(QueryId),
    /// No new neighbours are expected: searches need not be held any longer.
    Settled,
    /// A neighbour said what only a later version knows.
    Unknown,
    /// Nobody waits for this query any more.
    Unwanted(QueryId),
    /// Who asked this may not be told what is here: nothing is the answer. Others who ask the same may be told.
    Withheld(QueryId),
    /// Time has passed: see [`super::Flood::wake`].
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FloodOrder {
    /// Answer this from what is here, with [`Input::Answered`].
    Answer {
        /// Which query.
        id: QueryId,
        /// The neighbour that sent it.
        from: NodeId,
        /// What is looked for.
        what: Sought,
    },
    /// Answer this for this neighbour alone, with [`Input::Aside`]: the query came to it on another way, too, and who
    /// forwarded it was told nothing.
    Aside {
        /// Which query.
        id: QueryId,
        /// The neighbour that sent it.
        from: NodeId,
        /// What is looked for.
        what: Sought,
    },
    /// A neighbour did what no honest one does.
    Blame(NodeId, Fault),
    /// Something came for a query of this node, from this neighbour.
    Found(NodeId, QueryHits),
    /// A query of this node is over.
    Over {
        /// Which.
        id: QueryId,
        /// Those who have not said so, and were given up.
        silent: Vec<NodeId>,
    },
    /// To a neighbour.
    Send(NodeId, NeighbourFrame),
}

/// What a neighbour did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More queries than are forwarded for one.
    Greedy,
    /// Words that are no query: none, or too many, or too long.
    Malformed,
    /// A TTL of 0, or one beyond what the protocol has.
    Ttl,
    /// An answer to what nobody asked.
    Unsolicited,
}

/// What has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Queries handled: each once.
    pub handled: u64,
    /// Queries that came again.
    pub duplicates: u64,
    /// Queries sent: own and forwarded.
    pub sent: u64,
    /// Frames and look-ups of a later version, which were skipped.
    pub unknown: u64,
}
