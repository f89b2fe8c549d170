//! Real nodes on loopback in one process: the sources are in memory, everything else is the real thing.

mod endings;
mod memory;
mod sides;

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, watch};

use super::{DownloadNotice, Ending, Progress, Shortfall, Tell, Terms, Trouble};
use crate::actors::access::Access;
use crate::actors::download::supervisor::{Download, Downloads, DownloadsRef, TransferRequest};
use crate::actors::index::{IndexMessage, IndexRef, IndexSnapshot};
use crate::actors::lab::Host;
use crate::actors::limits::throttle::Throttle;
use crate::actors::shelf::{Serving, Shelf, Shelved};
use crate::actors::start::{Owner, start};
use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::{Names, Partial, PartialSpec};
use crate::logic::transfer::Why;
use crate::model::collection::Entry;
use crate::model::{Collection, ContentId, Kind, Provider, Rate, SafePath, UnitMap, Wanted};
use crate::wire::{Code, LeftOut};
use memory::Memory;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Takes no message: these nodes share nothing of their own.
struct NoIndex;

impl Owner for NoIndex {
    type Message = IndexMessage;
    type Arguments = ();

    fn begin(_: &ActorRef<IndexMessage>, (): ()) -> Result<Self, ActorProcessingErr> {
        Ok(Self)
    }

    fn handle(&mut self, _: IndexMessage, _: &ActorRef<IndexMessage>) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

struct TestNode {
    host: Host,
    shelf: Shelf,
    downloads: DownloadsRef,
    /// Of its own transfers to each provider.
    connections: Option<NonZeroU8>,
    /// Whether what is taken back is waited for.
    returns: bool,
    told: Arc<Mutex<Vec<DownloadNotice>>>,
}

impl TestNode {
    async fn start(upload: Option<u64>) -> Self {
        let mut host = Host::node().await;
        let (_, index) = watch::channel(Arc::new(IndexSnapshot::default()));
        let shelf = Shelf::new(index, Access::everyone());
        let index = IndexRef(start::<NoIndex>((), None).await.expect("spawned").0);
        let throttle = Throttle::new(upload.and_then(Rate::bytes_per_second));
        let answers = host.answers(shelf.clone(), index, throttle).await;
        host.serve(answers);
        let downloads = Downloads::start(host.connections.clone(), shelf.clone(), None).await.expect("started");
        Self { host, shelf, downloads, connections: None, returns: true, told: Arc::default() }
    }

    /// What its transfers told.
    fn told(&self) -> Vec<DownloadNotice> {
        self.told.lock().expect("no panic").clone()
    }

    fn provider(&self) -> Provider {
        Provider { node: self.host.id(), addrs: vec![self.host.addr()] }
    }

    fn offer(&self, memory: Memory) -> Shelved {
        let id = memory.map.files()[0].id;
        self.offer_as(id, memory)
    }

    fn offer_as(&self, id: ContentId, memory: Memory) -> Shelved {
        self.shelf.place(id, Arc::new(memory), LeftOut::default(), (mpsc::channel(1).0, Serving::default()))
    }

    /// Begins (or goes on with) a transfer of these bytes in this node's home.
    async fn get(&self, bytes: &[u8], limit: Option<u64>, wait: Duration) -> Download {
        self.get_wanted(file(bytes), limit, wait).await
    }

    async fn get_wanted(&self, wanted: Wanted, limit: Option<u64>, wait: Duration) -> Download {
        let parent = SafeDir::open(self.host.home.path()).expect("home");
        let (partial, resumed) = Partial::open(&parent, PartialSpec::of(Arc::new(wanted))).expect("opened");
        let limit = limit.and_then(Rate::bytes_per_second);
        let request = TransferRequest {
            partial: Arc::new(partial),
            resumed,
            executable: false,
            left_out: LeftOut::default(),
            terms: Terms {
                returns: self.returns,
                throttle: Throttle::new(limit),
                wait,
                connections: self.connections,
                in_order: false,
                seed: rand::random(),
            },
            share: true,
            serving: Serving::default(),
            open: true,
            progress: watch::Sender::default(),
            tell: Tell::new({
                let told = Arc::clone(&self.told);
                move |notice| told.lock().expect("no panic").push(notice)
            }),
        };
        self.downloads.start(request).await.expect("started")
    }
}

fn file(bytes: &[u8]) -> Wanted {
    Wanted::file(ContentId::of(bytes), bytes.len() as u64).expect("small")
}

fn tree(collection: Collection) -> Wanted {
    let manifest = collection.manifest();
    Wanted::tree(ContentId::of(&manifest), collection, manifest).expect("small")
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

const LONG: Duration = Duration::from_secs(60);

async fn complete(download: &mut Download) -> Progress {
    let ended = tokio::time::timeout(LONG, download.ended()).await.expect("in time").expect("no failure");
    assert_eq!(ended, Ending::Complete, "{:?}", download.progress().borrow());
    download.progress().borrow().clone()
}

async fn incomplete(download: &mut Download) -> Shortfall {
    match tokio::time::timeout(LONG, download.ended()).await.expect("in time").expect("no failure") {
        Ending::Incomplete(shortfall) => shortfall,
        other => panic!("{other:?}"),
    }
}

async fn until(download: &Download, reached: impl FnMut(&Progress) -> bool) {
    tokio::time::timeout(LONG, download.progress().wait_for(reached)).await.expect("in time").expect("alive");
}

fn written(download: &Download) -> Vec<u8> {
    fs::read(download.source.partial.path()).expect("the partial file")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_provider_gives_a_whole_file() {
    let (giver, taker) = (TestNode::start(None).await, TestNode::start(None).await);
    for len in [1, 256 * KIB, 256 * KIB + 1, 5 * MIB + 3] {
        let bytes = noise(len);
        let _place = giver.offer(Memory::file(bytes.clone()));
        let mut download = taker.get(&bytes, None, LONG).await;
        download.providers(vec![giver.provider()]);
        let end = complete(&mut download).await;
        assert!(written(&download) == bytes, "{len} bytes");
        assert_eq!((end.bytes, end.fetched, end.total), (len as u64, len as u64, len as u64));
        assert_eq!(end.providers.iter().map(|p| p.bytes).collect::<Vec<_>>(), [len as u64]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_paced_providers_give_equal_shares() {
    let bytes = noise(24 * MIB);
    let taker = TestNode::start(None).await;
    let mut givers = Vec::new();
    for _ in 0..4 {
        let giver = TestNode::start(Some(6 << 20)).await;
        let place = giver.offer(Memory::file(bytes.clone()));
        givers.push((giver, place));
    }
    let mut download = taker.get(&bytes, None, LONG).await;
    // All at once: who is there first would give more.
    download.providers(givers.iter().map(|(giver, _)| giver.provider()).collect());
    let end = complete(&mut download).await;
    assert!(written(&download) == bytes);
    for provider in &end.providers {
        let percent = provider.bytes * 100 / bytes.len() as u64;
        assert!((15..=35).contains(&percent), "{percent} % in {:?}", end.providers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_named_and_barred_and_the_result_is_right() {
    let bytes = noise(6 * MIB);
    let (honest, liar, taker) =
        (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await, TestNode::start(None).await);
    let _honest = honest.offer(Memory::file(bytes.clone()));
    let _liar = liar.offer(Memory::lying(bytes.clone()));
    let mut download = taker.get(&bytes, None, LONG).await;
    download.providers(vec![honest.provider(), liar.provider()]);
    complete(&mut download).await;
    assert!(written(&download) == bytes);
    let id = liar.host.id();
    let lied = |notice: &DownloadNotice| matches!(notice, DownloadNotice::Lied { node, .. } if *node == id);
    assert!(taker.told().iter().any(lied), "{:?}", taker.told());
    drop(download);
    let parent = SafeDir::open(taker.host.home.path()).expect("home");
    let names = Names::of(ContentId::of(&bytes));
    while taker.host.home.path().join(names.journal.as_str()).exists() {
        // The actor lets go of the partial file when its last task has ended.
        Partial::discard(&parent, ContentId::of(&bytes)).expect("discarded");
        tokio::task::yield_now().await;
    }
    let mut again = taker.get(&bytes, None, Duration::from_millis(500)).await;
    again.providers(vec![liar.provider()]);
    let lies = incomplete(&mut again).await;
    assert_eq!(lies.providers.iter().map(|one| (one.node, one.why)).collect::<Vec<_>>(), [(liar.host.id(), Why::Lied)]);
    assert_eq!(again.progress().borrow().providers, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_transfer_goes_on_where_it_was() {
    let bytes = noise(12 * MIB);
    let (giver, taker) = (TestNode::start(Some(8 << 20)).await, TestNode::start(None).await);
    let _place = giver.offer(Memory::file(bytes.clone()));
    let mut download = taker.get(&bytes, None, LONG).await;
    download.providers(vec![giver.provider()]);
    until(&download, |now| now.bytes >= 3 << 20).await;
    download.cancel();
    assert_eq!(download.ended().await.expect("no failure"), Ending::Cancelled);
    let kept = download.progress().borrow().bytes;
    drop(download);
    let mut again = loop {
        // The actor lets go of the partial file when its last task has ended.
        let parent = SafeDir::open(taker.host.home.path()).expect("home");
        let spec = PartialSpec::of(Arc::new(file(&bytes)));
        if Partial::open(&parent, spec).is_ok() {
            break taker.get(&bytes, None, LONG).await;
        }
        tokio::task::yield_now().await;
    };
    again.providers(vec![giver.provider()]);
    let end = complete(&mut again).await;
    assert!(written(&again) == bytes);
    assert_eq!(end.bytes, bytes.len() as u64);
    assert!(end.fetched <= bytes.len() as u64 - kept, "{} fetched again though {kept} were kept", end.fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_goes_away_is_replaced() {
    let bytes = noise(16 * MIB);
    let (first, second, taker) =
        (TestNode::start(Some(8 << 20)).await, TestNode::start(Some(8 << 20)).await, TestNode::start(None).await);
    let (_one, _two) = (first.offer(Memory::file(bytes.clone())), second.offer(Memory::file(bytes.clone())));
    let mut download = taker.get(&bytes, None, LONG).await;
    download.providers(vec![first.provider(), second.provider()]);
    until(&download, |now| now.bytes >= 6 << 20).await;
    first.host.endpoint.close(Code::Closing).await;
    let end = complete(&mut download).await;
    assert!(written(&download) == bytes);
    assert!(end.providers.iter().all(|p| p.bytes > 0), "{:?}", end.providers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downloader_serves_from_its_first_unit() {
    let bytes = noise(8 * MIB);
    let (giver, one, two) =
        (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await, TestNode::start(None).await);
    let _place = giver.offer(Memory::file(bytes.clone()));
    let mut first = one.get(&bytes, None, LONG).await;
    let mut second = two.get(&bytes, None, LONG).await;
    first.providers(vec![giver.provider()]);
    // The second one knows only the first, which has nothing yet.
    second.providers(vec![one.provider()]);
    let (first_end, second_end) = tokio::join!(complete(&mut first), complete(&mut second));
    assert!(written(&first) == bytes && written(&second) == bytes);
    assert_eq!(second_end.providers.len(), 1);
    assert_eq!(first_end.fetched, second_end.fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_small_and_large_files_arrives() {
    let files: Vec<Vec<u8>> = (0..300).map(|n| noise(1 + n * 37)).chain([noise(700 * KIB), noise(MIB)]).collect();
    let entry = |(n, bytes): (usize, &Vec<u8>)| {
        let path = SafePath::parse(&format!("d{}/f{n:03}", n % 7)).expect("valid");
        (path, Entry::File { size: bytes.len() as u64, id: ContentId::of(bytes), executable: false })
    };
    let wanted = tree(Collection::new(files.iter().enumerate().map(entry).collect()).expect("sound"));
    let map = UnitMap::clone(&wanted.map);
    let in_order = map.files().iter().map(|f| files.iter().find(|b| ContentId::of(b) == f.id).expect("there").clone());
    let memory = Memory::new(Kind::Collection, map.clone(), in_order.collect());
    let (giver, taker) = (TestNode::start(None).await, TestNode::start(None).await);
    let _place = giver.offer_as(wanted.content.id, memory);
    let mut download = taker.get_wanted(wanted, None, LONG).await;
    download.providers(vec![giver.provider()]);
    complete(&mut download).await;
    let root = download.source.partial.path();
    let tree = download.source.partial.wanted().tree.clone().expect("a tree");
    for (path, entry) in tree.entries() {
        let Entry::File { id, .. } = entry else { continue };
        assert_eq!(ContentId::of(&fs::read(root.join(path.as_str())).expect("written")), *id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_it_ends_incomplete() {
    let taker = TestNode::start(None).await;
    let mut download = taker.get(&noise(MIB), None, Duration::from_millis(300)).await;
    assert_eq!(
        incomplete(&mut download).await,
        Shortfall { waited: Some(Duration::from_millis(300)), ..Shortfall::default() }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gets_the_bytes_in_order() {
    let bytes = noise(3 * MIB + 9);
    let (giver, taker) = (TestNode::start(None).await, TestNode::start(None).await);
    let _place = giver.offer(Memory::file(bytes.clone()));
    let mut download = taker.get(&bytes, Some(8 << 20), LONG).await;
    download.providers(vec![giver.provider()]);
    let mut stream = Vec::new();
    let delivered = download.source.deliver(&mut stream).await.expect("delivered");
    assert!(stream == bytes && delivered == bytes.len() as u64);
    complete(&mut download).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_takes_each_unit_about_once_from_the_source() {
    let bytes = noise(16 * MIB);
    let giver = TestNode::start(Some(6 << 20)).await;
    let _place = giver.offer(Memory::file(bytes.clone()));
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let node = TestNode::start(None).await;
        let download = node.get(&bytes, None, LONG).await;
        nodes.push((node, download));
    }
    let everybody: Vec<_> = nodes.iter().map(|(node, _)| node.provider()).chain([giver.provider()]).collect();
    for (node, download) in &nodes {
        let own = node.host.id();
        download.providers(everybody.iter().filter(|p| p.node != own).cloned().collect());
    }
    let mut given = 0;
    for (_, download) in &mut nodes {
        let end = complete(download).await;
        assert!(written(download) == bytes);
        given += end.providers.iter().find(|p| p.node == giver.host.id()).map_or(0, |p| p.bytes);
    }
    assert!(given <= 2 * bytes.len() as u64, "the source gave {given} bytes of {}", bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_delivered_when_the_transfer_ends_early() {
    let (taker, mut stream) = (TestNode::start(None).await, Vec::new());
    let mut download = taker.get(&noise(MIB), None, Duration::from_millis(300)).await;
    let source = Arc::clone(&download.source);
    tokio::select! {
        delivered = source.deliver(&mut stream) => panic!("{delivered:?}"),
        shortfall = incomplete(&mut download) => assert!(shortfall.waited.is_some()),
    }
    assert!(stream.is_empty());
}
