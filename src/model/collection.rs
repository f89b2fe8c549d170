//! A directory tree as a value, and its canonical bytes (the manifest).
//! Invariant: entries are sorted by path, without duplicates, no file is also a directory of another entry, and a file
//! without bytes has the id of nothing.
//! The bytes are text, one line per entry, so that `b3sum` of a manifest prints the collection's id.

pub mod manifest;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::safe_path::{PathError, RESERVED};
use crate::model::{ContentId, Layout, SafePath, Shown};

/// The first line of every manifest.
pub const MAGIC: &str = "qshare-collection-1\n";
/// The largest manifest, in bytes.
pub const MAX_MANIFEST: usize = 128 << 20;

/// Why bytes are not a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum CollectionError {
    /// Two entries cannot both exist: the same path, or a file that is also a directory.
    #[error("two entries of the collection exclude each other")]
    Conflict,
    /// Not the format, or not its one canonical form.
    #[error("the collection's list is malformed")]
    Malformed,
    /// A path is never valid.
    #[error("a path in the collection is refused: {0}")]
    Path(#[from] PathError),
    /// A file without bytes has another id than that of nothing, or one with bytes has that.
    #[error("its file {} has an id that no file of {size} bytes can have", Shown(path.as_str()))]
    Size {
        /// The file.
        path: SafePath,
        /// Its size in bytes, as the list has it.
        size: u64,
    },
    /// A name of the kind that unfinished transfers have.
    #[error("a name in it begins with {RESERVED}, as only unfinished transfers are called")]
    Reserved,
    /// More bytes or files than can be handled.
    #[error("the collection is too large")]
    TooLarge,
    /// More files and directories than are taken here.
    #[error("it has {entries} files and directories, and at most {most} are taken")]
    TooMany {
        /// How many it has.
        entries: usize,
        /// How many would have to be allowed: more than it has, where its paths are very long.
        needed: usize,
        /// How many are taken.
        most: usize,
    },
}

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// An empty directory; others follow from the files' paths.
    Directory,
    /// A file.
    File {
        /// Its size in bytes.
        size: u64,
        /// Its content id.
        id: ContentId,
        /// Whether the owner may execute it.
        executable: bool,
    },
}

impl Entry {
    /// A file's content id and its size in bytes; `None` for a directory.
    #[must_use]
    pub const fn content(&self) -> Option<(ContentId, u64)> {
        match self {
            Self::Directory => None,
            Self::File { size, id, .. } => Some((*id, *size)),
        }
    }
}

/// A directory tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collection {
    entries: Vec<(SafePath, Entry)>,
    bytes: u64,
    files: u32,
}

impl Collection {
    /// A collection from entries in any order.
    ///
    /// # Errors
    /// When two entries exclude each other, or a size is beyond what can be shared.
    pub fn new(mut entries: Vec<(SafePath, Entry)>) -> Result<Self, CollectionError> {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if entries.iter().any(|(path, _)| path.is_reserved()) {
            return Err(CollectionError::Reserved);
        }
        check_conflicts(&entries)?;
        let mut bytes = 0_u64;
        let mut files = 0_u32;
        for (path, entry) in &entries {
            if let Entry::File { size, id, .. } = entry {
                if !id.may_have(*size) {
                    return Err(CollectionError::Size { path: path.clone(), size: *size });
                }
                Layout::of(*size).ok_or(CollectionError::TooLarge)?;
                bytes = bytes.checked_add(*size).ok_or(CollectionError::TooLarge)?;
                files = files.checked_add(1).ok_or(CollectionError::TooLarge)?;
            }
        }
        Ok(Self { entries, bytes, files })
    }

    /// Reads canonical bytes; every path is checked before anything else is done with any of them.
    ///
    /// # Errors
    /// When they are not the canonical bytes of any collection.
    pub fn parse(manifest: &[u8]) -> Result<Self, CollectionError> {
        Self::parse_within(manifest, usize::MAX)
    }

    /// As [`Self::parse`], for at most so many files and directories: nothing is made of the first one beyond, nor of any
    /// before it.
    ///
    /// # Errors
    /// Also when there are more.
    pub fn parse_within(manifest: &[u8], most: usize) -> Result<Self, CollectionError> {
        if manifest.len() > MAX_MANIFEST {
            return Err(CollectionError::TooLarge);
        }
        // One line each, after the first.
        let count = memchr::memchr_iter(b'\n', manifest).count().saturating_sub(1);
        if count > most {
            return Err(CollectionError::TooMany { entries: count, needed: count, most });
        }
        let text = std::str::from_utf8(manifest).map_err(|_| CollectionError::Malformed)?;
        let body = text.strip_prefix(MAGIC).ok_or(CollectionError::Malformed)?;
        let lines = body.split_inclusive('\n').map(|l| l.strip_suffix('\n').ok_or(CollectionError::Malformed));
        let mut entries: Vec<(SafePath, Entry)> = Vec::with_capacity(count);
        for line in lines {
            entries.push(parse_line(line?)?);
        }
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(CollectionError::Malformed);
        }
        let all = count.saturating_add(implied(&entries));
        if all > most {
            return Err(CollectionError::TooMany { entries: all, needed: all, most });
        }
        Self::new(entries)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn manifest(&self) -> Vec<u8> {
        let mut text = String::with_capacity(MAGIC.len() + self.entries.len() * 128);
        text.push_str(MAGIC);
        for (path, entry) in &self.entries {
            // Writing to a String cannot fail.
            let _ = match entry {
                Entry::Directory => writeln!(text, "d {path}"),
                Entry::File { size, id, executable } => {
                    let kind = if *executable { 'x' } else { 'f' };
                    writeln!(text, "{kind} {size} {id} {path}")
                }
            };
        }
        text.into_bytes()
    }

    /// All entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[(SafePath, Entry)] {
        &self.entries
    }

    /// The sum of all file sizes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many files there are.
    #[must_use]
    pub const fn files(&self) -> u32 {
        self.files
    }
}

fn parse_line(line: &str) -> Result<(SafePath, Entry), CollectionError> {
    let malformed = || CollectionError::Malformed;
    let (kind, rest) = line.split_once(' ').ok_or_else(malformed)?;
    if kind == "d" {
        return Ok((SafePath::parse(rest)?, Entry::Directory));
    }
    let mut fields = rest.splitn(3, ' ');
    let mut field = || fields.next().ok_or_else(malformed);
    let (size_text, id_text, path) = (field()?, field()?, field()?);
    let size: u64 = size_text.parse().map_err(|_| malformed())?;
    let id: ContentId = id_text.parse().map_err(|_| malformed())?;
    let canonical = size.to_string() == size_text && !id_text.bytes().any(|b| b.is_ascii_uppercase());
    let executable = match kind {
        "f" if canonical => false,
        "x" if canonical => true,
        _ => return Err(malformed()),
    };
    Ok((SafePath::parse(path)?, Entry::File { size, id, executable }))
}

/// How many directories follow from the paths of these sorted entries: one line may stand for a hundred. All that lies in a directory
/// stands together, so each is new where it first differs from the path before.
fn implied(entries: &[(SafePath, Entry)]) -> usize {
    let dirs = |path: &SafePath| path.as_str().bytes().filter(|byte| *byte == b'/').count();
    let shared = |one: &SafePath, other: &SafePath| {
        let pairs = one.as_str().bytes().zip(other.as_str().bytes());
        pairs.take_while(|(one, other)| one == other).filter(|(byte, _)| *byte == b'/').count()
    };
    let first = entries.first().map_or(0, |(path, _)| dirs(path));
    entries.windows(2).fold(first, |sum, two| sum.saturating_add(dirs(&two[1].0) - shared(&two[0].0, &two[1].0)))
}

/// An entry that is a proper path prefix of another is a directory by force: neither a file nor an empty
/// directory may be that. All that lies beneath `a` sorts between `a/` and `a0`, but not always next to `a`: all that
/// begins with `a` does.
fn check_conflicts(entries: &[(SafePath, Entry)]) -> Result<(), CollectionError> {
    for (i, (path, _)) in entries.iter().enumerate() {
        if entries.get(i + 1).is_none_or(|(next, _)| !next.as_str().starts_with(path.as_str())) {
            continue;
        }
        let below = format!("{path}/");
        let first = entries[i + 1..].partition_point(|(other, _)| other.as_str() < below.as_str()) + i + 1;
        let same = entries.get(i + 1).is_some_and(|(next, _)| next == path);
        if same || entries.get(first).is_some_and(|(other, _)| other.as_str().starts_with(&below)) {
            return Err(CollectionError::Conflict);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect("valid")
    }

    fn file(size: u64) -> Entry {
        Entry::File { size, id: ContentId::of(&size.to_be_bytes()), executable: size % 2 == 1 }
    }

    #[test]
    fn canonical_bytes_round_trip() {
        let entries = vec![(path("b/c d"), file(7)), (path("a"), file(2)), (path("e"), Entry::Directory)];
        let collection = Collection::new(entries).expect("sound");
        let manifest = collection.manifest();
        assert!(manifest.starts_with(MAGIC.as_bytes()));
        assert_eq!(Collection::parse(&manifest), Ok(collection.clone()));
        assert_eq!((collection.bytes(), collection.files()), (9, 2));
    }

    #[test]
    fn entries_that_exclude_each_other_are_refused() {
        for pair in [["a", "a"], ["a", "a/b"], ["a/b", "a/b/c"]] {
            let entries = vec![(path(pair[0]), file(1)), (path("a.b"), file(3)), (path(pair[1]), file(2))];
            assert_eq!(Collection::new(entries), Err(CollectionError::Conflict), "{pair:?}");
        }
        let beside = vec![(path("a"), file(1)), (path("a.b"), file(3)), (path("ab/c"), file(2))];
        assert!(Collection::new(beside).is_ok());
    }

    #[test]
    fn only_the_canonical_form_is_accepted() {
        let id = ContentId::of(b"");
        let refused = [
            format!("{MAGIC}f 01 {id} a\n"),
            format!("{MAGIC}f +1 {id} a\n"),
            format!("{MAGIC}f 1 {} a\n", id.to_string().to_uppercase()),
            format!("{MAGIC}f 1 {id} a"),
            format!("{MAGIC}f 1 {id} b\nf 1 {id} a\n"),
            format!("{MAGIC}l 1 {id} a\n"),
            format!("{MAGIC}\n"),
            "qshare-collection-2\n".to_owned(),
        ];
        for text in refused {
            assert_eq!(Collection::parse(text.as_bytes()), Err(CollectionError::Malformed), "{text}");
        }
        let outside = format!("{MAGIC}f 1 {id} ../a\n");
        assert_eq!(Collection::parse(outside.as_bytes()), Err(CollectionError::Path(PathError::Dots)));
        for line in [format!("f 0 {} a", ContentId::of(b"x")), format!("x 1 {id} a")] {
            let refused = Collection::parse(format!("{MAGIC}{line}\n").as_bytes());
            assert!(matches!(refused, Err(CollectionError::Size { .. })), "{line}: {refused:?}");
        }
        let id = ContentId::of(b"x");
        let huge = format!("{MAGIC}f 18446744073709551615 {id} a\n");
        assert_eq!(Collection::parse(huge.as_bytes()), Err(CollectionError::TooLarge));
    }

    #[test]
    fn entries_are_bounded_and_directories_are_entries() {
        let text = format!("{MAGIC}d a\nd b\nf 1 {} c\n", ContentId::of(b"c"));
        assert!(Collection::parse_within(text.as_bytes(), 3).is_ok());
        let refused = Collection::parse_within(text.as_bytes(), 2);
        assert_eq!(refused, Err(CollectionError::TooMany { entries: 3, needed: 3, most: 2 }));
    }

    #[test]
    fn directories_that_follow_from_paths_are_entries_too() {
        let id = ContentId::of(b"c");
        let deep = "d/".repeat(98);
        let text = |lines: &[String]| [MAGIC.to_owned()].iter().chain(lines).map(String::as_str).collect::<String>();
        let lines: Vec<_> = (0..50).map(|n| format!("f 1 {id} {n:02}/{deep}x\n")).collect();
        assert!(Collection::parse_within(text(&lines).as_bytes(), 50 * 100).is_ok());
        let refused = Collection::parse_within(text(&lines).as_bytes(), 50 * 100 - 1);
        assert_eq!(refused, Err(CollectionError::TooMany { entries: 5000, needed: 5000, most: 4999 }));
        // Each once: a, a/b, a/bc, a/bc/d, and five that are told.
        let told = ["d a/b/1", "d a/b/2", "d a/bc/d/3", "d a/bc/e", "d a/c"].map(|line| format!("{line}\n"));
        assert!(Collection::parse_within(text(&told).as_bytes(), 9).is_ok());
        assert!(Collection::parse_within(text(&told).as_bytes(), 8).is_err());
    }

    #[test]
    fn names_of_unfinished_transfers_are_refused() {
        for name in [".qshare-x", "a/.qshare-0.part/b", ".QSHARE-x"] {
            let text = format!("{MAGIC}d {name}\n");
            assert_eq!(Collection::parse(text.as_bytes()), Err(CollectionError::Reserved), "{name}");
        }
    }
}
