//! What the table of slots remembers of peers and their networks: when each had its last turn, and whether it took what it
//! asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::logic::limits::shares::Who;
use crate::model::NodeId;

/// Peers, and networks, whose last turn is remembered; one that was forgotten is next. As many as can wait.
const REMEMBERED: usize = 512;
/// For how long whoever kept a slot without reading comes after the others: some times what it may keep one for.
const BLAMED: Duration = Duration::from_secs(30);

/// So many new peers, of a network or of all, that kept a slot without reading, none of them longer than [`BLAMED`] after the
/// one before: those that come next may be the same under new names. Fewer may have been shut or have lost their network.
const SUSPICIOUS: u32 = 4;

/// What a peer has shown of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Class {
    /// It kept a slot lately and did not read.
    Blamed,
    /// Nothing yet; and others of its network did not read.
    Suspect,
    /// Nothing yet.
    #[default]
    New,
    /// It has taken all of something.
    Proven,
}

#[derive(Debug, Clone, Copy, Default)]
struct Network {
    turn: u64,
    /// Its new peers that did not read.
    blamed: Blames,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    turn: u64,
    proven: bool,
    blamed: Option<Duration>,
}

/// The memory. Turns are numbers that only grow.
#[derive(Debug, Default)]
pub(super) struct Memory {
    nodes: HashMap<NodeId, Peer>,
    networks: HashMap<IpAddr, Network>,
    clock: u64,
    /// Of what class the last was that began.
    pub(super) last_class: Class,
    /// New peers of any network that did not read, and when the last of them was noticed.
    blamed: Blames,
}

/// How many were blamed, none of them longer than [`BLAMED`] after the one before, and when the last of them was.
#[derive(Debug, Clone, Copy, Default)]
struct Blames {
    count: u32,
    last: Duration,
}

impl Blames {
    fn add(&mut self, now: Duration) {
        *self = Self { count: if is_recent(self.last, now) { self.count + 1 } else { 1 }, last: now };
    }

    fn are_many(self, now: Duration) -> bool {
        self.count >= SUSPICIOUS && is_recent(self.last, now)
    }
}

impl Memory {
    pub(super) fn class(&self, who: &Who, now: Duration) -> Class {
        match self.nodes.get(&who.peer) {
            Some(peer) if peer.blamed.is_some_and(|at| is_recent(at, now)) => Class::Blamed,
            Some(peer) if peer.proven => Class::Proven,
            _ if !who.friend && self.is_suspicious(who.network, now) => Class::Suspect,
            _ => Class::New,
        }
    }

    fn is_suspicious(&self, network: IpAddr, now: Duration) -> bool {
        self.networks.get(&network).is_some_and(|network| network.blamed.are_many(now))
    }

    /// Whether many new peers did not read of late, wherever they came from: those that come next are no reason for others
    /// to wait.
    pub(super) fn is_abused(&self, now: Duration) -> bool {
        self.blamed.are_many(now)
    }

    pub(super) fn turn(&self, node: NodeId) -> Option<u64> {
        self.nodes.get(&node).map(|peer| peer.turn)
    }

    pub(super) fn network_turn(&self, network: IpAddr) -> Option<u64> {
        self.networks.get(&network).map(|network| network.turn)
    }

    /// A request of the peer begins.
    pub(super) fn turned(&mut self, who: &Who, now: Duration) {
        self.clock += 1;
        self.last_class = self.class(who, now);
        self.nodes.entry(who.peer).or_default().turn = self.clock;
        self.networks.entry(who.network).or_default().turn = self.clock;
        // Those first that have shown nothing: else new identities would push out the others.
        trim(&mut self.nodes, |peer| (peer.proven, peer.turn));
        trim(&mut self.networks, |network| (network.blamed.count, network.turn));
    }

    /// It has taken all that it asked for.
    pub(super) fn proved(&mut self, node: NodeId) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            (peer.proven, peer.blamed) = (true, None);
        }
    }

    /// It kept a slot and did not read.
    pub(super) fn blame(&mut self, who: &Who, now: Duration) {
        let Some(peer) = self.nodes.get_mut(&who.peer) else { return };
        let was_proven = std::mem::replace(&mut peer.proven, false);
        let again = peer.blamed.replace(now).is_some();
        if was_proven || again {
            return;
        }
        self.blamed.add(now);
        if let Some(network) = self.networks.get_mut(&who.network) {
            network.blamed.add(now);
        }
    }
}

fn is_recent(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < BLAMED
}

fn trim<K: Hash + Eq + Copy, V, O: Ord>(all: &mut HashMap<K, V>, order: impl Fn(&V) -> O) {
    if all.len() > REMEMBERED
        && let Some(first) = all.iter().min_by_key(|(_, value)| order(value)).map(|(key, _)| *key)
    {
        all.remove(&first);
    }
}
