//! What callers of a node give and receive: options, requests, events, progress, outcomes.
//! Plain values without behaviour; nothing here waits, prints or knows an actor.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::model::FoundHit;
use crate::model::address::{NODE_PORT, TargetError};
use crate::model::collection::Entry;
use crate::model::collection::manifest::MAX_FILES;
use crate::model::{ContentId, FriendName, Hit, NodeId, PeerTarget, Plane, Rate, SafePath};
use crate::node::{Beyond, Direction, Error, Home, Listen, UploadEvent, Whom};
use crate::wire::Peer;

/// A struct whose fields the crate reads; `new` with the first of them and the defaults of the others, and for each of these a
/// setter of its name: one more breaks no caller.
macro_rules! with_setters {
    (
        $(#[$of_all:meta])*
        pub struct $name:ident {
            $(#[$of_first:meta])*
            $first:ident: $given:ty,
            $($(#[$of_field:meta])* $field:ident: $type:ty = $default:expr,)*
        }
        $(#[$of_new:meta])*
        fn new;
    ) => {
        $(#[$of_all])*
        pub struct $name {
            $(#[$of_first])*
            pub(crate) $first: $given,
            $($(#[$of_field])* pub(crate) $field: $type,)*
        }

        impl $name {
            $(#[$of_new])*
            #[must_use]
            pub fn new($first: $given) -> Self {
                Self { $first, $($field: $default,)* }
            }

            $(
                $(#[$of_field])*
                #[must_use]
                pub fn $field(mut self, $field: impl Into<$type>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

mod inbox;
mod job;
mod notice;
mod outcome;
mod preview;
mod put;
mod rates;
mod request;

pub use crate::actors::announcer::Acknowledged;
pub use crate::actors::download::{Hashing, Phase, Progress, ProviderProgress};
pub use inbox::{InboxRow, InboxRules};
pub use job::JobRow;
pub use notice::{GetNotice, Kept, ListName, LookNotice, Notice, Rival, Several, Without};
pub use outcome::Outcome;
pub use preview::{Busy, Has, Holder, Preview, PreviewFile, There};
pub use put::{PutProgress, PutRow, PutWish, Receiver, Receiving};
pub use rates::{RateChange, Rates};
pub use request::{Canceller, GetRequest, Given, MAX_CONNECTIONS, Pattern, Replace, ShareBack, What};

with_setters! {
    /// How a node is started; what is not set is as [`Options::new`] has it.
    #[derive(Debug, Clone)]
    pub struct Options {
        /// Where identity, caches and trust are kept.
        home: Home,
        /// Whether the home must be free, or a guest will do.
        lifetime: Lifetime = Lifetime::Finite,
        /// The UDP address to listen on.
        listen: Listen = Listen::Ephemeral,
        /// Where to announce and to look.
        trackers: Vec<PeerTarget> = Vec::new(),
        /// Nodes that are kept as neighbours, and whose own index is asked too.
        peers: Vec<PeerTarget> = Vec::new(),
        /// How neighbours are found.
        near: Near = Near::default(),
        /// Serve friends only, and announce no offer.
        friends_only: bool = false,
        /// The most bytes a second that all uploads take together.
        upload_limit: Option<Rate> = None,
        /// The same of all downloads.
        download_limit: Option<Rate> = None,
        /// Of a collection that is fetched or listed: files and directories at most.
        max_files: usize = MAX_FILES,
        /// What of the things that others offer is taken without a person, and where to.
        inbox: InboxRules = InboxRules::default(),
    }
    /// A node that only looks and fetches, without a tracker or a peer.
    fn new;
}

/// How a node finds its neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// On the local network, by multicast: the `qshare` program, which is run as a child that listens there.
    pub lan: Option<PathBuf>,
    /// Neighbours are exactly the given peers and whoever dials; none are asked for or told.
    pub only_peers: bool,
    /// How many links a search travels; wider and wider where none is given.
    pub ttl: Option<u8>,
    /// Every address counts as global: for tests on one machine.
    pub all_global: bool,
}

/// Where one who asks a running node looks, whatever the node's own settings are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Places {
    /// Trackers that are asked.
    pub trackers: Vec<PeerTarget>,
    /// Nodes that are asked directly.
    pub peers: Vec<PeerTarget>,
    /// Whether, and how far, the neighbours are asked.
    pub near: Near,
    /// Of a collection that is listed: files and directories at most.
    pub max_files: usize,
}

/// How long a node means to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// For one command: a guest, with a key in memory, when the home is locked or cannot be used.
    Finite,
    /// Until it is stopped: fails when the home is locked or cannot be used.
    LongRunning,
    /// For one command that goes on serving: a guest when the home is locked, but others find it and ask it like any node.
    Seeding,
}

/// Why a node runs with a key of its own, which is in memory only.
#[derive(Debug)]
pub enum Guest {
    /// Another process has the home.
    Beside,
    /// The home cannot be used, so nothing is remembered there either.
    Homeless(Box<Error>),
}

/// What a long-running node reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A tracker serves only so many nodes from now on, those of its list.
    Allowed {
        /// How many.
        nodes: usize,
    },
    /// A tracker has acknowledged an announcement.
    Announced(Acknowledged),
    /// How far hashing is, in bytes; sampled, and once more with `done == total` at its end.
    Hashing {
        /// Bytes hashed.
        done: u64,
        /// Bytes to hash altogether.
        total: u64,
    },
    /// A shared path has its id, or a new one.
    Offer {
        /// The content id.
        id: ContentId,
        /// The name it is offered under.
        name: SafePath,
        /// This node.
        node: NodeId,
        /// Where a peer on another machine would dial it first.
        addr: SocketAddr,
    },
    /// Something that another node offers to this one's person stands otherwise than before.
    Inbox(Box<InboxRow>),
    /// A transfer that the node keeps for a command stands otherwise than before, or has ended.
    Job(Box<JobRow>),
    /// Something to tell the user.
    Notice(Notice),
    /// What the node sends for a command that has left it stands otherwise than before at the one receiver that this names.
    Put(Box<PutProgress>),
    /// A node takes a content from this one, or has taken what it wanted; left out while nobody reads events.
    Upload(UploadEvent),
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hits {
    /// Merged hits, best first.
    pub hits: Vec<FoundHit>,
    /// How many more there are after these.
    pub beyond: Beyond,
    /// Who did not answer, or not as it should.
    pub warnings: Vec<Notice>,
    /// Where it was looked for.
    pub asked: Whom,
}

/// What words mean, and what that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// A file or a collection.
    pub hit: Hit,
    /// Where it was found.
    pub plane: Option<Plane>,
    /// What the collection holds, or what the directory holds that was meant; nothing of a file.
    pub entries: Vec<(SafePath, Entry)>,
}

/// A known node, with where it was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// The node.
    pub peer: Peer,
    /// Where it was learned.
    pub plane: Plane,
}

/// A node near this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearRow {
    /// The node.
    pub peer: Peer,
    /// What is known of the connection to it, where it is a neighbour.
    pub direct: Option<Direct>,
    /// The neighbour that tells of it, where it is not.
    pub by: Option<NodeId>,
}

/// The connection to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    /// Who began it.
    pub direction: Direction,
    /// The round trip.
    pub rtt: Duration,
    /// For how long it has been a neighbour.
    pub since: Duration,
}

/// The shortest prefix of a node id that may stand for it.
pub const MIN_PREFIX: usize = 8;

/// Why a text does not name a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefError {
    /// It is none of what names one.
    #[error(
        "`{0}` is not a peer: give a friend's name, a node id, at least its first 8 characters, or [ID@]HOST[:PORT]"
    )]
    Form(String),
    /// Its id is wrong.
    #[error(transparent)]
    Target(TargetError),
}

/// A peer as people name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerRef {
    /// By its full node id.
    Id(NodeId),
    /// By a friend's name, by the first characters of its node id, unique among those this home has met, or by its host.
    Name(String),
    /// By its address.
    Target(PeerTarget),
}

impl FromStr for PeerRef {
    type Err = PeerRefError;

    fn from_str(text: &str) -> Result<Self, PeerRefError> {
        let error = || PeerRefError::Form(text.to_owned());
        if text.contains([':', '@', '[']) {
            return PeerTarget::parse(text, NODE_PORT).map(Self::Target).map_err(|wrong| match wrong {
                TargetError::Form(_) => error(),
                TargetError::Bare(_) | TargetError::Id(_) => PeerRefError::Target(wrong),
            });
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse::<FriendName>().map(|name| Self::Name(name.to_string())).map_err(|_| error())
    }
}

/// Whether a text may be the beginning of a node id.
pub(crate) fn is_prefix(text: &str) -> bool {
    let base32 = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    base32 && (MIN_PREFIX..NodeId::TEXT_LEN).contains(&text.len())
}

impl fmt::Display for PeerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Target(target) => target.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
