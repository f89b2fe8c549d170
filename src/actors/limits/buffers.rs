//! A bounded pool of equal buffers: fresh pages cost a fault each, and memory stays flat when a disk stalls.
//! Invariant: at most `count` buffers exist; who finds none waits.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferPool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    permits: Arc<Semaphore>,
    count: usize,
    size: usize,
    /// As many free ones are kept.
    kept: usize,
}

/// A copy of what was in a buffer, and the room for it.
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
        Self { free: Arc::default(), permits: Arc::new(Semaphore::new(count)), count, size, kept: count }
    }

    /// Of those that are free no more than so many are kept: what many took at once is not held for good.
    #[must_use]
    pub fn keeping(self, kept: usize) -> Self {
        Self { kept, ..self }
    }

    /// The length of each buffer in bytes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// How many buffers are in use, and how many there are at most.
    #[must_use]
    pub fn used(&self) -> (usize, usize) {
        (self.count.saturating_sub(self.permits.available_permits()), self.count)
    }

    /// Whether more than two thirds of the buffers are free: then one may be lent for longer than a read takes.
    pub fn is_ample(&self) -> bool {
        self.permits.available_permits() > self.count / 3 * 2
    }

    /// The first `len` bytes of a buffer, without a copy, to whoever keeps them until a peer has acknowledged them; the
    /// buffer again when the pool is not ample: peers that do not read keep at most a third of it.
    ///
    /// # Errors
    /// The buffer, to be copied with [`Buffer::copy`].
    pub fn lend(&self, buffer: Buffer, len: usize) -> Result<Bytes, Buffer> {
        if self.is_ample() { Ok(buffer.into_bytes(len)) } else { Err(buffer) }
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
    pub fn into_bytes(self, len: usize) -> Bytes {
        Bytes::from_owner(self).slice(..len)
    }

    /// A copy of the first `len` bytes; the buffer goes back now, and the room with the last clone of them.
    pub fn copy(self, len: usize, room: OwnedSemaphorePermit) -> Bytes {
        Bytes::from_owner(Copied { bytes: self.as_ref()[..len].to_vec(), _room: room })
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
    async fn a_third_is_lent_and_what_is_copied_comes_back_at_once() {
        let pool = BufferPool::new(6, 8);
        let mut lent = Vec::new();
        let refused = loop {
            match pool.lend(pool.take().await, 5) {
                Ok(bytes) => lent.push(bytes),
                Err(buffer) => break buffer,
            }
        };
        assert_eq!((lent.len(), pool.permits.available_permits()), (1, 4));
        let room = Arc::new(Semaphore::new(1));
        let copy = refused.copy(5, Arc::clone(&room).try_acquire_owned().expect("free"));
        assert_eq!((copy.len(), pool.permits.available_permits(), room.available_permits()), (5, 5, 0));
        drop(copy);
        assert_eq!(room.available_permits(), 1);
    }

    fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
