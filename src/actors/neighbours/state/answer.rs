//! What this node answers to its neighbours' queries.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::State;
use crate::actors::neighbours::Message;
use crate::logic::flood::Input;
use crate::logic::neighbours::Direction;
use crate::model::{Hit, NodeId, QueryId};
use crate::wire::{Seen, Sought};

/// One neighbour's queries are answered one after the other, so that many of one make nobody else's wait.
#[derive(Debug, Clone)]
pub(super) struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turn {
    /// Waits for it; `None` when the neighbour has gone.
    async fn take(self) -> Option<OwnedSemaphorePermit> {
        self.0.acquire_owned().await.ok()
    }

    /// The neighbour has gone: nothing of what it asked for is looked for any more.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl State {
    /// Answers a neighbour's query from what is here.
    pub(super) fn answer(&mut self, id: QueryId, from: NodeId, what: Sought) {
        if what == Sought::Nodes {
            let nodes = self.seen();
            return self.flood(Input::Answered { id, hits: Vec::new(), nodes });
        }
        if !self.may_know(from) {
            return self.flood(Input::Withheld(id));
        }
        self.read(from, what, move |hits| Message::Answered(id, hits));
    }

    /// The same, for a neighbour whose question others have forwarded here before it came: they were told nothing.
    pub(super) fn answer_aside(&mut self, id: QueryId, from: NodeId, what: Sought) {
        if !self.may_know(from) {
            return self.flood(Input::Aside { id, from, hits: Vec::new() });
        }
        self.read(from, what, move |hits| Message::AnsweredAside(id, from, hits));
    }

    fn may_know(&self, node: NodeId) -> bool {
        self.dependencies.shelf.access.serves(self.asking(node))
    }

    /// Who is answered: a node's own commands ask as visitors; what comes from another neighbour may be anybody's question.
    fn asking(&self, from: NodeId) -> Option<NodeId> {
        Some(from).filter(|node| self.table.direction(*node) == Some(Direction::Visiting))
    }

    fn read(&mut self, from: NodeId, what: Sought, tell: impl FnOnce(Vec<Hit>) -> Message + Send + 'static) {
        let Some(neighbour) = self.voices.get(&from) else { return };
        let (turn, who) = (neighbour.turn.clone(), self.who(&neighbour.link));
        let view = self.dependencies.shelf.seen_by(self.asking(from));
        let (reads, actor) = (self.reads.clone(), self.reach.actor.clone());
        self.tasks.spawn(async move {
            let Some(_turn) = turn.take().await else { return };
            let hits = reads.run(who, move |going| view.answer(&what, going)).await.unwrap_or_default();
            // Gone only with the node itself.
            let _ = actor.cast(tell(hits));
        });
    }

    /// The neighbours that this node itself has dialled, as others are told.
    fn seen(&self) -> Vec<Seen> {
        if self.dependencies.settings.only_peers {
            return Vec::new();
        }
        let reached = self.flood.reached();
        let told = reached.filter(|(_, addrs)| !addrs.is_empty()).map(|(node, addrs)| Seen {
            node,
            addrs: addrs.to_vec(),
            offers: self.voices.get(&node).map_or(0, |neighbour| neighbour.offers),
            by: self.own,
        });
        told.collect()
    }
}
