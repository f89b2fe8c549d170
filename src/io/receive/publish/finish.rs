//! Making a built tree what the collection says: directories, empty files, copies, bits, times; then durable, then looked
//! at a last time. Invariant: after `run` each file has the bytes that were proven, and one name.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{Halt, PublishPlan, ROUNDS, WantedEntry, lock, prove, sync};
use crate::io::receive::dest::{Access, FileKind, LastDir, SafeDir, Stat, set_executable};
use crate::io::receive::partial::{PartialError, Trace, Tree};
use crate::io::receive::sparse;
use crate::io::share::stamp::FileStamp;
use crate::model::collection::Entry;
use crate::model::{Collection, SafePath};

/// Files looked at by one thread in a row.
const TOGETHER: usize = 1024;

/// A tree that is being finished.
pub(super) struct Finish<'t> {
    tree: &'t Tree,
    collection: &'t Collection,
    /// What is known of copies and empty files, by entry; the tree knows the others.
    made: HashMap<usize, Mutex<Trace>>,
}

impl<'t> Finish<'t> {
    pub(super) fn of(tree: &'t Tree, collection: &'t Collection) -> Self {
        Self { tree, collection, made: HashMap::new() }
    }

    /// All of it. What others touch meanwhile is hashed again.
    pub(super) fn run(mut self, wanted: &[WantedEntry<'_>], plan: &PublishPlan) -> Result<(), PartialError> {
        self.make_all(wanted, &plan.halt)?;
        self.settle(wanted, plan)
    }

    /// Directories, empty files, copies.
    pub(super) fn make_all(&mut self, wanted: &[WantedEntry<'_>], halt: &Halt) -> Result<(), PartialError> {
        wanted.iter().try_for_each(|wanted| halt.check().and_then(|()| self.make(wanted)))
    }

    /// Bits and times; makes it durable, and looks at it.
    pub(super) fn settle(&self, wanted: &[WantedEntry<'_>], plan: &PublishPlan) -> Result<(), PartialError> {
        // Only now: a copy must not take over the bit of its original.
        for wanted in wanted.iter().filter(|w| matches!(w.entry, Entry::File { executable: true, .. })) {
            self.amend(wanted, |file| set_executable(file, true))?;
        }
        self.set_times(wanted, plan)?;
        for _ in 0..ROUNDS {
            plan.halt.check()?;
            sync(self.tree, wanted)?;
            let again = AtomicBool::new(false);
            wanted.par_chunks(TOGETHER).try_for_each(|wanted| self.check(wanted, &again))?;
            if !again.into_inner() {
                return Ok(());
            }
        }
        Err(PartialError::Damaged { path: self.tree.root.path().into() })
    }

    fn root(&self) -> &'t SafeDir {
        &self.tree.root
    }

    fn trace(&self, entry: usize) -> Option<&Mutex<Trace>> {
        self.made.get(&entry).or_else(|| self.tree.trace_of_entry(entry))
    }

    fn make(&mut self, WantedEntry { index, path, entry }: &WantedEntry<'_>) -> Result<(), PartialError> {
        let Entry::File { size, .. } = entry else { return Ok(self.root().create_dirs(path)?) };
        let from = match self.tree.home_of_entry(*index) {
            _ if *size == 0 => None,
            Some(home) if home != *index => Some(home),
            _ => return Ok(()),
        };
        let file = self.root().file(path, Access::Anew)?;
        let mut trace = Trace::default();
        let copied = trace.over(&file, |file| from.map_or(Ok(true), |home| self.copy(home, file, *size)));
        if !copied.map_err(|e| self.root().explain("write", path, e))? {
            trace = Trace::Touched;
        }
        self.made.insert(*index, Mutex::new(trace));
        Ok(())
    }

    /// A copy that shares the disk's blocks where the file system can, and has the original's holes where it cannot. False when
    /// others have touched the original: then this one has to be hashed as well.
    fn copy(&self, home: usize, to: &File, size: u64) -> io::Result<bool> {
        let source = self.root().file(&self.collection.entries()[home].0, Access::Read).map_err(io::Error::other)?;
        if reflink_copy::reflink_file(&source, to).is_err() {
            sparse::copy(&source, to, size)?;
        }
        let stamp = FileStamp::of_file(&source)?;
        let is_clean = |trace: &Mutex<Trace>| lock(trace).is_clean(FileStamp::identifies().then_some(stamp));
        Ok(self.trace(home).is_some_and(is_clean))
    }

    fn set_times(&self, wanted: &[WantedEntry<'_>], plan: &PublishPlan) -> Result<(), PartialError> {
        if plan.times.is_empty() {
            return Ok(());
        }
        let asked: HashMap<&SafePath, &WantedEntry<'_>> = wanted.iter().map(|w| (w.path, w)).collect();
        for (path, time) in &plan.times {
            match asked.get(path) {
                Some(wanted) if *wanted.entry != Entry::Directory => {
                    self.amend(wanted, |file| file.set_modified(*time))?
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Changes a file's bit or time, through the file.
    fn amend(
        &self,
        WantedEntry { index, path, .. }: &WantedEntry<'_>,
        change: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), PartialError> {
        // Windows asks for a file that may be written; elsewhere its owner may always.
        let file = self.root().file(path, if cfg!(windows) { Access::OpenOrCreate } else { Access::Read })?;
        let changed = match self.trace(*index) {
            Some(trace) => lock(trace).over(&file, change),
            None => change(&file),
        };
        changed.map_err(|e| self.root().explain("change the state of", path, e).into())
    }

    /// Sees that each file is as it is to be; sets `again` where something had to be done about that.
    fn check(&self, wanted: &[WantedEntry<'_>], again: &AtomicBool) -> Result<(), PartialError> {
        let mut places = LastDir::of(self.root());
        for wanted in wanted {
            let WantedEntry { path, entry: Entry::File { size, executable, .. }, .. } = wanted else { continue };
            let sound = |stat: &Stat| stat.kind == FileKind::File && stat.len == *size && stat.links == 1;
            let stat = places.stat(path)?.filter(sound).ok_or_else(|| self.damaged(path))?;
            if cfg!(unix) && stat.executable != *executable {
                self.amend(wanted, |file| set_executable(file, *executable))?;
                again.store(true, Ordering::Relaxed);
            } else if self.trace(wanted.index).is_none_or(|trace| !lock(trace).is_clean(stat.stamp)) {
                self.prove_again(wanted)?;
                again.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn prove_again(&self, WantedEntry { index, path, entry }: &WantedEntry<'_>) -> Result<(), PartialError> {
        let file = self.root().file(path, Access::Read)?;
        let (Some(trace), Some((id, _))) = (self.trace(*index), entry.content()) else {
            return Err(self.damaged(path));
        };
        if prove(&file, id, &mut lock(trace)) { Ok(()) } else { Err(self.damaged(path)) }
    }

    fn damaged(&self, path: &SafePath) -> PartialError {
        PartialError::Damaged { path: self.root().shown(path) }
    }
}
