mod disk;
mod sizes;

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::io::receive::dest::FileKind;
use crate::io::receive::journal::BootId;
use crate::model::collection::Entry;
use crate::model::units::UnitPlace;
use crate::model::units::chunk_list::chunk_value;
use crate::model::{ChunkIndex, Collection, Layout};

/// A content and all its bytes.
pub(in crate::io) struct Sample {
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

/// Where a unit of it lies.
pub(in crate::io) fn at(partial: &Partial, unit: u32) -> UnitPlace {
    partial.wanted().map.place(unit).expect("a unit")
}

/// Reads a unit back.
pub(in crate::io) fn read(partial: &Partial, unit: u32, buf: &mut [u8]) -> Result<(), PartialError> {
    let place = at(partial, unit);
    assert_eq!(buf.len() as u64, place.len);
    partial.read_at(place.file, buf, place.offset)
}

impl Sample {
    pub(in crate::io) fn file(bytes: Vec<u8>) -> Self {
        let wanted = Wanted::file(ContentId::of(&bytes), bytes.len() as u64).expect("small");
        Self { spec: PartialSpec::of(Arc::new(wanted)), files: vec![bytes] }
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
        let manifest = collection.manifest();
        let wanted = Wanted::tree(ContentId::of(&manifest), collection, manifest).expect("small");
        let of = |id| entries.iter().filter_map(|(_, b)| b.clone()).find(|b| ContentId::of(b) == id).expect("there");
        let files = wanted.map.files().iter().map(|f| of(f.id)).collect();
        Self { spec: PartialSpec::of(Arc::new(wanted)), files }
    }

    pub(in crate::io) fn unit(&self, unit: u32) -> &[u8] {
        let place = self.spec.wanted.map.place(unit).expect("a unit");
        let (from, len) = (usize::try_from(place.offset).expect("small"), usize::try_from(place.len).expect("small"));
        &self.files[place.file][from..from + len]
    }

    pub(in crate::io) fn list(&self, file: usize) -> ChunkList {
        let (bytes, id) = (&self.files[file], self.spec.wanted.map.files()[file].id);
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
            let file = self.spec.wanted.map.place(unit).expect("a unit").file;
            if self.spec.wanted.map.files()[file].layout.needs_list() && listed.insert(file) {
                partial.save_list(file, &self.list(file)).expect("saved");
            }
            partial.write(at(partial, unit), self.unit(unit)).expect("written");
            partial.record(vec![unit]).expect("noted");
        }
    }

    /// Writes and notes all that is wanted.
    pub(in crate::io) fn put_all(&self, partial: &Partial) {
        self.put(partial, partial.wanted_units().iter().collect::<Vec<_>>());
    }

    fn claimed(&self, parent: &SafeDir) -> Vec<u32> {
        self.open(parent).1.units.iter().collect()
    }
}

const CHUNK: usize = 256 << 10;

fn three_chunks() -> Sample {
    Sample::file(bytes(2 * CHUNK + 7, 1))
}

fn small_tree() -> Sample {
    Sample::tree(&[
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
        partial.write(at(&partial, 1), content.unit(1)).expect("written, not noted");
        drop(partial);
        let (partial, resumed) = content.open(&parent);
        assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 2]);
        let mut buf = vec![0; content.unit(2).len()];
        read(&partial, 2, &mut buf).expect("read");
        assert_eq!(buf, content.unit(2));
        let place = content.spec.wanted.map.place(2).expect("a unit");
        partial.read_at(place.file, &mut buf[..3], place.offset + 2).expect("read");
        assert_eq!(buf[..3], content.unit(2)[2..5]);
        assert_eq!(partial.bytes_noted(), (content.unit(0).len() + content.unit(2).len()) as u64);
    }
}

#[test]
fn lists_and_manifest_come_back_and_need_no_provider() {
    let (_dir, parent) = place();
    let content = small_tree();
    let id = content.spec.wanted.content.id;
    assert_eq!(Partial::resume_manifest(&parent, id), None);
    let (partial, _) = content.open(&parent);
    let big = content.spec.wanted.map.files().iter().position(|f| f.layout.needs_list()).expect("one is big");
    partial.save_list(big, &content.list(big)).expect("saved");
    // While it is in use, too.
    let manifest = content.spec.wanted.tree.as_ref().expect("a tree").manifest();
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
    partial.write(at(&partial, 0), content.unit(0)).expect("written");
    partial.record(vec![0]).expect("noted");
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
    let Names { journal, .. } = Names::of(content.spec.wanted.content.id);
    drop(content.open(&parent));
    let file = parent.file(&journal, crate::io::receive::dest::Access::OpenOrCreate).expect("opened");
    let mut log = Log::begin(file, &content.spec.wanted.content).expect("begun");
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
    let journal = parent
        .file(&Names::of(content.spec.wanted.content.id).journal, crate::io::receive::dest::Access::Read)
        .expect("opened");
    let len = journal.metadata().expect("known").len();
    let (_, mut reader) = crate::io::receive::journal::Reader::new(journal, len).expect("sound");
    let claims =
        crate::io::receive::journal::replay(&mut reader, content.spec.wanted.map.units(), [9; 16]).expect("read");
    assert_eq!(claims.have.iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_torn_or_missing_journal_and_a_missing_part_claim_nothing_false() {
    let content = small_tree();
    let names = Names::of(content.spec.wanted.content.id);
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
    Partial::discard(&parent, content.spec.wanted.content.id).expect("leaves it alone");
    drop(partial);
    content.open(&parent);
}

#[test]
fn units_of_other_lengths_or_unwanted_files_are_refused() {
    let (_dir, parent) = place();
    let mut content = small_tree();
    content.spec.unwanted = [path("a/two")].into();
    let (partial, _) = content.open(&parent);
    let unwanted =
        (0..content.spec.wanted.map.units()).find(|&u| content.unit(u).len() == 20).expect("a/two has a unit");
    assert!(
        !partial.wanted_units().has(unwanted) && partial.wanted_units().count() == content.spec.wanted.map.units() - 1
    );
    let beyond = UnitPlace { file: usize::MAX, len: 0, ..at(&partial, 0) };
    for (place, bytes) in [(at(&partial, unwanted), content.unit(unwanted)), (at(&partial, 0), b"short"), (beyond, b"")]
    {
        assert!(matches!(partial.write(place, bytes), Err(PartialError::Unit { .. })));
    }
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
