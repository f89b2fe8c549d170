//! What is asked of those who know: who offers what, who is there, and what a node tells its tracker.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::query::{MAX_WORDS, QueryError, Reading};
use crate::model::{Content, ContentId, Epoch, Hit, NodeId, Offer, Provider, Query, SafePath};
use crate::wire::limits;

/// See [`super::Request::Search`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Search {
    /// The words as typed; the asked side folds them.
    #[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")]
    pub words: Vec<String>,
    /// How many hits at most; never more than [`crate::wire::limits::HITS`].
    pub limit: u32,
    /// How many of the best hits to skip.
    pub skip: u32,
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

impl Search {
    /// The hits of a query after so many.
    #[must_use]
    pub fn of(query: &Query, limit: u32, skip: u32) -> Self {
        let Reading { glob, ids, near } = query.reading();
        Self { words: query.words().to_vec(), limit, skip, glob, ids, near }
    }

    /// What is looked for.
    ///
    /// # Errors
    /// When it is no query.
    pub fn query(&self) -> Result<Query, QueryError> {
        let Self { glob, ids, near, .. } = *self;
        Query::read(&self.words, Reading { glob, ids, near })
    }
}

/// A page of hits, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitPage {
    /// The hits.
    #[serde(deserialize_with = "at_most::<_, _, { limits::HITS as usize }>")]
    pub hits: Vec<Hit>,
    /// How many more there are after these.
    pub more: u64,
}

/// See [`super::Request::Locate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locate {
    /// Which content.
    pub id: ContentId,
}

/// See [`super::Request::FilesOf`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesOf {
    /// At a tracker: of which node. A node is asked with its own id, or none.
    pub node: Option<NodeId>,
    /// Offers after this name.
    pub after: Option<SafePath>,
}

/// A page of offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferPage {
    /// In name order.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub offers: Vec<Offer>,
    /// Whether there are more after the last.
    pub more: bool,
}

/// Who came and went; the first event has (a random choice of at most 50 of) those who are there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FollowEvent {
    /// New providers.
    #[serde(deserialize_with = "at_most::<_, _, { limits::JOINED }>")]
    pub joined: Vec<Provider>,
    /// Nodes that are gone.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub left: Vec<NodeId>,
}

/// The head of an announcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// Of the announcing process.
    pub epoch: Epoch,
    /// Rises by one with every announcement of an epoch; a gap means that a delta was lost.
    pub seq: u64,
    /// Replace everything known of the node instead of adding to it.
    pub full: bool,
    /// Addresses that may reach the node, at most [`crate::wire::limits::CANDIDATES`]; dialled back before use.
    /// None in an announcement that is not in full: the addresses that were reached stay published.
    #[serde(deserialize_with = "at_most::<_, _, { limits::CANDIDATES }>")]
    pub candidates: Vec<SocketAddr>,
    /// The UDP port on which the node listens.
    pub port: u16,
}

/// What an announcement changes; frames of at most a page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// Offers that are new or changed: an offer replaces the node's earlier one of the same name.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub add: Vec<Offer>,
    /// Names no longer offered.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub remove: Vec<SafePath>,
    /// Transfers in which the node takes part, with nothing yet or a part; they have no name.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub join: Vec<Content>,
    /// Transfers that it leaves.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub leave: Vec<Content>,
}

/// How an announcement was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Offers of the node that the directory now holds.
    pub taken: u64,
    /// Offers of this announcement that it did not take, over its quota.
    pub refused: u64,
    /// Milliseconds until the lease ends without renewal.
    pub lease_ms: u32,
    /// The addresses that are published: those that the tracker reached.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ADDRESSES }>")]
    pub reachable: Vec<SocketAddr>,
}

/// See [`super::Request::Renew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// Whose lease.
    pub epoch: Epoch,
    /// The last announcement that the node knows to be taken.
    pub seq: u64,
}

/// Whether the lease goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The tracker has that epoch at that seq; otherwise everything must be announced again.
    pub known: bool,
    /// The addresses that are published.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ADDRESSES }>")]
    pub reachable: Vec<SocketAddr>,
    /// Offers of the node that the directory holds now: fewer than were announced when others needed the room. None where
    /// the lease is not known, and of who does not tell.
    #[serde(default)]
    pub held: Option<u64>,
    /// So many offers more it would take of the node now.
    #[serde(default)]
    pub room: u64,
}

/// See [`super::Request::Withdraw`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Only this epoch ends.
    pub epoch: Epoch,
}

/// See [`super::Request::Peers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// Peers after this id.
    pub after: Option<NodeId>,
}

/// One known node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Which node.
    pub node: NodeId,
    /// Where it was reached.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ADDRESSES }>")]
    pub addrs: Vec<SocketAddr>,
    /// How many offers it has.
    pub offers: u64,
}

/// A page of peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPage {
    /// In node id order.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub peers: Vec<Peer>,
    /// Whether there are more after the last.
    pub more: bool,
}
