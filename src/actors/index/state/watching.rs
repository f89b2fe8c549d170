//! When the shared roots are looked at, and how they come to be watched.
//! Invariant: at most one look is under way; what is wanted meanwhile is looked at after it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{IndexState, Step, send};
use crate::actors::index::{IndexMessage, OwnStep};
use crate::io::scan::{Scan, scan_root};
use crate::io::watch::{self as io_watch, Pace, RootKey, Told, Watch};

/// Between two looks at everything that requests for changed files bring about.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which roots are looked at, and which are to be.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) pace: Pace,
    watch: Arc<Watch>,
    /// A look at roots is under way, and these are to be looked at after it.
    scanning: bool,
    wanted: BTreeSet<RootKey>,
    looked_everywhere: Option<Instant>,
    /// Roots that are not watched yet. Setting a watch up means a second look at everything, which would only be in the
    /// way of the first publication and of the first ids.
    unwatched: Vec<RootKey>,
    /// It is time to watch them.
    pub(super) due: bool,
}

impl Watching {
    pub(super) fn start(me: ActorRef<IndexMessage>, pace: Pace) -> Self {
        let (tell, told) = mpsc::channel(io_watch::CAPACITY);
        forward(told, me);
        Self {
            pace,
            watch: Arc::new(Watch::start(tell, pace)),
            scanning: false,
            wanted: BTreeSet::new(),
            looked_everywhere: None,
            unwatched: Vec::new(),
            due: false,
        }
    }
}

impl IndexState {
    /// Looks at all roots again, but not as often as peers may ask for what has changed.
    pub(super) fn look_everywhere(&mut self) {
        if self.watching.looked_everywhere.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            self.watching.looked_everywhere = Some(Instant::now());
            self.look(0..self.catalogue.roots.len());
        }
    }

    /// Looks at roots again, after the look that is under way.
    pub(super) fn look(&mut self, keys: impl IntoIterator<Item = RootKey>) {
        let known = self.catalogue.roots.len();
        self.watching.wanted.extend(keys.into_iter().filter(|key| *key < known));
        if self.watching.scanning || self.watching.wanted.is_empty() {
            return;
        }
        let root =
            |key: RootKey| (key, self.catalogue.roots[key].root.clone(), self.catalogue.roots[key].rules.clone());
        let roots: Vec<_> = std::mem::take(&mut self.watching.wanted).into_iter().map(root).collect();
        self.watching.scanning = true;
        self.spawn(move || {
            Step::Scanned(roots.iter().map(|(key, root, rules)| (*key, scan_root(root, rules))).collect())
        });
    }

    pub(super) fn scanned(&mut self, scans: Vec<(RootKey, Scan)>) {
        self.watching.scanning = false;
        let (mut jobs, mut back) = (Vec::new(), Vec::new());
        for (key, scan) in scans {
            let was_gone = self.catalogue.roots[key].gone;
            if scan.gone && !was_gone {
                self.watching.watch.poll(key);
                let path = scan.root.path.display();
                self.outbox.warn(format!("{path} is gone and no longer offered: it is offered again when it is back"));
            } else if was_gone && !scan.gone {
                back.push(key);
            }
            for skipped in &scan.skipped {
                self.outbox.warn(skipped.to_string());
            }
            let (more, changed) = self.catalogue.rescanned(key, scan);
            self.dirty |= changed;
            jobs.extend(more);
        }
        self.look_up(jobs);
        self.leave_unwatched(back);
        self.look([]);
    }

    /// Has roots watched as soon as a change would be told if they were watched already.
    pub(super) fn leave_unwatched(&mut self, keys: Vec<RootKey>) {
        if self.watching.unwatched.is_empty() && !keys.is_empty() {
            self.watching.due = false;
            self.me.send_after(self.watching.pace.longest, || IndexMessage::Own(OwnStep(Step::Watch)));
        }
        self.watching.unwatched.extend(keys);
    }

    /// Watches roots, then looks at them once: what changed before the watch began is not told by it.
    pub(super) fn begin_watch(&mut self) {
        if self.tasks > 0 || !self.watching.due {
            return;
        }
        let keys = std::mem::take(&mut self.watching.unwatched);
        if keys.is_empty() {
            return;
        }
        let root = |key: RootKey| (key, self.catalogue.roots[key].root.clone());
        let roots: Vec<_> = keys.iter().copied().map(root).collect();
        let watch = self.watching.watch.clone();
        self.spawn(move || {
            for (key, root) in roots {
                watch.add(key, &root.path, root.kind);
            }
            Step::Told(Told::Changed(keys))
        });
    }
}

/// Ends when the watch does.
fn forward(mut told: mpsc::Receiver<Told>, me: ActorRef<IndexMessage>) {
    tokio::spawn(async move {
        while let Some(told) = told.recv().await {
            send(&me, Step::Told(told));
        }
    });
}
