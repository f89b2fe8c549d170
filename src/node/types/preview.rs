//! What a dry run finds out.

use std::path::PathBuf;

use crate::model::SafePath;

/// What is at the target of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum There {
    /// Something that is never replaced: a link, a device, a directory for a file or a file for a directory.
    Blocked,
    /// A file of other content: replaced with `force`, else in the way.
    Differs,
    /// Nothing: the file would be new.
    New,
    /// The same content.
    Same,
}

impl There {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Differs => "differs",
            Self::New => "new",
            Self::Same => "here",
        }
    }
}

/// A file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewFile {
    /// Its path in the collection, or its name.
    pub name: SafePath,
    /// Its size in bytes.
    pub size: u64,
    /// Where it would lie; none for a stream.
    pub path: Option<PathBuf>,
    /// What is there.
    pub there: There,
}

/// What a `get` would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preview {
    /// The files that were asked for.
    pub files: Vec<PreviewFile>,
    /// Bytes that would be fetched, once nothing is in the way; of files of the same content those of one.
    pub to_come: u64,
    /// Bytes of these files that an earlier run left, to be proven again: they would not be fetched.
    pub kept: u64,
    /// Whether files of other content would be replaced.
    pub force: bool,
}

impl Preview {
    /// How many files have this at their target.
    #[must_use]
    pub fn count(&self, there: There) -> usize {
        self.files.iter().filter(|file| file.there == there).count()
    }

    /// How many files would keep it from doing anything.
    #[must_use]
    pub fn in_the_way(&self) -> usize {
        self.count(There::Blocked) + if self.force { 0 } else { self.count(There::Differs) }
    }
}
