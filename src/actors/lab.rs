//! Hosts for the tests of actors: an endpoint and its connections on loopback, several in one process, all of it the real
//! thing. What answers on them, and from what, is each test's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::actors::connections::{Connections, ConnectionsRef, Dependencies};
use crate::actors::index::IndexRef;
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::reads::Reads;
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::{self, NeighboursRef};
use crate::actors::serve::inbox::InboxRef;
use crate::actors::serve::node::{NodeAnswers, resolves};
use crate::actors::serve::{Answers, Pages, Places, serve_links};
use crate::actors::shelf::Shelf;
use crate::actors::uploads::UploadsRef;
use crate::io::home::identity::{Identity, LongTermKeys};
use crate::io::home::remembered::RememberedFile;
use crate::io::home::trust::TrustStore;
use crate::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use crate::io::net::link::Link;
use crate::logic::limits::slots::Capacity;
use crate::logic::neighbours::Settings;
use crate::model::{NodeId, PeerTarget};
use crate::wire::Role;

/// A host; it ends when it is dropped.
pub(super) struct Host {
    pub(super) endpoint: Endpoint,
    pub(super) connections: ConnectionsRef,
    pub(super) trust: TrustStore,
    /// Links that are to be served.
    pub(super) links: mpsc::Receiver<Link>,
    /// All that others dialled.
    pub(super) arrived: Arc<Mutex<Vec<Link>>>,
    pub(super) home: TempDir,
    /// Of the connections.
    pub(super) actor: JoinHandle<()>,
    pub(super) tasks: JoinSet<()>,
}

impl Host {
    /// A node that nobody knows yet.
    pub(super) async fn node() -> Self {
        Self::start(Role::Node, identity(), 0).await
    }

    /// A host at a port; 0 for any.
    pub(super) async fn start(role: Role, identity: Arc<Identity>, port: u16) -> Self {
        let home = tempfile::tempdir().expect("tempdir");
        let listen = Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let keys = LongTermKeys::ephemeral().expect("keys");
        let endpoint = Endpoint::bind(identity, keys, EndpointOptions { listen, role }).expect("bound");
        let (trust, (sender, links)) = (TrustStore::at(home.path()), mpsc::channel(64));
        let needs = Dependencies { endpoint: endpoint.clone(), trust: trust.clone(), links: sender };
        let (connections, actor) = Connections::start(needs, None).await.expect("started");
        let (arrived, mut tasks) = (Arc::default(), JoinSet::new());
        tasks.spawn(accept(endpoint.clone(), connections.clone(), Arc::clone(&arrived)));
        Self { endpoint, connections, trust, links, arrived, home, actor, tasks }
    }

    /// Answers whoever has a link from now on.
    pub(super) fn serve(&mut self, answers: impl Answers) {
        let links = std::mem::replace(&mut self.links, mpsc::channel(1).1);
        self.tasks.spawn(serve_links(links, Arc::new(answers), Places::default()));
    }

    /// Neighbours of this host: those that are given, and who dials.
    pub(super) async fn neighbours(&self, shelf: Shelf, visiting: bool, given: Vec<PeerTarget>) -> NeighboursRef {
        let dependencies = neighbours::Dependencies {
            friends: watch::channel(Arc::default()).1,
            trackers: Vec::new(),
            endpoint: self.endpoint.clone(),
            connections: self.connections.clone(),
            shelf,
            given,
            settings: Settings::default(),
            lan: None,
            eager: false,
            visiting,
            remembered: RememberedFile::at(self.home.path()),
            writes: false,
            room: neighbours::room(),
            warnings: mpsc::channel(1).0,
        };
        NeighboursRef::start(dependencies, None).await.expect("started")
    }

    /// What a node answers from this shelf.
    pub(super) async fn answers(&self, shelf: Shelf, index: IndexRef, throttle: Throttle) -> NodeAnswers {
        NodeAnswers {
            own: self.id(),
            neighbours: self.neighbours(shelf.clone(), true, Vec::new()).await,
            uploads: UploadsRef::start(Capacity::default(), shelf.clone(), None).await.expect("spawned").0,
            shelf,
            index,
            throttle,
            buffers: BufferPool::new(96, 256 << 10),
            reads: Reads::default(),
            pages: Pages::default(),
            resolves: resolves(),
            inbox: InboxRef::new().0,
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.endpoint.node_id()
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    pub(super) fn target(&self, id: Option<NodeId>) -> PeerTarget {
        PeerTarget { id, host: "127.0.0.1".into(), port: self.endpoint.port() }
    }
}

async fn accept(endpoint: Endpoint, connections: ConnectionsRef, arrived: Arc<Mutex<Vec<Link>>>) {
    while let Some(arrival) = endpoint.accept().await {
        let (connections, arrived, role) = (connections.clone(), Arc::clone(&arrived), endpoint.role());
        tokio::spawn(async move {
            if let Ok(link) = arrival.establish(role, |_| Ok(())).await {
                arrived.lock().expect("no panic").push(link.clone());
                connections.established(link);
            }
        });
    }
}

/// One that nobody has.
pub(super) fn identity() -> Arc<Identity> {
    Arc::new(Identity::ephemeral().expect("identity"))
}
