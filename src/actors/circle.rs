//! Whom a node serves: everyone, or its friends. Friends are those of this moment: who is added or removed is so at once.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Friends, NodeId};

/// Whom a node serves.
#[derive(Debug, Clone)]
pub struct Circle {
    friends: watch::Receiver<Arc<Friends>>,
    only: bool,
}

impl Circle {
    /// Friends only, or everyone.
    #[must_use]
    pub const fn new(friends: watch::Receiver<Arc<Friends>>, only: bool) -> Self {
        Self { friends, only }
    }

    /// Whether this node is served.
    #[must_use]
    pub fn serves(&self, node: NodeId) -> bool {
        !self.only || self.friends.borrow().contains(node)
    }
}
