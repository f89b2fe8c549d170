//! A root that is shared as one known content: what was fetched goes on being shared as exactly that.
//! Invariant: only the content's own paths are found, whatever lies beside them, and no rule leaves any of them out.
//! Not responsible for whether they still have that content: whoever hashes them asks [`Fixed::id_of`].

use std::fs;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::io::share::scan::unseen::{Unseen, is_absence};
use crate::io::share::scan::{Root, Scan, ScannedFile, ScannedRoot};
use crate::io::share::stamp::FileStamp;
use crate::model::collection::Entry;
use crate::model::{Collection, ContentId, Kind, SafePath};
use crate::wire::LeftOut;

/// The content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its id.
    pub id: ContentId,
    /// Its size in bytes, as offers tell it.
    pub size: u64,
    /// The tree, for a collection.
    pub tree: Option<Collection>,
    /// What it leaves out of the directory that it was fetched from, as was told with it.
    pub left_out: LeftOut,
}

impl Fixed {
    /// File or collection.
    pub const fn kind(&self) -> Kind {
        if self.tree.is_some() { Kind::Collection } else { Kind::File }
    }

    /// How many files it has.
    pub fn files(&self) -> u32 {
        self.tree.as_ref().map_or(1, Collection::files)
    }

    /// Which content belongs to a path below the root, or to the root itself where that is a file.
    pub fn id_of(&self, below: Option<&SafePath>) -> Option<ContentId> {
        match (&self.tree, below) {
            (None, None) => Some(self.id),
            (Some(tree), Some(path)) => {
                let entries = tree.entries();
                let place = entries.binary_search_by(|(other, _)| other.cmp(path)).ok()?;
                match entries[place].1 {
                    Entry::File { id, .. } => Some(id),
                    Entry::Directory => None,
                }
            }
            _ => None,
        }
    }
}

/// Looks at the content's paths. Blocks on the file system; opens nothing.
pub(super) fn scan_fixed(root: &Root, fixed: &Fixed) -> Scan {
    let (gone, mut unseen) = match fs::symlink_metadata(&root.path) {
        Ok(meta) => (if fixed.tree.is_some() { !meta.is_dir() } else { !meta.is_file() }, Vec::new()),
        Err(error) if is_absence(&error) => (true, Vec::new()),
        Err(error) => (false, vec![Unseen::new(&root.name, &root.path, &error)]),
    };
    let wanted: Vec<(SafePath, PathBuf, u64)> = match &fixed.tree {
        None => vec![(root.name.clone(), root.path.clone(), fixed.size)],
        Some(tree) => tree.entries().iter().filter_map(|(path, entry)| below(root, path, entry)).collect(),
    };
    let mut files = Vec::new();
    let looked = wanted.into_par_iter().filter_map(|(name, path, size)| match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() == size => {
            Some(Ok(ScannedFile { name, path, stamp: FileStamp::of(&meta) }))
        }
        Err(error) if !is_absence(&error) => Some(Err(Unseen::new(&name, &path, &error))),
        _ => None,
    });
    for look in looked.collect::<Vec<_>>() {
        match look {
            Ok(file) => files.push(file),
            Err(error) => unseen.push(error),
        }
    }
    let entries = fixed.tree.iter().flat_map(Collection::entries);
    let empty = entries.filter(|(_, entry)| *entry == Entry::Directory);
    let empty_dirs = empty.filter_map(|(path, _)| root.name.join(path).ok()).collect();
    let Root { name, path, kind, .. } = root.clone();
    let root = ScannedRoot { name, path, real: None, kind, files, empty_dirs, unread: Vec::new(), links: 0 };
    Scan { root, unseen, skipped: Vec::new(), ignored: 0, gone }
}

/// A file of the tree: its whole name, where it is, its size. None where the name would be longer than a name may be.
fn below(root: &Root, path: &SafePath, entry: &Entry) -> Option<(SafePath, PathBuf, u64)> {
    let Entry::File { size, .. } = entry else { return None };
    Some((root.name.join(path).ok()?, root.path.join(path.as_str()), *size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::share::scan::{Rules, scan_root};

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect("valid")
    }

    #[test]
    fn only_the_own_paths_are_found_and_none_is_left_out() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = |name: &str, content: &str| {
            let at = dir.path().join(name);
            fs::create_dir_all(at.parent().expect("parent")).expect("mkdir");
            fs::write(at, content).expect("write");
            let (size, id) = (content.len() as u64, ContentId::of(content.as_bytes()));
            (path(name), Entry::File { size, id, executable: false })
        };
        let entries = vec![file(".env", "secret"), file("a/b", "one"), file("c", "two"), (path("d"), Entry::Directory)];
        let _more = file("more", "not of it");
        fs::write(dir.path().join(".qshareignore"), "c\n").expect("write");
        let tree = Collection::new(entries).expect("sound");
        let fixed = Fixed {
            id: ContentId::of(&tree.manifest()),
            size: tree.bytes(),
            tree: Some(tree),
            left_out: LeftOut::default(),
        };
        assert_eq!(fixed.id_of(Some(&path("a/b"))), Some(ContentId::of(b"one")));
        assert_eq!((fixed.id_of(Some(&path("d"))), fixed.id_of(None)), (None, None));
        let fixed = Some(fixed.into());
        let root = Root { name: path("t"), path: dir.path().to_owned(), kind: Kind::Collection, fixed };
        let names = |scan: &Scan| scan.root.files.iter().map(|file| file.name.to_string()).collect::<Vec<_>>();
        let scan = scan_root(&root, &Rules::default());
        assert_eq!((names(&scan).join(" "), scan.gone), ("t/.env t/a/b t/c".to_owned(), false));
        assert_eq!(scan.root.empty_dirs, [path("t/d")]);
        fs::write(dir.path().join("c"), "longer").expect("write");
        fs::remove_file(dir.path().join(".env")).expect("remove");
        assert_eq!(names(&scan_root(&root, &Rules::default())), ["t/a/b"]);
    }
}
