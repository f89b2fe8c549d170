//! Who may send more of a list than is received from all at once. Invariant: what those have claimed who send is in memory at
//! most once; the least claim comes first, so that no number of great ones keeps a small one waiting.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::collection::MAX_MANIFEST;

/// Whoever sends is not sent away before so long, twice as long each time it is asked again;
const TERM: Duration = Duration::from_secs(2);
/// nor where the rest takes at most so many times what it took so far, at its rate: if one waits that needs less, and if those who
/// wait need as much, for they are hardly faster.
const REST: (u32, u32) = (1, 32);

/// All turns.
#[derive(Debug)]
pub(super) struct Large {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Bytes for which there is room.
    free: usize,
    /// Who waits: the bytes it needs, and its number.
    waiting: BTreeSet<(usize, u64)>,
    next: u64,
}

/// One that waits.
struct Place<'a> {
    turns: &'a Large,
    key: (usize, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.change(|state| state.waiting.remove(&self.key));
    }
}

/// The right to send so many bytes, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Large,
    bytes: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.change(|state| state.free += self.bytes);
    }
}

impl Large {
    /// Room for the longest list there may be.
    pub(super) const fn new() -> Self {
        let state = State { free: MAX_MANIFEST, waiting: BTreeSet::new(), next: 0 };
        Self { state: Mutex::new(state), changed: Notify::const_new() }
    }

    /// Waits for the turn to receive so many bytes of one.
    pub(super) async fn take(&self, bytes: usize) -> Turn<'_> {
        let place = self.enter(bytes.min(MAX_MANIFEST));
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(turn) = self.give(place.key) {
                return turn;
            }
            changed.await;
        }
    }

    fn enter(&self, bytes: usize) -> Place<'_> {
        let mut state = self.lock();
        let key = (bytes, state.next);
        state.next += 1;
        state.waiting.insert(key);
        Place { turns: self, key }
    }

    /// To the first that waits, once there is room.
    fn give(&self, key: (usize, u64)) -> Option<Turn<'_>> {
        let mut state = self.lock();
        let (bytes, _) = key;
        if state.waiting.first() != Some(&key) || state.free < bytes {
            return None;
        }
        state.free -= bytes;
        Some(Turn { turns: self, bytes })
    }

    /// Whether one that has sent `had` of `all` bytes in so long, asked for the n-th time, has to make room for those who wait.
    pub(super) fn is_over(&self, (had, all): (usize, usize), lasted: Duration, times: u32) -> bool {
        let term = TERM * 2_u32.saturating_pow(times.saturating_sub(1)).min(1 << 10);
        if lasted < term {
            return false;
        }
        let Some((least, _)) = self.lock().waiting.first().copied() else { return false };
        let times = if least < all { REST.0 } else { REST.1 };
        (all - had) as f64 > had as f64 * f64::from(times)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    const MIB: usize = 1 << 20;

    async fn waits(turn: impl Future<Output = Turn<'_>>) -> bool {
        timeout(Duration::ZERO, turn).await.is_err()
    }

    #[tokio::test]
    async fn the_least_claim_comes_first_and_all_fit_that_have_room() {
        let turns = Large::new();
        let whole = turns.take(MAX_MANIFEST).await;
        let (mut great, mut small, mut less) =
            (Box::pin(turns.take(MAX_MANIFEST)), Box::pin(turns.take(3 * MIB)), Box::pin(turns.take(2 * MIB)));
        assert!(waits(&mut great).await && waits(&mut small).await && waits(&mut less).await);
        drop(whole);
        assert!(waits(&mut great).await, "others need less");
        let (less, small) = (less.await, small.await);
        assert!(waits(&mut great).await, "no room beside them");
        drop((less, small));
        great.await;
    }

    #[tokio::test]
    async fn one_that_waits_no_longer_keeps_nobody_waiting() {
        let turns = Arc::new(Large::new());
        let held = turns.take(MAX_MANIFEST).await;
        let mut gone = Box::pin(turns.take(MIB));
        assert!(waits(&mut gone).await);
        let second = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { drop(turns.take(2 * MIB).await) }
        });
        drop(gone);
        drop(held);
        second.await.expect("its turn");
    }

    #[tokio::test]
    async fn whoever_is_slow_makes_room_for_those_who_wait() {
        let (turns, s) = (Large::new(), Duration::from_secs);
        let _held = turns.take(MAX_MANIFEST).await;
        let over = |mib, seconds, times| turns.is_over((mib * MIB, 100 * MIB), s(seconds), times);
        assert!(!over(1, 60, 1), "nobody waits");
        let mut same = Box::pin(turns.take(100 * MIB));
        assert!(waits(&mut same).await);
        assert!(over(0, 2, 1) && over(3, 60, 1) && !over(0, 1, 1));
        assert!(!over(4, 2, 1), "the other is hardly faster");
        let mut less = Box::pin(turns.take(MIB));
        assert!(waits(&mut less).await);
        assert!(over(40, 2, 1) && !over(60, 2, 1), "it is there soon");
        assert!(!over(40, 3, 2) && over(40, 4, 2), "asked again it has longer");
    }
}
