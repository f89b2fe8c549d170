//! Who may upload now: a fixed number of slots, a quota for each peer, and a bounded queue.
//! While more peers want something than are served at once they take turns, one request each: flows that share an
//! uplink do not share it evenly by themselves, and a unit that is whole early can be passed on early.
//! Invariant: no peer holds more than its quota. Not responsible for what is uploaded, nor for its rate.

use std::collections::{HashMap, VecDeque};

use crate::model::NodeId;

/// Peers whose last turn is remembered; one that was forgotten is next.
const REMEMBERED: usize = 512;

/// The sizes of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Uploads at once.
    pub slots: usize,
    /// Peers served at once, unless one of them has waited too long.
    pub peers: usize,
    /// Uploads at once for one peer.
    pub per_peer: usize,
    /// Requests that wait.
    pub queue: usize,
    /// Requests that wait for one peer.
    pub queue_per_peer: usize,
}

impl Default for Capacity {
    /// 48 slots hold a piece of 512 KiB each, 24 MiB in all; the queue holds no buffers.
    fn default() -> Self {
        Self { slots: 48, peers: 4, per_peer: 16, queue: 512, queue_per_peer: 48 }
    }
}

/// A request that waits; drawn by the caller, unique.
pub type Ticket = u64;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Over a quota: try again later.
    Busy,
    /// Begin now.
    Granted,
    /// Begin when [`Slots::release`], [`Slots::forget`] or [`Slots::hurry`] names the ticket.
    Queued,
}

/// The table of slots.
#[derive(Debug, Default)]
pub struct Slots {
    capacity: Capacity,
    active: HashMap<NodeId, usize>,
    total: usize,
    queue: VecDeque<(NodeId, Ticket)>,
    /// When each peer's last turn began, as a number that only grows.
    turns: HashMap<NodeId, u64>,
    clock: u64,
}

impl Slots {
    /// An empty table.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// How many uploads run.
    #[must_use]
    pub const fn active(&self) -> usize {
        self.total
    }

    /// A peer asks.
    pub fn ask(&mut self, peer: NodeId, ticket: Ticket) -> Admission {
        if self.may_begin(peer, self.is_someone_new()) {
            self.grant(peer);
            return Admission::Granted;
        }
        let waiting = self.queue.iter().filter(|(p, _)| *p == peer).count();
        if self.queue.len() >= self.capacity.queue || waiting >= self.capacity.queue_per_peer {
            return Admission::Busy;
        }
        self.queue.push_back((peer, ticket));
        Admission::Queued
    }

    /// An upload of this peer ended; the tickets that may begin now.
    pub fn release(&mut self, peer: NodeId) -> Vec<Ticket> {
        if let Some(count) = self.active.get_mut(&peer) {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.active.remove(&peer);
            }
        }
        self.grant_waiting()
    }

    /// A waiting request was given up; the tickets that may begin now.
    pub fn forget(&mut self, ticket: Ticket) -> Vec<Ticket> {
        self.queue.retain(|(_, t)| *t != ticket);
        self.grant_waiting()
    }

    /// A request has waited long enough; says whether it may begin although it is not its peer's turn.
    pub fn hurry(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.queue.iter().position(|(_, t)| *t == ticket) else { return false };
        let (peer, _) = self.queue[at];
        // With something on its way already the peer is not forgotten.
        let may = self.has_room(peer) && !self.active.contains_key(&peer);
        if may {
            self.queue.remove(at);
            self.grant(peer);
        }
        may
    }

    fn grant_waiting(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        while let Some(at) = self.next() {
            let Some((peer, ticket)) = self.queue.remove(at) else { break };
            self.grant(peer);
            granted.push(ticket);
        }
        granted
    }

    /// The place in the queue of who begins next: of those who may, the one whose last turn is longest ago.
    fn next(&self) -> Option<usize> {
        let new = self.is_someone_new();
        let able = self.queue.iter().enumerate().filter(|(_, (peer, _))| self.may_begin(*peer, new));
        able.min_by_key(|(_, (peer, _))| self.turns.get(peer)).map(|(at, _)| at)
    }

    /// Whether a request of the peer may begin: its first, beside few other peers, or a further one while nobody new
    /// is waiting.
    fn may_begin(&self, peer: NodeId, new: bool) -> bool {
        let turn = if self.active.contains_key(&peer) { !new } else { self.active.len() < self.capacity.peers };
        turn && self.has_room(peer)
    }

    /// Whether a peer waits that has nothing on its way.
    fn is_someone_new(&self) -> bool {
        self.queue.iter().any(|(peer, _)| !self.active.contains_key(peer))
    }

    fn has_room(&self, peer: NodeId) -> bool {
        self.total < self.capacity.slots && self.active.get(&peer).copied().unwrap_or(0) < self.capacity.per_peer
    }

    fn grant(&mut self, peer: NodeId) {
        *self.active.entry(peer).or_default() += 1;
        self.total += 1;
        self.clock += 1;
        self.turns.insert(peer, self.clock);
        let oldest = self.turns.iter().min_by_key(|(_, turn)| **turn).map(|(peer, _)| *peer);
        if self.turns.len() > REMEMBERED
            && let Some(oldest) = oldest
        {
            self.turns.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn small() -> Slots {
        Slots::new(Capacity { slots: 3, peers: 3, per_peer: 2, queue: 3, queue_per_peer: 2 })
    }

    #[test]
    fn a_greedy_peer_leaves_room_for_another() {
        let mut slots = small();
        assert_eq!((slots.ask(node(1), 1), slots.ask(node(1), 2)), (Admission::Granted, Admission::Granted));
        assert_eq!((slots.ask(node(1), 3), slots.ask(node(1), 4)), (Admission::Queued, Admission::Queued));
        assert_eq!(slots.ask(node(1), 5), Admission::Busy);
        assert_eq!(slots.ask(node(2), 6), Admission::Granted);
        assert!(slots.release(node(2)).is_empty());
        assert_eq!(slots.release(node(1)), [3]);
    }

    #[test]
    fn a_forgotten_ticket_is_never_granted() {
        let mut slots = small();
        for ticket in 1..=4 {
            slots.ask(node(1), ticket);
        }
        assert!(slots.forget(3).is_empty());
        assert_eq!(slots.release(node(1)), [4]);
    }

    /// Two peers at once, of which the first would take everything.
    fn turns() -> Slots {
        let mut slots = Slots::new(Capacity { peers: 2, ..Capacity::default() });
        assert_eq!((slots.ask(node(1), 1), slots.ask(node(1), 2)), (Admission::Granted, Admission::Granted));
        assert_eq!(slots.ask(node(2), 3), Admission::Granted);
        assert_eq!((slots.ask(node(1), 4), slots.ask(node(1), 5)), (Admission::Granted, Admission::Granted));
        assert_eq!((slots.ask(node(3), 6), slots.ask(node(4), 7)), (Admission::Queued, Admission::Queued));
        assert_eq!((slots.ask(node(1), 8), slots.ask(node(2), 9)), (Admission::Queued, Admission::Queued));
        slots
    }

    #[test]
    fn peers_take_turns_while_others_wait() {
        let mut slots = turns();
        assert_eq!(slots.release(node(2)), [6]);
        for _ in 0..3 {
            assert!(slots.release(node(1)).is_empty(), "no other peer may begin beside two, nor the same one go on");
        }
        assert_eq!(slots.release(node(1)), [7], "who was never served comes before who asked again");
        assert_eq!(slots.release(node(3)), [9], "the turn of the second peer is longer ago than that of the first");
        assert_eq!(slots.release(node(4)), [8]);
    }

    #[test]
    fn who_has_waited_too_long_begins_beside_the_others() {
        let mut slots = turns();
        assert!(slots.hurry(7) && !slots.hurry(7));
        assert!(!slots.hurry(8), "the first peer has something on its way");
        assert_eq!(slots.active(), 6);
    }

    proptest! {
        #[test]
        fn quotas_hold_and_nobody_waits_beside_a_free_slot(ops in proptest::collection::vec((any::<bool>(), 0..4_u8), 0..200)) {
            let mut slots = small();
            let mut held: HashMap<u8, usize> = HashMap::new();
            let mut owner: HashMap<Ticket, u8> = HashMap::new();
            for (ticket, (asks, peer)) in ops.into_iter().enumerate() {
                let ticket = ticket as Ticket;
                if asks {
                    owner.insert(ticket, peer);
                    if slots.ask(node(peer), ticket) == Admission::Granted {
                        *held.entry(peer).or_default() += 1;
                    }
                } else if held.get(&peer).copied().unwrap_or(0) > 0 {
                    *held.entry(peer).or_default() -= 1;
                    for granted in slots.release(node(peer)) {
                        *held.entry(owner[&granted]).or_default() += 1;
                    }
                }
                prop_assert!(held.values().all(|n| *n <= 2));
                prop_assert_eq!(held.values().sum::<usize>(), slots.active());
                prop_assert!(slots.active() <= 3);
                prop_assert_eq!(slots.next(), None);
            }
        }
    }
}
