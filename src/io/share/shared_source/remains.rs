//! What is left of a tree that has changed: those of its files that are still somewhere beneath the shared roots.
//! Invariant: it has the id, list and units of the tree as it was; a unit is there exactly when its file is.

use std::ops::Range;
use std::sync::Arc;

use super::{HashedFile, SharedCollection, no_such_file, open};
use crate::io::share::source::{ReadError, Source, SourceFile};
use crate::model::units::bitfield::ranges_of;
use crate::model::{Bitfield, ChunkList, ContentId, Kind, UnitMap};

/// A former tree as a source.
#[derive(Debug)]
pub struct Remains {
    tree: Arc<SharedCollection>,
    /// By the map's file index; those that are still there.
    files: Vec<Option<Arc<HashedFile>>>,
    have: Bitfield,
}

impl Remains {
    /// What `now` still finds of a tree's files, each by content id and size; `None` when that is nothing.
    pub fn of(tree: &Arc<SharedCollection>, now: impl Fn(ContentId, u64) -> Option<Arc<HashedFile>>) -> Option<Self> {
        let map = tree.map();
        let files: Vec<_> = map.files().iter().map(|file| now(file.id, file.layout.size())).collect();
        let mut have = Bitfield::empty(map.units());
        for (file, _) in map.files().iter().zip(&files).filter(|(_, now)| now.is_some()) {
            have.set_range(file.units());
        }
        (have.count() > 0).then(|| Self { tree: Arc::clone(tree), files, have })
    }

    fn file(&self, file: usize) -> Option<&Arc<HashedFile>> {
        self.files.get(file)?.as_ref()
    }
}

impl Source for Remains {
    fn kind(&self) -> Kind {
        Kind::Collection
    }

    fn size(&self) -> u64 {
        self.tree.size()
    }

    fn map(&self) -> &UnitMap {
        self.tree.map()
    }

    fn have(&self) -> Bitfield {
        self.have.clone()
    }

    fn has(&self, unit: u32) -> bool {
        self.have.has(unit)
    }

    fn lost(&self) -> Vec<Range<u32>> {
        ranges_of((0..self.have.len()).filter(|unit| !self.have.has(*unit)))
    }

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        open(self.file(file).ok_or_else(no_such_file)?)
    }

    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        self.file(file)?.list()
    }

    fn manifest(&self) -> Option<Arc<[u8]>> {
        self.tree.manifest()
    }

    fn times(&self) -> Option<Arc<[i64]>> {
        self.tree.times()
    }
}
