//! Work on the disk that may take a while: it is shown, and ends before anything is cleared away when a signal comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::activity::Activity;
use crate::cli::signals::Signals;

/// What the work tells and heeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    done: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

impl Watch {
    /// So many more bytes are done.
    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether to end early: the result is no longer wanted.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Work on the disk.
pub(super) struct DiskJob<F> {
    activity: Activity,
    total: u64,
    work: F,
}

impl<T: Send + 'static, F: FnOnce(&Watch) -> Result<T> + Send + 'static> DiskJob<F> {
    /// Work of unknown size.
    pub(super) fn new(context: &Context, what: &str, work: F) -> Self {
        Self { activity: Activity::start(&context.output, what), total: 0, work }
    }

    /// So many bytes are to be done.
    pub(super) fn of(self, total: u64) -> Self {
        Self { total, ..self }
    }

    /// Does it.
    pub(super) async fn run(self, signals: &mut Signals) -> Result<T> {
        self.activity.set(0, self.total);
        let watch = Watch { done: self.activity.counter(), ..Watch::default() };
        let (work, watched) = (self.work, watch.clone());
        let mut job = tokio::task::spawn_blocking(move || work(&watched));
        tokio::select! {
            result = &mut job => result.map_err(anyhow::Error::from)?,
            stop = signals.next() => {
                watch.cancelled.store(true, Ordering::Relaxed);
                // Whatever came of it: nothing of it may still be written when the stage is cleared.
                let _ = job.await;
                Err(Failure::Stopped(stop))
            }
        }
    }
}
