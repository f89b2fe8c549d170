//! One shared file as the index knows it: how far it is, what it was, and whether it keeps changing.
//! Invariant: what is offered under an id was hashed as that id, and nothing is known that would have changed its bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::io::share::shared_source::HashedFile;
use crate::io::share::stamp::{Change, FileStamp};
use crate::io::share::watch::{Pace, RootKey};

/// One shared file.
#[derive(Debug, Clone)]
pub(in crate::actors::index) struct Row {
    pub(in crate::actors::index) root: RootKey,
    pub(in crate::actors::index) path: Arc<Path>,
    pub(in crate::actors::index) stamp: FileStamp,
    pub(in crate::actors::index) state: State,
    pub(super) unrest: Unrest,
}

/// How far a file is.
#[derive(Debug, Clone)]
pub(in crate::actors::index) enum State {
    /// It cannot be read: it is not offered, and tried again.
    Failed,
    /// It was read, and is not what its root is shared as: it is not offered.
    Foreign,
    /// It has an id.
    Hashed(Arc<HashedFile>),
    /// It could not be read for what this process or the system lacks; it is tried again.
    Lacking(Was),
    /// It waits for its id.
    Pending(Was),
    /// It changed while it was hashed; the next look queues it again.
    Stale(Was),
}

/// What a file was before it has to be hashed again.
#[derive(Debug, Clone)]
pub(in crate::actors::index) enum Was {
    /// This, and perhaps it still is: its file was written to or replaced. It is served, proven chunk by chunk, but no
    /// longer offered.
    Former(Arc<HashedFile>),
    /// Nothing that has an id.
    New,
    /// This, as far as anybody knows: what has changed says nothing about its bytes. It stays offered.
    Same(Arc<HashedFile>),
}

impl Row {
    /// Whether it belongs to the tree that its root is now.
    pub(in crate::actors::index) const fn is_in_tree(&self) -> bool {
        !matches!(self.state, State::Failed | State::Foreign) && !self.unrest.left_out
    }

    /// What it is offered as.
    pub(in crate::actors::index) const fn offered(&self) -> Option<&Arc<HashedFile>> {
        match &self.state {
            State::Hashed(file) | State::Lacking(Was::Same(file)) => Some(file),
            State::Pending(Was::Same(file)) | State::Stale(Was::Same(file)) => Some(file),
            _ => None,
        }
    }

    /// What it was, and no longer is offered as, but may still be.
    pub(in crate::actors::index) const fn former(&self) -> Option<&Arc<HashedFile>> {
        match &self.state {
            State::Lacking(Was::Former(file)) | State::Pending(Was::Former(file)) | State::Stale(Was::Former(file)) => {
                Some(file)
            }
            _ => None,
        }
    }

    /// Whether it is offered as what it was and is being hashed again.
    pub(super) const fn is_verifying(&self) -> bool {
        !matches!(self.state, State::Hashed(_)) && self.offered().is_some()
    }

    /// What it was before it has to be hashed again in this state and at this path.
    pub(super) fn was(&self, path: &Path, stamp: &FileStamp) -> Was {
        match self.offered().or_else(|| self.former()) {
            Some(file) => was(file, path, stamp),
            None => Was::New,
        }
    }
}

/// What a hashed file is when it is found at this path in this state.
pub(super) fn was(file: &Arc<HashedFile>, path: &Path, stamp: &FileStamp) -> Was {
    match stamp.since(&file.stamp) {
        Change::Resized => Was::New,
        Change::Replaced | Change::Touched => Was::Former(Arc::clone(file)),
        Change::Metadata | Change::None => {
            // The executable bit is no part of the content, so it is what it is now.
            let stamp = FileStamp { executable: stamp.executable, ..file.stamp };
            Was::Same(Arc::new(HashedFile { path: path.into(), stamp, ..HashedFile::clone(file) }))
        }
    }
}

impl State {
    /// What it was, for the next state.
    pub(super) fn into_was(self) -> Was {
        match self {
            Self::Failed | Self::Foreign | Self::Hashed(_) => Was::New,
            Self::Lacking(was) | Self::Pending(was) | Self::Stale(was) => was,
        }
    }
}

/// How long a file may keep changing before its tree no longer waits for it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::actors::index) struct UnrestBounds {
    /// A file that keeps changing for so long is left out. Four times the longest time in which a change is told: so each
    /// of the looks in that time has found it changed, and one write that takes a moment leaves nothing out.
    pub(in crate::actors::index) bound: Duration,
    /// A file that has not changed for so long has settled. Six times the same: where nothing is watched, a restless
    /// root is looked at after twice that time, and then its file is hashed.
    pub(in crate::actors::index) calm: Duration,
}

impl From<Pace> for UnrestBounds {
    fn from(pace: Pace) -> Self {
        Self { bound: pace.longest * 4, calm: pace.longest * 6 }
    }
}

/// So many changes in a row are needed beside the time: two are what a copy and a `touch` after it make.
const CHANGES: u32 = 3;

/// Whether a file keeps changing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unrest {
    /// The first and last change of those with less than a calm time between them, and their number.
    changes: Option<(Instant, Instant, u32)>,
    /// It has been changing for too long, and has not been calm since.
    pub(super) left_out: bool,
}

impl Unrest {
    /// It has changed. Whether that is why it is left out from now on.
    pub(super) fn change(&mut self, now: Instant, patience: UnrestBounds) -> bool {
        let row = self.changes.filter(|(_, last, _)| now.duration_since(*last) < patience.calm);
        let (since, _, count) = row.unwrap_or((now, now, 0));
        let count = count.saturating_add(1);
        self.changes = Some((since, now, count));
        let was = self.left_out;
        self.left_out |= count >= CHANGES && now.duration_since(since) >= patience.bound;
        self.left_out && !was
    }

    /// Whether it was left out and has been calm for long enough.
    pub(super) fn is_over(&self, now: Instant, patience: UnrestBounds) -> bool {
        self.left_out && self.changes.is_none_or(|(_, last, _)| now.duration_since(last) >= patience.calm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: UnrestBounds = UnrestBounds { bound: Duration::from_secs(4), calm: Duration::from_secs(6) };

    #[test]
    fn a_file_is_left_out_once_it_keeps_changing_and_settles_when_it_is_calm() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut unrest = Unrest::default();
        let left_out: Vec<bool> = [0, 2, 3, 4, 6].map(|s| unrest.change(at(s), PATIENCE)).into();
        assert_eq!(left_out, [false, false, false, true, false]);
        assert!(!unrest.is_over(at(11), PATIENCE) && unrest.is_over(at(12), PATIENCE));
    }

    #[test]
    fn a_file_that_is_copied_and_then_touched_does_not_keep_changing() {
        let begin = Instant::now();
        let mut unrest = Unrest::default();
        assert!(!unrest.change(begin, PATIENCE));
        assert!(!unrest.change(begin + PATIENCE.calm - Duration::from_millis(1), PATIENCE) && !unrest.left_out);
    }

    #[test]
    fn changes_with_calm_between_them_leave_nothing_out() {
        let begin = Instant::now();
        let mut unrest = Unrest::default();
        for minute in 0..10 {
            assert!(!unrest.change(begin + Duration::from_secs(60 * minute), PATIENCE));
        }
    }
}
