//! Where a transfer stands, as its watchers see it: sampled state, never a queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::actors::download::Tell;
use crate::model::{ContentId, NodeId, Plane, SafePath};
use crate::node::types::{GetNotice, Hashing, Notice, Phase, Progress};

/// The writing end of a [`Progress`]; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    progress: watch::Sender<Progress>,
    /// What went wrong so far; only ever grows.
    notices: watch::Sender<Vec<Notice>>,
    phases: Arc<Mutex<Phases>>,
}

/// How long each phase took.
#[derive(Debug)]
struct Phases {
    now: Phase,
    since: Instant,
    took: BTreeMap<Phase, Duration>,
}

impl Phases {
    fn go_to(&mut self, next: Phase) {
        let now = Instant::now();
        *self.took.entry(self.now).or_default() += now - std::mem::replace(&mut self.since, now);
        self.now = next;
    }
}

impl Report {
    pub(crate) fn new() -> Self {
        let phases = Phases { now: Phase::default(), since: Instant::now(), took: BTreeMap::new() };
        Self {
            progress: watch::Sender::default(),
            notices: watch::Sender::default(),
            phases: Arc::new(Mutex::new(phases)),
        }
    }

    /// Where a transfer shows how far it is.
    pub(crate) fn progress(&self) -> watch::Sender<Progress> {
        self.progress.clone()
    }

    /// A new phase; what was hashed in the one before no longer counts.
    pub(crate) fn phase(&self, phase: Phase) {
        tracing::info!(?phase, "a new phase");
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).go_to(phase);
        self.progress.send_modify(|progress| (progress.phase, progress.hashing) = (phase, None));
    }

    /// How long a phase has taken until now, all its times together.
    pub(crate) fn took(&self, phase: Phase) -> Duration {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let now = phases.now;
        phases.go_to(now);
        phases.took.get(&phase).copied().unwrap_or_default()
    }

    /// What is fetched, once known.
    pub(crate) fn name(&self, name: &SafePath, id: ContentId) {
        self.progress.send_modify(|progress| (progress.name, progress.id) = (Some(name.clone()), Some(id)));
    }

    /// Where it was found.
    pub(crate) fn plane(&self, plane: Plane) {
        self.progress.send_modify(|progress| progress.plane = Some(plane));
    }

    /// How large it is, once known.
    pub(crate) fn total(&self, total: u64) {
        self.progress.send_modify(|progress| progress.total = total);
    }

    /// Bytes proven, of how many.
    pub(crate) fn bytes(&self, proven: u64, total: u64) {
        self.progress.send_modify(|progress| {
            (progress.bytes, progress.total, progress.hashing) = (proven, total, None);
        });
    }

    /// Bytes hashed, of how many: by a provider, or here.
    pub(crate) fn hashing(&self, done: u64, total: u64, node: Option<NodeId>) {
        self.progress.send_modify(|progress| progress.hashing = Some(Hashing { done, total, node }));
    }

    /// What went wrong so far.
    pub(crate) fn notices(&self) -> watch::Receiver<Vec<Notice>> {
        self.notices.subscribe()
    }

    /// To whom the transfer tells what goes wrong.
    pub(crate) fn tell(&self) -> Tell {
        let report = self.clone();
        Tell::new(move |notice| report.warn(GetNotice::Download(notice)))
    }

    /// Something to tell the user, unless it was told already.
    pub(crate) fn warn(&self, notice: impl Into<Notice>) {
        let notice = notice.into();
        self.notices.send_if_modified(|told| {
            let new = !told.contains(&notice);
            told.extend(Some(notice).filter(|_| new));
            new
        });
    }

    /// Changes whatever else.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// As it is now.
    pub(crate) fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_is_never_taken_for_what_is_proven() {
        let report = Report::new();
        report.total(9);
        report.phase(Phase::Hashing);
        report.hashing(5, 8, None);
        let now = report.now();
        assert_eq!((now.bytes, now.fetched, now.total), (0, 0, 9));
        assert_eq!(now.hashing, Some(Hashing { done: 5, total: 8, node: None }));
        report.phase(Phase::Fetching);
        assert_eq!(report.now().hashing, None);
        report.hashing(8, 8, Some(NodeId::of_public_key(b"n")));
        report.bytes(9, 9);
        assert_eq!((report.now().bytes, report.now().hashing), (9, None));
    }
}
