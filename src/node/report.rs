//! Where a transfer stands, as its watchers see it: sampled state, never a queue.

use tokio::sync::watch;

use crate::model::SafePath;
use crate::node::types::{Phase, Progress};

/// The writing end of a [`Progress`]; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Report(std::sync::Arc<watch::Sender<Progress>>);

impl Report {
    pub(crate) fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(std::sync::Arc::new(sender)), receiver)
    }

    /// A new phase; bytes of the one before no longer count.
    pub(crate) fn phase(&self, phase: Phase) {
        self.0.send_modify(|progress| progress.phase = phase);
    }

    /// What is fetched, once known.
    pub(crate) fn name(&self, name: &SafePath) {
        self.0.send_modify(|progress| progress.name = Some(name.clone()));
    }

    /// Bytes done, of how many.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        self.0.send_modify(|progress| (progress.bytes, progress.total) = (done, total));
    }

    /// Something to tell the user.
    pub(crate) fn warn(&self, sentence: String) {
        tracing::debug!(%sentence, "warning");
        self.0.send_modify(|progress| progress.warnings.push(sentence));
    }

    /// Changes whatever else.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.0.send_modify(change);
    }

    /// As it is now.
    pub(crate) fn now(&self) -> Progress {
        self.0.borrow().clone()
    }
}
