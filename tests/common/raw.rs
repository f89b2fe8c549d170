//! A peer that writes its own bytes: QUIC with windows of its own and MessagePack by hand, none of the node's code above
//! the handshake. It keeps no rules but those of QUIC, and reads nothing.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qshare::io::home::identity::Identity;
use qshare::io::net::purpose::Purpose;
use qshare::io::net::tls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// MessagePack: a string of at most 65,535 bytes.
pub fn text(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("short");
    [&[0xda][..], &len.to_be_bytes(), text.as_bytes()].concat()
}

/// MessagePack: a number.
pub fn number(n: u64) -> Vec<u8> {
    [&[0xcf][..], &n.to_be_bytes()].concat()
}

/// MessagePack: 32 bytes.
pub fn id(bytes: &[u8; 32]) -> Vec<u8> {
    [&[0xc4, 32][..], bytes].concat()
}

/// MessagePack: at most 15 values.
pub fn array(values: &[Vec<u8>]) -> Vec<u8> {
    [&[0x90 | u8::try_from(values.len()).expect("few")][..], &values.concat()].concat()
}

/// MessagePack: at most 15 named values.
pub fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<u8> = fields.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
    [&[0x80 | u8::try_from(fields.len()).expect("few")][..], &pairs].concat()
}

/// A frame.
pub fn frame(value: &[u8]) -> Vec<u8> {
    [&u32::try_from(value.len()).expect("short").to_be_bytes()[..], value].concat()
}

/// The request for hits of these words.
pub fn search(words: &str) -> Vec<u8> {
    let words = array(&[text(words)]);
    frame(&map(&[("Search", map(&[("words", words), ("limit", number(200)), ("skip", number(0))]))]))
}

/// The head of an announcement that another node than ours would make.
pub fn announce() -> Vec<u8> {
    let fields = [("epoch", number(9)), ("seq", number(1)), ("full", vec![0xc3]), ("candidates", array(&[]))];
    let fields = [&fields[..], &[("port", number(9))]].concat();
    frame(&map(&[("Announce", map(&fields))]))
}

/// The same, and so many bytes of a page that claims a megabyte.
pub fn claimed(bytes: usize) -> Vec<u8> {
    [&announce()[..], &[0, 16, 0, 0], &vec![0x81; bytes]].concat()
}

/// The request to be told of a file as it grows, or of who has it.
pub fn about(what: &str, content: &[u8; 32], size: u64) -> Vec<u8> {
    let mut fields = vec![("id", id(content)), ("size", number(size))];
    if what == "Follow" {
        fields.push(("kind", text("file")));
    }
    frame(&map(&[(what, map(&fields))]))
}

/// How a stream of a storm ends.
pub type Ending = fn(&mut SendStream, &mut RecvStream);

/// Streams that are opened and ended again and again: what is written, and how they end.
pub fn storms(content: &[u8; 32], size: u64) -> [(&'static str, Vec<u8>, Ending); 3] {
    let reset = |send: &mut SendStream, recv: &mut RecvStream| {
        // Ended by the other side already.
        let _ = (send.reset(VarInt::from_u32(3)), recv.stop(VarInt::from_u32(3)));
    };
    let stop = |send: &mut SendStream, recv: &mut RecvStream| {
        // Ended by the other side already.
        let _ = (send.finish(), recv.stop(VarInt::from_u32(3)));
    };
    [
        ("opened and reset", vec![0, 0, 1, 0, 0x81], reset),
        ("asked and stopped", search("e"), stop),
        ("asked about and reset", about("Watch", content, size), reset),
    ]
}

/// Streams that a connection may have open.
pub const STREAMS: usize = 64;

/// How much the peers let come before they read, which they never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Hardly more than Welcome needs, without which nobody is served.
    Closed,
    /// A kilobyte of each stream.
    Narrow,
    Open,
}

/// Many peers at one node, all from this machine's one address; they are gone when this is dropped.
pub struct Crowd {
    runtime: Runtime,
    endpoint: Endpoint,
    asked: Arc<AtomicU64>,
    pub links: Vec<Connection>,
}

impl Crowd {
    /// So many connections, of as many nodes.
    pub fn at(addr: &str, count: usize, windows: Windows) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let addr: SocketAddr = addr.parse().expect("an address");
        let (endpoint, links) = runtime.block_on(async {
            let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
            let mut links = Vec::new();
            for _ in 0..count {
                let connecting = endpoint.connect_with(newcomer(windows), addr, "x").expect("valid");
                links.push(connecting.await.expect("let in"));
            }
            (endpoint, links)
        });
        Self { runtime, endpoint, links, asked: Arc::default() }
    }

    /// All of it is gone at once, and no packet says so.
    pub fn vanish(self, open: Vec<(SendStream, RecvStream)>) {
        let Self { runtime, endpoint, links, .. } = self;
        std::mem::forget((open, links, endpoint));
        runtime.shutdown_background();
    }

    /// Streams and connections that were opened by what goes on for ever.
    pub fn asked(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.asked)
    }

    /// Writes these bytes on so many streams of every connection, and leaves them open.
    pub fn write(&self, streams: usize, bytes: &[u8]) -> Vec<(SendStream, RecvStream)> {
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for link in &self.links {
                for _ in 0..streams {
                    let (mut send, recv) = link.open_bi().await.expect("streams enough");
                    send.write_all(bytes).await.expect("taken");
                    open.push((send, recv));
                }
            }
            open
        })
    }

    /// Waits until every one of these streams has been answered something.
    pub fn answered(&self, open: &mut [(SendStream, RecvStream)]) {
        self.runtime.block_on(async {
            for (_, recv) in open {
                // Refused or reset is an answer, too.
                let _ = recv.read(&mut [0]).await;
            }
        });
    }

    /// Goes on for ever: opens streams with these bytes, and ends them as `ends` says.
    pub fn storm(&self, bytes: Vec<u8>, ends: Ending) {
        for link in self.links.clone() {
            let (bytes, asked) = (bytes.clone(), self.asked());
            self.runtime.spawn(async move {
                while let Ok((mut send, mut recv)) = link.open_bi().await {
                    asked.fetch_add(1, Ordering::Relaxed);
                    // Refused or gone: the next one.
                    let _ = send.write_all(&bytes).await;
                    ends(&mut send, &mut recv);
                    sleep(Duration::from_millis(1)).await;
                }
            });
        }
    }

    /// Goes on for ever: so many streams of every connection have these bytes, a new one when one has ended, and one byte
    /// more each so often. Nothing is read.
    pub fn keep(&self, streams: usize, bytes: &[u8], each: Duration) {
        for link in self.links.iter().flat_map(|link| vec![link.clone(); streams]) {
            let (bytes, asked) = (bytes.to_vec(), self.asked());
            self.runtime.spawn(async move {
                while let Ok((mut send, recv)) = link.open_bi().await {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let mut sent = send.write_all(&bytes).await;
                    while sent.is_ok() {
                        sleep(each).await;
                        sent = send.write_all(&[0x81]).await;
                    }
                    drop(recv);
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }

    /// Goes on for ever: opens connections and closes them.
    pub fn come_and_go(&self, addr: &str) {
        let (endpoint, addr): (Endpoint, SocketAddr) = (self.endpoint.clone(), addr.parse().expect("an address"));
        let asked = self.asked();
        self.runtime.spawn(async move {
            let config = newcomer(Windows::Open);
            while let Ok(connecting) = endpoint.connect_with(config.clone(), addr, "x") {
                asked.fetch_add(1, Ordering::Relaxed);
                // Let in or not, it is closed.
                drop(connecting.await);
            }
        });
    }
}

/// How another node than ours would come.
pub fn newcomer(windows: Windows) -> ClientConfig {
    let identity = Identity::ephemeral().expect("randomness");
    let tls = tls::client_config(&identity, Purpose::Link).expect("a key");
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("AES")));
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_secs(3)));
    match windows {
        Windows::Closed => {
            transport.stream_receive_window(VarInt::from_u32(128));
        }
        Windows::Narrow => {
            transport.stream_receive_window(VarInt::from_u32(1000));
        }
        Windows::Open => {}
    }
    config.transport_config(Arc::new(transport));
    config
}

/// So many first packets of handshakes that nobody goes on with, each of another one.
pub fn beginnings(count: usize) -> Vec<Vec<u8>> {
    let catcher = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (runtime, to) = (runtime.expect("a runtime"), catcher.local_addr().expect("bound"));
    let _inside = runtime.enter();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let config = newcomer(Windows::Open);
    let first = |_| {
        // Its first packet is sent once it is asked what has become of it; dropped, it is given up.
        let connecting = endpoint.connect_with(config.clone(), to, "x").expect("valid");
        let mut buffer = [0; 2048];
        loop {
            let len = catcher.recv(&mut buffer).expect("it is sent");
            // A long header, and of an Initial packet: others are closes of those before.
            if buffer[0] & 0xf0 == 0xc0 && len >= 1200 {
                drop(connecting);
                return buffer[..len].to_vec();
            }
        }
    };
    (0..count).map(first).collect()
}
