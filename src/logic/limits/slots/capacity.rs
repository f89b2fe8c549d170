//! How many uploads and requests there may be.

/// The sizes of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Uploads at once.
    pub slots: usize,
    /// More of them, for friends and for networks that hold less than half as many; half of them also for peers that have
    /// none.
    pub reserve: usize,
    /// Peers served at once, unless one of them has waited too long. Who takes next to nothing does not count, nor does
    /// what a network has beyond its share before one that has less than its own.
    pub peers: usize,
    /// Uploads at once for one peer.
    pub per_peer: usize,
    /// Requests that wait.
    pub queue: usize,
    /// Requests that wait for one peer.
    pub queue_per_peer: usize,
}

impl Capacity {
    /// All uploads that there can be at once.
    pub const fn most(&self) -> usize {
        self.slots + self.reserve
    }
}

impl Default for Capacity {
    /// 48 slots, three peers' quotas, hold a piece of 512 KiB each, 24 MiB in all; a third more for those who have none yet.
    /// The queue holds no buffers.
    fn default() -> Self {
        Self { slots: 48, reserve: 16, peers: 4, per_peer: 16, queue: 512, queue_per_peer: 48 }
    }
}
