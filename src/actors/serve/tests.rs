//! What a rule keeps from a node, asked for in every way there is, by real nodes on loopback.

use std::fs;
use std::time::Duration;

use serde::de::IgnoredAny;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::actors::access::{Access, Rule};
use crate::actors::announcer::{self, AnnouncerRef, connect_through};
use crate::actors::directory::DirectoryRef;
use crate::actors::index::{Index, IndexArgs, IndexRef};
use crate::actors::lab::{Host, identity};
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::{Answer as Near, NeighboursRef};
use crate::actors::serve::dial_back::probe_through;
use crate::actors::serve::tracker::TrackerAnswers;
use crate::actors::shelf::{Serving, Shelf};
use crate::actors::start::start;
use crate::io::share::scan::{SurveyOptions, survey};
use crate::io::share::source::tests::Drawn;
use crate::io::share::watch::Pace;
use crate::logic::directory::Quotas;
use crate::model::collection::Entry;
use crate::model::{Collection, Content, ContentId, Hit, Kind, PeerTarget, SafePath};
use crate::wire::{
    About, Fetch, FilesOf, HitPage, Join, LeftOut, List, Locate, Manifest, OfferPage, Resolve, ResolveEvent, Role,
    Search, Sought, Times, Watch,
};

/// A hang, not a slow machine.
const HANG: Duration = Duration::from_secs(60);

/// More than one chunk, so that there is a list of it.
static PLAN: [u8; 300 << 10] = [7; 300 << 10];

/// What is called `kept`, and what has these ids, is for one node.
#[derive(Debug)]
struct Kept {
    node: NodeId,
    ids: Vec<ContentId>,
}

impl Rule for Kept {
    fn grants(&self, node: Option<NodeId>, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        let named = name.is_some_and(|name| name.as_str().starts_with("kept"));
        let is_kept = named || id.is_some_and(|id| self.ids.contains(&id));
        !is_kept || node == Some(self.node)
    }
}

/// A node that shares `open.txt`, and `kept/plan.bin` for one other.
struct Sharer {
    host: Host,
    shelf: Shelf,
    /// What trackers are told of it.
    announcer: AnnouncerRef,
    told: mpsc::Receiver<announcer::Event>,
    _dir: TempDir,
}

/// The ids of `kept/plan.bin` and of `kept`.
fn kept() -> [ContentId; 2] {
    let (size, id) = (PLAN.len() as u64, ContentId::of(&PLAN));
    let entries = vec![(path("plan.bin"), Entry::File { size, id, executable: false })];
    [id, ContentId::of(&Collection::new(entries).expect("sound").manifest())]
}

impl Sharer {
    async fn start(only: NodeId) -> Self {
        Self::start_with(only, Vec::new()).await
    }

    async fn start_with(only: NodeId, trackers: Vec<PeerTarget>) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let (tree, open) = (dir.path().join("kept"), dir.path().join("open.txt"));
        fs::create_dir(&tree).expect("mkdir");
        fs::write(tree.join("plan.bin"), PLAN).expect("write");
        fs::write(&open, "for all").expect("write");
        let snapshot = watch::Sender::new(Arc::default());
        let (mut shared, public) = (snapshot.subscribe(), watch::Sender::default());
        let access = Access::everyone().with_rule(Arc::new(Kept { node: only, ids: kept().to_vec() }));
        let mut host = Host::node().await;
        let (events, told) = mpsc::channel(64);
        let announced = announcer::Dependencies {
            trackers,
            connect: connect_through(host.connections.clone()),
            endpoint: host.endpoint.clone(),
            access: access.clone(),
            offers: public.subscribe(),
            events,
        };
        let announcer = AnnouncerRef::start(announced, None).await.expect("started");
        let args = IndexArgs {
            plan: Some(survey(&[tree, open], &SurveyOptions::default()).expect("survey")),
            cache: None,
            handover: None,
            threads: 1,
            pace: Pace::default(),
            events: mpsc::channel(64).0,
            access: access.clone(),
            reserved: watch::Sender::default(),
            public,
            snapshot,
        };
        let index = IndexRef(start::<Index>(args, None).await.expect("spawned").0);
        let shelf = Shelf::new(shared.clone(), access);
        let answers = host.answers(shelf.clone(), index, Throttle::new(None)).await;
        host.serve(answers);
        let hashed = shared.wait_for(|now: &Arc<crate::actors::index::IndexSnapshot>| {
            now.offers().iter().filter(|offer| offer.id.is_some()).count() == 3
        });
        drop(timeout(HANG, hashed).await.expect("in time").expect("the index lives"));
        Self { host, shelf, announcer, told, _dir: dir }
    }

    async fn dialled_by(&self, host: &Host) -> Link {
        host.connections.to_node(self.host.id(), vec![self.host.addr()]).await.expect("dialled")
    }

    /// Everything that comes for a request until the end of its stream.
    async fn answer(&self, to: &Host, request: &Request) -> Vec<u8> {
        let (mut send, mut recv) = frames::open(&self.dialled_by(to).await, request).await.expect("opened");
        send.finish().expect("open");
        let answer = recv.read_to_end(limits::PAGE);
        timeout(HANG, answer).await.expect("in time").expect("a clean end")
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, from: &Host, request: &Request) -> Result<T, CallError> {
        let (answer, ..) = frames::call::<T>(&self.dialled_by(from).await, request, limits::PAGE).await?;
        Ok(answer)
    }
}

fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

/// Every way to ask for one thing, but those that list all.
fn requests(id: ContentId, size: u64, name: &str) -> Vec<Request> {
    vec![
        Request::Fetch(Fetch { id, size, units: vec![(0, 1)], max: 1 }),
        Request::List(List { id, size, unit: 0 }),
        Request::Locate(Locate { id }),
        Request::Manifest(Manifest { id }),
        Request::Resolve(Resolve { name: path(name) }),
        Request::Search(Search { words: vec![name.into()], limit: 10, ..Search::default() }),
        Request::Times(Times { id, size }),
        Request::Watch(Watch { id, size }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_node_is_not_there_for_another() {
    let (friend, stranger) = (Host::node().await, Host::node().await);
    let sharer = Sharer::start(friend.id()).await;
    let [plan, tree] = kept();
    let absent = requests(ContentId::of(b"absent"), 7, "absent");
    for (id, name) in [(plan, "kept/plan.bin"), (tree, "kept")] {
        // With the size that it has, and with another.
        for size in [PLAN.len() as u64, 7] {
            for (kept, absent) in requests(id, size, name).iter().zip(&absent) {
                let (answer, other) = (sharer.answer(&stranger, kept).await, sharer.answer(&stranger, absent).await);
                assert_eq!(answer, other, "{kept:?}");
            }
        }
    }
    // All of it is there for the one that it is for.
    for request in requests(tree, PLAN.len() as u64, "kept") {
        assert!(sharer.call::<IgnoredAny>(&friend, &request).await.is_ok(), "{request:?}");
        if matches!(request, Request::Locate(_) | Request::Search(_)) {
            let page: HitPage = sharer.call(&friend, &request).await.expect("answered");
            assert_eq!(page.hits[0].id, Some(tree), "{request:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_counts_leave_out_what_is_for_another() {
    let (friend, stranger) = (Host::node().await, Host::node().await);
    let sharer = Sharer::start(friend.id()).await;
    let all = Request::FilesOf(FilesOf { node: None, after: None });
    let words = Request::Search(Search { words: vec!["e".into()], limit: 1, ..Search::default() });
    for (host, names, more) in [(&friend, &["kept", "kept/plan.bin", "open.txt"][..], 2), (&stranger, &["open.txt"], 0)]
    {
        let page: OfferPage = sharer.call(host, &all).await.expect("answered");
        assert_eq!(page.offers.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>(), names);
        let page: HitPage = sharer.call(host, &words).await.expect("answered");
        assert_eq!((page.hits.len(), page.more), (1, more));
    }
    // What is under way is kept, too, and so is what turns out to be of a kept content.
    let of = |host: &Host| sharer.shelf.seen_by(Some(host.id()));
    let fetched = ContentId::of(b"fetched");
    let _place = sharer.shelf.place(
        fetched,
        Drawn::of(fetched, 7, "#"),
        LeftOut::default(),
        (mpsc::channel(1).0, Serving::default()),
    );
    let [plan, _] = kept();
    let _also =
        sharer.shelf.place(plan, Drawn::of(plan, 7, "#"), LeftOut::default(), (mpsc::channel(1).0, Serving::default()));
    assert!(of(&stranger).source(fetched, 7).is_ok() && of(&friend).source(plan, 7).is_ok());
    assert_eq!(of(&stranger).source(plan, 7).map(drop), Err(Code::NotFound));
    let offer = sharer.shelf.index().offer(&path("open.txt")).cloned().expect("offered");
    let done = ResolveEvent::Done(crate::model::Offer { id: Some(plan), ..offer });
    assert_eq!(of(&friend).resolved(done.clone()), done);
    assert_eq!(of(&stranger).resolved(done), ResolveEvent::Failed(Code::NotFound.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_node_is_neither_announced_nor_counted() {
    let friend = Host::node().await;
    let mut tracker = Host::start(Role::Tracker, identity(), 0).await;
    let (directory, probe) =
        (DirectoryRef::start(Quotas::default(), None).await, probe_through(tracker.connections.clone()));
    tracker.serve(TrackerAnswers::new(directory.expect("started"), Access::everyone(), probe));
    let mut sharer = Sharer::start_with(friend.id(), vec![tracker.target(None)]).await;

    let part = |id, size| Content { id, kind: Kind::File, size };
    let ([plan, _], open) = (kept(), ContentId::of(b"fetched"));
    let _parts = [(plan, 300 << 10), (open, 7)].map(|(id, size)| sharer.announcer.join(part(id, size)));
    let link = friend.connections.to_target(&tracker.target(None)).await.expect("dialled");
    let located = async |id| {
        let page = frames::call::<HitPage>(&link, &Request::Locate(Locate { id }), limits::PAGE).await;
        page.expect("answered").0.hits.len()
    };
    // What is told later is told with it or after it.
    while located(open).await == 0 || located(ContentId::of(b"for all")).await == 0 {
        timeout(HANG, sharer.told.recv()).await.expect("in time").expect("the announcer lives");
    }
    assert_eq!(located(plan).await, 0, "the transfer of what is kept, and the file");
    let files = Request::FilesOf(FilesOf { node: Some(sharer.host.id()), after: None });
    let (page, ..) = frames::call::<OfferPage>(&link, &files, limits::PAGE).await.expect("known");
    assert_eq!(page.offers.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>(), ["open.txt"]);

    // One offer and one transfer, whoever asks: it is told on.
    let place = |id| {
        sharer.shelf.place(id, Drawn::of(id, 7, "#"), LeftOut::default(), (mpsc::channel(1).0, Serving::default()))
    };
    let _places = [place(plan), place(open)];
    for host in [&friend, &Host::node().await] {
        let join = Request::Join(Join { visiting: true, about: About::default() });
        assert_eq!(sharer.call::<About>(host, &join).await.expect("let in").offers, 2);
    }
}

/// All hits of a search.
async fn found(neighbours: &NeighboursRef, what: Sought) -> Vec<Hit> {
    let mut answers = neighbours.search(what, vec![2]);
    let mut found = Vec::new();
    while let Some(answer) = timeout(HANG, answers.recv()).await.expect("in time") {
        match answer {
            Near::Found { hits, .. } => found.extend(hits),
            Near::Known(_) | Near::Silent(_) => {}
            Near::Over { .. } => break,
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_that_ask_for_others_are_told_what_anybody_may_know() {
    let (friend, again, stranger) = (Host::node().await, Host::node().await, Host::node().await);
    for (host, visiting, told) in [(&friend, true, 1), (&again, false, 0), (&stranger, true, 0)] {
        // What is kept is for the first two; of these one asks for itself alone.
        let sharer = Sharer::start(if told == 1 || !visiting { host.id() } else { friend.id() }).await;
        let shelf = Shelf::new(watch::channel(Arc::default()).1, Access::everyone());
        let neighbours = host.neighbours(shelf, visiting, vec![sharer.host.target(Some(sharer.host.id()))]).await;
        assert_eq!(found(&neighbours, Sought::Words(vec!["plan.bin".into()])).await.len(), told);
        assert_eq!(found(&neighbours, Sought::Content(kept()[1])).await.len(), told);
        assert_eq!(found(&neighbours, Sought::Words(vec!["open".into()])).await.len(), 1);
    }
}

/// Never has an answer, and tells when it gives one up.
struct Stuck(mpsc::Sender<()>);

impl Answers for Stuck {
    async fn answer(&self, link: &Link, _: Request, stream: Stream) {
        stream.answer_with(link, std::future::pending()).await;
        self.0.send(()).await.expect("the test lives");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_worked_for_until_it_is_given_up_or_an_answer_is_due() {
    let (mut host, asker) = (Host::node().await, Host::node().await);
    let (tell, mut told) = mpsc::channel(1);
    host.serve(Stuck(tell));
    let link = asker.connections.to_node(host.id(), vec![host.addr()]).await.expect("dialled");
    let question = Request::Locate(Locate { id: ContentId::of(b"x") });
    let (_send, mut recv) = frames::open(&link, &question).await.expect("opened");
    recv.stop(VarInt::from_u32(Code::Cancelled.into())).expect("open");
    timeout(HANG, told.recv()).await.expect("given up").expect("told");
    // A call gives up by itself at the same time.
    let (_send, mut recv) = frames::open(&link, &question).await.expect("opened");
    let late = timeout(HANG, recv.received_reset()).await.expect("in time").expect("the connection lives");
    assert_eq!(late, Some(VarInt::from_u32(Code::TimedOut.into())));
    told.recv().await.expect("worked for no more");
}
