//! Says when something changed beneath a shared root; what changed, a scan says.
//! Invariant: every change is told within [`Pace::longest`], or [`Pace::poll`] where the system cannot watch.
//! Events are folded into one flag per root, so nothing piles up however many there are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, ErrorKind, Event, EventKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::model::Kind;

/// How soon changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A change is told when nothing more happens for this long,
    pub quiet: Duration,
    /// or after this long even if more happens.
    pub longest: Duration,
    /// How often a root is looked at that cannot be watched.
    pub poll: Duration,
}

impl Default for Pace {
    /// What is deleted is to be gone from everybody's answers within 2 s, also where something is written all the time: a
    /// look, a publication and an announcement come after.
    fn default() -> Self {
        Self { quiet: Duration::from_millis(300), longest: Duration::from_secs(1), poll: Duration::from_secs(30) }
    }
}

/// Tellings under way: each is a set of roots, so few are enough.
pub const CAPACITY: usize = 4;

/// Which root; given by the caller.
pub type RootKey = usize;

/// What the watch has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something may have changed beneath these roots.
    Changed(Vec<RootKey>),
    /// It can no longer see everything; it looks again every [`Pace::poll`].
    Warning(String),
}

/// Watches roots until it is dropped.
#[derive(Debug)]
pub struct Watch {
    watcher: Mutex<Option<RecommendedWatcher>>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    pace: Pace,
    roots: Mutex<Roots>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Roots {
    watched: Vec<Watched>,
    /// Something happened since this was last looked at.
    stirred: bool,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Watched {
    key: RootKey,
    path: PathBuf,
    kind: Kind,
    dirty: bool,
    polled: bool,
}

impl Watch {
    /// Begins to watch nothing. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(tell: mpsc::Sender<Told>, pace: Pace) -> Self {
        let shared = Arc::new(Shared { pace, ..Shared::default() });
        let sink = shared.clone();
        // Not opening and reading: each file that is served would wake the watcher's thread.
        let kinds = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);
        let config = Config::default().with_follow_symlinks(false).with_event_kinds(kinds);
        let watcher = RecommendedWatcher::new(move |event| sink.note(event), config)
            .map_err(|error| shared.roots().warnings.push(sentence(None, &error)))
            .ok();
        shared.wake.notify_one();
        let task = tokio::spawn(tell_changes(shared.clone(), tell));
        Self { watcher: Mutex::new(watcher), shared, task }
    }

    /// Watches a root, or tries again to. Blocks: a tree takes one system call per directory.
    /// Where the system refuses, a warning is told and the root is looked at every [`Pace::poll`].
    pub fn add(&self, key: RootKey, path: &Path, kind: Kind) {
        let result = self.watch(path, kind);
        let mut roots = self.shared.roots();
        roots.watched.retain(|root| root.key != key);
        let polled = !matches!(result, Ok(true));
        roots.watched.push(Watched { key, path: path.to_owned(), kind, dirty: false, polled });
        if let Err(error) = result {
            roots.warnings.push(sentence(Some(path), &error));
        }
        drop(roots);
        self.shared.wake.notify_one();
    }

    /// Looks at a root every [`Pace::poll`] from now on: it has gone, and its watch with it.
    pub fn poll(&self, key: RootKey) {
        self.shared.roots().watched.iter_mut().filter(|root| root.key == key).for_each(|root| root.polled = true);
    }

    /// Whether the path is watched by now; `false` without any watcher.
    fn watch(&self, path: &Path, kind: Kind) -> notify::Result<bool> {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watcher) = watcher.as_mut() else { return Ok(false) };
        // An editor replaces a file, so the directory is watched; unless a tree around it is.
        let (place, mode) = match kind {
            Kind::Collection => (path, RecursiveMode::Recursive),
            Kind::File if self.shared.roots().covers(path) => return Ok(true),
            Kind::File => (path.parent().unwrap_or(path), RecursiveMode::NonRecursive),
        };
        let result = watcher.watch(place, mode);
        if result.is_err() {
            // What was watched of the tree before it failed only takes room from others.
            let _ = watcher.unwatch(place);
        }
        result.map(|()| true)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Roots {
    fn covers(&self, path: &Path) -> bool {
        self.watched.iter().any(|r| r.kind == Kind::Collection && !r.polled && path.starts_with(&r.path))
    }

    fn mark(&mut self, of: impl Fn(&Watched) -> bool) {
        for root in &mut self.watched {
            if of(root) {
                root.dirty = true;
                self.stirred = true;
            }
        }
    }

    fn take_dirty(&mut self) -> Vec<RootKey> {
        let dirty = self.watched.iter_mut().filter_map(|root| std::mem::take(&mut root.dirty).then_some(root.key));
        dirty.collect()
    }
}

impl Shared {
    fn roots(&self) -> MutexGuard<'_, Roots> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called on the watcher's thread for every event.
    fn note(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.roots().mark(|_| true),
            Ok(event) if is_read(&event.kind) => return,
            Ok(event) => {
                let paths: Vec<&PathBuf> = event.paths.iter().filter(|p| !is_partial(p)).collect();
                self.roots().mark(|root| paths.iter().any(|path| path.starts_with(&root.path)));
            }
            Err(error) => {
                let mut roots = self.roots();
                roots.mark(|_| true);
                if matches!(error.kind, ErrorKind::MaxFilesWatch) && roots.watched.iter().any(|root| !root.polled) {
                    roots.watched.iter_mut().for_each(|root| root.polled = true);
                    roots.warnings.push(sentence(None, &error));
                }
            }
        }
        self.wake.notify_one();
    }

    /// Waits until nothing more happens, or for long enough.
    async fn settle(&self) {
        let deadline = Instant::now() + self.pace.longest;
        while std::mem::take(&mut self.roots().stirred) && Instant::now() < deadline {
            sleep(self.pace.quiet).await;
        }
    }
}

async fn tell_changes(shared: Arc<Shared>, tell: mpsc::Sender<Told>) {
    let mut poll = interval(shared.pace.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll.reset();
    loop {
        tokio::select! {
            () = shared.wake.notified() => shared.settle().await,
            _ = poll.tick() => shared.roots().mark(|root| root.polled),
        }
        let (dirty, warnings) = {
            let mut roots = shared.roots();
            (roots.take_dirty(), std::mem::take(&mut roots.warnings))
        };
        let changed = (!dirty.is_empty()).then_some(Told::Changed(dirty));
        for told in warnings.into_iter().map(Told::Warning).chain(changed) {
            if tell.send(told).await.is_err() {
                return;
            }
        }
    }
}

/// Opening and reading; our own hashing causes most of it.
const fn is_read(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

/// A transfer into a shared directory writes all the time, and its parts are never shared.
fn is_partial(path: &Path) -> bool {
    path.iter().any(|name| name.as_encoded_bytes().starts_with(b".qshare-"))
}

fn sentence(path: Option<&Path>, error: &notify::Error) -> String {
    let what = path.map_or_else(|| "the shared paths".to_owned(), |p| p.display().to_string());
    let full = "raise the sysctl fs.inotify.max_user_watches";
    let (cause, cure) = match &error.kind {
        ErrorKind::MaxFilesWatch => ("the system watches no more files".to_owned(), full),
        ErrorKind::Io(e) if e.kind() == io::ErrorKind::StorageFull => {
            ("the system watches no more files".to_owned(), full)
        }
        ErrorKind::Io(e) if e.raw_os_error() == Some(24) => {
            ("the system has no more watchers".to_owned(), "raise the sysctl fs.inotify.max_user_instances")
        }
        _ => (error.to_string(), "check that the path can be read"),
    };
    format!("changes of {what} are noticed only every 30 s because {cause}: {cure}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PACE: Pace =
        Pace { quiet: Duration::from_millis(20), longest: Duration::from_millis(100), poll: Duration::from_millis(50) };

    async fn changed(told: &mut mpsc::Receiver<Told>) -> Vec<RootKey> {
        match told.recv().await {
            Some(Told::Changed(keys)) => keys,
            other => panic!("expected a change, got {other:?}"),
        }
    }

    fn setup() -> (tempfile::TempDir, PathBuf, Watch, mpsc::Receiver<Told>) {
        let dir = tempfile::tempdir().expect("tempdir");
        let real = fs::canonicalize(dir.path()).expect("real");
        let (tell, told) = mpsc::channel(CAPACITY);
        (dir, real, Watch::start(tell, PACE), told)
    }

    #[tokio::test]
    async fn a_change_deep_in_a_tree_is_told_once() {
        let (_dir, real, watch, mut told) = setup();
        for name in ["a/b", "c"] {
            fs::create_dir_all(real.join(name)).expect("mkdir");
        }
        watch.add(7, &real.join("a"), Kind::Collection);
        watch.add(8, &real.join("c"), Kind::Collection);
        fs::write(real.join("a/b/x"), "1").expect("write");
        fs::write(real.join("a/b/x"), "2").expect("write");
        assert_eq!(changed(&mut told).await, [7]);
        fs::write(real.join("c/x"), "1").expect("write");
        assert!(changed(&mut told).await.contains(&8));
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_is_told() {
        let (_dir, real, watch, mut told) = setup();
        fs::write(real.join("x"), "1").expect("write");
        watch.add(1, &real.join("x"), Kind::File);
        fs::write(real.join("other"), "1").expect("write");
        fs::write(real.join("new"), "2").expect("write");
        fs::rename(real.join("new"), real.join("x")).expect("rename");
        assert_eq!(changed(&mut told).await, [1]);
    }

    #[tokio::test]
    async fn a_root_that_cannot_be_watched_is_warned_of_and_polled() {
        let (_dir, real, watch, mut told) = setup();
        watch.add(3, &real.join("absent"), Kind::Collection);
        assert!(matches!(told.recv().await, Some(Told::Warning(text)) if text.contains("every 30 s")));
        assert_eq!(changed(&mut told).await, [3]);
        assert_eq!(changed(&mut told).await, [3]);
    }

    /// Serving a file opens it: an event for each woke the watcher's thread for nothing.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn opening_a_file_does_not_wake_the_watcher() {
        use std::os::unix::fs::MetadataExt as _;

        const OPEN_OR_READ: u32 = 0x21;
        let (_dir, real, watch, _told) = setup();
        watch.add(1, &real, Kind::Collection);
        let watched = format!("ino:{:x}", fs::metadata(&real).expect("there").ino());
        let open = fs::read_dir("/proc/self/fdinfo").expect("readable").filter_map(Result::ok);
        let texts: Vec<_> = open.filter_map(|fd| fs::read_to_string(fd.path()).ok()).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains("inotify wd"));
        let ours = lines.filter(|line| line.split(' ').any(|field| field == watched));
        let masks = ours.filter_map(|line| line.split(' ').find_map(|field| field.strip_prefix("mask:")));
        let masks: Vec<_> = masks.map(|mask| u32::from_str_radix(mask, 16).expect("hexadecimal")).collect();
        assert!(!masks.is_empty() && masks.iter().all(|mask| mask & OPEN_OR_READ == 0), "{masks:x?}");
    }

    #[test]
    fn the_limit_of_watches_names_its_sysctl() {
        let error = notify::Error::new(ErrorKind::MaxFilesWatch);
        assert!(sentence(None, &error).contains("fs.inotify.max_user_watches"));
    }

    #[test]
    fn reading_and_parts_of_transfers_are_no_changes() {
        let shared = Shared::default();
        let path = PathBuf::from("/r");
        shared.roots().watched.push(Watched { key: 0, path, kind: Kind::Collection, dirty: false, polled: false });
        let event = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
        shared.note(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/r/a"));
        shared.note(event(EventKind::Any, "/r/.qshare-00.part/a"));
        shared.note(event(EventKind::Any, "/s/a"));
        assert!(shared.roots().take_dirty().is_empty());
        shared.note(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
        assert_eq!(shared.roots().take_dirty(), [0]);
        shared.note(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/r/a"));
        assert_eq!(shared.roots().take_dirty(), [0]);
    }
}
