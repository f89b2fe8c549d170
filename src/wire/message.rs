//! Every message. `docs/protocol.md` describes each with its limits and the bytes of an example;
//! a snapshot test holds the same bytes.
//!
//! The side that opens a bidirectional stream sends one [`Request`]; the other side sends one
//! `Answer<…>` and then, for streams of events or bytes, what follows it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::query::MAX_WORDS;
use crate::model::{ContentId, Epoch, Hit, Kind, NodeId, Offer, Provider, SafePath};
use crate::wire::code::{Code, Refusal};
use crate::wire::limits;
use crate::wire::measure::{Bench, Clock};
use crate::wire::neighbour::Join;

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
    /// Answer: [`Announced`].
    Announce(Announce),
    /// To a bench: measures. Answer: unit; unit again when it can begin; then bytes in the asked direction. Who asked
    /// ends its side when it has them all, or has sent them; then comes [`crate::wire::BenchEnd`].
    Bench(Bench),
    /// To a tracker or node: what time it is there. Answer: [`crate::wire::ClockNow`].
    Clock(Clock),
    /// To a node: some units of a content. Answer: unit, then unit records (see [`UnitRecord`]) until the end.
    Fetch(Fetch),
    /// Offers, in name order: of a node at a tracker, or of the asked node. Answer: [`OfferPage`].
    FilesOf(FilesOf),
    /// To a tracker: who joins and leaves a content. Answer: unit, then [`FollowEvent`] frames.
    Follow(Follow),
    /// To a node: be neighbours. Answer: [`crate::wire::About`], then [`crate::wire::NeighbourFrame`]s in both directions
    /// until one side ends its own.
    Join(Join),
    /// To a node: a file's chunk list and its last chunk. Answer: [`ListHead`], then both as raw bytes.
    List(List),
    /// Who offers an id. Answer: [`HitPage`].
    Locate(Locate),
    /// To a node: a collection's canonical bytes. Answer: [`ManifestHead`], then the raw bytes.
    Manifest(Manifest),
    /// To a tracker: which nodes it knows, by node id. Answer: [`PeerPage`].
    Peers(Peers),
    /// To a tracker: the lease goes on. Answer: [`Renewed`].
    Renew(Renew),
    /// To a node: hash this offer first. Answer: unit, then [`ResolveEvent`] frames.
    Resolve(Resolve),
    /// Which offers match words. Answer: [`HitPage`].
    Search(Search),
    /// To a node: when the files of a content were last modified. Answer: [`TimesHead`], then the times as raw bytes.
    Times(Times),
    /// To a node: what it has of a content, now and as it grows. Answer: unit, then [`HaveEvent`] frames.
    Watch(Watch),
    /// To a tracker: the node leaves. Answer: unit.
    Withdraw(Withdraw),
}

impl Request {
    /// The tags of all variants: any other is a message of an unknown type.
    pub const TAGS: [&'static str; 17] = [
        "Announce", "Bench", "Clock", "Fetch", "FilesOf", "Follow", "Join", "List", "Locate", "Manifest", "Peers",
        "Renew", "Resolve", "Search", "Times", "Watch", "Withdraw",
    ];
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
    pub join: Vec<Part>,
    /// Transfers that it leaves.
    #[serde(deserialize_with = "at_most::<_, _, { limits::ENTRIES }>")]
    pub leave: Vec<Part>,
}

/// A content of which a node may have only a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Which content.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
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

/// See [`Request::Fetch`].
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

/// What precedes a unit's bytes in a Fetch stream: its index, big-endian, and this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum UnitRecord {
    /// The unit's bytes follow; their number is known to both sides.
    Bytes = 0,
    /// This side has not got it (any more); nothing follows.
    Missing = 1,
}

/// See [`Request::FilesOf`].
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

/// See [`Request::Follow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Which content.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
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

/// See [`Request::List`].
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

/// See [`Request::Locate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locate {
    /// Which content.
    pub id: ContentId,
}

/// See [`Request::Manifest`].
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

/// A file that a collection leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutFile {
    /// Its path within the directory.
    pub path: SafePath,
    /// Why: `Changed` while it is being written all the time, any other when it cannot be read.
    pub why: Code,
}

/// See [`Request::Peers`].
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

/// See [`Request::Renew`].
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
}

/// See [`Request::Resolve`].
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

/// See [`Request::Search`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// The words as typed; the asked side folds them.
    #[serde(deserialize_with = "at_most::<_, _, MAX_WORDS>")]
    pub words: Vec<String>,
    /// How many hits at most; never more than [`crate::wire::limits::HITS`].
    pub limit: u32,
    /// How many of the best hits to skip.
    pub skip: u32,
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

/// See [`Request::Times`].
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

/// See [`Request::Watch`].
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

/// See [`Request::Withdraw`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Only this epoch ends.
    pub epoch: Epoch,
}
