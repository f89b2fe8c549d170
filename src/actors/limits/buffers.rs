//! A bounded pool of equal buffers: fresh pages cost a fault each, and memory stays flat when a disk stalls.
//! Invariant: at most `count` buffers exist, and copies of as many bytes as a third of them hold, divided by peer and by
//! network; who finds none waits.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actors::limits::pool::{Pool, Taken};
use crate::logic::limits::shares::{Limits, Who};

/// The pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferPool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    permits: Arc<Semaphore>,
    /// Room for copies, in KiB.
    copies: Pool,
    count: usize,
    size: usize,
    /// As many free ones are kept.
    kept: usize,
}

/// A copy of what was in a buffer, and its room.
struct Copied {
    bytes: Vec<u8>,
    _room: Taken,
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A buffer of the pool's size; goes back when dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    kept: usize,
    _permit: OwnedSemaphorePermit,
}

impl BufferPool {
    /// At most `count` buffers of `size` bytes, made when first needed.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        let copies = Pool::new(division((count / 3 * size) >> 10));
        let permits = Arc::new(Semaphore::new(count));
        Self { free: Arc::default(), permits, copies, count, size, kept: count }
    }

    /// Of those that are free no more than so many are kept: what many took at once is not held for good.
    #[must_use]
    pub fn keeping(self, kept: usize) -> Self {
        Self { kept, ..self }
    }

    /// The length of each buffer in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether more than two thirds of the buffers are free: then one may be lent for longer than a read takes.
    #[must_use]
    pub fn is_ample(&self) -> bool {
        self.permits.available_permits() > self.count / 3 * 2
    }

    /// The first `len` bytes of a buffer, for `who`, who keeps them until it has acknowledged them: lent without a copy while
    /// the pool is ample, copied when buffers are short, so that peers that do not read keep at most a third of them; and
    /// as many bytes again in copies, for which this waits when all or its share of them is taken.
    pub async fn lend(&self, buffer: Buffer, len: usize, who: Who) -> Bytes {
        if self.is_ample() {
            return buffer.into_bytes(len);
        }
        let room = self.copies.take(who, len.div_ceil(1 << 10)).await;
        Bytes::from_owner(Copied { bytes: buffer.as_ref()[..len].to_vec(), _room: room })
    }

    /// Whether the peer has copies that it did not acknowledge yet: who has none and waits in [`BufferPool::lend`] waits for
    /// others.
    #[must_use]
    pub fn has_copies(&self, who: Who) -> bool {
        self.copies.held(who.peer) > 0
    }

    /// Waits for a buffer.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn take(&self) -> Buffer {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the pool never closes its semaphore");
        let recycled = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = recycled.unwrap_or_else(|| vec![0; self.size]);
        Buffer { bytes, free: Arc::clone(&self.free), kept: self.kept, _permit: permit }
    }
}

/// How room for so many KiB of copies is divided: who comes and goes leaves its copies behind until they time out.
fn division(all: usize) -> Limits {
    Limits { all, network: (all / 2).max(1), peer: (all / 4).max(1), reserve: all / 4, modest: all / 32 }
}

impl Buffer {
    /// The first `len` bytes, without a copy; the buffer goes back to the pool with the last clone of them.
    #[must_use]
    pub fn into_bytes(self, len: usize) -> Bytes {
        Bytes::from_owner(self).slice(..len)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.kept {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::NodeId;

    fn who(peer: u8) -> Who {
        Who { peer: NodeId::from_bytes([peer; 32]), network: IpAddr::from([10, 0, peer, 1]), friend: false }
    }

    #[tokio::test]
    async fn a_taker_waits_until_a_buffer_returns() {
        let pool = BufferPool::new(1, 8);
        let first = pool.take().await;
        let mut second = Box::pin(pool.take());
        assert!(futures_poll(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.as_ref().len(), 8);
    }

    #[tokio::test]
    async fn bytes_keep_their_buffer_until_the_last_is_gone() {
        let pool = BufferPool::new(3, 8);
        assert!(pool.is_ample());
        let bytes = pool.take().await.into_bytes(5);
        assert_eq!((bytes.len(), pool.is_ample()), (5, false));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(!pool.is_ample());
        drop(part);
        assert!(pool.is_ample());
    }

    #[tokio::test]
    async fn what_many_took_at_once_is_not_kept() {
        let pool = BufferPool::new(3, 8).keeping(1);
        let taken = (pool.take().await, pool.take().await, pool.take().await);
        drop(taken);
        assert_eq!(pool.free.lock().expect("no panic").len(), 1);
        let _again = (pool.take().await, pool.take().await, pool.take().await);
    }

    /// What peers do not acknowledge is bounded, lent or copied.
    #[tokio::test]
    async fn copies_have_room_until_they_are_gone() {
        let pool = BufferPool::new(3, 1 << 10);
        let (first, second, third) = (pool.take().await, pool.take().await, pool.take().await);
        let copy = pool.lend(first, 1 << 10, who(1)).await;
        assert_eq!((copy.len(), pool.permits.available_permits()), (1 << 10, 1), "the buffer is free again");
        let mut waits = Box::pin(pool.lend(second, 5, who(2)));
        assert!(futures_poll(&mut waits).is_pending(), "one buffer's worth of copies");
        assert!(pool.has_copies(who(1)) && !pool.has_copies(who(2)), "it waits for another");
        drop(copy);
        assert_eq!(waits.await.len(), 5);
        drop(third);
    }

    /// What some leave unacknowledged is not waited for by others.
    #[tokio::test]
    async fn a_peer_and_a_network_have_a_share_of_the_copies() {
        let pool = BufferPool::new(24, 1 << 10);
        let mut kept = Vec::new();
        while pool.is_ample() {
            kept.push(pool.take().await.into_bytes(1));
        }
        for _ in 0..2 {
            kept.push(pool.lend(pool.take().await, 1 << 10, who(1)).await);
        }
        let mut waits = Box::pin(pool.lend(pool.take().await, 1 << 10, who(1)));
        assert!(futures_poll(&mut waits).is_pending(), "a quarter of eight");
        assert_eq!(pool.lend(pool.take().await, 1 << 10, who(2)).await.len(), 1 << 10);
        kept.clear();
        assert_eq!(waits.await.len(), 1 << 10);
    }

    fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
