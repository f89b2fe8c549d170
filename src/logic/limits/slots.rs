//! Who may upload now: a fixed number of slots, shares for each peer and network, and a bounded queue.
//! While more peers want something than are served at once they take turns, one request each: flows that share an
//! uplink do not share it evenly by themselves, and a unit that is whole early can be passed on early.
//! Invariants: no peer holds more than its quota; nobody waits who may begin. Not responsible for what is uploaded.

mod capacity;
mod memory;
mod recall;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::logic::limits::shares::Who;
use crate::model::NodeId;
use crate::model::counts::take_away;

pub use capacity::Capacity;
use memory::{Class, Memory};
use recall::Flow;
pub use recall::View;

/// A request that waits or is served; drawn by the caller, unique.
pub type Ticket = u64;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Over a quota: try again later.
    Busy,
    /// Begin now; [`Slots::settle`] tells who else may.
    Granted,
    /// Begin when [`Slots::release`], [`Slots::forget`], [`Slots::hurry`] or [`Slots::look`] names the ticket. The queue was
    /// full where another ticket is given: that one is Busy now, and to be forgotten.
    Queued(Option<Ticket>),
}

/// What a look has led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Uploads to be broken off with Busy; each keeps its slot until it is released.
    pub recall: Vec<Ticket>,
    /// Requests that may begin.
    pub granted: Vec<Ticket>,
}

/// An upload.
#[derive(Debug)]
struct Held {
    who: Who,
    flow: Flow,
    /// It is to be broken off, and about to be released.
    recalled: bool,
}

/// Whose turn it may be, the same for all who wait.
struct Moment {
    /// The fewest slots that a network holds of which a peer waits that has nothing on its way; none waits.
    new: Option<usize>,
    /// The same for who is credible: only others like it count.
    credible: Option<usize>,
    /// What the peers of each network that are served weigh, without those that take next to nothing.
    served: HashMap<IpAddr, usize>,
}

/// What a peer that is served weighs, and one that is new and has yet to show that it reads while many others do not: as many
/// of these at once are served as a slot each is there for, since most of them are gone before that is seen.
const WEIGHT: (usize, usize) = (8, 1);

/// The table of slots.
#[derive(Debug, Default)]
pub struct Slots {
    capacity: Capacity,
    held: BTreeMap<Ticket, Held>,
    /// How many each node and each network holds.
    by_node: HashMap<NodeId, usize>,
    by_network: HashMap<IpAddr, usize>,
    queue: VecDeque<(Who, Ticket)>,
    memory: Memory,
    /// The best rate of all uploads together of late, in bytes per second.
    pace: u64,
}

impl Slots {
    /// An empty table.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// How many uploads run.
    pub fn active(&self) -> usize {
        self.held.len()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A peer asks.
    pub fn ask(&mut self, who: Who, ticket: Ticket, now: Duration) -> Admission {
        if self.may_begin(&who, &self.moment(now), now) {
            self.grant(who, ticket, now);
            return Admission::Granted;
        }
        let waiting = self.queue.iter().filter(|(other, _)| other.peer == who.peer).count();
        if waiting >= self.capacity.queue_per_peer {
            return Admission::Busy;
        }
        let mut displaced = None;
        if self.queue.len() >= self.capacity.queue {
            let Some(at) = self.greediest(&who, now) else { return Admission::Busy };
            displaced = self.queue.get(at).map(|(_, ticket)| *ticket);
        }
        self.queue.push_back((who, ticket));
        Admission::Queued(displaced)
    }

    /// The last place in the queue of whoever has most, its network first; none when that is who asks. What is held counts
    /// as well. Whoever is not credible comes before all others.
    fn greediest(&self, asks: &Who, now: Duration) -> Option<usize> {
        let (mut networks, mut nodes) = (self.by_network.clone(), self.by_node.clone());
        for (who, _) in &self.queue {
            *networks.entry(who.network).or_default() += 1;
            *nodes.entry(who.peer).or_default() += 1;
        }
        let most = |who: &Who| {
            let of = |count: Option<&usize>| count.copied().unwrap_or(0);
            (!self.is_credible(who, now), of(networks.get(&who.network)), of(nodes.get(&who.peer)))
        };
        // Of several that have as much, the one that came last.
        let (at, (greediest, _)) = self.queue.iter().enumerate().max_by_key(|(at, (who, _))| (most(who), *at))?;
        (most(greediest) > most(asks)).then_some(at)
    }

    /// An upload ended, with everything taken by the peer if it is `whole`; the tickets that may begin now.
    pub fn release(&mut self, ticket: Ticket, whole: bool, now: Duration) -> Vec<Ticket> {
        if let Some(held) = self.held.remove(&ticket) {
            let Who { peer, network, .. } = held.who;
            take_away(&mut self.by_node, &peer, 1);
            take_away(&mut self.by_network, &network, 1);
            if whole {
                self.memory.proved(peer);
            }
        }
        self.grant_waiting(now)
    }

    /// A waiting request was given up; the tickets that may begin now.
    pub fn forget(&mut self, ticket: Ticket, now: Duration) -> Vec<Ticket> {
        self.queue.retain(|(_, t)| *t != ticket);
        self.grant_waiting(now)
    }

    /// A request has waited long enough. It begins although it is not its peer's turn, and whoever may begin once that one
    /// is not new any more; or nobody.
    pub fn hurry(&mut self, ticket: Ticket, now: Duration) -> Vec<Ticket> {
        let Some(at) = self.queue.iter().position(|(_, t)| *t == ticket) else { return Vec::new() };
        let (who, _) = self.queue[at];
        // With something on its way already the peer is not forgotten.
        if !self.has_room(&who, now) || self.by_node.contains_key(&who.peer) {
            return Vec::new();
        }
        self.queue.remove(at);
        self.grant(who, ticket, now);
        let mut granted = vec![ticket];
        granted.extend(self.grant_waiting(now));
        granted
    }

    /// After one was granted that asked: the tickets that may begin now, since its network holds more.
    pub fn settle(&mut self, now: Duration) -> Vec<Ticket> {
        self.grant_waiting(now)
    }

    fn grant_waiting(&mut self, now: Duration) -> Vec<Ticket> {
        let mut granted = Vec::new();
        while let Some(at) = self.next(now) {
            let Some((who, ticket)) = self.queue.remove(at) else { break };
            self.grant(who, ticket, now);
            granted.push(ticket);
        }
        granted
    }

    /// The place in the queue of who begins next of those who may: who does not keep others waiting, nor comes after many
    /// of its network that did; who has never been served and who has proven to take what it asks for by turns, since new
    /// identities, and many addresses, cost little; then the network whose last turn is longest ago, then the peer.
    fn next(&self, now: Duration) -> Option<usize> {
        let moment = self.moment(now);
        let mut able = HashMap::new();
        let mut best = None;
        for (at, (who, _)) in self.queue.iter().enumerate() {
            let merit = || self.may_begin(who, &moment, now).then(|| self.is_idle(who, now));
            let Some(idle) = *able.entry((who.peer, who.friend)).or_insert_with(merit) else { continue };
            let class = self.memory.class(who, now);
            let turns = (self.memory.network_turn(who.network), self.memory.turn(who.peer));
            let key = (idle, class == Class::Suspect, class == self.memory.last_class, turns.0, turns.1, at);
            if best.as_ref().is_none_or(|(least, _)| key < *least) {
                best = Some((key, at));
            }
        }
        best.map(|(_, at)| at)
    }

    /// Whether a request of the peer may begin: its first, beside few other peers, or a further one while nobody new
    /// is waiting, but of networks that hold more: new identities cost nothing, and are no reason to wait for ever.
    fn may_begin(&self, who: &Who, moment: &Moment, now: Duration) -> bool {
        let turn = if self.by_node.contains_key(&who.peer) {
            let new = if self.is_credible(who, now) { moment.credible } else { moment.new };
            new.is_none_or(|holds| self.network_holds(who) < holds)
        } else {
            self.are_few(who, &moment.served)
        };
        turn && self.has_room(who, now)
    }

    fn moment(&self, now: Duration) -> Moment {
        let new = self.someone_new(|_| true, now);
        let credible = self.someone_new(|who| self.is_credible(who, now), now);
        Moment { new, credible, served: self.served(now) }
    }

    /// Whether nothing speaks against it. While many new ones do not read, it has to have shown that it does.
    fn is_credible(&self, who: &Who, now: Duration) -> bool {
        let least = if self.memory.is_abused(now) { Class::Proven } else { Class::New };
        who.friend || self.memory.class(who, now) >= least
    }

    /// Whether there is room for one more peer of this network beside those that are served.
    fn are_few(&self, who: &Who, served: &HashMap<IpAddr, usize>) -> bool {
        let own = served.get(&who.network).copied().unwrap_or(0);
        let networks = served.len() + usize::from(own == 0);
        let share = (self.capacity.peers / networks).max(1) * WEIGHT.0;
        let most = if own < share { share } else { usize::MAX };
        served.values().map(|peers| *peers.min(&most)).sum::<usize>() < self.capacity.peers * WEIGHT.0
    }

    /// The fewest slots of a network of which a peer waits that counts, has nothing on its way, and does not keep others
    /// waiting.
    fn someone_new(&self, counts: impl Fn(&Who) -> bool, now: Duration) -> Option<usize> {
        let is_new = |who: &Who| !self.by_node.contains_key(&who.peer) && counts(who);
        let waiting = self.queue.iter().map(|(who, _)| who);
        let new = waiting.filter(|who| is_new(who) && self.memory.class(who, now) >= Class::New);
        new.map(|who| self.network_holds(who)).min()
    }

    fn network_holds(&self, who: &Who) -> usize {
        self.by_network.get(&who.network).copied().unwrap_or(0)
    }

    fn has_room(&self, who: &Who, now: Duration) -> bool {
        let own = self.by_node.get(&who.peer).copied().unwrap_or(0);
        let blamed = self.memory.class(who, now) < Class::New;
        let Capacity { slots, reserve, per_peer, .. } = self.capacity;
        let is_modest = self.network_holds(who) < reserve / 2;
        let credible = self.is_credible(who, now);
        let most = if who.friend || (is_modest && credible) {
            self.capacity.most()
        } else if own == 0 && !blamed {
            slots + reserve.div_ceil(2)
        } else {
            slots
        };
        // Who is not credible has to show with one that it reads.
        own < if credible { per_peer } else { 1 } && self.held.len() < most
    }

    /// What the peers of each network that are served now weigh, without those that take next to nothing.
    fn served(&self, now: Duration) -> HashMap<IpAddr, usize> {
        let counts =
            |held: &&Held| !held.recalled && held.flow.counts(self.pace, self.is_credible(&held.who, now), now);
        let moving = self.held.values().filter(counts);
        let abused = self.memory.is_abused(now);
        let weigh = |who: &Who| if abused && !self.is_credible(who, now) { WEIGHT.1 } else { WEIGHT.0 };
        let peers: BTreeSet<_> = moving.map(|held| (held.who.network, held.who.peer, weigh(&held.who))).collect();
        let mut served = HashMap::new();
        peers.into_iter().for_each(|(network, _, weight)| *served.entry(network).or_default() += weight);
        served
    }

    fn grant(&mut self, who: Who, ticket: Ticket, now: Duration) {
        *self.by_node.entry(who.peer).or_default() += 1;
        *self.by_network.entry(who.network).or_default() += 1;
        self.held.insert(ticket, Held { who, flow: Flow::new(now), recalled: false });
        self.memory.turned(&who, now);
    }
}
