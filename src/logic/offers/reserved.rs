//! What of a node's offers is not for everybody. Invariant: what is offered to anybody as well is not reserved.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Audience, ContentId, NodeId, SafePath};

/// See above. The default reserves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Names that are shared for friends alone, each with all beneath it.
    pub friends: BTreeSet<SafePath>,
    /// Names that are told to nobody, likewise.
    pub hidden: BTreeSet<SafePath>,
    /// Contents that are, or were, offered under those names and no others.
    pub ids: HashMap<ContentId, Holders>,
    /// Strangers are served with nothing at all.
    pub all: bool,
}

/// Who may have a content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// The node's friends.
    pub friends: bool,
    /// These nodes.
    pub nodes: BTreeSet<NodeId>,
}

impl Reserved {
    /// Of a node that serves its friends alone as long as it shares nothing for anybody.
    #[must_use]
    pub fn whole() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Notes a content that is offered to these.
    pub fn add(&mut self, id: ContentId, audience: &Audience) {
        let holders = self.ids.entry(id).or_default();
        match audience {
            Audience::Everybody => {}
            Audience::Friends => holders.friends = true,
            Audience::Nodes(nodes) => holders.nodes.extend(nodes),
        }
    }

    /// Whether anything is reserved.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.all || self.has_names()
    }

    /// Whether any name is.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.friends.is_empty() || !self.hidden.is_empty()
    }

    /// Whether a node that is a friend, or not, may know of this name.
    #[must_use]
    pub fn shows(&self, name: &SafePath, is_friend: impl FnOnce() -> bool) -> bool {
        !is_in(&self.hidden, name) && (!is_in(&self.friends, name) || is_friend())
    }

    /// Whether a node that is a friend, or not, may have this content; without a node anybody.
    #[must_use]
    pub fn grants(&self, id: ContentId, node: Option<NodeId>, is_friend: impl FnOnce() -> bool) -> bool {
        let Some(holders) = self.ids.get(&id) else { return true };
        node.is_some_and(|node| holders.nodes.contains(&node)) || (holders.friends && is_friend())
    }

    /// Whether this content is for this node by its id.
    #[must_use]
    pub fn is_for(&self, id: ContentId, node: NodeId) -> bool {
        self.ids.get(&id).is_some_and(|holders| holders.nodes.contains(&node))
    }
}

/// Whether this name is one of these, or lies beneath one.
fn is_in(roots: &BTreeSet<SafePath>, name: &SafePath) -> bool {
    !roots.is_empty() && name.above().chain([name.as_str()]).any(|name| roots.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: [&str; 2]) -> BTreeSet<SafePath> {
        all.map(|name| SafePath::parse(name).expect("valid")).into()
    }

    #[test]
    fn a_name_is_reserved_with_all_beneath_it_and_nothing_beside_it() {
        let path = |name: &str| SafePath::parse(name).expect("valid");
        let reserved = Reserved { friends: names(["a/b", "c"]), hidden: names(["p/1", "q"]), ..Reserved::default() };
        for name in ["a/b", "a/b/x", "a/b/x/y", "c", "c/x"] {
            assert!(!reserved.shows(&path(name), || false) && reserved.shows(&path(name), || true), "{name}");
        }
        for name in ["a", "a/bc", "a/x", "cc", "x/c", "p", "p/2"] {
            assert!(reserved.shows(&path(name), || false), "{name}");
        }
        for name in ["p/1", "p/1/x", "q/x"] {
            assert!(!reserved.shows(&path(name), || true), "{name}");
        }
    }

    #[test]
    fn a_content_is_for_its_nodes_and_for_friends_only_where_it_is_offered_to_them_too() {
        let node = |byte: u8| NodeId::from_bytes([byte; 32]);
        let (id, other) = (ContentId::of(b"x"), ContentId::of(b"y"));
        let mut reserved = Reserved::default();
        reserved.add(id, &Audience::Nodes([node(1)].into()));
        assert!(reserved.grants(id, Some(node(1)), || false) && reserved.grants(other, None, || false));
        assert!(!reserved.grants(id, Some(node(2)), || true) && !reserved.grants(id, None, || false));
        reserved.add(id, &Audience::Friends);
        assert!(reserved.grants(id, Some(node(2)), || true) && !reserved.grants(id, Some(node(2)), || false));
    }
}
