//! Which link to a node is used. Invariant: all nodes that have two links to each other choose the same one: of
//! the open links, those dialled by the node with the smaller id, of these the newest. A new link is used only once
//! it has lasted, because a dial-back ends at once. Closing is left to the actor.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::io::net::link::Link;
use crate::model::NodeId;

/// The open links by node.
#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    pairs: HashMap<NodeId, Vec<Link>>,
}

impl Table {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, pairs: HashMap::new() }
    }

    /// The link in use to a node: the first of its open ones.
    pub(super) fn current(&self, node: NodeId) -> Option<&Link> {
        self.pairs.get(&node)?.iter().find(|link| !link.is_closed())
    }

    /// A link that this side dialled and that leads to one of the addresses.
    pub(super) fn dialled_to(&self, addrs: &[SocketAddr]) -> Option<&Link> {
        let links = self.pairs.keys().filter_map(|node| self.current(*node));
        links.into_iter().find(|link| link.dialled() && addrs.contains(&link.remote()))
    }

    /// All open links.
    pub(super) fn open(&self) -> impl Iterator<Item = &Link> {
        self.pairs.values().flatten().filter(|link| !link.is_closed())
    }

    /// Adds a link behind those that are in use; tells whether there are others, so that [`Table::settle`] is due.
    pub(super) fn insert(&mut self, link: Link) -> bool {
        let pair = self.pairs.entry(link.peer()).or_default();
        pair.retain(|other| !other.is_closed());
        pair.push(link);
        pair.len() > 1
    }

    /// Forgets the closed links of a node.
    pub(super) fn prune(&mut self, node: NodeId) {
        if let Some(pair) = self.pairs.get_mut(&node) {
            pair.retain(|link| !link.is_closed());
            if pair.is_empty() {
                self.pairs.remove(&node);
            }
        }
    }

    /// Puts the link that stays first; returns it with those that go.
    pub(super) fn settle(&mut self, node: NodeId) -> Option<(Link, Vec<Link>)> {
        self.prune(node);
        let own = self.own;
        let pair = self.pairs.get_mut(&node)?;
        // Stable, so of equals the newest (reversed: the first) wins.
        pair.reverse();
        pair.sort_by_key(|link| !stays(own, link.peer(), link.dialled()));
        let (first, rest) = pair.split_first()?;
        Some((first.clone(), rest.to_vec()))
    }
}

/// Whether the link was dialled by the one of the two nodes whose connections stay.
fn stays(own: NodeId, peer: NodeId, dialled: bool) -> bool {
    dialled == (own < peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_the_one_dialled_by_the_smaller_id() {
        let (small, great) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        assert!(stays(small, great, true) && stays(great, small, false));
        assert!(!stays(small, great, false) && !stays(great, small, true));
    }
}
