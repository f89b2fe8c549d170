//! The planes on which is looked.

use serde::{Deserialize, Serialize};

/// Where a hit or a peer was learned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Plane {
    /// From a node on the local network, which has it itself.
    Lan,
    /// Over the neighbours.
    Neighbours,
    /// From a `--peer`'s own index.
    Peer,
    /// From a tracker.
    Tracker,
}

impl Plane {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Neighbours => "neighbours",
            Self::Peer => "peer",
            Self::Tracker => "tracker",
        }
    }
}
