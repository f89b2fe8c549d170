//! Who offers what, under leases (design, sections 1 and 7.12). Writes go through [`Directory`]; reads run on its
//! [`Snapshot`], which shares everything that did not change.
//! Invariant: one lease per node, of one epoch; a node is in the snapshot exactly as long as it has a lease.
//! Not responsible for connections: names and leases outlive them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::logic::limits::shares::Who;
use crate::model::{Content, Epoch, NodeId, Offer};
use crate::wire::{Announce, Code, Delta, FollowEvent, Renewed};

mod follow;
mod lease;
mod networks;
mod quota;
mod snapshot;
#[cfg(test)]
mod tests;

pub use crate::logic::addresses::AskerView;
pub use crate::logic::offers::amount::Amount;
pub use crate::logic::offers::search::Window;
pub use follow::FollowId;
pub use lease::{AnnouncementId, Tally};
pub use quota::Quotas;
pub use snapshot::{Census, Listing, Snapshot};

use follow::Follows;
use lease::Lease;
use networks::{Holding, Networks};

/// See the module.
#[derive(Debug)]
pub struct Directory {
    quotas: Quotas,
    leases: BTreeMap<NodeId, Lease>,
    snapshot: Snapshot,
    follows: Follows,
    networks: Networks,
}

/// A node and a content of which it may have begun or ceased to be a provider.
type Touched = BTreeSet<(NodeId, Content)>;

impl Directory {
    /// An empty directory.
    pub fn new(quotas: Quotas, seed: u64) -> Self {
        let (leases, snapshot, follows) = (BTreeMap::new(), Snapshot::default(), Follows::new(seed));
        Self { quotas, leases, snapshot, follows, networks: Networks::default() }
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// Begins an announcement. One in full replaces everything known of the node, of whichever epoch.
    ///
    /// # Errors
    /// `NotFound` when it continues what is not known: the node must announce in full. `Busy` when there are too
    /// many nodes, and no network has more of them than this one.
    pub fn announce(&mut self, who: Who, head: &Announce, now: Duration) -> Result<(), Code> {
        let ends = now + self.quotas.lease;
        if head.full {
            return self.begin(who, head, ends);
        }
        let node = who.peer;
        let lease = self.leases.get_mut(&node).filter(|lease| lease.epoch == head.epoch).ok_or(Code::NotFound)?;
        if lease.open.is_some() || lease.seq.and_then(|seq| seq.checked_add(1)) != Some(head.seq) {
            return Err(Code::NotFound);
        }
        (lease.open, lease.refused, lease.ends) = (Some(head.seq), 0, ends);
        self.settle(who);
        Ok(())
    }

    /// Takes a part of the announcement that is being taken.
    ///
    /// # Errors
    /// `Cancelled` when another announcement has begun, or the lease has ended.
    pub fn apply(&mut self, id: AnnouncementId, delta: Delta, now: Duration) -> Result<(), Code> {
        self.open(id)?.ends = now + self.quotas.lease;
        let mut touched = self.touched_by(id.node, &delta);
        let refused = self.change(id.node, delta, &mut touched);
        self.reconcile(touched);
        self.open(id)?.refused += refused;
        Ok(())
    }

    /// Ends the announcement that is being taken.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn complete(&mut self, id: AnnouncementId, now: Duration) -> Result<Tally, Code> {
        let span = self.quotas.lease;
        let lease = self.open(id)?;
        (lease.seq, lease.open, lease.ends) = (Some(id.seq), None, now + span);
        let refused = lease.refused;
        let taken = self.snapshot.nodes.get(&id.node).map_or(0, |listing| listing.offers.all().names);
        Ok(Tally { taken, refused, lease: span })
    }

    /// Sets where the node was reached; nowhere is an answer too. Whether the epoch has a lease.
    pub fn publish(&mut self, node: NodeId, epoch: Epoch, addrs: Vec<SocketAddr>) -> bool {
        if self.leases.get(&node).is_none_or(|lease| lease.epoch != epoch) {
            return false;
        }
        let Some(listing) = listing(&mut self.snapshot, node) else { return false };
        if listing.addrs.as_ref() == Some(&addrs) {
            return true;
        }
        listing.addrs = Some(addrs);
        for part in self.follows.followed() {
            self.follows.reconcile(part, node, true, &self.snapshot);
        }
        true
    }

    /// Goes on with a lease. It is known when its last complete announcement is `seq` and none is being taken.
    pub fn renew(&mut self, id: AnnouncementId, now: Duration) -> Renewed {
        let AnnouncementId { node, epoch, seq } = id;
        let same = |lease: &&mut Lease| lease.epoch == epoch && lease.seq == Some(seq) && lease.open.is_none();
        let Some(lease) = self.leases.get_mut(&node).filter(same) else {
            return Renewed { known: false, reachable: Vec::new(), held: None, room: 0 };
        };
        lease.ends = now + self.quotas.lease;
        let listing = self.snapshot.nodes.get(&node);
        let addrs = listing.and_then(|listing| listing.addrs.clone());
        let held = listing.map(|listing| listing.offers.all().names);
        Renewed { known: true, reachable: addrs.unwrap_or_default(), held, room: self.room_of(node) }
    }

    /// Ends the lease of that epoch, of no other. Whether there was one.
    pub fn withdraw(&mut self, node: NodeId, epoch: Epoch) -> bool {
        let own = self.leases.get(&node).is_some_and(|lease| lease.epoch == epoch);
        if own {
            self.remove(node);
            self.reconcile_all(node);
        }
        own
    }

    /// Ends the leases of silent nodes. How many.
    pub fn expire(&mut self, now: Duration) -> usize {
        let silent: Vec<_> = self.leases.iter().filter(|(_, lease)| lease.ends <= now).map(|(node, _)| *node).collect();
        silent.iter().for_each(|node| self.remove(*node));
        // All are gone before anyone is told: nobody is sent from one to the next.
        silent.iter().for_each(|node| self.reconcile_all(*node));
        silent.len()
    }

    /// Ends at once what all nodes have here that may not stay. Followers among them are named, and told no more.
    pub fn dismiss(&mut self, stays: impl Fn(NodeId) -> bool) -> Vec<FollowId> {
        let gone: Vec<_> = self.leases.keys().copied().filter(|node| !stays(*node)).collect();
        gone.iter().for_each(|node| self.remove(*node));
        gone.iter().for_each(|node| self.reconcile_all(*node));
        let unheard = self.follows.of_others(stays);
        unheard.iter().for_each(|id| self.unfollow(*id));
        unheard
    }

    /// Begins to tell a node who joins and leaves a content. The first event is the answer.
    ///
    /// # Errors
    /// `Busy` when there are too many followers.
    pub fn follow(&mut self, part: Content, node: NodeId, asker: AskerView) -> Result<(FollowId, FollowEvent), Code> {
        if self.follows.len() >= self.quotas.follows {
            return Err(Code::Busy);
        }
        Ok(self.follows.add(part, node, asker, &self.snapshot))
    }

    /// Ends that.
    pub fn unfollow(&mut self, id: FollowId) {
        self.follows.remove(id);
    }

    /// What followers are to be told since the last time, at most one event for each.
    pub fn take_events(&mut self) -> BTreeMap<FollowId, FollowEvent> {
        self.follows.take_events()
    }

    fn begin(&mut self, who: Who, head: &Announce, ends: Duration) -> Result<(), Code> {
        let Who { peer: node, network, .. } = who;
        let former = self.leases.get(&node).map(|lease| lease.epoch);
        let addrs = self.snapshot.nodes.get(&node).and_then(|known| known.addrs.clone());
        if former.is_none() {
            self.make_place(who)?;
        }
        self.remove(node);
        let lease = Lease { network, epoch: head.epoch, seq: None, open: Some(head.seq), refused: 0, ends };
        self.leases.insert(node, lease);
        self.networks.enter(network, node, Holding::default());
        let addrs = addrs.filter(|_| former == Some(head.epoch));
        Arc::make_mut(&mut self.snapshot.nodes).insert(node, Arc::new(Listing { addrs, ..Listing::default() }));
        self.reconcile_all(node);
        let mut touched = Touched::new();
        self.trim(node, &mut touched);
        self.reconcile(touched);
        Ok(())
    }

    /// A node counts to the network from which it announces.
    fn settle(&mut self, who: Who) {
        let Who { peer: node, network, .. } = who;
        let Some(lease) = self.leases.get_mut(&node) else { return };
        let former = mem::replace(&mut lease.network, network);
        if former != network {
            let holds = self.snapshot.nodes.get(&node).map_or_else(Holding::default, |listing| listing.holds());
            self.networks.leave(former, node, holds);
            self.networks.enter(network, node, holds);
        }
    }

    fn open(&mut self, id: AnnouncementId) -> Result<&mut Lease, Code> {
        let open = |lease: &&mut Lease| lease.epoch == id.epoch && lease.open == Some(id.seq);
        self.leases.get_mut(&id.node).filter(open).ok_or(Code::Cancelled)
    }

    /// Changes a node's listing and keeps the quotas. How many of its offers were cut.
    fn change(&mut self, node: NodeId, delta: Delta, touched: &mut Touched) -> u64 {
        let most_parts = self.parts_of(node);
        let Some(listing) = listing(&mut self.snapshot, node) else { return 0 };
        let before = listing.holds();
        let mut dropped = |offer: &Offer| touch(&self.follows, node, offer, touched);
        listing.offers.change(delta.remove, delta.add, &mut dropped);
        for part in &delta.leave {
            listing.parts.remove(part);
        }
        let room = most_parts.saturating_sub(listing.parts.len());
        listing.parts.extend(delta.join.into_iter().take(room));
        let too_many = listing.offers.all().names.saturating_sub(self.quotas.names_per_node);
        let cut = listing.offers.cut(Amount { names: too_many, bytes: 0 }, &mut dropped);
        let after = listing.holds();
        self.account(node, before, after);
        cut.names + self.trim(node, touched)
    }

    fn remove(&mut self, node: NodeId) {
        let Some(lease) = self.leases.remove(&node) else { return };
        if let Some(old) = Arc::make_mut(&mut self.snapshot.nodes).remove(&node) {
            self.networks.leave(lease.network, node, old.holds());
        }
    }

    /// A node has something else than before.
    fn account(&mut self, node: NodeId, before: Holding, after: Holding) {
        if let Some(lease) = self.leases.get(&node) {
            self.networks.change(lease.network, node, before, after);
        }
    }

    fn touched_by(&self, node: NodeId, delta: &Delta) -> Touched {
        let mut touched: Touched = delta.join.iter().chain(&delta.leave).map(|part| (node, *part)).collect();
        touched.retain(|(_, part)| self.follows.is_followed(part));
        delta.add.iter().for_each(|offer| touch(&self.follows, node, offer, &mut touched));
        touched
    }

    fn reconcile(&mut self, touched: Touched) {
        for (node, part) in touched {
            self.follows.reconcile(part, node, false, &self.snapshot);
        }
    }

    fn reconcile_all(&mut self, node: NodeId) {
        self.reconcile(self.follows.followed().into_iter().map(|part| (node, part)).collect());
    }
}

fn listing(snapshot: &mut Snapshot, node: NodeId) -> Option<&mut Listing> {
    Arc::make_mut(&mut snapshot.nodes).get_mut(&node).map(Arc::make_mut)
}

fn touch(follows: &Follows, node: NodeId, offer: &Offer, touched: &mut Touched) {
    let Some(id) = offer.id else { return };
    let part = Content { id, kind: offer.kind, size: offer.size };
    if follows.is_followed(&part) {
        touched.insert((node, part));
    }
}
