//! How many of the files of a transfer are whole, for people. A content that stands at several paths is one file.
//! Invariant: what was found whole is not looked at again, and of each other file no unit twice.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::{Bitfield, UnitMap};

/// Files that are whole, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileCount {
    /// Whole ones.
    pub whole: u32,
    /// All that are fetched; empty ones have nothing that could be.
    pub all: u32,
}

/// The files of a transfer.
#[derive(Debug)]
pub struct Files {
    /// The units of each file that is not whole, from the first one that was missing.
    open: Vec<Range<u32>>,
    all: u32,
}

impl Files {
    /// Those of which these units are wanted.
    pub fn new(map: &UnitMap, wanted: &Bitfield) -> Self {
        let units = map.files().iter().map(|file| file.units());
        let open: Vec<_> = units.filter(|units| units.start < units.end && wanted.has(units.start)).collect();
        Self { all: u32::try_from(open.len()).unwrap_or(u32::MAX), open }
    }

    /// Counts, where `has` says of each unit whether it is there.
    pub fn count(&mut self, has: impl Fn(u32) -> bool) -> FileCount {
        self.open.retain_mut(|units| {
            units.start = units.clone().find(|unit| !has(*unit)).unwrap_or(units.end);
            units.start < units.end
        });
        FileCount { whole: self.all - u32::try_from(self.open.len()).unwrap_or(u32::MAX).min(self.all), all: self.all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::collection::Entry;
    use crate::model::{Collection, ContentId, SafePath};

    #[test]
    fn files_are_whole_when_all_their_units_are_there() {
        let chunk = 256 << 10;
        let entry = |name: &str, size: u64| {
            let id = if size == 0 { ContentId::NOTHING } else { ContentId::of(&size.to_be_bytes()) };
            (SafePath::parse(name).expect("a path"), Entry::File { size, id, executable: false })
        };
        let entries = vec![entry("a", 2 * chunk), entry("b", 0), entry("c", 2 * chunk), entry("d", 1), entry("e", 2)];
        let map = UnitMap::of_collection(&Collection::new(entries).expect("a tree")).expect("small");
        let mut wanted = Bitfield::full(map.units());
        wanted.clear(3);
        let mut files = Files::new(&map, &wanted);
        assert_eq!(files.count(|_| false), FileCount { whole: 0, all: 2 });
        assert_eq!(files.count(|unit| unit == 1 || unit == 2), FileCount { whole: 1, all: 2 });
        assert_eq!(files.count(|unit| unit < 2), FileCount { whole: 2, all: 2 }, "what was whole stays so");
    }
}
