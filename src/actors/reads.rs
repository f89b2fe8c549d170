//! Reads of a snapshot that may take long (one letter matches most of 50,000 names: 0.2 s), kept off the threads
//! that move packets. Invariant: at most `READS` run at once; who comes later waits, holding only its stream.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Reads under way; each takes a thread.
const READS: usize = 4;

/// The permits; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READS)))
    }
}

impl Reads {
    /// Runs a read on a thread that may take its time; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
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
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn at_most_some_run_at_once() {
        let (reads, running) = (Reads::default(), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = mpsc::channel();
        let tasks: Vec<_> = (0..3 * READS)
            .map(|_| {
                let (reads, running, tell) = (reads.clone(), Arc::clone(&running), tell.clone());
                tokio::spawn(async move {
                    let read = move || {
                        tell.send(running.fetch_add(1, Ordering::SeqCst) + 1).expect("the test lives");
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    reads.run(read).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), Some(()));
        }
        drop(tell);
        let most = told.iter().max();
        assert!(most.is_some_and(|most| most <= READS), "{most:?} at once");
    }
}
