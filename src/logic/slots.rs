//! Who may upload now: a fixed number of slots, a quota for each peer, and a bounded queue.
//! Invariant: no peer holds more than its quota, and a queued ticket whose peer has room is granted in order.
//! Not responsible for what is uploaded, nor for its rate.

use std::collections::{HashMap, VecDeque};

use crate::model::NodeId;

/// The sizes of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Uploads at once.
    pub slots: usize,
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
        Self { slots: 48, per_peer: 16, queue: 512, queue_per_peer: 48 }
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
    /// Begin when [`Slots::release`] or [`Slots::forget`] names the ticket.
    Queued,
}

/// The table of slots.
#[derive(Debug, Default)]
pub struct Slots {
    capacity: Capacity,
    active: HashMap<NodeId, usize>,
    total: usize,
    queue: VecDeque<(NodeId, Ticket)>,
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
        if self.has_room(peer) {
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

    /// A waiting request was given up.
    pub fn forget(&mut self, ticket: Ticket) {
        self.queue.retain(|(_, t)| *t != ticket);
    }

    fn grant_waiting(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        while let Some(at) = self.queue.iter().position(|(peer, _)| self.has_room(*peer)) {
            let Some((peer, ticket)) = self.queue.remove(at) else { break };
            self.grant(peer);
            granted.push(ticket);
        }
        granted
    }

    fn has_room(&self, peer: NodeId) -> bool {
        self.total < self.capacity.slots && self.active.get(&peer).copied().unwrap_or(0) < self.capacity.per_peer
    }

    fn grant(&mut self, peer: NodeId) {
        *self.active.entry(peer).or_default() += 1;
        self.total += 1;
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
        Slots::new(Capacity { slots: 3, per_peer: 2, queue: 3, queue_per_peer: 2 })
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
        slots.forget(3);
        assert_eq!(slots.release(node(1)), [4]);
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
                prop_assert!(!slots.queue.iter().any(|(p, _)| slots.has_room(*p)));
            }
        }
    }
}
