//! A shared file and a shared tree as sources of units.
//! Invariant: bytes are handed out only of a file whose stamp, before and after reading, is the one that was hashed, or
//! whose chunk was proven again (see `open`); so a path that has come to lead elsewhere serves nothing.

use std::path::Path;
use std::sync::Arc;

use crate::io::share::cache::HashCache;
use crate::io::share::source::{ReadError, Source, SourceFile};
use crate::io::share::stamp::{FileStamp, open_stamped};
use crate::model::collection::Entry;
use crate::model::{ChunkList, Collection, ContentId, Kind, UnitMap};

mod open;
mod remains;
#[cfg(test)]
mod tests;

use open::open;
pub use remains::Remains;

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
    fn list(&self) -> Option<Arc<ChunkList>> {
        match &self.list {
            ListPlace::Cache(cache) => {
                // Once the file was hashed again the cache has its list under its new stamp only.
                let now = || cache.list(&open_stamped(&self.path).ok()?.1);
                cache.list(&self.stamp).or_else(now).filter(|list| list.id() == self.id).map(Arc::new)
            }
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
    pub fn new(collection: &Collection, all: &[Arc<HashedFile>]) -> Option<Self> {
        let map = UnitMap::of_collection(collection)?;
        let mut by_id: Vec<&Arc<HashedFile>> = all.iter().collect();
        by_id.sort_by_key(|file| (file.id, file.stamp.size));
        let of = |wanted: (ContentId, u64)| {
            let first = by_id.partition_point(|file| (file.id, file.stamp.size) < wanted);
            by_id.get(first).filter(|file| (file.id, file.stamp.size) == wanted).map(|file| Arc::clone(file))
        };
        let files = map.files().iter().map(|file| of((file.id, file.layout.size()))).collect::<Option<Vec<_>>>()?;
        let manifest: Arc<[u8]> = collection.manifest().into();
        let times = times(collection, all);
        Some(Self { id: ContentId::of(&manifest), size: collection.bytes(), manifest, map, files, times })
    }

    /// The collection's id.
    pub const fn id(&self) -> ContentId {
        self.id
    }

    /// How long its canonical bytes are.
    pub fn manifest_len(&self) -> usize {
        self.manifest.len()
    }
}

impl Source for SharedFile {
    fn map(&self) -> &UnitMap {
        &self.map
    }

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        if file == 0 { open(&self.file) } else { Err(no_such_file()) }
    }

    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        if file == 0 { self.file.list() } else { None }
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

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        open(self.files.get(file).ok_or_else(no_such_file)?)
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
pub fn file_entry(file: &HashedFile) -> Entry {
    Entry::File { size: file.stamp.size, id: file.id, executable: file.stamp.executable }
}

fn times(collection: &Collection, files: &[Arc<HashedFile>]) -> Option<Arc<[i64]>> {
    let entries = collection.entries().iter().map(|(_, entry)| entry.clone()).filter(|e| *e != Entry::Directory);
    let same = entries.eq(files.iter().map(|file| file_entry(file)));
    same.then(|| files.iter().map(|file| file.stamp.mtime_ns).collect())
}

fn no_such_file() -> ReadError {
    ReadError::Io(std::io::ErrorKind::NotFound.into())
}
