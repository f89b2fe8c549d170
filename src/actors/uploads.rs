//! The pool of uploads: slots with quotas, which unit a crowd gets next, how many fetch a content, and what people see of it.
//! Invariants: bytes never pass here; a task asks for a slot, serves, and gives the slot back by dropping it. What is
//! granted is a guard from the moment it is granted: made here, it comes back also when nobody takes it.

mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use ractor::{ActorCell, ActorRef, RpcReplyPort, SpawnErr};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::actors::shelf::Shelf;
use crate::actors::start::{Farewell, Handled, Owner, start};
use crate::io::net::link::{Link, WeakLink};
use crate::logic::limits::shares::Who;
use crate::logic::limits::slots::{Admission, Capacity, Slots, Ticket};
use crate::logic::limits::spread::Spread;
use crate::logic::uploads::{Ledger, Taking, Upload, UploadEvent, Uploads};
use crate::model::counts::take_away;
use crate::model::{ContentId, NodeId};

use slot::Upload as Held;
pub use slot::{Crowd, Seat, Slot};

/// How long a request waits for its turn at most: who is served by slow peers, or over long ways, must not keep all
/// others waiting, and a silence of two seconds looks like a stall.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at how uploads get on: half of the time after which one is still.
const LOOK: Duration = Duration::from_millis(200);

/// Events that wait for whoever tells them; further ones are left out, the totals have them.
const EVENTS: usize = 256;

/// A request for a slot.
#[derive(Debug)]
pub struct Asking {
    who: Who,
    /// For which content.
    taking: Taking,
    /// Over which connection the upload will go.
    link: Option<WeakLink>,
}

/// What the pool is told. Every message that waits for a reply comes from a task that serves one stream, of
/// which a peer can have only so many.
#[derive(Debug)]
pub enum Message {
    /// May this peer begin? The reply is `None` when it is over its quota.
    Admit(Asking, RpcReplyPort<Option<Slot>>),
    /// Which of these units should go next?
    Choose(ContentId, Vec<u32>, RpcReplyPort<Option<u32>>),
    /// A request has waited for its turn long enough.
    Hurry(Ticket),
    /// A node began to watch a content.
    Join(ContentId, NodeId, RpcReplyPort<Seat>),
    /// A node stopped watching a content.
    Leave(ContentId, NodeId),
    /// Time to see how the uploads get on.
    Look,
    /// A slot is free again; whether its peer took everything.
    Release(Ticket, bool),
    /// These units were sent without a choice.
    Sent(ContentId, std::ops::Range<u32>),
    /// How many uploads run and how many requests wait, each of how many.
    Used(RpcReplyPort<[(usize, usize); 2]>),
    /// How the uploads stand at this moment.
    View(RpcReplyPort<Uploads>),
}

/// What the pool is started with.
pub struct Arguments {
    capacity: Capacity,
    shelf: Shelf,
    shown: watch::Sender<Uploads>,
    events: mpsc::Sender<UploadEvent>,
}

/// What the pool owns; [`UploadsRef`] is its handle.
pub struct UploadPool {
    started: Instant,
    /// Where contents have names.
    shelf: Shelf,
    ledger: Ledger,
    shown: watch::Sender<Uploads>,
    events: mpsc::Sender<UploadEvent>,
    capacity: Capacity,
    slots: Slots,
    uploads: HashMap<Ticket, Held>,
    waiting: HashMap<Ticket, (Asking, RpcReplyPort<Option<Slot>>)>,
    next_ticket: Ticket,
    /// The next look is due already.
    looks: bool,
    spread: Spread,
    audiences: HashMap<ContentId, Audience>,
}

#[derive(Debug)]
struct Audience {
    nodes: HashMap<NodeId, usize>,
    count: watch::Sender<Crowd>,
}

impl Owner for UploadPool {
    type Message = Message;
    type Arguments = Arguments;

    fn begin(_: &ActorRef<Message>, of: Arguments) -> Handled<Self> {
        Ok(Self {
            started: Instant::now(),
            shelf: of.shelf,
            ledger: Ledger::default(),
            shown: of.shown,
            events: of.events,
            capacity: of.capacity,
            slots: Slots::new(of.capacity),
            uploads: HashMap::new(),
            waiting: HashMap::new(),
            next_ticket: 0,
            looks: false,
            spread: Spread::default(),
            audiences: HashMap::new(),
        })
    }

    fn handle(&mut self, message: Message, myself: &ActorRef<Message>) -> Handled {
        match message {
            Message::Admit(asking, reply) => self.admit(asking, reply, myself),
            Message::Choose(id, acceptable, reply) => drop(reply.send(self.spread.choose(id, acceptable))),
            Message::Hurry(ticket) => self.hurry(ticket, myself),
            // Unsent, the seat is dropped, and so left.
            Message::Join(id, node, reply) => drop(reply.send(self.join(id, node, myself))),
            Message::Leave(id, node) => self.leave(id, node),
            Message::Look => self.look(myself),
            Message::Release(ticket, whole) => self.release(ticket, whole, myself),
            Message::Sent(id, units) => self.spread.sent(id, units),
            Message::Used(reply) => {
                let slots = (self.slots.active(), self.capacity.most());
                drop(reply.send([slots, (self.slots.waiting(), self.capacity.queue)]));
            }
            Message::View(reply) => drop(reply.send(self.view())),
        }
        Ok(())
    }
}

impl UploadPool {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn admit(&mut self, asking: Asking, reply: RpcReplyPort<Option<Slot>>, myself: &ActorRef<Message>) {
        self.next_ticket += 1;
        let (ticket, now) = (self.next_ticket, self.now());
        self.forget_the_gone(myself);
        match self.slots.ask(asking.who, ticket, now) {
            Admission::Busy => drop(reply.send(None)),
            Admission::Granted => {
                self.grant(ticket, asking, reply, myself);
                let granted = self.slots.settle(now);
                self.grant_all(granted, myself);
            }
            Admission::Queued(displaced) => {
                self.waiting.insert(ticket, (asking, reply));
                patience(ticket, myself);
                if let Some(displaced) = displaced {
                    self.displace(displaced, myself);
                }
            }
        }
        self.keep_looking(myself);
    }

    /// The queue is full, and this one is not to wait any more.
    fn displace(&mut self, ticket: Ticket, myself: &ActorRef<Message>) {
        if let Some((_, reply)) = self.waiting.remove(&ticket) {
            drop(reply.send(None));
        }
        let granted = self.slots.forget(ticket, self.now());
        self.grant_all(granted, myself);
    }

    /// Requests that were cancelled while they waited make room for others.
    fn forget_the_gone(&mut self, myself: &ActorRef<Message>) {
        let gone: Vec<_> = self.waiting.iter().filter(|(_, (_, reply))| reply.is_closed()).map(|(t, _)| *t).collect();
        for ticket in gone {
            self.waiting.remove(&ticket);
            let granted = self.slots.forget(ticket, self.now());
            self.grant_all(granted, myself);
        }
    }

    fn hurry(&mut self, ticket: Ticket, myself: &ActorRef<Message>) {
        let granted = self.slots.hurry(ticket, self.now());
        self.grant_all(granted, myself);
        if self.waiting.contains_key(&ticket) {
            patience(ticket, myself);
        }
    }

    /// Sees which uploads move: who lets one wait while others want its slot is broken off.
    fn look(&mut self, myself: &ActorRef<Message>) {
        self.looks = false;
        self.forget_the_gone(myself);
        let now = self.now();
        self.uploads.values_mut().for_each(Held::sample);
        self.count(now);
        let uploads = &self.uploads;
        let looked = self.slots.look(|ticket| uploads.get(&ticket).map(Held::view).unwrap_or_default(), now);
        for upload in looked.recall.iter().filter_map(|ticket| self.uploads.get(ticket)) {
            upload.recall();
        }
        if !looked.recall.is_empty() {
            tracing::debug!(recalled = looked.recall.len(), held = self.slots.active(), "uploads that do not move");
        }
        self.grant_all(looked.granted, myself);
        self.show(now);
        self.keep_looking(myself);
    }

    fn count(&mut self, now: Duration) {
        for upload in self.uploads.values() {
            self.ledger.taken(upload.number, upload.newly_taken(), now);
        }
    }

    fn view(&mut self) -> Uploads {
        let now = self.now();
        self.count(now);
        self.ledger.view(now)
    }

    /// Shows how the uploads stand, and tells which have begun and ended.
    fn show(&mut self, now: Duration) {
        let fetches = |id, node| self.audiences.get(&id).is_some_and(|audience| audience.nodes.contains_key(&node));
        self.ledger.look(fetches, now);
        for event in self.ledger.take_events() {
            log(&event);
            // Full: nobody reads them.
            let _ = self.events.try_send(event);
        }
        self.shown.send_replace(self.ledger.view(now));
    }

    fn keep_looking(&mut self, myself: &ActorRef<Message>) {
        let needed = self.slots.active() > 0 || self.slots.waiting() > 0 || !self.ledger.is_idle();
        if needed && !std::mem::replace(&mut self.looks, true) {
            // Ends by itself when the actor has ended.
            drop(myself.send_after(LOOK, || Message::Look));
        }
    }

    fn grant(&mut self, ticket: Ticket, asking: Asking, reply: RpcReplyPort<Option<Slot>>, myself: &ActorRef<Message>) {
        let shelf = &self.shelf;
        let number = self.ledger.open(asking.taking, || shelf.name_of(asking.taking.id), self.started.elapsed());
        let (slot, upload) = Slot::new(myself.clone(), ticket, asking, (self.started, number));
        if self.uploads.is_empty() {
            tracing::debug!("an upload is under way");
        }
        self.uploads.insert(ticket, upload);
        // Unsent, it is dropped, and so given back.
        drop(reply.send(Some(slot)));
    }

    fn release(&mut self, ticket: Ticket, whole: bool, myself: &ActorRef<Message>) {
        let now = self.now();
        if let Some(upload) = self.uploads.remove(&ticket) {
            self.ledger.taken(upload.number, upload.newly_taken(), now);
            self.ledger.close(upload.number, now);
        }
        let granted = self.slots.release(ticket, whole, now);
        self.grant_all(granted, myself);
        if self.slots.active() == 0 {
            tracing::debug!("no upload is under way");
        }
    }

    fn grant_all(&mut self, tickets: Vec<Ticket>, myself: &ActorRef<Message>) {
        for ticket in tickets {
            if let Some((asking, reply)) = self.waiting.remove(&ticket) {
                self.grant(ticket, asking, reply, myself);
            }
        }
    }

    fn join(&mut self, id: ContentId, node: NodeId, myself: &ActorRef<Message>) -> Seat {
        let new = || Audience { nodes: HashMap::new(), count: watch::Sender::default() };
        let audience = self.audiences.entry(id).or_insert_with(new);
        *audience.nodes.entry(node).or_default() += 1;
        let end = Farewell::of(myself.clone(), Message::Leave(id, node));
        let fetching = audience.count.subscribe();
        audience.announce();
        Seat { fetching, _end: end }
    }

    fn leave(&mut self, id: ContentId, node: NodeId) {
        let now = self.now();
        let Some(audience) = self.audiences.get_mut(&id) else { return };
        if take_away(&mut audience.nodes, &node, 1) {
            self.ledger.leave(id, node, now);
        }
        audience.announce();
        if audience.nodes.is_empty() {
            self.audiences.remove(&id);
            self.spread.forget(id);
        }
    }
}

fn log(event: &UploadEvent) {
    let what = |upload: &Upload| upload.name.as_ref().map_or_else(|| upload.id.short(), ToString::to_string);
    match event {
        UploadEvent::Begun(upload) => {
            tracing::info!(peer = %upload.node.short(), what = what(upload), "an upload begins");
        }
        UploadEvent::Ended(upload) => {
            tracing::info!(peer = %upload.node.short(), what = what(upload), bytes = upload.bytes, "an upload is over");
        }
    }
}

fn patience(ticket: Ticket, myself: &ActorRef<Message>) {
    // Ends by itself when the actor has ended.
    drop(myself.send_after(PATIENCE, move || Message::Hurry(ticket)));
}

impl Audience {
    /// Tells of another number of nodes, and of that alone: each who watches is woken by it.
    fn announce(&self) {
        let few = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let now = Crowd { nodes: few(self.nodes.len()), streams: few(self.count.receiver_count()) };
        self.count.send_if_modified(|crowd| std::mem::replace(crowd, now).nodes != now.nodes);
    }
}

/// A handle to the pool.
#[derive(Debug, Clone)]
pub struct UploadsRef {
    actor: ActorRef<Message>,
    shown: watch::Receiver<Uploads>,
}

impl UploadsRef {
    /// Starts a pool under a supervisor, and gives what it tells. The shelf says what contents are called.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn start(
        capacity: Capacity,
        shelf: Shelf,
        supervisor: Option<ActorCell>,
    ) -> Result<(Self, mpsc::Receiver<UploadEvent>), SpawnErr> {
        let (shown, sampled) = watch::channel(Uploads::default());
        let (events, told) = mpsc::channel(EVENTS);
        let (actor, _) = start::<UploadPool>(Arguments { capacity, shelf, shown, events }, supervisor).await?;
        Ok((Self { actor, shown: sampled }, told))
    }

    /// How the uploads stand at this moment; `None` when the pool has stopped.
    pub async fn view(&self) -> Option<Uploads> {
        ractor::call!(self.actor, Message::View).ok()
    }

    /// How many uploads run and how many requests wait, each of how many; nothing of a pool that has stopped.
    pub async fn used(&self) -> [(usize, usize); 2] {
        ractor::call!(self.actor, Message::Used).unwrap_or_default()
    }

    /// How the uploads stand, as it changes.
    pub fn shown(&self) -> watch::Receiver<Uploads> {
        self.shown.clone()
    }

    /// Waits for a slot for `who`, which is at the other end, to be sent some of a content; `None` when it is over its
    /// quota, or the pool has stopped.
    pub async fn admit(&self, link: &Link, who: Who, (id, size): (ContentId, u64)) -> Option<Slot> {
        let taking = Taking { node: who.peer, addr: link.remote(), id, size };
        self.ask(Asking { who, taking, link: Some(link.downgrade()) }).await
    }

    async fn ask(&self, asking: Asking) -> Option<Slot> {
        ractor::call!(self.actor, Message::Admit, asking).ok().flatten()
    }

    /// Which of these units should go next.
    pub async fn choose(&self, id: ContentId, acceptable: Vec<u32>) -> Option<u32> {
        ractor::call!(self.actor, Message::Choose, id, acceptable).ok().flatten()
    }

    /// Counts units that are sent without a choice.
    pub fn sent(&self, id: ContentId, units: std::ops::Range<u32>) {
        // A stopped pool needs no count.
        let _ = self.actor.cast(Message::Sent(id, units));
    }

    /// Counts the node among those who fetch the content.
    pub async fn join(&self, id: ContentId, node: NodeId) -> Option<Seat> {
        ractor::call!(self.actor, Message::Join, id, node).ok()
    }
}
