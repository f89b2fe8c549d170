//! Who is a neighbour: 8 that we choose ourselves, 16 that choose us, and visitors that only ask.
//! Invariants: nobody who dials us takes the place of one that we chose, nor of one that is there; of one global subnet
//! few are taken in either way. What is heard is a hint: only a dial under the right id makes a neighbour.
//! Not responsible for dialling, for queries, nor for the given `--peer`s, which their own tasks dial.

mod known;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use self::known::Known;
pub use self::known::Source;
use crate::logic::limits::meter::Meter;
use crate::model::NodeId;
use crate::model::address::{Remembered, is_loopback, is_private, same_subnet};
use crate::wire::Code;

/// Neighbours that we choose.
pub const OUTBOUND: usize = 8;
/// Neighbours that chose us: at most, and where neighbours are only the given ones and whoever dials.
const INBOUND: (usize, usize) = (16, 256);
/// Commands that ask and are gone: altogether, and of one address that is not this machine's.
const VISITORS: (usize, usize) = (64, 16);
/// How often nodes of one address may join: who throws its id away after each burst of queries must not get a burst
/// with every new one. So many at once, then one so often; and addresses that are remembered.
const JOINS: (u32, Duration, usize) = (64, Duration::from_millis(250), 4096);
/// Chosen of one global subnet, and let in from one.
const OF_SUBNET: (usize, usize) = (1, 2);
/// Let in from one address that is not global.
const OF_ADDRESS: usize = 4;
/// Neighbours kept first across restarts: who chooses all the others cannot choose these (Bitcoin's anchors).
const ANCHORS: usize = 2;
/// Between two times of asking neighbours for neighbours while places are free: at first, and at most.
const DISCOVER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// For how long the place of a neighbour that we chose is kept for it when it is lost: a restart takes seconds.
const KEPT: Duration = Duration::from_secs(10);
/// For how long, after a restart, for those that were neighbours of our choice before: some of them have not noticed yet
/// that we were gone, and refuse us once.
const KEPT_OVER: Duration = Duration::from_secs(5);
/// For how long two that ask each other at the same time may cross: so long an answer may take.
const CROSSING: Duration = Duration::from_secs(10);
/// Friends that a command asks.
const FRIENDS: usize = 64;
/// Faults after which a neighbour is left alone for [`SHUNNED`]; one is forgiven each second.
const FAULTS: u32 = 200;
const SHUNNED: Duration = Duration::from_secs(600);

/// How it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Neighbours are the given ones and whoever dials; none are asked for or told.
    pub only_peers: bool,
    /// Every address counts as global: for tests on one machine.
    pub all_global: bool,
    /// The node goes on living: places are kept for those that it had before a restart, and are never more than there
    /// are.
    pub lasting: bool,
}

/// Who began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It dialled us.
    Inbound,
    /// We chose it.
    Outbound,
    /// The user named it with `--peer`.
    Given,
    /// It only asks.
    Visiting,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableOrder {
    /// Try to make this one a neighbour: [`Neighbours::joined`] or [`Neighbours::failed`] tells how it went.
    Dial(NodeId, Vec<SocketAddr>),
    /// Ask the neighbours for theirs.
    Discover,
}

#[derive(Debug)]
struct Neighbour {
    direction: Direction,
    addr: SocketAddr,
    since: Duration,
    faults: u32,
}

/// The table.
#[derive(Debug)]
pub struct Neighbours {
    own: NodeId,
    settings: Settings,
    table: BTreeMap<NodeId, Neighbour>,
    known: Known,
    friends: BTreeSet<NodeId>,
    shunned: BTreeMap<NodeId, Duration>,
    /// Until when the places of lost neighbours are kept for them.
    kept: BTreeMap<NodeId, Duration>,
    joins: Meter<IpAddr>,
    discover: (Duration, Duration),
    /// Who was an anchor when the node stopped.
    anchors: Vec<NodeId>,
    forgiven: Duration,
    rng: StdRng,
}

impl Neighbours {
    /// A table without neighbours, which knows what was remembered.
    pub fn new(own: NodeId, settings: Settings, remembered: Vec<Remembered>, seed: u64) -> Self {
        let anchors = remembered.iter().filter(|one| one.anchor).map(|one| one.node).collect();
        let mut known = Known::default();
        let held = remembered.iter().take(OUTBOUND).filter(|_| settings.lasting);
        let kept = held.map(|one| (one.node, KEPT_OVER)).collect();
        for (index, one) in remembered.into_iter().enumerate() {
            let source = match (one.anchor, index < OUTBOUND) {
                (true, _) => Source::Anchor,
                (false, true) => Source::Held,
                (false, false) => Source::Remembered,
            };
            known.hear(one.node, &one.addrs, source);
            if one.lan {
                known.of_lan(one.node);
            }
        }
        let (table, shunned, rng) = (BTreeMap::new(), BTreeMap::new(), StdRng::seed_from_u64(seed));
        let (discover, forgiven) = ((Duration::ZERO, DISCOVER.0), Duration::ZERO);
        let (friends, joins) = (BTreeSet::new(), Meter::new(JOINS.0, JOINS.1, JOINS.2));
        Self { own, settings, table, known, friends, shunned, kept, joins, discover, anchors, forgiven, rng }
    }

    /// A node may be at these addresses; says whether it was not known.
    pub fn heard(&mut self, node: NodeId, addrs: &[SocketAddr], source: Source) -> bool {
        let new = node != self.own && !self.settings.only_peers && self.known.hear(node, addrs, source);
        if self.friends.contains(&node) {
            self.known.befriend(node);
        }
        new
    }

    /// Who is dialled first, wherever it was heard of.
    pub fn befriend(&mut self, friends: BTreeSet<NodeId>) {
        friends.iter().for_each(|node| self.known.befriend(*node));
        self.friends = friends;
    }

    /// Which way round this node is a neighbour, if it is one.
    pub fn direction(&self, node: NodeId) -> Option<Direction> {
        self.table.get(&node).map(|neighbour| neighbour.direction)
    }

    /// Whether what is left of a neighbour gives way to a node of the same id that asks over another connection: a node asks
    /// only while it has no such neighbour, so it has ended what was, whether or not that has been noticed. One that was killed
    /// is silent for 10 s. But where we have just asked it, it may have asked at the same time, and both keep what is there.
    pub fn gives_way(&self, node: NodeId, visiting: bool, now: Duration) -> bool {
        let Some(neighbour) = self.table.get(&node) else { return false };
        let by_it = matches!(neighbour.direction, Direction::Inbound | Direction::Visiting);
        by_it || visiting || now >= neighbour.since + CROSSING
    }

    /// Where a node may be, as far as was heard.
    pub fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        self.known.addresses(node)
    }

    /// Whether a node is being dialled.
    pub fn is_dialling(&self, node: NodeId) -> bool {
        self.known.is_dialling(node)
    }

    /// Dials under way.
    pub fn dialling(&self) -> usize {
        self.known.dialling()
    }

    /// Whether a node that dialled us may be a neighbour.
    ///
    /// # Errors
    /// Busy when there is no room for it, Duplicate when it is one already, Forbidden when it misbehaved.
    pub fn admit(&mut self, node: NodeId, ip: IpAddr, visiting: bool, now: Duration) -> Result<(), Code> {
        if self.table.contains_key(&node) {
            return Err(Code::Duplicate);
        }
        if self.shunned.get(&node).is_some_and(|until| *until > now) {
            return Err(Code::Forbidden);
        }
        let ip = ip.to_canonical();
        if !is_loopback(ip) && !self.joins.allow(ip, now) {
            return Err(Code::Busy);
        }
        let count = |direction| self.table.values().filter(move |n| n.direction == direction);
        let of_address = |direction| count(direction).filter(|n| n.addr.ip().to_canonical() == ip).count();
        if visiting {
            let crowded = !is_loopback(ip) && of_address(Direction::Visiting) >= VISITORS.1;
            return if count(Direction::Visiting).count() < VISITORS.0 && !crowded { Ok(()) } else { Err(Code::Busy) };
        }
        if self.settings.only_peers {
            return if count(Direction::Inbound).count() < INBOUND.1 { Ok(()) } else { Err(Code::Busy) };
        }
        let (near, most) = if self.is_global(ip) {
            (count(Direction::Inbound).filter(|n| same_subnet(n.addr.ip(), ip)).count(), OF_SUBNET.1)
        } else {
            (of_address(Direction::Inbound), OF_ADDRESS)
        };
        if near < most && count(Direction::Inbound).count() < INBOUND.0 { Ok(()) } else { Err(Code::Busy) }
    }

    /// A node is a neighbour now.
    pub fn joined(&mut self, node: NodeId, addr: SocketAddr, direction: Direction, now: Duration) {
        if matches!(direction, Direction::Outbound | Direction::Given) {
            self.known.reached(node, addr);
        }
        self.table.insert(node, Neighbour { direction, addr, since: now, faults: 0 });
    }

    /// A dial has failed, or the node has no room for us; or it is a neighbour already, because it dialled us meanwhile.
    pub fn failed(&mut self, node: NodeId, now: Duration) {
        if self.table.contains_key(&node) {
            return self.known.dialled(node);
        }
        self.known.failed(node, now, &mut self.rng);
    }

    /// A neighbour is gone; if we chose it, its place is kept for a while.
    pub fn left(&mut self, node: NodeId, now: Duration) {
        let gone = self.table.remove(&node);
        if gone.is_some_and(|gone| gone.direction == Direction::Outbound) && !self.shunned.contains_key(&node) {
            self.kept.insert(node, now + KEPT);
        }
        self.known.failed(node, now, &mut self.rng);
    }

    /// A neighbour did what no honest one does; says whether it is to be left now.
    pub fn blamed(&mut self, node: NodeId, now: Duration) -> bool {
        let Some(neighbour) = self.table.get_mut(&node) else { return false };
        neighbour.faults += 1;
        if neighbour.faults < FAULTS {
            return false;
        }
        self.shunned.retain(|_, until| *until > now);
        self.shunned.insert(node, now + SHUNNED);
        self.known.forget(node);
        true
    }

    /// What is due: call it once a second, and after something was heard or lost.
    pub fn tick(&mut self, now: Duration) -> Vec<TableOrder> {
        self.forgive(now);
        if self.settings.only_peers {
            return Vec::new();
        }
        let mut out = self.dial_kept(now);
        let kept = self.kept.keys().filter(|node| !self.known.is_dialling(**node)).count();
        let free = OUTBOUND.saturating_sub(self.chosen().count() + self.known.dialling() + kept);
        let dialled = self.dial_others(now, free);
        let discovers = free > dialled.len() && !self.table.is_empty() && now >= self.discover.0;
        out.extend(dialled);
        if discovers {
            self.discover = (now + self.discover.1, (self.discover.1 * 2).min(DISCOVER.1));
            out.push(TableOrder::Discover);
        }
        out
    }

    /// The addresses of the neighbours that we chose, or were given.
    fn chosen(&self) -> impl Iterator<Item = IpAddr> {
        let chosen = self.table.values().filter(|n| matches!(n.direction, Direction::Outbound | Direction::Given));
        chosen.map(|n| n.addr.ip())
    }

    /// Dials those whose places are kept.
    fn dial_kept(&mut self, now: Duration) -> Vec<TableOrder> {
        self.kept.retain(|node, until| *until > now && !self.table.contains_key(node));
        let mut out = Vec::new();
        let kept = |node| self.kept.contains_key(&node);
        while let Some((node, addrs)) = self.known.choose(now, kept, |_, _| true, &mut self.rng) {
            out.push(TableOrder::Dial(node, addrs));
        }
        out
    }

    /// Dials others for so many free places.
    fn dial_others(&mut self, now: Duration, free: usize) -> Vec<TableOrder> {
        let (mut subnets, mut out): (Vec<IpAddr>, _) = (self.chosen().collect(), Vec::new());
        // A command that ends soon asks every friend, and cannot wait until it is clear that what it remembers is of another
        // network: who answers first has the place.
        let (beside, friends) =
            if self.settings.lasting { (0, 0) } else { (OUTBOUND.saturating_sub(subnets.len()), FRIENDS) };
        let (table, shunned, all_global) = (&self.table, &self.shunned, self.settings.all_global);
        let away = |node| !table.contains_key(&node) && shunned.get(&node).is_none_or(|until| *until <= now);
        loop {
            let crowded = |ip: IpAddr| {
                let global = all_global || !is_private(ip);
                global && subnets.iter().filter(|other| same_subnet(**other, ip)).count() >= OF_SUBNET.0
            };
            let fits = |source, ip| match source {
                Source::Friend => out.len() < free + beside + friends,
                Source::Lan => out.len() < free + beside && !crowded(ip),
                _ => out.len() < free && !crowded(ip),
            };
            let Some((node, addrs)) = self.known.choose(now, away, fits, &mut self.rng) else { return out };
            subnets.extend(addrs.first().map(SocketAddr::ip));
            out.push(TableOrder::Dial(node, addrs));
        }
    }

    /// Something new was learned by asking: it is worth asking again soon.
    pub fn discovered(&mut self) {
        self.discover.1 = DISCOVER.0;
    }

    /// The neighbours: direction, address and since when, by id.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, Direction, SocketAddr, Duration)> {
        self.table.iter().map(|(node, n)| (*node, n.direction, n.addr, n.since))
    }

    /// What is worth remembering across a restart: nodes that we dialled, the anchors among them. The anchors are those
    /// of our choice that have lasted longest.
    pub fn remembered(&self) -> Vec<Remembered> {
        let mut chosen: Vec<_> = self.table.iter().filter(|(_, n)| n.direction == Direction::Outbound).collect();
        chosen.sort_by_key(|(_, n)| n.since);
        let chosen: Vec<NodeId> = chosen.into_iter().map(|(node, _)| *node).collect();
        let mut anchors: Vec<NodeId> = chosen.iter().copied().take(ANCHORS).collect();
        // Those of the last run are not lost because the network was away.
        anchors.extend(self.anchors.iter().copied().filter(|node| !self.table.contains_key(node)));
        anchors.truncate(ANCHORS);
        self.known.remembered(&anchors, &chosen)
    }

    fn is_global(&self, ip: IpAddr) -> bool {
        self.settings.all_global || !is_private(ip)
    }

    fn forgive(&mut self, now: Duration) {
        let seconds = u32::try_from(now.saturating_sub(self.forgiven).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.forgiven = now;
            self.table.values_mut().for_each(|n| n.faults = n.faults.saturating_sub(seconds));
        }
    }
}

#[cfg(test)]
mod tests;
