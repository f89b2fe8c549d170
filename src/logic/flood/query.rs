//! One query under way: who asked, which branches are open, how much of its answer has been passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::places::Places;
use crate::logic::offers::page;
use crate::model::{Hit, NodeId, QueryId};
use crate::wire::{FloodQuery, NeighbourFrame, QueryHits, Seen};

/// Nodes passed on for one query: altogether, of one branch, and of one that tells of them. An own answer has as many hits as the last.
const CAPS: (usize, usize, usize) = (400, 200, 100);

/// Bytes that one frame of an answer is filled to: a queue of frames stays small. One hit always fits a page.
const FILL: usize = 48 << 10;

/// The state of a query.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    pub(super) asker: Option<NodeId>,
    /// What is asked here, for neighbours that come later.
    asked: Option<FloodQuery>,
    answering: bool,
    branches: BTreeMap<NodeId, Branch>,
    places: Places,
    passed: usize,
    providers: BTreeMap<NodeId, usize>,
    /// Those whose branches were given up.
    pub(super) given_up: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Branch {
    until: Duration,
    passed: usize,
}

impl UnderWay {
    /// One that is asked here: the own answer is nobody's concern, but it may be held for neighbours to come.
    pub(super) fn own(asked: FloodQuery, held: bool) -> Self {
        Self { asked: Some(asked), answering: held, places: Places::own(), ..Self::default() }
    }

    /// One of a neighbour, still to be answered here.
    pub(super) fn of(asker: NodeId) -> Self {
        Self { asker: Some(asker), answering: true, ..Self::default() }
    }

    /// The query that a newcomer is asked: one of here that is held for newcomers, or that it was asked over another connection.
    pub(super) fn asked_of(&self, newcomer: NodeId) -> Option<&FloodQuery> {
        self.asked.as_ref().filter(|_| self.answering || self.is_open(newcomer))
    }

    /// Whether it is asked here.
    pub(super) const fn is_own(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) const fn answered(&mut self) {
        self.answering = false;
    }

    /// Whether it is looked for by words, which may mean several things.
    pub(super) fn is_choice(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.what.is_by_name())
    }

    pub(super) fn open(&mut self, node: NodeId, until: Duration) {
        self.places.open(node);
        self.branches.insert(node, Branch { until, passed: 0 });
    }

    pub(super) fn is_open(&self, node: NodeId) -> bool {
        self.branches.contains_key(&node)
    }

    /// Closes a branch; says when it would have been given up.
    pub(super) fn close(&mut self, node: NodeId, done: bool) -> Option<Duration> {
        let branch = self.branches.remove(&node)?;
        if !done {
            self.given_up.insert(node);
        }
        Some(branch.until)
    }

    pub(super) fn is_over(&self) -> bool {
        !self.answering && self.branches.is_empty()
    }

    /// Whether no branch was given up.
    pub(super) fn is_whole(&self) -> bool {
        self.given_up.is_empty()
    }

    pub(super) fn branches(&self) -> impl Iterator<Item = (NodeId, Duration)> {
        self.branches.iter().map(|(node, branch)| (*node, branch.until))
    }

    /// Leaves of a branch's answer what there is room for; nothing that names `own`, which knows better.
    pub(super) fn cap(&mut self, from: NodeId, own: NodeId, found: &mut QueryHits) {
        let open = self.open_branches();
        let Some(branch) = self.branches.get_mut(&from) else { return };
        found.hits.retain_mut(|hit| {
            hit.providers.retain(|provider| provider.node != own);
            !hit.providers.is_empty()
        });
        self.places.keep(from, &mut found.hits, &open);
        let (passed, providers) = (&mut self.passed, &mut self.providers);
        found.nodes.retain(|seen| {
            let room = seen.node != own && within(providers, seen.by) && *passed < CAPS.0 && branch.passed < CAPS.1;
            (*passed, branch.passed) = (*passed + usize::from(room), branch.passed + usize::from(room));
            room
        });
    }

    /// What was held back and has its place now, by the branch that told of it.
    pub(super) fn freed(&mut self) -> BTreeMap<NodeId, Vec<Hit>> {
        let open = self.open_branches();
        self.places.freed(&open)
    }

    /// Whether a branch has brought so much that it may have left out something.
    pub(super) fn is_full(&self, node: NodeId) -> bool {
        self.places.is_full(node)
    }

    fn open_branches(&self) -> BTreeSet<NodeId> {
        self.branches.keys().copied().collect()
    }
}

/// Counts one more of a provider, unless it has had enough.
fn within(providers: &mut BTreeMap<NodeId, usize>, node: NodeId) -> bool {
    let known = providers.len();
    let passed = providers.entry(node).or_default();
    let within = *passed < CAPS.2 && known <= CAPS.0 * Hit::MAX_PROVIDERS;
    *passed += usize::from(within);
    within
}

/// An own answer with its end.
pub(super) fn whole(id: QueryId, hits: Vec<Hit>) -> impl Iterator<Item = NeighbourFrame> {
    let parts = parts(QueryHits { id, hits, nodes: Vec::new() }).into_iter().map(NeighbourFrame::Found);
    parts.chain([NeighbourFrame::Done(id)])
}

/// An own answer as frames that each fit a page, with room for the provider that the first neighbour fills in.
pub(super) fn parts(found: QueryHits) -> Vec<QueryHits> {
    let QueryHits { id, hits, nodes } = found;
    let part = |hits| QueryHits { id, hits, nodes: Vec::new() };
    let (mut parts, mut page, mut filled) = (Vec::new(), Vec::new(), 0);
    for hit in hits.into_iter().take(CAPS.2) {
        let size = page::of_hit(&hit) + page::MAX_PROVIDER;
        if filled + size > FILL && !page.is_empty() {
            parts.push(part(std::mem::take(&mut page)));
            filled = 0;
        }
        filled += size;
        page.push(hit);
    }
    parts.extend((!page.is_empty()).then(|| part(page)));
    let nodes: Vec<Seen> = nodes.into_iter().take(CAPS.2).collect();
    parts.extend((!nodes.is_empty()).then_some(QueryHits { id, hits: Vec::new(), nodes }));
    parts
}
