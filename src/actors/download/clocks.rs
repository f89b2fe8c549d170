//! How long a transfer's tasks waited and worked, and for what: sums for its account, never for a decision.
//! Invariant: times only grow. Reading a clock costs tens of nanoseconds, so whole reads are timed, not packets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::logic::explain::{Spent, Waits};
use crate::model::NodeId;

/// A sum of times of work that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    /// Adds how long a piece of work takes.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let done = work();
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
        done
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What a stream waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Bytes,
    Room,
    Limit,
}

/// What the streams from one provider wait for. Streams queue up behind each other, so at each moment one cause holds
/// up the provider: the user's limit, else room, else bytes.
#[derive(Debug)]
pub(crate) struct StreamClocks(Mutex<StreamStates>);

#[derive(Debug)]
struct StreamStates {
    /// Streams that wait for bytes, room, the limit.
    waiting: [u32; 3],
    since: Instant,
    waits: Waits,
    /// Of it, what was told as held.
    told: Duration,
}

impl Default for StreamClocks {
    fn default() -> Self {
        Self(Mutex::new(StreamStates {
            waiting: [0; 3],
            since: Instant::now(),
            waits: Waits::default(),
            told: Duration::ZERO,
        }))
    }
}

impl StreamStates {
    /// Counts the time since the last change for what held the provider up.
    fn count(&mut self) {
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut self.since, now);
        match self.waiting.map(|streams| streams > 0) {
            [_, _, true] => self.waits.limit += passed,
            [_, true, false] => self.waits.room += passed,
            [true, false, false] => self.waits.bytes += passed,
            [false, false, false] => {}
        }
    }
}

impl StreamClocks {
    /// Waits, and counts for what.
    pub(crate) async fn over<T>(&self, wait: Wait, waiting: impl Future<Output = T>) -> T {
        let _waiting = Waiting::begin(self, wait);
        waiting.await
    }

    fn change(&self, change: impl FnOnce(&mut StreamStates)) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.count();
        change(&mut standing);
    }

    fn waits(&self) -> Waits {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.count();
        standing.waits
    }

    /// For how long this side has held up the provider since the last call.
    fn held(&self) -> Duration {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.count();
        let held = standing.waits.limit + standing.waits.room;
        held - std::mem::replace(&mut standing.told, held)
    }
}

/// One stream's wait; over when dropped, so that an aborted task waits no longer.
struct Waiting<'a>(&'a StreamClocks, Wait);

impl<'a> Waiting<'a> {
    fn begin(clocks: &'a StreamClocks, wait: Wait) -> Self {
        clocks.change(|standing| standing.waiting[wait as usize] += 1);
        Self(clocks, wait)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.change(|standing| standing.waiting[self.1 as usize] -= 1);
    }
}

/// All clocks of one transfer.
#[derive(Debug)]
pub(crate) struct Clocks {
    pub(crate) hashed: Clock,
    pub(crate) written: Clock,
    streams: Mutex<BTreeMap<NodeId, Arc<StreamClocks>>>,
    started: Instant,
    /// The work of each thread of the runtime until then.
    before: Vec<Duration>,
}

impl Clocks {
    /// Clocks that start now. Must be called within a tokio runtime.
    pub(crate) fn start() -> Self {
        Self {
            hashed: Clock::default(),
            written: Clock::default(),
            streams: Mutex::default(),
            started: Instant::now(),
            before: work_of_threads(),
        }
    }

    /// Those of a provider's streams.
    pub(crate) fn of(&self, node: NodeId) -> Arc<StreamClocks> {
        Arc::clone(self.streams.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default())
    }

    /// The providers that this side has held up since the last call, by the user's limit or for want of room, and how long.
    pub(crate) fn held(&self) -> Vec<(NodeId, Duration)> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().map(|(node, clocks)| (*node, clocks.held())).filter(|(_, time)| !time.is_zero()).collect()
    }

    /// What they show now; `idle` is how long nobody was asked for anything.
    pub(crate) fn spent(&self, idle: Duration) -> Spent {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let worked = work_of_threads().into_iter().zip(&self.before).map(|(now, before)| now.saturating_sub(*before));
        Spent {
            fetching: self.started.elapsed(),
            idle,
            streams: streams.iter().map(|(node, clocks)| (*node, clocks.waits())).collect(),
            hashed: self.hashed.total(),
            written: self.written.total(),
            busy: worked.max().unwrap_or_default(),
            ..Spent::default()
        }
    }
}

fn work_of_threads() -> Vec<Duration> {
    let metrics = Handle::current().metrics();
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_added_up() {
        let clocks = Clocks::start();
        let node = NodeId::from_bytes([1; 32]);
        let nap = Duration::from_millis(5);
        clocks.of(node).over(Wait::Bytes, tokio::time::sleep(nap)).await;
        clocks.of(node).over(Wait::Limit, tokio::time::sleep(nap)).await;
        clocks.hashed.during(|| std::thread::sleep(nap));
        let spent = clocks.spent(Duration::ZERO);
        assert_eq!(spent.streams.len(), 1);
        let waits = spent.streams[0].1;
        assert!(waits.bytes >= nap && waits.limit >= nap && waits.room == Duration::ZERO, "{waits:?}");
        assert_eq!(clocks.held(), [(node, waits.limit)], "bytes are the provider's");
        assert_eq!(clocks.held(), []);
        assert!(spent.hashed >= nap && spent.written == Duration::ZERO && spent.fetching >= 3 * nap);
    }

    #[tokio::test]
    async fn streams_that_queue_behind_one_without_room_wait_for_room() {
        let clocks = StreamClocks::default();
        let queued = Waiting::begin(&clocks, Wait::Bytes);
        let full = Waiting::begin(&clocks, Wait::Room);
        let before = clocks.waits();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let after = clocks.waits();
        assert!(after.room > before.room && after.bytes == before.bytes, "{before:?} {after:?}");
        drop(full);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(clocks.waits().bytes > after.bytes);
        drop(queued);
    }
}
