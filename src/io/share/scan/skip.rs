//! What is not shared, and why.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

use crate::io::share::scan::unseen::Unseen;
use crate::model::LocalPath;
use crate::model::safe_path::PathError;

/// What a look leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Omission {
    /// So many things that a person wants to be left out, a directory counted as one.
    Ignored(u64),
    /// So many links that lead to directories, outside, or nowhere.
    Links(u64),
    /// Something that is not shared.
    Skipped(Skipped),
    /// Something that could not be looked at.
    Unseen(Unseen),
}

/// Something that is not shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Skipped {
    /// What.
    pub path: LocalPath,
    /// Why.
    pub why: Why,
}

/// Why something is not shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// Its name is never valid.
    Name(PathError),
    /// It is within qshare's own home.
    Own,
    /// Its name is of the kind that unfinished transfers have.
    Reserved,
    /// It holds secrets of this kind.
    Secret(Cow<'static, str>),
    /// Larger than any file that can be shared.
    TooLarge,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// Neither file nor directory, but this.
    Unusual(Cow<'static, str>),
    /// Its name is not UTF-8.
    Utf8,
    /// It is the file system's root or a home directory.
    Whole,
}

impl Omission {
    /// Whether it is left out because of what it would give away.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Skipped(Skipped { why: Why::Secret(_), .. }))
    }
}

impl Skipped {
    pub(super) fn new(path: impl Into<LocalPath>, why: Why) -> Self {
        Self { path: path.into(), why }
    }
}
