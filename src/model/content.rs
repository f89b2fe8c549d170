//! Which content is meant, and what all its id stands for.
//! Invariant: whoever has a [`Wanted`] has units, tree and canonical bytes of one and the same content.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Collection, ContentId, Hit, Kind, UnitMap};

/// A content as it is named among nodes: an id, and what is claimed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// Which content.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// Its size in bytes, as offers tell it.
    pub size: u64,
}

impl Hit {
    /// What it is of; none before it is hashed.
    #[must_use]
    pub fn content(&self) -> Option<Content> {
        Some(Content { id: self.id?, kind: self.kind, size: self.size })
    }
}

/// A content that is transferred. Made once, and shared by all that work on the transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which content.
    pub content: Content,
    /// Its units.
    pub map: Arc<UnitMap>,
    /// The tree, for a collection.
    pub tree: Option<Collection>,
    /// The tree's canonical bytes.
    pub manifest: Option<Arc<[u8]>>,
}

impl Wanted {
    /// One file; `None` when it is too large, or the id is not that of any file of this size.
    #[must_use]
    pub fn file(id: ContentId, size: u64) -> Option<Self> {
        let map = Arc::new(UnitMap::of_file(id, size)?);
        Some(Self { content: Content { id, kind: Kind::File, size }, map, tree: None, manifest: None })
    }

    /// A collection and its canonical bytes, of which `id` is the hash; `None` when it has too many units.
    #[must_use]
    pub fn tree(id: ContentId, tree: Collection, manifest: impl Into<Arc<[u8]>>) -> Option<Self> {
        let map = Arc::new(UnitMap::of_collection(&tree)?);
        let content = Content { id, kind: Kind::Collection, size: tree.bytes() };
        Some(Self { content, map, tree: Some(tree), manifest: Some(manifest.into()) })
    }
}
