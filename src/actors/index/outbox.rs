//! What the index has to say, while nobody has room for it.
//! Invariant: bounded; the same notice is given once, one about a passing trouble once while it lasts.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::actors::index::{IndexEvent, IndexNotice};

/// The most events that wait, and the most notices that are remembered.
const MOST: usize = 10_000;

/// Events on their way.
#[derive(Debug)]
pub(super) struct Outbox {
    to: mpsc::Sender<IndexEvent>,
    waiting: VecDeque<IndexEvent>,
    said: HashSet<IndexNotice>,
    troubled: HashSet<PathBuf>,
}

impl Outbox {
    pub(super) fn new(to: mpsc::Sender<IndexEvent>) -> Self {
        Self { to, waiting: VecDeque::new(), said: HashSet::new(), troubled: HashSet::new() }
    }

    /// Counts these as given.
    pub(super) fn known(&mut self, notices: impl IntoIterator<Item = IndexNotice>) {
        self.said.extend(notices);
    }

    /// Gives a notice, unless it was given.
    pub(super) fn warn(&mut self, notice: IndexNotice) {
        if self.said.len() < MOST && self.said.insert(notice.clone()) {
            self.push(notice);
        }
    }

    /// Gives a notice about a path, unless one was given that is not over.
    pub(super) fn warn_of(&mut self, path: &Path, notice: IndexNotice) {
        if self.troubled.len() < MOST && self.troubled.insert(path.to_owned()) {
            self.push(notice);
        }
    }

    /// What was said about a path is over.
    pub(super) fn over(&mut self, path: &Path) {
        self.troubled.remove(path);
    }

    pub(super) fn push(&mut self, event: impl Into<IndexEvent>) {
        if self.waiting.len() < MOST {
            self.waiting.push_back(event.into());
        }
        self.flush();
    }

    /// Says something now or never.
    pub(super) fn sample(&self, event: IndexEvent) {
        let _ = self.to.try_send(event);
    }

    /// Sends what there is room for.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.to.try_send(event) {
                Ok(()) => (),
                Err(TrySendError::Full(event)) => return self.waiting.push_front(event),
                Err(TrySendError::Closed(_)) => return self.waiting.clear(),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
