//! Taking over what other unfinished transfers in the same directory have of the same files: what is proven is content.
//! Invariant: a journal claims a file, durably, before the file is moved under it, so that a crash leaves the bytes at one
//! of two places, and the next run looks at both. Whatever is taken is a claim only: it is hashed before it counts.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::claims::regrouped;
use super::earlier::{Earlier, EarlierFile, by_id, names_in, target_of};
use super::lock::hold;
use super::{Data, Givers, Names, Partial, PartialError, PartialSpec, Tree};
use crate::io::positional::read_exact_at;
use crate::io::receive::dest::{Access, DestError, LastDir, Replace, SafeDir};
use crate::model::units::bitfield::ranges_of;
use crate::model::units::{UnitFile, UnitPlace};
use crate::model::{Bitfield, ChunkIndex, ChunkList, ContentId, Layout, SafePath};

/// An unfinished transfer of other content that was to have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Its content.
    pub id: ContentId,
    /// Bytes that it has.
    pub have: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// What the others have for one transfer.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    donors: Vec<Donor>,
    moves: Vec<Move>,
    kin: HashMap<usize, Kin>,
}

/// Another unfinished transfer, locked for as long as this value lives.
#[derive(Debug)]
struct Donor {
    earlier: Earlier,
    /// Whether it was to have the same name: then its files may be moved, and it has no use once that name is taken.
    superseded: bool,
    /// Files that it has and that are not moved.
    left: usize,
    _lock: File,
}

/// A file that is moved from one part directory to the other.
#[derive(Debug)]
struct Move {
    from: SafePath,
    to: SafePath,
    units: Vec<Range<u32>>,
    list: Option<(usize, ChunkList)>,
}

/// A file of another transfer that has chunks of one of this transfer's files.
#[derive(Debug)]
pub(super) struct Kin {
    from: SafePath,
    /// Whether it is the same file; else an earlier state of it, by its name.
    same: bool,
    layout: Layout,
    list: Option<ChunkList>,
    chunks: Vec<Range<u32>>,
}

impl Legacy {
    /// Looks at the others that no process uses. One that cannot be read has nothing to give.
    pub(super) fn find(of: &Partial, claimed: &Bitfield) -> Self {
        let Partial { parent, names: own, spec, .. } = of;
        let mut legacy = Self::default();
        for names in names_in(parent).unwrap_or_default().iter().filter(|names| *names != own) {
            let Some(lock) = hold(parent, names) else { continue };
            let superseded = spec.target.is_some() && target_of(parent, names) == spec.target;
            // What is one unit comes sooner than the list of a large tree is read.
            let worth = superseded || spec.wanted.map.units() > 1;
            let Some(earlier) = worth.then(|| Earlier::read(parent, names)).flatten() else { continue };
            legacy.donors.push(Donor { earlier, superseded, left: 0, _lock: lock });
        }
        legacy.donors.sort_by_key(|donor| !donor.superseded);
        if !legacy.donors.is_empty() {
            legacy.plan(of, claimed);
        }
        legacy
    }

    fn plan(&mut self, of: &Partial, claimed: &Bitfield) {
        let Partial { parent, spec, .. } = of;
        let needs = Needs::new(of, claimed);
        let resized = by_id(&spec.wanted.map);
        let mut moved = HashSet::new();
        for donor in &mut self.donors {
            let asked = |of: &UnitFile| donor.superseded || resized.contains_key(&of.id);
            for found in donor.earlier.files(parent, asked) {
                let UnitFile { id, layout, first } = donor.earlier.map.files()[found.file];
                let same = needs.by_content.get(&(id, layout.size())).copied();
                let home = same.and_then(|file| needs.free_home(file)).filter(|_| donor.superseded);
                let list = donor.earlier.lists.get(&found.file).cloned();
                if let Some((file, to)) = same.zip(home).filter(|(file, _)| moved.insert(*file)) {
                    let to_units = spec.wanted.map.files()[file].first;
                    let shift = |units: &Range<u32>| units.start - first + to_units..units.end - first + to_units;
                    let units = found.have.iter().map(shift).collect();
                    let list = list.map(|list| (file, list));
                    self.moves.push(Move { from: found.from, to: to.clone(), units, list });
                    continue;
                }
                donor.left += 1;
                let old = &donor.earlier.map.files()[found.file];
                let files = resized.get(&id).into_iter().flatten().filter(|file| same != Some(**file));
                for &file in files.filter(|file| needs.is_wanted(**file)) {
                    let kin = Kin::of_another_size(
                        found.from.clone(),
                        old,
                        &donor.earlier.have,
                        &spec.wanted.map.files()[file],
                    );
                    self.kin.entry(file).or_insert(kin);
                }
                let by_name = || needs.by_name(&found).filter(|_| donor.superseded && list.is_some());
                let Some(file) = same.or_else(by_name).filter(|file| needs.is_wanted(*file)) else { continue };
                let chunks = found.have.iter().map(|units| units.start - first..units.end - first).collect();
                let kin = Kin { from: found.from, same: same.is_some(), layout, list, chunks };
                self.kin.entry(file).or_insert(kin);
            }
        }
        self.kin.retain(|file, _| !moved.contains(file));
    }

    /// Units that are to be moved here.
    pub(super) fn moving(&self) -> impl Iterator<Item = u32> {
        self.moves.iter().flat_map(|file| file.units.iter().cloned().flatten())
    }

    /// The chunk lists of files that are the same; they belong to their ids.
    pub(super) fn lists(&self) -> Vec<(usize, ChunkList)> {
        let kin = self.kin.iter().filter(|(_, kin)| kin.same);
        let kin = kin.filter_map(|(file, kin)| Some((*file, kin.list.clone()?)));
        self.moves.iter().filter_map(|file| file.list.clone()).chain(kin).collect()
    }

    /// Those that the transfer supersedes.
    pub(super) fn superseded(&self) -> Vec<Superseded> {
        let told = self.donors.iter().filter(|donor| donor.superseded).map(|donor| &donor.earlier);
        told.map(|earlier| Superseded { id: earlier.id(), have: earlier.bytes(), size: earlier.size() }).collect()
    }

    /// Notes what is moved, moves it, and removes what has nothing left. A file that cannot be moved is fetched.
    pub(super) fn take(self, partial: &mut Partial) -> Result<(), PartialError> {
        if !self.moves.is_empty() {
            self.note(partial)?;
            let Data::Tree(tree) = &partial.data else { return Ok(()) };
            let mut places = LastDir::of(&tree.root);
            for file in &self.moves {
                if let Err(error) = move_file(&partial.parent, file, &mut places) {
                    tracing::debug!(%error, "a file of an earlier transfer cannot be taken over");
                }
            }
        }
        for donor in self.donors.iter().filter(|donor| donor.superseded) {
            if donor.left > 0 {
                // A run that leaves something out may be followed by one that does not, and takes more from it.
                if partial.spec.unwanted.is_empty() {
                    partial.superseded.push(donor.earlier.names.clone());
                }
            } else if let Err(error) = remove(&partial.parent, &donor.earlier.names) {
                tracing::debug!(%error, "an earlier transfer cannot be removed");
            }
        }
        partial.kin = self.kin;
        Ok(())
    }

    /// The journal claims what is not there yet: should this be all that happens, the bytes are found where they are.
    fn note(&self, partial: &Partial) -> Result<(), PartialError> {
        if !partial.parent.sync_file_system()? {
            for file in &self.moves {
                let synced = partial.parent.file(&file.from, Access::Read)?.sync_data();
                synced.map_err(|e| DestError::io("sync", &partial.parent.shown(&file.from), e))?;
            }
        }
        partial.record(self.moving().collect())?;
        partial.checkpoint()
    }
}

impl Kin {
    /// A file of the same id and another size.
    fn of_another_size(from: SafePath, old: &UnitFile, have: &Bitfield, new: &UnitFile) -> Self {
        let chunks = regrouped(old, have, new).into_iter().map(|r| r.start - new.first..r.end - new.first).collect();
        Self { from, same: true, layout: new.layout, list: None, chunks }
    }

    /// The chunks that this file has of one with that layout and list.
    fn chunks<'k>(&'k self, layout: Layout, list: Option<&'k ChunkList>) -> impl Iterator<Item = u32> + 'k {
        let alike = move |chunk: &u32| {
            let chunk = ChunkIndex(*chunk);
            if self.same {
                return true;
            }
            let (Some(old), Some(new)) = (&self.list, list) else { return false };
            // The last one comes with the list, and proves the file's size.
            let place = |layout: Layout| (layout.offset(chunk), layout.len(chunk));
            chunk.0 + 1 < layout.chunks()
                && place(self.layout) == place(layout)
                && old.value(chunk).is_some_and(|value| Some(value) == new.value(chunk))
        };
        self.chunks.iter().cloned().flatten().filter(alike)
    }
}

impl Partial {
    /// Files of which another unfinished transfer has something, by index.
    pub fn kin(&self) -> impl Iterator<Item = usize> {
        self.kin.keys().copied()
    }

    /// The wanted units of a file that are not here and that another unfinished transfer claims, given the file's list,
    /// if it needs one: read them by [`Partial::read_kin`], and prove them.
    pub fn units_of_kin(&self, file: usize, list: Option<&ChunkList>) -> Vec<u32> {
        let (Some(kin), Some(of)) = (self.kin.get(&file), self.spec.wanted.map.files().get(file)) else {
            return Vec::new();
        };
        if of.layout.needs_list() && list.is_none() {
            return Vec::new();
        }
        let state = self.state();
        kin.chunks(of.layout, list).map(|chunk| of.first + chunk).filter(|unit| !state.noted.has(*unit)).collect()
    }

    /// Reads a unit from the other transfer's file; `buf` has its length. The bytes may be any.
    ///
    /// # Errors
    /// When it is not there any more or cannot be read.
    pub fn read_kin(&self, place: UnitPlace, buf: &mut [u8]) -> Result<(), PartialError> {
        let kin = self.kin.get(&place.file).ok_or(PartialError::Unit { unit: place.unit })?;
        let read = read_exact_at(&self.parent.file(&kin.from, Access::Read)?, buf, place.offset);
        read.map_err(|e| self.parent.explain("read", &kin.from, e).into())
    }

    /// What the journal of this transfer claims of files whose list it has not got, since their size was another one when it was
    /// written: believed once the list is there, like what another transfer has.
    pub(super) fn own_kin(&self, have: &Bitfield, lists: &[(usize, ChunkList)]) -> Vec<(usize, Kin)> {
        let listed: HashSet<usize> = lists.iter().map(|(file, _)| *file).collect();
        let files = self.spec.wanted.map.files().iter().enumerate();
        let unlisted = files.filter(|(index, file)| file.layout.needs_list() && !listed.contains(index));
        let kin = unlisted.filter_map(|(index, file)| {
            let chunks = ranges_of(file.units().filter(|unit| have.has(*unit)).map(|unit| unit - file.first));
            let from = match (&self.data, &self.spec.wanted.tree) {
                (Data::Tree(tree), Some(tree_of)) => {
                    self.names.part.join(&tree_of.entries().get(tree.home(index)?)?.0).ok()?
                }
                _ => self.names.part.clone(),
            };
            let kin = Kin { from, same: true, layout: file.layout, list: None, chunks };
            (!kin.chunks.is_empty()).then_some((index, kin))
        });
        kin.collect()
    }

    /// Removes the transfers that this one supersedes, but for those that a process uses.
    pub(in crate::io) fn remove_superseded(&self) {
        for names in &self.superseded {
            if let Some(_lock) = hold(&self.parent, names)
                && let Err(error) = remove(&self.parent, names)
            {
                tracing::debug!(%error, "an earlier transfer cannot be removed");
            }
        }
    }
}

/// Removes all unfinished transfers that were to have this name, but for `own` and those that a process uses.
pub(super) fn remove_all_of(parent: &SafeDir, own: &Names, target: &SafePath) -> Result<(), PartialError> {
    for names in names_in(parent)?.iter().filter(|names| *names != own) {
        let Some(_lock) = hold(parent, names) else { continue };
        if target_of(parent, names).as_ref() == Some(target) {
            remove(parent, names)?;
        }
    }
    Ok(())
}

/// The bytes first: without its journal nobody would know what they are.
pub(super) fn remove(parent: &SafeDir, names: &Names) -> Result<(), PartialError> {
    parent.remove_tree(&names.part)?;
    Givers::beside(parent, names).forget();
    Ok(parent.remove_file(&names.journal)?)
}

fn move_file(parent: &SafeDir, file: &Move, places: &mut LastDir<'_>) -> Result<(), DestError> {
    let (dir, name) = places.make(&file.to)?;
    // What has the place is not claimed by anybody.
    dir.remove_file(&name)?;
    parent.rename(&file.from, dir, &name, Replace::Never)
}

/// What the transfer wants.
struct Needs<'s> {
    spec: &'s PartialSpec,
    tree: Option<&'s Tree>,
    claimed: &'s Bitfield,
    by_content: HashMap<(ContentId, u64), usize>,
    by_path: HashMap<&'s SafePath, (ContentId, u64)>,
}

impl<'s> Needs<'s> {
    fn new(of: &'s Partial, claimed: &'s Bitfield) -> Self {
        let spec = &of.spec;
        let tree = match &of.data {
            Data::File { .. } => None,
            Data::Tree(tree) => Some(tree),
        };
        let entries = spec.wanted.tree.iter().flat_map(|collection| collection.entries());
        let by_path = entries.filter_map(|(path, entry)| Some((path, entry.content()?))).collect();
        Self { spec, tree, claimed, by_content: spec.wanted.map.by_content(), by_path }
    }

    fn is_wanted(&self, file: usize) -> bool {
        self.tree.is_none_or(|tree| tree.home(file).is_some())
    }

    /// Where a file of a tree is to be, if nothing is known to be there.
    fn free_home(&self, file: usize) -> Option<&'s SafePath> {
        let tree = self.tree?;
        let (home, _) = self.spec.wanted.tree.as_ref()?.entries().get(tree.home(file)?)?;
        let claimed = self.spec.wanted.map.files()[file].units().any(|unit| self.claimed.has(unit));
        // A run that ended between noting and moving claims what is not there.
        let taken = claimed && tree.root.stat(home).is_ok_and(|stat| stat.is_some());
        (!taken).then_some(home)
    }

    /// The file that has the name of the one found.
    fn by_name(&self, found: &EarlierFile<'_>) -> Option<usize> {
        if self.tree.is_none() && found.paths.is_empty() {
            return Some(0);
        }
        let named = found.paths.iter().find_map(|path| self.by_path.get(path))?;
        self.by_content.get(named).copied()
    }
}
