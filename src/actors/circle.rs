//! Whom a node or a tracker serves: everyone, its friends, or who is listed. Friends and lists are those of this moment:
//! who is added or removed is so at once.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Friends, NodeId};

/// Whom a node or a tracker serves.
#[derive(Debug, Clone)]
pub struct Circle(Members);

#[derive(Debug, Clone)]
enum Members {
    Everyone,
    Friends(watch::Receiver<Arc<Friends>>),
    Listed(watch::Receiver<Arc<HashSet<NodeId>>>),
}

impl Circle {
    /// Friends only, or everyone.
    #[must_use]
    pub fn new(friends: watch::Receiver<Arc<Friends>>, only: bool) -> Self {
        if only { Self(Members::Friends(friends)) } else { Self::everyone() }
    }

    /// Everyone.
    #[must_use]
    pub const fn everyone() -> Self {
        Self(Members::Everyone)
    }

    /// Who is listed.
    #[must_use]
    pub const fn listed(nodes: watch::Receiver<Arc<HashSet<NodeId>>>) -> Self {
        Self(Members::Listed(nodes))
    }

    /// Whether this node is served.
    #[must_use]
    pub fn serves(&self, node: NodeId) -> bool {
        match &self.0 {
            Members::Everyone => true,
            Members::Friends(friends) => friends.borrow().contains(node),
            Members::Listed(nodes) => nodes.borrow().contains(&node),
        }
    }
}
