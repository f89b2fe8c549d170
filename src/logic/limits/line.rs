//! A line at a limit: who goes next is whoever would have had its bytes first if all in it were served at the same time, the
//! networks evenly and of each its peers (self-clocked fair queueing, Golestani 1994). So little goes before much.
//! Invariant: who leaves has taken nothing. Not responsible for how fast the line moves.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::logic::limits::shares::Who;
use crate::model::NodeId;

/// A place in the line, unique.
pub type Ticket = u64;

#[derive(Debug)]
struct Place {
    who: Who,
    /// What it takes of its peer's share, and where that ends.
    cost: u64,
    end: u64,
}

/// The line.
#[derive(Debug, Default)]
pub struct Line {
    /// The end of what was served last.
    clock: u64,
    places: HashMap<Ticket, Place>,
    order: BTreeSet<(u64, Ticket)>,
    /// Where each peer's last place ends, of those that end after `clock`.
    ends: HashMap<NodeId, u64>,
    last: Ticket,
}

impl Line {
    /// So many bytes are to go to a peer.
    pub fn join(&mut self, who: Who, bytes: u64) -> Ticket {
        let waiting = self.places.values().map(|place| place.who).filter(|other| other.network == who.network);
        let peers: HashSet<_> = waiting.map(|other| other.peer).chain([who.peer]).collect();
        let cost = bytes.saturating_mul(peers.len() as u64);
        let end = self.ends.entry(who.peer).or_default();
        *end = (*end).max(self.clock).saturating_add(cost);
        self.last += 1;
        self.order.insert((*end, self.last));
        self.places.insert(self.last, Place { who, cost, end: *end });
        self.last
    }

    /// Who is next.
    pub fn first(&self) -> Option<Ticket> {
        self.order.first().map(|(_, ticket)| *ticket)
    }

    /// The bytes of a place go now.
    pub fn serve(&mut self, ticket: Ticket) {
        let Some(place) = self.take(ticket) else { return };
        self.clock = self.clock.max(place.end);
        let clock = self.clock;
        self.ends.retain(|_, end| *end > clock);
    }

    /// A place is given up, and its peer waits that much less next time; not there any more, nothing happens.
    pub fn leave(&mut self, ticket: Ticket) {
        let Some(place) = self.take(ticket) else { return };
        if let Some(end) = self.ends.get_mut(&place.who.peer) {
            *end = end.saturating_sub(place.cost);
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Place> {
        let place = self.places.remove(&ticket)?;
        self.order.remove(&(place.end, ticket));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn who(peer: u8, network: u8) -> Who {
        Who { peer: NodeId::from_bytes([peer; 32]), network: IpAddr::from([10, 0, 0, network]), friend: false }
    }

    /// The peers in the order in which they are served.
    fn served(line: &mut Line, of: &HashMap<Ticket, u8>) -> Vec<u8> {
        let mut order = Vec::new();
        while let Some(ticket) = line.first() {
            line.serve(ticket);
            order.push(of[&ticket]);
        }
        order
    }

    #[test]
    fn little_goes_before_much_and_peers_take_turns() {
        let mut line = Line::default();
        let places = [(1, 100), (1, 100), (1, 100), (2, 100), (3, 6)];
        let tickets = places.map(|(peer, bytes)| (line.join(who(peer, peer), bytes), peer));
        assert_eq!(served(&mut line, &tickets.into()), [3, 1, 2, 1, 1]);
    }

    #[test]
    fn many_of_one_network_have_what_one_has() {
        let mut line = Line::default();
        let mut tickets: HashMap<_, _> = (1..=20).map(|peer| (line.join(who(peer, 1), 100), peer)).collect();
        tickets.extend([1, 2].map(|_| (line.join(who(99, 2), 100), 99)));
        let order = served(&mut line, &tickets);
        let at: Vec<_> = (0..order.len()).filter(|at| order[*at] == 99).collect();
        assert_eq!(at, [1, 3]);
    }

    #[test]
    fn who_leaves_has_taken_nothing() {
        let mut line = Line::default();
        let gone: Vec<_> = (0..1000).map(|n| line.join(who(1, 1), n)).collect();
        gone.into_iter().for_each(|ticket| line.leave(ticket));
        let tickets = [1, 2].map(|peer| (line.join(who(peer, peer), 10), peer));
        assert_eq!(served(&mut line, &tickets.into()), [1, 2]);
        assert!(line.places.is_empty() && line.ends.is_empty());
    }
}
