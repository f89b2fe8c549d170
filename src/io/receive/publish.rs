//! Giving a finished transfer its final name.
//! Invariant: data is durable before it has its name, the name before the journal goes; nothing is deleted but
//! what qshare made, nothing replaced but what the plan names. What gets the name is what is held open, and what has been
//! touched by others since it was proven is proven again. The crash argument is in `docs/storage.md`.

mod finish;

use std::collections::HashSet;
use std::fs::File;
use std::iter::successors;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::io::receive::dest::{DestError, FileKind, LastDir, Replace, SafeDir, set_executable};
use crate::io::receive::partial::{Data, Givers, Names, Partial, PartialError, Trace, Tree, lock};
use crate::io::share::hash::hash_held;
use crate::io::share::stamp::FileStamp;
use crate::model::collection::Entry;
use crate::model::{Collection, Content, ContentId, LocalPath, SafePath};

use finish::Finish;

/// How often what others touch is proven again, before they are told to leave it alone.
const ROUNDS: usize = 3;

/// The wish that nothing is published any more. It is heeded until the first thing gets its final name.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Wants it.
    pub fn order(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), PartialError> {
        if self.0.load(Ordering::Relaxed) { Err(PartialError::Halted) } else { Ok(()) }
    }
}

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
    /// Whether it is still wanted.
    pub halt: Halt,
}

impl Partial {
    /// Gives the content its final name and removes the journal. The caller has proven every wanted unit.
    /// On an error everything not yet under its final name is kept.
    ///
    /// # Errors
    /// When something has the name and may not be replaced, the disk fails, or it is wanted no longer.
    pub fn publish(&self, plan: &PublishPlan) -> Result<LocalPath, PartialError> {
        let path = self.parent.shown(&plan.target);
        if Names::is_reserved(plan.target.name()) {
            return Err(PartialError::Reserved { path });
        }
        match (&self.data, &self.spec.wanted.tree) {
            (Data::Tree(tree), Some(collection)) => self.publish_tree(tree, collection, plan)?,
            (Data::Tree(_), None) => return Err(PartialError::Damaged { path }),
            (Data::File { file, turn }, _) => self.publish_file(file, turn, plan)?,
        }
        // Before the journal: while it is there, the next run clears up.
        self.remove_superseded();
        Givers::beside(&self.parent, &self.names).forget();
        self.parent.remove_file(&self.names.journal)?;
        Ok(path)
    }

    fn publish_file(&self, file: &File, trace: &Mutex<Trace>, plan: &PublishPlan) -> Result<(), PartialError> {
        let failed = |doing, e| DestError::io(doing, &self.path(), e);
        let damaged = || PartialError::Damaged { path: self.path() };
        let Content { id, size, .. } = self.spec.wanted.content;
        let mut trace = lock(trace);
        let len = file.metadata().map_err(|e| failed("look at", e))?.len();
        if len < size {
            return Err(damaged());
        }
        // Somebody else has written what lies behind the end, or it was taken to be longer.
        if len > size {
            trace.over(file, |file| file.set_len(size)).map_err(|e| failed("cut", e))?;
        }
        if plan.executable {
            trace.over(file, |file| set_executable(file, true)).map_err(|e| failed("change the mode of", e))?;
        }
        if let Some((_, time)) = plan.times.first() {
            trace.over(file, |file| file.set_modified(*time)).map_err(|e| failed("set the time of", e))?;
        }
        // Not only the data: the time and the bit as well.
        file.sync_all().map_err(|e| failed("sync", e))?;
        for round in 0..ROUNDS {
            let stamp = FileStamp::of_file(file).map_err(|e| failed("look at", e))?;
            if trace.is_clean(FileStamp::identifies().then_some(stamp)) {
                break;
            }
            if round + 1 == ROUNDS || !prove(file, id, &mut trace) {
                return Err(damaged());
            }
        }
        let own = FileStamp::of_file(file).ok().and_then(|stamp| stamp.identity());
        let there = self.parent.stat(&self.names.part)?.filter(|stat| stat.kind == FileKind::File && stat.links == 1);
        // What has the name is what was written, or it is somebody else's.
        if there.is_none_or(|stat| stat.identity != own) {
            return Err(damaged());
        }
        let replace = if plan.replace.contains(&plan.target) { Replace::File } else { Replace::Never };
        plan.halt.check()?;
        self.rename_part(own, &plan.target, replace)
    }

    /// Gives the part the final name, and sees that what has it then is what we hold: else it gets its old name back.
    fn rename_part(&self, own: Option<(u64, u64)>, target: &SafePath, replace: Replace) -> Result<(), PartialError> {
        let renamed = self.parent.rename(&self.names.part, &self.parent, target, replace);
        renamed.map_err(appeared)?;
        if self.parent.stat(target)?.is_none_or(|stat| stat.identity != own) {
            // What cannot be moved back stays where it is, and is told of all the same.
            let _ = self.parent.rename(target, &self.parent, &self.names.part, Replace::Never);
            return Err(PartialError::Damaged { path: self.path() });
        }
        Ok(self.parent.sync()?)
    }

    fn publish_tree(&self, tree: &Tree, collection: &Collection, plan: &PublishPlan) -> Result<(), PartialError> {
        let wanted: Vec<_> = self.wanted_entries(collection).collect();
        let there = self.parent.stat(&self.names.part)?;
        if there.is_none_or(|stat| stat.identity != tree.root.identity()) {
            return Err(PartialError::Damaged { path: self.path() });
        }
        match self.parent.stat(&plan.target)?.map(|s| s.kind) {
            None if !self.spec.present.is_empty() => {
                Err(PartialError::Vanished { path: self.parent.shown(&plan.target) })
            }
            None => {
                if !tree.is_new() {
                    prune(&tree.root, &wanted)?;
                }
                Finish::of(tree, collection).run(&wanted, plan)?;
                plan.halt.check()?;
                self.rename_part(tree.root.identity(), &plan.target, Replace::Never)
            }
            Some(FileKind::Directory) => self.publish_into(tree, collection, &wanted, plan),
            Some(_) => Err(PartialError::Appeared { path: self.parent.shown(&plan.target) }),
        }
    }

    fn publish_into(
        &self,
        tree: &Tree,
        collection: &Collection,
        wanted: &[WantedEntry<'_>],
        plan: &PublishPlan,
    ) -> Result<(), PartialError> {
        let target = self.parent.dir(&plan.target)?;
        let mut places = LastDir::of(&target);
        for WantedEntry { path, entry, .. } in wanted {
            let taken = places.stat(path)?.is_some() && matches!(entry, Entry::File { .. });
            if taken && !plan.replace.contains(*path) {
                return Err(PartialError::Appeared { path: target.shown(path) });
            }
        }
        Finish::of(tree, collection).run(wanted, plan)?;
        plan.halt.check()?;
        let mut built = LastDir::of(&tree.root);
        for WantedEntry { path, entry, .. } in wanted {
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

    fn wanted_entries<'c>(&self, collection: &'c Collection) -> impl Iterator<Item = WantedEntry<'c>> {
        let entries =
            collection.entries().iter().enumerate().map(|(index, (path, entry))| WantedEntry { index, path, entry });
        entries.filter(|w| !self.spec.present.contains(w.path) && !self.spec.unwanted.contains(w.path))
    }
}

/// An entry that is to be published.
pub(super) struct WantedEntry<'c> {
    pub(super) index: usize,
    pub(super) path: &'c SafePath,
    pub(super) entry: &'c Entry,
}

fn appeared(error: DestError) -> PartialError {
    match error {
        DestError::Exists { path } => PartialError::Appeared { path },
        other => other.into(),
    }
}

/// Removes from the tree what an earlier run wanted and this one does not: it may be half-written.
fn prune(root: &SafeDir, wanted: &[WantedEntry<'_>]) -> Result<(), PartialError> {
    let mut kept = HashSet::new();
    for WantedEntry { path, .. } in wanted {
        kept.insert(path.as_str());
        // Once a directory is known, so are all above it.
        path.above().find(|dir| !kept.insert(dir));
    }
    prune_below(root, None, &kept)
}

/// Of long paths there may be very many: those that are kept are borrowed.
fn prune_below(root: &SafeDir, dir: Option<&SafePath>, kept: &HashSet<&str>) -> Result<(), PartialError> {
    for (name, kind) in root.entries(dir)? {
        let path = root.child(dir, &name)?;
        match kind {
            _ if !kept.contains(path.as_str()) => root.remove_tree(&path)?,
            FileKind::Directory => prune_below(root, Some(&path), kept)?,
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn sync(tree: &Tree, wanted: &[WantedEntry<'_>]) -> Result<(), PartialError> {
    if tree.root.sync_file_system()? {
        return Ok(());
    }
    let mut files = wanted.iter().filter(|w| *w.entry != Entry::Directory);
    files.try_for_each(|w| tree.sync_file(w.path))?;
    sync_directories(&tree.root, wanted)
}

fn sync_directories(root: &SafeDir, wanted: &[WantedEntry<'_>]) -> Result<(), PartialError> {
    let mut done = HashSet::new();
    for WantedEntry { path, .. } in wanted {
        let dirs = path.above().zip(successors(path.parent(), SafePath::parent));
        for (_, dir) in dirs.take_while(|(above, _)| done.insert(*above)) {
            root.dir(&dir)?.sync()?;
        }
    }
    Ok(root.sync()?)
}

/// Hashes a file that others have touched; whether all of it is right. What they do meanwhile is seen in the next round.
fn prove(file: &File, id: ContentId, trace: &mut Trace) -> bool {
    match hash_held(file, &|_| ()) {
        Ok(Some(hashed)) if hashed.id == id => {
            trace.proven(&hashed.stamp);
            true
        }
        // It changed while it was hashed: the next round tells.
        Ok(None) => true,
        Ok(Some(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
