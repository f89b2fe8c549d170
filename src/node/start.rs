//! Starts a node: its actors, and the tasks that serve and pass events on.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::actors::access::Access;
use crate::actors::announcer::{self, AnnouncerRef};
use crate::actors::download::supervisor::Downloads;
use crate::actors::index::{Index, IndexArgs, IndexEvent, IndexNotice, IndexRef};
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::gauges::Gauges;
use crate::actors::limits::pool::Pool;
use crate::actors::limits::reads::Reads;
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::{self, NeighboursRef};
use crate::actors::serve::inbox::InboxRef;
use crate::actors::serve::node::{self, NodeAnswers};
use crate::actors::serve::upload;
use crate::actors::serve::{Pages, Places, serve_links};
use crate::actors::shelf::Shelf;
use crate::actors::uploads::UploadsRef;
use crate::io::home::friends::FriendFile;
use crate::io::home::lines::LinesError;
use crate::io::home::remembered::RememberedFile;
use crate::io::net::endpoint::Endpoint;
use crate::io::net::link::Link;
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::watch::Pace;
use crate::logic::limits::slots::Capacity;
use crate::logic::neighbours::Settings;
use crate::logic::offers::reserved::Reserved;
use crate::logic::offers::table::OfferTable;
use crate::logic::uploads::UploadEvent;
use crate::model::Friends;
use crate::node::arrivals;
use crate::node::error::Error;
use crate::node::following::{Begun, Following};
use crate::node::host::{EVENTS, Host, Started};
use crate::node::inner::inbox::InboxHandle;
use crate::node::inner::puts::left::Puts;
use crate::node::inner::shares::Shares;
use crate::node::inner::{Inner, Shared, Throttles};
use crate::node::look::find::Finder;
use crate::node::look::near;
use crate::node::look::planes::Overlay;
use crate::node::types::{Event, Guest, Lifetime, Notice, Options};
use crate::wire::Role;

/// The hash cache within the node's directory.
pub(crate) const CACHE_FILE: &str = "cache.redb";

/// Starts a node.
pub(crate) async fn start(options: Options) -> Result<(Inner, mpsc::Receiver<Event>), Error> {
    let Started { host, links, events } = Host::start(&options, Role::Node, Access::everyone()).await?;
    Ok((Wiring { options: &options, host }.node(links).await?, events))
}

/// What a node's parts are built on.
struct Wiring<'a> {
    options: &'a Options,
    host: Host,
}

impl Wiring<'_> {
    async fn node(self, links: mpsc::Receiver<Link>) -> Result<Inner, Error> {
        let friends = self.friends().await?;
        let Indexed { index, shelf, access, offered, events: from_index } = self.index(friends.clone()).await?;
        let (uploads, from_uploads) =
            UploadsRef::start(Capacity::default(), shelf.clone(), Some(self.host.cell())).await?;
        let (announcer, from_announcer) = self.announcer(access, offered).await?;
        let downloads = Downloads::start(self.host.connections.clone(), shelf.clone(), Some(self.host.cell())).await?;
        let room = neighbours::room();
        let neighbours = self.neighbours(&shelf, friends.clone(), room.clone()).await?;
        let rates = Throttles {
            up: Throttle::new(self.options.upload_limit),
            down: Throttle::new(self.options.download_limit),
        };
        let slots = Capacity::default().most();
        let (inbox, arrivals) = InboxRef::new();
        let answers = NodeAnswers {
            own: self.host.endpoint.node_id(),
            neighbours: neighbours.clone(),
            shelf: shelf.clone(),
            index: index.clone(),
            uploads: uploads.clone(),
            throttle: rates.up.clone(),
            // Each upload fills one buffer; as many again, of which two thirds may be with QUIC: one peer's windows hold 16,
            // and what two need is kept.
            buffers: BufferPool::new(2 * slots, upload::BUFFER).keeping(slots / 2),
            reads: Reads::default(),
            pages: Pages::default(),
            resolves: node::resolves(),
            inbox,
        };
        let gauges = self.serve(links, answers, &room);
        let reports = Reports { index: from_index, announcer: from_announcer, uploads: from_uploads };
        self.host.run(pass_on(reports, self.host.events.clone(), self.host.endpoint.clone()));
        let overlay = Overlay { neighbours: neighbours.clone(), ttl: self.options.near.ttl };
        let overlay = Some(overlay).filter(|_| self.has_near(&friends.borrow()));
        let finder = Finder::new(self.host.connections.clone(), self.host.endpoint.node_id(), self.options, overlay);
        if self.options.lifetime != Lifetime::Finite && !self.options.near.only_peers {
            self.host.run(near::meet(finder.clone(), neighbours.clone()));
        }
        let near = self.options.near.clone();
        let shares = self.shares((index.clone(), announcer.clone(), neighbours.clone()));
        let (host, jobs) = (self.host, std::sync::OnceLock::new());
        let inbox = InboxHandle::new(arrivals, self.options.inbox.clone());
        let shared = Shared {
            gauges,
            shares,
            puts: Puts::new(&self.options.home.role_dir(Role::Node)),
            inbox,
            host,
            near,
            shelf,
            index,
            uploads,
            downloads,
            announcer,
            neighbours,
            friends,
            rates,
            jobs,
        };
        Ok(Inner::new(shared, finder))
    }

    /// The index, and what others see of it.
    async fn index(&self, friends: watch::Receiver<Arc<Friends>>) -> Result<Indexed, Error> {
        let (public, snapshot) = (watch::Sender::new(Arc::<OfferTable>::default()), watch::Sender::new(Arc::default()));
        let reserved = if self.options.friends_only { Reserved::whole() } else { Reserved::default() };
        let reserved = watch::Sender::new(Arc::new(reserved));
        let access = Access::new(friends, reserved.subscribe());
        let (shelf, offered) = (Shelf::new(snapshot.subscribe(), access.clone()), public.subscribe());
        let (to_events, events) = mpsc::channel(EVENTS);
        let cache = self.cache().await;
        let handover = cache.as_ref().map(|_| Handover::at(&self.options.home.role_dir(Role::Node)));
        let index_args = IndexArgs {
            plan: None,
            cache: cache.clone(),
            handover: handover.clone(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            pace: Pace::default(),
            events: to_events,
            access: access.clone(),
            reserved,
            public,
            snapshot,
        };
        let index = IndexRef(self.host.spawn::<Index>(index_args).await?);
        self.host.run(arrivals::take(handover.zip(cache), index.clone()));
        Ok(Indexed { index, shelf, access, offered, events })
    }

    /// Answers whoever dials; what of that is bounded.
    fn serve(&self, links: mpsc::Receiver<Link>, answers: NodeAnswers, room: &Pool) -> Gauges {
        let (places, mut gauges) = (Places::default(), Gauges::default());
        places.show(&mut gauges);
        answers.show(&mut gauges);
        gauges.pool("neighbours' frames, in KiB", room);
        self.host.run(serve_links(links, Arc::new(answers), places));
        gauges
    }

    /// What it offers by request, and has kept.
    fn shares(&self, parts: (IndexRef, AnnouncerRef, NeighboursRef)) -> Shares {
        let (shares, unread) = Shares::new(parts, &self.options.home.role_dir(Role::Node));
        if let Some(cause) = unread.filter(|_| self.host.guest.is_none()) {
            self.host.warn(Notice::Kept { path: shares.file().into(), cause });
        }
        shares
    }

    /// The announcer of what anybody may know of, and what it tells.
    async fn announcer(
        &self,
        access: Access,
        offers: watch::Receiver<Arc<OfferTable>>,
    ) -> Result<(AnnouncerRef, mpsc::Receiver<announcer::Event>), Error> {
        let (events, from_announcer) = mpsc::channel(EVENTS);
        let dependencies = announcer::Dependencies {
            trackers: self.options.trackers.clone(),
            connect: announcer::connect_through(self.host.connections.clone()),
            endpoint: self.host.endpoint.clone(),
            access,
            offers,
            events,
        };
        let announcer = AnnouncerRef::start(dependencies, Some(self.host.cell())).await?;
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
    async fn friends(&self) -> Result<watch::Receiver<Arc<Friends>>, Error> {
        match Following::begin(FriendFile::at(self.options.home.root())).await {
            Ok(Begun { following, list, broken }) => {
                broken.map(Notice::Broken).into_iter().for_each(|notice| self.host.warn(notice));
                if self.options.lifetime != Lifetime::Finite {
                    self.host.run(following.go_on(self.host.events.clone()));
                }
                Ok(list)
            }
            Err(LinesError::Io { .. }) if matches!(self.host.guest, Some(Guest::Homeless(_))) => {
                Ok(watch::Sender::new(Arc::default()).subscribe())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn neighbours(
        &self,
        shelf: &Shelf,
        friends: watch::Receiver<Arc<Friends>>,
        room: Pool,
    ) -> Result<NeighboursRef, Error> {
        let (near, lasting) = (&self.options.near, self.options.lifetime == Lifetime::LongRunning);
        let (warnings, mut notices) = mpsc::channel(EVENTS);
        let dependencies = neighbours::Dependencies {
            endpoint: self.host.endpoint.clone(),
            connections: self.host.connections.clone(),
            shelf: shelf.clone(),
            given: self.options.peers.clone(),
            friends,
            trackers: self.options.trackers.clone(),
            settings: Settings { only_peers: near.only_peers, all_global: near.all_global, lasting },
            lan: near.lan.clone(),
            eager: self.options.lifetime != Lifetime::Finite,
            visiting: self.options.lifetime == Lifetime::Finite,
            remembered: self.remembered(),
            writes: self.host.guest.is_none(),
            room,
            warnings,
        };
        let events = self.host.events.clone();
        self.host.run(async move {
            while let Some(notice) = notices.recv().await {
                if events.send(Event::Notice(Notice::Neighbour(notice))).await.is_err() {
                    return;
                }
            }
        });
        Ok(NeighboursRef::start(dependencies, Some(self.host.cell())).await?)
    }

    /// Ids of earlier runs. Only who shares for long keeps them; without a cache files are hashed again.
    async fn cache(&self) -> Option<HashCache> {
        if self.host.guest.is_some() || self.options.lifetime != Lifetime::LongRunning {
            return None;
        }
        let path = self.options.home.role_dir(Role::Node).join(CACHE_FILE);
        let opened = tokio::task::spawn_blocking(move || HashCache::open(&path)).await.ok()?;
        match opened {
            Ok(opened) => {
                opened.renewed.map(Notice::CacheRenewed).into_iter().for_each(|notice| self.host.warn(notice));
                Some(opened.cache)
            }
            Err(error) => {
                self.host.warn(Notice::Index(IndexNotice::Cache(error)));
                None
            }
        }
    }
}

/// The index, and what others see of it.
struct Indexed {
    index: IndexRef,
    shelf: Shelf,
    access: Access,
    offered: watch::Receiver<Arc<OfferTable>>,
    events: mpsc::Receiver<IndexEvent>,
}

/// What actors report.
struct Reports {
    index: mpsc::Receiver<IndexEvent>,
    announcer: mpsc::Receiver<announcer::Event>,
    uploads: mpsc::Receiver<UploadEvent>,
}

/// Passes it on as the node's events.
async fn pass_on(mut from: Reports, events: mpsc::Sender<Event>, endpoint: Endpoint) {
    loop {
        let event = tokio::select! {
            Some(event) = from.index.recv() => match event {
                IndexEvent::Hashing { done, total } => Event::Hashing { done, total },
                IndexEvent::Offer { id, name } => {
                    Event::Offer { id, name, node: endpoint.node_id(), addr: endpoint.outward_addr() }
                }
                IndexEvent::Notice(notice) => Event::Notice(Notice::Index(notice)),
            },
            Some(event) = from.announcer.recv() => match event {
                announcer::Event::Announced(acknowledged) => Event::Announced(acknowledged),
                announcer::Event::Notice(notice) => Event::Notice(Notice::Announcer(notice)),
            },
            Some(event) = from.uploads.recv() => Event::Upload(event),
            else => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}
