//! Whom a node or a tracker serves: everyone, its friends, or who is listed. Friends and lists are those of this moment:
//! who is added or removed is so at once.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Friends, NodeId};

/// Whom a node or a tracker serves.
#[derive(Debug, Clone)]
pub struct Access {
    members: Members,
    friends: Option<watch::Receiver<Arc<Friends>>>,
}

#[derive(Debug, Clone)]
enum Members {
    Everyone,
    Friends,
    Listed(watch::Receiver<Arc<HashSet<NodeId>>>),
}

impl Access {
    /// Friends only, or everyone.
    #[must_use]
    pub fn new(friends: watch::Receiver<Arc<Friends>>, only: bool) -> Self {
        let members = if only { Members::Friends } else { Members::Everyone };
        Self { members, friends: Some(friends) }
    }

    /// Everyone.
    #[must_use]
    pub const fn everyone() -> Self {
        Self { members: Members::Everyone, friends: None }
    }

    /// Who is listed.
    #[must_use]
    pub const fn listed(nodes: watch::Receiver<Arc<HashSet<NodeId>>>) -> Self {
        Self { members: Members::Listed(nodes), friends: None }
    }

    /// Whether this node is served.
    #[must_use]
    pub fn serves(&self, node: NodeId) -> bool {
        match &self.members {
            Members::Everyone => true,
            Members::Friends => self.has_friend(node),
            Members::Listed(nodes) => nodes.borrow().contains(&node),
        }
    }

    /// Whether this node is a friend, who is not kept waiting by others.
    #[must_use]
    pub fn has_friend(&self, node: NodeId) -> bool {
        self.friends.as_ref().is_some_and(|friends| friends.borrow().contains(node))
    }
}
