//! The planes on which is looked.

use serde::{Deserialize, Serialize};

/// Where a hit or a peer was learned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// From what this node offers itself.
    Here,
    /// From a node on the local network, which has it itself.
    Lan,
    /// Over the neighbours.
    Neighbours,
    /// From a `--peer`'s own index.
    Peer,
    /// From a tracker.
    Tracker,
}
