//! What a finished transfer left is served on, from its final place: like any shared file, checked against its
//! stamp each time it is read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::io::shared_source::{HashedFile, ListPlace, SharedCollection, SharedFile};
use crate::io::source::Source;
use crate::io::stamp::open_stamped;
use crate::model::collection::Entry;
use crate::model::{ChunkList, ContentId};
use crate::node::contents::Contents;

/// The published content as a source; `None` when not all of it is there, or it changed meanwhile. Blocks.
pub(crate) fn source(
    contents: &Contents,
    path: &Path,
    lists: &HashMap<usize, Arc<ChunkList>>,
) -> Option<Arc<dyn Source>> {
    let known = contents.map.by_content();
    let list = |id: ContentId, size: u64| {
        let index = *known.get(&(id, size))?;
        let needed = contents.map.files()[index].layout.needs_list();
        if needed { lists.get(&index).cloned().map(ListPlace::Memory) } else { Some(ListPlace::NotNeeded) }
    };
    let Some((collection, _)) = &contents.tree else {
        let file = hashed(path, contents.part.id, contents.part.size, list(contents.part.id, contents.part.size)?)?;
        return Some(Arc::new(SharedFile::new(Arc::new(file))?));
    };
    let mut files = Vec::new();
    for (below, entry) in collection.entries() {
        let Entry::File { size, id, .. } = entry else { continue };
        files.push(Arc::new(hashed(&path.join(below.as_str()), *id, *size, list(*id, *size)?)?));
    }
    Some(Arc::new(SharedCollection::new(collection, &files)?))
}

fn hashed(path: &Path, id: ContentId, size: u64, list: ListPlace) -> Option<HashedFile> {
    let stamp = open_stamped(path).ok()?.1;
    (stamp.size == size).then(|| HashedFile { path: path.into(), stamp, id, list, settled: true })
}
