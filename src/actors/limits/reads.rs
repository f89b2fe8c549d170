//! Reads of a snapshot that may take long (one letter matches most of 50,000 names: 0.2 s), kept off the threads
//! that move packets. Invariant: at most `READS` run at once; who comes later waits for its turn, holding only its
//! stream.

use crate::actors::limits::pool::Pool;
use crate::logic::limits::shares::{Limits, Who};

/// Reads under way; each takes a thread. Three at most are one network's, however many nodes it is: two, and half of the
/// reserve.
const READS: Limits = Limits { all: 4, network: 2, peer: 2, reserve: 2, modest: 1 };

/// The permits; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reads(Pool);

impl Default for Reads {
    fn default() -> Self {
        Self(Pool::new(READS))
    }
}

impl Reads {
    /// Runs a read on a thread that may take its time; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, who: Who, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = self.0.take(who, 1).await;
        let running = tokio::task::spawn_blocking(move || {
            // Kept to the read's own end: the task that waits for it may be gone before.
            let _permit = permit;
            read()
        });
        running.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::model::NodeId;

    #[tokio::test]
    async fn at_most_some_run_at_once() {
        let (reads, running) = (Reads::default(), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = mpsc::channel();
        let tasks: Vec<_> = (0..3 * READS.all)
            .map(|peer| {
                let peer = NodeId::from_bytes([u8::try_from(peer).expect("few"); 32]);
                let who = Who { peer, network: [10, 0, 0, 1].into(), friend: false };
                let (reads, running, tell) = (reads.clone(), Arc::clone(&running), tell.clone());
                tokio::spawn(async move {
                    let read = move || {
                        tell.send(running.fetch_add(1, Ordering::SeqCst) + 1).expect("the test lives");
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
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
        assert!(most.is_some_and(|most| most < READS.all), "{most:?} at once of one network");
    }
}
