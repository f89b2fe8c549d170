//! Where the bytes of a transfer lie: one file, or a tree with one place for each distinct file.
//! Invariant: at most [`OPEN`] large files are held open; small ones never are.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::{Partial, PartialError, Trace, lock};
use crate::io::positional::read_exact_at;
use crate::io::receive::dest::{Access, DestError, SafeDir};
use crate::io::receive::sparse;
use crate::model::collection::Entry;
use crate::model::units::UnitPlace;
use crate::model::{Collection, SafePath, UnitMap};

/// Large files of a tree held open at once.
const OPEN: usize = 64;

#[derive(Debug)]
pub(in crate::io) enum Data {
    File {
        file: File,
        /// One writes at a time: the kernel lets no two, and the second would spin at its lock.
        turn: Mutex<Trace>,
    },
    Tree(Tree),
}

#[derive(Debug)]
pub(in crate::io) struct Tree {
    pub(in crate::io) root: SafeDir,
    /// For each entry of the collection its file in the unit map; `None` for a directory.
    files: Vec<Option<usize>>,
    /// For each file of the unit map the entry whose path holds its bytes until the end; `None` when no path of it
    /// is wanted.
    homes: Vec<Option<usize>>,
    /// What is known of each file of the unit map; whoever writes one holds it.
    traces: Vec<Mutex<Trace>>,
    /// Most recently used last.
    open: Mutex<Vec<(usize, Arc<File>)>>,
    /// Whether nothing was there before this run.
    new: bool,
}

impl Partial {
    /// Writes a proven unit, in one positional write. It does not count before it is noted.
    ///
    /// # Errors
    /// When the disk refuses; what was written before stays.
    pub fn write(&self, place: UnitPlace, bytes: &[u8]) -> Result<(), PartialError> {
        if place.len != bytes.len() as u64 {
            return Err(PartialError::Unit { unit: place.unit });
        }
        match &self.data {
            Data::File { file, turn } => {
                let size = self.spec.wanted.content.size;
                let written = lock(turn).over(file, |file| sparse::write_at(file, bytes, place.offset, size));
                written.map_err(|e| DestError::io("write", &self.path(), e))?;
            }
            Data::Tree(tree) => tree.write(self, place, bytes)?,
        }
        lock(&self.dirty).insert(place.file);
        Ok(())
    }

    /// Reads any part of one of the map's files back: where nothing was written there may be zeros.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read_at(&self, file: usize, buf: &mut [u8], offset: u64) -> Result<(), PartialError> {
        match &self.data {
            Data::File { file, turn } => {
                let read = begin(turn, file).and_then(|()| read_exact_at(file, buf, offset));
                read.map_err(|e| DestError::io("read", &self.path(), e).into())
            }
            Data::Tree(tree) => {
                let path = tree.path_of(self, file)?;
                let open = tree.file(file, path, Access::Read)?;
                let begun = tree.traces.get(file).map_or(Ok(()), |trace| begin(trace, &open));
                begun
                    .and_then(|()| read_exact_at(&open, buf, offset))
                    .map_err(|e| tree.root.explain("read", path, e).into())
            }
        }
    }
}

impl Data {
    /// Sets room aside for the missing ranges of a single file of that size.
    pub(super) fn set_aside(&self, of: &Partial, missing: &[Range<u64>], size: u64) -> Result<(), PartialError> {
        let Self::File { file, turn } = self else { return Ok(()) };
        let set_aside = lock(turn).over(file, |file| sparse::set_aside(file, missing, size));
        set_aside.map_err(|e| DestError::io("set room aside for", &of.path(), e).into())
    }

    /// Makes a single file one with the blocks of another one, where the file system can; says whether it could.
    pub(in crate::io) fn reflink(&self, from: &File) -> bool {
        let Self::File { file, turn } = self else { return false };
        lock(turn).over(file, |file| reflink_copy::reflink_file(from, file)).is_ok()
    }

    pub(super) fn sync(&self, of: &Partial, dirty: &HashSet<usize>) -> Result<(), PartialError> {
        match self {
            Self::File { file, .. } => file.sync_data().map_err(|e| DestError::io("sync", &of.path(), e).into()),
            Self::Tree(tree) => {
                if tree.root.sync_file_system()? {
                    return Ok(());
                }
                dirty.iter().try_for_each(|&file| tree.sync_file(tree.path_of(of, file)?))
            }
        }
    }
}

impl Tree {
    /// The tree's places: the first wanted path of each distinct file.
    pub(super) fn new(
        root: SafeDir,
        new: bool,
        collection: &Collection,
        map: &UnitMap,
        wanted: impl Fn(&SafePath) -> bool,
    ) -> Self {
        let known = map.by_content();
        let file_of = |entry: &Entry| match entry {
            Entry::Directory => None,
            Entry::File { size, id, .. } => known.get(&(*id, *size)).copied(),
        };
        let files: Vec<_> = collection.entries().iter().map(|(_, entry)| file_of(entry)).collect();
        let mut homes = vec![None; map.files().len()];
        for (index, (path, _)) in collection.entries().iter().enumerate() {
            if let Some(file) = files[index].filter(|file| homes[*file].is_none() && wanted(path)) {
                homes[file] = Some(index);
            }
        }
        let traces = homes.iter().map(|_| Mutex::default()).collect();
        Self { root, files, homes, traces, open: Mutex::new(Vec::new()), new }
    }

    /// Whether the tree has nothing but what this run has put there.
    pub(in crate::io) const fn is_new(&self) -> bool {
        self.new
    }

    /// The entry whose path holds the bytes of a file of the unit map; `None` when no path of it is wanted.
    pub(super) fn home(&self, file: usize) -> Option<usize> {
        *self.homes.get(file)?
    }

    /// The same for the file of an entry.
    pub(in crate::io) fn home_of_entry(&self, entry: usize) -> Option<usize> {
        self.home((*self.files.get(entry)?)?)
    }

    /// What is known of the file whose bytes an entry's path holds; none of a copy.
    pub(in crate::io) fn trace_of_entry(&self, entry: usize) -> Option<&Mutex<Trace>> {
        let file = (*self.files.get(entry)?)?;
        if self.home(file) == Some(entry) { self.traces.get(file) } else { None }
    }

    pub(in crate::io) fn sync_file(&self, path: &SafePath) -> Result<(), PartialError> {
        let synced = self.root.file(path, Access::OpenOrCreate)?.sync_data();
        synced.map_err(|e| self.root.explain("sync", path, e).into())
    }

    fn path_of<'p>(&self, of: &'p Partial, file: usize) -> Result<&'p SafePath, PartialError> {
        let unknown =
            || PartialError::Unit { unit: of.spec.wanted.map.files().get(file).map_or(u32::MAX, |f| f.first) };
        let home = self.home(file).ok_or_else(unknown)?;
        let collection = of.spec.wanted.tree.as_ref().ok_or_else(unknown)?;
        collection.entries().get(home).map(|(path, _)| path).ok_or_else(unknown)
    }

    fn write(&self, of: &Partial, place: UnitPlace, bytes: &[u8]) -> Result<(), PartialError> {
        let path = self.path_of(of, place.file)?;
        let (Some(of_map), Some(trace)) = (of.spec.wanted.map.files().get(place.file), self.traces.get(place.file))
        else {
            return Ok(());
        };
        let layout = of_map.layout;
        let mut trace = lock(trace);
        let file = self.file(place.file, path, Access::OpenOrCreate)?;
        let written = trace.over(&file, |file| sparse::write_at(file, bytes, place.offset, layout.size()));
        drop(trace);
        written.map_err(|e| self.root.explain("write", path, e))?;
        if layout.needs_list() {
            self.keep_open(place.file, file);
        }
        Ok(())
    }

    /// An open file, as it was first opened in this run; when no descriptor is left, those held are given up first.
    fn file(&self, index: usize, path: &SafePath, access: Access) -> Result<Arc<File>, PartialError> {
        let held = lock(&self.open).iter().find(|(i, _)| *i == index).map(|(_, file)| Arc::clone(file));
        if let Some(file) = held {
            return Ok(file);
        }
        let mut opened = self.root.file(path, access);
        if opened.as_ref().is_err_and(DestError::is_out_of_descriptors) {
            lock(&self.open).clear();
            opened = self.root.file(path, access);
        }
        Ok(Arc::new(opened?))
    }

    fn keep_open(&self, index: usize, file: Arc<File>) {
        let mut open = lock(&self.open);
        open.retain(|(i, _)| *i != index);
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push((index, file));
    }
}

/// Looks at a file before it is read back. Whoever writes it just now has looked.
fn begin(trace: &Mutex<Trace>, file: &File) -> io::Result<()> {
    trace.try_lock().map_or(Ok(()), |mut trace| trace.begin(file))
}
