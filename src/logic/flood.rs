//! Queries flooded over neighbours (Gnutella's QUERY and QUERYHIT): what goes where, what comes back on which way, and
//! when a search is over. Invariants: a query is handled once; it never goes back where it came from; each that is
//! taken in is answered by exactly one Done; what nobody asked for is dropped.
//! Not responsible for who is a neighbour, for the own answer, nor for how fast a neighbour's frames are read.

mod memory;
mod neighbour;
mod places;
mod query;
mod signals;
mod vetting;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use self::memory::Memory;
use self::neighbour::Neighbour;
use self::query::UnderWay;
pub use self::signals::{Counts, Fault, FloodOrder, Input};
use self::vetting::{is_sound, keep_what_it_can_dial, keep_what_may_be_claimed, make_useful_to, vouch};
use crate::logic::addresses::AskerView;
use crate::model::{Hit, NodeId, QueryId};
use crate::wire::{FloodQuery, NeighbourFrame, QueryHits, Seen, Sought, limits};

/// What a neighbour may send, and is sent: so many queries at once, then one each so often.
pub const RATE: (u32, Duration) = (128, Duration::from_micros(15_625));
/// How many tokens of each neighbour are kept for what is asked here.
const RESERVE: u32 = 32;
/// What of one neighbour's queries is forwarded: a quarter, so that one alone cannot silence the others.
const FORWARDED: (u32, Duration) = (64, Duration::from_micros(62_500));
/// How long a branch may take for each link that its query may still travel.
const PER_LINK: Duration = Duration::from_millis(150);
/// The TTLs with which a search is asked one after the other, while nothing comes.
pub const WAVES: [u8; 3] = [2, 3, 5];
/// Queries under way: of one neighbour, and altogether. Others are done at once.
const UNDER_WAY: (usize, usize) = (128, 1024);

/// The machine.
#[derive(Debug)]
pub struct Flood {
    own: NodeId,
    memory: Memory,
    /// They are given longer where something is to be chosen.
    friends: BTreeSet<NodeId>,
    neighbours: BTreeMap<NodeId, Neighbour>,
    queries: BTreeMap<QueryId, UnderWay>,
    /// When branches are given up.
    ends: BTreeSet<(Duration, QueryId, NodeId)>,
    counts: Counts,
}

impl Flood {
    /// A node without neighbours.
    pub fn new(own: NodeId) -> Self {
        Self {
            own,
            memory: Memory::default(),
            friends: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            queries: BTreeMap::new(),
            ends: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// When [`Input::Tick`] is due.
    pub fn wake(&self) -> Option<Duration> {
        self.ends.first().map(|(at, ..)| *at)
    }

    /// Where each neighbour was dialled under its own id; visitors are none's business.
    pub fn reached(&self) -> impl Iterator<Item = (NodeId, &[SocketAddr])> {
        self.neighbours.iter().filter(|(_, n)| !n.visiting).map(|(node, n)| (*node, n.addrs.as_slice()))
    }

    /// Whether everyone who was asked this has answered, though more may be asked yet.
    pub fn is_answered(&self, id: QueryId) -> bool {
        self.queries.get(&id).is_some_and(|query| query.is_whole() && query.branches().next().is_none())
    }

    /// Whether somebody who was asked this may still answer.
    pub fn is_awaited_by(&self, id: QueryId) -> bool {
        self.queries.get(&id).is_some_and(|query| query.branches().next().is_some())
    }

    /// Whether a neighbour was asked this and has not answered: whether it still may.
    pub fn is_silent(&self, id: QueryId, node: NodeId) -> Option<bool> {
        let query = self.queries.get(&id)?;
        let open = query.is_open(node);
        (open || query.given_up.contains(&node)).then_some(open)
    }

    /// Whether a neighbour has brought so much for a search that it may have left out something.
    pub fn is_full(&self, id: QueryId, node: NodeId) -> bool {
        self.queries.get(&id).is_some_and(|query| query.is_full(node))
    }

    /// What has gone through so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<FloodOrder> {
        let mut out = Vec::new();
        match input {
            Input::Answered { id, hits, nodes } => self.answered(id, hits, nodes, &mut out),
            Input::Aside { id, from, hits } => {
                out.extend(query::whole(id, hits).map(|frame| FloodOrder::Send(from, frame)))
            }
            Input::Ask { query, hold } => self.ask(query, hold, now, &mut out),
            Input::Frame { from, frame } if self.neighbours.contains_key(&from) => {
                self.frame(from, frame, now, &mut out);
            }
            Input::Frame { .. } => {}
            Input::Friends(nodes) => self.friends = nodes,
            Input::Joined { node, ends, visiting } => {
                self.joined(node, Neighbour::new(ends, visiting, now), now, &mut out);
            }
            Input::Left(node) => self.left(node, &mut out),
            Input::Moved(node) => self.moved(node, &mut out),
            Input::Reached(node, addrs) => {
                if let Some(neighbour) = self.neighbours.get_mut(&node) {
                    neighbour.addrs = addrs;
                }
            }
            Input::Release(id) => self.release(id, &mut out),
            Input::Settled => self.settled(&mut out),
            Input::Tick => self.tick(now, &mut out),
            Input::Unknown => self.counts.unknown += 1,
            Input::Unwanted(id) => self.forget(id),
            Input::Withheld(id) => {
                self.memory.withhold(id);
                self.answered(id, Vec::new(), Vec::new(), &mut out);
            }
        }
        out
    }

    /// A newcomer is asked what is looked for here.
    fn joined(&mut self, node: NodeId, mut newcomer: Neighbour, now: Duration, out: &mut Vec<FloodOrder>) {
        for (id, query) in self.queries.iter_mut().filter(|_| !newcomer.visiting) {
            let Some(asked) = query.asked_of(node).filter(|_| newcomer.to_it.take(0, now)) else { continue };
            let asked = asked.clone();
            if let Some(until) = query.close(node, true) {
                self.ends.remove(&(until, *id, node));
            }
            let friend = query.is_choice() && self.friends.contains(&node);
            let until = now + newcomer.patience(asked.ttl, friend);
            query.open(node, until);
            self.ends.insert((until, *id, node));
            self.counts.sent += 1;
            out.push(FloodOrder::Send(node, NeighbourFrame::Query(asked)));
        }
        self.neighbours.insert(node, newcomer);
    }

    /// A neighbour's connection has given way to another one, over which it comes again: what is looked for here is asked of it
    /// once more then, and what it has asked is answered once more when it does so.
    fn moved(&mut self, node: NodeId, out: &mut Vec<FloodOrder>) {
        for (id, _) in self.queries.iter().filter(|(_, query)| query.asker == Some(node)) {
            self.memory.withhold(*id);
        }
        self.gone(node, |query| !query.is_own(), out);
    }

    fn left(&mut self, node: NodeId, out: &mut Vec<FloodOrder>) {
        self.gone(node, |_| true, out);
    }

    /// Gives up what it has asked, and of what it was asked the branches of some queries.
    fn gone(&mut self, node: NodeId, given_up: impl Fn(&UnderWay) -> bool, out: &mut Vec<FloodOrder>) {
        self.neighbours.remove(&node);
        let asked: Vec<_> = self.queries.iter().filter(|(_, q)| q.asker == Some(node)).map(|(id, _)| *id).collect();
        asked.into_iter().for_each(|id| self.forget(id));
        let open: Vec<_> =
            self.queries.iter().filter(|(_, q)| q.is_open(node) && given_up(q)).map(|(id, _)| *id).collect();
        for id in open {
            self.close(id, node, false, out);
        }
    }

    fn ask(&mut self, mut query: FloodQuery, hold: Duration, now: Duration, out: &mut Vec<FloodOrder>) {
        self.memory.insert(query.id, now);
        query.ttl = query.ttl.min(limits::TTL);
        self.queries.insert(query.id, UnderWay::own(query.clone(), hold > now));
        if hold > now {
            self.ends.insert((hold, query.id, self.own));
        }
        self.spread(&query, query.ttl, now, out);
        self.finish(query.id, out);
    }

    fn settled(&mut self, out: &mut Vec<FloodOrder>) {
        let held = self.queries.iter().filter(|(_, query)| query.asker.is_none()).map(|(id, _)| *id);
        for id in held.collect::<Vec<_>>() {
            self.release(id, out);
        }
    }

    fn release(&mut self, id: QueryId, out: &mut Vec<FloodOrder>) {
        if let Some(query) = self.queries.get_mut(&id) {
            query.answered();
            self.finish(id, out);
        }
    }

    fn frame(&mut self, from: NodeId, frame: NeighbourFrame, now: Duration, out: &mut Vec<FloodOrder>) {
        match frame {
            NeighbourFrame::About(_) => {}
            NeighbourFrame::Done(id) if self.is_awaited(id, from, out) => {
                self.neighbours.get_mut(&from).into_iter().for_each(|neighbour| neighbour.ended(true, now));
                self.close(id, from, true, out);
            }
            // Too late for this query: but it does answer, and what is asked next may find it faster.
            NeighbourFrame::Done(id) if self.memory.contains(id) => {
                self.neighbours.get_mut(&from).into_iter().for_each(Neighbour::answers);
            }
            NeighbourFrame::Found(found) if self.is_awaited(found.id, from, out) => self.found(from, found, out),
            NeighbourFrame::Done(_) | NeighbourFrame::Found(_) => {}
            NeighbourFrame::Query(query) => self.query(from, query, now, out),
        }
    }

    /// Whether an answer comes from a branch that is open. One that comes too late is nobody's fault.
    fn is_awaited(&self, id: QueryId, from: NodeId, out: &mut Vec<FloodOrder>) -> bool {
        let open = self.queries.get(&id).is_some_and(|query| query.is_open(from));
        if !open && !self.memory.contains(id) {
            out.push(FloodOrder::Blame(from, Fault::Unsolicited));
        }
        open
    }

    fn query(&mut self, from: NodeId, query: FloodQuery, now: Duration, out: &mut Vec<FloodOrder>) {
        if query.ttl == 0 || query.ttl > limits::TTL {
            out.push(FloodOrder::Blame(from, Fault::Ttl));
        }
        if query.what == Sought::Unknown {
            self.counts.unknown += 1;
            return out.push(FloodOrder::Send(from, NeighbourFrame::Done(query.id)));
        }
        let malformed = !is_sound(&query.what);
        if malformed {
            out.push(FloodOrder::Blame(from, Fault::Malformed));
        }
        if query.ttl == 0 || malformed || self.memory.contains(query.id) {
            self.counts.duplicates += u64::from(query.ttl > 0 && !malformed);
            if query.ttl > 0 && !malformed && self.memory.is_withheld(query.id) {
                return out.push(FloodOrder::Aside { id: query.id, from, what: query.what });
            }
            return out.push(FloodOrder::Send(from, NeighbourFrame::Done(query.id)));
        }
        let allowed = self.neighbours.get_mut(&from).is_some_and(|asker| asker.for_it.take(0, now));
        if !allowed {
            out.push(FloodOrder::Blame(from, Fault::Greedy));
        }
        let of_it = self.queries.values().filter(|under_way| under_way.asker == Some(from)).count();
        if of_it >= UNDER_WAY.0 || self.queries.len() >= UNDER_WAY.1 {
            return out.push(FloodOrder::Send(from, NeighbourFrame::Done(query.id)));
        }
        self.memory.insert(query.id, now);
        self.counts.handled += 1;
        self.queries.insert(query.id, UnderWay::of(from));
        out.push(FloodOrder::Answer { id: query.id, from, what: query.what.clone() });
        if !allowed {
            return;
        }
        let ttl = query.ttl.min(limits::TTL) - 1;
        self.spread(&query, ttl, now, out);
    }

    /// Sends a query on to all neighbours but the one that asked: to commands that only visit, too, while they have
    /// something to give, so that those who fetch the same thing find each other.
    fn spread(&mut self, query: &FloodQuery, ttl: u8, now: Duration, out: &mut Vec<FloodOrder>) {
        let Some(under_way) = self.queries.get_mut(&query.id) else { return };
        if ttl == 0 {
            return;
        }
        let keep = if under_way.asker.is_some() { RESERVE } else { 0 };
        for (node, neighbour) in &mut self.neighbours {
            let asked = neighbour.is_asked(ttl, now).filter(|_| under_way.asker != Some(*node));
            let Some(ttl) = asked.filter(|_| neighbour.to_it.take(keep, now)) else { continue };
            let friend = under_way.is_choice() && self.friends.contains(node);
            let until = now + neighbour.patience(ttl, friend);
            under_way.open(*node, until);
            self.ends.insert((until, query.id, *node));
            self.counts.sent += 1;
            out.push(FloodOrder::Send(*node, NeighbourFrame::Query(FloodQuery { ttl, ..query.clone() })));
        }
    }

    fn answered(&mut self, id: QueryId, hits: Vec<Hit>, nodes: Vec<Seen>, out: &mut Vec<FloodOrder>) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        query.answered();
        let mut found = QueryHits { id, hits, nodes };
        if let Some(ends) = query.asker.and_then(|asker| self.neighbours.get(&asker)).map(|asker| asker.ends) {
            found.nodes.retain_mut(|seen| keep_what_it_can_dial(&mut seen.addrs, AskerView::of(ends)));
        }
        if let (Some(asker), false) = (query.asker, found.hits.is_empty() && found.nodes.is_empty()) {
            for part in query::parts(found) {
                out.push(FloodOrder::Send(asker, NeighbourFrame::Found(part)));
            }
        }
        self.finish(id, out);
    }

    /// Passes on what a branch found, as far as the caps allow.
    fn found(&mut self, from: NodeId, mut found: QueryHits, out: &mut Vec<FloodOrder>) {
        let Some(neighbour) = self.neighbours.get(&from) else { return };
        let teller = neighbour.ends;
        found.hits.iter_mut().for_each(|hit| vouch(hit, from, &neighbour.addrs, teller));
        found.nodes.iter_mut().for_each(|seen| keep_what_may_be_claimed(&mut seen.addrs, teller));
        found.nodes.retain(|seen| !seen.addrs.is_empty());
        let Some(query) = self.queries.get_mut(&found.id) else { return };
        query.cap(from, self.own, &mut found);
        self.pass_on(from, found, out);
    }

    fn pass_on(&self, from: NodeId, mut found: QueryHits, out: &mut Vec<FloodOrder>) {
        let Some(query) = self.queries.get(&found.id) else { return };
        let Some(asker) = query.asker else { return out.push(FloodOrder::Found(from, found)) };
        let Some(ends) = self.neighbours.get(&asker).map(|asker| asker.ends) else { return };
        let view = AskerView::of(ends);
        found.hits.retain_mut(|hit| make_useful_to(hit, view));
        found.nodes.retain_mut(|seen| keep_what_it_can_dial(&mut seen.addrs, view));
        if !found.hits.is_empty() || !found.nodes.is_empty() {
            out.push(FloodOrder::Send(asker, NeighbourFrame::Found(found)));
        }
    }

    fn tick(&mut self, now: Duration, out: &mut Vec<FloodOrder>) {
        while let Some((at, id, node)) = self.ends.first().copied()
            && at <= now
        {
            self.ends.remove(&(at, id, node));
            if node == self.own {
                self.release(id, out);
            } else {
                self.neighbours.get_mut(&node).into_iter().for_each(|neighbour| neighbour.ended(false, now));
                self.close(id, node, false, out);
            }
        }
    }

    /// A branch is done or given up.
    fn close(&mut self, id: QueryId, node: NodeId, done: bool, out: &mut Vec<FloodOrder>) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        if let Some(until) = query.close(node, done) {
            self.ends.remove(&(until, id, node));
        }
        for (branch, hits) in query.freed() {
            self.pass_on(branch, QueryHits { id, hits, nodes: Vec::new() }, out);
        }
        self.finish(id, out);
    }

    fn finish(&mut self, id: QueryId, out: &mut Vec<FloodOrder>) {
        let Some(query) = self.queries.get(&id).filter(|query| query.is_over()) else { return };
        out.push(match query.asker {
            None => FloodOrder::Over { id, silent: query.given_up.iter().copied().collect() },
            Some(asker) => FloodOrder::Send(asker, NeighbourFrame::Done(id)),
        });
        self.queries.remove(&id);
    }

    fn forget(&mut self, id: QueryId) {
        let Some(query) = self.queries.remove(&id) else { return };
        for (node, until) in query.branches() {
            self.ends.remove(&(until, id, node));
        }
    }
}

#[cfg(test)]
mod tests;
