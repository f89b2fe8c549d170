//! Opening a partial file: the lock, what the journal claims, the room for the rest.
//! Invariant: a claim is believed only for units of wanted files whose chunk list, where one is needed, is there.

mod data;

use std::collections::HashMap;
use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use self::data::open_data;
use super::claims::{believable, claimed, listed, manifest_of, reader, units_of_file};
use super::inherit::{self, Legacy};
use super::lock::lock_journal;
use super::{Data, Earlier, Names, Partial, PartialError, PartialSpec, Resumed, State};
use crate::io::receive::dest::{DestError, SafeDir};
use crate::io::receive::journal::{BootId, Claims, HeaderError, Log, Record};
use crate::io::receive::space;
use crate::model::collection::Entry;
use crate::model::{Bitfield, ChunkList, Content, ContentId, Kind, Wanted};

/// What opening comes to.
type Result<T, E = PartialError> = std::result::Result<T, E>;

impl Partial {
    /// Takes the lock, reads what an earlier run left, and sees that there is room for the rest.
    ///
    /// # Errors
    /// When another process has it, there is no room, or the destination refuses.
    pub fn open(parent: &SafeDir, spec: PartialSpec) -> Result<(Self, Resumed)> {
        let names = Names::of(spec.wanted.content.id);
        let journal = lock_journal(parent, &names)?;
        let new = is_new(parent, &names, &journal)?;
        let held = journal.try_clone();
        let opened = Self::open_locked(parent, names.clone(), spec, journal);
        if opened.is_err() && new {
            // Nothing was there before and nothing was proven: nothing is left behind. The error is the one to tell.
            let _ = parent.remove_tree(&names.part);
            let _ = parent.remove_file(&names.journal);
        }
        drop(held);
        opened
    }

    fn open_locked(parent: &SafeDir, names: Names, spec: PartialSpec, journal: File) -> Result<(Self, Resumed)> {
        let (log, claims) = begin_or_resume(parent, &names, &spec, journal)?;
        let data = open_data(parent, &names, &spec)?;
        let mut lists = listed(&spec.wanted.map, &claims);
        let noted = Bitfield::empty(spec.wanted.map.units());
        let mut partial = Self {
            parent: parent.clone(),
            names,
            spec,
            data,
            state: Mutex::new(State { log, noted, checkpoint: 0 }),
            dirty: Mutex::default(),
            named: AtomicBool::new(false),
            kin: HashMap::new(),
            superseded: Vec::new(),
        };
        let mut units = partial.believed(&claims, &lists);
        let own = partial.own_kin(&claims.have, &lists);
        let legacy = if partial.spec.alone { Legacy::default() } else { Legacy::find(&partial, &units) };
        partial.state().noted.clone_from(&units);
        for unit in legacy.moving() {
            units.set(unit);
        }
        space::check(parent, partial.missing_bytes(&units)?)?;
        partial.begin_session(&claims)?;
        for (file, list) in legacy.lists() {
            if lists.iter().all(|(known, _)| *known != file) {
                partial.note_list(file, &list)?;
                lists.push((file, list));
            }
        }
        if !lists.is_empty() {
            partial.set_aside()?;
        }
        let superseded = legacy.superseded();
        // Last: what was moved here must not be removed because something else failed.
        legacy.take(&mut partial)?;
        partial.kin.extend(own);
        Ok((partial, Resumed { units, lists, superseded }))
    }

    /// The manifest that an earlier run noted, if it is that of the collection.
    pub fn resume_manifest(parent: &SafeDir, id: ContentId) -> Option<Vec<u8>> {
        let (header, mut reader) = reader(parent, &Names::of(id))?;
        if header.id == id && header.kind == Kind::Collection { manifest_of(&mut reader, id) } else { None }
    }

    /// Removes what an earlier run left of a content that is no longer needed; nothing happens when another
    /// process uses it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(parent: &SafeDir, id: ContentId) -> Result<()> {
        let names = Names::of(id);
        if parent.stat(&names.journal)?.is_none() && parent.stat(&names.part)?.is_none() {
            return Ok(());
        }
        match lock_journal(parent, &names) {
            Ok(_held) => {
                // A run that ended between publishing and clearing up has left the others too.
                if let Some(target) = Earlier::read(parent, &names).and_then(|earlier| earlier.target().cloned()) {
                    inherit::remove_all_of(parent, &names, &target)?;
                }
                inherit::remove(parent, &names)
            }
            Err(PartialError::InUse { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The units that have to be on the disk before [`Partial::publish`]: those of all files of which some path is wanted.
    pub fn wanted_units(&self) -> Bitfield {
        let Data::Tree(tree) = &self.data else { return Bitfield::full(self.spec.wanted.map.units()) };
        let mut wanted = Bitfield::empty(self.spec.wanted.map.units());
        for (index, file) in self.spec.wanted.map.files().iter().enumerate() {
            if tree.home(index).is_some() {
                wanted.set_range(file.units());
            }
        }
        wanted
    }

    fn believed(&self, claims: &Claims, lists: &[(usize, ChunkList)]) -> Bitfield {
        let wanted = self.wanted_units();
        let mut believed = Bitfield::empty(self.spec.wanted.map.units());
        for unit in believable(&self.spec.wanted.map, claims, lists).iter().filter(|&unit| wanted.has(unit)) {
            believed.set(unit);
        }
        believed
    }

    /// Bytes that the disk has to take yet: units not there, and copies.
    fn missing_bytes(&self, there: &Bitfield) -> Result<u64> {
        let missing =
            self.wanted_units().iter().filter(|&unit| !there.has(unit)).map(|u| self.spec.wanted.map.len(u)).sum();
        let Data::Tree(tree) = &self.data else {
            // Room that was set aside counts; holes in what is there take none.
            let allocated = self.parent.stat(&self.names.part)?.map_or(0, |s| s.allocated);
            return Ok(self.spec.wanted.content.size.saturating_sub(allocated).min(missing));
        };
        let entries = self.spec.wanted.tree.iter().flat_map(|c| c.entries().iter().enumerate());
        let copies = entries.filter_map(|(index, (path, entry))| match entry {
            Entry::File { size, .. } if !self.spec.present.contains(path) && !self.spec.unwanted.contains(path) => {
                (tree.home_of_entry(index) != Some(index)).then_some(*size)
            }
            _ => None,
        });
        Ok(copies.fold(missing, u64::saturating_add))
    }

    fn begin_session(&self, claims: &Claims) -> Result<()> {
        let mut state = self.state();
        let session = Record::Session { boot: BootId::now().0, pid: std::process::id() };
        self.append(&mut state, &session)?;
        let known = claims.manifest.as_ref().is_some_and(|bytes| ContentId::of(bytes) == self.spec.wanted.content.id);
        if let Some(manifest) = self.spec.wanted.manifest.as_ref().filter(|_| !known) {
            self.append(&mut state, &Record::Manifest(manifest.to_vec()))?;
        }
        if claims.only != self.spec.only {
            self.append(&mut state, &Record::Only(self.spec.only.clone()))?;
        }
        match &self.spec.target {
            Some(target) if claims.target.as_deref() != Some(target.as_str()) => {
                self.append(&mut state, &Record::Target(target.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether no earlier run has left anything.
fn is_new(parent: &SafeDir, names: &Names, journal: &File) -> Result<bool> {
    let empty = journal.metadata().is_ok_and(|meta| meta.len() == 0);
    Ok(empty && parent.stat(&names.part)?.is_none())
}

/// Goes on with the journal if its data is there; else both begin anew. One that was written for another size is gone on
/// with: which of the sizes is true is not known yet, and what was proven for either is content.
fn begin_or_resume(parent: &SafeDir, names: &Names, spec: &PartialSpec, journal: File) -> Result<(Log, Claims)> {
    let path = parent.shown(&names.journal);
    let failed = |e| DestError::io("write", &path, e);
    let Content { id, kind, size } = spec.wanted.content;
    let data_there = parent.stat(&names.part)?.is_some();
    let again = journal.try_clone().map_err(failed)?;
    match Log::resume(journal, |found| units_of(found, &spec.wanted), BootId::now()) {
        Ok((found, claims, mut log)) if (found.id, found.kind) == (id, kind) && data_there => {
            if claims.size.unwrap_or(found.size) != size {
                log.append(&Record::Size(size)).map_err(failed)?;
            }
            return Ok((log, claimed(claims, found.size, &spec.wanted.map)));
        }
        // The bytes of a collection are not those of its list, which is the one file that has this id.
        Ok((_, claims, _)) if kind == Kind::File && is_list(&claims, id) => {
            return Err(PartialError::Kind { path });
        }
        Ok((found, ..)) if found.kind != kind => parent.remove_tree(&names.part)?,
        Ok(_) | Err(HeaderError::Torn) => {}
        Err(HeaderError::Io(e)) => return Err(DestError::io("read", &path, e).into()),
        Err(HeaderError::Version) => return Err(PartialError::Version { path }),
    }
    let log = Log::begin(again, &spec.wanted.content).map_err(failed)?;
    Ok((log, Claims { have: Bitfield::empty(spec.wanted.map.units()), ..Claims::default() }))
}

fn units_of(found: &Content, wanted: &Wanted) -> u32 {
    let Content { kind, size, .. } = wanted.content;
    if (found.kind, found.size) == (kind, size) { wanted.map.units() } else { units_of_file(found.size) }
}

fn is_list(claims: &Claims, id: ContentId) -> bool {
    claims.manifest.as_ref().is_some_and(|bytes| ContentId::of(bytes) == id)
}
