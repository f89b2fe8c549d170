use super::*;
use crate::io::scan::{Cause, Unseen};
use crate::io::shared_source::ListPlace;
use crate::model::ContentId;

fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

fn stamp(ino: u64) -> FileStamp {
    FileStamp { dev: 1, ino, size: 10, mtime_ns: 0, ctime_ns: 0, executable: false }
}

fn tree(files: &[(&str, u64)]) -> ScannedRoot {
    let file = |(name, ino): &(&str, u64)| ScannedFile { name: path(name), path: (*name).into(), stamp: stamp(*ino) };
    let files = files.iter().map(file).collect();
    ScannedRoot { name: path("t"), path: "/t".into(), kind: Kind::Collection, files, empty_dirs: Vec::new() }
}

fn hash(catalogue: &mut Catalogue, job: &Job) -> Option<RootKey> {
    hash_as(catalogue, job, job.name.as_str(), true)
}

fn hash_as(catalogue: &mut Catalogue, job: &Job, content: &str, settled: bool) -> Option<RootKey> {
    let id = ContentId::of(content.as_bytes());
    let file = HashedFile { path: job.path.clone(), stamp: job.stamp, id, list: ListPlace::NotNeeded, settled };
    catalogue.hashed(&job.name, Arc::new(file))
}

fn rescan(catalogue: &mut Catalogue, files: &[(&str, u64)]) -> (Vec<Job>, bool) {
    rescan_without(catalogue, files, &[])
}

/// A look in which some names could not be looked at.
fn rescan_without(catalogue: &mut Catalogue, files: &[(&str, u64)], unseen: &[&str]) -> (Vec<Job>, bool) {
    let place = |name: &&str| Unseen { name: path(name), path: (*name).into(), cause: Cause::Descriptors };
    let unseen = unseen.iter().map(place).collect();
    let scan = Scan { root: tree(files), unseen, skipped: Vec::new(), links: 0, gone: false };
    catalogue.rescanned(0, scan)
}

#[test]
fn a_collection_can_be_made_once_all_its_files_are_hashed() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default()).expect("free");
    assert_eq!((jobs.len(), catalogue.roots[0].count.missing_bytes), (2, 20));
    hash(&mut catalogue, &jobs[0]);
    assert_eq!(catalogue.collectable(), [] as [RootKey; 0]);
    hash(&mut catalogue, &jobs[1]);
    assert_eq!((catalogue.collectable(), catalogue.collectable()), (vec![0], vec![]));
}

#[test]
fn only_what_changed_is_hashed_again() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default()).expect("free");
    for job in &jobs {
        assert_eq!(hash(&mut catalogue, job), Some(0));
    }
    assert!(!rescan(&mut catalogue, &[("t/a", 1), ("t/b", 2)]).1);
    let (jobs, changed) = rescan(&mut catalogue, &[("t/b", 3), ("t/c", 1)]);
    assert_eq!(jobs.iter().map(|j| j.name.as_str()).collect::<Vec<_>>(), ["t/b", "t/c"]);
    assert!(changed && !catalogue.book.offers.contains_key(&path("t/a")));
}

#[test]
fn what_cannot_be_read_is_not_offered_until_it_can() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1), ("t/b", 2)]), Arc::default()).expect("free");
    hash(&mut catalogue, &jobs[0]);
    assert!(catalogue.not_hashed(&jobs[1], State::Failed));
    assert!(!catalogue.book.offers.contains_key(&path("t/b")));
    assert_eq!((catalogue.collectable(), catalogue.roots[0].count.files), (vec![0], 1));
    assert!(rescan(&mut catalogue, &[("t/a", 1), ("t/b", 2)]).0.is_empty());
    let again = catalogue.failed(0);
    assert_eq!(again.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["t/b"]);
    // A try that fails again changes nothing.
    assert!(!catalogue.not_hashed(&again[0], State::Failed));
    assert_eq!(hash(&mut catalogue, &again[0]), Some(0));
    assert!(catalogue.failed(0).is_empty() && catalogue.book.offers[&path("t/b")].id.is_some());
    assert_eq!((catalogue.collectable(), catalogue.roots[0].count.files), (vec![0], 2));
    assert_eq!(rescan(&mut catalogue, &[("t/a", 1), ("t/b", 9)]).0.len(), 1);
}

#[test]
fn what_could_not_be_looked_at_stays_as_it_was() {
    let mut catalogue = Catalogue::default();
    let mut first = tree(&[("t/a", 1), ("t/d-e", 2), ("t/d/b", 3), ("t/d/e/c", 4)]);
    first.empty_dirs = vec![path("t/d/empty"), path("t/empty")];
    let (_, jobs) = catalogue.add(first, Arc::default()).expect("free");
    for job in &jobs {
        hash(&mut catalogue, job);
    }
    assert_eq!(rescan_without(&mut catalogue, &[], &["t"]).1, false, "the root itself");
    assert_eq!(catalogue.rows.len(), 4);
    let (jobs, changed) = rescan_without(&mut catalogue, &[("t/a", 1)], &["t/d", "t/d-e"]);
    assert!(jobs.is_empty() && changed, "only a directory that was empty has gone");
    assert_eq!((catalogue.rows.len(), &*catalogue.roots[0].empty_dirs), (4, &[path("t/d/empty")][..]));
    rescan_without(&mut catalogue, &[("t/a", 1)], &["t/d/e"]);
    assert_eq!(catalogue.rows.keys().map(SafePath::as_str).collect::<Vec<_>>(), ["t/a", "t/d/e/c"]);
    rescan(&mut catalogue, &[("t/a", 1)]);
    assert_eq!((catalogue.rows.len(), catalogue.book.offers.len()), (1, 2));
}

#[test]
fn what_changed_while_it_was_hashed_is_queued_by_the_next_look() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default()).expect("free");
    assert!(catalogue.not_hashed(&jobs[0], State::Stale));
    assert_eq!(rescan(&mut catalogue, &[("t/a", 1)]).0.len(), 1);
}

#[test]
fn results_of_an_older_state_are_not_taken() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default()).expect("free");
    rescan(&mut catalogue, &[("t/a", 2)]);
    assert_eq!(hash(&mut catalogue, &jobs[0]), None);
    assert!(!catalogue.not_hashed(&jobs[0], State::Failed));
    assert_eq!(catalogue.book.offers[&path("t/a")].id, None);
}

#[test]
fn a_file_hashed_too_soon_keeps_its_id_while_it_is_hashed_again() {
    let mut catalogue = Catalogue::default();
    let (_, jobs) = catalogue.add(tree(&[("t/a", 1)]), Arc::default()).expect("free");
    hash_as(&mut catalogue, &jobs[0], "one", false);
    let (jobs, changed) = rescan(&mut catalogue, &[("t/a", 1)]);
    assert_eq!((jobs.len(), changed), (1, false));
    assert_eq!(catalogue.book.offers[&path("t/a")].id, Some(ContentId::of(b"one")));
    assert_eq!(hash_as(&mut catalogue, &jobs[0], "two", true), Some(0));
    assert_eq!(catalogue.book.offers[&path("t/a")].id, Some(ContentId::of(b"two")));
    assert_eq!((rescan(&mut catalogue, &[("t/a", 1)]).0.len(), catalogue.collectable()), (0, vec![0]));
}
