//! The neighbours of a node, and what is searched over them: the shell around `logic::neighbours` and `logic::flood`.
//! Invariant: every frame of a neighbour has been waited for by the task that read it; every answer goes to who asked, or
//! nowhere. Not responsible for which planes a search asks: that is the node's finder's.

mod lan;
mod reach;
mod reference;
mod state;
mod talk;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorRef, RpcReplyPort, SpawnErr};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::interval;

pub use self::reach::JoinError;
pub use self::reference::{Keeping, NeighboursRef};
pub use self::state::{Answer, State};
use self::talk::Ticket;
pub use self::talk::room;
pub(crate) use self::talk::talk;
use crate::actors::connections::ConnectionsRef;
use crate::actors::limits::pool::Pool;
use crate::actors::shelf::Shelf;
use crate::actors::start::{Handled, Owner, start};
use crate::io::home::remembered::RememberedFile;
use crate::io::net::endpoint::Endpoint;
use crate::io::net::lan::LanError;
use crate::io::net::link::Link;
use crate::logic::flood::{Counts, Input};
use crate::logic::neighbours::{Direction, Settings, Source};
use crate::model::{FriendName, Friends, Hit, NodeId, PeerTarget, QueryId};
use crate::wire::{About, Code, Heard, NeighbourFrame, Sought};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(500);

/// What the actor needs.
pub struct Dependencies {
    /// Whose addresses are told.
    pub endpoint: Endpoint,
    /// Through which it dials.
    pub connections: ConnectionsRef,
    /// From which queries are answered.
    pub shelf: Shelf,
    /// Room for what waits for neighbours ([`room`]).
    pub room: Pool,
    /// Nodes that the user named.
    pub given: Vec<PeerTarget>,
    /// Nodes that the user knows, as they change.
    pub friends: watch::Receiver<Arc<Friends>>,
    /// Who may know where friends are.
    pub trackers: Vec<PeerTarget>,
    /// How neighbours are chosen.
    pub settings: Settings,
    /// The program that listens to the LAN, if it is listened to.
    pub lan: Option<PathBuf>,
    /// Begin at once; else when something is looked for.
    pub eager: bool,
    /// This is a command that ends soon: it asks, and is not asked.
    pub visiting: bool,
    /// Where neighbours are remembered; a guest reads it and does not write.
    pub remembered: RememberedFile,
    /// Whether it is written.
    pub writes: bool,
    /// Sentences for the user; left out when nobody listens.
    pub warnings: mpsc::Sender<NeighbourNotice>,
}

/// What a person should know of neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NeighbourNotice {
    /// The local network is not listened to.
    Lan(LanError),
    /// A node that was given is not a neighbour; that is tried again.
    NotANeighbour {
        /// As it was given.
        target: PeerTarget,
        /// Why.
        error: JoinError,
    },
    /// Another node answers where the user says that a friend is.
    NotTheFriend {
        /// Where.
        addr: SocketAddr,
        /// Who answers.
        found: NodeId,
        /// The friend.
        name: FriendName,
    },
}

/// A node that wants to be, or was asked to be, a neighbour.
#[derive(Debug)]
pub struct Newcomer {
    link: Link,
    direction: Direction,
    about: About,
}

/// A neighbour, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which node.
    pub node: NodeId,
    /// Its end of the connection.
    pub addr: SocketAddr,
    /// Who began it.
    pub direction: Direction,
    /// For how long.
    pub since: Duration,
    /// How many offers it says to have.
    pub offers: u64,
    /// The current estimate of the round trip.
    pub rtt: Duration,
}

/// What the actor is told.
#[derive(Debug)]
pub enum Message {
    /// What this node says of itself is wanted.
    About(RpcReplyPort<About>),
    /// The neighbours are wanted.
    All(RpcReplyPort<Vec<Row>>),
    /// The own answer to a query.
    Answered(QueryId, Vec<Hit>),
    /// The own answer to a query, for one neighbour alone.
    AnsweredAside(QueryId, NodeId, Vec<Hit>),
    /// How many queries have gone through is wanted.
    Counts(RpcReplyPort<Counts>),
    /// The stream of a neighbour is over.
    Ended {
        /// Whose.
        node: NodeId,
        /// Which.
        serial: u64,
        /// Another connection to the same node took its place.
        duplicate: bool,
    },
    /// A chosen node is not a neighbour now; perhaps because another one answered there.
    Failed(NodeId, Option<(SocketAddr, NodeId)>),
    /// The user says that a friend is there.
    FriendAt(NodeId, Vec<SocketAddr>),
    /// Who the friends are.
    Friends(BTreeSet<NodeId>),
    /// Friends have been looked for.
    FriendsSought,
    /// A neighbour's frame; the reply lets its reader go on.
    Frame(NodeId, u64, Heard<NeighbourFrame>, RpcReplyPort<()>),
    /// A given node is a neighbour, or why it is not.
    Given(PeerTarget, Option<JoinError>),
    /// A node may be there.
    Heard(NodeId, Vec<SocketAddr>, Source),
    /// A node wants to be, or accepted to be, a neighbour.
    Join(Newcomer, RpcReplyPort<Result<Ticket, Code>>),
    /// A node is about to be asked to be a neighbour, or its answer is there.
    Joining(NodeId, bool),
    /// These are kept as neighbours, too, until the sender is dropped.
    Keep(Vec<PeerTarget>, oneshot::Receiver<()>),
    /// What is worth remembering is to be written now.
    Remember(RpcReplyPort<()>),
    /// Where a neighbour answers.
    Reached(NodeId, Vec<SocketAddr>),
    /// Something is looked for here.
    Search {
        /// What.
        what: Sought,
        /// The TTLs, one after the other while nothing comes.
        waves: Vec<u8>,
        /// Where to.
        answers: mpsc::Sender<Answer>,
    },
    /// What is under way here has changed.
    ShelfChanged,
    /// Time has passed.
    Tick,
    /// A reply is wanted when no more neighbours are about to come.
    WhenSettled(RpcReplyPort<()>),
    /// Where a node may be is wanted, until no more is expected to be heard of it.
    Whereabouts(NodeId, mpsc::Sender<Vec<SocketAddr>>),
}

impl NeighboursRef {
    /// Starts the actor.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn start(dependencies: Dependencies, supervisor: Option<ActorCell>) -> Result<Self, SpawnErr> {
        Ok(Self(start::<State>(dependencies, supervisor).await?.0))
    }
}

impl Owner for State {
    type Message = Message;
    type Arguments = Dependencies;

    fn begin(me: &ActorRef<Message>, of: Dependencies) -> Handled<Self> {
        let mut state = Self::new(of, me);
        let me = me.clone();
        state.tasks.spawn(async move {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                if me.cast(Message::Tick).is_err() {
                    return;
                }
            }
        });
        Ok(state)
    }

    fn handle(&mut self, message: Message, _: &ActorRef<Message>) -> Handled {
        while self.tasks.try_join_next().is_some() {}
        match message {
            Message::About(reply) => drop(reply.send(self.about())),
            Message::All(reply) => drop(reply.send(self.rows())),
            Message::Answered(id, hits) => self.flood(Input::Answered { id, hits, nodes: Vec::new() }),
            Message::AnsweredAside(id, from, hits) => self.flood(Input::Aside { id, from, hits }),
            Message::Counts(reply) => drop(reply.send(self.flood.counts())),
            Message::Ended { node, serial, duplicate } => self.ended(node, serial, duplicate),
            Message::Failed(node, met) => self.failed(node, met),
            Message::FriendAt(node, addrs) => self.friend_at(node, addrs),
            Message::Friends(nodes) => self.befriend(nodes),
            Message::FriendsSought => self.friends_sought(),
            Message::Frame(node, serial, frame, reply) => {
                self.frame(node, serial, frame);
                drop(reply.send(()));
            }
            Message::Given(target, failed) => self.given(&target, failed),
            Message::Heard(node, addrs, source) => self.heard(node, &addrs, source),
            Message::Join(newcomer, reply) => drop(reply.send(self.join(newcomer))),
            Message::Joining(node, begins) => self.joining(node, begins),
            Message::Keep(targets, dropped) => self.keep(targets, dropped),
            Message::Reached(node, addrs) => self.flood(Input::Reached(node, addrs)),
            Message::Remember(reply) => self.remember(Some(reply)),
            Message::Search { what, waves, answers } => self.search(what, waves, answers),
            Message::ShelfChanged => self.tell(),
            Message::Tick => self.tick(),
            Message::WhenSettled(reply) => {
                self.begin();
                self.waiting.push(reply);
            }
            Message::Whereabouts(node, tell) => self.whereabouts(node, tell),
        }
        self.settle();
        self.wake();
        Ok(())
    }
}
