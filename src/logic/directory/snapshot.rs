//! What the directory holds at one moment, to be read anywhere while the directory goes on.
//! Cheap to clone and never changed: a change of the directory replaces only the parts that it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::logic::addresses::{AskerView, addresses_for};
use crate::logic::directory::offers::OfferTable;
use crate::logic::offers::page::{self, Page};
use crate::model::{ContentId, Kind, NodeId, Provider, SafePath};
use crate::wire::{OfferPage, Part, Peer, PeerPage};

/// What one node offers, and where it was reached.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Its offers.
    pub offers: OfferTable,
    /// Transfers in which it takes part.
    pub parts: BTreeSet<Part>,
    /// Where it was reached; none until the first dial-back has ended.
    pub addrs: Option<Vec<SocketAddr>>,
}

impl Listing {
    /// Whether the node can give some of a content.
    #[must_use]
    pub fn provides(&self, part: &Part) -> bool {
        self.parts.contains(part)
            || self.offers.of_id(part.id).any(|offer| (offer.kind, offer.size) == (part.kind, part.size))
    }

    /// Its parts of an id: of any kind and size.
    pub fn parts_of(&self, id: ContentId) -> impl Iterator<Item = &Part> {
        let first = Part { id, kind: Kind::Collection, size: 0 };
        let last = Part { id, kind: Kind::File, size: u64::MAX };
        self.parts.range(first..=last)
    }

    /// The node as a provider, as it is told to an asker.
    #[must_use]
    pub fn provider(&self, node: NodeId, asker: AskerView) -> Provider {
        let addrs = self.addrs.as_deref().map_or_else(Vec::new, |addrs| addresses_for(asker, addrs));
        Provider { node, addrs }
    }
}

/// The directory at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What each node offers.
    pub(super) nodes: Arc<BTreeMap<NodeId, Arc<Listing>>>,
}

impl Snapshot {
    /// The offers of a node, in name order, after a name. `None` when the node is not known.
    #[must_use]
    pub fn files_of(&self, node: NodeId, after: Option<&SafePath>) -> Option<OfferPage> {
        let listing = self.nodes.get(&node)?;
        let mut offers = Page::default();
        let more = listing.offers.after(after).any(|offer| !offers.add(page::of_offer(offer), || offer.clone()));
        Some(OfferPage { offers: offers.items, more })
    }

    /// The nodes, in id order, after a node.
    #[must_use]
    pub fn peers(&self, after: Option<NodeId>, asker: AskerView) -> PeerPage {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut peers = Page::default();
        let mut rest = self.nodes.range((after.map_or(Unbounded, Excluded), Unbounded));
        let more = rest.any(|(node, listing)| {
            let provider = listing.provider(*node, asker);
            let cost = page::of_provider(&provider);
            let offers = listing.offers.all().names;
            !peers.add(cost, || Peer { node: *node, addrs: provider.addrs, offers })
        });
        PeerPage { peers: peers.items, more }
    }

    /// Where a node was reached; nowhere before its first dial-back has ended.
    #[must_use]
    pub fn addresses_of(&self, node: NodeId) -> Vec<SocketAddr> {
        self.nodes.get(&node).and_then(|listing| listing.addrs.clone()).unwrap_or_default()
    }

    /// Whether nothing has changed between two snapshots.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes)
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that were dialled back and can give some of a content.
    pub(super) fn providers_of(&self, part: Part) -> impl Iterator<Item = NodeId> {
        let provides = move |listing: &Listing| listing.addrs.is_some() && listing.provides(&part);
        self.nodes.iter().filter(move |(_, listing)| provides(listing)).map(|(node, _)| *node)
    }
}
