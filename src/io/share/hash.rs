//! From a file to its content id and chunk list, as fast as the disk and the cores allow.
//! Invariant: an id that comes out is that of the bytes the file had while its stamp stayed the expected one.
//! Reads with `pread` into one buffer per thread and never maps: others may truncate the file meanwhile.

mod error;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rayon::prelude::*;

use crate::io::positional::read_exact_at;
use crate::io::share::stamp::{FileStamp, open_stamped, open_typed};
use crate::model::units::chunk_list::{CV_LEN, chunk_hasher, root};
use crate::model::{ChunkIndex, ChunkList, ContentId, Layout};

pub use error::{HashError, is_passing};

use error::cut_short;

/// A file of so few chunks is hashed on one thread: others take other files.
const FEW_CHUNKS: u32 = 4;

/// What is read at once: large enough for BLAKE3's widest SIMD and few calls, small enough to stay in a core's L2.
const PIECE: usize = 256 << 10;

thread_local! {
    /// One buffer per hashing thread: memory is threads × 256 KiB, whatever the file's size.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What hashing comes to.
type Result<T, E = HashError> = std::result::Result<T, E>;

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

/// As [`hash_turn`] in one turn; `progress` is told the bytes as they are done.
///
/// # Errors
/// As [`hash_turn`].
#[cfg(feature = "lab")]
pub fn hash_file(
    path: &Path,
    expected: &FileStamp,
    progress: &(dyn Fn(u64) + Sync),
    cancel: &AtomicBool,
) -> Result<Hashed> {
    match open_stamped(path)? {
        (file, stamp) if stamp == *expected => in_one_turn(&file, stamp, &Turns { progress, cancel, over: &|| false }),
        _ => Err(HashError::Changed),
    }
}

/// What the hashing of a file in turns needs: who is told the bytes as they are done, who ends it, and when a turn is over.
pub struct Turns<'a> {
    /// Told the bytes as they are done.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// Ends it for good.
    pub cancel: &'a AtomicBool,
    /// Asked before each chunk whether others are to have their turn.
    pub over: &'a (dyn Fn() -> bool + Sync),
}

/// What a turn at a file came to.
#[derive(Debug)]
pub enum Turn {
    /// It is hashed.
    Done(Hashed),
    /// It is not yet: the next turn goes on from here.
    Over(Begun),
}

/// A file of which the first chunks are hashed.
#[derive(Debug)]
pub struct Begun {
    started: SystemTime,
    values: Vec<[u8; CV_LEN]>,
}

impl Begun {
    fn now() -> Self {
        Self { started: clock(), values: Vec::new() }
    }
}

/// Hashes a file whose state is `expected`, several chunks in parallel on the current rayon pool, until it is done or the turn
/// is over, with at least one chunk done. A file of few chunks is done in one turn. Blocks.
///
/// # Errors
/// When it has changed, cannot be read, or is cancelled; what was begun is lost then.
pub fn hash_turn(path: &Path, expected: &FileStamp, begun: Option<Begun>, turns: &Turns<'_>) -> Result<Turn> {
    let begun = begun.unwrap_or_else(Begun::now);
    let (file, stamp) = open_stamped(path)?;
    if stamp != *expected {
        return Err(HashError::Changed);
    }
    hash_open(&file, stamp, begun, turns)
}

/// Hashes files by paths that a person typed, so links are followed: several files at a time on the current rayon
/// pool, and large ones in parallel too. `tell` is handed each result with the place of its path, in any order but
/// begun in theirs; it may block. Blocks until all are done.
pub fn hash_typed<P: AsRef<Path> + Sync>(
    paths: &[P],
    progress: &(dyn Fn(u64) + Sync),
    cancel: &AtomicBool,
    tell: &(dyn Fn(usize, Result<Hashed>) + Sync),
) {
    let one = |path: &Path| {
        let (file, stamp) = open_typed(path)?;
        in_one_turn(&file, stamp, &Turns { progress, cancel, over: &|| false })
    };
    paths.iter().enumerate().par_bridge().for_each(|(place, path)| tell(place, one(path.as_ref())));
}

/// The id of all that a stream gives. Blocks.
///
/// # Errors
/// When it cannot be read, or it is cancelled.
pub fn hash_stream(from: &mut dyn io::Read, progress: &(dyn Fn(u64) + Sync), cancel: &AtomicBool) -> Result<ContentId> {
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; PIECE]);
    while !cancel.load(Ordering::Relaxed) {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(ContentId::from_bytes(*hasher.finalize().as_bytes())),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                progress(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(HashError::Cancelled)
}

/// Hashes an open file in one turn; `None` when it changes meanwhile. `progress` is told the bytes as they are done. Blocks.
///
/// # Errors
/// When it cannot be read, or no file of its size can be shared.
pub fn hash_held(file: &File, progress: &(dyn Fn(u64) + Sync)) -> io::Result<Option<Hashed>> {
    let turns = Turns { progress, cancel: &AtomicBool::new(false), over: &|| false };
    match in_one_turn(file, FileStamp::of_file(file)?, &turns) {
        Ok(hashed) => Ok(Some(hashed)),
        Err(HashError::Changed | HashError::Cancelled) => Ok(None),
        Err(HashError::Io(error)) => Err(error),
        Err(HashError::TooLarge) => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

fn in_one_turn(file: &File, stamp: FileStamp, turns: &Turns<'_>) -> Result<Hashed> {
    match hash_open(file, stamp, Begun::now(), turns)? {
        Turn::Done(hashed) => Ok(hashed),
        // Nothing ends the turn.
        Turn::Over(_) => Err(HashError::Cancelled),
    }
}

fn hash_open(file: &File, stamp: FileStamp, begun: Begun, turns: &Turns<'_>) -> Result<Turn> {
    let Begun { started, values } = begun;
    let layout = Layout::of(stamp.size).ok_or(HashError::TooLarge)?;
    let hasher = FileHasher { file, expected: &stamp, layout, turns };
    let (id, list) = if layout.needs_list() {
        let values = hasher.chunks(values)?;
        if u32::try_from(values.len()).is_ok_and(|done| done < layout.chunks()) {
            return Ok(Turn::Over(Begun { started, values }));
        }
        let id = root(&values);
        (id, Some(ChunkList::new(id, layout, values).map_err(|_| HashError::Changed)?))
    } else {
        (hasher.whole()?, None)
    };
    hasher.check()?;
    Ok(Turn::Done(Hashed { id, list, stamp, settled: stamp.is_settled(started) }))
}

/// Waits until a file that was written a moment ago can be remembered under its stamp. Blocks for at most 100 ms.
pub fn let_settle(stamp: &FileStamp) {
    std::thread::sleep(stamp.settles_in(clock()));
}

struct FileHasher<'a> {
    file: &'a File,
    expected: &'a FileStamp,
    layout: Layout,
    turns: &'a Turns<'a>,
}

impl FileHasher<'_> {
    /// A file of at most one chunk.
    fn whole(&self) -> Result<ContentId> {
        let mut hasher = blake3::Hasher::new();
        self.read(0, self.expected.size, &mut hasher)?;
        Ok(ContentId::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// A file of several chunks, after those that were hashed before: all, or as many as the turn lasts.
    fn chunks(&self, before: Vec<[u8; CV_LEN]>) -> Result<Vec<[u8; CV_LEN]>> {
        if self.layout.chunks() <= FEW_CHUNKS { self.in_order() } else { self.in_parallel(before) }
    }

    fn in_order(&self) -> Result<Vec<[u8; CV_LEN]>> {
        (0..self.layout.chunks()).map(|i| self.chunk(ChunkIndex(i))).collect()
    }

    /// The chunks are handed out in order, so that the disk reads ahead, and those that are done are the first.
    fn in_parallel(&self, mut values: Vec<[u8; CV_LEN]>) -> Result<Vec<[u8; CV_LEN]>> {
        let first = u32::try_from(values.len()).map_err(|_| HashError::TooLarge)?;
        let chunks = (first..self.layout.chunks()).take_while(|i| *i == first || !(self.turns.over)());
        let parts = chunks.par_bridge().map(|i| {
            // A file that is being written would otherwise be read to its end for nothing.
            self.check()?;
            Ok((i, self.chunk(ChunkIndex(i))?))
        });
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        parts.sort_unstable_by_key(|(i, _)| *i);
        values.extend(parts.into_iter().map(|(_, value)| value));
        Ok(values)
    }

    fn chunk(&self, index: ChunkIndex) -> Result<[u8; CV_LEN]> {
        let mut hasher = chunk_hasher(self.layout, index);
        self.read(self.layout.offset(index), self.layout.len(index), &mut hasher)?;
        Ok(blake3::hazmat::HasherExt::finalize_non_root(&hasher))
    }

    fn read(&self, mut offset: u64, mut len: u64, hasher: &mut blake3::Hasher) -> Result<()> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(PIECE, 0);
            while len > 0 {
                if self.turns.cancel.load(Ordering::Relaxed) {
                    return Err(HashError::Cancelled);
                }
                let piece = usize::try_from(len).map_or(PIECE, |len| len.min(PIECE));
                let bytes = &mut buffer[..piece];
                read_exact_at(self.file, bytes, offset).map_err(cut_short)?;
                hasher.update(bytes);
                (self.turns.progress)(piece as u64);
                offset += piece as u64;
                len -= piece as u64;
            }
            Ok(())
        })
    }

    fn check(&self) -> Result<()> {
        if FileStamp::of_file(self.file)? == *self.expected { Ok(()) } else { Err(HashError::Changed) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file's times are compared with the clock that sets them")]
fn clock() -> SystemTime {
    SystemTime::now()
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
    fn a_file_hashed_in_turns_has_the_same_id_and_each_turn_goes_on() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        let bytes = (0..251).collect::<Vec<u8>>().repeat(20_000);
        fs::write(&path, &bytes).expect("write");
        let (done, turns) = (AtomicU64::new(0), AtomicU64::new(0));
        let progress = |n| {
            done.fetch_add(n, Ordering::Relaxed);
        };
        let cancel = AtomicBool::new(false);
        let mut begun = None;
        let hashed = loop {
            turns.fetch_add(1, Ordering::Relaxed);
            let before = done.load(Ordering::Relaxed);
            let all = Turns { progress: &progress, cancel: &cancel, over: &|| true };
            match hash_turn(&path, &stamp(&path), begun, &all).expect("hashed") {
                Turn::Done(hashed) => break hashed,
                Turn::Over(more) => begun = Some(more),
            }
            assert!(done.load(Ordering::Relaxed) > before, "a turn gets on");
        };
        assert_eq!((hashed.id, done.into_inner()), (ContentId::of(&bytes), bytes.len() as u64));
        assert_eq!(turns.into_inner(), u64::from(Layout::of(bytes.len() as u64).expect("small").chunks()));
        fs::write(&path, &bytes[1..]).expect("write");
        let old = FileStamp { size: bytes.len() as u64, ..stamp(&path) };
        let all = Turns { progress: &|_| (), cancel: &cancel, over: &|| false };
        let begun = Some(Begun { started: clock(), values: vec![[0; CV_LEN]; 3] });
        assert!(matches!(hash_turn(&path, &old, begun, &all), Err(HashError::Changed)));
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

    #[cfg(unix)]
    #[test]
    fn a_lack_of_descriptors_passes_and_a_failing_disk_does_not() {
        use rustix::io::Errno;
        let io = |errno: Errno| HashError::Io(errno.into());
        assert!(io(Errno::MFILE).is_passing() && io(Errno::NFILE).is_passing() && io(Errno::STALE).is_passing());
        assert!(!io(Errno::IO).is_passing() && !io(Errno::ACCESS).is_passing() && !HashError::Changed.is_passing());
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
    fn every_typed_file_is_told_with_its_place() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut paths: Vec<_> = (0..50).map(|i| dir.path().join(i.to_string())).collect();
        for (i, path) in paths.iter().enumerate() {
            fs::write(path, i.to_string()).expect("write");
        }
        paths.push(dir.path().join("absent"));
        paths.push(dir.path().to_owned());
        let told = std::sync::Mutex::new(vec![None; paths.len()]);
        let tell = |place: usize, hashed: Result<Hashed, HashError>| {
            told.lock().expect("sound")[place] = Some(hashed.map(|h| h.id).ok());
        };
        hash_typed(&paths, &|_| (), &AtomicBool::new(false), &tell);
        for (i, id) in told.into_inner().expect("sound").into_iter().enumerate() {
            let expected = (i < 50).then(|| ContentId::of(i.to_string().as_bytes()));
            assert_eq!(id, Some(expected), "place {i}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_typed_file_is_hashed_through_a_link() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        fs::write(&file, "some bytes").expect("write");
        std::os::unix::fs::symlink(&file, &link).expect("symlink");
        let told = std::sync::Mutex::new(None);
        let tell = |_, hashed: Result<Hashed, HashError>| *told.lock().expect("sound") = hashed.ok();
        hash_typed(&[link], &|_| (), &AtomicBool::new(false), &tell);
        let hashed = told.into_inner().expect("sound").expect("hashed");
        assert_eq!(hashed.id, ContentId::of(b"some bytes"));
        assert_eq!(hashed.stamp, stamp(&file));
    }
}
