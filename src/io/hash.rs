//! From a file to its content id and chunk list, as fast as the disk and the cores allow.
//! Invariant: an id that comes out is that of the bytes the file had while its stamp stayed the expected one.
//! Reads with `pread` into one buffer per thread and never maps: others may truncate the file meanwhile.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rayon::prelude::*;

use crate::io::positional::read_exact_at;
use crate::io::stamp::{FileStamp, open_regular};
use crate::model::chunk_list::{CV_LEN, chunk_hasher, root};
use crate::model::{ChunkIndex, ChunkList, ContentId, Layout};

/// What is read at once: large enough for BLAKE3's widest SIMD and few calls, small enough to stay in a core's L2.
const PIECE: usize = 256 << 10;

thread_local! {
    /// One buffer per hashing thread: memory is threads × 256 KiB, whatever the file's size.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Why a file has no id.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The caller no longer wants it.
    #[error("hashing was cancelled")]
    Cancelled,
    /// It is not, or no longer, the file that was expected.
    #[error("the file changed while it was hashed")]
    Changed,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Larger than any file that can be shared.
    #[error("the file is larger than 8 TiB")]
    TooLarge,
}

/// A hashed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// Its content id.
    pub id: ContentId,
    /// What proves its chunks; `None` for a file of at most one chunk.
    pub list: Option<ChunkList>,
    /// Its state before and after.
    pub stamp: FileStamp,
    /// Whether any later write must change the stamp, so that the id may be remembered under it.
    pub settled: bool,
}

/// Hashes a file whose state is `expected`, several chunks in parallel on the current rayon pool.
/// `progress` is told the bytes as they are done. Blocks.
///
/// # Errors
/// When it has changed, cannot be read, or `cancel` became true.
pub fn hash_file(
    path: &Path,
    expected: &FileStamp,
    progress: &(dyn Fn(u64) + Sync),
    cancel: &AtomicBool,
) -> Result<Hashed, HashError> {
    let started = clock();
    let layout = Layout::of(expected.size).ok_or(HashError::TooLarge)?;
    let file = open_regular(path)?;
    let job = Job { file: &file, expected, layout, progress, cancel };
    job.check()?;
    let (id, list) = if layout.needs_list() { job.chunks()? } else { (job.whole()?, None) };
    job.check()?;
    Ok(Hashed { id, list, stamp: *expected, settled: expected.is_settled(started) })
}

/// Waits until a file that was written a moment ago can be remembered under its stamp. Blocks for at most 100 ms.
pub fn let_settle(stamp: &FileStamp) {
    std::thread::sleep(stamp.settles_in(clock()));
}

/// Hashes many files in parallel, each as [`hash_file`] does; results are in the order of the files.
pub fn hash_many<P: AsRef<Path> + Sync>(
    files: &[(P, FileStamp)],
    progress: &(dyn Fn(u64) + Sync),
    cancel: &AtomicBool,
) -> Vec<Result<Hashed, HashError>> {
    files.par_iter().map(|(path, stamp)| hash_file(path.as_ref(), stamp, progress, cancel)).collect()
}

struct Job<'a> {
    file: &'a File,
    expected: &'a FileStamp,
    layout: Layout,
    progress: &'a (dyn Fn(u64) + Sync),
    cancel: &'a AtomicBool,
}

impl Job<'_> {
    /// A file of at most one chunk.
    fn whole(&self) -> Result<ContentId, HashError> {
        let mut hasher = blake3::Hasher::new();
        self.read(0, self.expected.size, &mut hasher)?;
        Ok(ContentId::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// A file of several chunks. They are handed out in order, so that the disk reads ahead.
    fn chunks(&self) -> Result<(ContentId, Option<ChunkList>), HashError> {
        let parts = (0..self.layout.chunks()).par_bridge().map(|i| Ok((i, self.chunk(ChunkIndex(i))?)));
        let mut parts = parts.collect::<Result<Vec<_>, HashError>>()?;
        parts.sort_unstable_by_key(|(i, _)| *i);
        let values: Vec<[u8; CV_LEN]> = parts.into_iter().map(|(_, value)| value).collect();
        let id = root(&values);
        let list = ChunkList::new(id, self.layout, values).map_err(|_| HashError::Changed)?;
        Ok((id, Some(list)))
    }

    fn chunk(&self, index: ChunkIndex) -> Result<[u8; CV_LEN], HashError> {
        // A file that is being written would otherwise be read to its end for nothing.
        self.check()?;
        let mut hasher = chunk_hasher(self.layout, index);
        self.read(self.layout.offset(index), self.layout.len(index), &mut hasher)?;
        Ok(blake3::hazmat::HasherExt::finalize_non_root(&hasher))
    }

    fn read(&self, mut offset: u64, mut len: u64, hasher: &mut blake3::Hasher) -> Result<(), HashError> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(PIECE, 0);
            while len > 0 {
                if self.cancel.load(Ordering::Relaxed) {
                    return Err(HashError::Cancelled);
                }
                let piece = usize::try_from(len).map_or(PIECE, |len| len.min(PIECE));
                let bytes = &mut buffer[..piece];
                read_exact_at(self.file, bytes, offset).map_err(cut_short)?;
                hasher.update(bytes);
                (self.progress)(piece as u64);
                offset += piece as u64;
                len -= piece as u64;
            }
            Ok(())
        })
    }

    fn check(&self) -> Result<(), HashError> {
        if FileStamp::of_file(self.file)? == *self.expected { Ok(()) } else { Err(HashError::Changed) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file's times are compared with the clock that sets them")]
fn clock() -> SystemTime {
    SystemTime::now()
}

fn cut_short(error: io::Error) -> HashError {
    if error.kind() == io::ErrorKind::UnexpectedEof { HashError::Changed } else { HashError::Io(error) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn stamp(path: &Path) -> FileStamp {
        FileStamp::of(&fs::metadata(path).expect("stat"))
    }

    #[test]
    fn ids_are_blake3_at_every_size_around_a_chunk_boundary() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        let (kib, mib) = (1_usize << 10, 1_usize << 20);
        let mut sizes = vec![0, 1, 1023, 1024, 1025, 64 * kib];
        for boundary in [256 * kib, 512 * kib, 768 * kib, mib, 5 * 256 * kib, 64 * mib] {
            sizes.extend([boundary - 1, boundary, boundary + 1]);
        }
        let content = (0..251).collect::<Vec<u8>>().repeat((64 * mib) / 251 + 1);
        for size in sizes {
            let bytes = &content[..size];
            fs::write(&path, bytes).expect("write");
            let done = AtomicU64::new(0);
            let count = |n| {
                done.fetch_add(n, Ordering::Relaxed);
            };
            let hashed = hash_file(&path, &stamp(&path), &count, &AtomicBool::new(false)).expect("hashed");
            assert_eq!(hashed.id, ContentId::of(bytes), "size {size}");
            assert_eq!(done.into_inner(), size as u64);
            let layout = Layout::of(size as u64).expect("small");
            assert_eq!(hashed.list.is_some(), layout.needs_list());
            let last = ChunkIndex(layout.chunks().saturating_sub(1));
            let from = usize::try_from(layout.offset(last)).expect("small");
            assert!(hashed.list.is_none_or(|list| list.proves(last, &bytes[from..])));
        }
    }

    #[test]
    fn a_file_that_is_not_as_expected_has_changed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, vec![1; 700 << 10]).expect("write");
        let before = stamp(&path);
        fs::write(&path, vec![1; 600 << 10]).expect("write");
        let result = hash_file(&path, &before, &|_| (), &AtomicBool::new(false));
        assert!(matches!(result, Err(HashError::Changed)));
    }

    #[test]
    fn a_write_while_hashing_is_noticed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, vec![1; 700 << 10]).expect("write");
        let before = stamp(&path);
        let grow = |_| fs::write(&path, "short").expect("write");
        let result = hash_file(&path, &before, &grow, &AtomicBool::new(false));
        assert!(matches!(result, Err(HashError::Changed)));
    }

    #[test]
    fn hashing_stops_when_cancelled() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, vec![1; 700 << 10]).expect("write");
        let result = hash_file(&path, &stamp(&path), &|_| (), &AtomicBool::new(true));
        assert!(matches!(result, Err(HashError::Cancelled)));
    }

    #[test]
    fn an_absent_file_is_an_error() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, "x").expect("write");
        let before = stamp(&path);
        fs::remove_file(&path).expect("remove");
        assert!(matches!(hash_file(&path, &before, &|_| (), &AtomicBool::new(false)), Err(HashError::Io(_))));
    }

    #[test]
    fn many_files_come_back_in_order() {
        let dir = tempfile::tempdir().expect("tempdir");
        let files: Vec<_> = (0..50)
            .map(|i| {
                let path = dir.path().join(i.to_string());
                fs::write(&path, i.to_string()).expect("write");
                let stamp = stamp(&path);
                (path, stamp)
            })
            .collect();
        let hashed = hash_many(&files, &|_| (), &AtomicBool::new(false));
        for (i, result) in hashed.into_iter().enumerate() {
            assert_eq!(result.expect("hashed").id, ContentId::of(i.to_string().as_bytes()));
        }
    }
}
