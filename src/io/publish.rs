//! Giving a finished transfer its final name.
//! Invariant: data is durable before it has its name, the name before the journal goes; nothing is deleted but
//! what qshare made, nothing replaced but what the plan names. The crash argument is in `docs/storage.md`.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use rayon::prelude::*;

use crate::io::dest::{Access, DestError, FileKind, Neighbours, Replace, SafeDir};
use crate::io::partial::{Data, Givers, Names, Partial, PartialError, Tree};
use crate::io::sparse;
use crate::model::collection::Entry;
use crate::model::{Collection, SafePath};

/// Files looked at by one thread in a row.
const TOGETHER: usize = 1024;

/// Where a finished transfer goes.
#[derive(Debug, Clone)]
pub struct PublishPlan {
    /// The final name in the directory in which the partial file lies: one component.
    pub target: SafePath,
    /// What may be replaced, as `existing` told it: the target itself for a file, paths of the collection else.
    pub replace: HashSet<SafePath>,
    /// Times of last modification to be set: of the target for a file, of paths of the collection else.
    pub times: Vec<(SafePath, SystemTime)>,
    /// Whether a single file may be executed; the entries of a collection say so themselves.
    pub executable: bool,
}

impl Partial {
    /// Gives the content its final name and removes the journal. The caller has proven every wanted unit.
    /// On an error everything not yet under its final name is kept.
    ///
    /// # Errors
    /// When something has the name and may not be replaced, or the disk fails.
    pub fn publish(&self, plan: &PublishPlan) -> Result<PathBuf, PartialError> {
        let path = self.parent.shown(&plan.target);
        if Names::is_reserved(plan.target.name()) {
            return Err(PartialError::Reserved { path });
        }
        match (&self.data, &self.spec.collection) {
            (Data::Tree(tree), Some(collection)) => self.publish_tree(tree, collection, plan)?,
            (Data::Tree(_), None) => return Err(PartialError::Damaged { path }),
            (Data::File { file, .. }, _) => self.publish_file(file, plan)?,
        }
        // Before the journal: while it is there, the next run clears up.
        self.remove_superseded();
        Givers::beside(&self.parent, &self.names).forget();
        self.parent.remove_file(&self.names.journal)?;
        Ok(path)
    }

    fn publish_file(&self, file: &File, plan: &PublishPlan) -> Result<(), PartialError> {
        let failed = |doing, e| DestError::io(doing, &self.path(), e);
        if file.metadata().map_err(|e| failed("look at", e))?.len() != self.spec.size {
            return Err(PartialError::Damaged { path: self.path() });
        }
        if plan.executable {
            self.parent.set_executable(&self.names.part, true)?;
        }
        if let Some((_, time)) = plan.times.first() {
            file.set_modified(*time).map_err(|e| failed("set the time of", e))?;
        }
        // Not only the data: the time and the bit as well.
        file.sync_all().map_err(|e| failed("sync", e))?;
        let replace = if plan.replace.contains(&plan.target) { Replace::File } else { Replace::Never };
        let renamed = self.parent.rename(&self.names.part, &self.parent, &plan.target, replace);
        renamed.map_err(appeared)?;
        Ok(self.parent.sync()?)
    }

    fn publish_tree(&self, tree: &Tree, collection: &Collection, plan: &PublishPlan) -> Result<(), PartialError> {
        let wanted: Vec<_> = self.wanted_entries(collection).collect();
        match self.parent.stat(&plan.target)?.map(|s| s.kind) {
            None if !self.spec.present.is_empty() => {
                Err(PartialError::Vanished { path: self.parent.shown(&plan.target) })
            }
            None => {
                if !tree.is_new() {
                    prune(&tree.root, &wanted)?;
                }
                finish(tree, collection, &wanted, plan)?;
                sync(tree, &wanted)?;
                let renamed = self.parent.rename(&self.names.part, &self.parent, &plan.target, Replace::Never);
                renamed.map_err(appeared)?;
                Ok(self.parent.sync()?)
            }
            Some(FileKind::Directory) => self.publish_into(tree, collection, &wanted, plan),
            Some(_) => Err(PartialError::Appeared { path: self.parent.shown(&plan.target) }),
        }
    }

    fn publish_into(
        &self,
        tree: &Tree,
        collection: &Collection,
        wanted: &[Wanted<'_>],
        plan: &PublishPlan,
    ) -> Result<(), PartialError> {
        let target = self.parent.dir(&plan.target)?;
        let mut places = Neighbours::of(&target);
        for Wanted { path, entry, .. } in wanted {
            let taken = places.stat(path)?.is_some() && matches!(entry, Entry::File { .. });
            if taken && !plan.replace.contains(*path) {
                return Err(PartialError::Appeared { path: target.shown(path) });
            }
        }
        finish(tree, collection, wanted, plan)?;
        sync(tree, wanted)?;
        let mut built = Neighbours::of(&tree.root);
        for Wanted { path, entry, .. } in wanted {
            if **entry == Entry::Directory {
                target.create_dirs(path)?;
                continue;
            }
            let replace = if plan.replace.contains(*path) { Replace::File } else { Replace::Never };
            let (to, name) = places.make(path)?;
            let (from, _) = built.find(path)?.ok_or_else(|| PartialError::Damaged { path: tree.root.shown(path) })?;
            from.rename(&name, to, &name, replace).map_err(appeared)?;
        }
        if !target.sync_file_system()? {
            sync_directories(&target, wanted)?;
        }
        self.parent.remove_tree(&self.names.part)?;
        Ok(self.parent.sync()?)
    }

    fn wanted_entries<'c>(&self, collection: &'c Collection) -> impl Iterator<Item = Wanted<'c>> {
        let entries =
            collection.entries().iter().enumerate().map(|(index, (path, entry))| Wanted { index, path, entry });
        entries.filter(|w| !self.spec.present.contains(w.path) && !self.spec.unwanted.contains(w.path))
    }
}

struct Wanted<'c> {
    index: usize,
    path: &'c SafePath,
    entry: &'c Entry,
}

fn appeared(error: DestError) -> PartialError {
    match error {
        DestError::Exists { path } => PartialError::Appeared { path },
        other => other.into(),
    }
}

/// Removes from the tree what an earlier run wanted and this one does not: it may be half-written.
fn prune(root: &SafeDir, wanted: &[Wanted<'_>]) -> Result<(), PartialError> {
    let mut kept = HashSet::new();
    for Wanted { path, .. } in wanted {
        let mut next = Some((*path).clone());
        // Once a directory is known, so are all above it.
        while let Some(path) = next.filter(|path| !kept.contains(path)) {
            next = path.parent();
            kept.insert(path);
        }
    }
    prune_below(root, None, &kept)
}

fn prune_below(root: &SafeDir, dir: Option<&SafePath>, kept: &HashSet<SafePath>) -> Result<(), PartialError> {
    for (name, kind) in root.entries(dir)? {
        let path = root.child(dir, &name)?;
        match kind {
            _ if !kept.contains(&path) => root.remove_tree(&path)?,
            FileKind::Directory => prune_below(root, Some(&path), kept)?,
            _ => {}
        }
    }
    Ok(())
}

/// Makes directories, empty files and copies; sets bits and times; sees that each file has its size.
fn finish(tree: &Tree, collection: &Collection, wanted: &[Wanted<'_>], plan: &PublishPlan) -> Result<(), PartialError> {
    let root = &tree.root;
    for Wanted { index, path, entry } in wanted {
        let Entry::File { size, .. } = entry else {
            root.create_dirs(path)?;
            continue;
        };
        match tree.home_of_entry(*index) {
            _ if *size == 0 => drop(root.file(path, Access::Truncate)?),
            Some(home) if home != *index => copy(root, (&collection.entries()[home].0, *size), path)?,
            _ => {}
        }
    }
    // Only now: a copy must not take over the bit of its original.
    wanted.par_chunks(TOGETHER).try_for_each(|wanted| check(root, wanted))?;
    if plan.times.is_empty() {
        return Ok(());
    }
    let asked: HashSet<&SafePath> = wanted.iter().map(|w| w.path).collect();
    for (path, time) in plan.times.iter().filter(|(path, _)| asked.contains(path)) {
        root.set_modified(path, *time)?;
    }
    Ok(())
}

/// Sees that each file has its size and its bit.
fn check(root: &SafeDir, wanted: &[Wanted<'_>]) -> Result<(), PartialError> {
    let mut places = Neighbours::of(root);
    for Wanted { path, entry, .. } in wanted {
        let Entry::File { size, executable, .. } = entry else { continue };
        let stat = places.stat(path)?.filter(|s| s.kind == FileKind::File && s.len == *size);
        let stat = stat.ok_or_else(|| PartialError::Damaged { path: root.shown(path) })?;
        if stat.executable != *executable {
            root.set_executable(path, *executable)?;
        }
    }
    Ok(())
}

/// A copy that shares the disk's blocks where the file system can, and has the original's holes where it cannot.
fn copy(root: &SafeDir, (from, size): (&SafePath, u64), to: &SafePath) -> Result<(), PartialError> {
    let source = root.file(from, Access::Read)?;
    let copy = root.file(to, Access::Truncate)?;
    if reflink_copy::reflink_file(&source, &copy).is_ok() {
        return Ok(());
    }
    sparse::copy(&source, &copy, size).map_err(|e| root.explain("write", to, e).into())
}

fn sync(tree: &Tree, wanted: &[Wanted<'_>]) -> Result<(), PartialError> {
    if tree.root.sync_file_system()? {
        return Ok(());
    }
    let mut files = wanted.iter().filter(|w| *w.entry != Entry::Directory);
    files.try_for_each(|w| tree.sync_file(w.path))?;
    sync_directories(&tree.root, wanted)
}

fn sync_directories(root: &SafeDir, wanted: &[Wanted<'_>]) -> Result<(), PartialError> {
    let mut done = HashSet::new();
    for Wanted { path, .. } in wanted {
        let mut next = path.parent();
        while let Some(dir) = next.filter(|dir| !done.contains(dir)) {
            root.dir(&dir)?.sync()?;
            next = dir.parent();
            done.insert(dir);
        }
    }
    Ok(root.sync()?)
}

#[cfg(test)]
mod tests;
