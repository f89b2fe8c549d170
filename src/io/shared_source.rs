//! A shared file and a shared tree as sources of units.
//! Invariant: bytes are handed out only of a file whose stamp, before and after reading, is the one that was hashed;
//! so a path that has come to lead elsewhere serves nothing. Everything is there from the start.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::io::cache::HashCache;
use crate::io::positional::{read_exact_at, read_ready_at};
use crate::io::source::{ReadError, Source, SourceFile};
use crate::io::stamp::{FileStamp, open_stamped};
use crate::model::collection::Entry;
use crate::model::{Bitfield, ChunkList, Collection, ContentId, Kind, UnitIndex, UnitMap};

/// Where the chunk list of a shared file is.
#[derive(Debug, Clone)]
pub enum ListPlace {
    /// In the hash cache, under the file's stamp.
    Cache(HashCache),
    /// In memory: the file was too fresh to be remembered.
    Memory(Arc<ChunkList>),
    /// Nowhere: the file has at most one chunk.
    NotNeeded,
}

/// A file on the disk that has been hashed.
#[derive(Debug, Clone)]
pub struct HashedFile {
    /// Where it is.
    pub path: Arc<Path>,
    /// Its state when it was hashed.
    pub stamp: FileStamp,
    /// Its content id.
    pub id: ContentId,
    /// What proves its chunks.
    pub list: ListPlace,
    /// Whether any later write must change the stamp; if not, the next look hashes it once more.
    pub settled: bool,
}

impl HashedFile {
    fn open(&self) -> Result<Box<dyn SourceFile>, ReadError> {
        let (file, stamp) = open_stamped(&self.path)?;
        if stamp != self.stamp {
            return Err(ReadError::Changed);
        }
        Ok(Box::new(OpenFile { file, stamp }))
    }

    fn list(&self) -> Option<Arc<ChunkList>> {
        match &self.list {
            ListPlace::Cache(cache) => cache.list(&self.stamp).filter(|list| list.id() == self.id).map(Arc::new),
            ListPlace::Memory(list) => Some(list.clone()),
            ListPlace::NotNeeded => None,
        }
    }
}

/// One shared file.
#[derive(Debug)]
pub struct SharedFile {
    file: Arc<HashedFile>,
    map: UnitMap,
}

impl SharedFile {
    /// The source of a hashed file; `None` when it is larger than can be shared.
    #[must_use]
    pub fn new(file: Arc<HashedFile>) -> Option<Self> {
        let map = UnitMap::of_file(file.id, file.stamp.size)?;
        Some(Self { file, map })
    }
}

/// A shared tree.
#[derive(Debug)]
pub struct SharedCollection {
    id: ContentId,
    size: u64,
    manifest: Arc<[u8]>,
    map: UnitMap,
    /// By the map's file index.
    files: Vec<Arc<HashedFile>>,
    times: Option<Arc<[i64]>>,
}

impl SharedCollection {
    /// The source of a collection whose distinct files are among `all`; `None` when one of them is missing, or
    /// there are too many units. Times are known when `all` are those of all file paths, in their order.
    #[must_use]
    pub fn new(collection: &Collection, all: &[Arc<HashedFile>]) -> Option<Self> {
        let map = UnitMap::of_collection(collection)?;
        let by_id: HashMap<_, _> = all.iter().rev().map(|f| ((f.id, f.stamp.size), f)).collect();
        let distinct = map.files().iter().map(|f| by_id.get(&(f.id, f.layout.size())).map(|f| Arc::clone(f)));
        let files = distinct.collect::<Option<Vec<_>>>()?;
        let manifest: Arc<[u8]> = collection.manifest().into();
        let times = times(collection, all);
        Some(Self { id: ContentId::of(&manifest), size: collection.bytes(), manifest, map, files, times })
    }

    /// The collection's id.
    #[must_use]
    pub const fn id(&self) -> ContentId {
        self.id
    }

    /// How long its canonical bytes are.
    #[must_use]
    pub fn manifest_len(&self) -> usize {
        self.manifest.len()
    }
}

impl Source for SharedFile {
    fn kind(&self) -> Kind {
        Kind::File
    }

    fn size(&self) -> u64 {
        self.file.stamp.size
    }

    fn map(&self) -> &UnitMap {
        &self.map
    }

    fn have(&self) -> Bitfield {
        Bitfield::full(self.map.units())
    }

    fn has(&self, unit: UnitIndex) -> bool {
        unit.0 < self.map.units()
    }

    fn growth(&self) -> Option<watch::Receiver<u32>> {
        None
    }

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        if file == 0 { self.file.open() } else { Err(no_such_file()) }
    }

    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        if file == 0 { self.file.list() } else { None }
    }

    fn manifest(&self) -> Option<Arc<[u8]>> {
        None
    }

    fn executable(&self) -> bool {
        self.file.stamp.executable
    }

    fn times(&self) -> Option<Arc<[i64]>> {
        Some([self.file.stamp.mtime_ns].into())
    }
}

impl Source for SharedCollection {
    fn kind(&self) -> Kind {
        Kind::Collection
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self) -> &UnitMap {
        &self.map
    }

    fn have(&self) -> Bitfield {
        Bitfield::full(self.map.units())
    }

    fn has(&self, unit: UnitIndex) -> bool {
        unit.0 < self.map.units()
    }

    fn growth(&self) -> Option<watch::Receiver<u32>> {
        None
    }

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        self.files.get(file).ok_or_else(no_such_file)?.open()
    }

    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        self.files.get(file)?.list()
    }

    fn manifest(&self) -> Option<Arc<[u8]>> {
        Some(self.manifest.clone())
    }

    fn times(&self) -> Option<Arc<[i64]>> {
        self.times.clone()
    }
}

/// A hashed file as a collection's entry.
#[must_use]
pub fn file_entry(file: &HashedFile) -> Entry {
    Entry::File { size: file.stamp.size, id: file.id, executable: file.stamp.executable }
}

fn times(collection: &Collection, files: &[Arc<HashedFile>]) -> Option<Arc<[i64]>> {
    let entries = collection.entries().iter().map(|(_, entry)| entry).filter(|e| **e != Entry::Directory);
    entries
        .eq(files.iter().map(|file| file_entry(file)).collect::<Vec<_>>().iter())
        .then(|| files.iter().map(|file| file.stamp.mtime_ns).collect())
}

struct OpenFile {
    file: File,
    stamp: FileStamp,
}

impl OpenFile {
    fn check(&self) -> Result<(), ReadError> {
        if FileStamp::of_file(&self.file)? == self.stamp { Ok(()) } else { Err(ReadError::Changed) }
    }
}

impl SourceFile for OpenFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError> {
        let read = read_exact_at(&self.file, buf, offset);
        // The look when it was opened and this one enclose every read: no stamp comes back once it has changed.
        // A file cut short while it was read has changed: that is not the disk's failure.
        self.check()?;
        Ok(read?)
    }

    fn read_ready(&self, buf: &mut [u8], offset: u64) -> Result<usize, ReadError> {
        // An error shows again, and is told, when the rest is read.
        let len = read_ready_at(&self.file, buf, offset).unwrap_or(0);
        if len > 0 {
            self.check()?;
        }
        Ok(len)
    }
}

fn no_such_file() -> ReadError {
    ReadError::Io(std::io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::io::hash::hash_file;
    use crate::model::{ChunkIndex, SafePath};

    fn hashed(path: &Path) -> Arc<HashedFile> {
        let stamp = FileStamp::of(&fs::metadata(path).expect("stat"));
        let hashed = hash_file(path, &stamp, &|_| (), &AtomicBool::new(false)).expect("hashed");
        let list = hashed.list.map_or(ListPlace::NotNeeded, |list| ListPlace::Memory(Arc::new(list)));
        Arc::new(HashedFile { path: path.into(), stamp, id: hashed.id, list, settled: hashed.settled })
    }

    #[test]
    fn every_unit_of_a_file_is_proven_by_its_list() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..600_u32 << 10).map(|i| u8::try_from(i % 251).expect("small")).collect();
        fs::write(&path, &bytes).expect("write");
        let source = SharedFile::new(hashed(&path)).expect("small");
        assert!(source.have().is_full() && source.has(UnitIndex(2)) && !source.has(UnitIndex(3)));
        let (file, list) = (source.open(0).expect("open"), source.list(0).expect("list"));
        for unit in 0..source.map().units() {
            let place = source.map().place(UnitIndex(unit)).expect("within");
            let mut buf = vec![0; usize::try_from(place.len).expect("small")];
            file.read_at(&mut buf, place.offset).expect("read");
            assert!(list.proves(ChunkIndex(unit), &buf));
            let mut ready = vec![0; buf.len()];
            let len = file.read_ready(&mut ready, place.offset).expect("unchanged");
            assert_eq!(ready[..len], buf[..len]);
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_served_is_changed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, "hello").expect("write");
        let source = SharedFile::new(hashed(&path)).expect("small");
        let open = source.open(0).expect("open");
        fs::write(&path, "hell").expect("write");
        assert!(matches!(open.read_at(&mut [0; 5], 0), Err(ReadError::Changed)));
        assert!(matches!(open.read_ready(&mut [0; 5], 0), Err(ReadError::Changed) | Ok(0)));
        assert!(matches!(source.open(0), Err(ReadError::Changed)));
        fs::remove_file(&path).expect("remove");
        assert!(matches!(source.open(0), Err(ReadError::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_swapped_for_a_link_serves_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["shared", "elsewhere"] {
            fs::create_dir(dir.path().join(name)).expect("mkdir");
            fs::write(dir.path().join(name).join("a"), "same bytes").expect("write");
        }
        let source = SharedFile::new(hashed(&dir.path().join("shared/a"))).expect("small");
        fs::remove_dir_all(dir.path().join("shared")).expect("remove");
        std::os::unix::fs::symlink("elsewhere", dir.path().join("shared")).expect("symlink");
        assert!(matches!(source.open(0), Err(ReadError::Changed)));
    }

    #[test]
    fn a_collection_serves_its_manifest_and_each_distinct_file() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut entries = Vec::new();
        let mut files = Vec::new();
        for (name, content) in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "")] {
            fs::write(dir.path().join(name), content).expect("write");
            files.push(hashed(&dir.path().join(name)));
            entries.push((SafePath::parse(name).expect("valid"), file_entry(&files[files.len() - 1])));
        }
        let collection = Collection::new(entries).expect("sound");
        let source = SharedCollection::new(&collection, &files).expect("complete");
        assert_eq!((source.size(), source.map().units(), source.map().files().len()), (9, 2, 3));
        assert_eq!(source.id(), ContentId::of(&collection.manifest()));
        assert_eq!(source.manifest().as_deref(), Some(collection.manifest().as_slice()));
        let mut buf = [0; 3];
        source.open(1).expect("open").read_at(&mut buf, 0).expect("read");
        assert_eq!(&buf, b"two");
        let times: Vec<_> = files.iter().map(|file| file.stamp.mtime_ns).collect();
        assert_eq!(source.times().as_deref(), Some(times.as_slice()));
        assert!(SharedCollection::new(&collection, &files[..1]).is_none());
    }
}
