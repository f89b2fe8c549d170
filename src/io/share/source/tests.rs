//! A source for tests that is drawn: which units of a file are there, and which were.

use std::ops::Range;
use std::sync::Arc;

use super::{ReadError, Source, SourceFile};
use crate::model::units::bitfield::ranges_of;
use crate::model::{Bitfield, ChunkList, ContentId, UnitMap};

/// Some units of a file, of which no byte can be read.
pub(crate) struct Drawn {
    map: UnitMap,
    have: Bitfield,
    lost: Vec<Range<u32>>,
}

impl Drawn {
    /// A file of this id and size. `#` is a unit that is there, `x` one that has changed; any other has not come yet, and
    /// so have those behind the picture's end.
    pub(crate) fn of(id: ContentId, size: u64, picture: &str) -> Arc<dyn Source> {
        let map = UnitMap::of_file(id, size).expect("small");
        let of = |what: char| (0..map.units()).zip(picture.chars()).filter(move |(_, c)| *c == what).map(|(n, _)| n);
        let mut have = Bitfield::empty(map.units());
        of('#').for_each(|unit| have.set_range(unit..unit + 1));
        let lost = ranges_of(of('x'));
        Arc::new(Self { map, have, lost })
    }
}

impl Source for Drawn {
    fn map(&self) -> &UnitMap {
        &self.map
    }

    fn have(&self) -> Bitfield {
        self.have.clone()
    }

    fn has(&self, unit: u32) -> bool {
        self.have.has(unit)
    }

    fn lost(&self) -> Vec<Range<u32>> {
        self.lost.clone()
    }

    fn open(&self, _: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        Err(ReadError::Changed)
    }

    fn list(&self, _: usize) -> Option<Arc<ChunkList>> {
        None
    }
}
