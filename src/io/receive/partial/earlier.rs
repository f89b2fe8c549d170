//! What an unfinished transfer has left in a directory, read from its journal. Changes nothing.
//! Invariant: what it is said to have is what a run that went on with it would claim, so only a claim.

use std::collections::HashMap;
use std::ops::Range;

use super::claims::{believable, claimed, listed, manifest_of, reader, regrouped, units_of_file};
use super::lock::hold;
use super::{Names, PartialError};
use crate::io::receive::dest::{FileKind, LastDir, SafeDir};
use crate::io::receive::journal::{BootId, Record, replay};
use crate::model::collection::Entry;
use crate::model::units::UnitFile;
use crate::model::units::bitfield::ranges_of;
use crate::model::{Bitfield, ChunkList, Collection, Content, ContentId, Kind, SafePath, UnitMap};

/// An unfinished transfer.
#[derive(Debug)]
pub struct Earlier {
    pub(super) names: Names,
    pub(super) map: UnitMap,
    pub(super) lists: HashMap<usize, ChunkList>,
    pub(super) have: Bitfield,
    pub(super) content: Content,
    collection: Option<Collection>,
    target: Option<SafePath>,
    /// The patterns of the paths that were asked for last; all when there are none.
    pub only: Vec<String>,
    /// The process that used it last.
    pub pid: Option<u32>,
}

impl Earlier {
    /// All in a directory whose journals can be understood, in the order of their names.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn all_in(parent: &SafeDir) -> Result<Vec<Self>, PartialError> {
        Ok(names_in(parent)?.iter().filter_map(|names| Self::read(parent, names)).collect())
    }

    /// That of a content.
    pub fn of(parent: &SafeDir, id: ContentId) -> Option<Self> {
        Self::read(parent, &Names::of(id))
    }

    pub(super) fn read(parent: &SafeDir, names: &Names) -> Option<Self> {
        let (content, mut first) = reader(parent, names)?;
        let tree = match content.kind {
            Kind::Collection => {
                let collection = Collection::parse(&manifest_of(&mut first, content.id)?).ok()?;
                Some((UnitMap::of_collection(&collection)?, collection))
            }
            Kind::File => None,
        };
        let (again, mut records) = reader(parent, names)?;
        let units = tree.as_ref().map_or_else(|| units_of_file(content.size), |(map, _)| map.units());
        let claims = replay(&mut records, units, BootId::now().0).ok()?;
        if again != content || *names != Names::of(content.id) {
            return None;
        }
        let (map, collection) = match tree {
            Some((map, collection)) => (map, Some(collection)),
            None => (UnitMap::of_file(content.id, claims.size.unwrap_or(content.size))?, None),
        };
        let claims = claimed(claims, content.size, &map);
        let lists = listed(&map, &claims);
        let mut have = Bitfield::empty(map.units());
        if parent.stat(&names.part).ok().flatten().is_some() {
            have = believable(&map, &claims, &lists);
        }
        let target = claims.target.and_then(|name| SafePath::parse(&name).ok());
        Some(Self {
            names: names.clone(),
            map,
            lists: lists.into_iter().collect(),
            have,
            content,
            collection,
            target,
            only: claims.only,
            pid: claims.pid,
        })
    }

    /// The content.
    pub const fn id(&self) -> ContentId {
        self.content.id
    }

    /// Its size in bytes, as far as it has to be fetched: each distinct file once.
    pub const fn size(&self) -> u64 {
        self.map.bytes()
    }

    /// Bytes of it that are there, by its journal's word.
    pub fn bytes(&self) -> u64 {
        self.have.iter().map(|unit| self.map.len(unit)).sum()
    }

    /// The name that it was to have, in the directory where it lies; not known of those that older versions began.
    pub const fn target(&self) -> Option<&SafePath> {
        self.target.as_ref()
    }

    /// Whether a process has it now. Takes the lock for an instant.
    pub fn is_in_use(&self, parent: &SafeDir) -> bool {
        hold(parent, &self.names).is_none()
    }

    /// Where the bytes lie, in its directory.
    pub const fn part(&self) -> &SafePath {
        &self.names.part
    }

    /// Adds the units of files that another content has as well, be it with another size.
    pub(super) fn add_to(&self, map: &UnitMap, units: &mut Bitfield) {
        let known = by_id(map);
        for old in self.map.files() {
            for new in known.get(&old.id).into_iter().flatten().map(|index| &map.files()[*index]) {
                regrouped(old, &self.have, new).into_iter().for_each(|range| units.set_range(range));
            }
        }
    }

    /// Each file, of those that are asked for, of which it has something, with the path of its bytes in `parent`, its
    /// paths in the tree (none for a single file) and what it has of it.
    pub(super) fn files(&self, parent: &SafeDir, asked: impl Fn(&UnitFile) -> bool) -> Vec<EarlierFile<'_>> {
        let has = |range: Range<u32>| ranges_of(range.filter(|unit| self.have.has(*unit)));
        let Some(collection) = &self.collection else {
            let have = has(0..self.map.units());
            let found = EarlierFile { file: 0, from: self.names.part.clone(), paths: Vec::new(), have };
            return if found.have.is_empty() { Vec::new() } else { vec![found] };
        };
        let Ok(root) = parent.dir(&self.names.part) else { return Vec::new() };
        let (known, mut paths) = (self.map.by_content(), vec![Vec::new(); self.map.files().len()]);
        for (path, entry) in collection.entries() {
            let Entry::File { size, id, .. } = entry else { continue };
            if let Some(&file) = known.get(&(*id, *size)) {
                paths[file].push(path);
            }
        }
        let mut places = LastDir::of(&root);
        let mut is_file = |path: &SafePath| matches!(places.stat(path), Ok(Some(stat)) if stat.kind == FileKind::File);
        let all = paths.into_iter().enumerate().filter_map(|(file, paths)| {
            let of = &self.map.files()[file];
            let have = if asked(of) { has(of.units()) } else { Vec::new() };
            let there = if have.is_empty() { None } else { paths.iter().find(|path| is_file(path)) };
            let from = self.names.part.join(there?).ok()?;
            Some(EarlierFile { file, from, paths, have })
        });
        all.collect()
    }
}

/// The files of each id: more than one where somebody lied about a size.
pub(super) fn by_id(map: &UnitMap) -> HashMap<ContentId, Vec<usize>> {
    let mut known: HashMap<ContentId, Vec<usize>> = HashMap::new();
    map.files().iter().enumerate().for_each(|(index, file)| known.entry(file.id).or_default().push(index));
    known
}

/// The name that an unfinished transfer was to have; quicker than reading all of a large one.
pub(super) fn target_of(parent: &SafeDir, names: &Names) -> Option<SafePath> {
    let (_, mut reader) = reader(parent, names)?;
    let mut target = None;
    while let Some(record) = reader.record().ok()? {
        if let Record::Target(name) = record {
            target = SafePath::parse(&name).ok();
        }
    }
    target
}

/// A file of which an earlier transfer has something.
pub(super) struct EarlierFile<'e> {
    /// Its index in the earlier transfer's map.
    pub(super) file: usize,
    /// Where its bytes lie, in the directory of the transfer.
    pub(super) from: SafePath,
    /// Where it was to be, in the tree.
    pub(super) paths: Vec<&'e SafePath>,
    /// Units that it has.
    pub(super) have: Vec<Range<u32>>,
}

/// The names of all unfinished transfers in a directory.
pub(super) fn names_in(parent: &SafeDir) -> Result<Vec<Names>, PartialError> {
    let mut names: Vec<_> = parent.names(Names::BEGINNING)?.iter().filter_map(|name| Names::of_journal(name)).collect();
    names.sort_by(|a, b| a.journal.cmp(&b.journal));
    Ok(names)
}
