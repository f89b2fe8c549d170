//! Says when something changed beneath a shared root; what changed, a scan says.
//! Invariant: every change is told within [`Pace::longest`]; within [`Pace::check`] more when another directory has come
//! to lie at the path; within [`Pace::poll`] where the system cannot watch; and whatever else was missed within
//! [`Pace::whole`]. Events are folded into one flag per root, so nothing piles up however many there are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{Config, Event, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use crate::io::cpu::thread_time;
use crate::model::Kind;

mod place;
mod roots;
#[cfg(test)]
mod tests;
mod unwatched;

use place::{Mounts, WatchedDir, is_remote};
use roots::{Roots, Watched};
pub use unwatched::{Cause, Unwatched};

/// How soon changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A change is told when nothing more happens for this long,
    pub quiet: Duration,
    /// or after this long even if more happens.
    pub longest: Duration,
    /// How often what lies at the paths is compared with what is watched.
    pub check: Duration,
    /// How often a root is looked at that cannot be watched.
    pub poll: Duration,
    /// How often any root is looked at, and watched anew, whatever was told.
    pub whole: Duration,
}

impl Default for Pace {
    /// What is deleted is to be gone from everybody's answers within 2 s, also where something is written all the time: a
    /// look, a publication and an announcement come after.
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(300),
            longest: Duration::from_secs(1),
            check: Duration::from_secs(2),
            poll: Duration::from_secs(30),
            whole: Duration::from_secs(300),
        }
    }
}

/// Tellings under way: each is a set of roots, so few are enough.
pub const CAPACITY: usize = 4;

/// A check takes at most this part of the time, so that thousands of paths cost less than 1 % of a core.
const CHECK_RARELY: u32 = 200;

/// Which root; given by the caller.
pub type RootKey = usize;

/// What the watch has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something may have changed beneath these roots.
    Changed(Vec<RootKey>),
    /// It can no longer see everything. Told once, and again only after it could in between.
    Unwatched(Unwatched),
}

/// Watches roots until it is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    pace: Pace,
    /// Held while roots are watched anew, which waits for the watcher's thread; that thread never takes it.
    watcher: Mutex<Option<RecommendedWatcher>>,
    /// Held for moments only: the watcher's thread takes it for every event.
    roots: Mutex<Roots>,
    wake: Notify,
}

impl Watch {
    /// Begins to watch nothing. Must be called within a tokio runtime.
    pub fn start(tell: mpsc::Sender<Told>, pace: Pace) -> Self {
        let shared = Arc::new(Shared { pace, ..Shared::default() });
        let task = tokio::spawn(tell_changes(shared.clone(), tell));
        Self { shared, task }
    }

    /// Watches what lies at a path, now and later: its links are followed at each check, and what takes its place is
    /// watched in its place. It is told as changed once its watch stands, or cannot be had.
    pub fn add(&self, key: RootKey, named: &Path, kind: Kind) {
        let mut roots = self.shared.roots();
        roots.watched.insert(key, Watched::new(named, kind, Instant::now()));
        roots.lost = true;
        drop(roots);
        self.shared.wake.notify_one();
    }

    /// Watches a root no longer.
    pub fn remove(&self, key: RootKey) {
        let mut roots = self.shared.roots();
        let place = roots.watched.remove(&key).and_then(|root| root.place);
        roots.left.extend(place.map(|place| place.dir));
        roots.lost = true;
        drop(roots);
        self.shared.wake.notify_one();
    }

    /// Watches a root anew, and tells it as changed: part of it could not be seen for a while.
    pub fn again(&self, key: RootKey) {
        self.shared.roots().again(key);
        self.shared.wake.notify_one();
    }

    /// Takes what a look at a root costs, in time of one core: the more, the rarer are those that nothing asked for.
    pub fn looked(&self, key: RootKey, cost: Duration) {
        self.shared.roots().looked(key, cost);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn roots(&self) -> MutexGuard<'_, Roots> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing more happens, or for long enough.
    async fn settle(&self) {
        let deadline = Instant::now() + self.pace.longest;
        while std::mem::take(&mut self.roots().stirred) && Instant::now() < deadline {
            sleep(self.pace.quiet).await;
        }
    }

    /// Compares what lies at the paths with what is watched, and watches anew what differs; the time that this thread
    /// took. Blocks: a tree takes one system call per directory.
    fn check(self: &Arc<Self>) -> Duration {
        let began = thread_time();
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let mounts = Mounts::now();
        let (named, mut left): (Vec<(RootKey, PathBuf, Kind)>, Vec<PathBuf>) = {
            let mut roots = self.roots();
            roots.lost = false;
            mounts.into_iter().for_each(|mounts| roots.mounted(mounts));
            let left = std::mem::take(&mut roots.left);
            (roots.watched.iter().map(|(key, root)| (*key, root.named.clone(), root.kind)).collect(), left)
        };
        // Trees before files: a file in a watched tree needs no watch of its own.
        let (mut trees, mut files) = (BTreeMap::new(), BTreeMap::new());
        for (key, named, kind) in named {
            let seen = WatchedDir::of(&named, kind);
            let mut roots = self.roots();
            let before = roots.place(key);
            if let Some(place) = roots.checked(key, seen, Instant::now(), &self.pace) {
                let places: &mut BTreeMap<PathBuf, Vec<RootKey>> =
                    if kind == Kind::Collection { &mut trees } else { &mut files };
                places.entry(place.dir).or_default().push(key);
            }
            let after = roots.place(key).map(|place| place.dir);
            left.extend(before.map(|place| place.dir).filter(|before| after.as_ref() != Some(before)));
        }
        for dir in left {
            self.leave(watcher.as_mut(), &dir);
        }
        for (places, mode) in [(trees, RecursiveMode::Recursive), (files, RecursiveMode::NonRecursive)] {
            for (dir, keys) in places {
                self.arm(&mut watcher, &dir, mode, &keys);
            }
        }
        thread_time().saturating_sub(began)
    }

    /// Takes off what no root lies in any more: it would only take room from others.
    fn leave(&self, watcher: Option<&mut RecommendedWatcher>, dir: &Path) {
        let used = self.roots().watched.values().any(|root| root.place.as_ref().is_some_and(|p| p.dir == dir));
        if let Some(watcher) = watcher.filter(|_| !used) {
            let _ = watcher.unwatch(dir);
        }
    }

    fn arm(
        self: &Arc<Self>,
        watcher: &mut Option<RecommendedWatcher>,
        dir: &Path,
        mode: RecursiveMode,
        keys: &[RootKey],
    ) {
        let began = Instant::now();
        let covered = mode == RecursiveMode::NonRecursive && self.roots().covers(dir);
        let result = if covered { Ok(()) } else { self.watch(watcher, dir, mode) };
        let (remote, took) = (is_remote(dir), began.elapsed());
        let mut roots = self.roots();
        for key in keys {
            roots.armed(*key, &result, took, Instant::now());
            roots.watched.entry(*key).and_modify(|root| root.remote = remote);
        }
        // What lies in the tree may rely on its watch.
        roots.mark(|root| root.place.as_ref().is_some_and(|place| place.dir.starts_with(dir)));
    }

    fn watch(
        self: &Arc<Self>,
        watcher: &mut Option<RecommendedWatcher>,
        dir: &Path,
        mode: RecursiveMode,
    ) -> notify::Result<()> {
        let watcher = match watcher {
            Some(watcher) => watcher,
            None => watcher.insert(self.watcher()?),
        };
        // It answers Ok for a path that it watches, whichever directory that path meant at the time.
        let _ = watcher.unwatch(dir);
        let result = watcher.watch(dir, mode);
        if result.is_err() {
            // What was watched of the tree before it failed only takes room from others.
            let _ = watcher.unwatch(dir);
        }
        result
    }

    fn watcher(self: &Arc<Self>) -> notify::Result<RecommendedWatcher> {
        // Not opening and reading: each file that is served would wake the watcher's thread.
        let kinds = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);
        let config = Config::default().with_follow_symlinks(false).with_event_kinds(kinds);
        let sink = Arc::downgrade(self);
        let note = move |event: notify::Result<Event>| {
            let Some(sink) = sink.upgrade() else { return };
            if sink.roots().note(event) {
                sink.wake.notify_one();
            }
        };
        RecommendedWatcher::new(note, config)
    }
}

async fn tell_changes(shared: Arc<Shared>, tell: mpsc::Sender<Told>) {
    let mut next = Instant::now() + shared.pace.check;
    loop {
        tokio::select! {
            () = shared.wake.notified() => shared.settle().await,
            () = sleep_until(next) => (),
        }
        let is_due = Instant::now() >= next;
        if is_due {
            shared.roots().look_if_due(Instant::now(), &shared.pace);
        }
        if is_due || shared.roots().lost {
            let checked = shared.clone();
            // It ends early only with the runtime.
            let took = spawn_blocking(move || checked.check()).await.unwrap_or_default();
            next = Instant::now() + shared.pace.check.max(took * CHECK_RARELY);
        }
        let (dirty, warnings) = {
            let mut roots = shared.roots();
            (roots.take_dirty(), std::mem::take(&mut roots.warnings))
        };
        let changed = (!dirty.is_empty()).then_some(Told::Changed(dirty));
        for told in warnings.into_iter().map(Told::Unwatched).chain(changed) {
            if tell.send(told).await.is_err() {
                return;
            }
        }
    }
}
