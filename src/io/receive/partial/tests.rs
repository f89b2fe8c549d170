use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::io::receive::dest::FileKind;
use crate::io::receive::journal::{BootId, Header};
use crate::model::collection::Entry;
use crate::model::units::chunk_list::chunk_value;
use crate::model::{Cause, ChunkIndex, Layout, Obstacle};

/// A content and all its bytes.
pub(in crate::io) struct Content {
    pub(in crate::io) spec: PartialSpec,
    files: Vec<Vec<u8>>,
}

pub(in crate::io) fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

/// Bytes that differ from chunk to chunk and from seed to seed.
pub(in crate::io) fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8 ^ (i >> 18) as u8 ^ seed).collect()
}

/// A directory and a handle on it.
pub(in crate::io) fn place() -> (TempDir, SafeDir) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let held = SafeDir::open(dir.path()).expect("held");
    (dir, held)
}

/// All names directly in a directory, sorted.
pub(in crate::io) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("readable");
    let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl Content {
    pub(in crate::io) fn file(bytes: Vec<u8>) -> Self {
        let (id, size) = (ContentId::of(&bytes), bytes.len() as u64);
        let map = Arc::new(UnitMap::of_file(id, size).expect("small"));
        let (present, unwanted) = (HashSet::new(), HashSet::new());
        let spec = PartialSpec {
            id,
            kind: Kind::File,
            size,
            map,
            collection: None,
            present,
            unwanted,
            target: None,
            only: Vec::new(),
        };
        Self { spec, files: vec![bytes] }
    }

    /// `None` is an empty directory; a path that ends in `*` is executable.
    pub(in crate::io) fn tree(entries: &[(&str, Option<Vec<u8>>)]) -> Self {
        let entry = |bytes: &Vec<u8>, executable| Entry::File {
            size: bytes.len() as u64,
            id: ContentId::of(bytes),
            executable,
        };
        let made = entries.iter().map(|(name, bytes)| {
            let entry = bytes.as_ref().map_or(Entry::Directory, |b| entry(b, name.ends_with('*')));
            (path(name.trim_end_matches('*')), entry)
        });
        let collection = Collection::new(made.collect()).expect("sound");
        let map = UnitMap::of_collection(&collection).expect("small");
        let of = |id| entries.iter().filter_map(|(_, b)| b.clone()).find(|b| ContentId::of(b) == id).expect("there");
        let files = map.files().iter().map(|f| of(f.id)).collect();
        let (id, size) = (ContentId::of(&collection.manifest()), collection.bytes());
        let (present, unwanted) = (HashSet::new(), HashSet::new());
        let (map, collection) = (Arc::new(map), Some(Arc::new(collection)));
        let spec = PartialSpec {
            id,
            kind: Kind::Collection,
            size,
            map,
            collection,
            present,
            unwanted,
            target: None,
            only: Vec::new(),
        };
        Self { spec, files }
    }

    pub(in crate::io) fn unit(&self, unit: u32) -> &[u8] {
        let place = self.spec.map.place(UnitIndex(unit)).expect("a unit");
        let (from, len) = (usize::try_from(place.offset).expect("small"), usize::try_from(place.len).expect("small"));
        &self.files[place.file][from..from + len]
    }

    pub(in crate::io) fn list(&self, file: usize) -> ChunkList {
        let (bytes, id) = (&self.files[file], self.spec.map.files()[file].id);
        let layout = Layout::of(bytes.len() as u64).expect("small");
        let chunks = bytes.chunks(usize::try_from(layout.chunk_size()).expect("small"));
        let values =
            chunks.enumerate().map(|(i, c)| chunk_value(layout, ChunkIndex(u32::try_from(i).expect("few")), c));
        ChunkList::new(id, layout, values.collect()).expect("own list")
    }

    pub(in crate::io) fn open(&self, parent: &SafeDir) -> (Partial, Resumed) {
        Partial::open(parent, self.spec.clone()).expect("opened")
    }

    /// Writes and notes units, after the lists of their files.
    pub(in crate::io) fn put(&self, partial: &Partial, units: impl IntoIterator<Item = u32>) {
        let mut listed = HashSet::new();
        for unit in units {
            let file = self.spec.map.place(UnitIndex(unit)).expect("a unit").file;
            if self.spec.map.files()[file].layout.needs_list() && listed.insert(file) {
                partial.save_list(file, &self.list(file)).expect("saved");
            }
            partial.write(UnitIndex(unit), self.unit(unit)).expect("written");
            partial.record(&[UnitIndex(unit)]).expect("noted");
        }
    }

    /// Writes and notes all that is wanted.
    pub(in crate::io) fn put_all(&self, partial: &Partial) {
        self.put(partial, partial.wanted().iter().collect::<Vec<_>>());
    }

    fn claimed(&self, parent: &SafeDir) -> Vec<u32> {
        self.open(parent).1.units.iter().collect()
    }
}

const CHUNK: usize = 256 << 10;

fn three_chunks() -> Content {
    Content::file(bytes(2 * CHUNK + 7, 1))
}

fn small_tree() -> Content {
    Content::tree(&[
        ("a/one", Some(bytes(10, 1))),
        ("a/two", Some(bytes(20, 2))),
        ("big", Some(bytes(2 * CHUNK + 1, 3))),
        ("copy", Some(bytes(10, 1))),
        ("empty", Some(Vec::new())),
        ("hollow/dir", None),
        ("run*", Some(bytes(30, 4))),
    ])
}

#[test]
fn what_was_noted_before_a_kill_is_claimed_after_it_and_reads_back() {
    for content in [three_chunks(), small_tree()] {
        let (_dir, parent) = place();
        let (partial, resumed) = content.open(&parent);
        assert_eq!((resumed.units.count(), resumed.lists.len()), (0, 0));
        content.put(&partial, [0, 2]);
        partial.write(UnitIndex(1), content.unit(1)).expect("written, not noted");
        drop(partial);
        let (partial, resumed) = content.open(&parent);
        assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 2]);
        let mut buf = vec![0; content.unit(2).len()];
        partial.read(UnitIndex(2), &mut buf).expect("read");
        assert_eq!(buf, content.unit(2));
        let place = content.spec.map.place(UnitIndex(2)).expect("a unit");
        partial.read_at(place.file, &mut buf[..3], place.offset + 2).expect("read");
        assert_eq!(buf[..3], content.unit(2)[2..5]);
        assert_eq!(partial.bytes_noted(), (content.unit(0).len() + content.unit(2).len()) as u64);
    }
}

#[test]
fn lists_and_manifest_come_back_and_need_no_provider() {
    let (_dir, parent) = place();
    let content = small_tree();
    let id = content.spec.id;
    assert_eq!(Partial::resume_manifest(&parent, id), None);
    let (partial, _) = content.open(&parent);
    let big = content.spec.map.files().iter().position(|f| f.layout.needs_list()).expect("one is big");
    partial.save_list(big, &content.list(big)).expect("saved");
    // While it is in use, too.
    let manifest = content.spec.collection.as_ref().expect("a tree").manifest();
    assert_eq!(Partial::resume_manifest(&parent, id), Some(manifest));
    drop(partial);
    let (_, resumed) = content.open(&parent);
    assert_eq!(resumed.lists, [(big, content.list(big))]);
}

#[test]
fn chunks_without_their_list_are_not_claimed() {
    let (_dir, parent) = place();
    let content = three_chunks();
    let (partial, _) = content.open(&parent);
    partial.write(UnitIndex(0), content.unit(0)).expect("written");
    partial.record(&[UnitIndex(0)]).expect("noted");
    drop(partial);
    assert!(content.claimed(&parent).is_empty());
}

fn have(range: std::ops::Range<u32>) -> Record {
    Record::Have(std::iter::once(range).collect())
}

#[test]
fn a_journal_of_another_boot_counts_up_to_its_checkpoint() {
    let (_dir, parent) = place();
    let content = three_chunks();
    let Names { journal, .. } = Names::of(content.spec.id);
    drop(content.open(&parent));
    let file = parent.file(&journal, crate::io::receive::dest::Access::OpenOrCreate).expect("opened");
    let header = Header { id: content.spec.id, kind: Kind::File, size: content.spec.size };
    let mut log = Log::begin(file, &header).expect("begun");
    log.append(&Record::Session { boot: [1; 16], pid: 1 }).expect("appended");
    log.append(&Record::List { file: 0, values: content.list(0).as_bytes().to_vec() }).expect("appended");
    log.append(&have(1..2)).expect("appended");
    log.append(&Record::Checkpoint(log.end())).expect("appended");
    log.append(&have(2..3)).expect("appended");
    drop(log);
    assert_ne!(BootId::now().0, [1; 16]);
    assert_eq!(content.claimed(&parent), [1]);
    // And the next process of this boot believes no more.
    assert_eq!(content.claimed(&parent), [1]);
}

#[test]
fn a_checkpoint_covers_what_was_noted_before_it() {
    let (_dir, parent) = place();
    let content = small_tree();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0, 1]);
    partial.checkpoint().expect("synced");
    let end = partial.state().log.end();
    partial.checkpoint().expect("nothing to do");
    assert_eq!(partial.state().log.end(), end);
    content.put(&partial, [2]);
    drop(partial);
    let journal =
        parent.file(&Names::of(content.spec.id).journal, crate::io::receive::dest::Access::Read).expect("opened");
    let len = journal.metadata().expect("known").len();
    let (_, mut reader) = crate::io::receive::journal::Reader::new(journal, len).expect("sound");
    let claims = crate::io::receive::journal::replay(&mut reader, content.spec.map.units(), [9; 16]).expect("read");
    assert_eq!(claims.have.iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_torn_or_missing_journal_and_a_missing_part_claim_nothing_false() {
    let content = small_tree();
    let names = Names::of(content.spec.id);
    let begin = || {
        let (dir, parent) = place();
        let (partial, _) = content.open(&parent);
        content.put(&partial, [0, 1]);
        (dir, parent)
    };
    let (dir, parent) = begin();
    let journal = dir.path().join(names.journal.as_str());
    let whole = std::fs::read(&journal).expect("there");
    std::fs::write(&journal, &whole[..whole.len() - 3]).expect("torn");
    assert_eq!(content.claimed(&parent), [0]);
    std::fs::write(&journal, [0; 100]).expect("zeroed");
    assert!(content.claimed(&parent).is_empty());
    let (dir, parent) = begin();
    std::fs::remove_file(dir.path().join(names.journal.as_str())).expect("removed");
    assert!(content.claimed(&parent).is_empty());
    let (dir, parent) = begin();
    std::fs::remove_dir_all(dir.path().join(names.part.as_str())).expect("removed");
    assert!(content.claimed(&parent).is_empty());
}

#[test]
fn case_100_a_second_process_is_told_who_has_it() {
    let (_dir, parent) = place();
    let content = three_chunks();
    let (partial, _) = content.open(&parent);
    let error = Partial::open(&parent, content.spec.clone()).expect_err("in use");
    assert!(matches!(error, PartialError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    Partial::discard(&parent, content.spec.id).expect("leaves it alone");
    drop(partial);
    content.open(&parent);
}

#[test]
fn a_link_with_the_partial_files_name_is_refused() {
    let (outside, _) = place();
    for content in [three_chunks(), small_tree()] {
        let (dir, parent) = place();
        let names = Names::of(content.spec.id);
        std::os::unix::fs::symlink(outside.path(), dir.path().join(names.part.as_str())).expect("linked");
        let error = Partial::open(&parent, content.spec.clone()).expect_err("a link");
        assert!(matches!(error, PartialError::Dest(DestError::Link { .. } | DestError::Exists { .. })), "{error}");
        std::fs::remove_file(dir.path().join(names.part.as_str())).expect("removed");
        std::fs::remove_file(dir.path().join(names.journal.as_str())).expect("removed");
        std::os::unix::fs::symlink(outside.path().join("x"), dir.path().join(names.journal.as_str())).expect("linked");
        let error = Partial::open(&parent, content.spec.clone()).expect_err("a link");
        assert!(matches!(error, PartialError::Dest(DestError::Link { .. })), "{error}");
    }
    assert_eq!(names(outside.path()), Vec::<String>::new());
}

#[test]
fn case_030_a_claimed_size_sets_nothing_aside_before_its_list_is_proven() {
    let (_dir, parent) = place();
    let content = three_chunks();
    let (partial, _) = content.open(&parent);
    let stat = || parent.stat(&partial.names.part).expect("fine").expect("there");
    assert_eq!((stat().kind, stat().len), (FileKind::File, 0));
    partial.save_list(0, &content.list(0)).expect("saved");
    assert_eq!(stat().len, content.spec.size);
    let huge = PartialSpec {
        size: 1 << 42,
        map: Arc::new(UnitMap::of_file(ContentId::of(b"x"), 1 << 42).expect("fits")),
        id: ContentId::of(b"x"),
        ..content.spec
    };
    let error = Partial::open(&parent, huge).expect_err("no room");
    assert!(error.is_full() && error.to_string().contains("4.0 TiB are needed"), "{error}");
}

fn lied(content: &Content, size: u64) -> PartialSpec {
    let map = Arc::new(UnitMap::of_file(content.spec.id, size).expect("small"));
    PartialSpec { size, map, ..content.spec.clone() }
}

/// Sizes off by one, by a chunk, of another chunk size, and nearly none: each between two true runs.
#[test]
fn a_lie_about_the_size_takes_nothing_that_was_proven() {
    let content = three_chunks();
    let size = content.spec.size;
    let (_dir, parent) = place();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0, 2]);
    drop(partial);
    for lie in [size + 1, size - 1, size + CHUNK as u64, CHUNK as u64, 1, 64 << 20, 20 << 30] {
        // There may be no room for that much: an error that goes away by itself.
        drop(Partial::open(&parent, lied(&content, lie)));
        assert_eq!(content.claimed(&parent), [0, 2], "after a size of {lie}");
    }
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.lists, [(0, content.list(0))]);
    for unit in [0, 2] {
        let mut buf = vec![0; content.unit(unit).len()];
        partial.read(UnitIndex(unit), &mut buf).expect("read");
        assert_eq!(buf, content.unit(unit));
    }
}

#[test]
fn what_was_proven_under_a_wrong_size_is_kept_where_it_agrees() {
    let content = three_chunks();
    let size = content.spec.size;
    for (lies, units, kept) in [
        // The list of two chunks is no list of three, but the bytes are there, and are proven once it comes.
        (vec![size + 1], vec![0, 1], vec![0, 1]),
        (vec![size - 1], vec![1], vec![1]),
        (vec![size + 1, size - 1, size + 5], vec![0], vec![0]),
    ] {
        let (_dir, parent) = place();
        for lie in &lies {
            let (partial, _) = Partial::open(&parent, lied(&content, *lie)).expect("opened");
            partial.save_list(0, &lied_list(&content, *lie)).expect("saved");
            for &unit in &units {
                partial.write(UnitIndex(unit), content.unit(unit)).expect("written");
                partial.record(&[UnitIndex(unit)]).expect("noted");
            }
        }
        assert_eq!(content.claimed(&parent), kept, "{lies:?}");
        assert_eq!(Partial::peek(&parent, &content.spec).iter().collect::<Vec<_>>(), kept);
        let (partial, _) = content.open(&parent);
        content.put_all(&partial);
        let plan = crate::io::receive::publish::PublishPlan {
            target: path("whole"),
            replace: HashSet::new(),
            times: Vec::new(),
            executable: false,
        };
        let published = partial.publish(&plan).expect("published");
        assert_eq!(std::fs::read(published).expect("there"), content.files[0]);
    }
}

fn lied_list(content: &Content, size: u64) -> ChunkList {
    let layout = Layout::of(size).expect("small");
    ChunkList::from_bytes(content.spec.id, layout, content.list(0).as_bytes()).expect("it merges")
}

/// 64 MiB less one byte has chunks of 256 KiB, 64 MiB has such of 1 MiB.
#[test]
fn units_of_another_chunk_size_are_claimed_once_their_list_is_there() {
    let content = Content::file(vec![3; (64 << 20) - 1]);
    let (_dir, parent) = place();
    let mib = 1 << 20;
    let (partial, _) = Partial::open(&parent, lied(&content, 64 << 20)).expect("opened");
    partial.write(UnitIndex(1), &content.files[0][mib..2 * mib]).expect("written");
    partial.record(&[UnitIndex(1)]).expect("noted");
    drop(partial);
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units.count(), 0, "without a list nothing is believed");
    assert_eq!(partial.units_of_kin(0, Some(&content.list(0))), [4, 5, 6, 7]);
    let mut buf = vec![0; CHUNK];
    partial.read_kin(UnitIndex(5), &mut buf).expect("read");
    assert_eq!(buf, content.unit(5));
}

#[test]
fn a_collection_gives_way_to_no_file_of_its_id_and_a_file_to_a_collection() {
    let (_dir, parent) = place();
    let content = small_tree();
    let manifest = content.spec.collection.as_ref().expect("a tree").manifest();
    let list = Content::file(manifest);
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0]);
    drop(partial);
    let error = Partial::open(&parent, list.spec.clone()).expect_err("it is a collection");
    assert!(matches!(error, PartialError::Kind { .. }), "{error}");
    assert_eq!(content.claimed(&parent), [0]);
    Partial::discard(&parent, content.spec.id).expect("removed");
    drop(list.open(&parent));
    drop(content.open(&parent));
}

/// Whatever has the names of what is not finished was not put there by us.
#[test]
fn what_is_planted_under_the_names_is_refused_and_never_written_through() {
    use rustix::fs::{CWD, FileType, mknodat};
    let (outside, _) = place();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, b"precious").expect("written");
    let plant = |at: &Path, what: &str| match what {
        "directory" => std::fs::create_dir_all(at).expect("made"),
        "fifo" => mknodat(CWD, at, FileType::Fifo, 0o600.into(), 0).expect("made"),
        "hard link" => std::fs::hard_link(&victim, at).expect("linked"),
        "socket" => drop(std::os::unix::net::UnixListener::bind(at).expect("bound")),
        _ => std::os::unix::fs::symlink(&victim, at).expect("linked"),
    };
    for what in ["directory", "fifo", "hard link", "socket", "link"] {
        for content in [three_chunks(), small_tree()] {
            let names = Names::of(content.spec.id);
            let tree = content.spec.collection.is_some();
            let inside = if tree { names.part.join(&path("a/one")).expect("short") } else { names.part.clone() };
            for name in [names.journal, inside] {
                let (dir, parent) = place();
                let at = dir.path().join(name.as_str());
                std::fs::create_dir_all(at.parent().expect("above")).expect("made");
                plant(&at, what);
                let begun = Partial::open(&parent, content.spec.clone());
                let done = begun.and_then(|(partial, _)| partial.write(UnitIndex(0), content.unit(0)));
                let error = done.expect_err(&format!("{what} at {name}"));
                assert!(error.to_string().contains(name.as_str()), "{what} at {name}: {error}");
                assert_eq!(std::fs::read(&victim).expect("there"), b"precious", "{what} at {name}");
            }
        }
    }
}

#[test]
fn units_of_other_lengths_or_unwanted_files_are_refused() {
    let (_dir, parent) = place();
    let mut content = small_tree();
    content.spec.unwanted = [path("a/two")].into();
    let (partial, _) = content.open(&parent);
    let unwanted = (0..content.spec.map.units()).find(|&u| content.unit(u).len() == 20).expect("a/two has a unit");
    assert!(!partial.wanted().has(unwanted) && partial.wanted().count() == content.spec.map.units() - 1);
    for (unit, bytes) in [(unwanted, content.unit(unwanted)), (0, &b"short"[..]), (u32::MAX, b"")] {
        assert!(matches!(partial.write(UnitIndex(unit), bytes), Err(PartialError::Unit { .. })));
    }
}

#[test]
fn a_run_that_wants_another_path_of_the_same_file_finds_its_bytes() {
    let (_dir, parent) = place();
    let mut content = small_tree();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0]);
    drop(partial);
    content.spec.unwanted = [path("a/one")].into();
    let (partial, resumed) = content.open(&parent);
    assert!(resumed.units.has(0));
    let mut buf = vec![0; 10];
    partial.read(UnitIndex(0), &mut buf).expect("read at its new place");
    assert_eq!(buf, content.unit(0));
}

#[test]
fn many_threads_write_many_large_files_with_few_descriptors() {
    let (_dir, parent) = place();
    let named: Vec<_> = (0..100_u8).map(|i| (format!("f{i}"), Some(bytes(CHUNK + 1, i)))).collect();
    let entries: Vec<_> = named.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let content = Content::tree(&entries);
    let (partial, _) = content.open(&parent);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (content, partial) = (&content, &partial);
            scope.spawn(move || content.put(partial, (0..200).filter(|u| u % 4 == thread)));
        }
    });
    for unit in 0..200 {
        let mut buf = vec![0; content.unit(unit).len()];
        partial.read(UnitIndex(unit), &mut buf).expect("read");
        assert_eq!(buf, content.unit(unit));
    }
    drop(partial);
    assert_eq!(content.claimed(&parent).len(), 200);
}

#[test]
fn discarding_removes_both_and_reserved_names_are_known() {
    let (dir, parent) = place();
    let content = small_tree();
    drop(content.open(&parent));
    assert!(names(dir.path()).iter().all(|name| Names::is_reserved(name)));
    Partial::discard(&parent, content.spec.id).expect("removed");
    Partial::discard(&parent, content.spec.id).expect("nothing to do");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    assert!(!Names::is_reserved(".qshare-notes.part") && !Names::is_reserved("x.part"));
}

/// Needs root for a file system of its own.
#[test]
fn case_092_a_full_disk_keeps_what_was_noted_and_goes_on_when_there_is_room() {
    let (dir, _) = place();
    let Some(_mounted) = mounted(dir.path()) else { return };
    let parent = SafeDir::open(dir.path()).expect("held");
    let named: Vec<_> = (0..8_u8).map(|i| (format!("f{i}"), Some(bytes(CHUNK / 2, i)))).collect();
    let entries: Vec<_> = named.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let mut content = Content::tree(&entries);
    let error = Partial::open(&parent, content.spec.clone()).expect_err("no room for all");
    assert!(error.is_full() && error.to_string().contains("1.0 MiB are needed"), "{error}");
    // Another program takes the room after the check.
    content.spec.unwanted = [path("f6"), path("f7")].into();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0, 1]);
    let mut ballast = 0;
    while std::fs::write(dir.path().join(format!("ballast{ballast}")), [1; 4096]).is_ok() {
        ballast += 1;
    }
    let error = partial.write(UnitIndex(2), content.unit(2)).expect_err("full");
    let full = |cause: &Cause| cause.kind == Obstacle::Space;
    assert!(matches!(&error, PartialError::Dest(DestError::Io { source, .. }) if full(source)), "{error}");
    partial.checkpoint().map_or_else(|e| assert!(e.is_full(), "{e}"), |()| ());
    drop(partial);
    (0..=ballast).for_each(|i| drop(std::fs::remove_file(dir.path().join(format!("ballast{i}")))));
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 1]);
    content.put(&partial, 2..6);
    let mut buf = vec![0; CHUNK / 2];
    partial.read(UnitIndex(0), &mut buf).expect("kept");
    assert_eq!(buf, content.unit(0));
}

/// A file system of one mebibyte of its own, or a word that the test is skipped.
pub(in crate::io) fn mounted(at: &Path) -> Option<Unmount<'_>> {
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(at).output();
    if mount.is_ok_and(|m| m.status.success()) {
        return Some(Unmount(at));
    }
    eprintln!("skipped: mounting a small tmpfs needs root");
    None
}

pub(in crate::io) struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_part_that_is_longer_than_its_content_is_cut_and_goes_on() {
    use std::io::Write as _;
    for (content, within) in [(three_chunks(), vec![""]), (small_tree(), vec!["big", "a/one"])] {
        let (_dir, parent) = place();
        let (partial, _) = content.open(&parent);
        content.put(&partial, [0, 1, 2]);
        let part = partial.path();
        drop(partial);
        let part_of = |name: &str| if name.is_empty() { part.clone() } else { part.join(name) };
        for name in &within {
            std::fs::create_dir_all(part_of(name).parent().expect("has one")).expect("made");
            let file = std::fs::File::options().append(true).create(true).open(part_of(name));
            file.and_then(|mut file| file.write_all(&vec![7; 3 * CHUNK])).expect("written");
        }
        let (partial, resumed) = content.open(&parent);
        assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 1, 2]);
        content.put_all(&partial);
        // Of a single file a wrong size may have been claimed: it is cut when it is published.
        for name in within.iter().filter(|name| !name.is_empty()) {
            let entries = content.spec.collection.iter().flat_map(|tree| tree.entries());
            let entry = entries.filter(|(path, _)| path.as_str() == *name).find_map(|(_, entry)| entry.content());
            let size = entry.map_or(content.spec.size, |(_, size)| size);
            assert_eq!(std::fs::metadata(part_of(name)).expect("there").len(), size, "{name}");
        }
        let mut buf = vec![0; content.unit(2).len()];
        partial.read(UnitIndex(2), &mut buf).expect("read");
        assert_eq!(buf, content.unit(2));
        let (target, times) = (path("whole"), Vec::new());
        let plan =
            crate::io::receive::publish::PublishPlan { target, replace: HashSet::new(), times, executable: false };
        let published = partial.publish(&plan).expect("published");
        let len =
            |name: &&str| std::fs::metadata(if name.is_empty() { published.clone() } else { published.join(name) });
        let lens: u64 = within.iter().map(|name| len(name).expect("there").len()).sum();
        assert!(lens <= content.spec.size, "{lens}");
    }
}
