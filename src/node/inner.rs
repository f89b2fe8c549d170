//! What a running node holds together, and whom people mean when they name a peer.

pub(crate) mod inbox;
pub(crate) mod orders;
pub(crate) mod puts;
pub(crate) mod shares;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

use super::Resolved;
use crate::actors::announcer::AnnouncerRef;
use crate::actors::connections::ConnectError;
use crate::actors::download::supervisor::DownloadsRef;
use crate::actors::index::IndexRef;
use crate::actors::limits::gauges::Gauges;
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::NeighboursRef;
use crate::actors::shelf::Shelf;
use crate::actors::uploads::UploadsRef;
use crate::io::clock::time_of_day;
use crate::io::home::friends::FriendFile;
use crate::io::home::lines::ListFile as _;
use crate::io::home::met::{Met, MetNode};
use crate::io::net::link::Link;
use crate::logic::look::FRIENDS;
use crate::model::address::NODE_PORT;
use crate::model::{Friends, NodeId, PeerTarget, Provider};
use crate::node::error::{ControlError, Error, Who};
use crate::node::host::Host;
use crate::node::inner::inbox::InboxHandle;
use crate::node::inner::orders::JobsRef;
use crate::node::inner::puts::left::Puts;
use crate::node::inner::shares::Shares;
use crate::node::look::ask::{Responder, count_offers};
use crate::node::look::find::Finder;
use crate::node::look::own::OwnOffers;
use crate::node::look::planes::Overlay;
use crate::node::types::{Near, Notice, Options, PeerRef, Places, RateChange, Rates, is_prefix};
use crate::wire::{Peer, Role};

/// So long at the end the inbox is written down.
const KEEPS: Duration = Duration::from_secs(1);
/// How often the friends that are there are remembered.
const SEEN: Duration = Duration::from_secs(5 * 60);

/// A running node, as one who asks it has it.
pub(crate) struct Inner {
    shared: Arc<Shared>,
    pub(crate) finder: Finder,
    /// Who is told what goes wrong for the one who asks; everybody who hears the node, where there is none.
    asker: Option<mpsc::Sender<Notice>>,
}

/// A running node.
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) near: Near,
    pub(crate) shelf: Shelf,
    pub(crate) index: IndexRef,
    pub(crate) uploads: UploadsRef,
    pub(crate) downloads: DownloadsRef,
    pub(crate) announcer: AnnouncerRef,
    pub(crate) neighbours: NeighboursRef,
    pub(crate) friends: watch::Receiver<Arc<Friends>>,
    pub(crate) rates: Throttles,
    /// What of it is bounded.
    pub(crate) gauges: Gauges,
    /// What it offers by request.
    pub(crate) shares: Shares,
    /// What it sends for commands that have left it.
    pub(crate) puts: Puts,
    /// What is offered to its person.
    pub(crate) inbox: InboxHandle,
    /// What it keeps for commands, where it lives long enough.
    pub(crate) jobs: OnceLock<JobsRef>,
}

/// The rates to which a running node is limited.
pub(crate) struct Throttles {
    pub(crate) up: Throttle,
    pub(crate) down: Throttle,
}

impl Throttles {
    /// Changes them, and says what they are then.
    pub(crate) fn change(&self, change: RateChange) -> Rates {
        change.up.into_iter().for_each(|up| self.up.set(up.rate()));
        change.down.into_iter().for_each(|down| self.down.set(down.rate()));
        Rates { up: self.up.own_rate(), down: self.down.own_rate() }
    }
}

impl Deref for Inner {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Deref for Shared {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Inner {
    pub(crate) fn new(shared: Shared, finder: Finder) -> Self {
        Self { shared: Arc::new(shared), finder, asker: None }
    }

    /// The same node, looking at these places for one who is told what goes wrong.
    pub(crate) async fn at(&self, places: &Places, asker: mpsc::Sender<Notice>) -> Self {
        let options = Options::new(self.home.clone())
            .trackers(places.trackers.clone())
            .peers(places.peers.clone())
            .near(places.near.clone())
            .max_files(places.max_files);
        // All neighbours are asked, or none: who wants fewer of them than there are asks those that it names.
        let fewer =
            (places.near.only_peers && !self.near.only_peers) || (places.near.lan.is_none() && self.near.lan.is_some());
        let ttl = places.near.ttl;
        let overlay = self.finder.overlay().filter(|_| !fewer).map(|all| Overlay { ttl, ..all.clone() });
        let own = self.endpoint.node_id();
        let provider = Provider { node: own, addrs: self.endpoint.candidates() };
        let itself = OwnOffers::new(self.shelf.clone(), provider);
        let friends = if overlay.is_some() { self.linked_friends().await } else { Vec::new() };
        let finder =
            Finder::new(self.connections.clone(), own, &options, overlay).with_own(itself).with_friends(friends);
        Self { shared: Arc::clone(&self.shared), finder, asker: Some(asker) }
    }

    /// The friends to which there is a connection. They tell a neighbour that asks for others nothing that is for friends alone,
    /// so for its owner the node asks them itself.
    async fn linked_friends(&self) -> Vec<Link> {
        let friends = Arc::clone(&self.friends.borrow());
        let mut links = Vec::new();
        for friend in friends.iter() {
            links.extend(self.connections.existing(friend.node).await);
        }
        links
    }

    /// Tells whoever asks; forgotten when nobody listens.
    pub(crate) fn warn(&self, notice: impl Into<Notice>) {
        match &self.asker {
            // Full or closed: a notice must not hold anything up.
            Some(asker) => drop(asker.try_send(notice.into())),
            None => self.host.warn(notice),
        }
    }

    /// Remembers nodes for people who name them by their first characters; with its address whomever there is a link to.
    pub(crate) async fn meet(&self, nodes: Vec<NodeId>) {
        let mut all = Vec::new();
        for node in BTreeSet::from_iter(nodes) {
            let link = self.connections.existing(node).await;
            let addr = link.map(|link| link.remote());
            all.push(MetNode { node, addr, seen: addr.map(|_| time_of_day()) });
        }
        let met = Met::at(self.home.root());
        if let Ok(Err(error)) = spawn_blocking(move || met.remember(all)).await {
            tracing::debug!(%error, "who was met cannot be remembered");
        }
    }

    /// When a node was seen last, from 1970 on, if this home knows it.
    pub(crate) async fn last_seen(&self, node: NodeId) -> Option<Duration> {
        let met = Met::at(self.home.root());
        spawn_blocking(move || met.of(node)?.seen).await.ok().flatten()
    }

    /// Remembers every now and then which friends are there, as long as the node runs.
    pub(crate) async fn see_friends(node: Weak<Self>) {
        let mut looks = interval(SEEN);
        while let (_, Some(inner)) = (looks.tick().await, node.upgrade()) {
            let friends = inner.linked_friends().await;
            inner.meet(friends.iter().map(Link::peer).collect()).await;
        }
    }

    /// Asks friends that tell everybody of no offer how many they have for this node; one that does not answer stays so.
    pub(crate) async fn ask_friends(&self, peers: Vec<&mut Peer>) {
        let friends = Arc::clone(&self.friends.borrow());
        let mut quiet: Vec<_> =
            peers.into_iter().filter(|peer| peer.offers == 0 && friends.contains(peer.node)).collect();
        let mut asking = JoinSet::new();
        for (number, peer) in quiet.iter().enumerate() {
            let (connections, node, addrs) = (self.connections.clone(), peer.node, peer.addrs.clone());
            asking.spawn(timeout(FRIENDS, async move {
                let link = connections.to_node(node, addrs).await.ok()?;
                Some((number, count_offers(&link, &Who::peer(link.remote())).await.ok()?))
            }));
        }
        for (number, offers) in asking.join_all().await.into_iter().filter_map(Result::ok).flatten() {
            quiet[number].offers = offers;
        }
    }

    /// Which node or address is meant. What may be a friend's name or the beginning of an id is the name.
    ///
    /// # Errors
    /// When it is nobody's name, or the beginning of no id or of several.
    pub(crate) fn resolve_peer(&self, peer: &PeerRef) -> Result<Resolved, Error> {
        // As they are written now: who was named a moment ago can be meant.
        let written = FriendFile::at(self.home.root()).read_what_is_right();
        let friends = written.map_or_else(|_| Arc::clone(&self.friends.borrow()), Arc::new);
        let at = |node: NodeId| friends.of(node).and_then(|friend| friend.at.clone());
        let node = |node: NodeId| Resolved::Node { node, at: at(node) };
        match peer {
            PeerRef::Id(id) => Ok(node(*id)),
            PeerRef::Name(name) => match (friends.named(name), is_prefix(name)) {
                (Some(friend), _) => Ok(node(friend.node)),
                (None, true) => met(self.home.root(), name).map(node),
                (None, false) => Err(Error::NoFriend { name: name.clone() }),
            },
            PeerRef::Target(target) => Ok(Resolved::Target(target.clone())),
        }
    }

    /// Looks at one peer only, wherever it is known to be.
    ///
    /// # Errors
    /// When nobody is called so, nobody knows where it is, or it cannot be reached there.
    pub(crate) async fn finder_at(&self, peer: &PeerRef) -> Result<Finder, Error> {
        let finder = &self.finder;
        let responder = match self.resolved(peer).await? {
            Resolved::Target(target) => Responder::of(target),
            Resolved::Node { node, at } => {
                let link = finder.reach(node, at).await;
                Responder::at(
                    link.map_err(|error| error.unwrap_or_else(|| Error::UnknownPeer { peer: peer.to_string() }))?,
                )
            }
        };
        Ok(finder.only(responder))
    }

    /// Which node or address is meant, where a host without its port is one, too.
    ///
    /// # Errors
    /// When it is nobody's name nor that of a host, the beginning of no id or of several, or no node answers there.
    pub(crate) async fn resolved(&self, peer: &PeerRef) -> Result<Resolved, Error> {
        let unknown = match self.resolve_peer(peer) {
            Err(error @ (Error::NoFriend { .. } | Error::UnknownPeer { .. })) => error,
            other => return other,
        };
        let PeerRef::Name(name) = peer else { return Err(unknown) };
        let Ok(target) = PeerTarget::parse(name, NODE_PORT) else { return Err(unknown) };
        match self.connections.to_role(&target, Role::Node).await {
            Ok(_) => Ok(Resolved::Target(target)),
            Err(ConnectError::Resolve(_)) => Err(unknown),
            Err(error) => Err(Error::connect(Who::peer(target.host_port()), self.endpoint.node_id(), error)),
        }
    }

    /// What it keeps for commands.
    ///
    /// # Errors
    /// When it lives for one command only.
    pub(crate) fn jobs(&self) -> Result<&JobsRef, Error> {
        self.jobs.get().ok_or(Error::Control(ControlError::Brief))
    }

    /// Ends cleanly: withdraws, remembers, closes, stops.
    pub(crate) async fn stop(&self) {
        if *self.stop_asked().borrow() {
            // Whoever follows a job hears that, and not that it was lost.
            self.leave_owners().await;
        }
        if let Some(jobs) = self.jobs.get() {
            jobs.stop().await;
            // It may not have begun.
            let _ = timeout(KEEPS, self.inbox.keep()).await;
        }
        // First: what is asked from now on would fail for that this node ends.
        self.leave_owners().await;
        tokio::join!(self.announcer.stop(), self.neighbours.remember());
        self.host.stop().await;
    }
}

/// The node that a home has met whose id begins so.
///
/// # Errors
/// When it is none, or several.
pub(crate) fn met(home: &Path, prefix: &str) -> Result<NodeId, Error> {
    match Met::at(home).with_prefix(prefix).as_slice() {
        [] => Err(Error::UnknownPeer { peer: prefix.to_owned() }),
        [one] => Ok(*one),
        many => Err(Error::AmbiguousPeer { prefix: prefix.to_owned(), count: many.len() }),
    }
}
