//! What the nodes of each network have of the directory, and which network has most.
//! Invariant: a network is here as long as it has a node; `total` is the sum over all, and each measure ranks all of them.
//! All orders are of the whole: a set for each of many small networks would be nearly empty, and large.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Amount;
use crate::model::NodeId;

/// What a lease, its listing, its addresses and its places in the orders here take, in bytes.
pub(super) const NODE: u64 = 1536;
/// What a part takes in its set, whose nodes are half full at least, in bytes.
pub(super) const PART: u64 = 112;

/// What nodes have of the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub offers: Amount,
    pub parts: usize,
}

impl Holding {
    fn change(&mut self, before: Self, after: Self) {
        self.offers.subtract(before.offers);
        self.offers.add(after.offers);
        self.parts = self.parts - before.parts + after.parts;
    }

    /// Bytes of memory, with those of so many nodes.
    pub(super) const fn bytes(&self, nodes: usize) -> u64 {
        self.offers.bytes + self.parts as u64 * PART + nodes as u64 * NODE
    }
}

/// By what networks, and the nodes of one, are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Names,
    Bytes,
    Nodes,
}

const MEASURES: [Measure; 3] = [Measure::Names, Measure::Bytes, Measure::Nodes];

/// The nodes of one network together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Network {
    pub nodes: usize,
    pub holds: Holding,
}

impl Network {
    pub(super) const fn size(&self, by: Measure) -> u64 {
        match by {
            Measure::Names => self.holds.offers.names,
            Measure::Bytes => self.holds.bytes(self.nodes),
            Measure::Nodes => self.nodes as u64,
        }
    }
}

/// All networks.
#[derive(Debug, Default)]
pub(super) struct Networks {
    all: BTreeMap<IpAddr, Network>,
    ranks: [BTreeSet<(u64, IpAddr)>; MEASURES.len()],
    nodes: BTreeSet<(IpAddr, NodeId)>,
    by_names: BTreeSet<(IpAddr, u64, NodeId)>,
    by_bytes: BTreeSet<(IpAddr, u64, NodeId)>,
    /// What all nodes have.
    pub(super) total: Holding,
}

impl Networks {
    /// What the nodes of a network have.
    pub(super) fn of(&self, network: IpAddr) -> Network {
        self.all.get(&network).copied().unwrap_or_default()
    }

    /// A node comes, with this.
    pub(super) fn enter(&mut self, network: IpAddr, node: NodeId, has: Holding) {
        self.nodes.insert((network, node));
        self.update(network, |network| network.nodes += 1);
        self.change(network, node, Holding::default(), has);
    }

    /// A node goes, with all that it had.
    pub(super) fn leave(&mut self, network: IpAddr, node: NodeId, had: Holding) {
        self.change(network, node, had, Holding::default());
        self.update(network, |network| network.nodes -= 1);
        self.nodes.remove(&(network, node));
        self.by_names.remove(&(network, 0, node));
        self.by_bytes.remove(&(network, 0, node));
    }

    /// A node of this network has something else than before.
    pub(super) fn change(&mut self, network: IpAddr, node: NodeId, before: Holding, after: Holding) {
        self.total.change(before, after);
        self.update(network, |network| network.holds.change(before, after));
        self.by_names.remove(&(network, before.offers.names, node));
        self.by_bytes.remove(&(network, before.offers.bytes, node));
        self.by_names.insert((network, after.offers.names, node));
        self.by_bytes.insert((network, after.offers.bytes, node));
    }

    /// The network that has most, and by how much it leads.
    pub(super) fn biggest(&self, by: Measure) -> Option<(IpAddr, u64)> {
        leader(self.ranks[by as usize].iter().rev().copied())
    }

    /// The node of a network that offers most, by names or by their bytes, and by how much it leads.
    pub(super) fn biggest_of(&self, network: IpAddr, by: Measure) -> Option<(NodeId, u64)> {
        let ranked = if by == Measure::Bytes { &self.by_bytes } else { &self.by_names };
        let [least, most] = [0, u8::MAX].map(|byte| NodeId::from_bytes([byte; 32]));
        let all = (network, 0, least)..=(network, u64::MAX, most);
        leader(ranked.range(all).rev().map(|(_, size, node)| (*size, *node)))
    }

    /// The other nodes of a network, from the one that follows this by id.
    pub(super) fn others(&self, network: IpAddr, node: NodeId) -> impl Iterator<Item = NodeId> {
        let after = self.nodes.range((network, node)..);
        let before = self.nodes.range((network, NodeId::from_bytes([0; 32]))..(network, node));
        let near = after.take_while(move |(of, _)| *of == network).chain(before);
        near.map(|(_, other)| *other).filter(move |other| *other != node)
    }

    fn update(&mut self, at: IpAddr, change: impl FnOnce(&mut Network)) {
        let network = self.all.entry(at).or_default();
        for by in MEASURES {
            self.ranks[by as usize].remove(&(network.size(by), at));
        }
        change(network);
        if network.nodes == 0 {
            self.all.remove(&at);
            return;
        }
        for by in MEASURES {
            self.ranks[by as usize].insert((network.size(by), at));
        }
    }
}

/// The first of these, the biggest, and how far it is from the second.
fn leader<T>(mut ranked: impl Iterator<Item = (u64, T)>) -> Option<(T, u64)> {
    let (most, first) = ranked.next()?;
    let second = ranked.next().map_or(0, |(size, _)| size);
    Some((first, most - second))
}
