//! Every message. `docs/protocol.md` describes each with its limits and the bytes of an example;
//! a snapshot test holds the same bytes.
//!
//! The side that opens a bidirectional stream sends one [`Request`]; the other side sends one
//! `Answer<…>` and then, for streams of events or bytes, what follows it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Content, ContentId};
use crate::wire::code::Refusal;
use crate::wire::content::{Fetch, List, Manifest, Resolve, Times, Watch};
use crate::wire::directory::{Announce, FilesOf, Locate, Peers, Renew, Search, Withdraw};
use crate::wire::measure::{Bench, Clock};
use crate::wire::neighbour::Join;
use crate::wire::put::Put;

/// What comes back for a request.
pub type Answer<T> = Result<T, Refusal>;

/// What a long-running endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Measures throughput for one client.
    Bench,
    /// Shares and fetches.
    Node,
    /// Keeps the directory.
    Tracker,
}

/// The first frame of a connection, on a stream that the side which was dialled opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`crate::wire::limits::VERSION`] of the sender.
    pub version: u16,
    /// What the sender is.
    pub role: Role,
    /// From where the sender sees the receiver.
    pub observed: SocketAddr,
}

/// The first frame of every other stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// To a tracker: begins or changes what a node offers. Delta frames follow until the stream's end.
    /// Answer: [`super::Announced`].
    Announce(Announce),
    /// To a bench: measures. Answer: unit; unit again when it can begin; then bytes in the asked direction. Who asked
    /// ends its side when it has them all, or has sent them; then comes [`crate::wire::BenchEnd`].
    Bench(Bench),
    /// To a tracker or node: what time it is there. Answer: [`crate::wire::ClockNow`].
    Clock(Clock),
    /// To a node: some units of a content. Answer: unit, then unit records (see [`super::RecordHead`]) until the end.
    Fetch(Fetch),
    /// Offers, in name order: of a node at a tracker, or of the asked node. Answer: [`super::OfferPage`].
    FilesOf(FilesOf),
    /// To a tracker: who joins and leaves a content. Answer: unit, then [`super::FollowEvent`] frames.
    Follow(Content),
    /// To a node: be neighbours. Answer: [`crate::wire::About`], then [`crate::wire::NeighbourFrame`]s in both directions
    /// until one side ends its own.
    Join(Join),
    /// To a node: a file's chunk list and its last chunk. Answer: [`super::ListHead`], then both as raw bytes.
    List(List),
    /// Who offers an id. Answer: [`super::HitPage`].
    Locate(Locate),
    /// To a node: a collection's canonical bytes. Answer: [`super::ManifestHead`], then the raw bytes.
    Manifest(Manifest),
    /// To a tracker: which nodes it knows, by node id. Answer: [`super::PeerPage`].
    Peers(Peers),
    /// To a node: something for its owner. Answer: unit, then [`super::PutEvent`] frames. Whoever asks resets its side with
    /// Cancelled when it withdraws the offer, with Changed or NotFound when it has it no longer; any other end is no word about it.
    Put(Put),
    /// To a tracker: the lease goes on. Answer: [`super::Renewed`].
    Renew(Renew),
    /// To a node: hash this offer first. Answer: unit, then [`super::ResolveEvent`] frames.
    Resolve(Resolve),
    /// Which offers match words. Answer: [`super::HitPage`].
    Search(Search),
    /// To a node: when the files of a content were last modified. Answer: [`super::TimesHead`], then the times as raw bytes.
    Times(Times),
    /// To a node: what it has of a content, now and as it grows. Answer: unit, then [`super::HaveEvent`] frames.
    Watch(Watch),
    /// To a tracker: the node leaves. Answer: unit.
    Withdraw(Withdraw),
}

impl Request {
    /// The content of which something is asked for, if it is one alone.
    #[must_use]
    pub const fn content(&self) -> Option<ContentId> {
        match self {
            Self::Fetch(fetch) => Some(fetch.id),
            Self::List(list) => Some(list.id),
            Self::Manifest(manifest) => Some(manifest.id),
            Self::Times(times) => Some(times.id),
            Self::Watch(watch) => Some(watch.id),
            _ => None,
        }
    }
}
