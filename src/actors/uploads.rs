//! The pool of uploads: slots with quotas, which unit a crowd gets next, and how many fetch a content.
//! Invariant: bytes never pass here; a task asks for a slot, serves, and gives the slot back by dropping it.

use std::collections::HashMap;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::watch;

use crate::logic::slots::{Admission, Capacity, Slots, Ticket};
use crate::logic::spread::Spread;
use crate::model::{ContentId, NodeId};

/// How long a request waits for its turn at most: who is served by slow peers, or over long ways, must not keep all
/// others waiting, and a silence of two seconds looks like a stall.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the pool is told. Every message that waits for a reply comes from a task that serves one stream, of
/// which a peer can have only so many.
#[derive(Debug)]
pub enum Message {
    /// May this peer begin? The reply is `false` when it is over its quota.
    Admit(NodeId, RpcReplyPort<bool>),
    /// Which of these units should go next?
    Choose(ContentId, Vec<u32>, RpcReplyPort<Option<u32>>),
    /// A request has waited for its turn long enough.
    Hurry(Ticket),
    /// A node began to watch a content.
    Join(ContentId, NodeId, RpcReplyPort<watch::Receiver<u32>>),
    /// A node stopped watching a content.
    Leave(ContentId, NodeId),
    /// A slot is free again.
    Release(NodeId),
    /// These units were sent without a choice.
    Sent(ContentId, std::ops::Range<u32>),
}

/// The actor; [`UploadsRef`] is its handle.
#[derive(Debug)]
pub struct Uploads;

/// What the pool owns.
#[derive(Debug)]
pub struct State {
    slots: Slots,
    waiting: HashMap<Ticket, (NodeId, RpcReplyPort<bool>)>,
    next_ticket: Ticket,
    spread: Spread,
    audiences: HashMap<ContentId, Audience>,
}

#[derive(Debug)]
struct Audience {
    nodes: HashMap<NodeId, u32>,
    count: watch::Sender<u32>,
}

impl Actor for Uploads {
    type Msg = Message;
    type State = State;
    type Arguments = Capacity;

    async fn pre_start(&self, _: ActorRef<Message>, capacity: Capacity) -> Result<State, ActorProcessingErr> {
        Ok(State {
            slots: Slots::new(capacity),
            waiting: HashMap::new(),
            next_ticket: 0,
            spread: Spread::default(),
            audiences: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Admit(peer, reply) => state.admit(peer, reply, &myself),
            Message::Choose(id, acceptable, reply) => drop(reply.send(state.spread.choose(id, acceptable))),
            Message::Hurry(ticket) => state.hurry(ticket, &myself),
            Message::Join(id, node, reply) => drop(reply.send(state.join(id, node))),
            Message::Leave(id, node) => state.leave(id, node),
            Message::Release(peer) => state.release(peer),
            Message::Sent(id, units) => state.spread.sent(id, units),
        }
        Ok(())
    }
}

impl State {
    fn admit(&mut self, peer: NodeId, reply: RpcReplyPort<bool>, myself: &ActorRef<Message>) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.forget_the_gone();
        match self.slots.ask(peer, ticket) {
            Admission::Busy => drop(reply.send(false)),
            Admission::Granted => self.grant(peer, reply),
            Admission::Queued => {
                self.waiting.insert(ticket, (peer, reply));
                patience(ticket, myself);
            }
        }
    }

    /// Requests that were cancelled while they waited make room for others.
    fn forget_the_gone(&mut self) {
        let gone: Vec<_> = self.waiting.iter().filter(|(_, (_, reply))| reply.is_closed()).map(|(t, _)| *t).collect();
        for ticket in gone {
            self.waiting.remove(&ticket);
            let granted = self.slots.forget(ticket);
            self.grant_all(granted);
        }
    }

    fn hurry(&mut self, ticket: Ticket, myself: &ActorRef<Message>) {
        if self.slots.hurry(ticket) {
            self.grant_all(vec![ticket]);
        } else if self.waiting.contains_key(&ticket) {
            patience(ticket, myself);
        }
    }

    fn grant(&mut self, peer: NodeId, reply: RpcReplyPort<bool>) {
        if reply.send(true).is_err() {
            self.release(peer);
        }
    }

    fn release(&mut self, peer: NodeId) {
        let granted = self.slots.release(peer);
        self.grant_all(granted);
    }

    fn grant_all(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            if let Some((peer, reply)) = self.waiting.remove(&ticket) {
                self.grant(peer, reply);
            }
        }
    }

    fn join(&mut self, id: ContentId, node: NodeId) -> watch::Receiver<u32> {
        let new = || Audience { nodes: HashMap::new(), count: watch::Sender::new(0) };
        let audience = self.audiences.entry(id).or_insert_with(new);
        *audience.nodes.entry(node).or_default() += 1;
        audience.announce();
        audience.count.subscribe()
    }

    fn leave(&mut self, id: ContentId, node: NodeId) {
        let Some(audience) = self.audiences.get_mut(&id) else { return };
        if let Some(count) = audience.nodes.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                audience.nodes.remove(&node);
            }
        }
        audience.announce();
        if audience.nodes.is_empty() {
            self.audiences.remove(&id);
            self.spread.forget(id);
        }
    }
}

fn patience(ticket: Ticket, myself: &ActorRef<Message>) {
    // Ends by itself when the actor has ended.
    drop(myself.send_after(PATIENCE, move || Message::Hurry(ticket)));
}

impl Audience {
    fn announce(&self) {
        self.count.send_replace(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
    }
}

/// A handle to the pool.
#[derive(Debug, Clone)]
pub struct UploadsRef(pub ActorRef<Message>);

/// The right to serve one request; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    pool: ActorRef<Message>,
    peer: NodeId,
}

/// A node's place among those who fetch a content; left when dropped.
#[derive(Debug)]
pub struct Seat {
    pool: ActorRef<Message>,
    id: ContentId,
    node: NodeId,
    /// How many nodes fetch it now.
    pub fetching: watch::Receiver<u32>,
}

impl UploadsRef {
    /// Waits for a slot; `None` when the peer is over its quota, or the pool has stopped.
    pub async fn admit(&self, peer: NodeId) -> Option<Slot> {
        let granted = ractor::call!(self.0, Message::Admit, peer).unwrap_or(false);
        granted.then(|| Slot { pool: self.0.clone(), peer })
    }

    /// Which of these units should go next.
    pub async fn choose(&self, id: ContentId, acceptable: Vec<u32>) -> Option<u32> {
        ractor::call!(self.0, Message::Choose, id, acceptable).ok().flatten()
    }

    /// Counts units that are sent without a choice.
    pub fn sent(&self, id: ContentId, units: std::ops::Range<u32>) {
        // A stopped pool needs no count.
        let _ = self.0.cast(Message::Sent(id, units));
    }

    /// Counts the node among those who fetch the content.
    pub async fn join(&self, id: ContentId, node: NodeId) -> Option<Seat> {
        let fetching = ractor::call!(self.0, Message::Join, id, node).ok()?;
        Some(Seat { pool: self.0.clone(), id, node, fetching })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A stopped pool needs no slot back.
        let _ = self.pool.cast(Message::Release(self.peer));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A stopped pool has no audience.
        let _ = self.pool.cast(Message::Leave(self.id, self.node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pool(capacity: Capacity) -> UploadsRef {
        UploadsRef(Actor::spawn(None, Uploads, capacity).await.expect("spawned").0)
    }

    #[tokio::test]
    async fn a_dropped_slot_goes_to_who_waits() {
        let pool = pool(Capacity { slots: 1, peers: 1, per_peer: 1, queue: 1, queue_per_peer: 1 }).await;
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let first = pool.admit(one).await.expect("free");
        let mut waiting = std::pin::pin!(pool.admit(two));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no slot"),
            () = tokio::task::yield_now() => {}
        }
        assert!(pool.admit(one).await.is_none(), "the queue is full");
        drop(first);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn a_cancelled_wait_keeps_no_slot() {
        let pool = pool(Capacity { slots: 1, peers: 1, per_peer: 1, queue: 1, queue_per_peer: 1 }).await;
        let node = NodeId::from_bytes([1; 32]);
        let first = pool.admit(node).await.expect("free");
        tokio::select! {
            biased;
            _ = pool.admit(node) => panic!("there is no slot"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        assert!(pool.admit(node).await.is_some());
    }

    /// Else each crowd would be slower than the one before it: what went often to those who have left would go last.
    #[tokio::test]
    async fn what_was_sent_to_a_crowd_that_has_gone_does_not_count() {
        let pool = pool(Capacity::default()).await;
        let (id, node) = (ContentId::of(b"x"), NodeId::from_bytes([1; 32]));
        let seat = pool.join(id, node).await.expect("joined");
        pool.sent(id, 0..1);
        assert_eq!(pool.choose(id, vec![0, 1]).await, Some(1));
        drop(seat);
        let _seat = pool.join(id, node).await.expect("joined");
        assert_eq!(pool.choose(id, vec![0, 1]).await, Some(0));
    }

    #[tokio::test]
    async fn the_audience_counts_nodes_not_streams() {
        let pool = pool(Capacity::default()).await;
        let id = ContentId::of(b"x");
        let mut one = pool.join(id, NodeId::from_bytes([1; 32])).await.expect("joined");
        let again = pool.join(id, NodeId::from_bytes([1; 32])).await.expect("joined");
        let two = pool.join(id, NodeId::from_bytes([2; 32])).await.expect("joined");
        assert_eq!(*one.fetching.borrow_and_update(), 2);
        drop(two);
        one.fetching.changed().await.expect("pool lives");
        assert_eq!(*one.fetching.borrow_and_update(), 1);
        drop(again);
        one.fetching.changed().await.expect("pool lives");
        assert_eq!(*one.fetching.borrow(), 1);
    }
}
