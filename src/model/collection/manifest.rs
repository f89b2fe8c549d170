//! A collection's bytes as they come, from somebody who has proven nothing yet.
//! Invariant: however many come, no more are held than so many entries may take; the id is that of all of them, so what is
//! said of their number is proven as the bytes are.

use crate::model::collection::{CollectionError, MAX_MANIFEST};
use crate::model::{Collection, ContentId};

/// Files and directories of a collection that are taken unless more are asked for. Each takes some 250 bytes while it is
/// fetched, so 200,000 are 50 MB.
pub const MAX_FILES: usize = 200_000;
/// What the lines may take in bytes, for each entry that is allowed: a line is some 75 bytes and a path, and few trees have
/// paths of more than 115 on the average. Long paths are held three times for a moment: as they came, as they are kept, and
/// as paths. What small trees may have besides:
const LINE: usize = 192;
const BESIDES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Intake {
    hasher: blake3::Hasher,
    /// All that came; none any more once it is too much.
    kept: Option<Vec<u8>>,
    bytes: usize,
    lines: usize,
    most: usize,
}

/// What came.
#[derive(Debug)]
pub struct Taken {
    id: ContentId,
    kept: Result<Vec<u8>, CollectionError>,
    most: usize,
}

impl Intake {
    /// For a collection of at most so many files and directories, whose sender says how many bytes it has. The room for
    /// them is reserved at once, so that nothing is moved as it grows; the system gives memory only for what comes.
    #[must_use]
    pub fn new(most: usize, len: usize) -> Self {
        let kept = (len <= room(most)).then(|| Vec::with_capacity(len));
        Self { hasher: blake3::Hasher::new(), kept, bytes: 0, lines: 0, most }
    }

    /// Room for so many more.
    pub fn reserve(&mut self, more: usize) {
        if self.bytes.saturating_add(more) > room(self.most) {
            self.kept = None;
        }
        self.kept.iter_mut().for_each(|kept| kept.reserve_exact(more));
    }

    /// Takes the next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.bytes += piece.len();
        self.lines += memchr::memchr_iter(b'\n', piece).count();
        if self.entries() > self.most || self.bytes > room(self.most) {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(piece);
        }
    }

    /// All have come.
    #[must_use]
    pub fn end(self) -> Taken {
        let (entries, most) = (self.entries(), self.most);
        let needed = entries.max(self.bytes.saturating_sub(BESIDES).div_ceil(LINE));
        let id = ContentId::from_bytes(*self.hasher.finalize().as_bytes());
        Taken { id, kept: self.kept.ok_or(CollectionError::TooMany { entries, needed, most }), most }
    }

    /// Lines after the first.
    const fn entries(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

impl Taken {
    /// The collection and its bytes; `None` when they are not those of the id.
    #[must_use]
    pub fn read(self, id: ContentId) -> Option<Result<(Collection, Vec<u8>), CollectionError>> {
        (self.id == id).then(|| {
            let bytes = self.kept?;
            Ok((Collection::parse_within(&bytes, self.most)?, bytes))
        })
    }
}

/// The most bytes of a list with so many entries.
fn room(most: usize) -> usize {
    most.saturating_mul(LINE).saturating_add(BESIDES).min(MAX_MANIFEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::collection::MAGIC;

    fn taken(text: &str, most: usize) -> Option<Result<usize, CollectionError>> {
        let mut intake = Intake::new(most, text.len());
        text.as_bytes().chunks(7).for_each(|piece| intake.push(piece));
        let read = intake.end().read(ContentId::of(text.as_bytes()));
        read.map(|read| read.map(|(collection, bytes)| collection.entries().len() + bytes.len() - text.len()))
    }

    #[test]
    fn what_is_too_much_is_counted_and_proven_but_not_kept() {
        let text = format!("{MAGIC}d a\nd b\nd c\n");
        assert_eq!(taken(&text, 3), Some(Ok(3)));
        let refused = CollectionError::TooMany { entries: 3, needed: 3, most: 2 };
        assert_eq!(taken(&text, 2), Some(Err(refused)));
        let mut intake = Intake::new(2, text.len());
        (0..1000).for_each(|_| intake.push(text.as_bytes()));
        assert!(intake.kept.is_none());
        assert!(intake.end().read(ContentId::of(text.as_bytes())).is_none(), "other bytes");
    }

    #[test]
    fn few_long_lines_are_bounded_too() {
        let name = "n".repeat(250);
        let long = |n: usize| format!("d {n:04}{}\n", ["", &name, &name, &name].join("/"));
        let text = [MAGIC.to_owned()].into_iter().chain((0..3000).map(long)).collect::<String>();
        let refused = taken(&text, 3000);
        let Some(Err(CollectionError::TooMany { entries: 3000, needed, most: 3000 })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(taken(&text, needed - 1).map(|read| read.is_ok()), Some(false));
        // What follows from the paths is counted once they are kept.
        let all = 4 * 3000;
        let refused = CollectionError::TooMany { entries: all, needed: all, most: needed };
        assert_eq!(taken(&text, needed), Some(Err(refused)));
        assert_eq!(taken(&text, all), Some(Ok(3000)));
    }
}
