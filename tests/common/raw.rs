//! A peer that writes its own bytes: QUIC with windows of its own and MessagePack by hand, none of the node's code above
//! the handshake. It keeps no rules but those of QUIC, and reads nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use qshare::io::identity::Identity;
use qshare::io::purpose::Purpose;
use qshare::io::tls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use tokio::runtime::Runtime;

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

/// The request to be told of a file as it grows, or of who has it.
pub fn about(what: &str, content: &[u8; 32], size: u64) -> Vec<u8> {
    let mut fields = vec![("id", id(content)), ("size", number(size))];
    if what == "Follow" {
        fields.push(("kind", text("file")));
    }
    frame(&map(&[(what, map(&fields))]))
}

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
        Self { runtime, endpoint, links }
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
    pub fn storm(&self, bytes: Vec<u8>, ends: fn(&mut SendStream, &mut RecvStream)) {
        for link in self.links.clone() {
            let bytes = bytes.clone();
            self.runtime.spawn(async move {
                while let Ok((mut send, mut recv)) = link.open_bi().await {
                    // Refused or gone: the next one.
                    let _ = send.write_all(&bytes).await;
                    ends(&mut send, &mut recv);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
    }

    /// Goes on for ever: opens connections and closes them.
    pub fn come_and_go(&self, addr: &str) {
        let (endpoint, addr): (Endpoint, SocketAddr) = (self.endpoint.clone(), addr.parse().expect("an address"));
        self.runtime.spawn(async move {
            let config = newcomer(Windows::Open);
            while let Ok(connecting) = endpoint.connect_with(config.clone(), addr, "x") {
                // Let in or not, it is closed.
                drop(connecting.await);
            }
        });
    }
}

fn newcomer(windows: Windows) -> ClientConfig {
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
