//! Who is told of joins and leaves of which content.
//! Invariant: a follower is told of at most [`Hit::MAX_PROVIDERS`] nodes at a time, never of itself, and of each
//! leave of a node of whose join it was told. Not responsible for who provides what.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use crate::logic::addresses::AskerView;
use crate::logic::directory::snapshot::{Listing, Snapshot};
use crate::model::{Content, Hit, NodeId, Provider};
use crate::wire::FollowEvent;

/// One `follow` stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FollowId(u64);

#[derive(Debug)]
struct Follower {
    node: NodeId,
    asker: AskerView,
    told: BTreeSet<NodeId>,
}

/// All followers.
#[derive(Debug)]
pub(super) struct Follows {
    next: u64,
    parts: BTreeMap<FollowId, Content>,
    followers: BTreeMap<Content, BTreeMap<FollowId, Follower>>,
    events: BTreeMap<FollowId, FollowEvent>,
    rng: StdRng,
}

impl Follows {
    pub(super) fn new(seed: u64) -> Self {
        let (parts, followers, events) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { next: 0, parts, followers, events, rng: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn is_followed(&self, part: &Content) -> bool {
        self.followers.contains_key(part)
    }

    pub(super) fn followed(&self) -> Vec<Content> {
        self.followers.keys().copied().collect()
    }

    /// Adds a follower and gives its first event.
    pub(super) fn add(
        &mut self,
        part: Content,
        node: NodeId,
        asker: AskerView,
        snapshot: &Snapshot,
    ) -> (FollowId, FollowEvent) {
        let id = FollowId(self.next);
        self.next += 1;
        let present = snapshot.providers_of(part).filter(|provider| *provider != node);
        let told: BTreeSet<NodeId> = present.choose_multiple(&mut self.rng, Hit::MAX_PROVIDERS).into_iter().collect();
        let joined = told.iter().filter_map(|node| snapshot.provider(*node, asker)).collect();
        self.parts.insert(id, part);
        self.followers.entry(part).or_default().insert(id, Follower { node, asker, told });
        (id, FollowEvent { joined, left: Vec::new() })
    }

    /// The followers that are none of these nodes.
    pub(super) fn of_others(&self, these: impl Fn(NodeId) -> bool) -> Vec<FollowId> {
        let followers = self.followers.values().flatten();
        followers.filter(|(_, follower)| !these(follower.node)).map(|(id, _)| *id).collect()
    }

    pub(super) fn remove(&mut self, id: FollowId) {
        self.events.remove(&id);
        let Some(part) = self.parts.remove(&id) else { return };
        let Some(followers) = self.followers.get_mut(&part) else { return };
        followers.remove(&id);
        if followers.is_empty() {
            self.followers.remove(&part);
        }
    }

    /// Brings the followers of a content up to date with one node; `moved`: it has other addresses than before.
    pub(super) fn reconcile(&mut self, part: Content, node: NodeId, moved: bool, snapshot: &Snapshot) {
        let listing = snapshot.nodes.get(&node).filter(|l| l.addrs.is_some() && l.provides(&part));
        for (id, follower) in self.followers.get_mut(&part).into_iter().flatten() {
            let news = match listing {
                Some(listing) => follower.present(node, listing, moved),
                None => follower.absent(node, part, snapshot, &mut self.rng),
            };
            if let Some(news) = news {
                add(self.events.entry(*id).or_default(), news);
            }
        }
    }

    /// What is to be sent, one event for each follower.
    pub(super) fn take_events(&mut self) -> BTreeMap<FollowId, FollowEvent> {
        mem::take(&mut self.events)
    }
}

impl Follower {
    fn wants(&self, node: NodeId) -> bool {
        node != self.node && !self.told.contains(&node) && self.told.len() < Hit::MAX_PROVIDERS
    }

    fn present(&mut self, node: NodeId, listing: &Listing, moved: bool) -> Option<FollowEvent> {
        if !(self.wants(node) || moved && self.told.contains(&node)) {
            return None;
        }
        self.told.insert(node);
        Some(FollowEvent { joined: vec![listing.provider(node, self.asker)], left: Vec::new() })
    }

    /// Its place goes to another one, should there have been too many.
    fn absent(&mut self, node: NodeId, part: Content, snapshot: &Snapshot, rng: &mut StdRng) -> Option<FollowEvent> {
        let full = self.told.len() == Hit::MAX_PROVIDERS;
        if !self.told.remove(&node) {
            return None;
        }
        let spare = snapshot.providers_of(part).filter(|other| *other != node && self.wants(*other));
        let spare = if full { spare.choose(rng) } else { None };
        self.told.extend(spare);
        let joined = spare.and_then(|spare| snapshot.provider(spare, self.asker)).into_iter().collect();
        Some(FollowEvent { joined, left: vec![node] })
    }
}

impl Snapshot {
    fn provider(&self, node: NodeId, asker: AskerView) -> Option<Provider> {
        self.nodes.get(&node).map(|listing: &std::sync::Arc<Listing>| listing.provider(node, asker))
    }
}

/// Adds later news; of one node only the latest are kept.
fn add(event: &mut FollowEvent, news: FollowEvent) {
    for provider in news.joined {
        event.left.retain(|node| *node != provider.node);
        event.joined.retain(|other| other.node != provider.node);
        event.joined.push(provider);
    }
    for node in news.left {
        event.joined.retain(|other| other.node != node);
        event.left.retain(|other| *other != node);
        event.left.push(node);
    }
}
