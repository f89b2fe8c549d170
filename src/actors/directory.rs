//! The tracker's directory as an actor: writes go through its mailbox one by one. Its handle makes of each question what
//! answers it from the last snapshot, without the actor: whoever asks knows neither, and another engine can stand behind it.
//! Invariant: each message comes from a task that awaits its reply, of which a peer can have only so many.
//! Not responsible for streams and dial-backs: `actors/serve/tracker.rs`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ractor::{ActorCell, ActorRef, RpcReplyPort, SpawnErr};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::actors::access::Access;
use crate::actors::limits::reads::Going;
use crate::actors::start::{Farewell, Handled, Owner, start};
pub use crate::logic::directory::{AnnouncementId, Census, Window};
use crate::logic::directory::{AskerView, Directory, FollowId, Quotas, Snapshot, Tally};
use crate::logic::limits::meter::Meter;
use crate::logic::limits::shares::Who;
use crate::model::{Content, ContentId, Epoch, NodeId, Query, SafePath};
use crate::wire::{Announce, Answer, Code, Delta, FollowEvent, Renewed, encode, limits};

/// How often silent leases are looked for: a lease of 60 s ends at most this late.
const TICK: Duration = Duration::from_secs(1);
/// Events that wait for one follower; one that is slower is let go and asks again.
const EVENTS: usize = 64;
/// Dial-backs to one address of this many at once, then five a second: a restarted tracker hears many nodes of one
/// household or test lab at once, and nobody can use it to flood one address.
const DIALS: u32 = 256;
const DIAL_PACE: Duration = Duration::from_millis(200);
/// Addresses whose dial-backs are metered at the same time.
const DIAL_TARGETS: usize = 10_000;

/// What the directory is told.
#[derive(Debug)]
pub enum Message {
    /// An announcement begins.
    Announce(Who, Announce, RpcReplyPort<Result<(), Code>>),
    /// A part of it.
    Apply(AnnouncementId, Delta, RpcReplyPort<Result<(), Code>>),
    /// It ends.
    Complete(AnnouncementId, RpcReplyPort<Result<Tally, Code>>),
    /// Only these nodes may stay.
    Dismiss(Access, RpcReplyPort<()>),
    /// Look for silent leases.
    Expire,
    /// A node begins to follow a content.
    Follow(Content, NodeId, AskerView, RpcReplyPort<Result<Subscription, Code>>),
    /// Which of these addresses may be dialled back now?
    MayDial(Vec<SocketAddr>, RpcReplyPort<Vec<SocketAddr>>),
    /// Where a node was reached.
    Publish(NodeId, Epoch, Vec<SocketAddr>, RpcReplyPort<bool>),
    /// A lease goes on.
    Renew(AnnouncementId, RpcReplyPort<Renewed>),
    /// A follower has gone.
    Unfollow(FollowId),
    /// A node leaves.
    Withdraw(NodeId, Epoch, RpcReplyPort<bool>),
}

/// What a follower receives; dropping it ends the following.
#[derive(Debug)]
pub struct Subscription {
    /// Who is there now.
    pub first: FollowEvent,
    /// Who joins and leaves. It ends when the follower was too slow.
    pub events: mpsc::Receiver<FollowEvent>,
    _end: Farewell<Message>,
}

/// A handle to the directory.
#[derive(Debug, Clone)]
pub struct DirectoryRef {
    actor: ActorRef<Message>,
    snapshots: watch::Receiver<Snapshot>,
    refusals: watch::Receiver<Option<Refusals>>,
    searches: Arc<AtomicU64>,
}

/// A page of an answer, encoded as it is sent; as long as it is counted for.
pub type EncodedPage = Box<[u8]>;

/// A question: it is answered, with an error of `Internal` when that cannot be told, wherever this is run; that may take long.
/// `None` when it is not to go on to its end.
pub type Reading = Arc<dyn Fn(Going<'_>) -> Option<Result<EncodedPage, Code>> + Send + Sync>;

/// Names of a node that were not taken, over a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Whose.
    pub node: NodeId,
    /// How many of its last announcement.
    pub names: u64,
}

impl DirectoryRef {
    /// Starts an empty directory under a supervisor.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn start(quotas: Quotas, supervisor: Option<ActorCell>) -> Result<Self, SpawnErr> {
        let (sender, snapshots) = watch::channel(Snapshot::default());
        let (refused, refusals) = watch::channel(None);
        let arguments = (quotas, sender, refused);
        let (actor, _) = start::<State>(arguments, supervisor).await?;
        Ok(Self { actor, snapshots, refusals, searches: Arc::default() })
    }

    /// The last that was refused, as it changes.
    pub fn refusals(&self) -> watch::Receiver<Option<Refusals>> {
        self.refusals.clone()
    }

    /// How much there is.
    pub fn census(&self) -> Census {
        let snapshot = self.snapshots.borrow().clone();
        Census { searches: self.searches.load(Ordering::Relaxed), ..snapshot.census() }
    }

    /// The best hits for a query after `skip` better ones.
    pub fn search(&self, query: Query, within: Window, asker: AskerView) -> Reading {
        self.searches.fetch_add(1, Ordering::Relaxed);
        self.read(move |all, going| Ok(all.search(&query, within, (asker, rand::random()), going)).transpose())
    }

    /// Who offers an id or takes part in its transfer.
    pub fn locate(&self, id: ContentId, asker: AskerView) -> Reading {
        self.read(move |all, _| Some(Ok(all.locate(id, asker, rand::random()))))
    }

    /// The nodes after one.
    pub fn peers(&self, after: Option<NodeId>, asker: AskerView) -> Reading {
        self.read(move |all, _| Some(Ok(all.peers(after, asker))))
    }

    /// The offers of a node after a name; `NotFound` when the node is not known.
    pub fn files_of(&self, node: NodeId, after: Option<SafePath>) -> Reading {
        self.read(move |all, _| Some(all.files_of(node, after.as_ref()).ok_or(Code::NotFound)))
    }

    /// Where a node was reached; nowhere before its first dial-back has ended.
    #[expect(clippy::unused_async, reason = "another engine than this one has to look for it")]
    pub async fn addresses_of(&self, node: NodeId) -> Vec<SocketAddr> {
        self.snapshots.borrow().addresses_of(node)
    }

    /// Answers from what is the last snapshot when it is run.
    fn read<T: Serialize>(
        &self,
        read: impl Fn(&Snapshot, Going<'_>) -> Option<Result<T, Code>> + Send + Sync + 'static,
    ) -> Reading {
        let snapshots = self.snapshots.clone();
        Arc::new(move |going| {
            let snapshot = snapshots.borrow().clone();
            let encode = |page| encode(&Answer::Ok(page), limits::PAGE).map_err(|_| Code::Internal);
            Some(read(&snapshot, going)?.and_then(encode).map(Vec::into_boxed_slice))
        })
    }

    /// Begins an announcement.
    ///
    /// # Errors
    /// As [`Directory::announce`]; `Closing` when the directory has stopped.
    pub async fn announce(&self, who: Who, head: Announce) -> Result<(), Code> {
        ractor::call!(self.actor, Message::Announce, who, head).unwrap_or(Err(Code::Closing))
    }

    /// Takes a part of an announcement.
    ///
    /// # Errors
    /// As [`Directory::apply`]; `Closing` when the directory has stopped.
    pub async fn apply(&self, place: AnnouncementId, delta: Delta) -> Result<(), Code> {
        ractor::call!(self.actor, Message::Apply, place, delta).unwrap_or(Err(Code::Closing))
    }

    /// Ends an announcement.
    ///
    /// # Errors
    /// As [`Directory::complete`]; `Closing` when the directory has stopped.
    pub async fn complete(&self, place: AnnouncementId) -> Result<Tally, Code> {
        ractor::call!(self.actor, Message::Complete, place).unwrap_or(Err(Code::Closing))
    }

    /// Begins to follow a content.
    ///
    /// # Errors
    /// As [`Directory::follow`]; `Closing` when the directory has stopped.
    pub async fn follow(&self, part: Content, node: NodeId, asker: AskerView) -> Result<Subscription, Code> {
        ractor::call!(self.actor, Message::Follow, part, node, asker).unwrap_or(Err(Code::Closing))
    }

    /// Which of these addresses may be dialled back now: each is metered.
    pub async fn may_dial(&self, addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
        ractor::call!(self.actor, Message::MayDial, addrs).unwrap_or_default()
    }

    /// Sets where a node was reached. Whether the epoch has a lease.
    pub async fn publish(&self, node: NodeId, epoch: Epoch, addrs: Vec<SocketAddr>) -> bool {
        ractor::call!(self.actor, Message::Publish, node, epoch, addrs).unwrap_or(false)
    }

    /// Goes on with a lease.
    ///
    /// # Errors
    /// `Closing` when the directory has stopped.
    pub async fn renew(&self, node: NodeId, epoch: Epoch, seq: u64) -> Result<Renewed, Code> {
        ractor::call!(self.actor, Message::Renew, AnnouncementId { node, epoch, seq }).map_err(|_| Code::Closing)
    }

    /// Ends the leases and followings of all nodes that are not served any more.
    pub async fn dismiss(&self, access: Access) {
        // Stopped, it holds nothing.
        let _ = ractor::call!(self.actor, Message::Dismiss, access);
    }

    /// Ends the lease of an epoch. Whether there was one.
    pub async fn withdraw(&self, node: NodeId, epoch: Epoch) -> bool {
        ractor::call!(self.actor, Message::Withdraw, node, epoch).unwrap_or(false)
    }
}

/// What the actor owns; [`DirectoryRef`] is its handle.
#[derive(Debug)]
pub struct State {
    directory: Directory,
    started: Instant,
    snapshots: watch::Sender<Snapshot>,
    refusals: watch::Sender<Option<Refusals>>,
    followers: HashMap<FollowId, mpsc::Sender<FollowEvent>>,
    dials: Meter<IpAddr>,
}

impl Owner for State {
    type Message = Message;
    type Arguments = (Quotas, watch::Sender<Snapshot>, watch::Sender<Option<Refusals>>);

    fn begin(myself: &ActorRef<Message>, (quotas, snapshots, refusals): Self::Arguments) -> Handled<Self> {
        myself.send_interval(TICK, || Message::Expire);
        Ok(Self {
            directory: Directory::new(quotas, rand::random()),
            started: Instant::now(),
            snapshots,
            refusals,
            followers: HashMap::new(),
            dials: Meter::new(DIALS, DIAL_PACE, DIAL_TARGETS),
        })
    }

    fn handle(&mut self, message: Message, myself: &ActorRef<Message>) -> Handled {
        let now = self.started.elapsed();
        let directory = &mut self.directory;
        match message {
            Message::Announce(who, head, reply) => drop(reply.send(directory.announce(who, &head, now))),
            Message::Apply(id, delta, reply) => drop(reply.send(directory.apply(id, delta, now))),
            Message::Complete(id, reply) => {
                let completed = directory.complete(id, now);
                if let Some(names) = completed.as_ref().ok().map(|tally| tally.refused).filter(|names| *names > 0) {
                    self.refusals.send_replace(Some(Refusals { node: id.node, names }));
                }
                drop(reply.send(completed));
            }
            Message::Dismiss(access, reply) => {
                self.dismiss(&access);
                drop(reply.send(()));
            }
            Message::Expire => drop(directory.expire(now)),
            // Unsent, it is dropped, and so ends.
            Message::Follow(part, node, asker, reply) => drop(reply.send(self.follow(part, node, asker, myself))),
            Message::MayDial(mut addrs, reply) => {
                addrs.retain(|addr| self.dials.allow(addr.ip(), now));
                drop(reply.send(addrs));
            }
            Message::Publish(node, epoch, addrs, reply) => drop(reply.send(directory.publish(node, epoch, addrs))),
            Message::Renew(id, reply) => drop(reply.send(directory.renew(id, now))),
            Message::Unfollow(id) => self.unfollow(id),
            Message::Withdraw(node, epoch, reply) => drop(reply.send(directory.withdraw(node, epoch))),
        }
        self.tell();
        Ok(())
    }
}

impl State {
    fn follow(
        &mut self,
        part: Content,
        node: NodeId,
        asker: AskerView,
        myself: &ActorRef<Message>,
    ) -> Result<Subscription, Code> {
        let (id, first) = self.directory.follow(part, node, asker)?;
        let (sender, events) = mpsc::channel(EVENTS);
        self.followers.insert(id, sender);
        Ok(Subscription { first, events, _end: Farewell::of(myself.clone(), Message::Unfollow(id)) })
    }

    fn dismiss(&mut self, access: &Access) {
        for id in self.directory.dismiss(|node| access.serves(node)) {
            self.followers.remove(&id);
        }
    }

    fn unfollow(&mut self, id: FollowId) {
        self.followers.remove(&id);
        self.directory.unfollow(id);
    }

    /// Shows readers and followers what has changed.
    fn tell(&mut self) {
        for (id, event) in self.directory.take_events() {
            if self.followers.get(&id).is_some_and(|follower| follower.try_send(event).is_err()) {
                self.unfollow(id);
            }
        }
        let snapshot = self.directory.snapshot();
        self.snapshots.send_if_modified(|shown| {
            let changed = !shown.is_same(&snapshot);
            *shown = snapshot;
            changed
        });
    }
}
