//! A shared file that is open, and what of it may be sent.
//! Invariant: bytes are handed out while the file's stamp is the one that was hashed, or, once it is not, chunk by chunk
//! when each was found to be that of the content id again. So what was only touched, linked, moved or made executable
//! is served on without a pause, and what was written is never sent in place of what was hashed.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::HashedFile;
use crate::io::positional::{read_exact_at, read_ready_at};
use crate::io::share::hash::{is_passing, let_settle};
use crate::io::share::source::{ReadError, SourceFile};
use crate::io::share::stamp::{Change, FileStamp, open_stamped};
use crate::model::units::chunk_list::chunk_hasher;
use crate::model::{ChunkIndex, ChunkList, ContentId, Layout};

/// What is hashed at a time where a chunk is larger than what was asked for: as in `io/share/hash.rs`.
const PIECE: usize = 256 << 10;

struct OpenFile {
    file: File,
    hashed: Arc<HashedFile>,
    layout: Layout,
    doubted: AtomicBool,
    list: OnceLock<Option<Arc<ChunkList>>>,
    /// The chunk that was proven last, and the state in which it was.
    proven: Mutex<Option<(ChunkIndex, FileStamp)>>,
}

/// Opens a hashed file for serving. Blocks.
///
/// # Errors
/// Changed when it has another size; Busy when it is not at its path any more, or another one of its size is: perhaps it
/// was moved or replaced by its like, which only a new look can tell.
pub(super) fn open(hashed: &Arc<HashedFile>) -> Result<Box<dyn SourceFile>, ReadError> {
    let (file, stamp) = open_stamped(&hashed.path).map_err(|error| failed(error, &hashed.path))?;
    let doubted = match stamp.since(&hashed.stamp) {
        Change::None => false,
        Change::Metadata | Change::Touched => true,
        Change::Replaced => return Err(ReadError::Busy),
        Change::Resized => return Err(ReadError::Changed),
    };
    let layout = Layout::of(hashed.stamp.size).ok_or(ReadError::Changed)?;
    let (doubted, list, proven) = (AtomicBool::new(doubted), OnceLock::new(), Mutex::default());
    Ok(Box::new(OpenFile { file, hashed: Arc::clone(hashed), layout, doubted, list, proven }))
}

/// What a failure to open says: nothing yet of a file that is not there, or is no file any more. Who may not read it will
/// not a moment later.
fn failed(error: io::Error, path: &std::path::Path) -> ReadError {
    let is_file = || std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    if error.kind() == io::ErrorKind::PermissionDenied {
        return ReadError::Denied;
    }
    if !is_passing(&error) && is_file() { ReadError::Io(error) } else { ReadError::Busy }
}

impl OpenFile {
    /// What has become of the file since it was hashed.
    fn change(&self) -> Result<Change, ReadError> {
        let change = FileStamp::of_file(&self.file)?.since(&self.hashed.stamp);
        if change == Change::Resized {
            return Err(ReadError::Changed);
        }
        if change != Change::None {
            self.doubted.store(true, Ordering::Relaxed);
        }
        Ok(change)
    }

    /// Reads what lies within one chunk after proving that chunk.
    fn read_proven(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError> {
        let index = u32::try_from(offset / self.layout.chunk_size()).map_err(|_| ReadError::Changed)?;
        let chunk = ChunkIndex(index);
        if offset == self.layout.offset(chunk) && buf.len() as u64 == self.layout.len(chunk) {
            read_exact_at(&self.file, buf, offset).map_err(cut_short)?;
            return self.prove(chunk, |hasher| {
                hasher.update(buf);
                Ok(())
            });
        }
        // What was proven is read once more: so it must be a state that no later write leaves as it is.
        let stamp = self.settled()?;
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if *proven != Some((chunk, stamp)) {
            self.prove(chunk, |hasher| self.feed(hasher, chunk))?;
        }
        read_exact_at(&self.file, buf, offset).map_err(cut_short)?;
        if FileStamp::of_file(&self.file)? != stamp {
            return Err(ReadError::Busy);
        }
        *proven = Some((chunk, stamp));
        Ok(())
    }

    /// A state of the file which any later write must change. Blocks for at most 100 ms.
    fn settled(&self) -> Result<FileStamp, ReadError> {
        let stamp = FileStamp::of_file(&self.file)?;
        let_settle(&stamp);
        match FileStamp::of_file(&self.file)?.since(&stamp) {
            Change::None => Ok(stamp),
            Change::Resized => Err(ReadError::Changed),
            Change::Metadata | Change::Replaced | Change::Touched => Err(ReadError::Busy),
        }
    }

    /// Whether the bytes that `feed` gives are those of the chunk.
    fn prove(
        &self,
        chunk: ChunkIndex,
        feed: impl FnOnce(&mut blake3::Hasher) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let is_right = if self.layout.needs_list() {
            // It is gone when the file was hashed again as something else: a look is to tell that.
            let list = self.list.get_or_init(|| self.hashed.list()).as_ref().ok_or(ReadError::Busy)?;
            let mut hasher = chunk_hasher(self.layout, chunk);
            feed(&mut hasher)?;
            list.value(chunk) == Some(blake3::hazmat::HasherExt::finalize_non_root(&hasher))
        } else {
            let mut hasher = blake3::Hasher::new();
            feed(&mut hasher)?;
            ContentId::from_bytes(*hasher.finalize().as_bytes()) == self.hashed.id
        };
        if is_right { Ok(()) } else { Err(ReadError::Changed) }
    }

    fn feed(&self, hasher: &mut blake3::Hasher, chunk: ChunkIndex) -> Result<(), ReadError> {
        let (mut offset, mut left) = (self.layout.offset(chunk), self.layout.len(chunk));
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let piece = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            read_exact_at(&self.file, &mut buffer[..piece], offset).map_err(cut_short)?;
            hasher.update(&buffer[..piece]);
            offset += piece as u64;
            left -= piece as u64;
        }
        Ok(())
    }
}

impl SourceFile for OpenFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError> {
        if self.is_doubted() {
            return self.read_proven(buf, offset);
        }
        let read = read_exact_at(&self.file, buf, offset);
        // The look when it was opened and this one enclose every read: no stamp comes back once it has changed.
        // A file cut short while it was read has changed: that is not the disk's failure.
        match self.change()? {
            Change::None => Ok(read?),
            _ => self.read_proven(buf, offset),
        }
    }

    fn read_ready(&self, buf: &mut [u8], offset: u64) -> Result<usize, ReadError> {
        if self.is_doubted() {
            return Ok(0);
        }
        // An error shows again, and is told, when the rest is read.
        let len = read_ready_at(&self.file, buf, offset).unwrap_or(0);
        Ok(if len > 0 && self.change()? == Change::None { len } else { 0 })
    }

    fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }
}

fn cut_short(error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::UnexpectedEof { ReadError::Changed } else { ReadError::Io(error) }
}
