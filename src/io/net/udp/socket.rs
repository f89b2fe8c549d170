//! The socket that quinn sends through: it splits what is too long for one send, and joins what would be many.
//! Quinn hands over at most ten datagrams at a time, and each send costs the kernel the same for one as for 64 KiB.
//! Invariant: datagrams to one destination leave in the order in which they came; at most one send's worth for each of
//! [`BATCHES`] waits to be joined, and what waits because the kernel is full makes the next `try_send` to that destination
//! say so. Receiving is quinn's own.

use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::batch::{Batch, MAX_SEND, pieces};

/// The most that generic receive offload joins, in bytes.
const MAX_RECEIVED: usize = 65_536;
/// Turns that the connections get to add to a batch before it leaves.
const TURNS: usize = 2;
/// Batches that wait at the same time: of connections that send in turns each keeps its own, and those on several
/// threads seldom wait for each other.
const BATCHES: usize = 16;
/// Datagrams that quinn may hand over at once in a crowd.
const IN_A_CROWD: usize = 2;

/// Splits and joins batches.
#[derive(Debug)]
pub(super) struct BatchSocket {
    out: Arc<Out>,
    max_payload: u16,
    /// Quinn keeps for each connection the longest batch that it ever handed over: ten datagrams of this machine's are
    /// 360 KiB, and dead connections last as long as others.
    crowded: Arc<AtomicBool>,
}

/// The sending half, shared with the task that sends what waits.
#[derive(Debug)]
struct Out {
    inner: Arc<dyn AsyncUdpSocket>,
    /// A destination's batch is always the same one.
    batches: [Mutex<Batch>; BATCHES],
    /// Nobody will send any more.
    closed: AtomicBool,
    wake: Notify,
}

impl BatchSocket {
    /// Must be called within a tokio runtime.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, max_payload: u16, crowded: Arc<AtomicBool>) -> Self {
        let batches = std::array::from_fn(|_| Mutex::new(Batch::new()));
        let out = Arc::new(Out { inner, batches, closed: AtomicBool::new(false), wake: Notify::new() });
        tokio::spawn(send_what_waits(Arc::clone(&out)));
        Self { out, max_payload, crowded }
    }
}

impl Drop for BatchSocket {
    fn drop(&mut self) {
        self.out.closed.store(true, Ordering::Relaxed);
        for batch in &self.out.batches {
            // What the kernel does not take now is lost, as any datagram may be.
            let _ = self.out.send(&mut lock(batch));
        }
        self.out.wake.notify_one();
    }
}

impl Out {
    fn send(&self, batch: &mut Batch) -> io::Result<()> {
        batch.send(|piece| self.inner.try_send(piece))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let most = self.inner.max_transmit_segments();
        let mut batch = lock(&self.batches[place_of(transmit.destination)]);
        if !batch.is_empty() {
            if batch.add(transmit, most) {
                return self.joined(&mut batch, transmit, most);
            }
            self.send(&mut batch)?;
        }
        if may_grow(transmit, most) {
            batch.begin(transmit);
            self.wake.notify_one();
            return Ok(());
        }
        let mut sent = 0;
        for piece in pieces(transmit) {
            match self.inner.try_send(&piece) {
                Err(error) if sent > 0 && error.kind() == io::ErrorKind::WouldBlock => {
                    // Quinn would send the whole again; so the rest waits here.
                    let contents = &transmit.contents[sent..];
                    batch.begin(&Transmit { contents, ..copy_of(transmit) });
                    self.wake.notify_one();
                    return Ok(());
                }
                other => other?,
            }
            sent += piece.contents.len();
        }
        Ok(())
    }

    /// A batch that cannot grow any more leaves at once; if the kernel is full it waits, and the next send is told.
    fn joined(&self, batch: &mut Batch, transmit: &Transmit<'_>, most: usize) -> io::Result<()> {
        if batch.takes_more(transmit.contents.len(), most) {
            return Ok(());
        }
        match self.send(batch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }
}

/// A panic elsewhere leaves a batch whole, or a send short as any datagram may be.
fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a destination's batch is. That a peer can choose to share one with others costs them no more than the joining.
fn place_of(destination: SocketAddr) -> usize {
    let mut hasher = DefaultHasher::new();
    destination.hash(&mut hasher);
    usize::try_from(hasher.finish() % BATCHES as u64).unwrap_or(0)
}

/// Whether a batch like this is worth holding for another one: full segments, of which one send takes twice as many.
/// Acknowledgements and all that is small leave at once.
fn may_grow(transmit: &Transmit<'_>, most: usize) -> bool {
    let len = transmit.contents.len();
    transmit
        .segment_size
        .is_some_and(|size| size < len && len.is_multiple_of(size) && 2 * len <= MAX_SEND && 2 * (len / size) <= most)
}

const fn copy_of<'a>(transmit: &Transmit<'a>) -> Transmit<'a> {
    Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn,
        contents: transmit.contents,
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    }
}

/// Sends each batch after a few turns of the other tasks, or when the kernel has room again.
async fn send_what_waits(out: Arc<Out>) {
    let mut poller = Arc::clone(&out.inner).create_io_poller();
    loop {
        out.wake.notified().await;
        if out.closed.load(Ordering::Relaxed) {
            return;
        }
        for _ in 0..TURNS {
            yield_now().await;
        }
        for batch in &out.batches {
            while matches!(out.send(&mut lock(batch)), Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                // An error here shows at the next send too.
                let _ = poll_fn(|cx| poller.as_mut().poll_writable(cx)).await;
            }
        }
    }
}

impl AsyncUdpSocket for BatchSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.out.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.out.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.out.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.out.inner.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.out.inner.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        let most = self.out.inner.max_transmit_segments();
        if self.crowded.load(Ordering::Relaxed) { most.min(IN_A_CROWD) } else { most }
    }

    /// Quinn's receive buffer is this times the greatest payload times 32: the offload's own limit is enough, or
    /// the buffer would be 134 MB.
    fn max_receive_segments(&self) -> usize {
        let enough = MAX_RECEIVED.div_ceil(usize::from(self.max_payload));
        if self.out.inner.max_receive_segments() == 1 { 1 } else { enough }
    }
}

#[cfg(test)]
mod tests;
