//! A peer that answers as a test tells it to: real endpoint, real frames, own identity, no other code of the node.
//! It announces itself at a real tracker. Honest unless its script says otherwise.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use qshare::actors::serve::Stream;
use qshare::io::home::identity::{Identity, LongTermKeys};
use qshare::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use qshare::io::net::frames;
use qshare::io::net::link::Link;
use qshare::model::units::chunk_list::{chunk_value, root};
use qshare::model::{
    ChunkIndex, ChunkList, Collection, ContentId, Epoch, Kind, Layout, NodeId, Offer, SafePath, UnitMap,
};
use qshare::wire::{
    Announce, Announced, Answer, Code, Delta, Fetch, HaveEvent, LeftOut, List, ListHead, ManifestHead, Request, Role,
    limits,
};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::Node;

/// What a script does with one request.
pub type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a peer does with each request.
pub type Script = Arc<dyn Fn(Request, Arc<Content>, Stream) -> Answering + Send + Sync>;

/// Something to offer, and all that is needed to serve it.
pub struct Content {
    pub id: ContentId,
    pub size: u64,
    pub map: UnitMap,
    files: Vec<(Vec<u8>, ChunkList)>,
    pub manifest: Vec<u8>,
}

impl Content {
    /// One file.
    pub fn file(bytes: &[u8]) -> Self {
        let list = list_of(bytes);
        let map = UnitMap::of_file(list.id(), bytes.len() as u64).expect("small");
        Self { id: list.id(), size: map.bytes(), map, files: vec![(bytes.to_vec(), list)], manifest: Vec::new() }
    }

    /// A tree whose list is these bytes, sound or not; it is served as far as it is sound.
    pub fn tree(manifest: &[u8], files: &[&[u8]]) -> Self {
        let parsed = Collection::parse(manifest).ok();
        let map = parsed.as_ref().and_then(UnitMap::of_collection);
        let map = map.unwrap_or_else(|| UnitMap::of_file(ContentId::of(b""), 0).expect("small"));
        let files = files.iter().map(|bytes| (bytes.to_vec(), list_of(bytes))).collect();
        let size = parsed.map_or(1, |collection| collection.bytes());
        Self { id: ContentId::of(manifest), size, map, files, manifest: manifest.to_vec() }
    }

    /// The bytes of the first file.
    pub fn first_file(&self) -> &[u8] {
        &self.files[0].0
    }

    /// The file with its list that a unit belongs to.
    fn of(&self, unit: u32) -> (&[u8], &ChunkList, std::ops::Range<usize>) {
        let place = self.map.place(unit).expect("asked for what is there");
        let id = self.map.files()[place.file].id;
        let (bytes, list) = self.files.iter().find(|(_, list)| list.id() == id).expect("every file is given");
        (bytes, list, place.offset as usize..(place.offset + place.len) as usize)
    }

    /// The bytes of a unit.
    pub fn unit(&self, unit: u32) -> &[u8] {
        let (bytes, _, range) = self.of(unit);
        &bytes[range]
    }
}

/// The chunk list of these bytes.
pub fn list_of(bytes: &[u8]) -> ChunkList {
    let layout = Layout::of(bytes.len() as u64).expect("small");
    let chunks = bytes.chunks(layout.chunk_size() as usize);
    if !layout.needs_list() {
        return ChunkList::new(ContentId::of(bytes), layout, Vec::new()).expect("its own");
    }
    let values: Vec<_> = (0..).zip(chunks).map(|(n, bytes)| chunk_value(layout, ChunkIndex(n), bytes)).collect();
    ChunkList::new(root(&values), layout, values).expect("its own")
}

/// The running peer.
pub struct Scripted {
    pub node: NodeId,
    pub asked: Arc<Asked>,
    _runtime: Runtime,
}

/// How often it was asked for what, and left.
#[derive(Debug, Default)]
pub struct Asked {
    watch: AtomicU32,
    list: AtomicU32,
    fetch: AtomicU32,
    manifest: AtomicU32,
    resolve: AtomicU32,
    ended: AtomicU32,
}

impl Asked {
    pub fn watches(&self) -> u32 {
        self.watch.load(Ordering::Relaxed)
    }

    pub fn lists(&self) -> u32 {
        self.list.load(Ordering::Relaxed)
    }

    pub fn fetches(&self) -> u32 {
        self.fetch.load(Ordering::Relaxed)
    }

    pub fn manifests(&self) -> u32 {
        self.manifest.load(Ordering::Relaxed)
    }

    /// Requests of whatever kind that it counts.
    pub fn all(&self) -> u32 {
        self.resolve.load(Ordering::Relaxed) + self.watches() + self.lists() + self.fetches() + self.manifests()
    }

    /// Connections of others than the tracker that have ended.
    pub fn ended(&self) -> u32 {
        self.ended.load(Ordering::Relaxed)
    }

    fn count(&self, request: &Request) {
        let counter = match request {
            Request::Fetch(_) => &self.fetch,
            Request::List(_) => &self.list,
            Request::Manifest(_) => &self.manifest,
            Request::Resolve(_) => &self.resolve,
            Request::Watch(_) => &self.watch,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a peer presents itself.
pub struct Guise {
    pub name: &'static str,
    pub kind: Kind,
    /// The size that its offer claims; its content's own without.
    pub size: Option<u64>,
    /// Closes every connection but the tracker's.
    pub closes: bool,
}

impl Guise {
    pub fn file(name: &'static str) -> Self {
        Self { name, kind: Kind::File, size: None, closes: false }
    }

    pub fn tree(name: &'static str) -> Self {
        Self { kind: Kind::Collection, ..Self::file(name) }
    }
}

impl Scripted {
    /// Starts it; the tracker knows its offer when this returns.
    pub fn start(tracker: &Node, guise: &Guise, content: Content, script: Script) -> Self {
        Self::start_at(tracker.target(), guise, content, script)
    }

    /// The same at a tracker that is another's.
    pub fn start_at(tracker: (SocketAddr, NodeId), guise: &Guise, content: Content, script: Script) -> Self {
        let size = guise.size.unwrap_or(content.size);
        let name = SafePath::parse(guise.name).expect("a name");
        let offer = Offer { kind: guise.kind, ..Offer::file(name, size, Some(content.id)) };
        let delta = Delta { add: vec![offer], ..Delta::default() };
        Self::announcing_at(tracker, &delta, guise.closes, content, script)
    }

    /// Starts it with any announcement at all.
    pub fn announcing(tracker: &Node, delta: &impl Serialize, closes: bool, content: Content, script: Script) -> Self {
        Self::announcing_at(tracker.target(), delta, closes, content, script)
    }

    /// The same at a tracker that is another's.
    pub fn announcing_at(
        (addr, id): (SocketAddr, NodeId),
        delta: &impl Serialize,
        closes: bool,
        content: Content,
        script: Script,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let asked = Arc::new(Asked::default());
        // Of providers that promise the same the one with the greater id is asked first.
        let drawn = (0..32).map(|_| Identity::ephemeral().expect("randomness"));
        let identity = Arc::new(drawn.max_by_key(Identity::node_id).expect("some"));
        let node = identity.node_id();
        let answered = runtime.block_on(async {
            let keys = LongTermKeys::ephemeral().expect("randomness");
            let listen = Listen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
            let endpoint = Endpoint::bind(identity, keys, EndpointOptions { listen, role: Role::Node }).expect("bound");
            let serving = Serving { content: Arc::new(content), script, asked: Arc::clone(&asked) };
            let peers = (!closes).then_some(serving);
            tokio::spawn(accept(endpoint.clone(), id, peers));
            let link = endpoint.dial(&[addr], Some(id)).await.expect("the tracker answers");
            let announced = announce(&link, endpoint.port(), delta).await;
            // Kept for the length of the test: the lease is longer.
            tokio::spawn(async move { link.closed().await });
            announced
        });
        if let Ok(announced) = answered {
            assert!(!announced.reachable.is_empty(), "the tracker reached it");
        }
        Self { node, asked, _runtime: runtime }
    }
}

async fn announce(link: &Link, port: u16, delta: &impl Serialize) -> Answer<Announced> {
    let head = Announce { epoch: Epoch(7), seq: 1, full: true, candidates: Vec::new(), port };
    let (mut to, mut from) = frames::open(link, &Request::Announce(head)).await.expect("opened");
    frames::send(&mut to, delta, limits::PAGE).await.expect("sent");
    let _ = to.finish();
    frames::receive::<Answer<Announced>>(&mut from, limits::CONTROL).await.expect("a frame").expect("an answer")
}

#[derive(Clone)]
struct Serving {
    content: Arc<Content>,
    script: Script,
    asked: Arc<Asked>,
}

async fn accept(endpoint: Endpoint, tracker: NodeId, serving: Option<Serving>) {
    while let Some(arrival) = endpoint.accept().await {
        let serving = serving.clone();
        tokio::spawn(async move {
            let Ok(link) = arrival.establish(Role::Node, |_| Ok(())).await else { return };
            match serving {
                None if link.peer() == tracker => drop(link.closed().await),
                None => link.close(Code::Internal),
                Some(serving) => {
                    serve(&link, &serving).await;
                    serving.asked.ended.fetch_add(u32::from(link.peer() != tracker), Ordering::Relaxed);
                }
            }
        });
    }
}

async fn serve(link: &Link, serving: &Serving) {
    while let Ok((send, mut recv)) = link.accept_stream().await {
        let Serving { content, script, asked } = serving.clone();
        tokio::spawn(async move {
            let Ok(request) = frames::receive_request(&mut recv).await else { return };
            asked.count(&request);
            script(request, content, Stream::new(send, recv)).await;
        });
    }
}

/// Always right.
pub async fn honest(request: Request, content: Arc<Content>, mut stream: Stream) {
    match request {
        Request::Fetch(fetch) => {
            let _ = stream.grant((), limits::CONTROL).await;
            for unit in units(&fetch) {
                let _ = stream.send.write_all(&record(unit, content.unit(unit))).await;
            }
            stream.finish();
        }
        Request::List(List { unit, .. }) => {
            let (bytes, list, _) = content.of(unit);
            let last = (list.layout().chunks() - 1) as usize * list.layout().chunk_size() as usize;
            send_list(stream, list.as_bytes(), &bytes[last..]).await;
        }
        Request::Manifest(_) => send_manifest(stream, &content.manifest).await,
        Request::Watch(_) => {
            let _ = stream.grant((), limits::CONTROL).await;
            let all = HaveEvent { complete: true, fetching: 1, ..HaveEvent::default() };
            let _ = frames::send(&mut stream.send, &all, limits::CONTROL).await;
            // Until the other side has heard enough.
            let _ = stream.send.stopped().await;
        }
        _ => stream.refuse(Code::Unsupported).await,
    }
}

/// The units that a request asks for.
pub fn units(fetch: &Fetch) -> Vec<u32> {
    fetch.units.iter().flat_map(|(first, count)| *first..first + count).take(fetch.max as usize).collect()
}

/// A unit as it travels.
pub fn record(unit: u32, bytes: &[u8]) -> Vec<u8> {
    let mut record = unit.to_be_bytes().to_vec();
    record.push(0);
    record.extend_from_slice(bytes);
    record
}

/// Answers with this list and last chunk.
pub async fn send_list(mut stream: Stream, values: &[u8], last: &[u8]) {
    let chunks = u32::try_from(values.len() / 32).expect("few");
    let _ = stream.grant(ListHead { chunks }, limits::CONTROL).await;
    let _ = stream.send.write_all(values).await;
    let _ = stream.send.write_all(last).await;
    stream.finish();
}

/// Answers with this list of a collection.
pub async fn send_manifest(mut stream: Stream, bytes: &[u8]) {
    let _ = stream.grant(ManifestHead { len: bytes.len() as u64, left_out: LeftOut::default() }, limits::CONTROL).await;
    let _ = stream.send.write_all(bytes).await;
    stream.finish();
}
