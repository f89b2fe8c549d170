//! Who may be dialled, asked and received from next, while a collection's list is looked for. Invariant: whoever is late lets two
//! more come, so that however many are silent, the first that is not is asked soon; one, after a while, where much comes, as the
//! line may be what is slow; one by one while nobody is late.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::large::Large;

/// How many come instead of one that is late.
const MORE: usize = 2;
/// Whoever sends less than so many bytes in so long does not move.
const MOVES: (usize, Duration) = (2048, Duration::from_secs(2));
/// Where so much comes, the line may be what is slow, and each that is asked as well makes it slower: looked at so often,
const FAST: (u64, Duration) = (64 << 10, Duration::from_millis(250));
/// and this much of it is enough at first;
const BEGUN: u64 = 16 << 10;
/// one more comes then, after so long for each that was asked.
const EACH: Duration = Duration::from_secs(1);

/// All turns.
pub(super) struct Turns {
    /// To be dialled.
    dials: Semaphore,
    /// To be asked, of those that are connected.
    asks: Semaphore,
    /// To send more than is received from all at once.
    pub(super) large: Large,
    /// When somebody moved last.
    moved: Mutex<Option<Instant>>,
    /// How many were asked, and the bytes that came of all.
    asked: AtomicU32,
    came: AtomicU64,
}

/// What is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// The connection.
    Connection,
    /// What was asked for.
    Answer,
}

impl Turns {
    /// The first one's.
    pub(super) const fn new() -> Self {
        let [dials, asks] = [const { Semaphore::const_new(1) }; 2];
        Self {
            dials,
            asks,
            large: Large::new(),
            moved: Mutex::new(None),
            asked: AtomicU32::new(0),
            came: AtomicU64::new(0),
        }
    }

    /// Waits for the turn to dial one.
    pub(super) async fn dial(&self) {
        take(&self.dials).await;
    }

    /// Waits for the turn to ask one.
    pub(super) async fn ask(&self) {
        take(&self.asks).await;
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// One has failed: another comes instead.
    pub(super) fn failed(&self) {
        self.dials.add_permits(1);
        self.asks.add_permits(1);
    }

    /// Waits for what is to come; if it takes longer than `patience`, others are let go on meanwhile.
    pub(super) async fn patient<T>(&self, what: Late, patience: Duration, coming: impl Future<Output = T>) -> T {
        let (mut coming, before) = (std::pin::pin!(coming), self.came());
        if let Ok(came) = timeout(patience, &mut coming).await {
            return came;
        }
        let mut more = MORE;
        if what == Late::Answer && self.came() - before >= BEGUN {
            tokio::select! {
                came = &mut coming => return came,
                fast = self.stays_fast() => if fast { more = 1 },
            }
        }
        self.dials.add_permits(more);
        if what == Late::Answer {
            self.asks.add_permits(more);
        }
        coming.await
    }

    /// Waits while much comes, and no longer than that is a reason to.
    async fn stays_fast(&self) -> bool {
        let begun = Instant::now();
        loop {
            let before = self.came();
            sleep(FAST.1).await;
            if self.came() - before < FAST.0 {
                return false;
            }
            if begun.elapsed() >= EACH * self.asked.load(Ordering::Relaxed) {
                return true;
            }
        }
    }

    fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Whether somebody moves.
    pub(super) fn is_moving(&self) -> bool {
        self.moved.lock().is_ok_and(|moved| moved.is_some_and(|at| at.elapsed() < MOVES.1))
    }

    /// How far one is, when it was told last.
    pub(super) const fn moving(&self) -> Moving<'_> {
        Moving { turns: self, bytes: 0 }
    }
}

/// One that sends.
pub(super) struct Moving<'a> {
    turns: &'a Turns,
    bytes: usize,
}

impl Moving<'_> {
    /// So many bytes have come.
    pub(super) fn add(&mut self, bytes: usize) {
        self.turns.came.fetch_add(bytes as u64, Ordering::Relaxed);
        self.bytes += bytes;
        if self.bytes >= MOVES.0 {
            self.bytes = 0;
            if let Ok(mut moved) = self.turns.moved.lock() {
                *moved = Some(Instant::now());
            }
        }
    }
}

/// Never closed: who is dropped while it waits leaves its turn to others.
async fn take(turns: &Semaphore) {
    if let Ok(turn) = turns.acquire().await {
        turn.forget();
    }
}
