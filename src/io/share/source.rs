//! Something from which units are served: a shared file, a shared tree, or a transfer under way.
//! Invariant: whatever `has` says is there was hashed and belongs to the content id.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Bitfield, ChunkList, Kind, UnitMap};

#[cfg(test)]
pub(crate) mod tests;

/// Why bytes could not be read for serving.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Whether the file is still what was hashed is not known yet, or the system lacks something for now: to be asked
    /// for again in a moment.
    #[error("the file cannot be served at this moment")]
    Busy,
    /// The file is no longer what was hashed; nobody is to blame.
    #[error("the file changed while it was served")]
    Changed,
    /// This user may not read it any more.
    #[error("the file may not be read any more")]
    Denied,
    /// The disk or the file system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// One content that can be served: a file, and whole, where nothing else is said. Cheap to share; every method may be called from any thread.
pub trait Source: Send + Sync + 'static {
    /// Its units.
    fn map(&self) -> &UnitMap;
    /// File or collection.
    fn kind(&self) -> Kind {
        Kind::File
    }
    /// The content's size in bytes, as offers tell it.
    fn size(&self) -> u64 {
        self.map().bytes()
    }
    /// Which units are there now.
    fn have(&self) -> Bitfield {
        Bitfield::full(self.map().units())
    }
    /// Whether a unit is there now: one of [`Source::have`].
    fn has(&self, unit: u32) -> bool {
        unit < self.map().units()
    }
    /// Changes whenever units are added; `None` when none ever are.
    fn growth(&self) -> Option<watch::Receiver<u32>> {
        None
    }
    /// Units that are not there any more because their file changed. They are not among those of [`Source::have`].
    fn lost(&self) -> Vec<Range<u32>> {
        Vec::new()
    }
    /// Opens one of the map's files. Blocks on the file system.
    ///
    /// # Errors
    /// When it is gone, changed or unreadable.
    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError>;
    /// The chunk list of one of the map's files that needs one; `None` while it is not known. May block.
    fn list(&self, file: usize) -> Option<Arc<ChunkList>>;
    /// A collection's canonical bytes.
    fn manifest(&self) -> Option<Arc<[u8]>> {
        None
    }
    /// Whether a single file may be executed by its owner, as far as that is known.
    fn executable(&self) -> bool {
        false
    }
    /// When each file path was last modified, in nanoseconds since 1970, in the order of the collection (one for a
    /// file); `None` while that is not known. They travel beside the id: nothing proves them.
    fn times(&self) -> Option<Arc<[i64]>> {
        None
    }
}

/// An open file of a source.
pub trait SourceFile: Send + Sync {
    /// Fills `buf` from `offset`; checks that the file has been what was hashed since it was opened. Blocks.
    ///
    /// # Errors
    /// When the file changed or cannot be read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError>;

    /// Fills the front of `buf` with what is in memory, and says how much that is; checks as `read_at` does. Does not
    /// wait for a disk.
    ///
    /// # Errors
    /// When the file changed.
    fn read_ready(&self, _buf: &mut [u8], _offset: u64) -> Result<usize, ReadError> {
        Ok(0)
    }

    /// Whether its stamp is not the one it was hashed under, so that somebody ought to look at it again.
    fn is_doubted(&self) -> bool {
        false
    }
}
