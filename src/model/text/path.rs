//! Paths on this machine in what is told, sent and kept for people.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::Shown;

/// A path that is told. It travels as text, in which what is not UTF-8 is replaced: nobody opens what comes out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct LocalPath(PathBuf);

impl<P: Into<PathBuf>> From<P> for LocalPath {
    fn from(path: P) -> Self {
        Self(path.into())
    }
}

impl From<LocalPath> for String {
    fn from(path: LocalPath) -> Self {
        path.to_string_lossy().into_owned()
    }
}

impl Deref for LocalPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for LocalPath {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self))
    }
}

/// A path, escaped.
#[must_use]
pub fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// A path in back quotes, escaped.
#[must_use]
pub fn quoted(path: &Path) -> String {
    format!("`{}`", shown(path))
}
