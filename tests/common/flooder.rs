//! A neighbour that keeps no rules: it joins a node, and sends what its script says as fast as it says, for ever. When it
//! is thrown out, it comes back. Real endpoint, real frames, no other code of the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qshare::io::home::identity::{Identity, LongTermKeys};
use qshare::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use qshare::io::net::frames;
use qshare::io::net::link::Link;
use qshare::model::{NodeId, QueryId};
use qshare::wire::{About, FloodQuery, Join, NeighbourFrame, Request, Role, Sought, encode, limits};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Between two bursts of frames.
const TICK: Duration = Duration::from_millis(10);

/// What it sends: the frame of each number, as bytes.
pub type Frames = fn(u64) -> Vec<u8>;

/// The neighbour, as long as this lives.
pub struct Flooder {
    told: Arc<Told>,
    _runtime: Runtime,
}

/// What it has done.
#[derive(Debug, Default)]
pub struct Told {
    /// Frames that were written.
    pub sent: AtomicU64,
    /// How often it became a neighbour.
    pub joined: AtomicU64,
    /// How often it was not let in.
    pub refused: AtomicU64,
}

impl Flooder {
    /// Floods a node from an address with so many frames a second; each time it is thrown out, as another node if
    /// `rotates`.
    pub fn start(from: [u8; 4], target: (SocketAddr, NodeId), rate: u64, rotates: bool, frames: Frames) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, told) = (runtime.expect("a runtime"), Arc::new(Told::default()));
        let counted = Arc::clone(&told);
        runtime.spawn(async move {
            let mut endpoint = endpoint(from);
            // What one has asked, another does not: what was seen before would be done at once.
            let mut number = u64::from(rand::random::<u32>()) << 24;
            loop {
                // Thrown out, or not let in: it comes back.
                let _ = flood(&endpoint, target, rate, frames, &mut number, &counted).await;
                if rotates {
                    endpoint = self::endpoint(from);
                }
                tokio::time::sleep(TICK).await;
            }
        });
        Self { told, _runtime: runtime }
    }

    /// What it has done so far.
    pub fn told(&self) -> (u64, u64, u64) {
        self.told.told()
    }

    /// The same as it goes on.
    pub fn counts(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }
}

impl Told {
    /// Sent, joined, refused.
    pub fn told(&self) -> (u64, u64, u64) {
        let Self { sent, joined, refused } = self;
        (sent.load(Ordering::Relaxed), joined.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
    }
}

fn endpoint(from: [u8; 4]) -> Endpoint {
    let (identity, keys) = (Identity::ephemeral().expect("randomness"), LongTermKeys::ephemeral().expect("randomness"));
    let options = EndpointOptions { listen: Listen::At(SocketAddr::from((from, 0))), role: Role::Node };
    Endpoint::bind(Arc::new(identity), keys, options).expect("bound")
}

async fn flood(
    endpoint: &Endpoint,
    (addr, node): (SocketAddr, NodeId),
    rate: u64,
    script: Frames,
    number: &mut u64,
    told: &Told,
) -> Option<()> {
    let link: Link = endpoint.dial(&[addr], Some(node)).await.ok()?;
    let about = About { offers: 1, ..About::default() };
    let request = Request::Join(Join { visiting: false, about });
    let Ok((_, mut send, mut recv)) = frames::call::<About>(&link, &request, limits::CONTROL).await else {
        told.refused.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    told.joined.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(
        async move { while let Ok(Some(_)) = frames::receive::<NeighbourFrame>(&mut recv, limits::PAGE).await {} },
    );
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        let count = (rate * u64::try_from(TICK.as_millis()).expect("few") / 1000).max(1);
        let bytes: Vec<u8> = (*number..*number + count).flat_map(script).collect();
        *number += count;
        // A node that reads slowly makes it wait; but not for ever, or it would never see that it was thrown out.
        let Ok(Ok(())) = timeout(Duration::from_secs(5), send.write_all(&bytes)).await else { return None };
        told.sent.fetch_add(count, Ordering::Relaxed);
    }
}

/// A query for words, far as it goes, under an id of its own.
pub fn query(number: u64, ttl: u8, words: &str) -> Vec<u8> {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    frame(&NeighbourFrame::Query(FloodQuery {
        id: QueryId::from_bytes(id),
        ttl,
        what: Sought::Words(vec![words.into()]),
    }))
}

/// A frame as it travels.
pub fn frame(frame: &NeighbourFrame) -> Vec<u8> {
    encode(frame, limits::PAGE).expect("small")
}

/// A node that lets everyone in and never says anything, as long as this lives.
pub struct Silent {
    pub addr: SocketAddr,
    _runtime: Runtime,
}

impl Silent {
    pub fn start(from: [u8; 4]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let addr = runtime.block_on(async {
            let endpoint = endpoint(from);
            let addr = endpoint.local_addr();
            tokio::spawn(async move {
                let mut links = Vec::new();
                while let Some(arrival) = endpoint.accept().await {
                    links.extend(arrival.establish(Role::Node, |_| Ok(())).await);
                }
            });
            addr
        });
        Self { addr, _runtime: runtime }
    }
}
