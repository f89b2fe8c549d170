use std::fs;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, RemoveKind};
use notify::{ErrorKind, EventKind};
use tokio::time::timeout;

use super::*;

const NEVER: Duration = Duration::from_secs(3600);

/// Nothing is told but what an event or a check tells.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(5),
    longest: Duration::from_millis(50),
    check: Duration::from_millis(10),
    poll: NEVER,
    whole: NEVER,
};

impl Watched {
    fn stands_at(&self, place: Option<&WatchedDir>) -> bool {
        self.armed && place.is_some() && self.place.as_ref() == place
    }
}

/// A root `at` that is watched.
struct Story {
    _dir: tempfile::TempDir,
    real: PathBuf,
    watch: Watch,
    told: mpsc::Receiver<Told>,
}

impl Story {
    /// Makes these directories and files (names with a dot), and watches `at`, which may be one.
    async fn of(made: &[&str], at: &str, kind: Kind) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let real = fs::canonicalize(dir.path()).expect("real");
        let (tell, told) = mpsc::channel(CAPACITY);
        let mut story = Self { _dir: dir, real, watch: Watch::start(tell, PACE), told };
        made.iter().for_each(|name| story.make(name));
        story.watch.add(7, &story.path(at), kind);
        story.stands(at, kind).await;
        story
    }

    fn path(&self, name: &str) -> PathBuf {
        self.real.join(name)
    }

    fn make(&self, name: &str) {
        let path = self.path(name);
        if name.contains('.') {
            fs::create_dir_all(path.parent().expect("has one")).expect("mkdir");
            fs::write(path, "1").expect("write");
        } else {
            fs::create_dir_all(path).expect("mkdir");
        }
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    async fn changed(&mut self) -> Vec<RootKey> {
        match timeout(Duration::from_secs(60), self.told.recv()).await.expect("told in time") {
            Some(Told::Changed(keys)) => keys,
            other => panic!("expected a change, got {other:?}"),
        }
    }

    /// Waits until what lies there is watched. Every step to that is told.
    async fn stands(&mut self, at: &str, kind: Kind) {
        let path = self.path(at);
        loop {
            let place = WatchedDir::of(&path, kind).ok();
            if self.watch.shared.roots().watched[&7].stands_at(place.as_ref()) {
                return;
            }
            self.changed().await;
        }
    }

    /// Changes made beneath this directory are told. Tellings from before may still be on their way: no more than the
    /// channel holds, the one being sent and the one being made.
    async fn follows(&mut self, name: &str) {
        for turn in 0..CAPACITY + 3 {
            fs::write(self.path(name), format!("{turn}")).expect("write");
            assert_eq!(self.changed().await, [7], "{name}");
        }
    }
}

#[tokio::test]
async fn a_change_deep_in_a_tree_is_told_for_its_root_only() {
    let mut story = Story::of(&["a/b", "c"], "a", Kind::Collection).await;
    story.follows("a/b/x").await;
    story.watch.add(8, &story.path("c"), Kind::Collection);
    while !story.changed().await.contains(&8) {}
    fs::write(story.path("c/x"), "1").expect("write");
    assert_eq!(story.changed().await, [8]);
}

#[tokio::test]
async fn a_file_that_is_replaced_is_told() {
    let mut story = Story::of(&["d/x.txt"], "d/x.txt", Kind::File).await;
    for turn in 0..CAPACITY + 3 {
        story.make("d/new.txt");
        story.rename("d/new.txt", "d/x.txt");
        assert_eq!(story.changed().await, [7], "{turn}");
    }
}

#[tokio::test]
async fn a_directory_that_takes_the_place_of_another_is_watched() {
    let mut story = Story::of(&["at", "next/deep"], "at", Kind::Collection).await;
    story.rename("at", "old");
    story.rename("next", "at");
    story.stands("at", Kind::Collection).await;
    story.follows("at/x").await;
    story.follows("at/deep/x").await;
}

/// The new one may have the number of the old one.
#[tokio::test]
async fn a_directory_that_is_removed_and_made_anew_is_watched() {
    let mut story = Story::of(&["at/deep"], "at", Kind::Collection).await;
    for _ in 0..5 {
        fs::remove_dir_all(story.path("at")).expect("remove");
        story.make("at/deep");
        story.stands("at", Kind::Collection).await;
        story.follows("at/deep/x").await;
    }
}

#[tokio::test]
async fn a_directory_that_comes_back_later_is_watched() {
    let mut story = Story::of(&["at"], "at", Kind::Collection).await;
    story.rename("at", "away");
    while story.watch.shared.roots().watched[&7].armed {
        story.changed().await;
    }
    story.rename("away", "at");
    story.stands("at", Kind::Collection).await;
    story.follows("at/x").await;
}

#[tokio::test]
async fn a_directory_whose_parent_is_renamed_is_watched_where_it_was() {
    let mut story = Story::of(&["top/at", "next/at"], "top/at", Kind::Collection).await;
    story.rename("top", "old");
    story.rename("next", "top");
    story.stands("top/at", Kind::Collection).await;
    story.follows("top/at/x").await;
}

#[tokio::test]
async fn a_directory_in_a_tree_that_takes_the_place_of_another_is_watched() {
    let mut story = Story::of(&["at/sub/deep", "at/next/deep"], "at", Kind::Collection).await;
    story.rename("at/sub", "at/old");
    story.rename("at/next", "at/sub");
    story.follows("at/sub/deep/x").await;
    fs::remove_dir_all(story.path("at/sub")).expect("remove");
    story.make("at/sub/deep");
    story.follows("at/sub/deep/x").await;
}

#[tokio::test]
async fn a_file_whose_directory_is_swapped_or_that_comes_later_is_watched() {
    let mut story = Story::of(&["d/x.txt", "next/x.txt"], "d/x.txt", Kind::File).await;
    story.rename("d", "old");
    story.rename("next", "d");
    story.stands("d/x.txt", Kind::File).await;
    story.follows("d/x.txt").await;
    fs::remove_file(story.path("d/x.txt")).expect("remove");
    story.follows("d/x.txt").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_leads_elsewhere_is_followed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().expect("tempdir");
    symlink("1/site", dir.path().join("link")).expect("symlink");
    let mut story = Story::of(&["1/site", "2/site"], "1/site", Kind::Collection).await;
    symlink("1", story.path("current")).expect("symlink");
    story.watch.add(7, &story.path("current/site"), Kind::Collection);
    story.stands("current/site", Kind::Collection).await;
    story.follows("1/site/x").await;
    symlink("2", story.path("new")).expect("symlink");
    story.rename("new", "current");
    story.stands("current/site", Kind::Collection).await;
    story.follows("2/site/x").await;
}

/// Two roots in one directory, one of which is all of it.
#[tokio::test]
async fn a_file_in_a_shared_tree_is_told_after_the_tree_was_swapped() {
    let mut story = Story::of(&["at/x.txt", "next/x.txt"], "at", Kind::Collection).await;
    story.watch.add(8, &story.path("at/x.txt"), Kind::File);
    while !story.changed().await.contains(&8) {}
    story.rename("at", "old");
    story.rename("next", "at");
    story.stands("at", Kind::Collection).await;
    // The file relies on the tree's watch, whichever of the two was seen first.
    for _ in 0..CAPACITY + 3 {
        fs::write(story.path("at/x.txt"), "2").expect("write");
        while !story.changed().await.contains(&8) {}
    }
}

/// Serving a file opens it: an event for each woke the watcher's thread for nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn opening_a_file_does_not_wake_the_watcher() {
    use std::os::unix::fs::MetadataExt as _;

    const OPEN_OR_READ: u32 = 0x21;
    let story = Story::of(&["at"], "at", Kind::Collection).await;
    let watched = format!("ino:{:x}", fs::metadata(story.path("at")).expect("there").ino());
    let open = fs::read_dir("/proc/self/fdinfo").expect("readable").filter_map(Result::ok);
    let texts: Vec<_> = open.filter_map(|fd| fs::read_to_string(fd.path()).ok()).collect();
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains("inotify wd"));
    let ours = lines.filter(|line| line.split(' ').any(|field| field == watched));
    let masks = ours.filter_map(|line| line.split(' ').find_map(|field| field.strip_prefix("mask:")));
    let masks: Vec<_> = masks.map(|mask| u32::from_str_radix(mask, 16).expect("hexadecimal")).collect();
    assert!(!masks.is_empty() && masks.iter().all(|mask| mask & OPEN_OR_READ == 0), "{masks:x?}");
}

#[test]
fn the_limit_of_watches_is_known() {
    let error = notify::Error::new(ErrorKind::MaxFilesWatch);
    assert_eq!(Unwatched::new(None, &error), Unwatched { path: None, cause: Cause::Full });
}

/// A root of this directory that is watched, at a moment.
fn watched(dir: &Path, pace: &Pace) -> (Roots, Instant) {
    let (mut roots, now) = (Roots::default(), Instant::now());
    roots.watched.insert(0, Watched::new(dir, Kind::Collection, now));
    assert!(roots.checked(0, WatchedDir::of(dir, Kind::Collection), now, pace).is_some());
    roots.armed(0, &Ok(()), Duration::ZERO, now);
    assert_eq!((roots.take_dirty(), roots.take_dirty()), (vec![0], vec![]));
    (roots, now)
}

#[tokio::test]
async fn reading_and_parts_of_transfers_are_no_changes() {
    let dir = tempfile::tempdir().expect("tempdir");
    let real = fs::canonicalize(dir.path()).expect("real");
    let (mut roots, _) = watched(&real, &PACE);
    let event = |kind, path: &str| Ok(Event::new(kind).add_path(real.join(path)));
    assert!(!roots.note(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "a")));
    roots.note(event(EventKind::Any, ".qshare-00.part/a"));
    roots.note(event(EventKind::Any, "/elsewhere/a"));
    assert!(roots.take_dirty().is_empty());
    roots.note(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "a"));
    assert_eq!((roots.take_dirty(), roots.lost), (vec![0], false));
    roots.note(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert_eq!((roots.take_dirty(), roots.lost), (vec![0], true), "what came meanwhile may not be watched");
}

#[tokio::test]
async fn a_root_is_lost_when_its_directory_may_be_another_or_could_not_be_watched() {
    let dir = tempfile::tempdir().expect("tempdir");
    let real = fs::canonicalize(dir.path()).expect("real");
    let io = |kind: std::io::ErrorKind| notify::Error::io(kind.into());
    let removed = || Event::new(EventKind::Remove(RemoveKind::Folder));
    let told = [
        (Ok(removed().add_path(real.clone())), true),
        (Ok(removed().add_path(real.join("sub"))), false),
        (Err(io(std::io::ErrorKind::Other).add_path(real.join("sub"))), true),
        // The look tells of it, and has it watched once it can be seen.
        (Err(io(std::io::ErrorKind::PermissionDenied).add_path(real.join("sub"))), false),
        (Err(notify::Error::new(ErrorKind::MaxFilesWatch)), true),
    ];
    for (event, lost) in told {
        let text = format!("{event:?}");
        let (mut roots, now) = watched(&real, &PACE);
        roots.note(event);
        assert_eq!((roots.lost, roots.take_dirty()), (lost, vec![0]), "{text}");
        let much_later = now + PACE.whole;
        let again = roots.checked(0, WatchedDir::of(&real, Kind::Collection), much_later, &PACE);
        assert_eq!(again.is_some(), lost, "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_told_once_polled_and_tried_again() {
    let dir = tempfile::tempdir().expect("tempdir");
    let pace = Pace::default();
    let (mut roots, mut now) = watched(dir.path(), &pace);
    let check = |roots: &mut Roots, now| roots.checked(0, WatchedDir::of(dir.path(), Kind::Collection), now, &pace);
    let full = || Err(notify::Error::new(ErrorKind::MaxFilesWatch));
    for _ in 0..2 {
        now += pace.poll;
        assert!(check(&mut roots, now).is_none());
        roots.lose(|_| true);
        assert!(check(&mut roots, now).is_some());
        roots.armed(0, &full(), Duration::ZERO, now);
        assert_eq!(std::mem::take(&mut roots.warnings).len(), 1);
        // Tried less and less often, never less than once in a whole while; looked at meanwhile.
        let (mut tries, mut looks) = (0, 0);
        for _ in 0..300 {
            now += pace.check;
            roots.take_dirty();
            roots.look_if_due(now, &pace);
            looks += roots.take_dirty().len();
            if check(&mut roots, now).is_some() {
                tries += 1;
                roots.armed(0, &full(), Duration::ZERO, now);
            }
        }
        assert!((5..10).contains(&tries) && looks == 20, "{tries} tries and {looks} looks in 10 minutes");
        assert!(roots.warnings.is_empty(), "told once");
        now += pace.whole;
        assert!(check(&mut roots, now).is_some());
        roots.armed(0, &Ok(()), Duration::ZERO, now);
    }
}

#[tokio::test]
async fn everything_is_looked_at_now_and_then_and_a_large_tree_more_rarely() {
    let dir = tempfile::tempdir().expect("tempdir");
    let pace = Pace::default();
    for (cost, looks) in [(Duration::ZERO, 24), (Duration::from_secs(1), 24), (Duration::from_secs(12), 6)] {
        let (mut roots, mut now) = watched(dir.path(), &pace);
        roots.looked(0, cost);
        let mut seen = 0;
        for _ in 0..3600 {
            now += pace.check;
            roots.look_if_due(now, &pace);
            seen += roots.take_dirty().len();
            if roots.checked(0, WatchedDir::of(dir.path(), Kind::Collection), now, &pace).is_some() {
                roots.armed(0, &Ok(()), Duration::ZERO, now);
                roots.take_dirty();
            }
        }
        assert_eq!(seen, looks, "in two hours, for {cost:?}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_looked_at_is_still_what_it_was() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (mut roots, now) = watched(dir.path(), &PACE);
    for _ in 0..3 {
        assert!(roots.checked(0, Err(std::io::ErrorKind::TimedOut.into()), now, &PACE).is_none());
    }
    assert_eq!((roots.take_dirty(), roots.watched[&0].armed), (vec![0], true), "told once, not taken off");
    assert!(roots.checked(0, WatchedDir::of(dir.path(), Kind::Collection), now, &PACE).is_some(), "watched anew");
    assert!(roots.checked(0, Err(std::io::ErrorKind::NotFound.into()), now, &PACE).is_none());
    assert_eq!((roots.take_dirty(), roots.watched[&0].armed), (vec![0], false));
}
