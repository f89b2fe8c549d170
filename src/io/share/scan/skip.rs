//! Why something is not shared, as one sentence each.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::Shown;
use crate::model::safe_path::{PathError, RESERVED};

/// Something that is not shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why something is not shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its name is never valid.
    Name(PathError),
    /// It is within qshare's own home.
    Own,
    /// Its name is of the kind that unfinished transfers have.
    Reserved,
    /// It holds secrets of this kind.
    Secret(&'static str),
    /// Larger than any file that can be shared.
    TooLarge,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// Neither file nor directory, but this.
    Unusual(&'static str),
    /// Its name is not UTF-8.
    Utf8,
    /// It is the file system's root or a home directory.
    Whole,
}

impl Skipped {
    pub(super) fn new(path: impl Into<PathBuf>, why: Why) -> Self {
        Self { path: path.into(), why }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown(&self.path);
        match &self.why {
            Why::Name(error) => write!(f, "{path} is left out because {error}: rename it to share it"),
            Why::Own => write!(f, "{path} is left out because it belongs to qshare's own home"),
            Why::Reserved => write!(
                f,
                "{path} is left out because its name begins with {RESERVED}, as only unfinished transfers are called: rename it to share it"
            ),
            Why::Secret(what) => {
                write!(f, "{path} is left out because it looks like {what}: --include-secrets shares it")
            }
            Why::TooLarge => write!(f, "{path} is left out because it is larger than 8 TiB"),
            Why::Unreadable(cause) => write!(f, "{path} is left out because it cannot be read: {cause}"),
            Why::Unusual(what) => write!(f, "{path} is left out because it is {what}, not a file"),
            Why::Whole => write!(f, "{path} is left out because it holds more than is meant to be shared"),
            Why::Utf8 => write!(f, "{path} is left out because its name is not UTF-8: rename it to share it"),
        }
    }
}

/// A path fit to be shown.
pub(super) fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}
