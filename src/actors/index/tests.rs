use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ractor::ActorRef;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::actors::start::start;
use crate::io::share::scan::{SurveyOptions, survey};
use crate::logic::offers::search::Window;
use crate::model::collection::Entry;
use crate::model::{Asker, Audience, Collection, Kind, Offer, Query};
use crate::wire::code::Code;
use crate::wire::codec;
use crate::wire::limits::PAGE;

mod seeds;
mod served;

const PACE: Pace = Pace {
    quiet: Duration::from_millis(10),
    longest: Duration::from_millis(50),
    check: Duration::from_millis(20),
    poll: Duration::from_millis(50),
    whole: Duration::from_secs(600),
};

fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

/// A shared directory `tree` and a running index.
struct Story {
    dir: TempDir,
}

struct Running {
    index: ActorRef<IndexMessage>,
    task: JoinHandle<()>,
    events: mpsc::Receiver<IndexEvent>,
    offers: watch::Receiver<Arc<OfferTable>>,
    snapshot: watch::Receiver<Arc<IndexSnapshot>>,
}

impl Story {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let story = Self { dir: tempfile::tempdir().expect("tempdir") };
        fs::create_dir(story.path("tree")).expect("mkdir");
        for (name, content) in files {
            story.write(name, content);
        }
        story
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path("tree").join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, content).expect("write");
    }

    fn plan(&self, names: &[&str]) -> SharePlan {
        let paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        survey(&paths, &SurveyOptions::default()).expect("survey")
    }

    fn cache(&self) -> HashCache {
        HashCache::open(&self.path("cache.redb")).expect("open").cache
    }

    async fn share(&self, names: &[&str]) -> Running {
        self.start(Some(self.plan(names)), None).await
    }

    async fn start(&self, plan: Option<SharePlan>, cache: Option<HashCache>) -> Running {
        self.start_at(PACE, plan, cache).await
    }

    async fn start_at(&self, pace: Pace, plan: Option<SharePlan>, cache: Option<HashCache>) -> Running {
        let (to_events, events) = mpsc::channel(64);
        let (to_offers, offers) = watch::channel(Arc::default());
        let (to_snapshot, snapshot) = watch::channel(Arc::default());
        let args = IndexArgs {
            plan,
            cache,
            handover: None,
            threads: 2,
            pace,
            events: to_events,
            access: Access::everyone(),
            reserved: watch::Sender::default(),
            public: to_offers,
            snapshot: to_snapshot,
        };
        let (index, task) = start::<Index>(args, None).await.expect("started");
        Running { index, task, events, offers, snapshot }
    }
}

impl Running {
    /// Waits until an offer is as it should be.
    async fn offer(&mut self, name: &str, is: impl Fn(Option<&Offer>) -> bool) -> Option<Offer> {
        let name = path(name);
        let offers = self.offers.wait_for(|offers| is(offers.get(&name))).await.expect("the index lives");
        offers.get(&name).cloned()
    }

    fn share(&self, plan: SharePlan) {
        drop(IndexRef(self.index.clone()).share(plan));
    }

    async fn id(&mut self, name: &str) -> ContentId {
        let offer = self.offer(name, |offer| offer.is_some_and(|o| o.id.is_some())).await;
        offer.and_then(|o| o.id).expect("has an id")
    }

    async fn notice(&mut self) -> IndexNotice {
        loop {
            if let IndexEvent::Notice(notice) = self.events.recv().await.expect("the index lives") {
                return notice;
            }
        }
    }

    fn now(&self) -> Arc<IndexSnapshot> {
        self.snapshot.borrow().clone()
    }

    async fn stop(self) {
        self.index.stop(None);
        self.task.await.expect("ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_tree_becomes_offers_then_ids_then_a_collection() {
    let large = vec![7; 3 << 20];
    let story = Story::of(&[("a", b"one"), ("b/c", &large), ("empty", b"")]);
    fs::create_dir(story.path("tree/hollow")).expect("mkdir");
    let mut running = story.share(&["tree"]).await;
    let id = running.id("tree").await;
    let file = |content: &[u8]| {
        let size = content.len() as u64;
        Entry::File { size, id: ContentId::of(content), executable: false }
    };
    let entries = vec![
        (path("a"), file(b"one")),
        (path("b/c"), file(&large)),
        (path("empty"), file(b"")),
        (path("hollow"), Entry::Directory),
    ];
    let collection = Collection::new(entries).expect("sound");
    assert_eq!(id, ContentId::of(&collection.manifest()));
    assert_eq!(running.id("tree/b/c").await, ContentId::of(&large));
    let source = running.now().source(id, collection.bytes()).expect("served");
    assert_eq!(source.manifest().as_deref(), Some(collection.manifest().as_slice()));
    let offer = running.now().offer(&path("tree")).cloned().expect("offered");
    assert_eq!((offer.kind, offer.size, offer.files), (Kind::Collection, collection.bytes(), 3));
    // Events follow the snapshot: each is waited for.
    let mut awaited =
        vec![IndexEvent::Offer { id, name: path("tree") }, IndexEvent::Hashing { done: offer.size, total: offer.size }];
    while !awaited.is_empty() {
        let told = running.events.recv().await.expect("the index lives");
        awaited.retain(|event| *event != told);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_gets_a_new_id_and_so_does_its_tree() {
    let story = Story::of(&[("a", b"one"), ("b", b"two")]);
    let mut running = story.share(&["tree"]).await;
    let before = running.id("tree").await;
    story.write("a", b"three");
    let three = ContentId::of(b"three");
    running.offer("tree/a", |o| o.is_some_and(|o| o.id == Some(three))).await;
    running.offer("tree", |o| o.is_some_and(|o| o.id.is_some_and(|id| id != before))).await;
    assert_eq!(running.now().locate(ContentId::of(b"one"), |_| true), []);
    assert!(
        running.now().source(ContentId::of(b"one"), 3).is_none()
            && running.now().absence(ContentId::of(b"one"), Asker::Stranger).is_some()
    );
    let left = running.now().source(before, 6).expect("the other file is still there");
    assert_eq!((left.have().count(), left.lost().len()), (1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go() {
    let story = Story::of(&[("a", b"one"), ("b", b"two")]);
    let mut running = story.share(&["tree"]).await;
    running.id("tree").await;
    story.write("c/d", b"new");
    running.id("tree/c/d").await;
    fs::remove_file(story.path("tree/a")).expect("remove");
    running.offer("tree/a", |offer| offer.is_none()).await;
    running.offer("tree", |offer| offer.is_some_and(|o| o.files == 2 && o.id.is_some())).await;
    let words = Query::parse(&["d"]).expect("words");
    assert_eq!(
        running.now().search(&words, Window { limit: 10, skip: 0 }, |_| true, &|| true).expect("whole").hits[0].names,
        [path("tree/c/d")]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_goes_is_told_and_found_again() {
    let story = Story::of(&[("a", b"one")]);
    let mut running = story.share(&["tree"]).await;
    let id = running.id("tree").await;
    fs::rename(story.path("tree"), story.path("moved")).expect("rename");
    running.offer("tree", |offer| offer.is_none()).await;
    assert_eq!(running.notice().await, IndexNotice::Gone(story.path("tree").into()));
    fs::rename(story.path("moved"), story.path("tree")).expect("rename");
    assert_eq!(running.id("tree").await, id);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_offered_and_replaced() {
    let story = Story::of(&[("a", b"one"), ("new", b"two")]);
    let mut running = story.share(&["tree/a"]).await;
    assert_eq!(running.id("a").await, ContentId::of(b"one"));
    fs::rename(story.path("tree/new"), story.path("tree/a")).expect("rename");
    let two = ContentId::of(b"two");
    running.offer("a", |offer| offer.is_some_and(|o| o.id == Some(two))).await;
    let offered: Vec<_> = running.now().offers().iter().map(|offer| (offer.kind, offer.id, offer.size)).collect();
    assert_eq!(offered, [(Kind::File, Some(two), 3)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_all_the_time_keeps_nobody_waiting() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let pace = Pace { longest: Duration::from_millis(300), ..PACE };
    let story = Story::of(&[("quiet", b"one"), ("log", b"")]);
    let stop = Arc::new(AtomicBool::new(false));
    let (log, stopped) = (story.path("tree/log"), stop.clone());
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut log = fs::File::options().append(true).open(log).expect("open");
        while !stopped.load(Ordering::Relaxed) {
            log.write_all(b"line").expect("write");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut running = story.start_at(pace, Some(story.plan(&["tree"])), None).await;
    let (tell, mut told) = mpsc::channel(16);
    running.index.cast(IndexMessage::Resolve { name: path("tree/log"), tell }).expect("lives");
    let log = IndexNotice::Unsettled { path: story.path("tree/log").into(), more: 0, root: Some(path("tree")) };
    assert_eq!(running.notice().await, log);
    let id = running.id("tree").await;
    let snapshot = running.now();
    let left_out = snapshot.left_out(id).expect("told");
    assert_eq!((left_out.files[0].path.as_str(), left_out.files[0].why, left_out.more), ("log", Code::Changed, 0));
    assert_eq!(snapshot.offer(&path("tree")).map(|o| (o.files, o.size)), Some((1, 3)));
    let mut last = None;
    while let Some(event) = told.recv().await {
        last = Some(event);
    }
    assert_eq!(last, Some(ResolveEvent::Failed(Code::Changed.into())));
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("wrote");
    running.offer("tree", |o| o.is_some_and(|o| o.files == 2 && o.id.is_some())).await;
    assert_eq!(running.now().left_out(running.id("tree").await), None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_finds_all_ids_in_the_cache() {
    let large = vec![7; 3 << 20];
    let story = Story::of(&[("a", b"one"), ("b", &large)]);
    let cache = story.cache();
    let mut first = story.start(Some(story.plan(&["tree"])), Some(cache.clone())).await;
    let id = first.id("tree").await;
    first.stop().await;
    let marked = remember_wrongly(&story, &cache);
    let mut second = story.start(Some(story.plan(&["tree"])), Some(cache)).await;
    assert_eq!(second.id("tree/a").await, marked, "the id was taken from the cache, not from the bytes");
    assert_ne!(second.id("tree").await, id);
    second.stop().await;
}

/// Puts another id under the file's stamp, so that a hit can be told from hashing.
fn remember_wrongly(story: &Story, cache: &HashCache) -> ContentId {
    use crate::io::share::hash::Hashed;
    let stamp = crate::io::share::stamp::FileStamp::of(&fs::metadata(story.path("tree/a")).expect("stat"));
    let id = ContentId::of(b"marked");
    cache.store(&[Hashed { id, list: None, stamp, settled: true }]).expect("store");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_told_the_id_when_it_can_be_fetched() {
    let large = vec![7; 5 << 20];
    let story = Story::of(&[("a", b"one"), ("b", &large)]);
    let running = story.start(None, None).await;
    let (tell, mut told) = mpsc::channel(16);
    running.share(story.plan(&["tree"]));
    for name in ["tree/b", "tree", "tree/absent"] {
        let resolve = IndexMessage::Resolve { name: path(name), tell: tell.clone() };
        running.index.cast(resolve).expect("lives");
    }
    drop(tell);
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    while let Some(event) = told.recv().await {
        match event {
            ResolveEvent::Done(offer) => {
                let id = offer.id.expect("has an id");
                assert!(running.now().source(id, offer.size).is_some(), "{} can be fetched", offer.name);
                done.push(offer.name);
            }
            ResolveEvent::Failed(refusal) => failed.push(refusal.code),
            ResolveEvent::Hashing(done, total) => assert!(done <= total),
        }
    }
    done.sort_unstable();
    assert_eq!((done, failed), (vec![path("tree"), path("tree/b")], vec![Code::NotFound]));
    running.stop().await;
}

#[tokio::test]
async fn an_index_that_has_nothing_says_so_at_once() {
    let running = Story::of(&[]).start(None, None).await;
    let (tell, mut told) = mpsc::channel(16);
    running.index.cast(IndexMessage::Resolve { name: path("absent"), tell }).expect("lives");
    assert_eq!(told.recv().await, Some(ResolveEvent::Failed(Code::NotFound.into())));
    assert_eq!(told.recv().await, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_not_shared_twice() {
    let story = Story::of(&[("a", b"one"), ("x/a", b"two")]);
    let mut running = story.share(&["tree/a"]).await;
    running.id("a").await;
    running.share(story.plan(&["tree/x/a"]));
    assert_eq!(running.notice().await, IndexNotice::NameTaken(story.path("tree/x/a").into()));
    assert_eq!(running.id("a").await, ContentId::of(b"one"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_all_offers_in_order_and_fit_the_wire() {
    let long = "n".repeat(200);
    let files: Vec<_> = (0..4000).map(|i| (format!("{long}/{long}/{i:04}"), b"same".as_slice())).collect();
    let story = Story::of(&files.iter().map(|(name, content)| (name.as_str(), *content)).collect::<Vec<_>>());
    let mut running = story.share(&["tree"]).await;
    running.id("tree").await;
    let snapshot = running.now();
    let (mut names, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = snapshot.files_of(after.as_ref(), |_| true);
        codec::encode(&page, PAGE).expect("fits");
        pages += 1;
        names.extend(page.offers.iter().map(|o| o.name.clone()));
        after = names.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!((names.len(), names.is_sorted()), (4001, true));
    assert!(pages > 1);
    let words = Query::parse(&["nnn"]).expect("words");
    let hits = snapshot.search(&words, Window { limit: 200, skip: 0 }, |_| true, &|| true).expect("whole");
    codec::encode(&hits, PAGE).expect("fits");
    assert_eq!((hits.hits.len(), hits.hits[0].names.len(), hits.more), (1, 8, 0));
    assert_eq!(snapshot.search(&words, Window { limit: 200, skip: 1 }, |_| true, &|| true).expect("whole").hits, []);
    running.stop().await;
}
