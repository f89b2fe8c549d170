//! What the table of slots remembers of peers: when each had its last turn, and whether it took what it asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::NodeId;

/// Peers, and networks, whose last turn is remembered; one that was forgotten is next. As many as can wait.
const REMEMBERED: usize = 512;
/// For how long whoever kept a slot without reading comes after the others: some times what it may keep one for.
const BLAMED: Duration = Duration::from_secs(30);

/// What a peer has shown of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Class {
    /// It kept a slot lately and did not read.
    Blamed,
    /// Nothing yet.
    #[default]
    New,
    /// It has taken all of something.
    Proven,
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
    networks: HashMap<IpAddr, u64>,
    clock: u64,
    last_class: Class,
}

impl Memory {
    pub(super) fn class(&self, node: NodeId, now: Duration) -> Class {
        match self.nodes.get(&node) {
            Some(peer) if peer.blamed.is_some_and(|at| now.saturating_sub(at) < BLAMED) => Class::Blamed,
            Some(peer) if peer.proven => Class::Proven,
            _ => Class::New,
        }
    }

    /// Of what class the last was that began.
    pub(super) const fn last_class(&self) -> Class {
        self.last_class
    }

    pub(super) fn turn(&self, node: NodeId) -> Option<u64> {
        self.nodes.get(&node).map(|peer| peer.turn)
    }

    pub(super) fn network_turn(&self, network: IpAddr) -> Option<u64> {
        self.networks.get(&network).copied()
    }

    /// A request of the peer begins.
    pub(super) fn turned(&mut self, node: NodeId, network: IpAddr, now: Duration) {
        self.clock += 1;
        self.last_class = self.class(node, now);
        self.nodes.entry(node).or_default().turn = self.clock;
        self.networks.insert(network, self.clock);
        // Those first that have shown nothing: else new identities would push out the others.
        trim(&mut self.nodes, |peer| (peer.proven, peer.turn));
        trim(&mut self.networks, |turn| *turn);
    }

    /// It has taken all that it asked for.
    pub(super) fn proved(&mut self, node: NodeId) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            (peer.proven, peer.blamed) = (true, None);
        }
    }

    /// It kept a slot and did not read.
    pub(super) fn blame(&mut self, node: NodeId, now: Duration) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            (peer.proven, peer.blamed) = (false, Some(now));
        }
    }
}

fn trim<K: Hash + Eq + Copy, V, O: Ord>(all: &mut HashMap<K, V>, order: impl Fn(&V) -> O) {
    if all.len() > REMEMBERED
        && let Some(first) = all.iter().min_by_key(|(_, value)| order(value)).map(|(key, _)| *key)
    {
        all.remove(&first);
    }
}
