//! A bounded pool of equal buffers: fresh pages cost a fault each, and memory stays flat when a disk stalls.
//! Invariant: at most `count` buffers exist, and copies of as many bytes as a third of them hold; who finds none waits.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferPool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    permits: Arc<Semaphore>,
    /// Room for copies, in KiB.
    copies: Arc<Semaphore>,
    count: usize,
    size: usize,
    /// As many free ones are kept.
    kept: usize,
}

/// A copy of what was in a buffer, and its room.
struct Copied {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
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
        let copies = Arc::new(Semaphore::new((count / 3 * size) >> 10));
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

    /// The first `len` bytes of a buffer, for whoever keeps them until a peer has acknowledged them: lent without a copy
    /// while the pool is ample, copied when buffers are short, so that peers that do not read keep at most a third of them;
    /// and as many bytes again in copies, for which this waits.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn lend(&self, buffer: Buffer, len: usize) -> Bytes {
        if self.is_ample() {
            return buffer.into_bytes(len);
        }
        let kibibytes = u32::try_from(len.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.copies).acquire_many_owned(kibibytes).await;
        let room = room.expect("the pool never closes its semaphore");
        Bytes::from_owner(Copied { bytes: buffer.as_ref()[..len].to_vec(), _room: room })
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
    use super::*;

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
        let copy = pool.lend(first, 1 << 10).await;
        assert_eq!((copy.len(), pool.permits.available_permits()), (1 << 10, 1), "the buffer is free again");
        let mut waits = Box::pin(pool.lend(second, 5));
        assert!(futures_poll(&mut waits).is_pending(), "one buffer's worth of copies");
        drop(copy);
        assert_eq!(waits.await.len(), 5);
        drop(third);
    }

    fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
