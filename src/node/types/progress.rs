//! Where a transfer stands, and how it ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::logic::explain::Share;
use crate::logic::transfer::Why;
use crate::model::{ContentId, Kind, NodeId, Plane, SafePath};
use crate::node::types::{Notice, Preview};

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Looking for providers.
    #[default]
    Looking,
    /// Dialling them, reading lists.
    Connecting,
    /// Hashing what is already on the disk, or waiting for a provider to hash.
    Hashing,
    /// Another transfer of the same content has the place.
    Waiting,
    /// Fetching bytes.
    Fetching,
    /// Syncing and publishing.
    Finishing,
    /// Done; serving others.
    Seeding,
}

impl Phase {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Looking => "looking",
            Self::Connecting => "connecting",
            Self::Hashing => "hashing",
            Self::Fetching => "fetching",
            Self::Finishing => "finishing",
            Self::Seeding => "seeding",
            Self::Waiting => "waiting",
        }
    }
}

/// Where a transfer stands; sampled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// What is fetched, once known.
    pub name: Option<SafePath>,
    /// Where it was found.
    pub plane: Option<Plane>,
    /// Bytes proven so far, with those of earlier runs.
    pub bytes: u64,
    /// Bytes proven in this run.
    pub fetched: u64,
    /// Bytes copied here from another transfer of the same content, for whose end this one has waited.
    pub copied: u64,
    /// Bytes altogether; 0 while unknown.
    pub total: u64,
    /// Proven bytes a second, lately.
    pub rate: u64,
    /// Who gives.
    pub providers: Vec<ProviderProgress>,
    /// How far hashing is, in its phase: it proves nothing and brings nothing.
    pub hashing: Option<Hashing>,
    /// What went wrong so far; only ever grows.
    pub warnings: Vec<Notice>,
}

/// How far hashing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// Bytes hashed.
    pub done: u64,
    /// Bytes to hash.
    pub total: u64,
    /// The provider that hashes; none when what is here is compared.
    pub by: Option<NodeId>,
}

/// What one provider has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderProgress {
    /// Who.
    pub node: NodeId,
    /// From where.
    pub addr: SocketAddr,
    /// Proven bytes in this run.
    pub bytes: u64,
    /// Proven bytes a second, lately.
    pub rate: u64,
    /// The round trip to it, and the UDP payload in bytes that the path carries from here.
    pub path: (Duration, u16),
    /// The most connections that were open to it at a time.
    pub connections: usize,
    /// Why it gives nothing now, where it said so or failed.
    pub why: Option<Why>,
}

/// How a transfer ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was fetched.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// Its name.
    pub name: SafePath,
    /// Where it lies, or would after a dry run; none for a stream.
    pub path: Option<PathBuf>,
    /// Its size in bytes (of the chosen files).
    pub bytes: u64,
    /// Bytes fetched in this run.
    pub fetched: u64,
    /// Bytes copied here from another transfer of the same content, for whose end this run has waited.
    pub copied: u64,
    /// How long this run took.
    pub elapsed: Duration,
    /// Who gave.
    pub providers: Vec<ProviderProgress>,
    /// Where it was found first.
    pub plane: Option<Plane>,
    /// Of a dry run only: what would be done.
    pub preview: Option<Preview>,
    /// Where the time went, the largest share first; empty when nothing was fetched.
    pub shares: Vec<Share>,
    /// Whether it goes on being served.
    pub seeding: bool,
}
