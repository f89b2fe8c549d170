//! What is shared under which names: the files, links and empty directories beneath the shared roots.
//! Invariant: nothing is opened but ignore files and lists; nothing outside a root is found; every name is a `SafePath`.
//! Not responsible for ids, nor for when to look again: hashing, the index and the watch are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::io::share::stamp::FileStamp;
use crate::model::{Kind, SafePath};

mod fixed;
mod ignores;
mod roots;
mod skip;
mod survey;
#[cfg(test)]
mod tests;
mod unseen;
mod walk;

pub use fixed::Fixed;
pub use ignores::GlobError;
pub use roots::{Whole, read_list};
pub use skip::{Omission, Skipped, Why};
pub use survey::{BadName, RootSummary, SharePlan, SurveyError, SurveyOptions, Unportable, survey};
pub use unseen::Unseen;
pub use walk::scan_root;

/// One path that is shared, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it is offered under.
    pub name: SafePath,
    /// Where it was named, absolute; its links are followed at each look.
    pub path: PathBuf,
    /// A directory is shared as a collection.
    pub kind: Kind,
    /// The one content that it is shared as, where it is no other.
    pub fixed: Option<Arc<Fixed>>,
}

/// What is left out everywhere.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Patterns in gitignore syntax, relative to each root.
    pub exclude: Vec<String>,
    /// Leave out what git's own ignore files say, too.
    pub gitignore: bool,
    /// Share keys, key stores and credentials too.
    pub include_secrets: bool,
    /// Directories that are never shared: qshare's own.
    pub avoid: Vec<PathBuf>,
    /// A root may be the file system's root or a home directory.
    pub all: bool,
    /// What that means, at whatever path it shows.
    pub whole: Whole,
}

/// A file that is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// The whole name it is offered under.
    pub name: SafePath,
    /// Where its bytes are; for a link its target.
    pub path: PathBuf,
    /// Its state when it was found.
    pub stamp: FileStamp,
}

/// What lies beneath one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedRoot {
    /// What it is offered under.
    pub name: SafePath,
    /// Where it was named.
    pub path: PathBuf,
    /// Where that leads, links followed; none where nothing is there.
    pub real: Option<PathBuf>,
    /// File or collection.
    pub kind: Kind,
    /// Its files, by name.
    pub files: Vec<ScannedFile>,
    /// Directories without anything shared in them, under whole names.
    pub empty_dirs: Vec<SafePath>,
    /// What is there and cannot be read or looked at, under whole names.
    pub unread: Vec<SafePath>,
    /// Links to directories, to outside, to nothing or to what is itself left out.
    pub links: u64,
}

/// What a look at one root found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What is shared of it; no files when it has gone.
    pub root: ScannedRoot,
    /// What could not be looked at: `root` holds nothing of it, and yet it may be there as it was before.
    pub unseen: Vec<Unseen>,
    /// What is not shared, and why.
    pub skipped: Vec<Skipped>,
    /// What a person wants to be left out, a directory counted as one.
    pub ignored: u64,
    /// Nothing lies at the root's path that it could be; never set because it could not be looked at.
    pub gone: bool,
}
