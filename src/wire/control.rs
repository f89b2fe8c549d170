//! What a command asks of the running node of its home and every version of both understands: after an upgrade the new command
//! still tells the old node, and ends it. These bytes are kept for ever: fields are added, none is changed or removed.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::NodeId;

/// Entries of one list of [`ControlStatus`] at most: the whole fits in a page.
pub const LISTED: usize = 256;

/// The first frame of a stream. The other requests are the node's own (`node/control`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Who is there?
    Hello(Hello),
    /// How is it?
    Status(AskStatus),
    /// End.
    Stop(Stop),
}

/// See [`Control::Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {}

/// See [`Control::Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskStatus {}

/// See [`Control::Stop`]. It is answered at once; the end of the node is the end of the home's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {}

/// The answer to [`Control::Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {}

/// The answer to [`Control::Hello`]: who is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The version of its program, such as `0.1.0`.
    pub version: String,
    /// The version of what is not fixed for ever.
    pub control: u16,
    /// Its process.
    pub pid: u32,
    /// Its node id.
    pub node: NodeId,
    /// It listens to the local network.
    pub lan: bool,
    /// Its neighbours are those that it was given.
    pub only_peers: bool,
}

/// The answer to [`Control::Status`]. No list has more than 256 entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlStatus {
    /// As in the answer to `Hello`.
    pub running: Running,
    /// For how long it has run, in milliseconds.
    pub up_ms: u64,
    /// Its addresses, the likeliest first.
    pub addrs: Vec<OwnAddress>,
    /// The trackers that it was given, and those that some of its offers were given.
    pub trackers: Vec<TrackerState>,
    /// Its neighbours.
    pub neighbours: Vec<NeighbourState>,
    /// The friends of the home.
    pub friends: Vec<FriendState>,
    /// Names that it offers to anybody.
    pub offers: u64,
    /// Names that it offers altogether, to friends alone as well.
    pub all_offers: u64,
    /// What it fetches for commands that have left it.
    pub jobs: Vec<JobState>,
    /// What is being fetched from it, the oldest first.
    pub uploads: Vec<UploadState>,
    /// Uploads that are over.
    pub uploads_ended: u64,
    /// Bytes of all uploads together.
    pub uploaded: u64,
    /// The memory that its process has, in bytes; 0 where the platform does not tell.
    pub memory: u64,
    /// What of it is bounded, and how much of that is in use.
    pub budgets: Vec<Budget>,
    /// Who came to the control socket with another key.
    pub refused: u64,
}

/// An address of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnAddress {
    /// Which.
    pub addr: SocketAddr,
    /// Whether a tracker has reached it there; null where no tracker has said anything.
    pub answers: Option<bool>,
}

/// A tracker, as the node that announces there sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrackerState {
    /// As it was given.
    pub tracker: String,
    /// How many offers it holds of this node, as it has acknowledged at last; null before, and while it is not reached.
    pub offers: Option<u64>,
    /// It is told of some offers only, those that were given it.
    #[serde(default)]
    pub partly: bool,
}

/// A neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NeighbourState {
    /// Who.
    pub node: NodeId,
    /// From where.
    pub addr: SocketAddr,
    /// How many offers it says to have.
    pub offers: u64,
    /// The round trip in microseconds.
    pub rtt_us: u64,
}

/// A friend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendState {
    /// Its name.
    pub name: String,
    /// Who.
    pub node: NodeId,
    /// Whether there is a connection.
    pub linked: bool,
}

/// Something that is fetched for a command that has left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobState {
    /// Tells it from the others of the home.
    pub id: u64,
    /// What.
    pub name: String,
    /// How it is: one word.
    pub state: String,
    /// Proven bytes.
    pub have: u64,
    /// Bytes altogether.
    pub total: u64,
}

/// What one node takes of one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UploadState {
    /// Who fetches.
    pub node: NodeId,
    /// What; its id where it has no name.
    pub name: String,
    /// Bytes that it has acknowledged.
    pub bytes: u64,
    /// The content's bytes in all.
    pub size: u64,
    /// Bytes a second, lately.
    pub rate: u64,
}

/// Something that is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Budget {
    /// What, in some words.
    pub name: String,
    /// How much is in use.
    pub used: u64,
    /// How much there is.
    pub of: u64,
}
