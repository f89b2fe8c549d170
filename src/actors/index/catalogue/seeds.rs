//! Roots that are shared as one known content: what was fetched and goes on being shared.
//! Invariant: under such a root nothing is offered but that content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Catalogue, State};
use crate::io::share::scan::{Fixed, Root};
use crate::io::share::shared_source::HashedFile;
use crate::io::share::watch::RootKey;
use crate::model::SafePath;
use crate::model::collection::Entry;

/// Directories of numbers that are tried where a name is taken, and so is that with its directory.
const NUMBERS: std::ops::Range<u32> = 2..1000;

impl Catalogue {
    /// Adds a content that lies at a path; nothing is offered before a look has found it. The root's key, and whether it
    /// is new. `None` when no name is free.
    pub(in crate::actors::index) fn seed(
        &mut self,
        name: &SafePath,
        path: &Path,
        fixed: Arc<Fixed>,
        now: Instant,
    ) -> Option<(RootKey, bool)> {
        let kind = fixed.kind();
        let same = |root: &Root| root.fixed.is_some() && root.path == path && root.kind == kind;
        if let Some(key) = self.roots.iter().position(|row| !row.withdrawn && same(&row.root)) {
            if self.roots[key].root.fixed.as_ref() != Some(&fixed) {
                self.roots[key].root.fixed = Some(fixed);
                self.renew(key, now);
            }
            return Some((key, false));
        }
        let name = self.free_name(name, path)?;
        let root = Root { name, path: path.to_owned(), kind, fixed: Some(fixed) };
        Some((self.add_root(root, Arc::default()), true))
    }

    /// Takes that a file is not what its root is shared as. Whether it is so.
    pub(in crate::actors::index) fn refuse(&mut self, name: &SafePath, file: &HashedFile, now: Instant) -> bool {
        let current = self.rows.get(name).filter(|row| row.stamp == file.stamp && *row.path == *file.path);
        let Some(key) = current.map(|row| row.root) else { return false };
        let root = &self.roots[key].root;
        let Some(fixed) = &root.fixed else { return false };
        let rest = name.as_str().strip_prefix(root.name.as_str()).unwrap_or_default();
        let below = rest.strip_prefix('/').and_then(|rest| SafePath::parse(rest).ok());
        if fixed.id_of(below.as_ref()) == Some(file.id) {
            return false;
        }
        if let Some(row) = self.rows.get_mut(name) {
            row.state = State::Foreign;
        }
        self.touched.insert(name.clone(), key);
        self.renew(key, now);
        true
    }

    /// Whether a root that is shared as one known content has just been found to be that no longer, and what of it is
    /// another now or missing: the first path, and how many there are. It is told again only after it has been whole.
    pub(in crate::actors::index) fn broken(&mut self, key: RootKey) -> Option<(PathBuf, usize)> {
        let row = &mut self.roots[key];
        // What comes back is looked at anew.
        row.broken &= !row.gone;
        let row = &self.roots[key];
        let fixed = row.root.fixed.as_ref().filter(|_| !row.gone)?;
        let lacks = |name: &SafePath| self.rows.get(name).is_none_or(|row| !row.is_in_tree());
        let lost: Vec<PathBuf> = match &fixed.tree {
            None => {
                Some(&row.root).filter(|root| lacks(&root.name)).map(|root| root.path.clone()).into_iter().collect()
            }
            Some(_) if row.count.files == fixed.files() => Vec::new(),
            Some(tree) => {
                let files = tree.entries().iter().filter(|(_, entry)| matches!(entry, Entry::File { .. }));
                let lost = files.filter(|(path, _)| row.root.name.join(path).is_ok_and(|name| lacks(&name)));
                lost.map(|(path, _)| row.root.path.join(path.as_str())).collect()
            }
        };
        let was = std::mem::replace(&mut self.roots[key].broken, !lost.is_empty());
        let count = lost.len();
        lost.into_iter().next().filter(|_| !was).map(|first| (first, count))
    }

    /// Takes where a root's path leads; that, if it is not where it led before.
    pub(in crate::actors::index) fn leads(&mut self, key: RootKey, real: Option<&Path>) -> Option<PathBuf> {
        let real = real?;
        let before = self.roots[key].real.replace(real.to_owned());
        before.filter(|before| before != real).map(|_| real.to_owned())
    }

    /// The name itself, else with the directory that it lies in, else with a number for a directory: the last component
    /// stays what people look for.
    fn free_name(&self, name: &SafePath, path: &Path) -> Option<SafePath> {
        let above = path.parent().and_then(Path::file_name).and_then(|dir| dir.to_str());
        let within = |dir: &str| SafePath::parse(dir).and_then(|dir| dir.join(name)).ok();
        let numbered = NUMBERS.filter_map(|number| within(&number.to_string()));
        let names = std::iter::once(name.clone()).chain(above.and_then(within)).chain(numbered);
        names.into_iter().find(|name| self.is_free(name))
    }

    /// Whether nothing has the name, nor a name below it.
    fn is_free(&self, name: &SafePath) -> bool {
        let below = |other: &SafePath| other.as_str().strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('/'));
        let taken = |other: &SafePath| other == name || below(other);
        !self.live().any(|row| taken(&row.root.name)) && !self.has_below(name)
    }
}
