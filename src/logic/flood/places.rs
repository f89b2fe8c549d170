//! The places of a query: how much of what its branches find is passed on, and what is held for them meanwhile.
//! Invariant: a content takes one place whoever tells it, and what is passed on for others never takes the place that a branch which
//! may still answer is owed. What is told of a content again has as many places, divided alike.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::logic::offers::page;
use crate::model::{ContentId, Hit, Kind, NodeId};

/// Contents that go back for a query of a neighbour; with the own answer, which has 100 at most, no more than 400.
const PASSED: usize = 300;
/// Contents that one branch of a query of here may bring.
const BROUGHT: usize = 400;
/// Bytes of hits that are held for a query until the places of others are free.
const HELD: usize = 64 << 10;

/// What counts as one content: what has no id yet is told apart by its name.
type Key = (Option<ContentId>, bool, u64, Option<String>);

fn key(hit: &Hit) -> Key {
    let name = hit.names.first().filter(|_| hit.id.is_none()).map(ToString::to_string);
    (hit.id, hit.kind == Kind::Collection, hit.size, name)
}

/// Places that branches have taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: BTreeMap<NodeId, usize>,
}

impl Taken {
    fn of(&self, branch: NodeId) -> usize {
        self.by.get(&branch).copied().unwrap_or_default()
    }

    fn take(&mut self, branch: NodeId, room: bool) -> bool {
        if room {
            self.all += 1;
            *self.by.entry(branch).or_default() += 1;
        }
        room
    }

    /// Whether a branch has its share left, or there are places that no other open branch is owed.
    fn has_room(&self, branch: NodeId, open: &BTreeSet<NodeId>, share: usize) -> bool {
        let others = open.iter().filter(|other| **other != branch);
        let owed: usize = others.map(|other| share.saturating_sub(self.of(*other))).sum();
        self.all < PASSED && (self.of(branch) < share || self.all + owed < PASSED)
    }
}

/// The places of one query.
#[derive(Debug, Default)]
pub(super) struct Places {
    told: BTreeSet<Key>,
    first: Taken,
    again: Taken,
    held: BTreeMap<NodeId, VecDeque<Hit>>,
    held_bytes: usize,
    /// All branches that there were.
    branches: BTreeSet<NodeId>,
    /// The query is of here: what is taken in is not passed on, and need not be divided.
    own: bool,
}

impl Places {
    pub(super) fn own() -> Self {
        Self { own: true, ..Self::default() }
    }

    /// A branch more that is owed its share.
    pub(super) fn open(&mut self, branch: NodeId) {
        self.branches.insert(branch);
    }

    /// Whether a branch has brought as much as a neighbour passes on, which may have left out something.
    pub(super) fn is_full(&self, branch: NodeId) -> bool {
        self.first.of(branch) >= PASSED
    }

    /// Leaves of a frame what there is room for now; a content that it repeats stays once.
    pub(super) fn keep(&mut self, branch: NodeId, hits: &mut Vec<Hit>, open: &BTreeSet<NodeId>) {
        let mut frame = BTreeSet::new();
        for hit in std::mem::take(hits) {
            let key = key(&hit);
            if !frame.insert(key.clone()) {
                continue;
            }
            if self.is_placed(branch, key, open) {
                hits.push(hit);
            } else if !self.own {
                self.hold(branch, hit);
            }
        }
    }

    fn is_placed(&mut self, branch: NodeId, key: Key, open: &BTreeSet<NodeId>) -> bool {
        let (own, share, known) = (self.own, PASSED / self.branches.len().max(1), self.told.contains(&key));
        let taken = if known { &mut self.again } else { &mut self.first };
        let room = if own { taken.of(branch) < BROUGHT } else { taken.has_room(branch, open, share) };
        let placed = taken.take(branch, room);
        if placed && !known {
            self.told.insert(key);
        }
        placed
    }

    /// What has no place yet is passed on when others need theirs no more; each branch may have its part held.
    fn hold(&mut self, branch: NodeId, hit: Hit) {
        let size = page::of_hit(&hit);
        let held = self.held.entry(branch).or_default();
        let of_it: usize = held.iter().map(page::of_hit).sum();
        let again = self.told.contains(&key(&hit)) || held.iter().any(|other| key(other) == key(&hit));
        if !again && of_it + size <= HELD / self.branches.len().max(1) && self.held_bytes + size <= HELD {
            self.held_bytes += size;
            held.push_back(hit);
        }
    }

    /// What of that has its place by now: those who have fewest first.
    pub(super) fn freed(&mut self, open: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Vec<Hit>> {
        let mut freed: BTreeMap<NodeId, Vec<Hit>> = BTreeMap::new();
        loop {
            let waiting = self.held.iter().filter(|(_, held)| !held.is_empty()).map(|(branch, _)| *branch);
            let Some(branch) = waiting.min_by_key(|branch| self.first.of(*branch)) else { return freed };
            let Some(hit) = self.held.get_mut(&branch).and_then(VecDeque::pop_front) else { return freed };
            if self.is_placed(branch, key(&hit), open) {
                self.held_bytes -= page::of_hit(&hit);
                freed.entry(branch).or_default().push(hit);
            } else if self.told.contains(&key(&hit)) {
                self.held_bytes -= page::of_hit(&hit);
            } else {
                self.held.entry(branch).or_default().push_front(hit);
                return freed;
            }
        }
    }
}
