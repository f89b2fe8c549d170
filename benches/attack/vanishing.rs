//! Peers that ask for much on fresh connections and are gone in mid-answer: closed, or silent from one moment to the next,
//! as when their power fails.

use std::fmt::Debug;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime as _, TokioRuntime, UdpPoller};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::common::raw::{Windows, newcomer};

/// How they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    /// With a goodbye.
    Closing,
    /// Without a word: whoever serves them learns it by waiting.
    Silently,
}

/// Peers that are replaced by others as they go; gone for good when this is dropped.
pub(crate) struct Vanishing {
    asked: Arc<AtomicU64>,
    _runtime: Runtime,
}

/// Requests of a connection.
const REQUESTS: usize = 40;
/// How long after them it goes, one after the other.
const AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(300), Duration::from_secs(1)];

impl Vanishing {
    /// So many at once; `from` gives the address of each, which rests between two connections.
    pub(crate) fn start(
        (count, from): (u8, fn(u8) -> Ipv4Addr),
        to: SocketAddr,
        requests: Vec<Vec<u8>>,
        (goes, rest): (Goes, Duration),
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, asked, requests) = (runtime.expect("a runtime"), Arc::default(), Arc::new(requests));
        for n in 0..count {
            let (asked, requests) = (Arc::clone(&asked), Arc::clone(&requests));
            runtime.spawn(async move {
                // Not all at the same moment.
                sleep(rest * u32::from(n) / u32::from(count)).await;
                for after in AFTER.into_iter().cycle().skip(usize::from(n)) {
                    // Not let in: it comes back.
                    if come(from(n), to, &requests, (goes, after), &asked).await.is_none() {
                        sleep(Duration::from_millis(500)).await;
                    }
                    sleep(rest).await;
                }
            });
        }
        Self { asked, _runtime: runtime }
    }

    /// How many requests were written, as it grows.
    pub(crate) fn counted(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.asked)
    }
}

/// One connection from a port of its own.
async fn come(
    from: Ipv4Addr,
    to: SocketAddr,
    requests: &[Vec<u8>],
    (goes, after): (Goes, Duration),
    asked: &AtomicU64,
) -> Option<()> {
    let socket = TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind((from, 0)).ok()?).ok()?;
    let dead = Arc::new(AtomicBool::new(false));
    let socket = Arc::new(Mortal { socket, dead: Arc::clone(&dead) });
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime).ok()?;
    let link = endpoint.connect_with(newcomer(Windows::Open), to, "x").ok()?.await.ok()?;
    let mut open = Vec::new();
    for request in requests.iter().cycle().take(REQUESTS) {
        let (mut send, recv) = link.open_bi().await.ok()?;
        send.write_all(request).await.ok()?;
        asked.fetch_add(1, Ordering::Relaxed);
        open.push((send, recv));
    }
    sleep(after).await;
    dead.store(goes == Goes::Silently, Ordering::Relaxed);
    link.close(0_u32.into(), b"");
    if goes == Goes::Closing {
        endpoint.wait_idle().await;
    }
    Some(())
}

/// A socket from which nothing comes once it is dead.
#[derive(Debug)]
struct Mortal {
    socket: Arc<dyn AsyncUdpSocket>,
    dead: Arc<AtomicBool>,
}

impl AsyncUdpSocket for Mortal {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.dead.load(Ordering::Relaxed) { Ok(()) } else { self.socket.try_send(transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
