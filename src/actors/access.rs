//! Whom a node or a tracker serves: everyone, its friends, or who is listed. Friends and lists are those of this moment:
//! who is added or removed is so at once. And what of its contents they may have: a [`Rule`] is asked for each.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::watch;

use crate::logic::offers::reserved::Reserved;
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
    /// None: everything is for everybody.
    reserved: Option<watch::Receiver<Arc<Reserved>>>,
    /// None: all may have everything.
    rule: Option<Arc<dyn Rule>>,
}

#[derive(Debug, Clone)]
enum Members {
    Everyone,
    Listed(watch::Receiver<Arc<HashSet<NodeId>>>),
}

impl Access {
    /// Everyone, but with what is reserved those alone whom it is for.
    #[must_use]
    pub const fn new(friends: watch::Receiver<Arc<Friends>>, reserved: watch::Receiver<Arc<Reserved>>) -> Self {
        Self { members: Members::Everyone, friends: Some(friends), reserved: Some(reserved), rule: None }
    }

    /// Everyone.
    #[must_use]
    pub const fn everyone() -> Self {
        Self { members: Members::Everyone, friends: None, reserved: None, rule: None }
    }

    /// Who is listed.
    #[must_use]
    pub const fn listed(nodes: watch::Receiver<Arc<HashSet<NodeId>>>) -> Self {
        Self { members: Members::Listed(nodes), friends: None, reserved: None, rule: None }
    }

    /// The same with a rule for each content.
    #[cfg(feature = "lab")]
    #[must_use]
    pub fn with_rule(self, rule: Arc<dyn Rule>) -> Self {
        Self { rule: Some(rule), ..self }
    }

    /// Whether a node that is served may have this and know of it, as [`Rule::grants`] says.
    pub fn grants(&self, node: Option<NodeId>, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        self.is_for(node, id, name) && self.rule.as_ref().is_none_or(|rule| rule.grants(node, id, name))
    }

    /// Whether a rule keeps this content from this node, whatever is reserved.
    pub fn is_ruled_out(&self, node: Option<NodeId>, id: ContentId) -> bool {
        self.rule.as_ref().is_some_and(|rule| !rule.grants(node, Some(id), None))
    }

    /// Whether this content is for this node by its id, whatever else it may see.
    pub fn is_given(&self, node: NodeId, id: ContentId) -> bool {
        self.reserved.as_ref().is_some_and(|reserved| reserved.borrow().is_for(id, node))
    }

    /// Whether nothing keeps this from a node because it is reserved.
    fn is_for(&self, node: Option<NodeId>, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        let Some(reserved) = self.reserved.as_ref().map(watch::Receiver::borrow) else { return true };
        let is_friend = || node.is_some_and(|node| self.has_friend(node));
        match name {
            Some(name) => reserved.shows(name, is_friend),
            None => id.is_none_or(|id| reserved.grants(id, node, is_friend)),
        }
    }

    /// Whether anybody may know of this.
    pub fn is_public(&self, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        self.serves(None::<NodeId>) && self.grants(None, id, name)
    }

    /// What anybody may know of these offers: what trackers are told, who tell it to everyone, and how much neighbours are
    /// told that there is.
    pub fn public(&self, offers: &Arc<OfferTable>) -> Arc<OfferTable> {
        let is_any_reserved = self.reserved.as_ref().is_some_and(|reserved| reserved.borrow().is_any());
        if !is_any_reserved && self.serves(None::<NodeId>) && self.rule.is_none() {
            return Arc::clone(offers);
        }
        Arc::new(offers.only(|offer| self.is_public(offer.id, Some(&offer.name))))
    }

    /// Waits until something is not for everybody.
    pub async fn until_reserved(&self) {
        if let Some(mut reserved) = self.reserved.clone()
            && reserved.wait_for(|reserved| reserved.is_any()).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Whether this node is served; without one, whether anybody is.
    pub fn serves(&self, node: impl Into<Option<NodeId>>) -> bool {
        let node = node.into();
        match &self.members {
            Members::Everyone => {
                let Some(reserved) = self.reserved.as_ref().map(watch::Receiver::borrow) else { return true };
                !reserved.all || node.is_some_and(|node| self.has_friend(node))
            }
            Members::Listed(nodes) => node.is_some_and(|node| nodes.borrow().contains(&node)),
        }
    }

    /// Whether this node is a friend, who is not kept waiting by others.
    pub fn has_friend(&self, node: NodeId) -> bool {
        self.friends.as_ref().is_some_and(|friends| friends.borrow().contains(node))
    }
}
