//! Why something could not be placed in the destination: the path and the cause.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::text::path::quoted;
use crate::model::{Cause, LocalPath, Obstacle};

/// Why an operation in the destination failed. Nothing outside the destination was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DestError {
    /// The directory is missing into which something is to be put.
    #[error("there is no directory {}{}", quoted(path), above(path, first))]
    Absent {
        /// Which.
        path: LocalPath,
        /// The first directory of it that is missing.
        first: LocalPath,
    },
    /// Something has the name already.
    #[error("{} already exists", quoted(path))]
    Exists {
        /// What is there.
        path: LocalPath,
    },
    /// A name that qshare never makes, in a directory of its own.
    #[error("{} was not put there by qshare", quoted(path))]
    Foreign {
        /// What is there.
        path: LocalPath,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", quoted(path))]
    Io {
        /// What was tried.
        doing: Cow<'static, str>,
        /// On what.
        path: LocalPath,
        /// The system's own error.
        source: Cause,
    },
    /// A symbolic link in the destination.
    #[error("{} is a symbolic link, and links in a destination are never followed", quoted(path))]
    Link {
        /// The link.
        path: LocalPath,
    },
    /// A file with a second name.
    #[error("{} has another name as well, and writing to it would change what lies there", quoted(path))]
    Linked {
        /// The file.
        path: LocalPath,
    },
    /// A directory, pipe, socket or device where a file is needed.
    #[error("{} is not a regular file", quoted(path))]
    NotAFile {
        /// What is there.
        path: LocalPath,
    },
    /// A file or directory of another user, where it has to be ours.
    #[error("{} belongs to another user, who could change it after it was proven", quoted(path))]
    OfAnother {
        /// What is there.
        path: LocalPath,
    },
    /// A file where a directory is needed.
    #[error("{} is not a directory but has to be one", quoted(path))]
    NotADirectory {
        /// What is there.
        path: LocalPath,
    },
    /// The directory was moved or removed while something was put into it.
    #[error("{} was moved or removed meanwhile, and what came is in that directory", quoted(path))]
    Strayed {
        /// Where it was.
        path: LocalPath,
    },
}

/// That one above is missing, too.
fn above(path: &Path, first: &Path) -> String {
    if first == path { String::new() } else { format!(", nor {} above it", quoted(first)) }
}

impl DestError {
    /// That this directory is missing.
    pub fn absent(path: &Path) -> Self {
        let missing = path.ancestors().filter(|dir| !dir.as_os_str().is_empty()).take_while(|dir| !dir.exists());
        Self::Absent { path: path.into(), first: missing.last().unwrap_or(path).into() }
    }

    pub(in crate::io) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == ErrorKind::AlreadyExists {
            return Self::Exists { path: path.into() };
        }
        Self::Io { doing: doing.into(), path: path.into(), source: source.into() }
    }

    /// Whether the disk is full, or the user's share of it.
    pub fn is_full(&self) -> bool {
        self.is(&[Obstacle::Space, Obstacle::Quota])
    }

    /// Whether something is not there.
    pub fn is_missing(&self) -> bool {
        self.is(&[Obstacle::NotFound])
    }

    /// Whether another program has put something else, or nothing, where this one had its files.
    pub fn is_meddled(&self) -> bool {
        match self {
            Self::Absent { .. } | Self::NotADirectory { .. } | Self::NotAFile { .. } | Self::Strayed { .. } => true,
            Self::Foreign { .. } | Self::Link { .. } | Self::Linked { .. } | Self::OfAnother { .. } => true,
            Self::Exists { .. } => false,
            Self::Io { .. } => self.is_missing(),
        }
    }

    /// Whether the process has no descriptor left.
    pub(in crate::io) fn is_out_of_descriptors(&self) -> bool {
        self.is(&[Obstacle::OpenFiles, Obstacle::FileTable])
    }

    fn is(&self, kinds: &[Obstacle]) -> bool {
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind))
    }
}
