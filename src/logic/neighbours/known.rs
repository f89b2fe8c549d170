//! Nodes that may become neighbours. Invariant: bounded; what others merely tell never pushes out what was dialled.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use itertools::Itertools as _;
use rand::Rng;

use crate::logic::limits::back_off::BackOff;
use crate::logic::limits::bucket::Tokens;
use crate::model::NodeId;
use crate::model::address::{Remembered, is_link_local, is_publishable};
use crate::wire::limits;

/// Nodes known at most, and of one source.
const MOST: (usize, usize) = (1000, 400);
/// Dials at a time of what was heard on the LAN, where nobody has proven what is said: those that do not answer must not
/// hold up the others. And of one address: who invents nodes at its own holds up nobody elsewhere.
pub(super) const LAN_DIALS: usize = 4;
const LAN_DIALS_OF_ADDRESS: usize = 2;
/// Nodes of one address that are kept of what was heard there and never reached.
const LAN_OF_ADDRESS: usize = 32;
/// The same over time: who announces ever other addresses must not make us send to all of them. So many at once, then one
/// so often.
const HINTS: (u32, Duration) = (32, Duration::from_millis(500));
/// Nodes that are remembered across a restart.
const REMEMBERED: usize = 100;

/// How a node was learned of, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user knows it.
    Friend,
    /// It was a neighbour of our choice before the restart, for longer than the others.
    Anchor,
    /// It was a neighbour of our choice before the restart.
    Held,
    /// It is on the same network.
    Lan,
    /// A tracker has dialled it.
    Tracker,
    /// We dialled it before the restart.
    Remembered,
    /// A neighbour tells of it.
    Neighbour,
}

impl Source {
    /// Whether an address may be dialled that came this way: on the LAN link-local ones of IPv6 are as good as any, and what
    /// the user gave always is.
    pub fn may_tell(self, addr: SocketAddr) -> bool {
        match self {
            Self::Friend => true,
            Self::Lan => is_publishable(addr) || is_link_local(addr),
            _ => is_publishable(addr),
        }
    }
}

#[derive(Debug)]
struct Entry {
    addrs: Vec<SocketAddr>,
    source: Source,
    /// Nothing but the local network told of it.
    lan: bool,
    /// We dialled it at its first address.
    reached: bool,
    dialling: bool,
    /// It was heard to be at another address since it was dialled.
    moved: bool,
    again: Duration,
    back_off: BackOff,
}

impl Entry {
    /// Its address may be what somebody on the LAN made up.
    fn is_hint(&self) -> bool {
        self.source == Source::Lan || self.moved
    }

    /// Whether it is dialled at this address first.
    fn is_at(&self, ip: IpAddr) -> bool {
        self.addrs.first().is_some_and(|addr| addr.ip() == ip)
    }

    /// Takes in addresses. A node that has moved is dialled where it is now, also while the dial to where it was goes on;
    /// but what neighbours merely tell of comes after what is known.
    fn learn(&mut self, addrs: Vec<SocketAddr>, source: Source) {
        let new: Vec<SocketAddr> = addrs.into_iter().filter(|addr| !self.addrs.contains(addr)).collect();
        if new.is_empty() {
            return;
        }
        if source == Source::Neighbour {
            self.addrs.extend(new);
        } else {
            let place = usize::from(self.reached).min(self.addrs.len());
            self.addrs.splice(place..place, new);
            self.moved = true;
        }
        self.addrs.truncate(limits::ADDRESSES);
    }
}

/// The nodes.
#[derive(Debug)]
pub(super) struct Known {
    nodes: BTreeMap<NodeId, Entry>,
    hints: Tokens,
}

impl Default for Known {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), hints: Tokens::new(HINTS.0, HINTS.1) }
    }
}

impl Known {
    /// Notes a node; says whether it is new.
    pub(super) fn hear(&mut self, node: NodeId, addrs: &[SocketAddr], source: Source) -> bool {
        let addrs: Vec<_> =
            addrs.iter().filter(|addr| source.may_tell(**addr)).take(limits::ADDRESSES).copied().collect();
        if addrs.is_empty() {
            return false;
        }
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.source = entry.source.min(source);
            entry.lan &= source == Source::Lan;
            entry.learn(addrs, source);
            return false;
        }
        let of_it = self.nodes.values().filter(|entry| entry.source == source && !entry.reached).count();
        let room = of_it < MOST.1 && self.has_room_at(addrs[0].ip(), source);
        let room = room && (self.nodes.len() < MOST.0 || self.make_room());
        if room {
            let (again, back_off) = (Duration::ZERO, BackOff::default());
            self.nodes.insert(
                node,
                Entry {
                    addrs,
                    source,
                    lan: source == Source::Lan,
                    reached: false,
                    dialling: false,
                    moved: false,
                    again,
                    back_off,
                },
            );
        }
        room
    }

    /// One host cannot fill what is known of the local network with nodes that it invents.
    fn has_room_at(&self, ip: IpAddr, source: Source) -> bool {
        let there = |entry: &&Entry| entry.source == Source::Lan && !entry.reached && entry.is_at(ip);
        source != Source::Lan || self.nodes.values().filter(there).count() < LAN_OF_ADDRESS
    }

    pub(super) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        self.nodes.get(&node).map(|entry| entry.addrs.clone()).unwrap_or_default()
    }

    /// A node is one that the user knows, however it was heard of.
    pub(super) fn befriend(&mut self, node: NodeId) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.source = Source::Friend;
        }
    }

    /// Forgets the one that failed longest ago among those that were never reached.
    fn make_room(&mut self) -> bool {
        let unreached = self.nodes.iter().filter(|(_, entry)| !entry.reached && !entry.dialling);
        let worst = unreached.max_by_key(|(_, entry)| (entry.source, entry.again)).map(|(node, _)| *node);
        worst.and_then(|node| self.nodes.remove(&node)).is_some()
    }

    /// It was remembered as one that only the local network told of.
    pub(super) fn of_lan(&mut self, node: NodeId) {
        self.nodes.get_mut(&node).into_iter().for_each(|entry| entry.lan = true);
    }

    pub(super) fn reached(&mut self, node: NodeId, addr: SocketAddr) {
        let lan = self.nodes.get(&node).is_some_and(|entry| entry.lan);
        self.hear(node, &[addr], Source::Neighbour);
        let Some(entry) = self.nodes.get_mut(&node) else { return };
        entry.lan = lan;
        (entry.reached, entry.dialling) = (true, false);
        entry.back_off.reset();
        if !is_publishable(addr) {
            // Without its scope a link-local address leads nowhere.
            return;
        }
        entry.addrs.retain(|other| *other != addr);
        entry.addrs.insert(0, addr);
        entry.addrs.truncate(limits::ADDRESSES);
    }

    /// A dial is over, and nobody is to blame for how it ended.
    pub(super) fn dialled(&mut self, node: NodeId) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.dialling = false;
        }
    }

    pub(super) fn failed(&mut self, node: NodeId, now: Duration, rng: &mut impl Rng) {
        let Some(entry) = self.nodes.get_mut(&node) else { return };
        entry.dialling = false;
        entry.again = now + entry.back_off.next(now, rng);
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// Dials under way.
    pub(super) fn dialling(&self) -> usize {
        self.nodes.values().filter(|entry| entry.dialling).count()
    }

    pub(super) fn is_dialling(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|entry| entry.dialling)
    }

    /// The next one to dial: of the best source, and of those any, so that nobody who tells of many chooses for us.
    pub(super) fn choose(
        &mut self,
        now: Duration,
        away: impl Fn(NodeId) -> bool,
        fits: impl Fn(Source, IpAddr) -> bool,
        rng: &mut impl Rng,
    ) -> Option<(NodeId, Vec<SocketAddr>)> {
        let of_lan = self.nodes.values().filter(|entry| entry.dialling && entry.source == Source::Lan);
        let of_lan: Vec<_> = of_lan.filter_map(|entry| entry.addrs.first()).map(SocketAddr::ip).collect();
        let hints = self.hints.clone().take(0, now);
        let has_turn = |entry: &Entry| {
            let at_it = of_lan.iter().filter(|ip| entry.is_at(**ip)).count();
            entry.source != Source::Lan || (of_lan.len() < LAN_DIALS && at_it < LAN_DIALS_OF_ADDRESS)
        };
        let busy = |entry: &Entry| entry.is_hint() && !(hints && has_turn(entry));
        let able = |(node, entry): &(&NodeId, &mut Entry)| {
            let waits = ((entry.dialling || entry.again > now) && !entry.moved) || busy(entry);
            !waits && away(**node) && entry.addrs.first().is_some_and(|addr| fits(entry.source, addr.ip()))
        };
        let mut best: Option<((Source, u64), NodeId, &mut Entry)> = None;
        for (node, entry) in self.nodes.iter_mut().filter(able) {
            let rank = (entry.source, rng.random());
            if best.as_ref().is_none_or(|(known, ..)| rank < *known) {
                best = Some((rank, *node, entry));
            }
        }
        let (_, node, entry) = best?;
        if entry.is_hint() {
            self.hints.take(0, now);
        }
        (entry.dialling, entry.moved) = (true, false);
        Some((node, entry.addrs.clone()))
    }

    /// Those that we dialled: the anchors, then the others that we have as neighbours, then the rest.
    pub(super) fn remembered(&self, anchors: &[NodeId], held: &[NodeId]) -> Vec<Remembered> {
        // What was remembered is not lost because the network was away.
        let is_old = |entry: &Entry| matches!(entry.source, Source::Anchor | Source::Held);
        let reached = self.nodes.iter().filter(|(_, entry)| entry.reached || is_old(entry));
        let all = reached.map(|(node, entry)| {
            let (anchor, lan) = (anchors.contains(node), entry.lan);
            Remembered { node: *node, addrs: entry.addrs.clone(), anchor, lan }
        });
        all.sorted_by_key(|one| (!one.anchor, !held.contains(&one.node))).take(REMEMBERED).collect()
    }
}
