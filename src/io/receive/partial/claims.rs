//! What a journal says is there, in units of the map that is wanted now.
//! Invariant: only claims: nothing is looked at but the journal, and nothing counts before it was hashed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;

use super::Names;
use crate::io::receive::dest::{Access, SafeDir};
use crate::io::receive::journal::{Claims, Reader, Record, Resized};
use crate::model::units::UnitFile;
use crate::model::units::bitfield::ranges_of;
use crate::model::{Bitfield, ChunkIndex, ChunkList, Content, ContentId, Layout, UnitMap};

pub(super) fn reader(parent: &SafeDir, names: &Names) -> Option<(Content, Reader<BufReader<File>>)> {
    let file = parent.file(&names.journal, Access::Read).ok()?;
    let len = file.metadata().ok()?.len();
    Reader::new(BufReader::new(file), len).ok()
}

/// The canonical bytes of a collection, if they are noted.
pub(super) fn manifest_of(reader: &mut Reader<impl Read>, id: ContentId) -> Option<Vec<u8>> {
    while let Some(record) = reader.record().ok()? {
        if let Record::Manifest(bytes) = record {
            return Some(bytes).filter(|b| ContentId::of(b) == id);
        }
    }
    None
}

/// The units of a single file of that size; none when there can be no such file.
pub(super) fn units_of_file(size: u64) -> u32 {
    Layout::of(size).map_or(0, |layout| layout.chunks())
}

/// What a journal claims, whichever sizes it was written for, in units of this map. `size` is its header's.
pub(super) fn claimed(claims: Claims, size: u64, map: &UnitMap) -> Claims {
    let [file] = map.files() else { return claims };
    if claims.resized.is_empty() && file.layout.size() == size {
        return claims;
    }
    let Claims { have, lists, resized, .. } = claims;
    let list = lists.into_iter().find(|(index, _)| *index == 0).map(|(_, list)| list);
    let first = Resized { size, have: have.ranges(), list };
    let (mut have, mut lists) = (Bitfield::empty(map.units()), HashMap::new());
    for Resized { size, have: ranges, list } in std::iter::once(first).chain(resized) {
        let Some(layout) = Layout::of(size) else { continue };
        let mut there = Bitfield::empty(layout.chunks());
        ranges.into_iter().for_each(|range| there.set_range(range));
        let old = UnitFile { id: file.id, layout, first: 0 };
        regrouped(&old, &there, file).into_iter().for_each(|range| have.set_range(range));
        let same = (layout.chunk_size(), layout.chunks()) == (file.layout.chunk_size(), file.layout.chunks());
        lists.extend(list.filter(|_| same).map(|list| (0, list)));
    }
    Claims { have, lists, resized: Vec::new(), ..claims }
}

/// The chunk lists that are noted and belong to their files.
pub(super) fn listed(map: &UnitMap, claims: &Claims) -> Vec<(usize, ChunkList)> {
    let files = map.files().iter().enumerate();
    let lists = files.filter_map(|(index, UnitFile { id, layout, .. })| {
        let values = claims.lists.get(&u32::try_from(index).ok()?)?;
        let list = layout.needs_list().then(|| ChunkList::from_bytes(*id, *layout, values).ok())??;
        Some((index, list))
    });
    lists.collect()
}

/// The units that are claimed, but for those of a file whose list is needed and not there.
pub(super) fn believable(map: &UnitMap, claims: &Claims, lists: &[(usize, ChunkList)]) -> Bitfield {
    let listed: HashSet<usize> = lists.iter().map(|(index, _)| *index).collect();
    let mut believable = claims.have.clone();
    for (index, file) in map.files().iter().enumerate() {
        if file.layout.needs_list() && !listed.contains(&index) {
            for unit in file.units() {
                believable.clear(unit);
            }
        }
    }
    believable
}

/// The units of `new` of which `old`, a file of the same id, has all bytes. The sizes may differ, for one of them may have
/// been a lie: what was proven under it is content all the same, at the same place.
pub(super) fn regrouped(old: &UnitFile, have: &Bitfield, new: &UnitFile) -> Vec<Range<u32>> {
    let end = |unit: u32| old.layout.offset(ChunkIndex(unit)) + old.layout.len(ChunkIndex(unit));
    let there = ranges_of(old.units().filter(|unit| have.has(*unit)));
    let there = there.into_iter().map(|r| r.start - old.first..r.end - old.first);
    let mut there = there.map(|r| old.layout.offset(ChunkIndex(r.start))..end(r.end - 1)).peekable();
    let whole = |chunk: &u32| {
        let start = new.layout.offset(ChunkIndex(*chunk));
        let end = start + new.layout.len(ChunkIndex(*chunk));
        while there.peek().is_some_and(|bytes| bytes.end < end) {
            there.next();
        }
        there.peek().is_some_and(|bytes| bytes.start <= start)
    };
    ranges_of((0..new.layout.chunks()).filter(whole).map(|chunk| new.first + chunk))
}
