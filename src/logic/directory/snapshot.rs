//! What the directory holds at one moment, to be read anywhere while the directory goes on.
//! Cheap to clone and never changed: a change of the directory replaces only the parts that it touches.
//! How many searches run at once is the caller's to bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use itertools::Itertools as _;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use crate::logic::addresses::{AskerView, addresses_for};
use crate::logic::directory::networks::Holding;
use crate::logic::limits::turns::{by_turns, home};
use crate::logic::offers::page::{self, Page};
use crate::logic::offers::search::{Search, Window};
use crate::logic::offers::table::OfferTable;
use crate::model::{Content, ContentId, Hit, Kind, NodeId, Offer, Provider, Query, SafePath};
use crate::wire::{HitPage, OfferPage, Peer, PeerPage};

/// What one node offers, and where it was reached.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Its offers.
    pub offers: OfferTable,
    /// Transfers in which it takes part.
    pub parts: BTreeSet<Content>,
    /// Where it was reached; none until the first dial-back has ended.
    pub addrs: Option<Vec<SocketAddr>>,
}

impl Listing {
    /// Whether the node can give some of a content.
    pub fn provides(&self, part: &Content) -> bool {
        self.parts.contains(part)
            || self.offers.of_id(part.id).any(|offer| (offer.kind, offer.size) == (part.kind, part.size))
    }

    /// Its parts of an id: of any kind and size.
    pub fn parts_of(&self, id: ContentId) -> impl Iterator<Item = &Content> {
        let first = Content { id, kind: Kind::Collection, size: 0 };
        let last = Content { id, kind: Kind::File, size: u64::MAX };
        self.parts.range(first..=last)
    }

    /// What it takes of the directory.
    pub(super) fn holds(&self) -> Holding {
        Holding { offers: self.offers.all(), parts: self.parts.len() }
    }

    /// The network for which it counts among providers.
    pub fn home(&self) -> Option<IpAddr> {
        home(self.addrs.as_deref().unwrap_or_default())
    }

    /// The node as a provider, as it is told to an asker.
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

/// Nodes of which a census tells the names.
const NAMED: usize = 8;

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Census {
    /// Nodes that have announced something.
    pub nodes: u64,
    /// Their offers.
    pub offers: u64,
    /// Searches that were answered since the start.
    pub searches: u64,
    /// The first nodes, by their ids, that were dialled back in vain.
    pub unreached: Vec<NodeId>,
    /// How many of those there are beyond them.
    pub more: u64,
}

impl Snapshot {
    /// How much there is, but for the searches.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for (node, listing) in self.nodes.iter() {
            census.nodes += 1;
            census.offers += listing.offers.all().names;
            let unreached = listing.addrs.as_ref().is_some_and(Vec::is_empty);
            match census.unreached.len() {
                0..NAMED if unreached => census.unreached.push(*node),
                _ => census.more += u64::from(unreached),
            }
        }
        census
    }

    /// The best hits for a query after `skip` better ones; `None` when it is not to go on to its end. Of more providers than
    /// travel those are told whose turn it is by their networks, and a random choice of each.
    pub fn search(
        &self,
        query: &Query,
        within: Window,
        (asker, seed): (AskerView, u64),
        going: &dyn Fn() -> bool,
    ) -> Option<HitPage> {
        self.reader(asker, seed).words(query, within, going)
    }

    /// Who offers an id or takes part in its transfer, as [`Search::id`] says.
    pub fn locate(&self, id: ContentId, asker: AskerView, seed: u64) -> HitPage {
        let listings = self.nodes.values().enumerate();
        let under_way = listings.flat_map(|(number, listing)| listing.parts_of(id).map(move |part| (number, *part)));
        self.reader(asker, seed).id(id, under_way)
    }

    fn reader(
        &self,
        asker: AskerView,
        seed: u64,
    ) -> Search<'_, impl Fn(&Offer) -> bool, impl FnMut(&[usize]) -> Vec<Provider>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes: Vec<_> = self.nodes.iter().collect();
        let tables = nodes.iter().map(|(_, listing)| &listing.offers).collect();
        let providers = move |offering: &[usize]| {
            let mut chosen = offering.to_vec();
            if chosen.len() > Hit::MAX_PROVIDERS {
                chosen.shuffle(&mut rng);
                chosen = by_turns(chosen, HashMap::new(), |number| nodes[*number].1.home());
                chosen.truncate(Hit::MAX_PROVIDERS);
            }
            let provider = |(node, listing): (&NodeId, &Arc<Listing>)| listing.provider(*node, asker);
            chosen.into_iter().sorted_unstable().map(|number| provider(nodes[number])).collect()
        };
        Search::new(tables, |_| true, providers)
    }

    /// The offers of a node, in name order, after a name. `None` when the node is not known.
    pub fn files_of(&self, node: NodeId, after: Option<&SafePath>) -> Option<OfferPage> {
        Some(self.nodes.get(&node)?.offers.page(after, |_| true))
    }

    /// The nodes, in id order, after a node.
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
    pub fn addresses_of(&self, node: NodeId) -> Vec<SocketAddr> {
        self.nodes.get(&node).and_then(|listing| listing.addrs.clone()).unwrap_or_default()
    }

    /// Whether nothing has changed between two snapshots.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes)
    }

    /// The nodes that were dialled back and can give some of a content.
    pub(super) fn providers_of(&self, part: Content) -> impl Iterator<Item = NodeId> {
        let provides = move |listing: &Listing| listing.addrs.is_some() && listing.provides(&part);
        self.nodes.iter().filter(move |(_, listing)| provides(listing)).map(|(node, _)| *node)
    }
}
