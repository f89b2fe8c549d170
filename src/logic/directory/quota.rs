//! How much the directory holds at most, and who gives way: the biggest network first, of it the biggest node, of that the
//! ordinary names before its collections and top names. So many identities of one address have together what one has, and
//! who has less than another network is not cut.

use std::net::IpAddr;
use std::time::Duration;

use super::networks::{Holding, Measure, Network, PART};
use super::{Amount, Directory, Touched, listing, touch};
use crate::logic::limits::shares::Who;
use crate::model::NodeId;
use crate::wire::Code;

/// Limits of the directory; the defaults are the design's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Offers of one node.
    pub names_per_node: u64,
    /// Offers of all nodes.
    pub names: u64,
    /// Bytes of memory for all of it.
    pub bytes: u64,
    /// Nodes.
    pub nodes: usize,
    /// Transfers in which one node takes part.
    pub parts_per_node: usize,
    /// Followers of all contents.
    pub follows: usize,
    /// How long a node is believed without hearing from it.
    pub lease: Duration,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            names_per_node: 200_000,
            names: 500_000,
            bytes: 128 << 20,
            nodes: 50_000,
            parts_per_node: 4096,
            follows: 20_000,
            lease: Duration::from_secs(60),
        }
    }
}

/// Of the memory so much at most is for parts, of what others leave of that so much for one network, and of what is free so
/// much for one node: whoever takes part in many transfers leaves room for the others, however many such there are.
const PARTS_OF_ALL: u64 = 4;
const PARTS_OF_NETWORK: usize = 2;
const PARTS_OF_FREE: usize = 8;
/// The fewest names, and bytes, that are cut at once: equals take turns in steps of this.
const STEP: Amount = Amount { names: 256, bytes: 64 << 10 };
/// What a name takes, in bytes, of a node that has none: about twice what most do.
const NAME: u64 = 256;
/// Of so many nodes one gives up its place, so that a crowd costs nothing to go through.
const LOOKED_AT: usize = 64;

/// What somebody has to give.
enum Cut {
    Offers(NodeId, Amount),
    /// All that it has: there are no offers in its network.
    Lease(NodeId),
}

impl Directory {
    /// Cuts until all quotas hold. How many offers of `node` were cut.
    pub(super) fn trim(&mut self, node: NodeId, touched: &mut Touched) -> u64 {
        let mut own = 0;
        while let Some(cut) = self.next_cut(node) {
            match cut {
                Cut::Offers(biggest, want) => {
                    let cut = self.cut(biggest, want, touched);
                    if cut.is_none() {
                        break;
                    }
                    if biggest == node {
                        own += cut.names;
                    }
                }
                Cut::Lease(node) => {
                    self.remove(node);
                    touched.extend(self.follows.followed().into_iter().map(|part| (node, part)));
                }
            }
        }
        own
    }

    /// Cuts offers of a node.
    fn cut(&mut self, node: NodeId, want: Amount, touched: &mut Touched) -> Amount {
        let Some(listing) = listing(&mut self.snapshot, node) else { return Amount::default() };
        let before = listing.holds();
        let cut = listing.offers.cut(want, &mut |offer| touch(&self.follows, node, offer, touched));
        let after = listing.holds();
        self.account(node, before, after);
        cut
    }

    /// Who has to give what after this one has changed: no more than to the size of the second biggest, or a step.
    fn next_cut(&self, newest: NodeId) -> Option<Cut> {
        let free = self.free();
        if free.names < 0 {
            let (network, lead) = self.networks.biggest(Measure::Names)?;
            let (node, ahead) = self.networks.biggest_of(network, Measure::Names)?;
            let step = lead.max(STEP.names).min(ahead.max(STEP.names));
            return Some(Cut::Offers(node, Amount { names: step.min(free.names.unsigned_abs()), bytes: 0 }));
        }
        if free.bytes < 0 {
            let (network, lead) = self.networks.biggest(Measure::Bytes)?;
            if self.networks.of(network).holds.offers.is_none() {
                return self.least_heard(network, newest).map(Cut::Lease);
            }
            let (node, ahead) = self.networks.biggest_of(network, Measure::Bytes)?;
            let step = lead.max(STEP.bytes).min(ahead.max(STEP.bytes));
            return Some(Cut::Offers(node, Amount { names: 0, bytes: step.min(free.bytes.unsigned_abs()) }));
        }
        None
    }

    /// Of some nodes of a network, those that follow one by id, the one whose lease ends first.
    fn least_heard(&self, network: IpAddr, after: NodeId) -> Option<NodeId> {
        let some = self.networks.others(network, after).take(LOOKED_AT);
        some.min_by_key(|node| self.leases.get(node).map(|lease| lease.ends))
    }

    /// Makes room for one node more: where there are as many nodes as may be, the network that has most of them
    /// gives one up.
    ///
    /// # Errors
    /// `Busy` when no network has more than that of this one would.
    pub(super) fn make_place(&mut self, who: Who) -> Result<(), Code> {
        if self.leases.len() < self.quotas.nodes {
            return Ok(());
        }
        let (most, _) = self.networks.biggest(Measure::Nodes).ok_or(Code::Busy)?;
        let leads = self.networks.of(most).nodes > self.networks.of(who.network).nodes + 1;
        let gives = if leads { self.least_heard(most, who.peer) } else { None };
        let gives = gives.ok_or(Code::Busy)?;
        self.remove(gives);
        self.reconcile_all(gives);
        Ok(())
    }

    /// In how many transfers a node may take part now.
    pub(super) fn parts_of(&self, node: NodeId) -> usize {
        let all = usize::try_from(self.quotas.bytes / PARTS_OF_ALL / PART).unwrap_or(usize::MAX);
        let own = self.holding_of(node).parts;
        let near = self.network_of(node).holds.parts;
        let total = self.networks.total.parts;
        let of_network = all.saturating_sub(total - near).div_ceil(PARTS_OF_NETWORK);
        let of_free = all.saturating_sub(total).div_ceil(PARTS_OF_FREE);
        self.quotas.parts_per_node.min(of_free).min(of_network.saturating_sub(near - own))
    }

    /// So many names more would be taken of a node now: of what is free, or half of what the biggest network has more than its
    /// own.
    pub(super) fn room_of(&self, node: NodeId) -> u64 {
        let (own, free) = (self.holding_of(node).offers, self.free());
        let near = self.network_of(node);
        let ahead = |by| {
            let most = self.networks.biggest(by).map_or(0, |(network, _)| self.networks.of(network).size(by));
            most.saturating_sub(near.size(by)) / 2
        };
        let left = |free: i64| u64::try_from(free).unwrap_or(0);
        let names = left(free.names).max(ahead(Measure::Names));
        let bytes = left(free.bytes).max(ahead(Measure::Bytes));
        let each = own.bytes.checked_div(own.names).unwrap_or(NAME).max(1);
        names.min(bytes / each).min(self.quotas.names_per_node.saturating_sub(own.names))
    }

    fn holding_of(&self, node: NodeId) -> Holding {
        self.snapshot.nodes.get(&node).map_or_else(Holding::default, |listing| listing.holds())
    }

    fn network_of(&self, node: NodeId) -> Network {
        self.leases.get(&node).map_or_else(Network::default, |lease| self.networks.of(lease.network))
    }

    /// What is left of the quotas; less than nothing when they are exceeded.
    fn free(&self) -> Free {
        let total = self.networks.total;
        let left =
            |quota: u64, used: u64| quota.saturating_sub(used).cast_signed() - used.saturating_sub(quota).cast_signed();
        Free {
            names: left(self.quotas.names, total.offers.names),
            bytes: left(self.quotas.bytes, total.bytes(self.leases.len())),
        }
    }
}

/// What is left of the quotas.
#[derive(Debug, Clone, Copy)]
struct Free {
    names: i64,
    bytes: i64,
}
