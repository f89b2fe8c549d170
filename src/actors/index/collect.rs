//! From the hashed files of a root to its collection.
//! Takes as long as sorting and hashing some megabytes, so it runs outside the actor.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actors::index::catalogue::{Rows, below};
use crate::io::share::scan::Fixed;
use crate::io::share::shared_source::{HashedFile, SharedCollection, file_entry};
use crate::io::share::watch::RootKey;
use crate::model::collection::{CollectionError, Entry, MAX_MANIFEST};
use crate::model::{Collection, SafePath};

/// What a collection is made of.
pub(super) struct Parts {
    pub(super) key: RootKey,
    pub(super) name: SafePath,
    pub(super) rows: Rows,
    /// How many files it will have.
    pub(super) count: usize,
    pub(super) empty_dirs: Arc<[SafePath]>,
    /// What it has to be, where it is shared as one known content.
    pub(super) fixed: Option<Arc<Fixed>>,
}

/// Why files and directories are no collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum NoTree {
    /// More chunks than one can have.
    #[error("it has too many chunks")]
    Chunks,
    /// A longer list than one can have.
    #[error("it has too many files")]
    Files,
    /// The entries do not make one.
    #[error(transparent)]
    List(#[from] CollectionError),
}

impl Parts {
    /// The collection as a source.
    ///
    /// # Errors
    /// When the tree cannot be one.
    pub(super) fn collect(&self) -> Result<Arc<SharedCollection>, NoTree> {
        let mut entries: Vec<(SafePath, Entry)> = Vec::with_capacity(self.count + self.empty_dirs.len());
        let mut files: Vec<Arc<HashedFile>> = Vec::with_capacity(self.count);
        for (name, row) in self.rows.below(&self.name).filter(|(_, row)| row.root == self.key && row.is_in_tree()) {
            if let (Some(file), Some(below)) = (row.offered(), below(&self.name, name)) {
                entries.push((below, file_entry(file)));
                files.push(file.clone());
            }
        }
        if let Some(tree) = self.fixed.as_ref().and_then(|fixed| fixed.tree.as_ref()) {
            // Its own entries, bits included: where a file system keeps none, it is still this content.
            let source = SharedCollection::new(tree, &files).ok_or(NoTree::Chunks)?;
            return Ok(Arc::new(source));
        }
        let empty = self.empty_dirs.iter().filter_map(|name| Some((below(&self.name, name)?, Entry::Directory)));
        entries.extend(empty);
        let collection = Collection::new(entries)?;
        let source = SharedCollection::new(&collection, &files).ok_or(NoTree::Chunks)?;
        if source.manifest_len() > MAX_MANIFEST {
            return Err(NoTree::Files);
        }
        Ok(Arc::new(source))
    }
}
