//! Who is told of joins and leaves of which content.
//! Invariant: a follower is told of at most [`Hit::MAX_PROVIDERS`] nodes at a time, never of itself, and of each
//! leave of a node of whose join it was told; while there are more, those whose turn it is by their networks. Not responsible for who provides what.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::net::IpAddr;

use itertools::Itertools as _;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::{IteratorRandom as _, SliceRandom as _};

use crate::logic::addresses::AskerView;
use crate::logic::directory::snapshot::{Listing, Snapshot};
use crate::logic::limits::turns::{by_turns, who_yields};
use crate::model::{Content, Hit, NodeId, Provider};
use crate::wire::FollowEvent;

/// One `follow` stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FollowId(u64);

#[derive(Debug)]
struct Follower {
    node: NodeId,
    asker: AskerView,
    /// With the network for which each counted then.
    told: BTreeMap<NodeId, Option<IpAddr>>,
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
        let mut present: Vec<_> = present.map(|node| (node, snapshot.home(node))).collect();
        present.shuffle(&mut self.rng);
        let chosen = by_turns(present, HashMap::new(), |(_, home)| *home).into_iter().take(Hit::MAX_PROVIDERS);
        let told: BTreeMap<_, _> = chosen.collect();
        let joined = told.keys().filter_map(|node| snapshot.provider(*node, asker)).collect();
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
        node != self.node && !self.told.contains_key(&node)
    }

    fn is_full(&self) -> bool {
        self.told.len() >= Hit::MAX_PROVIDERS
    }

    /// Where there is no place for it, a network that has more than its own gives one up.
    fn present(&mut self, node: NodeId, listing: &Listing, moved: bool) -> Option<FollowEvent> {
        let home = listing.home();
        let mut left = Vec::new();
        if self.wants(node) {
            if self.is_full() {
                let held: Vec<_> = self.told.iter().map(|(node, home)| (*home, Some(*node))).collect();
                left.push(who_yields(home, &held)?);
            }
        } else if !(moved && self.told.contains_key(&node)) {
            return None;
        }
        self.told.retain(|node, _| !left.contains(node));
        self.told.insert(node, home);
        Some(FollowEvent { joined: vec![listing.provider(node, self.asker)], left })
    }

    /// Its place goes to another one, should there have been too many.
    fn absent(&mut self, node: NodeId, part: Content, snapshot: &Snapshot, rng: &mut StdRng) -> Option<FollowEvent> {
        let full = self.is_full();
        self.told.remove(&node)?;
        let spare = if full { self.spare(node, part, snapshot, rng) } else { None };
        self.told.extend(spare.map(|spare| (spare, snapshot.home(spare))));
        let joined = spare.and_then(|spare| snapshot.provider(spare, self.asker)).into_iter().collect();
        Some(FollowEvent { joined, left: vec![node] })
    }

    /// One that was not told yet, of the network of which fewest were.
    fn spare(&self, but: NodeId, part: Content, snapshot: &Snapshot, rng: &mut StdRng) -> Option<NodeId> {
        let mut places: HashMap<Option<IpAddr>, usize> = HashMap::new();
        self.told.values().for_each(|home| *places.entry(*home).or_default() += 1);
        let others = snapshot.providers_of(part).filter(|other| *other != but && self.wants(*other));
        let others = others.map(|other| (places.get(&snapshot.home(other)).copied().unwrap_or(0), other));
        let fewest = others.min_set_by_key(|(places, _)| *places);
        fewest.into_iter().map(|(_, other)| other).choose(rng)
    }
}

impl Snapshot {
    fn home(&self, node: NodeId) -> Option<IpAddr> {
        self.nodes.get(&node).and_then(|listing| listing.home())
    }

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
