//! The units of one transfer: the chunks of all its distinct files in one row, counted from zero.
//! A file transfer and a collection transfer differ only here. Both ends compute the same numbers from the same
//! id, so requests, have-messages, journal records and blame all speak of units.
//! Invariant: each file's id may have its size. So what has no unit is proven all the same: no bytes have one id.

pub mod bitfield;
pub mod chunk_list;
pub mod layout;

use std::collections::HashMap;
use std::ops::Range;

use crate::model::collection::Entry;
use crate::model::{ChunkIndex, Collection, ContentId, Layout};

/// Units of a transfer at most: 16 TiB in chunks of 256 KiB, and some sets of so many take 8 MiB each.
pub const MOST_UNITS: u32 = 1 << 26;

/// One distinct file of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitFile {
    /// Its content id.
    pub id: ContentId,
    /// Its chunks.
    pub layout: Layout,
    /// The unit that is its first chunk.
    pub first: u32,
}

impl UnitFile {
    /// Its units; empty for an empty file.
    #[must_use]
    pub const fn units(&self) -> Range<u32> {
        self.first..self.first + self.layout.chunks()
    }
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitPlace {
    /// Which unit.
    pub unit: u32,
    /// Index into [`UnitMap::files`].
    pub file: usize,
    /// Which of the file's chunks.
    pub chunk: ChunkIndex,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// All units of one transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitMap {
    files: Vec<UnitFile>,
    units: u32,
    bytes: u64,
}

impl UnitMap {
    /// The units of one file; `None` when it is too large, or the id is not that of any file of this size.
    #[must_use]
    pub fn of_file(id: ContentId, size: u64) -> Option<Self> {
        Self::of_files([(id, size)])
    }

    /// The units of a collection: its distinct (id, size) pairs in the order of their first path.
    /// `None` when there are more than [`MOST_UNITS`].
    #[must_use]
    pub fn of_collection(collection: &Collection) -> Option<Self> {
        Self::of_files(collection.entries().iter().filter_map(|(_, entry)| match entry {
            Entry::Directory => None,
            Entry::File { size, id, .. } => Some((*id, *size)),
        }))
    }

    fn of_files(distinct: impl IntoIterator<Item = (ContentId, u64)>) -> Option<Self> {
        let mut seen = HashMap::new();
        let (mut files, mut units, mut bytes) = (Vec::new(), 0_u32, 0_u64);
        for (id, size) in distinct {
            if seen.insert((id, size), ()).is_some() {
                continue;
            }
            let layout = Layout::of(size).filter(|_| id.may_have(size))?;
            files.push(UnitFile { id, layout, first: units });
            units = units.checked_add(layout.chunks()).filter(|units| *units <= MOST_UNITS)?;
            bytes = bytes.checked_add(size)?;
        }
        Some(Self { files, units, bytes })
    }

    /// The distinct files in unit order.
    #[must_use]
    pub fn files(&self) -> &[UnitFile] {
        &self.files
    }

    /// How many units there are.
    #[must_use]
    pub const fn units(&self) -> u32 {
        self.units
    }

    /// The bytes of all distinct files together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where a unit lies; `None` beyond the end.
    #[must_use]
    pub fn place(&self, unit: u32) -> Option<UnitPlace> {
        if unit >= self.units {
            return None;
        }
        let file = self.files.partition_point(|f| f.first <= unit);
        // Empty files own no unit, so the last file that begins at or before the unit may be one of several
        // with the same `first`; the one that owns the unit is the last of them.
        let file = file.checked_sub(1)?;
        let UnitFile { layout, first, .. } = self.files[file];
        let chunk = ChunkIndex(unit - first);
        Some(UnitPlace { unit, file, chunk, offset: layout.offset(chunk), len: layout.len(chunk) })
    }

    /// The unit's length in bytes; zero beyond the end.
    #[must_use]
    pub fn len(&self, unit: u32) -> u64 {
        self.place(unit).map_or(0, |p| p.len)
    }

    /// Whether there is nothing to fetch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.units == 0
    }

    /// The index of each distinct file by its id and size: to be made once for many questions.
    #[must_use]
    pub fn by_content(&self) -> HashMap<(ContentId, u64), usize> {
        self.files.iter().enumerate().map(|(index, f)| ((f.id, f.layout.size()), index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SafePath;

    fn entry(name: &str, size: u64, seed: u8) -> (SafePath, Entry) {
        let id = if size == 0 { ContentId::NOTHING } else { ContentId::of(&[seed]) };
        (SafePath::parse(name).expect("valid"), Entry::File { size, id, executable: false })
    }

    #[test]
    fn units_of_a_collection_skip_copies_and_empty_files() {
        let chunk = 256 << 10;
        let entries = vec![
            entry("a", chunk + 1, 1),
            entry("b", 0, 2),
            entry("c", chunk + 1, 1),
            entry("d", 0, 3),
            entry("e", 5, 4),
        ];
        let map = UnitMap::of_collection(&Collection::new(entries).expect("sound")).expect("small");
        assert_eq!((map.units(), map.bytes(), map.files().len()), (3, chunk + 6, 3));
        let places: Vec<_> = (0..4).map(|u| map.place(u).map(|p| (p.file, p.chunk.0, p.len))).collect();
        assert_eq!(places, [Some((0, 0, chunk)), Some((0, 1, 1)), Some((2, 0, 5)), None]);
    }

    #[test]
    fn what_would_have_too_many_units_has_none() {
        let of = |files: u8| {
            let entries = (0..files).map(|n| entry(&format!("{n:02}"), 8 << 40, n)).collect();
            UnitMap::of_collection(&Collection::new(entries).expect("sound")).map(|map| map.units())
        };
        assert_eq!((of(32), of(33)), (Some(MOST_UNITS), None));
    }

    #[test]
    fn no_units_are_those_of_nothing_alone() {
        assert!(UnitMap::of_file(ContentId::of(b""), 0).is_some_and(|map| map.is_empty()));
        assert_eq!(UnitMap::of_file(ContentId::of(b"x"), 0), None);
        assert_eq!(UnitMap::of_file(ContentId::of(b""), 1), None);
    }
}
