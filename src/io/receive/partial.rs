//! A transfer's bytes on the disk before they have their final name, and the journal of what is there.
//! Invariant: a unit is noted only after it was written; nothing here ever touches a final name but `publish`.
//! Not responsible for proof: the caller proves before it writes, and hashes again what `open` says is claimed.

mod claims;
mod data;
mod earlier;
mod error;
mod givers;
mod inherit;
mod lock;
mod open;
mod trace;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use earlier::Earlier;
pub use error::{PartialError, holder, is_alive};
pub use givers::Givers;
pub use inherit::Superseded;

use crate::io::receive::dest::{DestError, SafeDir};
use crate::io::receive::journal::{Log, Record};
use crate::model::units::bitfield::ranges_of;
use crate::model::{Bitfield, ChunkList, ContentId, LocalPath, SafePath, Wanted};

pub(super) use data::{Data, Tree};
use inherit::Kin;
pub(super) use trace::Trace;

/// What is being transferred.
#[derive(Debug, Clone)]
pub struct PartialSpec {
    /// The content.
    pub wanted: Arc<Wanted>,
    /// Paths of the collection that the target has already, with the right content.
    pub present: HashSet<SafePath>,
    /// Paths of the collection that nobody asked for.
    pub unwanted: HashSet<SafePath>,
    /// The name that it is to have beside the partial file, when it is to have one.
    pub target: Option<SafePath>,
    /// The patterns by which paths were asked for, for those who go on with it.
    pub only: Vec<String>,
    /// Nothing of other unfinished transfers is taken over: for whom this one is, those are not.
    pub alone: bool,
}

impl PartialSpec {
    /// All of it, of which nothing is there yet, under no name.
    #[cfg(feature = "lab")]
    pub fn of(wanted: Arc<Wanted>) -> Self {
        Self { wanted, present: HashSet::new(), unwanted: HashSet::new(), target: None, only: Vec::new(), alone: false }
    }
}

/// What an earlier run left.
#[derive(Debug)]
pub struct Resumed {
    /// Wanted units that the journal claims; hash them again before they are served or published.
    pub units: Bitfield,
    /// Chunk lists by index of file; they belong to their ids.
    pub lists: Vec<(usize, ChunkList)>,
    /// Unfinished transfers of other content to the same name: removed when this one is published, if nothing of it is
    /// left out.
    pub superseded: Vec<Superseded>,
}

/// The names of a transfer in the directory of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The file or directory that holds the bytes.
    pub part: SafePath,
    /// The journal.
    pub journal: SafePath,
}

/// A partial file or tree, locked for this process. Every method blocks and may be called from any thread.
#[derive(Debug)]
pub struct Partial {
    pub(super) parent: SafeDir,
    pub(super) names: Names,
    pub(super) spec: PartialSpec,
    pub(super) data: Data,
    state: Mutex<State>,
    dirty: Mutex<HashSet<usize>>,
    named: AtomicBool,
    /// Files of other unfinished transfers that have something of this one's, by index of file.
    kin: HashMap<usize, Kin>,
    /// Transfers that have no use once this one is published.
    superseded: Vec<Names>,
}

#[derive(Debug)]
struct State {
    log: Log,
    noted: Bitfield,
    checkpoint: u64,
}

impl Names {
    /// How all of them begin.
    const BEGINNING: &str = crate::model::safe_path::RESERVED;

    /// The names for a content.
    pub fn of(id: ContentId) -> Self {
        Self::with(&id.to_string()[..16])
    }

    /// The names for a content, given that of its journal.
    fn of_journal(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(Self::BEGINNING)?.strip_suffix(".journal")?;
        Self::is_reserved(name).then(|| Self::with(digits))
    }

    fn with(digits: &str) -> Self {
        let named = |kind| SafePath::parse(&format!("{}{digits}.{kind}", Self::BEGINNING)).expect("digits are safe");
        Self { part: named("part"), journal: named("journal") }
    }

    /// Whether a name in a directory is one that qshare gives to what is not finished: never shared, never a target.
    pub fn is_reserved(name: &str) -> bool {
        let Some(rest) = name.strip_prefix(Self::BEGINNING) else { return false };
        rest.starts_with("probe-")
            || rest.rsplit_once('.').is_some_and(|(id, kind)| {
                id.len() == 16
                    && id.bytes().all(|b| b.is_ascii_hexdigit())
                    && matches!(kind, "part" | "journal" | "givers")
            })
    }
}

impl Partial {
    /// Units that earlier runs claim, of this content or of files that another one beside it has as well; nothing is
    /// locked or written.
    pub fn peek(parent: &SafeDir, spec: &PartialSpec) -> Bitfield {
        let mut units = Bitfield::empty(spec.wanted.map.units());
        let all = Earlier::all_in(parent).unwrap_or_default();
        all.iter().for_each(|earlier| earlier.add_to(&spec.wanted.map, &mut units));
        units
    }

    /// How long the journal of a content is, in bytes: it grows as long as whoever has it gets on.
    pub fn journal_len(parent: &SafeDir, id: ContentId) -> u64 {
        parent.stat(&Names::of(id).journal).ok().flatten().map_or(0, |stat| stat.len)
    }

    /// Whether an earlier run has given a content this name in the directory, and was ended before its journal had gone.
    pub fn has_published(parent: &SafeDir, id: ContentId, target: &SafePath) -> bool {
        let names = Names::of(id);
        let gone = |name| parent.stat(name).is_ok_and(|stat| stat.is_none());
        gone(&names.part) && earlier::target_of(parent, &names).as_ref() == Some(target)
    }

    /// Removes it, for nothing of it is needed. What cannot be removed is left for the next run.
    pub fn abandon(&self) {
        let _ = self.parent.remove_tree(&self.names.part);
        let _ = self.parent.remove_file(&self.names.journal);
    }

    /// What is transferred.
    pub const fn wanted(&self) -> &Arc<Wanted> {
        &self.spec.wanted
    }

    /// Notes units that were written, without syncing.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&self, mut units: Vec<u32>) -> Result<(), PartialError> {
        if units.is_empty() {
            return Ok(());
        }
        units.sort_unstable();
        units.dedup();
        let ranges = ranges_of(units);
        let mut state = self.state();
        self.append(&mut state, &Record::Have(ranges.clone()))?;
        ranges.into_iter().for_each(|range| state.noted.set_range(range));
        Ok(())
    }

    /// Notes a proven chunk list. A file's room is set aside now: before, its size was only a claim.
    ///
    /// # Errors
    /// When the journal cannot be written, or there is no room.
    pub fn save_list(&self, file: usize, list: &ChunkList) -> Result<(), PartialError> {
        self.set_aside()?;
        self.note_list(file, list)
    }

    fn note_list(&self, file: usize, list: &ChunkList) -> Result<(), PartialError> {
        let Ok(index) = u32::try_from(file) else { return Err(PartialError::Unit { unit: u32::MAX }) };
        self.append(&mut self.state(), &Record::List { file: index, values: list.as_bytes().to_vec() })
    }

    /// Sets room aside for what is missing of a single file. What is noted stays as it is: it may have holes.
    fn set_aside(&self) -> Result<(), PartialError> {
        let mut missing = Bitfield::full(self.spec.wanted.map.units());
        for unit in self.state().noted.iter() {
            missing.clear(unit);
        }
        let start = |unit| self.spec.wanted.map.place(unit).map_or(self.spec.wanted.content.size, |place| place.offset);
        let ranges: Vec<_> = missing.ranges().into_iter().map(|units| start(units.start)..start(units.end)).collect();
        self.data.set_aside(self, &ranges, self.spec.wanted.content.size)
    }

    /// Makes all that was noted until now survive a loss of power. Others may write and note meanwhile.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn checkpoint(&self) -> Result<(), PartialError> {
        let upto = {
            let state = self.state();
            if state.checkpoint == state.log.end() {
                return Ok(());
            }
            state.log.end()
        };
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        if let Err(error) = self.data.sync(self, &dirty) {
            lock(&self.dirty).extend(dirty);
            return Err(error);
        }
        let handle = {
            let mut state = self.state();
            self.append(&mut state, &Record::Checkpoint(upto))?;
            state.checkpoint = state.log.end();
            state.log.handle()
        };
        let synced = handle.and_then(|journal| journal.sync_data());
        synced.map_err(|e| DestError::io("sync", &self.parent.shown(&self.names.journal), e))?;
        if !self.named.load(Ordering::Relaxed) {
            self.parent.sync()?;
            self.named.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Bytes of all units that are noted, those of earlier runs included.
    pub fn bytes_noted(&self) -> u64 {
        let noted = self.state().noted.clone();
        noted.iter().map(|unit| self.spec.wanted.map.len(unit)).sum()
    }

    /// Where the bytes are, for messages.
    pub fn path(&self) -> LocalPath {
        self.parent.shown(&self.names.part)
    }

    fn append(&self, state: &mut State, record: &Record) -> Result<(), PartialError> {
        let appended = state.log.append(record);
        Ok(appended.map_err(|e| DestError::io("write", &self.parent.shown(&self.names.journal), e))?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A panic elsewhere leaves these values whole: each is changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod inherit_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
pub(super) mod tests;
