//! Starts a node: identity, endpoint, actors, and the tasks that accept, serve and pass events on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::actors::access::Circle;
use crate::actors::announcer::{self, AnnouncerRef};
use crate::actors::bench::BenchAnswers;
use crate::actors::connections::{Connections, ConnectionsRef, Dependencies};
use crate::actors::directory::{DirectoryRef, Refusals};
use crate::actors::download::supervisor::{Downloads, DownloadsRef};
use crate::actors::index::{Index, IndexArgs, IndexEvent, IndexRef};
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::reads::Reads;
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::{self, Neighbours, NeighboursRef};
use crate::actors::node::{Ended, Node as Supervisor};
use crate::actors::serve::dial_back::probe_through;
use crate::actors::serve::node::{self, NodeAnswers};
use crate::actors::serve::tracker::TrackerAnswers;
use crate::actors::serve::upload;
use crate::actors::serve::{Pages, serve_links};
use crate::actors::shelf::Shelf;
use crate::actors::uploads::{Uploads, UploadsRef};
use crate::io::home::friends::FriendFile;
use crate::io::home::identity::{Identity, IdentityError, LongTermKeys};
use crate::io::home::lines::LinesError;
use crate::io::home::remembered::RememberedFile;
use crate::io::home::trust::TrustStore;
use crate::io::home::{HomeError, HomeLock};
use crate::io::net::endpoint::{Endpoint, EndpointOptions};
use crate::io::net::link::Link;
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::watch::Pace;
use crate::logic::limits::slots::Capacity;
use crate::logic::neighbours::Settings;
use crate::model::{Friends, OfferBook};
use crate::node::allowed::Allowed;
use crate::node::arrivals;
use crate::node::error::Error;
use crate::node::following::{Begun, Following};
use crate::node::inner::{Inner, Parts};
use crate::node::look::find::Finder;
use crate::node::look::near;
use crate::node::look::planes::Overlay;
use crate::node::types::{Event, Guest, Lifetime, Options};
use crate::wire::{Code, Role};

/// Events that wait for whoever shows them; samples that find no room are left out.
const EVENTS: usize = 256;
/// After the directory was said to be full, that is not said again for this long.
const FULL_AGAIN: Duration = Duration::from_secs(300);
/// Links that wait to be served.
const LINKS: usize = 64;
/// The hash cache within the node's directory.
pub(crate) const CACHE_FILE: &str = "cache.redb";

/// Starts everything that the role needs.
pub(crate) async fn start(options: Options) -> Result<(Inner, mpsc::Receiver<Event>), Error> {
    let allowed = Allowed::read(options.allow.as_deref()).await?;
    let Person { identity, keys, lock, guest } = person(&options)?;
    let renewed = keys.renewed();
    let endpoint =
        Endpoint::bind(Arc::new(identity), keys, EndpointOptions { listen: options.listen, role: options.role })?;
    let (events, received) = mpsc::channel(EVENTS);
    endpoint.warnings().into_iter().for_each(|sentence| drop(events.try_send(Event::Warning(sentence))));
    let ended: Ended = watch::Sender::new(None);
    let (supervisor, _) = Actor::spawn(None, Supervisor, ended.clone()).await.map_err(spawn_error)?;
    let (links, to_serve) = mpsc::channel(LINKS);
    renewed.into_iter().for_each(|sentence| drop(events.try_send(Event::Warning(sentence))));
    let trust = TrustStore::at(options.home.root());
    trust.broken().into_iter().for_each(|broken| drop(events.try_send(Event::Warning(broken.to_string()))));
    let trust = if let Some(Guest::Homeless(_)) = guest { trust.lost() } else { trust };
    let dependencies = Dependencies { endpoint: endpoint.clone(), trust, links };
    let started = Connections::start(dependencies, Some(supervisor.get_cell())).await;
    let connections = started.map_err(spawn_error)?.0;
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(endpoint.clone(), connections.clone(), options.role, allowed.circle()));
    let ground = Ground {
        options: &options,
        endpoint: &endpoint,
        connections: &connections,
        events: &events,
        supervisor: &supervisor,
        guest: guest.as_ref(),
    };
    let parts = match options.role {
        Role::Bench => {
            tasks.spawn(serve_links(to_serve, Arc::new(BenchAnswers::default())));
            None
        }
        Role::Node => Some(ground.node(to_serve, &mut tasks).await?),
        Role::Tracker => {
            ground.tracker(to_serve, allowed, &mut tasks).await?;
            None
        }
    };
    let inner = Inner {
        guest,
        lifetime: options.lifetime,
        home: options.home,
        endpoint,
        connections,
        ended,
        events,
        parts,
        supervisor,
        tasks: Mutex::new(tasks),
        lock: Mutex::new(lock),
    };
    Ok((inner, received))
}

/// Who the process is.
struct Person {
    identity: Identity,
    keys: LongTermKeys,
    lock: Option<HomeLock>,
    guest: Option<Guest>,
}

/// The home's identity under its lock; a finite command beside another process, or without a home that can be used, is
/// a guest with a key in memory.
fn person(options: &Options) -> Result<Person, Error> {
    let guest = match resident(options) {
        Err(error) if options.lifetime != Lifetime::LongRunning => guest(error)?,
        resident => return resident,
    };
    let (identity, keys) = (Identity::ephemeral()?, LongTermKeys::ephemeral()?);
    Ok(Person { identity, keys, lock: None, guest: Some(guest) })
}

fn resident(options: &Options) -> Result<Person, Error> {
    let lock = Some(options.home.lock(options.role)?);
    let dir = options.home.role_dir(options.role);
    let (identity, keys) = (Identity::load_or_create(&dir)?, LongTermKeys::load_or_create(&dir)?);
    Ok(Person { identity, keys, lock, guest: None })
}

/// A key that is there and cannot be understood is an error of its own: it is somebody's identity.
fn guest(error: Error) -> Result<Guest, Error> {
    match error {
        Error::Home(HomeError::Locked { .. }) => Ok(Guest::Beside),
        Error::Home(HomeError::Absent | HomeError::Io { .. }) | Error::Identity(IdentityError::Io { .. }) => {
            Ok(Guest::Homeless(Box::new(error)))
        }
        error => Err(error),
    }
}

/// Takes in every node that dials, if it is allowed.
async fn accept(endpoint: Endpoint, connections: ConnectionsRef, role: Role, circle: Circle) {
    let mut arrivals = JoinSet::new();
    loop {
        tokio::select! {
            arrival = endpoint.accept() => {
                let Some(arrival) = arrival else { return };
                let (connections, circle) = (connections.clone(), circle.clone());
                arrivals.spawn(async move {
                    let remote = arrival.remote();
                    let allowed = |node| if circle.serves(node) { Ok(()) } else { Err(Code::Forbidden) };
                    match arrival.establish_if(role, allowed).await {
                        Ok(link) => connections.established(link),
                        Err(error) => tracing::debug!(%remote, %error, "an arrival was not taken in"),
                    }
                });
            }
            Some(_) = arrivals.join_next() => {}
        }
    }
}

/// What the roles are built on.
struct Ground<'a> {
    options: &'a Options,
    endpoint: &'a Endpoint,
    connections: &'a ConnectionsRef,
    events: &'a mpsc::Sender<Event>,
    supervisor: &'a ActorRef<()>,
    guest: Option<&'a Guest>,
}

impl Ground<'_> {
    async fn node(&self, links: mpsc::Receiver<Link>, tasks: &mut JoinSet<()>) -> Result<Parts, Error> {
        let offers = watch::Sender::new(Arc::<OfferBook>::default());
        let snapshot = watch::Sender::new(Arc::default());
        let shelf = Shelf::new(snapshot.subscribe());
        let book = offers.subscribe();
        let (index_events, from_index) = mpsc::channel(EVENTS);
        let cache = self.cache().await;
        let handover = cache.as_ref().map(|_| Handover::at(&self.options.home.role_dir(Role::Node)));
        let index_args = IndexArgs {
            plan: None,
            cache: cache.clone(),
            handover: handover.clone(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            pace: Pace::default(),
            events: index_events,
            offers,
            snapshot,
        };
        let index = IndexRef(self.spawn(Index, index_args).await?);
        tasks.spawn(arrivals::take(handover.zip(cache), index.clone()));
        let uploads = UploadsRef(self.spawn(Uploads, Capacity::default()).await?);
        let (announcer, from_announcer) = self.announcer(book).await?;
        let downloads: DownloadsRef =
            Downloads::start(self.connections.clone(), shelf.clone(), Some(self.cell())).await.map_err(spawn_error)?;
        let friends = self.friends(tasks).await?;
        let neighbours = self.neighbours(&shelf, friends.clone(), tasks).await?;
        let slots = Capacity::default().most();
        let answers = NodeAnswers {
            own: self.endpoint.node_id(),
            circle: Circle::new(friends.clone(), self.options.friends_only),
            neighbours: neighbours.clone(),
            shelf: shelf.clone(),
            index: index.clone(),
            uploads,
            throttle: Throttle::new(self.options.upload_limit),
            // Each upload holds one buffer on its way out and one that is being filled; as many as uploads are lent to QUIC.
            // One peer's windows hold 16 of them: what two need is kept.
            buffers: BufferPool::new(3 * slots, upload::BUFFER).keeping(slots / 2),
            reads: Reads::default(),
            pages: Pages::default(),
            resolves: node::resolves(),
        };
        tasks.spawn(serve_links(links, Arc::new(answers)));
        tasks.spawn(pass_on(from_index, from_announcer, self.events.clone(), self.endpoint.clone()));
        let overlay = Overlay { neighbours: neighbours.clone(), ttl: self.options.near.ttl };
        let overlay = Some(overlay).filter(|_| self.has_near(&friends.borrow()));
        let finder = Finder::new(self.connections.clone(), self.endpoint.node_id(), self.options, overlay);
        if self.options.lifetime != Lifetime::Finite && !self.options.near.only_peers {
            tasks.spawn(near::meet(finder.clone(), neighbours.clone()));
        }
        Ok(Parts { index, downloads, announcer, neighbours, finder, friends })
    }

    /// The announcer of what is offered, and what it tells.
    async fn announcer(
        &self,
        book: watch::Receiver<Arc<OfferBook>>,
    ) -> Result<(AnnouncerRef, mpsc::Receiver<announcer::Event>), Error> {
        let (events, from_announcer) = mpsc::channel(EVENTS);
        let friends_only = self.options.friends_only;
        // What only friends may know is announced to nobody; the node itself is, so that they find it.
        let book = if friends_only { watch::Sender::new(Arc::default()).subscribe() } else { book };
        let dependencies = announcer::Dependencies {
            trackers: self.options.trackers.clone(),
            connect: announcer::connect_through(self.connections.clone()),
            endpoint: self.endpoint.clone(),
            book,
            always: friends_only,
            events,
        };
        let announcer = AnnouncerRef::start(dependencies, Some(self.cell())).await.map_err(spawn_error)?;
        Ok((announcer, from_announcer))
    }

    /// Whether there is any way to neighbours.
    fn has_near(&self, friends: &Friends) -> bool {
        let known = || !friends.is_empty() || self.remembered().read().iter().any(|line| !line.lan);
        let near = &self.options.near;
        // Whoever lasts may be dialled.
        self.options.lifetime == Lifetime::LongRunning
            || near.lan.is_some()
            || !self.options.peers.is_empty()
            || (!near.only_peers && known())
    }

    fn remembered(&self) -> RememberedFile {
        RememberedFile::at(&self.options.home.role_dir(Role::Node))
    }

    /// The friends of the home; of a node that lasts, as they change. A home that cannot be used has none.
    async fn friends(&self, tasks: &mut JoinSet<()>) -> Result<watch::Receiver<Arc<Friends>>, Error> {
        match Following::begin(FriendFile::at(self.options.home.root())).await {
            Ok(Begun { following, list, broken }) => {
                let broken = broken.map(|broken| broken.to_string());
                broken.into_iter().for_each(|sentence| drop(self.events.try_send(Event::Warning(sentence))));
                if self.options.lifetime != Lifetime::Finite {
                    tasks.spawn(following.go_on(self.events.clone()));
                }
                Ok(list)
            }
            Err(LinesError::Io { .. }) if matches!(self.guest, Some(Guest::Homeless(_))) => {
                Ok(watch::Sender::new(Arc::default()).subscribe())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn neighbours(
        &self,
        shelf: &Shelf,
        friends: watch::Receiver<Arc<Friends>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<NeighboursRef, Error> {
        let (near, lasting) = (&self.options.near, self.options.lifetime == Lifetime::LongRunning);
        let (warnings, mut sentences) = mpsc::channel(EVENTS);
        let dependencies = neighbours::Dependencies {
            endpoint: self.endpoint.clone(),
            connections: self.connections.clone(),
            shelf: shelf.clone(),
            given: self.options.peers.clone(),
            friends,
            friends_only: self.options.friends_only,
            trackers: self.options.trackers.clone(),
            settings: Settings { only_peers: near.only_peers, all_global: near.all_global, lasting },
            lan: near.lan.clone(),
            eager: self.options.lifetime != Lifetime::Finite,
            visiting: self.options.lifetime == Lifetime::Finite,
            remembered: self.remembered(),
            writes: self.guest.is_none(),
            warnings,
        };
        let events = self.events.clone();
        tasks.spawn(async move {
            while let Some(sentence) = sentences.recv().await {
                if events.send(Event::Warning(sentence)).await.is_err() {
                    return;
                }
            }
        });
        Neighbours::start(dependencies, Some(self.cell())).await.map_err(spawn_error)
    }

    async fn tracker(
        &self,
        links: mpsc::Receiver<Link>,
        allowed: Allowed,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Error> {
        let started = DirectoryRef::start(self.options.quotas, Some(self.cell())).await;
        let directory = started.map_err(spawn_error)?;
        let probe = probe_through(self.connections.clone());
        let answers = TrackerAnswers::new(directory.clone(), allowed.circle(), probe);
        tasks.spawn(tell_refusals(directory.refusals(), self.events.clone()));
        allowed.follow(self.connections.clone(), directory, self.events.clone(), tasks);
        tasks.spawn(serve_links(links, Arc::new(answers)));
        Ok(())
    }

    /// Ids of earlier runs. Only who shares for long keeps them; without a cache files are hashed again.
    async fn cache(&self) -> Option<HashCache> {
        if self.guest.is_some() || self.options.lifetime != Lifetime::LongRunning {
            return None;
        }
        let path = self.options.home.role_dir(Role::Node).join(CACHE_FILE);
        let opened = tokio::task::spawn_blocking(move || HashCache::open(&path)).await.ok()?;
        match opened {
            Ok(opened) => {
                opened.warning.into_iter().for_each(|sentence| drop(self.events.try_send(Event::Warning(sentence))));
                Some(opened.cache)
            }
            Err(error) => {
                drop(self.events.try_send(Event::Warning(error.to_string())));
                None
            }
        }
    }

    async fn spawn<A: Actor>(&self, actor: A, arguments: A::Arguments) -> Result<ActorRef<A::Msg>, Error> {
        Ok(Actor::spawn_linked(None, actor, arguments, self.cell()).await.map_err(spawn_error)?.0)
    }

    fn cell(&self) -> ActorCell {
        self.supervisor.get_cell()
    }
}

/// Passes on what the actors report, as the node's events.
async fn pass_on(
    mut index: mpsc::Receiver<IndexEvent>,
    mut announcer: mpsc::Receiver<announcer::Event>,
    events: mpsc::Sender<Event>,
    endpoint: Endpoint,
) {
    loop {
        let event = tokio::select! {
            Some(event) = index.recv() => match event {
                IndexEvent::Hashing { done, total } => Event::Hashing { done, total },
                IndexEvent::Offer { id, name } => {
                    Event::Offer { id, name, node: endpoint.node_id(), addr: endpoint.outward_addr() }
                }
                IndexEvent::Warning(sentence) => Event::Warning(sentence),
            },
            Some(event) = announcer.recv() => match event {
                announcer::Event::Announced { tracker, offers, hashed, refused, reachable } => {
                    Event::Announced { tracker, offers, hashed, refused, reachable }
                }
                announcer::Event::Warning(sentence) => Event::Warning(sentence),
            },
            else => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Says that the directory is full, once a while.
async fn tell_refusals(mut refusals: watch::Receiver<Option<Refusals>>, events: mpsc::Sender<Event>) {
    while refusals.changed().await.is_ok() {
        let last = *refusals.borrow_and_update();
        let Some(Refusals { node, names }) = last else { continue };
        let sentence = format!(
            "the directory is full: {names} names of node {} were not taken; where there is memory for more, raise names-per-node, names or memory-mib in the configuration's [tracker]",
            node.short()
        );
        if events.send(Event::Warning(sentence)).await.is_err() {
            return;
        }
        tokio::time::sleep(FULL_AGAIN).await;
    }
}

fn spawn_error(error: SpawnErr) -> Error {
    Error::Internal { cause: error.to_string() }
}
