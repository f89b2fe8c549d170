//! Why something could not be placed in the destination: one sentence with the path, the cause and what to do.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::model::Shown;
use crate::model::obstacle::{advice, cause};

/// Why an operation in the destination failed. Nothing outside the destination was touched.
#[derive(Debug, thiserror::Error)]
pub enum DestError {
    /// Something has the name already.
    #[error(
        "{} already exists: move it away, choose another place with -o, or replace a different file with --force",
        quoted(path)
    )]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A name that qshare never makes, in a directory of its own.
    #[error("{} was not put there by qshare: move it away and run the same command again", quoted(path))]
    Foreign {
        /// What is there.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}: {}; {}", quoted(path), cause(source), remedy(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// A symbolic link in the destination.
    #[error(
        "{} is a symbolic link, and links in a destination are never followed: move it away or choose another place with -o",
        quoted(path)
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A file with a second name.
    #[error(
        "{} has another name as well, and writing to it would change what lies there: remove this name and run the same command again",
        quoted(path)
    )]
    Linked {
        /// The file.
        path: PathBuf,
    },
    /// A directory, pipe, socket or device where a file is needed.
    #[error("{} is not a regular file: move it away and run the same command again", quoted(path))]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// A file or directory of another user, where it has to be ours.
    #[error(
        "{} belongs to another user, who could change it after it was proven: move it away or choose another place with -o",
        quoted(path)
    )]
    OfAnother {
        /// What is there.
        path: PathBuf,
    },
    /// A file where a directory is needed.
    #[error("{} is not a directory but has to be one: move it away or choose another place with -o", quoted(path))]
    NotADirectory {
        /// What is there.
        path: PathBuf,
    },
}

impl DestError {
    pub(in crate::io) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == ErrorKind::AlreadyExists {
            return Self::Exists { path: path.to_owned() };
        }
        Self::Io { doing, path: path.to_owned(), source }
    }

    /// Whether the disk is full, or the user's share of it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }

    /// Whether something is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }

    /// Whether the process has no descriptor left.
    #[cfg(unix)]
    pub(in crate::io) fn is_out_of_descriptors(&self) -> bool {
        use rustix::io::Errno;
        let codes = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        matches!(self, Self::Io { source, .. } if source.raw_os_error().is_some_and(|e| codes.contains(&e)))
    }

    /// Whether the process has no descriptor left.
    #[cfg(not(unix))]
    pub(in crate::io) fn is_out_of_descriptors(&self) -> bool {
        false
    }
}

/// A path in back quotes, escaped.
pub(in crate::io) fn quoted(path: &Path) -> String {
    format!("`{}`", Shown(&path.to_string_lossy()))
}

fn remedy(error: &io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::CrossesDevices => "it is another file system: give a directory inside it with -o",
        ErrorKind::InvalidFilename => "this file system takes no such name: choose another place with -o",
        ErrorKind::NotADirectory => "check the path, a part of it is a file, or choose another place with -o",
        ErrorKind::NotFound => {
            "it is not there: check the path, or run the same command again if it was removed meanwhile"
        }
        ErrorKind::PermissionDenied => "check its permissions or choose another place with -o",
        ErrorKind::Unsupported => "its file system cannot do what is needed: choose another place with -o",
        ErrorKind::ReadOnlyFilesystem => "choose another place with -o",
        _ => return format!("{} and run the same command again: what was verified is kept", advice(error)),
    };
    remedy.to_owned()
}
