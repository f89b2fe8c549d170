//! Places that everybody shares, divided by peer and by network, so that whoever comes first does not have them all.
//! What is counted is the pool's own affair: streams, threads, KiB. Those who wait take turns: networks that hold least
//! first, of their peers the one whose last turn is longest ago.
//! Invariant: nobody holds more than its share, and nobody waits beside room that it may have. Not responsible for how
//! long a place is held.

mod waiting;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::model::NodeId;
use crate::model::counts::take_away;

use waiting::{Claim, LineId, Standing, Waiting};

/// Peers whose last turn is remembered; one that was forgotten is next.
const REMEMBERED: usize = 512;

/// How a pool is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Places in all.
    pub all: usize,
    /// Of one network ([`crate::model::address::network`]).
    pub network: usize,
    /// Of one peer.
    pub peer: usize,
    /// Of all, those kept for friends and for peers that hold no more than `modest`. Of these one network has half at
    /// most, beyond its share; a quarter is for friends alone.
    pub reserve: usize,
    /// What a peer may hold and still draw on the reserve: enough to be served, if slowly.
    pub modest: usize,
}

/// Who wants a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who {
    /// Which node.
    pub peer: NodeId,
    /// From which network.
    pub network: IpAddr,
    /// A friend is bound by its own share and by the pool alone.
    pub friend: bool,
}

/// A request that waits; drawn by the caller, unique.
pub type Ticket = u64;

/// Who asks for how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Tells it from all others.
    pub ticket: Ticket,
    /// Who asks.
    pub who: Who,
    /// For how much.
    pub amount: usize,
}

/// The table.
#[derive(Debug)]
pub struct Shares {
    limits: Limits,
    total: usize,
    peers: HashMap<NodeId, usize>,
    networks: HashMap<IpAddr, usize>,
    waiting: Waiting,
    /// When each peer's last turn began, as a number that only grows.
    turns: HashMap<NodeId, u64>,
    clock: u64,
}

impl Shares {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (peers, networks, waiting, turns) = Default::default();
        Self { limits, total: 0, peers, networks, waiting, turns, clock: 0 }
    }

    /// What a request for so much is granted: never more than a peer may have at all.
    pub fn clamp(&self, amount: usize) -> usize {
        amount.clamp(1, self.limits.peer)
    }

    /// Whether anybody waits for what others hold, and not only for what it holds itself.
    pub fn is_pressed(&self) -> bool {
        self.waiting.is_pressed()
    }

    /// Takes places if there are any for this one; nobody of the same peer may be waiting before.
    pub fn take(&mut self, who: Who, amount: usize) -> bool {
        let may = !self.waiting.has(who.peer) && self.may(who, amount);
        if may {
            self.grant(who, amount);
        }
        may
    }

    /// How many places are taken, and how many there are.
    #[must_use]
    pub const fn used(&self) -> (usize, usize) {
        (self.total, self.limits.all)
    }

    /// Has a request wait for its turn: it begins when [`Shares::give_back`] or [`Shares::forget`] names it.
    pub fn wait(&mut self, request: Request) {
        self.waiting.push(request, self.standing(request.who.peer));
    }

    /// Some of what was taken is free again; those that have places now.
    pub fn give_back(&mut self, who: Who, amount: usize) -> Vec<Request> {
        self.total = self.total.saturating_sub(amount);
        take_away(&mut self.peers, &who.peer, amount);
        take_away(&mut self.networks, &who.network, amount);
        self.change(who.peer, |_| {});
        self.grant_waiting()
    }

    /// A waiting request was given up; those that have places now.
    pub fn forget(&mut self, peer: NodeId, ticket: Ticket) -> Vec<Request> {
        self.change(peer, |requests| requests.retain(|waiting| waiting.ticket != ticket));
        self.grant_waiting()
    }

    /// Requests of a peer go, or it stands otherwise now.
    fn change(&mut self, peer: NodeId, change: impl FnOnce(&mut VecDeque<Request>)) {
        if self.waiting.has(peer) {
            self.waiting.change(peer, self.standing(peer), change);
        }
    }

    fn standing(&self, peer: NodeId) -> Standing {
        let last = self.turns.get(&peer).copied().unwrap_or(0);
        Standing { holds: self.held(peer), last, limits: self.limits }
    }

    fn may(&self, who: Who, amount: usize) -> bool {
        let Limits { all, network, peer, reserve, modest } = self.limits;
        let own = self.held(who.peer) + amount;
        let (near, total) = (self.near(who.network) + amount, self.total + amount);
        if own > peer {
            return false;
        }
        if who.friend {
            return total <= all;
        }
        if own <= modest {
            return total <= all - reserve / 4 && near <= network + reserve / 2;
        }
        total <= all - reserve && near <= network
    }

    fn held(&self, peer: NodeId) -> usize {
        self.peers.get(&peer).copied().unwrap_or(0)
    }

    fn near(&self, network: IpAddr) -> usize {
        self.networks.get(&network).copied().unwrap_or(0)
    }

    fn grant(&mut self, who: Who, amount: usize) {
        self.total += amount;
        *self.peers.entry(who.peer).or_default() += amount;
        *self.networks.entry(who.network).or_default() += amount;
        self.clock += 1;
        self.turns.insert(who.peer, self.clock);
        if self.turns.len() > 2 * REMEMBERED {
            // As each turn has a number of its own, the newest are these.
            let clock = self.clock;
            self.turns.retain(|_, turn| *turn + REMEMBERED as u64 > clock);
        }
    }

    fn grant_waiting(&mut self) -> Vec<Request> {
        let mut granted = Vec::new();
        while let Some(next) = self.next() {
            self.grant(next.who, next.amount);
            self.change(next.who.peer, |requests| _ = requests.pop_front());
            granted.push(next);
        }
        granted
    }

    /// Of the first request of each peer that waits and may begin, the one whose turn it is: a friend's, or that of the
    /// network that holds least.
    fn next(&self) -> Option<Request> {
        let rank = |who: Who| (!who.friend, self.near(who.network));
        self.waiting.next(|of, least| self.open_to(of, least), |request| self.may(request.who, request.amount), rank)
    }

    /// Up to which claim so much may be there for those of a network, or for friends.
    fn open_to(&self, of: LineId, amount: usize) -> Option<Claim> {
        let Limits { all, network, reserve, .. } = self.limits;
        let Some(of) = of else { return Some(Claim::More) };
        let (near, total) = (self.near(of) + amount, self.total + amount);
        if total <= all - reserve && near <= network {
            return Some(Claim::More);
        }
        (total <= all - reserve / 4 && near <= network + reserve / 2).then_some(Claim::Modest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn who(peer: u8, network: u8) -> Who {
        let network = IpAddr::from([10, 0, 0, network]);
        Who { peer: NodeId::from_bytes([peer; 32]), network, friend: false }
    }

    fn friend(peer: u8) -> Who {
        Who { friend: true, ..who(peer, 0) }
    }

    /// 12 places: 6 for a network, 3 for a peer; 4 kept, of which 1 for friends.
    fn small() -> Shares {
        Shares::new(Limits { all: 12, network: 6, peer: 3, reserve: 4, modest: 1 })
    }

    #[test]
    fn one_network_does_not_have_it_all_and_its_new_peers_are_served_still() {
        let mut shares = small();
        assert_eq!((0..9).filter(|_| shares.take(who(1, 0), 1)).count(), 3, "a peer's share");
        assert_eq!((0..9).filter(|_| shares.take(who(2, 0), 1)).count(), 3);
        assert_eq!((0..9).filter(|_| shares.take(who(3, 0), 1)).count(), 1, "who is new there has one");
        assert_eq!((0..9).filter(|_| shares.take(who(4, 0), 1)).count(), 1);
        assert!(!shares.take(who(5, 0), 1), "half of the reserve is for other networks");
        assert!(shares.take(who(6, 1), 1) && shares.take(who(7, 2), 1) && shares.take(who(8, 3), 1));
        assert!(!shares.take(who(9, 4), 1), "the last place is a friend's");
        assert!(shares.take(friend(10), 1));
        assert!(!shares.take(friend(11), 1));
    }

    fn tickets(granted: Vec<Request>) -> Vec<Ticket> {
        granted.into_iter().map(|request| request.ticket).collect()
    }

    #[test]
    fn those_who_wait_take_turns() {
        let mut shares = Shares::new(Limits { all: 1, network: 1, peer: 1, reserve: 0, modest: 0 });
        assert!(shares.take(who(1, 0), 1));
        shares.wait(Request { ticket: 1, who: who(1, 0), amount: 1 });
        shares.wait(Request { ticket: 2, who: who(1, 0), amount: 1 });
        shares.wait(Request { ticket: 3, who: who(2, 0), amount: 1 });
        assert!(!shares.take(who(2, 0), 1), "nobody goes before its own earlier request");
        assert_eq!(tickets(shares.give_back(who(1, 0), 1)), [3], "who had no turn goes first");
        shares.wait(Request { ticket: 4, who: friend(4), amount: 1 });
        assert_eq!(tickets(shares.give_back(who(2, 0), 1)), [4], "but for a friend");
        assert!(shares.forget(who(1, 0).peer, 1).is_empty());
        assert_eq!(tickets(shares.give_back(friend(4), 1)), [2]);
        assert!(shares.give_back(who(1, 0), 1).is_empty() && !shares.is_pressed());
        assert!(shares.take(who(1, 0), 1));
        for (peer, ticket) in [(5, 5), (5, 6), (6, 7)] {
            shares.wait(Request { ticket, who: who(peer, 0), amount: 1 });
        }
        assert_eq!(tickets(shares.give_back(who(1, 0), 1)), [7], "of two newcomers the one that asks for less");
    }

    #[derive(Debug, Clone, Copy)]
    enum Op {
        Forget(usize),
        Give(usize),
        Take(u8, u8, bool, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            any::<usize>().prop_map(Op::Forget),
            any::<usize>().prop_map(Op::Give),
            (0..9_u8, 0..3_u8, proptest::bool::weighted(0.1), 1..4_usize).prop_map(|(p, n, f, a)| Op::Take(p, n, f, a)),
        ]
    }

    proptest! {
        #[test]
        fn shares_hold_and_nobody_waits_beside_room(ops in proptest::collection::vec(op(), 0..200)) {
            let mut shares = small();
            let mut held: Vec<(Who, usize)> = Vec::new();
            let mut waiting: BTreeMap<Ticket, (Who, usize)> = BTreeMap::new();
            for (ticket, op) in ops.into_iter().enumerate() {
                let ticket = ticket as Ticket;
                let begun = match op {
                    Op::Take(peer, network, friend, amount) => {
                        let who = Who { friend, ..who(peer, network) };
                        if shares.take(who, amount) {
                            held.push((who, amount));
                        } else {
                            shares.wait(Request { ticket, who, amount });
                            waiting.insert(ticket, (who, amount));
                        }
                        Vec::new()
                    }
                    Op::Give(which) if !held.is_empty() => {
                        let (who, amount) = held.swap_remove(which % held.len());
                        shares.give_back(who, amount)
                    }
                    Op::Forget(which) if !waiting.is_empty() => {
                        let ticket = *waiting.keys().nth(which % waiting.len()).expect("within");
                        let (who, _) = waiting.remove(&ticket).expect("there");
                        shares.forget(who.peer, ticket)
                    }
                    _ => Vec::new(),
                };
                held.extend(begun.into_iter().map(|request| waiting.remove(&request.ticket).expect("it waited")));
                let sum = |of: &dyn Fn(&Who) -> bool| held.iter().filter(|(who, _)| of(who)).map(|(_, n)| n).sum::<usize>();
                prop_assert_eq!(sum(&|_| true), shares.total);
                prop_assert!(shares.total <= 12);
                for n in 0..9 {
                    prop_assert!(sum(&|w| w.peer == who(n, 0).peer) <= 3);
                    let strangers = sum(&|w| !w.friend && w.network == who(0, n).network);
                    prop_assert!(strangers <= 8);
                }
                prop_assert!(shares.next().is_none());
                prop_assert!(!shares.is_pressed() || !waiting.is_empty());
            }
            for (who, amount) in held {
                shares.give_back(who, amount);
            }
            prop_assert!(shares.peers.len() <= waiting.len() && shares.networks.len() <= 3);
        }

        /// Whatever strangers of one network do, a new peer of another one has what is modest, and then a friend.
        #[test]
        fn one_network_never_shuts_the_door(takes in proptest::collection::vec((0..9_u8, 1..4_usize), 0..60)) {
            let mut shares = small();
            for (peer, amount) in takes {
                shares.take(who(peer, 0), amount);
            }
            prop_assert!(shares.take(who(100, 1), 1));
            prop_assert!(shares.take(friend(101), 1));
        }
    }
}
