use std::path::Path;

use super::*;
use crate::io::share::scan::{ScannedFile, Unseen};
use crate::io::share::shared_source::ListPlace;
use crate::io::share::stamp::FileStamp;
use crate::logic::offers::reserved::Reserved;
use crate::model::{Cause, ContentId, NodeId, Obstacle, Rate};

fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

fn stamp(ino: u64) -> FileStamp {
    FileStamp { dev: 1, ino, size: 10, mtime_ns: 0, ctime_ns: 0, executable: false }
}

fn tree(files: &[(&str, u64)]) -> ScannedRoot {
    let file = |(name, ino): &(&str, u64)| ScannedFile { name: path(name), path: (*name).into(), stamp: stamp(*ino) };
    let files = files.iter().map(file).collect();
    ScannedRoot {
        name: path("t"),
        path: "/t".into(),
        real: Some("/t".into()),
        kind: Kind::Collection,
        files,
        empty_dirs: Vec::new(),
        unread: Vec::new(),
        links: 0,
    }
}

fn hash(catalogue: &mut Catalogue, job: &HashJob) -> Taken {
    hash_as(catalogue, job, job.name.as_str(), true)
}

fn hash_as(catalogue: &mut Catalogue, job: &HashJob, content: &str, settled: bool) -> Taken {
    let id = ContentId::of(content.as_bytes());
    let file = HashedFile { path: job.path.clone(), stamp: job.stamp, id, list: ListPlace::NotNeeded, settled };
    catalogue.hashed(&job.name, Arc::new(file), Instant::now())
}

fn rescan(catalogue: &mut Catalogue, files: &[(&str, u64)]) -> (Vec<HashJob>, bool) {
    rescan_without(catalogue, files, &[])
}

/// A look in which some names could not be looked at.
fn rescan_without(catalogue: &mut Catalogue, files: &[(&str, u64)], unseen: &[&str]) -> (Vec<HashJob>, bool) {
    let cause = Cause { kind: Obstacle::OpenFiles, text: "too many open files".to_owned() };
    let place = |name: &&str| Unseen { name: path(name), path: (*name).into(), cause: cause.clone() };
    let unseen = unseen.iter().map(place).collect();
    let scan = Scan { root: tree(files), unseen, skipped: Vec::new(), ignored: 0, gone: false };
    catalogue.rescanned(0, scan, Instant::now())
}

#[test]
fn a_collection_can_be_made_once_all_its_files_are_hashed() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), Instant::now()).expect("free");
    assert_eq!((jobs.len(), catalogue.roots[0].count.missing_bytes), (2, 20));
    hash(&mut catalogue, &jobs[0]);
    assert_eq!(catalogue.collectable(), [] as [RootKey; 0]);
    hash(&mut catalogue, &jobs[1]);
    assert_eq!((catalogue.collectable(), catalogue.collectable()), (vec![0], vec![]));
}

#[test]
fn only_what_changed_is_hashed_again() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), Instant::now()).expect("free");
    for job in &jobs {
        assert_eq!(hash(&mut catalogue, job), Taken::New(0));
    }
    assert!(!rescan(&mut catalogue, &[("t/a", 1), ("t/b", 2)]).1);
    let (jobs, changed) = rescan(&mut catalogue, &[("t/b", 3), ("t/c", 1)]);
    assert_eq!(jobs.iter().map(|j| j.name.as_str()).collect::<Vec<_>>(), ["t/b", "t/c"]);
    assert!(changed && catalogue.offer(&path("t/a")).is_none());
}

#[test]
fn what_cannot_be_read_is_not_offered_until_it_can_be() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), Instant::now()).expect("free");
    hash(&mut catalogue, &jobs[0]);
    assert!(catalogue.not_hashed(&jobs[1], Unhashed::Failed, Instant::now()));
    assert!(catalogue.offer(&path("t/b")).is_none());
    assert_eq!((catalogue.collectable(), catalogue.roots[0].count.files), (vec![0], 1));
    assert!(rescan(&mut catalogue, &[("t/a", 1), ("t/b", 2)]).0.is_empty());
    let again = catalogue.failed(0);
    assert_eq!(again.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["t/b"]);
    // A try that fails again changes nothing.
    assert!(catalogue.not_hashed(&again[0], Unhashed::Failed, Instant::now()));
    assert_eq!(hash(&mut catalogue, &again[0]), Taken::New(0));
    assert!(catalogue.failed(0).is_empty() && offered(&catalogue, "t/b").is_some());
    assert_eq!((catalogue.collectable(), catalogue.roots[0].count.files), (vec![0], 2));
    assert_eq!(rescan(&mut catalogue, &[("t/a", 1), ("t/b", 9)]).0.len(), 1);
}

#[test]
fn what_could_not_be_looked_at_stays_as_it_was() {
    let mut catalogue = Catalogue::new(Pace::default());
    let mut first = tree(&[("t/a", 1), ("t/d-e", 2), ("t/d/b", 3), ("t/d/e/c", 4)]);
    first.empty_dirs = vec![path("t/d/empty"), path("t/empty")];
    let (_, jobs) = catalogue.add(first, Arc::default(), Instant::now()).expect("free");
    for job in &jobs {
        hash(&mut catalogue, job);
    }
    assert!(!rescan_without(&mut catalogue, &[], &["t"]).1, "the root itself");
    assert_eq!(catalogue.rows.len(), 4);
    let (jobs, changed) = rescan_without(&mut catalogue, &[("t/a", 1)], &["t/d", "t/d-e"]);
    assert!(jobs.is_empty() && changed, "only a directory that was empty has gone");
    assert_eq!((catalogue.rows.len(), &*catalogue.roots[0].empty_dirs), (4, &[path("t/d/empty")][..]));
    rescan_without(&mut catalogue, &[("t/a", 1)], &["t/d/e"]);
    assert_eq!(catalogue.rows.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["t/a", "t/d/e/c"]);
    rescan(&mut catalogue, &[("t/a", 1)]);
    assert_eq!((catalogue.rows.len(), catalogue.offers().all().names), (1, 2));
}

#[test]
fn what_changed_while_it_was_hashed_is_queued_by_the_next_look() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), Instant::now()).expect("free");
    assert!(catalogue.not_hashed(&jobs[0], Unhashed::Changed, Instant::now()));
    assert_eq!(rescan(&mut catalogue, &[("t/a", 1)]).0.len(), 1);
}

#[test]
fn results_of_an_older_state_are_not_taken() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), Instant::now()).expect("free");
    rescan(&mut catalogue, &[("t/a", 2)]);
    assert_eq!(hash(&mut catalogue, &jobs[0]), Taken::Late);
    assert!(!catalogue.not_hashed(&jobs[0], Unhashed::Failed, Instant::now()));
    assert_eq!(offered(&catalogue, "t/a"), None);
}

#[test]
fn a_file_hashed_too_soon_keeps_its_id_while_it_is_hashed_again() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), Instant::now()).expect("free");
    hash_as(&mut catalogue, &jobs[0], "one", false);
    let (jobs, changed) = rescan(&mut catalogue, &[("t/a", 1)]);
    assert_eq!((jobs.len(), changed), (1, false));
    assert_eq!(offered(&catalogue, "t/a"), Some(ContentId::of(b"one")));
    assert_eq!(hash_as(&mut catalogue, &jobs[0], "two", true), Taken::New(0));
    assert_eq!(offered(&catalogue, "t/a"), Some(ContentId::of(b"two")));
    assert_eq!((rescan(&mut catalogue, &[("t/a", 1)]).0.len(), catalogue.collectable()), (0, vec![0]));
}

#[test]
fn what_the_system_lacks_bars_no_file_and_empties_no_tree() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), Instant::now()).expect("free");
    for job in &jobs {
        assert!(catalogue.not_hashed(job, Unhashed::Lacking, Instant::now()));
    }
    assert_eq!((catalogue.collectable(), catalogue.offers().all().names), (vec![], 3));
    let again = catalogue.failed(0);
    assert_eq!(again.len(), 2);
    for job in &again {
        assert_eq!(hash(&mut catalogue, job), Taken::New(0));
    }
    assert_eq!((catalogue.collectable(), catalogue.failed(0).len()), (vec![0], 0));
}

#[test]
fn a_directory_of_which_nothing_can_be_read_is_not_an_empty_one() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), Instant::now()).expect("free");
    catalogue.not_hashed(&jobs[0], Unhashed::Failed, Instant::now());
    assert_eq!(catalogue.collectable(), [] as [RootKey; 0]);
    rescan(&mut catalogue, &[]);
    assert_eq!(catalogue.collectable(), [0]);
}

fn with(name: &str, stamp: FileStamp) -> ScannedRoot {
    ScannedRoot { files: vec![ScannedFile { name: path(name), path: name.into(), stamp }], ..tree(&[]) }
}

fn found(catalogue: &mut Catalogue, name: &str, stamp: FileStamp) -> (Vec<HashJob>, bool) {
    let scan = Scan { root: with(name, stamp), unseen: Vec::new(), skipped: Vec::new(), ignored: 0, gone: false };
    catalogue.rescanned(0, scan, Instant::now())
}

/// A tree of one hashed file `t/a`.
fn hashed_tree(executable: bool) -> Catalogue {
    let mut catalogue = Catalogue::new(Pace::default());
    let root = with("t/a", FileStamp { executable, ..stamp(1) });
    let (_, jobs) = catalogue.add(root, Arc::default(), Instant::now()).expect("free");
    hash(&mut catalogue, &jobs[0]);
    catalogue
}

fn offered(catalogue: &Catalogue, name: &str) -> Option<ContentId> {
    catalogue.offer(&path(name)).and_then(|offer| offer.id)
}

const SIZE: u64 = 10;

#[test]
fn a_change_of_metadata_is_looked_into_while_everything_stays_offered() {
    let mut catalogue = hashed_tree(false);
    catalogue.collectable();
    let id = ContentId::of(b"t/a");
    let linked = FileStamp { ctime_ns: 5, ..stamp(1) };
    let (jobs, changed) = found(&mut catalogue, "t/a", linked);
    assert_eq!((jobs.len(), changed, offered(&catalogue, "t/a")), (1, false, Some(id)));
    assert!(catalogue.snapshot(&Reserved::default()).source(id, SIZE).is_some());
    assert!(found(&mut catalogue, "t/a", linked).0.is_empty(), "it is queued once");
    assert_eq!(hash(&mut catalogue, &jobs[0]), Taken::Same, "nothing to be told");
    // It turns out to have other bytes.
    let (jobs, _) = found(&mut catalogue, "t/a", FileStamp { ctime_ns: 6, ..stamp(1) });
    assert_eq!(hash_as(&mut catalogue, &jobs[0], "other", true), Taken::New(0));
    assert_eq!(offered(&catalogue, "t/a"), Some(ContentId::of(b"other")));
    let snapshot = catalogue.snapshot(&Reserved::default());
    assert!(snapshot.source(id, SIZE).is_none() && snapshot.absence(id, Asker::Stranger).is_some());
}

#[test]
fn a_new_executable_bit_changes_the_tree_and_not_the_file() {
    let mut catalogue = hashed_tree(false);
    catalogue.collectable();
    let generation = catalogue.roots[0].generation;
    let (_, changed) = found(&mut catalogue, "t/a", FileStamp { ctime_ns: 5, executable: true, ..stamp(1) });
    assert!(changed && catalogue.roots[0].generation > generation);
    assert_eq!(offered(&catalogue, "t/a"), Some(ContentId::of(b"t/a")));
    assert!(catalogue.rows.get(&path("t/a")).and_then(Row::offered).is_some_and(|file| file.stamp.executable));
    assert_eq!(catalogue.collectable(), [0], "its tree waits for nothing");
}

#[test]
fn a_file_that_is_renamed_keeps_its_id() {
    let mut catalogue = hashed_tree(false);
    let id = ContentId::of(b"t/a");
    let (jobs, changed) = found(&mut catalogue, "t/b", FileStamp { ctime_ns: 5, ..stamp(1) });
    assert_eq!((jobs.len(), changed), (1, true));
    assert_eq!((offered(&catalogue, "t/a"), offered(&catalogue, "t/b")), (None, Some(id)));
    assert!(
        catalogue.rows.get(&path("t/b")).and_then(Row::offered).is_some_and(|file| *file.path == *Path::new("t/b"))
    );
}

#[test]
fn a_file_that_was_touched_or_replaced_is_served_as_what_it_was_until_it_is_hashed() {
    let id = ContentId::of(b"t/a");
    for changed in [FileStamp { mtime_ns: 1, ctime_ns: 5, ..stamp(1) }, stamp(2)] {
        let mut catalogue = hashed_tree(false);
        let (jobs, _) = found(&mut catalogue, "t/a", changed);
        assert_eq!((jobs.len(), offered(&catalogue, "t/a")), (1, None));
        assert!(catalogue.snapshot(&Reserved::default()).source(id, SIZE).is_some());
        assert_eq!(hash(&mut catalogue, &jobs[0]), Taken::New(0));
        assert_eq!(offered(&catalogue, "t/a"), Some(id));
        let (jobs, _) = found(&mut catalogue, "t/a", FileStamp { mtime_ns: 2, ctime_ns: 6, ..changed });
        hash_as(&mut catalogue, &jobs[0], "other", true);
        assert!(
            catalogue.snapshot(&Reserved::default()).source(id, SIZE).is_none()
                && catalogue.snapshot(&Reserved::default()).absence(id, Asker::Stranger).is_some()
        );
    }
}

#[test]
fn a_file_of_another_size_is_not_what_it_was_at_once() {
    let mut catalogue = hashed_tree(false);
    let (jobs, _) = found(&mut catalogue, "t/a", FileStamp { size: 11, ..stamp(1) });
    let snapshot = catalogue.snapshot(&Reserved::default());
    let id = ContentId::of(b"t/a");
    assert!(jobs.len() == 1 && snapshot.source(id, SIZE).is_none() && snapshot.absence(id, Asker::Stranger).is_some());
}

#[test]
fn a_file_that_keeps_changing_is_left_out_of_its_tree_and_comes_back() {
    use std::time::Duration;
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    let mut catalogue = Catalogue::new(Pace::default());
    let files = |log: u64| tree(&[("t/a", 1), ("t/log", log)]);
    let (_, jobs) = catalogue.add(files(2), Arc::default(), begin).expect("free");
    hash(&mut catalogue, &jobs[0]);
    let look = look_at;
    assert!(catalogue.not_hashed(&jobs[1], Unhashed::Changed, begin));
    for second in 1..4 {
        let jobs = look(&mut catalogue, 10 + second, at(second));
        assert!(catalogue.not_hashed(&jobs[0], Unhashed::Changed, at(second)));
        assert_eq!((catalogue.collectable(), catalogue.unsettled().len()), (vec![], 0), "second {second}");
    }
    let jobs = look(&mut catalogue, 20, at(4));
    assert!(!catalogue.is_restless(0));
    catalogue.not_hashed(&jobs[0], Unhashed::Changed, at(4));
    assert_eq!(catalogue.unsettled(), [(path("t/log"), 0)]);
    assert!(catalogue.is_restless(0) && catalogue.is_unsettled(&path("t/log")) && !catalogue.is_unsettled(&path("t")));
    assert_eq!((catalogue.collectable(), catalogue.roots[0].count.files), (vec![0], 1));
    let left_out = &catalogue.roots[0].left_out.files;
    assert_eq!(left_out.iter().map(|f| (f.path.as_str(), f.why)).collect::<Vec<_>>(), [("log", Code::Changed)]);
    // Between two writes it may be hashed; that alone does not mean that it has settled.
    let jobs = look(&mut catalogue, 21, at(6));
    assert_eq!(catalogue.hashed(&path("t/log"), hashed_as(&jobs[0]), at(6)), Taken::New(0));
    look(&mut catalogue, 21, at(8));
    assert_eq!((catalogue.collectable(), catalogue.is_restless(0)), (vec![], true));
    look(&mut catalogue, 21, at(13));
    assert_eq!((catalogue.collectable(), catalogue.is_restless(0)), (vec![0], false));
    assert_eq!((catalogue.roots[0].count.files, catalogue.roots[0].left_out.files.len()), (2, 0));
}

fn hashed_as(job: &HashJob) -> Arc<HashedFile> {
    let (path, stamp, id) = (job.path.clone(), job.stamp, ContentId::of(b"log"));
    Arc::new(HashedFile { path, stamp, id, list: ListPlace::NotNeeded, settled: true })
}

#[test]
fn a_directory_of_which_everything_keeps_changing_says_so() {
    let begin = Instant::now();
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, mut jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), begin).expect("free");
    for second in 0..5 {
        let now = begin + Duration::from_secs(second);
        catalogue.not_hashed(&jobs[0], Unhashed::Changed, now);
        let scan = Scan {
            root: tree(&[("t/a", 10 + second)]),
            unseen: Vec::new(),
            skipped: Vec::new(),
            ignored: 0,
            gone: false,
        };
        jobs = catalogue.rescanned(0, scan, now).0;
    }
    assert_eq!(catalogue.collectable(), [] as [RootKey; 0]);
    assert!(catalogue.is_unsettled(&path("t")));
}

#[test]
fn a_seeded_tree_that_is_that_no_longer_is_told_once_until_it_is_whole_again() {
    let entry = |name: &str| {
        let id = ContentId::of(name.as_bytes());
        (path(name), crate::model::collection::Entry::File { size: 10, id, executable: false })
    };
    let tree_of = crate::model::Collection::new(vec![entry("a"), entry("b"), entry("c")]).expect("sound");
    let fixed = crate::io::share::scan::Fixed {
        id: ContentId::of(b"t"),
        size: 30,
        tree: Some(tree_of),
        left_out: LeftOut::default(),
    };
    let (mut catalogue, now) = (Catalogue::new(Pace::default()), Instant::now());
    let (key, _) = catalogue.seed(&path("t"), Path::new("/t"), Arc::new(fixed), now).expect("free");
    let all = [("t/a", 1), ("t/b", 2), ("t/c", 3)];
    rescan(&mut catalogue, &all);
    assert_eq!(catalogue.broken(key), None);
    rescan(&mut catalogue, &all[..1]);
    assert_eq!(catalogue.broken(key), Some(("/t/b".into(), 2)));
    assert_eq!(catalogue.broken(key), None, "it is told once");
    rescan(&mut catalogue, &all);
    assert_eq!(catalogue.broken(key), None, "it is whole again");
    rescan(&mut catalogue, &all[1..]);
    assert_eq!(catalogue.broken(key), Some(("/t/a".into(), 1)));
    catalogue.roots[key].gone = true;
    assert_eq!(catalogue.broken(key), None);
    catalogue.roots[key].gone = false;
    assert_eq!(catalogue.broken(key), Some(("/t/a".into(), 1)), "what comes back is looked at anew");
}

#[test]
fn a_root_that_leads_elsewhere_is_told_at_each_turn() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (key, _) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), Instant::now()).expect("free");
    let mut leads = |real: Option<&str>| catalogue.leads(key, real.map(Path::new));
    assert_eq!(leads(Some("/t")), None);
    assert_eq!(leads(Some("/etc")), Some("/etc".into()));
    assert_eq!((leads(Some("/etc")), leads(None)), (None, None), "nothing has changed, or nothing is there");
    assert_eq!(leads(Some("/t")), Some("/t".into()));
}

/// What is told with a collection that is offered, or was.
fn told(catalogue: &mut Catalogue, id: ContentId) -> Vec<(String, Code)> {
    let snapshot = catalogue.snapshot(&Reserved::default());
    let left_out = snapshot.left_out(id).cloned().unwrap_or_default();
    left_out.files.iter().map(|file| (file.path.as_str().to_owned(), file.why)).collect()
}

/// Makes and publishes the tree's collection.
fn collect(catalogue: &mut Catalogue) -> ContentId {
    assert_eq!(catalogue.collectable(), [0]);
    let files: Vec<_> = catalogue.rows.values().filter(|row| row.is_in_tree()).filter_map(Row::offered).collect();
    let entry = |file: &&Arc<HashedFile>| {
        let name = SafePath::parse(file.path.to_str().and_then(|path| path.strip_prefix("t/")).expect("below t"));
        (name.expect("valid"), crate::io::share::shared_source::file_entry(file))
    };
    let tree = crate::model::Collection::new(files.iter().map(entry).collect()).expect("sound");
    let files: Vec<_> = files.into_iter().cloned().collect();
    let made = SharedCollection::new(&tree, &files).expect("complete");
    let (id, generation) = (made.id(), catalogue.roots[0].generation);
    assert!(catalogue.collected(0, generation, Arc::new(made)));
    id
}

fn log_left_out() -> (Catalogue, ContentId, HashJob, impl Fn(u64) -> Instant) {
    let begin = Instant::now();
    let at = move |seconds| begin + Duration::from_secs(seconds);
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, mut jobs) = catalogue.add(tree(&[("t/a", 1), ("t/log", 2)]), Arc::default(), begin).expect("free");
    hash(&mut catalogue, &jobs.remove(0));
    for second in 1..5 {
        catalogue.not_hashed(&jobs[0], Unhashed::Changed, at(second - 1));
        jobs = look_at(&mut catalogue, 10 + second, at(second));
    }
    catalogue.not_hashed(&jobs[0], Unhashed::Changed, at(4));
    let job = look_at(&mut catalogue, 20, at(5)).remove(0);
    let id = collect(&mut catalogue);
    (catalogue, id, job, at)
}

fn look_at(catalogue: &mut Catalogue, log: u64, now: Instant) -> Vec<HashJob> {
    let root = tree(&[("t/a", 1), ("t/log", log)]);
    catalogue.rescanned(0, Scan { root, unseen: Vec::new(), skipped: Vec::new(), ignored: 0, gone: false }, now).0
}

#[test]
fn a_file_that_settles_is_told_with_the_tree_that_left_it_out_until_another_one_has_it() {
    let (mut catalogue, id, job, at) = log_left_out();
    let log = vec![("log".to_owned(), Code::Changed)];
    assert_eq!(told(&mut catalogue, id), log);
    // It has an id of its own, and a row that is offered.
    assert_eq!(catalogue.hashed(&job.name, hashed_as(&job), at(6)), Taken::New(0));
    assert_eq!((told(&mut catalogue, id), offered(&catalogue, "t/log").is_some()), (log.clone(), true));
    // It has settled, and the tree that has it is not made yet; who has found the other one asks for that.
    look_at(&mut catalogue, 20, at(20));
    assert_eq!((offered(&catalogue, "t"), told(&mut catalogue, id)), (None, log.clone()));
    let whole = collect(&mut catalogue);
    assert_eq!((told(&mut catalogue, whole), told(&mut catalogue, id)), (vec![], log), "each has its own");
}

#[test]
fn a_file_that_can_be_read_again_is_told_with_the_tree_that_left_it_out() {
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), Instant::now()).expect("free");
    hash(&mut catalogue, &jobs[0]);
    catalogue.not_hashed(&jobs[1], Unhashed::Denied, Instant::now());
    let id = collect(&mut catalogue);
    assert_eq!(told(&mut catalogue, id), [("b".to_owned(), Code::Internal)]);
    let again = catalogue.failed(0);
    hash(&mut catalogue, &again[0]);
    assert_eq!(told(&mut catalogue, id), [("b".to_owned(), Code::Internal)]);
    let whole = collect(&mut catalogue);
    assert_eq!(told(&mut catalogue, whole), []);
}

#[test]
fn as_many_as_are_only_counted_are_told_with_the_tree_that_left_them_out() {
    let names: Vec<String> = (0..NAMED + 3).map(|n| format!("t/b{n:02}")).collect();
    let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(2..).chain([("t/z", 1)]).collect();
    let mut catalogue = Catalogue::new(Pace::default());
    let (_, jobs) = catalogue.add(tree(&files), Arc::default(), Instant::now()).expect("free");
    for job in &jobs {
        if job.name.as_str() == "t/z" {
            hash(&mut catalogue, job);
        } else {
            assert!(catalogue.not_hashed(job, Unhashed::Failed, Instant::now()));
        }
    }
    let id = collect(&mut catalogue);
    let told = |catalogue: &mut Catalogue| {
        catalogue.snapshot(&Reserved::default()).left_out(id).map(|told| (told.files.len(), told.more))
    };
    assert_eq!(told(&mut catalogue), Some((NAMED, 3)));
    for job in catalogue.failed(0) {
        hash(&mut catalogue, &job);
    }
    assert_eq!(told(&mut catalogue), Some((NAMED, 3)));
}

#[test]
fn what_could_not_be_read_is_told_also_while_the_directory_around_it_cannot_be_looked_at() {
    let mut catalogue = Catalogue::new(Pace::default());
    let mut root = tree(&[("t/a", 1), ("t/d/b", 2)]);
    root.unread = vec![path("t/d/key")];
    let (_, jobs) = catalogue.add(root, Arc::default(), Instant::now()).expect("free");
    for job in &jobs {
        hash(&mut catalogue, job);
    }
    let id = collect(&mut catalogue);
    let key = [("d/key".to_owned(), Code::Internal)];
    assert_eq!(told(&mut catalogue, id), key);
    let unseen = |name: &str| {
        let cause = Cause { kind: Obstacle::OpenFiles, text: "too many open files".to_owned() };
        Unseen { name: path(name), path: name.into(), cause }
    };
    // As a walk tells it: what could not be looked at could not be read either.
    let root = ScannedRoot { unread: vec![path("t/d")], ..tree(&[("t/a", 1)]) };
    let scan = Scan { root, unseen: vec![unseen("t/d")], skipped: Vec::new(), ignored: 0, gone: false };
    catalogue.rescanned(0, scan, Instant::now());
    assert_eq!(told(&mut catalogue, id), key);
}

#[test]
fn what_was_told_with_a_seeded_tree_is_told_on() {
    let entry = |name: &str| {
        let id = ContentId::of(name.as_bytes());
        (path(name), crate::model::collection::Entry::File { size: 10, id, executable: false })
    };
    let tree_of = crate::model::Collection::new(vec![entry("a")]).expect("sound");
    let left_out = LeftOut { files: vec![LeftOutFile { path: path("log"), why: Code::Changed }], more: 2 };
    let fixed = crate::io::share::scan::Fixed {
        id: ContentId::of(&tree_of.manifest()),
        size: 10,
        tree: Some(tree_of),
        left_out: left_out.clone(),
    };
    let mut catalogue = Catalogue::new(Pace::default());
    catalogue.seed(&path("t"), Path::new("/t"), Arc::new(fixed), Instant::now()).expect("free");
    let (jobs, _) = rescan(&mut catalogue, &[("t/a", 1)]);
    hash_as(&mut catalogue, &jobs[0], "a", true);
    let id = collect(&mut catalogue);
    assert_eq!(catalogue.snapshot(&Reserved::default()).left_out(id), Some(&left_out));
}

#[test]
fn what_is_withdrawn_is_nobodys_and_its_name_is_free() {
    let (mut catalogue, now) = (Catalogue::new(Pace::default()), Instant::now());
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), now).expect("free");
    hash(&mut catalogue, &jobs[0]);
    assert!(catalogue.snapshot(&Reserved::default()).offer(&path("t")).is_some());
    assert_eq!((catalogue.withdraw(&path("x"), now), catalogue.withdraw(&path("t"), now)), (None, Some(0)));
    let snapshot = catalogue.snapshot(&Reserved::default());
    assert_eq!((snapshot.offers().all().names, catalogue.shared()), (0, Vec::new()));
    assert!(
        snapshot.source(ContentId::of(b"t/a"), 10).is_none()
            && snapshot.absence(ContentId::of(b"t/a"), Asker::Stranger).is_some()
    );
    // What was on its way for it finds nothing.
    assert_eq!(hash(&mut catalogue, &jobs[1]), Taken::Late);
    assert_eq!((catalogue.collectable(), catalogue.withdraw(&path("t"), now)), (Vec::new(), None));
    let (key, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), now).expect("free again");
    assert_eq!((key, hash(&mut catalogue, &jobs[0])), (1, Taken::New(1)));
    assert_eq!(catalogue.snapshot(&Reserved::default()).offers().all().names, 2);
}

#[test]
fn what_is_for_friends_alone_stays_so_after_it_has_changed_unless_anybody_may_have_the_same() {
    let (mut catalogue, now) = (Catalogue::new(Pace::default()), Instant::now());
    let (key, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), now).expect("free");
    catalogue.roots[key].audience = Audience::Friends;
    for (job, content) in jobs.iter().zip(["secret", "known"]) {
        hash_as(&mut catalogue, job, content, true);
    }
    let [secret, known] = [b"secret".as_slice(), b"known"].map(ContentId::of);
    let whole = Reserved::whole();
    let before = catalogue.reserved(&whole);
    let has = |reserved: &Reserved, id: ContentId| reserved.ids.contains_key(&id);
    let has_name = |reserved: &Reserved, name: &str| !reserved.shows(&path(name), || false);
    assert!(before.all && has(&before, secret) && has(&before, known) && has_name(&before, "t/a"));
    let other = ScannedRoot { name: path("u"), ..tree(&[("u/b", 3)]) };
    let (_, jobs) = catalogue.add(other, Arc::default(), now).expect("free");
    hash_as(&mut catalogue, &jobs[0], "known", true);
    let mixed = catalogue.reserved(&before);
    // Strangers get what is known from whoever offers it to them, and nothing else of it.
    let snapshot = catalogue.snapshot(&mixed);
    let open = snapshot.open().expect("another one");
    let names: Vec<_> = open.offers().iter().map(|offer| offer.name.to_string()).collect();
    assert_eq!(names, ["u", "u/b"]);
    assert!(open.source(known, 10).is_some() && open.source(secret, 10).is_none());
    assert!(snapshot.source(secret, 10).is_some());
    assert!(!mixed.all && has(&mixed, secret) && !has(&mixed, known) && !has_name(&mixed, "u/b"));
    // Another content takes its place, but whoever fetches the old one may still find it here.
    assert_eq!(rescan(&mut catalogue, &[("t/a", 4), ("t/b", 2)]).0.len(), 1);
    let changed = catalogue.reserved(&mixed);
    assert!(has(&changed, secret));
    catalogue.withdraw(&path("t"), now);
    assert!(!catalogue.reserved(&changed).is_any());
    // Of a node that serves its friends alone nothing changes while it has nothing else.
    assert!(Catalogue::default().reserved(&whole).all);
}

#[test]
fn what_is_for_single_nodes_has_no_name_and_is_theirs_by_its_id_until_it_is_withdrawn() {
    let (mut catalogue, now) = (Catalogue::new(Pace::default()), Instant::now());
    let (key, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default(), now).expect("free");
    let (theirs, others) = (NodeId::of_public_key(b"1"), NodeId::of_public_key(b"2"));
    catalogue.roots[key].audience = Audience::Nodes([theirs].into());
    hash_as(&mut catalogue, &jobs[0], "given", true);
    let id = ContentId::of(b"given");
    let reserved = catalogue.reserved(&Reserved::default());
    assert!(!reserved.all && reserved.is_for(id, theirs) && !reserved.grants(id, Some(others), || true));
    assert!(!reserved.shows(&path("t/a"), || true));
    let snapshot = catalogue.snapshot(&reserved);
    assert!(snapshot.source(id, 10).is_some());
    for less in [snapshot.named(), snapshot.open()] {
        let less = less.expect("another one");
        assert!(less.offers().iter().next().is_none() && less.source(id, 10).is_none());
    }
    catalogue.withdraw(&path("t"), now);
    let after = catalogue.reserved(&reserved);
    assert!(!after.grants(id, Some(theirs), || true), "as if it had never been there");
}

#[test]
fn what_is_limited_stays_so_after_it_has_changed_unless_it_is_offered_without_a_limit() {
    let (mut catalogue, now) = (Catalogue::new(Pace::default()), Instant::now());
    let (key, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default(), now).expect("free");
    let rate = Rate::bytes_per_second(7);
    catalogue.roots[key].throttle = Some(Throttle::new(rate));
    for (job, content) in jobs.iter().zip(["own", "common"]) {
        hash_as(&mut catalogue, job, content, true);
    }
    let former = collect(&mut catalogue);
    let [own, common] = [b"own".as_slice(), b"common"].map(ContentId::of);
    let limits = |catalogue: &mut Catalogue| {
        let snapshot = catalogue.snapshot(&Reserved::default());
        [own, common, former].map(|id| snapshot.limit(id).and_then(Throttle::own_rate))
    };
    assert_eq!(limits(&mut catalogue), [rate; 3]);
    let other = ScannedRoot { name: path("u"), ..tree(&[("u/b", 3)]) };
    let (_, jobs) = catalogue.add(other, Arc::default(), now).expect("free");
    hash_as(&mut catalogue, &jobs[0], "common", true);
    assert_eq!(limits(&mut catalogue), [rate, None, rate]);
    assert_eq!(rescan(&mut catalogue, &[("t/a", 4), ("t/b", 2)]).0.len(), 1);
    assert_eq!(limits(&mut catalogue)[1..], [None, rate], "what was is still asked for");
    catalogue.withdraw(&path("t"), now);
    assert_eq!(limits(&mut catalogue), [None; 3]);
}
