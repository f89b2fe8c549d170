//! What could not be looked at, and why: that says nothing about what is there.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{Cause, LocalPath, SafePath};

/// A place in a root that could not be looked at; everything beneath it is as unknown as itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unseen {
    /// The name that it has, or would have, in what is offered.
    pub name: SafePath,
    /// Where it is.
    pub path: LocalPath,
    /// Why.
    pub cause: Cause,
}

impl Unseen {
    pub(super) fn new(name: &SafePath, path: &Path, error: &io::Error) -> Self {
        Self { name: name.clone(), path: path.into(), cause: error.into() }
    }
}

/// Whether a failure to look means that nothing is there: an answer, where any other failure is none.
pub(super) fn is_absence(error: &io::Error) -> bool {
    is_loop(error) || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A link that leads to itself leads nowhere.
#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests;
