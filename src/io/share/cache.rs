//! The hash cache: which file state had which content id, so that an unchanged tree is never read twice.
//! Invariant: an id is found only under exactly the stamp it was hashed under, and only settled stamps are kept.
//! It is only a cache: a file that cannot be used is moved aside and begun again. One process at a time.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::TableDefinition;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};
use serde::{Deserialize, Serialize};

use crate::io::share::hash::Hashed;
use crate::io::share::stamp::FileStamp;
use crate::model::{ChunkList, ContentId, Layout, LocalPath};

type Key = [u8; FileStamp::KEY_LEN];

/// Ids; apart from the lists, so that looking up a whole tree touches few pages.
const IDS: TableDefinition<'_, Key, [u8; 32]> = TableDefinition::new("ids-1");
/// Chunk lists, as they travel.
const LISTS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("lists-1");

/// Memory for pages. A tree of 58,000 files has 4 MiB of ids.
const MEMORY: usize = 8 << 20;

/// How long it is waited first for whoever has it; then twice that, and so on: 1.3 s in all.
const PAUSE: Duration = Duration::from_millis(10);

/// The cache cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("the hash cache {path} cannot be used: {cause}")]
pub struct CacheError {
    path: String,
    cause: String,
}

/// An open hash cache; clones share it. Every method blocks.
#[derive(Debug, Clone)]
pub struct HashCache {
    db: Arc<Database>,
    path: Arc<Path>,
}

/// An opened cache, and what had to be said about it.
#[derive(Debug)]
pub struct Opened {
    /// The cache.
    pub cache: HashCache,
    /// Set when an unusable file was moved aside.
    pub renewed: Option<Renewed>,
}

/// A cache that could not be used and is begun again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Why.
    pub cause: String,
    /// Where the old one is.
    pub aside: LocalPath,
}

impl HashCache {
    /// Opens the cache at `path`, made if absent.
    ///
    /// # Errors
    /// When another process has it, or the place cannot be written.
    pub fn open(path: &Path) -> Result<Opened, CacheError> {
        let first = match create_in_turn(path) {
            Ok(db) => return Ok(Opened { cache: Self::of(db, path), renewed: None }),
            Err(error) => error,
        };
        if !is_damage(&first) {
            return Err(error(path, &first));
        }
        let aside = aside(path);
        fs::rename(path, &aside).map_err(|e| error(path, &e))?;
        let cache = Self::of(create(path).map_err(|e| error(path, &e))?, path);
        Ok(Opened { cache, renewed: Some(Renewed { cause: first.to_string(), aside: aside.into() }) })
    }

    fn of(db: Database, path: &Path) -> Self {
        Self { db: Arc::new(db), path: path.into() }
    }

    /// The ids of files in these states, in their order; one read transaction for all.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn lookup_many(&self, stamps: &[FileStamp]) -> Result<Vec<Option<ContentId>>, CacheError> {
        self.on(|db| {
            let ids = db.begin_read()?.open_table(IDS)?;
            let found = stamps.iter().map(|s| Ok(ids.get(s.key())?.map(|id| ContentId::from_bytes(id.value()))));
            found.collect()
        })
    }

    /// The chunk list of a file in this state; `None` when it is not there or damaged.
    pub fn list(&self, stamp: &FileStamp) -> Option<ChunkList> {
        let read = self.db.begin_read().ok()?;
        let id = ContentId::from_bytes(read.open_table(IDS).ok()?.get(stamp.key()).ok()??.value());
        let bytes = read.open_table(LISTS).ok()?.get(stamp.key()).ok()??;
        ChunkList::from_bytes(id, Layout::of(stamp.size)?, bytes.value()).ok()
    }

    /// Remembers hashed files that are settled, in one write transaction, and forgets earlier states of the same
    /// inodes. They outlive the process, and the machine after [`HashCache::flush`].
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn store<H: std::borrow::Borrow<Hashed>>(&self, hashed: &[H]) -> Result<(), CacheError> {
        let settled: Vec<&Hashed> =
            hashed.iter().map(std::borrow::Borrow::borrow).filter(|h| h.settled && FileStamp::identifies()).collect();
        if settled.is_empty() {
            return Ok(());
        }
        self.on(|db| write(db, &settled))
    }

    /// Makes everything stored so far survive a crash.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn flush(&self) -> Result<(), CacheError> {
        self.on(|db| Ok(db.begin_write()?.commit()?))
    }

    /// When there are more than `limit` states, forgets all but those of `keep`.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn prune(&self, keep: &[FileStamp], limit: u64) -> Result<(), CacheError> {
        if self.count()? <= limit {
            return Ok(());
        }
        let keep: HashSet<Key> = keep.iter().map(FileStamp::key).collect();
        self.on(|db| {
            let write = db.begin_write()?;
            write.open_table(IDS)?.retain(|key, _| keep.contains(&key))?;
            write.open_table(LISTS)?.retain(|key, _| keep.contains(&key))?;
            Ok(write.commit()?)
        })
    }

    /// How many file states it knows.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn count(&self) -> Result<u64, CacheError> {
        self.on(|db| Ok(db.begin_read()?.open_table(IDS)?.len()?))
    }

    fn on<T>(&self, done: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, CacheError> {
        done(&self.db).map_err(|e| error(&self.path, &e))
    }
}

fn write(db: &Database, hashed: &[&Hashed]) -> Result<(), redb::Error> {
    let mut write = db.begin_write()?;
    write.set_durability(Durability::None)?;
    {
        let (mut ids, mut lists) = (write.open_table(IDS)?, write.open_table(LISTS)?);
        for one in hashed {
            let key = one.stamp.key();
            let stale: Vec<Key> =
                ids.range(inode_range(&key))?.map(|entry| Ok(entry?.0.value())).collect::<Result<_, redb::Error>>()?;
            for old in stale.iter().filter(|old| **old != key) {
                ids.remove(old)?;
                lists.remove(old)?;
            }
            ids.insert(key, one.id.as_bytes())?;
            if let Some(list) = &one.list {
                lists.insert(key, list.as_bytes())?;
            }
        }
    }
    Ok(write.commit()?)
}

/// Once whoever had it, and is ending, has closed it.
fn create_in_turn(path: &Path) -> Result<Database, redb::Error> {
    for pause in (0..7).map(|doubled| PAUSE * (1 << doubled)) {
        match create(path) {
            Err(redb::Error::DatabaseAlreadyOpen) => std::thread::sleep(pause),
            result => return result,
        }
    }
    create(path)
}

fn create(path: &Path) -> Result<Database, redb::Error> {
    let db = Database::builder().set_cache_size(MEMORY).create(path)?;
    let write = db.begin_write()?;
    // Readers need the tables to exist; a table of other types means another format.
    write.open_table(IDS)?;
    write.open_table(LISTS)?;
    write.commit()?;
    Ok(db)
}

/// Whether the file itself is at fault; not its lock, its permissions or a full disk.
fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted => true,
        redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => true,
        redb::Error::Io(e) => matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        _ => false,
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unusable");
    name.into()
}

fn inode_range(key: &Key) -> std::ops::RangeInclusive<Key> {
    let (mut first, mut last) = (*key, *key);
    first[FileStamp::INODE_LEN..].fill(0);
    last[FileStamp::INODE_LEN..].fill(u8::MAX);
    first..=last
}

fn error(path: &Path, cause: &dyn std::fmt::Display) -> CacheError {
    CacheError { path: path.display().to_string(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChunkIndex;
    use crate::model::units::chunk_list::{chunk_value, root};

    fn stamp(ino: u64, size: u64) -> FileStamp {
        FileStamp { dev: 1, ino, size, mtime_ns: -5, ctime_ns: 7, executable: false }
    }

    fn small(ino: u64) -> Hashed {
        let id = ContentId::of(&ino.to_be_bytes());
        Hashed { id, list: None, stamp: stamp(ino, 8), settled: true }
    }

    fn large(ino: u64) -> Hashed {
        let bytes = vec![7; 600 << 10];
        let layout = Layout::of(bytes.len() as u64).expect("small");
        let chunk = |i: u32| {
            let from = usize::try_from(layout.offset(ChunkIndex(i))).expect("small");
            let len = usize::try_from(layout.len(ChunkIndex(i))).expect("small");
            chunk_value(layout, ChunkIndex(i), &bytes[from..from + len])
        };
        let values: Vec<_> = (0..layout.chunks()).map(chunk).collect();
        let id = root(&values);
        let list = Some(ChunkList::new(id, layout, values).expect("own"));
        Hashed { id, list, stamp: stamp(ino, bytes.len() as u64), settled: true }
    }

    fn open(path: &Path) -> HashCache {
        let opened = HashCache::open(path).expect("open");
        assert_eq!(opened.renewed, None);
        opened.cache
    }

    #[test]
    fn ids_and_lists_are_there_after_reopening() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("cache.redb");
        let cache = open(&path);
        cache.store(&[small(1), large(2)]).expect("store");
        drop(cache);
        let cache = open(&path);
        let ids = cache.lookup_many(&[small(1).stamp, stamp(3, 8), large(2).stamp]).expect("lookup");
        assert_eq!(ids, [Some(small(1).id), None, Some(large(2).id)]);
        assert_eq!(cache.list(&large(2).stamp), large(2).list);
        assert_eq!(cache.list(&small(1).stamp), None);
    }

    #[test]
    fn a_new_state_of_an_inode_replaces_the_old_one() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = open(&dir.path().join("cache.redb"));
        let before = large(1);
        let mut after = small(1);
        after.stamp.mtime_ns = 99;
        cache.store(&[before.clone(), small(2)]).expect("store");
        cache.store(std::slice::from_ref(&after)).expect("store");
        let ids = cache.lookup_many(&[before.stamp, after.stamp, small(2).stamp]).expect("lookup");
        assert_eq!(ids, [None, Some(after.id), Some(small(2).id)]);
        assert_eq!(cache.list(&before.stamp), None);
    }

    #[test]
    fn racy_files_are_not_remembered() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = open(&dir.path().join("cache.redb"));
        cache.store(&[Hashed { settled: false, ..small(1) }]).expect("store");
        assert_eq!(cache.lookup_many(&[small(1).stamp]).expect("lookup"), [None]);
    }

    #[test]
    fn pruning_keeps_what_is_shared_now() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = open(&dir.path().join("cache.redb"));
        cache.store(&(0..10).map(small).collect::<Vec<_>>()).expect("store");
        cache.prune(&[small(3).stamp], 10).expect("prune");
        assert_eq!(cache.count().expect("count"), 10);
        cache.prune(&[small(3).stamp], 9).expect("prune");
        assert_eq!(cache.count().expect("count"), 1);
        assert_eq!(cache.lookup_many(&[small(3).stamp]).expect("lookup"), [Some(small(3).id)]);
    }

    #[test]
    fn an_unusable_file_is_moved_aside() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("cache.redb");
        fs::write(&path, vec![b'x'; 9000]).expect("write");
        let opened = HashCache::open(&path).expect("open");
        assert!(opened.renewed.is_some_and(|renewed| renewed.aside.exists()));
        opened.cache.store(&[small(1)]).expect("store");
        assert_eq!(fs::read(aside(&path)).expect("moved"), vec![b'x'; 9000]);
    }

    #[test]
    fn a_file_cut_short_or_overwritten_never_gives_a_wrong_list() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("cache.redb");
        let cache = open(&path);
        cache.store(&[large(1)]).expect("store");
        drop(cache);
        let whole = fs::read(&path).expect("read");
        for (from, to) in [(0, 0), (0, 100), (0, whole.len() / 2), (whole.len() / 2, whole.len())] {
            let mut bytes = whole.clone();
            if from == 0 {
                bytes.truncate(to);
            } else {
                bytes[from..to].fill(0xa5);
            }
            fs::write(&path, &bytes).expect("write");
            let cache = HashCache::open(&path).expect("opened or begun again").cache;
            let list = cache.list(&large(1).stamp);
            assert!(list.is_none() || list == large(1).list, "{from}..{to}");
            cache.store(&[small(2)]).expect("store");
        }
    }

    #[test]
    fn a_cache_that_is_being_closed_is_waited_for() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("cache.redb");
        let cache = open(&path);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| HashCache::open(&path).is_ok());
            std::thread::sleep(PAUSE);
            drop(cache);
            assert!(next.join().expect("no panic"));
        });
    }

    #[test]
    fn a_cache_in_use_is_an_error_and_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("cache.redb");
        let cache = open(&path);
        assert!(HashCache::open(&path).is_err());
        cache.store(&[small(1)]).expect("still usable");
    }
}
