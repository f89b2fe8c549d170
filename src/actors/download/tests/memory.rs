//! A content in memory as a source, honest or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::share::source::{ReadError, Source, SourceFile};
use crate::model::units::chunk_list::chunk_value;
use crate::model::{ChunkIndex, ChunkList, ContentId, Kind, Layout, UnitMap};

/// A content in memory.
pub(super) struct Memory {
    kind: Kind,
    pub(super) map: UnitMap,
    files: Vec<Arc<Vec<u8>>>,
    lists: Vec<Arc<ChunkList>>,
    /// Every byte that is served is wrong, though the list is right.
    lies: bool,
    /// A file that has changed since it was hashed, until it is taken back.
    pub(super) changed: Option<(usize, Arc<AtomicBool>)>,
}

impl Memory {
    pub(super) fn new(kind: Kind, map: UnitMap, files: Vec<Vec<u8>>) -> Self {
        let lists = files.iter().map(|bytes| Arc::new(list_of(bytes))).collect();
        Self { kind, map, files: files.into_iter().map(Arc::new).collect(), lists, lies: false, changed: None }
    }

    /// The same, with wrong bytes.
    pub(super) fn lying(bytes: Vec<u8>) -> Self {
        Self { lies: true, ..Self::file(bytes) }
    }

    pub(super) fn file(bytes: Vec<u8>) -> Self {
        let map = UnitMap::of_file(ContentId::of(&bytes), bytes.len() as u64).expect("small");
        Self::new(Kind::File, map, vec![bytes])
    }
}

fn list_of(bytes: &[u8]) -> ChunkList {
    let layout = Layout::of(bytes.len() as u64).expect("small");
    let chunks = bytes.chunks(usize::try_from(layout.chunk_size()).expect("small")).enumerate();
    let value = |(i, chunk)| chunk_value(layout, ChunkIndex(u32::try_from(i).expect("few")), chunk);
    let values = if layout.needs_list() { chunks.map(value).collect() } else { Vec::new() };
    ChunkList::new(ContentId::of(bytes), layout, values).expect("own list")
}

struct MemoryFile(Arc<Vec<u8>>, bool, u64);

impl SourceFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError> {
        let start = usize::try_from(offset).expect("small");
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        // The last chunk, which proves the list, stays right.
        if self.1 && offset < self.2 {
            buf[0] ^= 1;
        }
        Ok(())
    }
}

impl Source for Memory {
    fn kind(&self) -> Kind {
        self.kind
    }
    fn map(&self) -> &UnitMap {
        &self.map
    }
    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        if self.changed.as_ref().is_some_and(|(which, still)| *which == file && still.load(Ordering::Relaxed)) {
            return Err(ReadError::Changed);
        }
        let layout = self.map.files()[file].layout;
        let last = layout.offset(ChunkIndex(layout.chunks() - 1));
        Ok(Box::new(MemoryFile(Arc::clone(&self.files[file]), self.lies, last)))
    }
    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        Some(Arc::clone(&self.lists[file]))
    }
}
