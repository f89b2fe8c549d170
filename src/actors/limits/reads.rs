//! Reads of a snapshot that may take long (one letter matches most of 50,000 names: 0.2 s), kept off the threads
//! that move packets. Each has a short turn first; what takes longer begins again in a lane for what is long, so that a cheap
//! question waits for the short turns of others and never for their long ones.
//! Invariant: at most as many run at once as the lanes have places; who comes later waits for its turn, holding only its
//! stream. A read whose asker has gone ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::limits::gauges::Gauges;
use crate::actors::limits::pool::{Pool, Taken};
use crate::logic::limits::shares::{Limits, Who};

/// Short turns under way; each takes a thread. Three at most are one network's, however many nodes it is: two, and half of the
/// reserve.
const SHORT: Limits = Limits { all: 4, network: 2, peer: 2, reserve: 2, modest: 1 };
/// Long reads under way; two at most are one network's: one, and half of the reserve.
const LONG: Limits = Limits { all: 4, network: 1, peer: 1, reserve: 2, modest: 1 };
/// What most questions need in a directory that is full, with something to spare; a processor is shared with others.
const TURN: Duration = Duration::from_millis(20);

/// Whether a read is to go on: it asks now and then, and gives up where not.
pub type Going<'a> = &'a dyn Fn() -> bool;

/// How long a read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// [`TURN`].
    Short,
    /// As long as it needs.
    Long,
}

/// The lanes in which a read is tried, one after the other.
pub const LANES: [Lane; 2] = [Lane::Short, Lane::Long];

/// The places; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reads {
    short: Pool,
    long: Pool,
}

/// A place for one read.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    place: Taken,
    length: Option<Duration>,
}

impl Default for Reads {
    fn default() -> Self {
        Self { short: Pool::new(SHORT), long: Pool::new(LONG) }
    }
}

impl Reads {
    /// Has its owner see how much of it is in use.
    pub fn show(&self, gauges: &mut Gauges) {
        gauges.pool("look-ups", &self.short);
        gauges.pool("look-ups that take longer", &self.long);
    }

    /// Waits for a place in a lane.
    pub async fn turn(&self, who: Who, lane: Lane) -> Turn {
        match lane {
            Lane::Short => Turn { place: self.short.take(who, 1).await, length: Some(TURN) },
            Lane::Long => Turn { place: self.long.take(who, 1).await, length: None },
        }
    }

    /// Runs a read in the lane that it needs; `None` when it panicked.
    pub async fn run<T, F>(&self, who: Who, read: F) -> Option<T>
    where
        T: Send + 'static,
        F: Fn(Going<'_>) -> Option<T> + Clone + Send + 'static,
    {
        for lane in LANES {
            let answer = self.turn(who, lane).await.run(read.clone()).await;
            if answer.is_some() {
                return answer;
            }
        }
        None
    }
}

impl Turn {
    /// Runs a read on a thread that may take its time; `None` when it did not end in its turn, or panicked.
    pub async fn run<T, F>(self, read: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(Going<'_>) -> Option<T> + Send + 'static,
    {
        let wanted = Arc::new(());
        let asker = Arc::downgrade(&wanted);
        let running = tokio::task::spawn_blocking(move || {
            let Self { place: _place, length } = self;
            let end = length.map(|length| Instant::now() + length);
            // The place is kept to the read's own end, though the task that waits for it may be gone before.
            read(&|| asker.strong_count() > 0 && end.is_none_or(|end| Instant::now() < end))
        });
        let answer = running.await.ok().flatten();
        drop(wanted);
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::model::NodeId;

    fn who(peer: u8) -> Who {
        Who { peer: NodeId::from_bytes([peer; 32]), network: [10, 0, 0, 1].into(), friend: false }
    }

    /// Never ends by itself.
    fn endless(going: Going<'_>) -> Option<()> {
        while going() {
            std::thread::yield_now();
        }
        None
    }

    #[tokio::test]
    async fn at_most_some_run_at_once() {
        let (reads, running) = (Reads::default(), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = mpsc::channel();
        let tasks: Vec<_> = (0..3 * SHORT.all)
            .map(|peer| {
                let who = who(u8::try_from(peer).expect("few"));
                let (reads, running, tell) = (reads.clone(), Arc::clone(&running), tell.clone());
                tokio::spawn(async move {
                    let read = move |_: Going<'_>| {
                        tell.send(running.fetch_add(1, Ordering::SeqCst) + 1).expect("the test lives");
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        Some(())
                    };
                    reads.run(who, read).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), Some(()));
        }
        drop(tell);
        let most = told.iter().max();
        assert!(most.is_some_and(|most| most < SHORT.all), "{most:?} at once of one network");
    }

    /// Forty-eight that never end, of one address, and an honest question of the same one.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_cheap_read_waits_for_no_long_one_and_what_nobody_waits_for_ends() {
        let reads = Reads::default();
        let dear: Vec<_> = (1..=48)
            .map(|peer| {
                let reads = reads.clone();
                tokio::spawn(async move { reads.run(who(peer), endless).await })
            })
            .collect();
        while reads.long.try_take(who(99), 1).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(reads.run(who(0), |_| Some(7)).await, Some(7));
        dear.iter().for_each(tokio::task::JoinHandle::abort);
        // Its turn comes when they have given their places back: this would not end otherwise.
        drop(reads.turn(who(0), Lane::Long).await);
    }
}
