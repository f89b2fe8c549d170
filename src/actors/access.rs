//! Whom a node or a tracker serves: everyone, its friends, or who is listed. Friends and lists are those of this moment:
//! who is added or removed is so at once. And what of its contents they may have: a [`Rule`] is asked for each.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::watch;

use crate::logic::offers::table::OfferTable;
use crate::model::{ContentId, Friends, NodeId, SafePath};

/// Who may have which content, of those that are served.
pub trait Rule: Debug + Send + Sync {
    /// Whether a node may have what has this id (none while it is not known) and this name, and know of it. Without a node
    /// it is anybody: a neighbour that asks for others. Without a name it is asked for under any that it has: one that
    /// may be known is enough. Of what is told to everybody it is asked when that changes.
    fn grants(&self, node: Option<NodeId>, id: Option<ContentId>, name: Option<&SafePath>) -> bool;
}

/// Whom a node or a tracker serves, and with what.
#[derive(Debug, Clone)]
pub struct Access {
    members: Members,
    friends: Option<watch::Receiver<Arc<Friends>>>,
    /// None: all may have everything.
    rule: Option<Arc<dyn Rule>>,
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
        Self { members, friends: Some(friends), rule: None }
    }

    /// Everyone.
    #[must_use]
    pub const fn everyone() -> Self {
        Self { members: Members::Everyone, friends: None, rule: None }
    }

    /// Who is listed.
    #[must_use]
    pub const fn listed(nodes: watch::Receiver<Arc<HashSet<NodeId>>>) -> Self {
        Self { members: Members::Listed(nodes), friends: None, rule: None }
    }

    /// The same with a rule for each content.
    #[cfg(feature = "lab")]
    #[must_use]
    pub fn with_rule(self, rule: Arc<dyn Rule>) -> Self {
        Self { rule: Some(rule), ..self }
    }

    /// Whether a node that is served may have this and know of it, as [`Rule::grants`] says.
    pub fn grants(&self, node: Option<NodeId>, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        self.rule.as_ref().is_none_or(|rule| rule.grants(node, id, name))
    }

    /// Whether anybody may know of this.
    pub fn is_public(&self, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        self.serves(None::<NodeId>) && self.grants(None, id, name)
    }

    /// What anybody may know of these offers: what trackers are told, who tell it to everyone, and how much neighbours are
    /// told that there is.
    pub fn public(&self, offers: &Arc<OfferTable>) -> Arc<OfferTable> {
        if self.serves(None::<NodeId>) && self.rule.is_none() {
            return Arc::clone(offers);
        }
        Arc::new(offers.only(|offer| self.is_public(offer.id, Some(&offer.name))))
    }

    /// Whether this node is served; without one, whether anybody is.
    pub fn serves(&self, node: impl Into<Option<NodeId>>) -> bool {
        let node = node.into();
        match &self.members {
            Members::Everyone => true,
            Members::Friends => node.is_some_and(|node| self.has_friend(node)),
            Members::Listed(nodes) => node.is_some_and(|node| nodes.borrow().contains(&node)),
        }
    }

    /// Whether this node is a friend, who is not kept waiting by others.
    pub fn has_friend(&self, node: NodeId) -> bool {
        self.friends.as_ref().is_some_and(|friends| friends.borrow().contains(node))
    }
}
