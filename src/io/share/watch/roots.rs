//! Which roots are watched, which have to be watched anew, and when each is looked at whatever was told.
//! Invariant: a root whose place is not the one that is watched is `lost`, and is watched anew at the next check that
//! its pause allows. Time is an argument; nothing here touches the file system.

mod events;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::ErrorKind;
use tokio::time::Instant;

use super::place::{Mounts, WatchedDir, is_absence};
use super::{Pace, RootKey, Unwatched};
use crate::model::Kind;

/// A look that nothing asked for takes at most this part of the time, whatever the tree's size: with what it costs on
/// all cores, below 1 % of one.
const RARELY: u32 = 100;

#[derive(Debug, Default)]
pub(super) struct Roots {
    pub(super) watched: BTreeMap<RootKey, Watched>,
    /// Where roots lay that are watched no longer, until the next check.
    pub(super) left: Vec<PathBuf>,
    /// Something happened since this was last looked at.
    pub(super) stirred: bool,
    /// A root has to be watched anew.
    pub(super) lost: bool,
    pub(super) warnings: Vec<Unwatched>,
    mounts: Mounts,
}

#[derive(Debug)]
pub(super) struct Watched {
    /// As it was named, links and all.
    pub(super) named: PathBuf,
    pub(super) kind: Kind,
    /// What lay there at the last check.
    pub(super) place: Option<WatchedDir>,
    pub(super) dirty: bool,
    /// The system watches it.
    pub(super) armed: bool,
    /// It does not, or no longer what lies there now.
    lost: bool,
    /// The last check could not tell what lies there.
    unseen: bool,
    /// Others may change it without an event here.
    pub(super) remote: bool,
    mounts: Mounts,
    warned: bool,
    failures: u32,
    /// When it was watched anew, and how long that took.
    armed_at: Option<Instant>,
    arming: Duration,
    /// When it was last looked at whatever was told, and what a look costs.
    looked: Instant,
    look: Duration,
}

impl Watched {
    pub(super) fn new(named: &Path, kind: Kind, now: Instant) -> Self {
        Self {
            named: named.to_owned(),
            kind,
            place: None,
            // What changed before the watch began is not told by it.
            dirty: true,
            armed: false,
            lost: true,
            unseen: false,
            remote: false,
            mounts: Mounts::default(),
            warned: false,
            failures: 0,
            armed_at: None,
            arming: Duration::ZERO,
            looked: now,
            look: Duration::ZERO,
        }
    }

    fn cost(&self) -> Duration {
        self.arming + self.look
    }

    /// Whether it may be watched anew: at once when it was not lately, then less and less often while that fails.
    fn may_arm(&self, now: Instant, pace: &Pace) -> bool {
        let pause = pace.check.saturating_mul(1 << self.failures.min(16)).min(pace.whole);
        let pause = if self.failures == 0 { Duration::ZERO } else { pause }.max(self.arming * (RARELY / 10));
        self.armed_at.is_none_or(|at| now.duration_since(at) >= pause)
    }
}

impl Roots {
    /// What lay at a root's path at the last check.
    pub(super) fn place(&self, key: RootKey) -> Option<WatchedDir> {
        self.watched.get(&key)?.place.clone()
    }

    /// Has a root watched anew.
    pub(super) fn again(&mut self, key: RootKey) {
        if let Some(root) = self.watched.get_mut(&key) {
            (root.lost, root.dirty, self.lost) = (true, true, true);
        }
    }

    /// Whether a directory's events come with those of a tree around it.
    pub(super) fn covers(&self, dir: &Path) -> bool {
        let around = |root: &Watched| root.place.as_ref().is_some_and(|place| dir.starts_with(&place.dir));
        self.watched.values().any(|root| root.kind == Kind::Collection && root.armed && around(root))
    }

    pub(super) fn mark(&mut self, of: impl Fn(&Watched) -> bool) {
        for root in self.watched.values_mut() {
            if of(root) {
                root.dirty = true;
                self.stirred = true;
            }
        }
    }

    pub(super) fn lose(&mut self, of: impl Fn(&Watched) -> bool) {
        for root in self.watched.values_mut() {
            if of(root) {
                (root.lost, root.dirty) = (true, true);
                (self.lost, self.stirred) = (true, true);
            }
        }
    }

    pub(super) fn take_dirty(&mut self) -> Vec<RootKey> {
        let dirty = self.watched.iter_mut().filter_map(|(key, root)| std::mem::take(&mut root.dirty).then_some(*key));
        dirty.collect()
    }

    /// Takes what is mounted: a tree in which a file system came or went has to be watched anew.
    pub(super) fn mounted(&mut self, mounts: Mounts) {
        if self.mounts == mounts {
            return;
        }
        self.mounts = mounts;
        for root in self.watched.values_mut().filter(|root| root.kind == Kind::Collection) {
            let Some(place) = &root.place else { continue };
            let beneath = self.mounts.beneath(&place.dir);
            if root.mounts != beneath {
                (root.mounts, root.lost, root.dirty, root.failures) = (beneath, true, true, 0);
            }
        }
    }

    /// Takes what lies at a root's path; the place that has to be watched anew, if it may be now.
    pub(super) fn checked(
        &mut self,
        key: RootKey,
        seen: io::Result<WatchedDir>,
        now: Instant,
        pace: &Pace,
    ) -> Option<WatchedDir> {
        let root = self.watched.get_mut(&key)?;
        let place = match seen {
            Ok(place) => place,
            Err(error) if is_absence(&error) => {
                root.dirty |= root.place.take().is_some();
                (root.armed, root.lost, root.unseen) = (false, true, false);
                return None;
            }
            Err(_) => {
                root.dirty |= !std::mem::replace(&mut root.unseen, true);
                return None;
            }
        };
        if root.place.as_ref() != Some(&place) || root.unseen {
            (root.lost, root.dirty, root.unseen, root.failures) = (true, true, false, 0);
            root.armed = false;
            (root.mounts, root.place) = (self.mounts.beneath(&place.dir), Some(place.clone()));
        }
        if !root.lost {
            let good = root.armed && root.armed_at.is_some_and(|at| now.duration_since(at) >= pace.poll);
            root.failures = if good { 0 } else { root.failures };
            return None;
        }
        if !root.may_arm(now, pace) {
            return None;
        }
        // What happens from here on makes it lost again.
        root.lost = false;
        Some(place)
    }

    /// Takes how it went to watch a place anew.
    pub(super) fn armed(&mut self, key: RootKey, result: &notify::Result<()>, took: Duration, now: Instant) {
        let Some(root) = self.watched.get_mut(&key) else { return };
        (root.armed_at, root.arming, root.dirty) = (Some(now), took, true);
        root.armed = result.is_ok();
        match result {
            Ok(()) => root.warned = false,
            Err(error) => {
                (root.lost, root.failures) = (true, root.failures + 1);
                let gone = matches!(&error.kind, ErrorKind::PathNotFound)
                    || matches!(&error.kind, ErrorKind::Io(e) if is_absence(e));
                if !gone && !std::mem::replace(&mut root.warned, true) {
                    self.warnings.push(Unwatched::new(Some(&root.named), error));
                }
            }
        }
    }

    /// Marks what is to be looked at whatever was told: often what is not watched, now and then everything, and then the
    /// watch is set up anew as well.
    pub(super) fn look_if_due(&mut self, now: Instant, pace: &Pace) {
        for root in self.watched.values_mut() {
            let every = if root.armed && !root.remote { pace.whole } else { pace.poll };
            if now.duration_since(root.looked) < every.max(root.cost() * RARELY) {
                continue;
            }
            (root.looked, root.dirty) = (now, true);
            if root.armed && root.armed_at.is_none_or(|at| now.duration_since(at) >= pace.whole) {
                root.lost = true;
            }
        }
    }

    /// Takes what a look at a root cost.
    pub(super) fn looked(&mut self, key: RootKey, cost: Duration) {
        self.watched.entry(key).and_modify(|root| root.look = cost);
    }
}
