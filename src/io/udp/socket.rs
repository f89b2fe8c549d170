//! The socket that quinn sends through: it splits what is too long for one send, and joins what would be many.
//! Quinn hands over at most ten datagrams at a time, and each send costs the kernel the same for one as for 64 KiB.
//! Invariant: datagrams leave in the order in which they came; at most one send's worth waits to be joined, and what
//! waits because the kernel is full makes the next `try_send` say so. Receiving is quinn's own.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
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

/// Splits and joins batches.
#[derive(Debug)]
pub(super) struct BatchSocket {
    out: Arc<Out>,
    max_payload: u16,
}

/// The sending half, shared with the task that sends what waits.
#[derive(Debug)]
struct Out {
    inner: Arc<dyn AsyncUdpSocket>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    /// Nobody will send any more.
    closed: bool,
}

impl BatchSocket {
    /// Must be called within a tokio runtime.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, max_payload: u16) -> Self {
        let state = Mutex::new(State { batch: Batch::new(), closed: false });
        let out = Arc::new(Out { inner, state, wake: Notify::new() });
        tokio::spawn(send_what_waits(Arc::clone(&out)));
        Self { out, max_payload }
    }
}

impl Drop for BatchSocket {
    fn drop(&mut self) {
        let mut state = self.out.state();
        state.closed = true;
        // What the kernel does not take now is lost, as any datagram may be.
        let _ = self.out.send(&mut state);
        drop(state);
        self.out.wake.notify_one();
    }
}

impl Out {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, state: &mut State) -> io::Result<()> {
        state.batch.send(|piece| self.inner.try_send(piece))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let most = self.inner.max_transmit_segments();
        let mut state = self.state();
        if !state.batch.is_empty() {
            if state.batch.add(transmit, most) {
                return self.joined(&mut state, transmit, most);
            }
            self.send(&mut state)?;
        }
        if may_grow(transmit, most) {
            state.batch.begin(transmit);
            self.wake.notify_one();
            return Ok(());
        }
        let mut sent = 0;
        for piece in pieces(transmit) {
            match self.inner.try_send(&piece) {
                Err(error) if sent > 0 && error.kind() == io::ErrorKind::WouldBlock => {
                    // Quinn would send the whole again; so the rest waits here.
                    let contents = &transmit.contents[sent..];
                    state.batch.begin(&Transmit { contents, ..copy_of(transmit) });
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
    fn joined(&self, state: &mut State, transmit: &Transmit<'_>, most: usize) -> io::Result<()> {
        if state.batch.takes_more(transmit.contents.len(), most) {
            return Ok(());
        }
        match self.send(state) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }
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
        if out.state().closed {
            return;
        }
        for _ in 0..TURNS {
            yield_now().await;
        }
        while matches!(out.send(&mut out.state()), Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            // An error here shows at the next send too.
            let _ = poll_fn(|cx| poller.as_mut().poll_writable(cx)).await;
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
        self.out.inner.max_transmit_segments()
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
