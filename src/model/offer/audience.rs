//! For whom something is offered.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::NodeId;

/// For whom something is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audience {
    /// Whoever asks.
    #[default]
    Everybody,
    /// The friends of the node.
    Friends,
    /// These nodes, by its id alone: its name is told to nobody.
    Nodes(BTreeSet<NodeId>),
}

impl Audience {
    /// Whether its name is told to nobody.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        matches!(self, Self::Nodes(_))
    }

    /// Whether it is the node's friends.
    #[must_use]
    pub const fn is_friends(&self) -> bool {
        matches!(self, Self::Friends)
    }
}
