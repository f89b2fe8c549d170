//! Peers that ask for much and take little: the product's handshake, then bytes of their own on raw streams. A Fetch is
//! written by hand after `docs/protocol.md`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qshare::io::home::identity::{Identity, LongTermKeys};
use qshare::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use qshare::io::net::link::Link;
use qshare::model::NodeId;
use qshare::wire::Role;
use quinn::{RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What they do with what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Nothing is read.
    Nothing,
    /// The answer's head, and no more.
    Head,
    /// So many bytes, and no more.
    Some(usize),
    /// So many bytes a second.
    Slowly(u64),
    /// Nothing; the connection is closed after so many milliseconds, and another node asks from the same place.
    Gone(u64),
    /// The stream is stopped as soon as it is open, and asked again.
    Stopped,
}

/// What they fetch: an id, its size and its units.
#[derive(Debug, Clone, Copy)]
pub struct What {
    pub id: [u8; 32],
    pub size: u32,
    pub units: u32,
}

/// The peers, as long as this lives.
pub struct Readers {
    asked: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Readers {
    /// So many nodes, each with so many Fetches of everything at once; `from` gives the address of each.
    pub fn start(
        target: (SocketAddr, NodeId),
        what: What,
        (nodes, fetches): (u8, usize),
        from: fn(u8) -> [u8; 4],
        taking: Taking,
    ) -> Self {
        // They are not to win by taking the processor: what is tested is what is given to them.
        let yields = || {
            // Refused, it is only a harder test.
            let _ = rustix::process::nice(19);
        };
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).on_thread_start(yields).enable_all().build();
        let (runtime, asked) = (runtime.expect("a runtime"), Arc::new(AtomicU64::new(0)));
        for n in 0..nodes {
            let asked = Arc::clone(&asked);
            runtime.spawn(async move {
                loop {
                    // Not let in, or thrown out: it comes back.
                    let _ = take(target, what, fetches, from(n), taking, &asked).await;
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Self { asked, _runtime: runtime }
    }

    /// How many Fetches were written so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The same as it grows.
    pub fn counted(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.asked)
    }
}

/// One node's life.
async fn take(
    (addr, node): (SocketAddr, NodeId),
    what: What,
    fetches: usize,
    from: [u8; 4],
    taking: Taking,
    asked: &Arc<AtomicU64>,
) -> Option<()> {
    let (identity, keys) = (Identity::ephemeral().ok()?, LongTermKeys::ephemeral().ok()?);
    let options = EndpointOptions { listen: Listen::At(SocketAddr::from((from, 0))), role: Role::Node };
    let endpoint = Endpoint::bind(Arc::new(identity), keys, options).ok()?;
    let link: Link = endpoint.dial(&[addr], Some(node)).await.ok()?;
    let mut tasks = JoinSet::new();
    for _ in 0..fetches {
        let (link, asked) = (link.clone(), Arc::clone(asked));
        tasks.spawn(async move {
            while let Ok((mut send, recv)) = link.connection().open_bi().await {
                if send.write_all(&fetch(what)).await.is_err() {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                read(&mut send, recv, taking).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    if let Taking::Gone(millis) = taking {
        sleep(Duration::from_millis(millis)).await;
        tasks.abort_all();
        link.connection().close(0_u32.into(), b"");
        return Some(());
    }
    link.closed().await;
    Some(())
}

/// Takes what it takes, and then waits until the other side breaks it off.
async fn read(send: &mut SendStream, mut recv: RecvStream, taking: Taking) {
    let most = match taking {
        Taking::Nothing | Taking::Gone(_) => 0,
        Taking::Head => 5,
        Taking::Some(bytes) => bytes,
        Taking::Slowly(rate) => {
            let step = usize::try_from(rate.div_ceil(4)).expect("slow");
            let mut buffer = vec![0; step];
            while let Ok(Some(_)) = recv.read(&mut buffer).await {
                sleep(Duration::from_millis(step as u64 * 1000 / rate)).await;
            }
            return;
        }
        Taking::Stopped => {
            let _ = recv.stop(3_u32.into());
            return;
        }
    };
    let mut left = vec![0; most];
    if most > 0 && recv.read_exact(&mut left).await.is_err() {
        return;
    }
    let _ = send.finish();
    let _ = recv.received_reset().await;
}

/// A Fetch of all units, as it travels.
pub fn fetch(what: What) -> Vec<u8> {
    let mut value = vec![0x81, 0xa5];
    value.extend(b"Fetch");
    value.extend([0x84, 0xa2]);
    value.extend(b"id");
    value.extend([0xc4, 0x20]);
    value.extend(what.id);
    value.push(0xa4);
    value.extend(b"size");
    value.push(0xce);
    value.extend(what.size.to_be_bytes());
    value.push(0xa5);
    value.extend(b"units");
    value.extend([0x91, 0x92, 0x00, 0xce]);
    value.extend(what.units.to_be_bytes());
    value.push(0xa3);
    value.extend(b"max");
    value.push(0xce);
    value.extend(what.units.to_be_bytes());
    let len = u32::try_from(value.len()).expect("short");
    [&len.to_be_bytes()[..], &value].concat()
}
