//! Stories of nodes and a tracker over real QUIC on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use super::news::SessionNews;
use super::*;
use crate::actors::access::Access;
use crate::actors::directory::DirectoryRef;
use crate::actors::lab::{Host, identity};
use crate::actors::serve::dial_back::{Probe, probe_through};
use crate::actors::serve::tracker::TrackerAnswers;
use crate::io::home::identity::Identity;
use crate::io::net::dial::DialError;
use crate::io::net::frames::{self, CallError};
use crate::io::net::resolve::ResolveError;
use crate::logic::directory::Quotas;
use crate::model::{Content, ContentId, Hit, Kind, NodeId, Offer, SafePath};
use crate::wire::{
    Announce, Announced, Code, Fetch, FilesOf, FollowEvent, HitPage, Locate, OfferPage, PeerPage, Peers, Request,
    Search, limits,
};

/// A hang, not a slow machine.
const HANG: Duration = Duration::from_secs(60);

/// A tracker that dials back for real, unless it is given another way.
async fn tracker_with(identity: Arc<Identity>, port: u16, quotas: Quotas, probe: Option<Probe>) -> Host {
    let mut host = Host::start(Role::Tracker, identity, port).await;
    let directory = DirectoryRef::start(quotas, None).await.expect("started");
    let probe = probe.unwrap_or_else(|| probe_through(host.connections.clone()));
    host.serve(TrackerAnswers::new(directory, Access::everyone(), probe));
    host
}

async fn tracker() -> Host {
    tracker_with(identity(), 0, Quotas::default(), None).await
}

struct Sharer {
    host: Host,
    announcer: AnnouncerRef,
    offers: watch::Sender<Arc<OfferTable>>,
    events: mpsc::Receiver<Event>,
}

impl Sharer {
    async fn start(tracker: &Host, names: &[&str]) -> Self {
        let host = Host::node().await;
        let (sender, events) = mpsc::channel(64);
        let offers = watch::Sender::new(offers(names));
        let needs = Dependencies {
            trackers: vec![tracker.target(None)],
            connect: connect_through(host.connections.clone()),
            endpoint: host.endpoint.clone(),
            access: Access::everyone(),
            offers: offers.subscribe(),
            events: sender,
        };
        let announcer = AnnouncerRef::start(needs, None).await.expect("started");
        Self { host, announcer, offers, events }
    }

    fn id(&self) -> NodeId {
        self.host.endpoint.node_id()
    }

    fn addr(&self) -> SocketAddr {
        self.host.endpoint.local_addr()
    }

    async fn event(&mut self) -> Event {
        timeout(HANG, self.events.recv()).await.expect("in time").expect("alive")
    }

    /// The next announcement that a tracker has taken: offers, hashed, refused, reachable.
    async fn announced(&mut self) -> (u64, u64, u64, bool) {
        loop {
            if let Event::Announced(Acknowledged { offers, hashed, refused, reachable, .. }) = self.event().await {
                return (offers, hashed, refused, reachable);
            }
        }
    }

    async fn notice(&mut self) -> AnnouncerNotice {
        loop {
            if let Event::Notice(notice) = self.event().await {
                return notice;
            }
        }
    }
}

/// Names with an id; those that begin with `?` without.
fn offers(names: &[&str]) -> Arc<OfferTable> {
    let offer = |text: &&str| {
        let name = SafePath::parse(text.trim_start_matches('?')).expect("name");
        let id = (!text.starts_with('?')).then(|| ContentId::of(text.as_bytes()));
        Offer::file(name, 1, id)
    };
    Arc::new(names.iter().map(offer).collect())
}

async fn link(from: &Host, to: &Host) -> Link {
    from.connections.to_target(&to.target(None)).await.expect("connected")
}

async fn ask<T: serde::de::DeserializeOwned>(link: &Link, request: Request) -> Result<T, CallError> {
    frames::call(link, &request, limits::PAGE).await.map(|(answer, ..)| answer)
}

async fn search(link: &Link, words: &str) -> Vec<Hit> {
    let search = Search { words: vec![words.to_owned()], limit: 50, ..Search::default() };
    ask::<HitPage>(link, Request::Search(search)).await.expect("answered").hits
}

async fn peers(link: &Link) -> Vec<NodeId> {
    let page: PeerPage = ask(link, Request::Peers(Peers { after: None })).await.expect("answered");
    page.peers.into_iter().map(|peer| peer.node).collect()
}

#[tokio::test]
async fn what_is_shared_is_found_and_what_changes_is_told() {
    let tracker = tracker().await;
    let mut sharer = Sharer::start(&tracker, &["docs/a", "?docs/b"]).await;
    assert_eq!(sharer.announced().await, (2, 1, 0, true));
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    let hits = search(&link, "docs").await;
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|h| h.providers[0].node == sharer.id() && h.providers[0].addrs == [sharer.addr()]));

    sharer.offers.send_replace(offers(&["docs/b", "docs/c"]));
    assert_eq!(sharer.announced().await, (2, 2, 0, true));
    let names: Vec<_> = search(&link, "docs").await.into_iter().map(|hit| hit.names[0].to_string()).collect();
    assert_eq!(names, ["docs/b", "docs/c"]);
    let files = Request::FilesOf(FilesOf { node: Some(sharer.id()), after: None });
    let page: OfferPage = ask(&link, files).await.expect("known");
    assert_eq!(page.offers, offers(&["docs/b", "docs/c"]).iter().cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_clean_stop_is_known_at_once() {
    let tracker = tracker().await;
    let mut sharer = Sharer::start(&tracker, &["a"]).await;
    sharer.announced().await;
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    assert_eq!(peers(&link).await, [sharer.id()]);
    sharer.announcer.stop().await;
    assert_eq!(peers(&link).await, []);
}

#[tokio::test]
async fn transfers_under_way_are_told_to_followers() {
    let tracker = tracker().await;
    let mut sharer = Sharer::start(&tracker, &[]).await;
    let part = Content { id: ContentId::of(b"x"), kind: Kind::File, size: 9 };
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    assert_eq!(peers(&link).await, [], "nothing to tell, nothing told");
    let follow = Request::Follow(part);
    let ((), _open, mut events) = frames::call(&link, &follow, limits::CONTROL).await.expect("follows");
    let mut event = async || {
        let event = timeout(HANG, frames::receive::<FollowEvent>(&mut events, limits::PAGE)).await;
        event.expect("in time").expect("read").expect("more")
    };
    assert_eq!(event().await, FollowEvent::default());

    let participation = sharer.announcer.join(part);
    let again = sharer.announcer.join(part);
    let joined = event().await.joined;
    assert_eq!((joined[0].node, joined[0].addrs.as_slice()), (sharer.id(), [sharer.addr()].as_slice()));
    assert_eq!(sharer.announced().await, (0, 0, 0, true));
    let located: HitPage = ask(&link, Request::Locate(Locate { id: part.id })).await.expect("answered");
    assert_eq!((located.hits[0].size, located.hits[0].providers.len()), (9, 1));

    drop(again);
    drop(participation);
    assert_eq!(event().await.left, [sharer.id()]);
}

#[tokio::test]
async fn a_lost_connection_costs_no_new_announcement() {
    let tracker = tracker().await;
    let mut sharer = Sharer::start(&tracker, &["a"]).await;
    sharer.announced().await;
    let first = link(&sharer.host, &tracker).await;
    first.close(Code::Closing);
    sharer.offers.send_replace(offers(&["a", "b"]));
    assert_eq!(sharer.announced().await, (2, 2, 0, true), "a delta to what the tracker still knew");
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    assert_eq!(search(&link, "a").await.len(), 1);
    sharer.events.close();
    assert!(sharer.events.recv().await.is_none(), "nothing else was announced");
}

#[tokio::test]
async fn a_restarted_tracker_is_told_everything_again() {
    let identity_of_tracker = identity();
    let mut tracker = tracker_with(Arc::clone(&identity_of_tracker), 0, Quotas::default(), None).await;
    let mut sharer = Sharer::start(&tracker, &["a"]).await;
    assert_eq!(sharer.announced().await, (1, 1, 0, true));
    let port = tracker.endpoint.port();
    tracker.tasks.shutdown().await;
    tracker.actor.abort();
    tracker.endpoint.close(Code::Closing).await;
    drop(tracker);
    let tracker = loop {
        // The port is free once the old endpoint's driver has gone.
        if std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            break tracker_with(Arc::clone(&identity_of_tracker), port, Quotas::default(), None).await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(sharer.announced().await, (1, 1, 0, true));
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    assert_eq!(search(&link, "a").await.len(), 1);
}

#[tokio::test]
async fn an_unreachable_node_is_warned_and_no_address_is_told() {
    let probe: Probe = Arc::new(|_, _| Box::pin(async { false }));
    let tracker = tracker_with(identity(), 0, Quotas::default(), Some(probe)).await;
    let mut sharer = Sharer::start(&tracker, &["a"]).await;
    assert_eq!(sharer.announced().await, (1, 1, 0, false));
    let notice = sharer.notice().await;
    let own = sharer.host.endpoint.port();
    assert!(matches!(notice, AnnouncerNotice::Unreached { port, .. } if port == own), "{notice:?}");
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    let hits = search(&link, "a").await;
    assert_eq!((hits[0].providers[0].node, hits[0].providers[0].addrs.len()), (sharer.id(), 0));
}

#[tokio::test]
async fn a_small_quota_is_said() {
    let quotas = Quotas { names_per_node: 2, ..Quotas::default() };
    let tracker = tracker_with(identity(), 0, quotas, None).await;
    let mut sharer = Sharer::start(&tracker, &["d/a", "d/b", "d/c", "top"]).await;
    assert_eq!(sharer.announced().await, (2, 2, 2, true));
    let notice = sharer.notice().await;
    assert!(matches!(notice, AnnouncerNotice::Full { taken: 2, names: 4, .. }), "{notice:?}");
}

#[tokio::test]
async fn what_a_tracker_let_go_of_is_said_and_announced_again_when_there_is_room() {
    let quotas = Quotas { names: 6, ..Quotas::default() };
    let tracker = tracker_with(identity(), 0, quotas, None).await;
    let mut first = Sharer::start(&tracker, &["d/a", "d/b", "d/c", "d/d", "d/e"]).await;
    assert_eq!(first.announced().await, (5, 5, 0, true));
    let mut second = Sharer::start(&tracker, &["e/a", "e/b", "e/c", "e/d"]).await;
    assert_eq!(second.announced().await, (4, 4, 0, true));
    // Who connects again renews at once.
    link(&first.host, &tracker).await.close(Code::Closing);
    assert_eq!(first.announced().await, (2, 2, 3, true));
    let notice = first.notice().await;
    assert!(matches!(notice, AnnouncerNotice::Cut { held: 2, names: 5, .. }), "{notice:?}");

    second.announcer.stop().await;
    link(&first.host, &tracker).await.close(Code::Closing);
    assert_eq!(first.announced().await, (5, 5, 0, true));
    let asker = Host::node().await;
    assert_eq!(search(&link(&asker, &tracker).await, "d").await.len(), 5);
}

#[tokio::test]
async fn each_kind_of_failure_is_told_once_and_what_was_reached_is_not_called_unreachable() {
    let (events, mut told) = mpsc::channel(8);
    let mut news = SessionNews::new("host:1".to_owned(), 2, events);
    let host = || "host".to_owned();
    let cause = || "no".to_owned();
    let failed = ConnectError::Resolve(ResolveError::Failed { host: host(), cause: cause() });
    let timed_out = ConnectError::Resolve(ResolveError::TimedOut { host: host() });
    let addr = "127.0.0.1:1".parse().expect("an address");
    let forbidden = ConnectError::Dial(DialError::Forbidden { addr, own: NodeId::of_public_key(b"own") });
    for error in [&failed, &timed_out, &failed, &forbidden, &timed_out, &forbidden] {
        news.unreached(error);
    }
    news.heard();
    news.heard();
    news.unreached(&forbidden);
    drop(news);
    let mut notices = Vec::new();
    while let Some(Event::Notice(notice)) = told.recv().await {
        notices.push(notice);
    }
    let unlinked = |error| AnnouncerNotice::Unlinked { tracker: "host:1".to_owned(), error };
    let back = AnnouncerNotice::Back { tracker: "host:1".to_owned() };
    let [first, second, third] = [failed, forbidden.clone(), forbidden].map(unlinked);
    assert_eq!(notices, [first, second, back, third]);
}

#[tokio::test]
async fn a_tracker_that_is_not_there_is_named() {
    let tracker = tracker().await;
    tracker.endpoint.close(Code::Closing).await;
    let mut sharer = Sharer::start(&tracker, &["a"]).await;
    let notice = sharer.notice().await;
    let target = tracker.target(None).to_string();
    assert!(matches!(&notice, AnnouncerNotice::Unlinked { tracker, .. } if *tracker == target), "{notice:?}");
    sharer.announcer.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_refused_and_the_tracker_lives() {
    let tracker = tracker().await;
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    let head = Announce { epoch: Epoch(1), seq: 2, full: false, candidates: vec![], port: 1 };
    let too_many = Announce { full: true, candidates: vec![tracker.endpoint.local_addr(); 5], ..head.clone() };
    let fetch = Fetch { id: ContentId::of(b"x"), size: 1, units: vec![(0, 1)], max: 1 };
    let unknown = FilesOf { node: Some(NodeId::of_public_key(b"x")), after: None };
    let empty = Search { words: vec![String::new()], limit: 1, ..Search::default() };
    let cases = [
        (Request::Announce(head), Code::NotFound),
        (Request::Announce(too_many), Code::BadRequest),
        (Request::Fetch(fetch), Code::Unsupported),
        (Request::FilesOf(unknown), Code::NotFound),
        (Request::Search(empty), Code::BadRequest),
    ];
    for (request, code) in cases {
        let error = ask::<Announced>(&link, request.clone()).await.expect_err("refused");
        assert_eq!(error, CallError::Refused(code.into()), "{request:?}");
    }
    assert_eq!(peers(&link).await, []);
}

#[tokio::test]
async fn a_further_tracker_is_told_of_some_offers_until_that_is_over() {
    let (tracker, other) = (tracker().await, tracker().await);
    let mut sharer = Sharer::start(&tracker, &["a/x", "b"]).await;
    assert_eq!(sharer.announced().await.0, 2);
    let roots = vec![SafePath::parse("a").expect("a name")];
    let announcing = sharer.announcer.announce_at(Further { trackers: vec![other.target(None)], roots });
    assert_eq!(sharer.announced().await.0, 1);
    let asker = Host::node().await;
    let link = link(&asker, &other).await;
    assert_eq!((search(&link, "x").await.len(), search(&link, "b").await.len()), (1, 0));
    drop(announcing);
    while !search(&link, "x").await.is_empty() {
        tokio::task::yield_now().await;
    }
    sharer.announcer.stop().await;
}

#[tokio::test]
async fn a_tracker_that_is_told_of_everything_is_so_under_every_name() {
    let tracker = tracker().await;
    let mut sharer = Sharer::start(&tracker, &["a", "b"]).await;
    assert_eq!(sharer.announced().await.0, 2);
    let mut alias = tracker.target(None);
    alias.host = "localhost".to_owned();
    let roots = vec![SafePath::parse("a").expect("a name")];
    let _announcing = sharer.announcer.announce_at(Further { trackers: vec![alias.clone()], roots });
    sharer.offers.send_replace(offers(&["a", "b", "c"]));
    assert_eq!(sharer.announced().await.0, 3, "nothing was announced by the other name");
    let asker = Host::node().await;
    let link = link(&asker, &tracker).await;
    assert_eq!(search(&link, "b").await.len(), 1);
}
