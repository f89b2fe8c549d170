//! Opening what is there of the bytes: each file where this run wants it, and no longer than it is.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Mutex;

use super::super::{Data, Names, PartialError, PartialSpec, Tree};
use crate::io::receive::dest::{Access, DestError, FileKind, LastDir, Replace, SafeDir, Stat};
use crate::model::SafePath;
use crate::model::collection::Entry;

/// Opens the data, or makes it anew.
pub(super) fn open_data(parent: &SafeDir, names: &Names, spec: &PartialSpec) -> Result<Data, PartialError> {
    let exists = || DestError::Exists { path: parent.shown(&names.part) };
    let there = parent.stat(&names.part)?.map(|s| s.kind);
    let Some(collection) = &spec.wanted.tree else {
        return match there {
            None | Some(FileKind::File) => {
                let file = parent.file(&names.part, Access::OpenOrCreate)?;
                Ok(Data::File { file, turn: Mutex::default() })
            }
            Some(FileKind::Link) => Err(DestError::Link { path: parent.shown(&names.part) }.into()),
            Some(_) => Err(exists().into()),
        };
    };
    parent.create_dirs(&names.part)?;
    if parent.stat(&names.part)?.is_some_and(|stat| !parent.is_ours(stat.owner)) {
        return Err(DestError::OfAnother { path: parent.shown(&names.part) }.into());
    }
    let wanted = |path: &_| !spec.present.contains(path) && !spec.unwanted.contains(path);
    let tree = Tree::new(parent.dir(&names.part)?, there.is_none(), collection, &spec.wanted.map, wanted);
    if there.is_some() {
        move_home(&tree, spec)?;
        cut_tree(&tree, spec)?;
    }
    Ok(Data::Tree(tree))
}

/// What lies behind a file's end is not of it: somebody else has written it, and what is claimed is hashed again. A single
/// file is cut when it is published: until its last unit is proven, its size is a claim.
fn cut(parent: &SafeDir, name: &SafePath, file: &File, size: u64) -> Result<(), PartialError> {
    let longer = file.metadata().map(|meta| meta.is_file() && meta.len() > size);
    let done = longer.and_then(|longer| if longer { file.set_len(size) } else { Ok(()) });
    done.map_err(|e| DestError::io("cut", &parent.shown(name), e).into())
}

fn cut_tree(tree: &Tree, spec: &PartialSpec) -> Result<(), PartialError> {
    let Some(collection) = &spec.wanted.tree else { return Ok(()) };
    let mut places = LastDir::of(&tree.root);
    for (path, entry) in collection.entries() {
        let Entry::File { size, .. } = entry else { continue };
        let longer = |stat: &Stat| stat.kind == FileKind::File && stat.len > *size;
        if places.stat(path)?.as_ref().is_some_and(longer) {
            cut(&tree.root, path, &tree.root.file(path, Access::OpenOrCreate)?, *size)?;
        }
    }
    Ok(())
}

/// An earlier run that wanted other paths has the bytes under another of a file's paths.
fn move_home(tree: &Tree, spec: &PartialSpec) -> Result<(), PartialError> {
    let Some(collection) = &spec.wanted.tree else { return Ok(()) };
    let entries = collection.entries();
    let mut settled: HashMap<usize, bool> = HashMap::new();
    for (index, (path, entry)) in entries.iter().enumerate() {
        let Entry::File { size, .. } = entry else { continue };
        let Some(home) = tree.home_of_entry(index).filter(|&home| home != index && *size > 0) else { continue };
        let (at_home, _) = &entries[home];
        let there = match settled.get(&home) {
            Some(&there) => there,
            None => tree.root.stat(at_home)?.is_some(),
        };
        let moved = !there && tree.root.stat(path)?.is_some_and(|s| s.kind == FileKind::File);
        if moved {
            if let Some(above) = at_home.parent() {
                tree.root.create_dirs(&above)?;
            }
            tree.root.rename(path, &tree.root, at_home, Replace::Never)?;
        }
        settled.insert(home, there || moved);
    }
    Ok(())
}
