//! Keeps every configured tracker told of what this node shares: one session task for each.
//! Invariant: a tracker is told nothing before there is something to tell, unless the node is there to be known.
//! Not responsible for asking trackers: that goes over the same connections, without this actor.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use ractor::{ActorCell, ActorRef, RpcReplyPort, SpawnErr};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info_span};

use crate::actors::access::Access;
use crate::actors::connections::{ConnectError, ConnectionsRef};
use crate::actors::start::{Farewell, Handled, Owner, start};
use crate::io::net::endpoint::Endpoint;
use crate::io::net::frames::CallError;
use crate::io::net::link::Link;
use crate::logic::offers::table::OfferTable;
use crate::model::{Content, Epoch, PeerTarget};
use crate::wire::{Code, Role};

mod further;
mod news;
mod session;
#[cfg(test)]
mod tests;

use further::FurtherSessions;
pub use further::{Announcing, Further};
use session::Session;

/// Leads to a tracker.
pub type Connect =
    Arc<dyn Fn(PeerTarget) -> Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>> + Send + Sync>;

/// The real one: a connection of the node, to what must be a tracker.
pub fn connect_through(connections: ConnectionsRef) -> Connect {
    Arc::new(move |target| {
        let connections = connections.clone();
        Box::pin(async move {
            let link = connections.to_role(&target, Role::Tracker).await?;
            if link.dialled() {
                return Ok(link);
            }
            // A tracker dials only to see who answers. The rest of such a dial-back, by a tracker that has ended
            // since, may still look open.
            link.close(Code::Duplicate);
            connections.to_role(&target, Role::Tracker).await
        })
    })
}

/// What the announcer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A tracker has acknowledged an announcement.
    Announced(Acknowledged),
    /// Something that a person should know.
    Notice(AnnouncerNotice),
}

/// What a tracker has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// `HOST:PORT` of the tracker, as it was given.
    pub tracker: String,
    /// Offers of this node that it now holds.
    pub offers: u64,
    /// How many of this node's offers have an id.
    pub hashed: u64,
    /// Offers that it did not take, over its quota.
    pub refused: u64,
    /// Whether it could reach this node's UDP port.
    pub reachable: bool,
    /// At which addresses, as it said last.
    pub reached: Vec<SocketAddr>,
}

/// What a person should know of a tracker, which is named as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnnouncerNotice {
    /// It is used again, after it was told that it is not.
    Back {
        /// Which.
        tracker: String,
    },
    /// It let go of some of the names that it had taken, since others needed room. They are announced again.
    Cut {
        /// Which.
        tracker: String,
        /// How many it still holds.
        held: u64,
        /// Of how many.
        names: u64,
    },
    /// It took only so many names, its quota is used up.
    Full {
        /// Which.
        tracker: String,
        /// How many it took.
        taken: u64,
        /// Of how many.
        names: u64,
    },
    /// It does not take the announcement; that is tried again.
    NotTaken {
        /// Which.
        tracker: String,
        /// Why.
        error: CallError,
    },
    /// There is no link to it; that is tried again.
    Unlinked {
        /// Which.
        tracker: String,
        /// Why.
        error: ConnectError,
    },
    /// It cannot reach this node's UDP port.
    Unreached {
        /// Which.
        tracker: String,
        /// The port.
        port: u16,
    },
}

/// What the announcer needs.
#[derive(Clone)]
pub struct Dependencies {
    /// Whom to tell.
    pub trackers: Vec<PeerTarget>,
    /// How to reach them.
    pub connect: Connect,
    /// Whose addresses are announced.
    pub endpoint: Endpoint,
    /// Who may know of what.
    pub access: Access,
    /// What anybody may know of what is offered, as it changes.
    pub offers: watch::Receiver<Arc<OfferTable>>,
    /// Where events go. One that finds it full is dropped: a session never waits for its listener.
    pub events: mpsc::Sender<Event>,
}

impl Dependencies {
    /// Whether this tracker is told of everything.
    fn tells(&self, tracker: &PeerTarget) -> bool {
        self.trackers.iter().any(|known| known.host_port() == tracker.host_port())
    }
}

/// What the announcer is told; all of it by this process.
#[derive(Debug)]
pub enum Message {
    /// Further trackers are to be told of some offers; under a number.
    Further(u64, Further),
    /// Which further trackers there are.
    FurtherTrackers(RpcReplyPort<Vec<PeerTarget>>),
    /// The node takes part in a transfer.
    Join(Content),
    /// It does no longer.
    Leave(Content),
    /// What has this number is over.
    NoFurther(u64),
    /// End all leases; the reply comes when the trackers know.
    Stop(RpcReplyPort<()>),
}

/// A handle to the announcer.
#[derive(Debug, Clone)]
pub struct AnnouncerRef(ActorRef<Message>);

/// A transfer in which the node takes part until this is dropped.
pub type Participation = Farewell<Message>;

impl AnnouncerRef {
    /// Starts a session for each tracker under a supervisor.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn start(dependencies: Dependencies, supervisor: Option<ActorCell>) -> Result<Self, SpawnErr> {
        let (actor, _) = start::<Announcer>(dependencies, supervisor).await?;
        Ok(Self(actor))
    }

    /// Tells the trackers that the node takes part in a transfer, until what is returned is dropped.
    #[must_use]
    pub fn join(&self, part: Content) -> Participation {
        // A stopped announcer tells nobody, which is right.
        let _ = self.0.cast(Message::Join(part));
        Farewell::of(self.0.clone(), Message::Leave(part))
    }

    /// Tells further trackers of some offers, until what is returned is dropped.
    #[must_use]
    pub fn announce_at(&self, further: Further) -> Announcing {
        let number = rand::random();
        // A stopped announcer tells nobody, which is right.
        let _ = self.0.cast(Message::Further(number, further));
        Announcing { number, announcer: self.0.clone() }
    }

    /// The trackers that are told of some offers only.
    pub async fn further(&self) -> Vec<PeerTarget> {
        // A stopped announcer tells nobody.
        ractor::call!(self.0, Message::FurtherTrackers).unwrap_or_default()
    }

    /// Withdraws from all trackers; bounded by a second for those that do not answer.
    pub async fn stop(&self) {
        // Stopped already: nothing to withdraw.
        let _ = ractor::call!(self.0, Message::Stop);
        self.0.stop(None);
    }
}

/// What it owns; [`AnnouncerRef`] is its handle.
pub struct Announcer {
    needs: Dependencies,
    further: FurtherSessions,
    parts: watch::Sender<Arc<BTreeSet<Content>>>,
    /// How often each part was joined.
    joined: BTreeMap<Content, usize>,
    stop: watch::Sender<bool>,
    sessions: JoinSet<()>,
}

impl Owner for Announcer {
    type Message = Message;
    type Arguments = Dependencies;

    fn begin(_: &ActorRef<Message>, needs: Dependencies) -> Handled<Self> {
        let (parts, stop) = (watch::Sender::new(Arc::default()), watch::Sender::new(false));
        let epoch = Epoch(rand::random());
        let (mut sessions, further) = (JoinSet::new(), FurtherSessions::default());
        let whole = Dependencies { connect: further.noted(&needs.connect), ..needs.clone() };
        for target in &needs.trackers {
            let session = Session::new(&whole, target.clone(), epoch, parts.subscribe(), stop.subscribe());
            sessions.spawn(session.run().instrument(info_span!("tracker", at = %target.host_port())));
        }
        Ok(Self { needs, further, parts, joined: BTreeMap::new(), stop, sessions })
    }

    fn handle(&mut self, message: Message, _: &ActorRef<Message>) -> Handled {
        match message {
            Message::Further(number, further) => {
                self.further.add(number, further);
                self.further.arrange(&self.needs, &mut self.sessions);
            }
            // Whoever asked may be gone.
            Message::FurtherTrackers(reply) => drop(reply.send(self.further.trackers())),
            Message::Join(part) => self.join(part),
            Message::Leave(part) => self.leave(part),
            Message::NoFurther(number) => {
                self.further.remove(number);
                self.further.arrange(&self.needs, &mut self.sessions);
            }
            Message::Stop(reply) => self.stop(reply),
        }
        Ok(())
    }
}

impl Announcer {
    fn join(&mut self, part: Content) {
        let count = self.joined.entry(part).or_default();
        *count += 1;
        if *count == 1 {
            self.tell();
        }
    }

    fn leave(&mut self, part: Content) {
        let Some(count) = self.joined.get_mut(&part) else { return };
        *count -= 1;
        if *count == 0 {
            self.joined.remove(&part);
            self.tell();
        }
    }

    fn tell(&self) {
        let public = self.joined.keys().filter(|part| self.needs.access.is_public(Some(part.id), None));
        let parts: Arc<BTreeSet<Content>> = Arc::new(public.copied().collect());
        self.parts.send_if_modified(|told| std::mem::replace(told, parts.clone()) != parts);
    }

    fn stop(&mut self, reply: RpcReplyPort<()>) {
        self.stop.send_replace(true);
        self.further.stop();
        let sessions = std::mem::take(&mut self.sessions);
        tokio::spawn(async move {
            sessions.join_all().await;
            drop(reply.send(()));
        });
    }
}
