//! The links of a node: at most one in use per other node, whoever dialled, and dials that are shared.
//! Invariant: a request for a link is answered once, by a link or an error; every link, also one that will not
//! stay, is handed on to be served. Which node to trust at an address is [`ConnectionsRef::to_target`]'s.

mod error;
mod outgoing;
mod reference;
mod side;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorRef, RpcReplyPort, SpawnErr};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, debug_span};

pub use self::error::{ConnectError, ConnectKind};
use self::outgoing::Outgoing;
pub use self::reference::ConnectionsRef;
use self::table::Table;
use crate::actors::access::Access;
use crate::actors::start::{Handled, Owner, start};
use crate::io::home::trust::TrustStore;
use crate::io::net::dial::{Addresses, DialError, most_telling};
use crate::io::net::endpoint::Endpoint;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::{Link, Loss};
use crate::io::net::purpose::Purpose;
use crate::model::NodeId;
use crate::wire::{Code, PeerPage, Peers, Request, limits};

/// A dial that failed is not repeated for this long.
pub const BACK_OFF: Duration = Duration::from_secs(1);
/// Of two links between the same nodes one is chosen after this long, when both sides know both.
pub const SETTLE: Duration = Duration::from_secs(1);
/// The link that does not stay is closed when it has been idle for [`SETTLE`], at the latest after this many times.
const DRAIN: u32 = 10;
/// Remembered failures; the oldest mean nothing after [`BACK_OFF`] anyway.
const FAILURES: usize = 1024;

/// Where a tracker knows a node: the first of its list from just before the node's id on.
///
/// # Errors
/// When it does not answer.
pub async fn known_at(tracker: &Link, node: NodeId) -> Result<Option<Vec<SocketAddr>>, CallError> {
    let request = Request::Peers(Peers { after: node.before() });
    let (page, ..) = frames::call::<PeerPage>(tracker, &request, limits::PAGE).await?;
    let addrs = page.peers.into_iter().find(|peer| peer.node == node).map(|peer| peer.addrs);
    Ok(addrs.map(|addrs| addrs.into_iter().filter(|addr| tracker.teller().may_tell(*addr)).collect()))
}

/// What the actor needs.
#[derive(Debug)]
pub struct Dependencies {
    /// Through which it dials.
    pub endpoint: Endpoint,
    /// Which node was seen where.
    pub trust: TrustStore,
    /// Where every new link goes, to be served.
    pub links: mpsc::Sender<Link>,
}

/// What the actor is told.
#[derive(Debug)]
pub enum Message {
    /// A link from another node is up.
    Established(Link),
    /// A link to this node, or to whoever is at these addresses, is wanted.
    Wanted(Wanted),
    /// The link in use to a node is wanted, without dialling.
    Existing(NodeId, RpcReplyPort<Option<Link>>),
    /// Only the links to these nodes stay open.
    Keep(Access),
    /// The attempt at some addresses of a dial has ended; the number tells this dial of a target from later ones.
    Dialled(Target, u64, Result<Link, DialError>),
    /// A node may have two links: choose.
    Settle(NodeId),
    /// A link to a node is closed.
    Closed(NodeId),
}

/// Who is dialled; what dials are shared by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A known node, wherever.
    Node(NodeId),
    /// Whoever is at these addresses.
    Unknown(Vec<SocketAddr>),
}

/// A request for a link.
#[derive(Debug)]
pub struct Wanted {
    target: Target,
    addrs: Vec<SocketAddr>,
    /// The user gave them; what others told of is dialled only so often.
    given: bool,
    reply: RpcReplyPort<Result<Link, ConnectError>>,
}

/// The actor; [`ConnectionsRef`] is its handle.
#[derive(Debug)]
pub struct Connections {
    endpoint: Endpoint,
    links: mpsc::Sender<Link>,
    table: Table,
    dials: HashMap<Target, Dial>,
    /// The number of the last dial.
    dialled: u64,
    failures: HashMap<Target, Failure>,
    sides: side::Arrived,
    /// How often is dialled what others told of.
    outgoing: Arc<Outgoing>,
    tasks: JoinSet<()>,
}

/// A dial under way, and who waits for it.
#[derive(Debug)]
struct Dial {
    number: u64,
    waiting: Vec<Wanted>,
    /// All that are tried.
    addrs: Vec<SocketAddr>,
    /// Several when addresses were learned while the first attempt was under way.
    attempts: usize,
    /// Of the attempts that have failed.
    errors: Vec<DialError>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    tried: Vec<SocketAddr>,
    error: DialError,
}

impl Connections {
    /// Starts the actor.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn start(
        dependencies: Dependencies,
        supervisor: Option<ActorCell>,
    ) -> Result<(ConnectionsRef, JoinHandle<()>), SpawnErr> {
        let (endpoint, trust) = (dependencies.endpoint.clone(), dependencies.trust.clone());
        let (actor, ended) = start::<Self>(dependencies, supervisor).await?;
        Ok((ConnectionsRef::new(actor, endpoint, trust), ended))
    }
}

impl Owner for Connections {
    type Message = Message;
    type Arguments = Dependencies;

    fn begin(_: &ActorRef<Message>, arguments: Dependencies) -> Handled<Self> {
        Ok(Self {
            table: Table::new(arguments.endpoint.node_id()),
            endpoint: arguments.endpoint,
            links: arguments.links,
            dials: HashMap::new(),
            dialled: 0,
            failures: HashMap::new(),
            sides: side::Arrived::default(),
            outgoing: Arc::default(),
            tasks: JoinSet::new(),
        })
    }

    fn handle(&mut self, message: Message, myself: &ActorRef<Message>) -> Handled {
        while self.tasks.try_join_next().is_some() {}
        match message {
            Message::Closed(node) => self.table.prune(node),
            Message::Dialled(target, number, result) => self.dialled(myself, &target, number, result),
            Message::Established(link) if link.purpose() == Purpose::Side => self.side(link),
            Message::Established(link) => self.established(myself, link),
            Message::Existing(node, reply) => drop(reply.send(self.table.current(node).cloned())),
            Message::Keep(access) => self.keep(&access),
            Message::Settle(node) => self.settle(node),
            Message::Wanted(wanted) => self.wanted(myself, wanted),
        }
        Ok(())
    }
}

impl Connections {
    fn wanted(&mut self, myself: &ActorRef<Message>, wanted: Wanted) {
        if let Some(link) = self.found(&wanted.target) {
            return answer(wanted, Ok(link));
        }
        if wanted.target == Target::Node(self.endpoint.node_id()) {
            let error = DialError::OwnId(Addresses(wanted.addrs.clone()));
            return answer(wanted, Err(error.into()));
        }
        if self.dials.contains_key(&wanted.target) {
            return self.attempt(myself, wanted);
        }
        if let Some(failure) = self.failures.get(&wanted.target)
            && failure.at.elapsed() < BACK_OFF
            && covers(&failure.tried, &wanted.addrs)
            && !(wanted.given && matches!(failure.error, DialError::Often { .. }))
        {
            let error = failure.error.clone();
            return answer(wanted, Err(error.into()));
        }
        self.dialled += 1;
        let dial =
            Dial { number: self.dialled, waiting: Vec::new(), addrs: Vec::new(), attempts: 0, errors: Vec::new() };
        self.dials.insert(wanted.target.clone(), dial);
        self.attempt(myself, wanted);
    }

    /// A request joins the dial of its target, and the addresses that only it knows are tried at once: those that others
    /// knew may be where the node was.
    fn attempt(&mut self, myself: &ActorRef<Message>, wanted: Wanted) {
        let Some(dial) = self.dials.get_mut(&wanted.target) else { return };
        let (target, given) = (wanted.target.clone(), wanted.given);
        let mut addrs: Vec<SocketAddr> = Vec::new();
        for addr in &wanted.addrs {
            // What others told of may not have been dialled at all.
            if (given || !dial.addrs.contains(addr)) && !addrs.contains(addr) {
                addrs.push(*addr);
            }
        }
        dial.waiting.push(wanted);
        if addrs.is_empty() && dial.attempts > 0 {
            return;
        }
        dial.addrs.extend(&addrs);
        dial.attempts += 1;
        let (endpoint, myself, number) = (self.endpoint.clone(), myself.clone(), dial.number);
        let admit = self.outgoing.as_admit();
        let expect = if let Target::Node(node) = &target { Some(*node) } else { None };
        let span = debug_span!("dial", peer = expect.map(|node| node.short()), ?addrs);
        let dialling = async move {
            let result = match given {
                true => endpoint.dial(&addrs, expect).await,
                false => endpoint.dial_told(&addrs, expect, &admit).await,
            };
            match &result {
                Ok(link) => tracing::info!(peer = %link.peer().short(), at = %link.remote(), "connected"),
                // Nobody was dialled, or this node is ending: no news.
                Err(error) if addrs.is_empty() || error.is_of_the_end() => {}
                Err(error) => tracing::info!(?addrs, %error, "not connected"),
            }
            let _ = myself.cast(Message::Dialled(target, number, result));
        };
        self.tasks.spawn(dialling.instrument(span));
    }

    fn dialled(&mut self, myself: &ActorRef<Message>, target: &Target, number: u64, result: Result<Link, DialError>) {
        let goes_on = self.dials.get(target).is_some_and(|dial| dial.number == number);
        match result {
            Ok(link) => {
                self.insert(myself, link.clone());
                if goes_on {
                    self.succeeded(target, link);
                }
            }
            Err(error) if goes_on => self.failed(target, error),
            // Another attempt had an end of the dial already.
            Err(_) => {}
        }
    }

    fn succeeded(&mut self, target: &Target, link: Link) {
        let Some(dial) = self.dials.remove(target) else { return };
        let used = self.table.current(link.peer()).cloned().unwrap_or(link);
        dial.waiting.into_iter().for_each(|wanted| answer(wanted, Ok(used.clone())));
    }

    /// An attempt has failed; with the last one, so has the dial.
    fn failed(&mut self, target: &Target, error: DialError) {
        let Some(dial) = self.dials.get_mut(target) else { return };
        dial.errors.push(error);
        if dial.errors.len() < dial.attempts {
            return;
        }
        let Some(dial) = self.dials.remove(target) else { return };
        if let Some(link) = self.found(target) {
            return dial.waiting.into_iter().for_each(|wanted| answer(wanted, Ok(link.clone())));
        }
        let error = most_telling(dial.errors, dial.addrs.clone());
        dial.waiting.into_iter().for_each(|wanted| answer(wanted, Err(error.clone().into())));
        self.failures.retain(|_, failure| failure.at.elapsed() < BACK_OFF);
        if self.failures.len() < FAILURES {
            self.failures.insert(target.clone(), Failure { at: Instant::now(), tried: dial.addrs, error });
        }
    }

    fn established(&mut self, myself: &ActorRef<Message>, link: Link) {
        let dial = self.dials.get_mut(&Target::Node(link.peer()));
        let waiting = dial.map(|dial| std::mem::take(&mut dial.waiting)).unwrap_or_default();
        waiting.into_iter().for_each(|wanted| answer(wanted, Ok(link.clone())));
        self.insert(myself, link);
    }

    /// A side connection is served, and nothing else.
    fn side(&mut self, link: Link) {
        if !self.sides.admit(&link) {
            return link.close(Code::Busy);
        }
        let links = self.links.clone();
        self.tasks.spawn(async move { drop(links.send(link).await) });
    }

    /// Takes a link in, hands it on, and watches for its end.
    fn insert(&mut self, myself: &ActorRef<Message>, link: Link) {
        let node = link.peer();
        if self.table.insert(link.clone()) {
            let myself = myself.clone();
            self.tasks.spawn(async move {
                sleep(SETTLE).await;
                let _ = myself.cast(Message::Settle(node));
            });
        }
        let (links, myself) = (self.links.clone(), myself.clone());
        self.tasks.spawn(async move {
            let _ = links.send(link.clone()).await;
            let cause = link.closed().await;
            match Loss::from(cause) {
                // What was to be so is no news.
                Loss::Here => {}
                cause @ Loss::Closed(Code::Duplicate | Code::Probe) => {
                    tracing::debug!(peer = %node.short(), %cause, "a connection has ended");
                }
                cause => tracing::info!(peer = %node.short(), %cause, "a connection has ended"),
            }
            let _ = myself.cast(Message::Closed(node));
        });
    }

    fn keep(&self, access: &Access) {
        self.table.open().filter(|link| !access.serves(link.peer())).for_each(|link| link.close(Code::Forbidden));
    }

    fn settle(&mut self, node: NodeId) {
        let Some((stays, go)) = self.table.settle(node) else { return };
        for goes in go {
            self.tasks.spawn(drain(stays.clone(), goes));
        }
    }

    fn found(&self, target: &Target) -> Option<Link> {
        match target {
            Target::Node(node) => self.table.current(*node).cloned(),
            Target::Unknown(addrs) => self.table.dialled_to(addrs).cloned(),
        }
    }
}

/// Closes a link that another one replaces once nothing moves on its streams, or soon at the latest; not if the
/// other one breaks meanwhile.
async fn drain(stays: Link, goes: Link) {
    let moved = |link: &Link| {
        let stats = link.connection().stats();
        (stats.frame_rx.stream, stats.frame_tx.stream)
    };
    for _ in 0..DRAIN {
        let before = moved(&goes);
        sleep(SETTLE).await;
        if stays.is_closed() || goes.is_closed() {
            return;
        }
        if moved(&goes) == before {
            break;
        }
    }
    goes.close(Code::Duplicate);
}

fn covers(tried: &[SocketAddr], addrs: &[SocketAddr]) -> bool {
    addrs.iter().all(|addr| tried.contains(addr))
}

/// The one who asked may have given up; then nobody misses the answer.
fn answer(wanted: Wanted, result: Result<Link, ConnectError>) {
    drop(wanted.reply.send(result));
}
