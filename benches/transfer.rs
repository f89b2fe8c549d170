//! A whole transfer over loopback, from the wish to the published file: one provider, and four at once.
//! All nodes are in this process, so its cores pay for every end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use qshare::model::{ContentId, PeerTarget};
use qshare::node::{
    Acknowledged, Event, GetRequest, Home, Lifetime, Listen, Node, Options, SurveyOptions, Tracker, TrackerOptions,
    What, survey,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BYTES: usize = 64 << 20;

fn transfers(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("transfer 64 MiB");
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(10));
    for providers in [1, 4] {
        let lab = runtime.block_on(Lab::open(providers));
        group.bench_function(format!("{providers} to 1"), |b| {
            b.iter_custom(|times| (0..times).map(|_| runtime.block_on(lab.fetch())).sum());
        });
        runtime.block_on(lab.close());
    }
    group.finish();
}

/// A tracker, providers of one file and a downloader.
struct Lab {
    dir: TempDir,
    id: ContentId,
    tracker: Tracker,
    nodes: Vec<Node>,
    downloader: Node,
}

impl Lab {
    async fn open(providers: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut content = vec![0; BYTES];
        blake3::Hasher::new().finalize_xof().fill(&mut content);
        let file = dir.path().join("file.bin");
        std::fs::write(&file, &content).expect("written");
        let of_tracker = options(&dir.path().join("tracker"), Vec::new());
        let (tracker, _) = Tracker::start(&of_tracker, TrackerOptions::default()).await.expect("started");
        let at: PeerTarget = format!("{}@{}", tracker.id(), tracker.addr()).parse().expect("a target");
        let mut nodes = Vec::new();
        for number in 0..providers {
            nodes.push(provider(&dir.path().join(number.to_string()), &at, &file).await);
        }
        let downloader = Node::start(options(&dir.path().join("downloader"), vec![at])).await.expect("started").0;
        Self { id: ContentId::of(&content), dir, tracker, nodes, downloader }
    }

    /// How long it takes to fetch the file once.
    async fn fetch(&self) -> Duration {
        let target: PathBuf = self.dir.path().join("fetched.bin");
        let request = GetRequest::new(What::Id(self.id)).output(target.clone());
        let started = now();
        let outcome = self.downloader.get(request).finish().await.expect("fetched");
        let elapsed = started.elapsed();
        assert_eq!(outcome.fetched, BYTES as u64);
        std::fs::remove_file(target).expect("published");
        elapsed
    }

    async fn close(self) {
        for node in self.nodes.iter().chain([&self.downloader]) {
            node.stop().await;
        }
        self.tracker.stop().await;
    }
}

/// A node that shares a file, when the tracker has its id.
async fn provider(home: &Path, tracker: &PeerTarget, file: &Path) -> Node {
    let (node, mut events) = Node::start(options(home, vec![tracker.clone()])).await.expect("started");
    node.share(survey(&[file.to_owned()], &SurveyOptions::default()).expect("a plan"));
    loop {
        match events.recv().await.expect("it runs") {
            Event::Announced(Acknowledged { offers, hashed, .. }) if offers > 0 && offers == hashed => break,
            _ => {}
        }
    }
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    node
}

fn options(home: &Path, trackers: Vec<PeerTarget>) -> Options {
    let listen = Listen::At("127.0.0.1:0".parse().expect("an address"));
    Options::new(Home::at(home.to_owned())).lifetime(Lifetime::LongRunning).listen(listen).trackers(trackers)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

criterion_group!(benches, transfers);
criterion_main!(benches);
