//! What strangers claim, as bytes: hits, pages of a tracker that somebody made up, collections of whatever lines; and a
//! place that never wanted to be dialled.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qshare::io::home::identity::{Identity, LongTermKeys};
use qshare::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use qshare::model::ContentId;
use qshare::wire::{Request, Role};
use tokio::runtime::Runtime;

use super::Node;
use super::scripted::{Answering, Content, Guise, Scripted, honest};

/// MessagePack, by hand.
#[derive(Clone, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn map(mut self, entries: u8) -> Self {
        self.0.push(0x80 | entries);
        self
    }

    pub fn key(mut self, text: &str) -> Self {
        self.0.push(0xa0 | u8::try_from(text.len()).expect("short"));
        self.0.extend(text.as_bytes());
        self
    }

    pub fn text(mut self, text: &str) -> Self {
        self.0.push(0xda);
        self.0.extend(u16::try_from(text.len()).expect("a name").to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub fn list(mut self, len: usize) -> Self {
        self.0.push(0xdd);
        self.0.extend(u32::try_from(len).expect("a page").to_be_bytes());
        self
    }

    pub fn number(mut self, n: u64) -> Self {
        self.0.push(0xcf);
        self.0.extend(n.to_be_bytes());
        self
    }

    pub fn id(mut self, id: &[u8; 32]) -> Self {
        self.0.extend([0xc4, 32]);
        self.0.extend(id);
        self
    }

    pub fn bool(mut self, yes: bool) -> Self {
        self.0.push(0xc2 | u8::from(yes));
        self
    }

    pub fn addr(self, addr: SocketAddr) -> Self {
        let SocketAddr::V4(v4) = addr else { panic!("IPv4 is enough here") };
        let mut this = self.map(1).key("V4");
        this.0.extend([0x92, 0x94]);
        v4.ip().octets().into_iter().for_each(|byte| this.0.extend([0xcc, byte]));
        this.0.push(0xcd);
        this.0.extend(v4.port().to_be_bytes());
        this
    }

    pub fn then(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    pub fn frame(&self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).expect("a page");
        [&len.to_be_bytes()[..], &self.0].concat()
    }
}

/// A hit as a tracker would tell of it, with as many names, providers and addresses as one likes.
pub fn hit(id: ContentId, size: u64, names: &[String], providers: &[([u8; 32], Vec<SocketAddr>)]) -> Bytes {
    hit_of("file", id, size, names, providers)
}

/// The same of a `file` or a `collection`.
pub fn hit_of(
    kind: &str,
    id: ContentId,
    size: u64,
    names: &[String],
    providers: &[([u8; 32], Vec<SocketAddr>)],
) -> Bytes {
    let mut hit = Bytes::default().map(7).key("id").id(id.as_bytes()).key("kind").key(kind);
    hit = hit.key("size").number(size).key("files").number(1).key("locked").bool(false);
    hit = hit.key("names").list(names.len());
    for name in names {
        hit = hit.text(name);
    }
    hit = hit.key("providers").list(providers.len());
    for (node, addrs) in providers {
        hit = hit.map(2).key("node").id(node).key("addrs").list(addrs.len());
        hit = addrs.iter().fold(hit, |hit, addr| hit.addr(*addr));
    }
    hit
}

pub fn page(hits: &[Bytes]) -> Vec<u8> {
    let page = Bytes::default().map(1).key("Ok").map(2).key("hits").list(hits.len());
    let page = hits.iter().cloned().fold(page, Bytes::then);
    page.key("more").number(0).frame()
}

/// A tracker of whoever wrote the test: it answers searches and locates with these bytes, and follows with this event.
pub struct FakeTracker {
    pub addr: SocketAddr,
    _runtime: Runtime,
}

impl FakeTracker {
    pub fn start(answer: Vec<u8>, event: Vec<u8>) -> Self {
        Self::start_late(answer, event, Duration::ZERO)
    }

    /// The same, whose answers come so long after they were asked for.
    pub fn start_late(answer: Vec<u8>, event: Vec<u8>, wait: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let identity = Arc::new(Identity::ephemeral().expect("randomness"));
        let addr = runtime.block_on(async {
            let keys = LongTermKeys::ephemeral().expect("randomness");
            let listen = Listen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
            let options = EndpointOptions { listen, role: Role::Tracker };
            let endpoint = Endpoint::bind(identity, keys, options).expect("bound");
            let addr = endpoint.local_addr();
            tokio::spawn(async move {
                while let Some(arrival) = endpoint.accept().await {
                    let (answer, event) = (answer.clone(), event.clone());
                    tokio::spawn(async move {
                        let Ok(link) = arrival.establish(Role::Tracker, |_| Ok(())).await else { return };
                        while let Ok((mut send, mut recv)) = link.accept_stream().await {
                            let (answer, event) = (answer.clone(), event.clone());
                            tokio::spawn(async move {
                                let Ok(request) = qshare::io::net::frames::receive_request(&mut recv).await else {
                                    return;
                                };
                                match request {
                                    Request::Search(_) | Request::Locate(_) => {
                                        tokio::time::sleep(wait).await;
                                        drop(send.write_all(&answer).await);
                                    }
                                    Request::Follow(_) => {
                                        let unit = Bytes::default().map(1).key("Ok").0;
                                        let _ = send.write_all(&[&[0, 0, 0, 5][..], &unit, &[0xc0]].concat()).await;
                                        let _ = send.write_all(&event).await;
                                        let _ = send.stopped().await;
                                    }
                                    _ => {}
                                }
                                let _ = send.finish();
                            });
                        }
                    });
                }
            });
            addr
        });
        Self { addr, _runtime: runtime }
    }

    pub fn of(hits: &[Bytes]) -> Self {
        Self::start(page(hits), Vec::new())
    }
}

pub fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("thing {n}")).collect()
}

pub fn providers(count: u8, addrs: &[SocketAddr]) -> Vec<([u8; 32], Vec<SocketAddr>)> {
    (0..count).map(|n| ([n + 1; 32], addrs.to_vec())).collect()
}

/// Counts the packets that come to an address, and never answers.
pub struct Victim {
    pub addr: SocketAddr,
    packets: Arc<AtomicUsize>,
    dials: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl Victim {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (addr, packets) = (socket.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
        let dials = Arc::new(Mutex::new(HashSet::new()));
        let (counted, begun) = (Arc::clone(&packets), Arc::clone(&dials));
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((len, _)) = socket.recv_from(&mut buffer) {
                counted.fetch_add(1, Ordering::Relaxed);
                // A long header: a byte, four of the version, and the length of the destination's connection id before it, which
                // stays the same however often a packet of one dial is sent again.
                let packet = &buffer[..len];
                let id = packet.get(5).and_then(|length| packet.get(6..6 + usize::from(*length)));
                begun.lock().expect("no panic").insert(id.expect("a long header").to_vec());
            }
        });
        Self { addr, packets, dials }
    }

    /// How often it was dialled.
    pub fn dials(&self) -> usize {
        self.dials.lock().expect("no panic").len()
    }

    /// The same as it grows.
    pub fn counted(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.packets)
    }

    pub fn packets(&self) -> usize {
        self.packets.load(Ordering::Relaxed)
    }
}

/// A collection of whatever lines, offered by a node that serves them.
pub fn offered(tracker: &Node, lines: String) -> (Scripted, String) {
    let mut content = Content::file(b"x");
    content.manifest = [b"qshare-collection-1\n", lines.as_bytes()].concat();
    content.id = ContentId::of(&content.manifest);
    let (id, script) = (
        content.id.to_string(),
        Arc::new(|request, content, stream| -> Answering { Box::pin(honest(request, content, stream)) }),
    );
    (Scripted::start(tracker, &Guise::tree("big"), content, script), id)
}
