//! What a finished transfer hands to the running node of its home: which files, in which state, have which content.
//! The node takes that into its hash cache, so that what arrives beneath a shared path need not be read to be offered.
//! Invariant: bounded; a record is whole or not there, and counts only for files that are still in the recorded state.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use itertools::Itertools as _;

use crate::io::share::cache::HashCache;
use crate::io::share::hash::{Hashed, let_settle};
use crate::io::share::stamp::FileStamp;
use crate::model::{ChunkList, ContentId, Layout};

/// The directory within the node's.
const DIR: &str = "proven";
/// What a record begins with, its version in the end.
const MAGIC: &[u8; 8] = b"qshareP\x01";
/// How a whole record's name ends; others are being written.
const WHOLE: &str = "record";
/// Records that wait at most: a running node takes them twice a second.
const MOST: usize = 256;
/// Bytes of all of them at most: 600,000 small files, or the chunk lists of 2 TiB.
const MOST_BYTES: u64 = 64 << 20;
/// Of a file beside its list: its state, its id, the length of its list.
const FIXED: usize = FileStamp::KEY_LEN + ID + 4;
/// An id.
const ID: usize = 32;

/// Where records lie.
#[derive(Debug, Clone)]
pub struct Handover {
    dir: PathBuf,
}

impl Handover {
    /// That of a node's directory.
    pub fn at(role_dir: &Path) -> Self {
        Self { dir: role_dir.join(DIR) }
    }

    /// Hands over what is known of the files at a path, which is without links. The oldest records give way.
    ///
    /// # Errors
    /// When it cannot be written, or is larger than all records may be.
    pub fn give(&self, path: &Path, files: &[Hashed]) -> io::Result<()> {
        let bytes = encode(path, files);
        let len = bytes.len() as u64;
        if len > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::create_dir_all(&self.dir)?;
        self.make_room(len)?;
        let name = format!("{:016x}", rand::random::<u64>());
        let (begun, whole) = (self.dir.join(&name), self.dir.join(name + "." + WHOLE));
        let written = fs::File::create_new(&begun).and_then(|mut file| file.write_all(&bytes));
        let given = written.and_then(|()| fs::rename(&begun, whole));
        if given.is_err() {
            // The error is the one to tell.
            let _ = fs::remove_file(&begun);
        }
        given
    }

    /// Takes all records into the cache, and gives the paths that they are of. Blocks, for some 100 ms after a file got
    /// its name: before, a later write need not change its state.
    pub fn take(&self, cache: &HashCache) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for record in self.records().into_iter().filter(|record| record.path.extension().is_some_and(|e| e == WHOLE)) {
            let read = read(&record.path);
            if let Some((path, mut files)) = read.ok().and_then(|bytes| decode(&bytes)) {
                files.iter_mut().for_each(settle);
                if let Err(error) = cache.store(&files) {
                    tracing::debug!(%error, "a record waits");
                    continue;
                }
                paths.push(path);
            }
            // Another look has taken it meanwhile: that is the same.
            let _ = fs::remove_file(&record.path);
        }
        paths
    }

    /// What lies there, the oldest first.
    fn records(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        let record = |entry: fs::DirEntry| {
            let meta = entry.metadata().ok()?;
            Some(Record { written: meta.modified().ok()?, len: meta.len(), path: entry.path() })
        };
        entries.filter_map(record).sorted_unstable().collect()
    }

    fn make_room(&self, len: u64) -> io::Result<()> {
        let records = self.records();
        let (mut count, mut bytes) = (records.len(), records.iter().map(|record| record.len).sum::<u64>());
        for record in records {
            if count < MOST && bytes.saturating_add(len) <= MOST_BYTES {
                break;
            }
            match fs::remove_file(&record.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (count, bytes) = (count - 1, bytes - record.len),
            }
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    written: SystemTime,
    len: u64,
    path: PathBuf,
}

/// Waits until a file's state says that it is the same file as when it got its name.
#[expect(clippy::disallowed_methods, reason = "a file's times are compared with the clock that sets them")]
fn settle(file: &mut Hashed) {
    let_settle(&file.stamp);
    file.settled = file.stamp.is_settled(SystemTime::now());
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Magic, the path's length (4) and UTF-8 bytes, then for each file its state (40), id (32), the length of its chunk list
/// (4) and that; last the BLAKE3 hash of all before. Numbers are big-endian. A path that is not UTF-8 is left out.
fn encode(path: &Path, files: &[Hashed]) -> Vec<u8> {
    let path = path.to_str().unwrap_or_default();
    let mut bytes = MAGIC.to_vec();
    put(&mut bytes, path.as_bytes());
    for file in files {
        bytes.extend(file.stamp.key());
        bytes.extend(file.id.as_bytes());
        put(&mut bytes, file.list.as_ref().map_or(&[], ChunkList::as_bytes));
    }
    let sum = ContentId::of(&bytes);
    bytes.extend(sum.as_bytes());
    bytes
}

/// No length is near 4 GiB: a record of that size is not written.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(part);
}

fn decode(bytes: &[u8]) -> Option<(PathBuf, Vec<Hashed>)> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(ID)?)?;
    if ContentId::of(body).as_bytes() != sum {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let path = std::str::from_utf8(part(&mut rest)?).ok()?;
    let mut files = Vec::with_capacity(rest.len() / FIXED);
    while !rest.is_empty() {
        let (key, after) = rest.split_first_chunk::<{ FileStamp::KEY_LEN }>()?;
        let (id, after) = after.split_first_chunk::<ID>()?;
        rest = after;
        let (stamp, id, list) = (FileStamp::of_key(key), ContentId::from_bytes(*id), part(&mut rest)?);
        let layout = Layout::of(stamp.size)?;
        let list = if layout.needs_list() { Some(ChunkList::from_bytes(id, layout, list).ok()?) } else { None };
        files.push(Hashed { id, list, stamp, settled: false });
    }
    Some((path.into(), files))
}

fn part<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::io::share::hash::hash_file;

    fn hashed(path: &Path) -> Hashed {
        let stamp = FileStamp::of(&fs::metadata(path).expect("stat"));
        hash_file(path, &stamp, &|_| (), &AtomicBool::new(false)).expect("hashed")
    }

    /// A node's directory, a small and a large file that were hashed.
    fn setup() -> (tempfile::TempDir, Handover, Vec<Hashed>) {
        let dir = tempfile::tempdir().expect("tempdir");
        let handover = Handover::at(&dir.path().join("node"));
        let files = [("small", 10), ("large", 600 << 10)].map(|(name, len)| {
            let path = dir.path().join(name);
            fs::write(&path, vec![7; len]).expect("write");
            hashed(&path)
        });
        (dir, handover, files.into())
    }

    fn cache(dir: &Path) -> HashCache {
        HashCache::open(&dir.join("cache.redb")).expect("opened").cache
    }

    #[test]
    fn what_is_handed_over_is_in_the_cache_and_no_longer_there() {
        let (dir, handover, files) = setup();
        let cache = cache(dir.path());
        assert_eq!(handover.take(&cache), [] as [PathBuf; 0]);
        handover.give(dir.path(), &files).expect("given");
        assert_eq!(handover.take(&cache), [dir.path()]);
        let stamps: Vec<_> = files.iter().map(|file| file.stamp).collect();
        let ids = cache.lookup_many(&stamps).expect("lookup");
        assert_eq!(ids, files.iter().map(|file| Some(file.id)).collect::<Vec<_>>());
        assert_eq!(cache.list(&stamps[1]), files[1].list);
        assert_eq!(handover.take(&cache), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_record_that_is_not_whole_counts_for_nothing_and_goes() {
        let (dir, handover, files) = setup();
        let (cache, whole) = (cache(dir.path()), encode(dir.path(), &files));
        assert!(decode(&whole).is_some());
        for cut in [0, 7, 12, 60, whole.len() - 1] {
            assert_eq!(decode(&whole[..cut]), None, "{cut}");
        }
        let mut other = whole;
        other[100] ^= 1;
        handover.give(dir.path(), &[]).expect("given");
        let record = handover.records().remove(0).path;
        fs::write(&record, other).expect("write");
        assert_eq!(handover.take(&cache), [] as [PathBuf; 0]);
        assert!(!record.exists() && cache.count().expect("count") == 0);
    }

    #[test]
    fn the_oldest_records_give_way() {
        let (dir, handover, files) = setup();
        for _ in 0..MOST + 3 {
            handover.give(dir.path(), &files[..1]).expect("given");
        }
        assert_eq!(handover.records().len(), MOST);
        assert_eq!(handover.make_room(MOST_BYTES).ok().map(|()| handover.records().len()), Some(0));
    }
}
