//! Why changes are not told at once.

use std::io;
use std::path::Path;

use notify::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::model::LocalPath;

/// Changes are noticed only by looking through everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unwatched {
    /// Of what; all that is shared if it is not of one path.
    pub path: Option<LocalPath>,
    /// Why.
    pub cause: Cause,
}

/// Why the system does not watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The limit of watched directories is reached.
    Full,
    /// The limit of watchers is reached.
    Instances,
    /// Something else, in the system's words.
    Other(String),
}

impl Unwatched {
    pub(super) fn new(path: Option<&Path>, error: &notify::Error) -> Self {
        let cause = match &error.kind {
            ErrorKind::MaxFilesWatch => Cause::Full,
            ErrorKind::Io(e) if e.kind() == io::ErrorKind::StorageFull => Cause::Full,
            // EMFILE, of inotify_init: the limit for this user.
            ErrorKind::Io(e) if e.raw_os_error() == Some(24) => Cause::Instances,
            ErrorKind::Io(e) => Cause::Other(e.to_string()),
            _ => Cause::Other(error.to_string()),
        };
        Self { path: path.map(LocalPath::from), cause }
    }
}
