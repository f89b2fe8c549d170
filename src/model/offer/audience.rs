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

/// Who asks, as far as that decides what there is: each may know what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// Anybody.
    Stranger,
    /// A friend of the node.
    Friend,
    /// A node to which the content is given.
    Receiver,
}

impl Audience {
    /// Whether something that is for these is for one who asks so; of receivers the one to whom it is given.
    #[must_use]
    pub fn includes(&self, asker: Asker) -> bool {
        asker
            >= match self {
                Self::Everybody => Asker::Stranger,
                Self::Friends => Asker::Friend,
                Self::Nodes(_) => Asker::Receiver,
            }
    }

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
