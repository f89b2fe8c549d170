//! What could not be looked at, and why: that says nothing about what is there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::io::scan::skip::shown;
use crate::model::SafePath;

/// A place in a root that could not be looked at; everything beneath it is as unknown as itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The name that it has, or would have, in what is offered.
    pub name: SafePath,
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// This user may not list or read it.
    Denied,
    /// This process has no descriptor left.
    Descriptors,
    /// The disk does not answer as it should.
    Disk,
    /// What it was mounted from is not there any more.
    Mount,
    /// The whole system has no descriptor left.
    SystemDescriptors,
    /// A server does not answer.
    TimedOut,
    /// Something else, in the system's words.
    Other(String),
}

impl Unseen {
    pub(super) fn new(name: &SafePath, path: &Path, error: &io::Error) -> Self {
        Self { name: name.clone(), path: path.to_owned(), cause: Cause::of(error) }
    }

    /// The sentence about something that was looked at before.
    #[must_use]
    pub fn still_offered(&self, more: usize) -> String {
        let others = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let path = shown(&self.path);
        let (cause, cure) = (&self.cause, self.cause.cure());
        format!("{path}{others} cannot be looked at because {cause}: what was offered of it stays offered, {cure}")
    }
}

/// For the first look at something.
impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, cause, cure) = (shown(&self.path), &self.cause, self.cause.cure());
        write!(f, "{path} is left out for now because {cause}: {cure}")
    }
}

impl Cause {
    /// Why the system refused.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let known = Self::of_errno(error).unwrap_or_else(|| Self::Other(error.to_string()));
        if error.kind() == io::ErrorKind::PermissionDenied { Self::Denied } else { known }
    }

    #[cfg(unix)]
    fn of_errno(error: &io::Error) -> Option<Self> {
        use rustix::io::Errno;
        match Errno::from_raw_os_error(error.raw_os_error()?) {
            Errno::MFILE => Some(Self::Descriptors),
            Errno::NFILE => Some(Self::SystemDescriptors),
            Errno::IO => Some(Self::Disk),
            Errno::STALE | Errno::NOTCONN | Errno::NODEV | Errno::NXIO => Some(Self::Mount),
            Errno::TIMEDOUT | Errno::HOSTDOWN => Some(Self::TimedOut),
            _ => None,
        }
    }

    #[cfg(not(unix))]
    fn of_errno(_: &io::Error) -> Option<Self> {
        None
    }

    /// What to do about it; it is tried again in any case.
    #[must_use]
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::Denied => "let this user list and read it",
            Self::Descriptors => "raise this process's limit of open files (ulimit -n)",
            Self::Disk => "look in the system's log for what is wrong with the disk",
            Self::Mount => "mount it again",
            Self::SystemDescriptors => "raise the sysctl fs.file-max",
            Self::TimedOut => "see whether the server that it lies on can be reached",
            Self::Other(_) => "it is looked at again and again",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "this user may not",
            Self::Descriptors => "too many files are open in this process",
            Self::Disk => "its disk fails",
            Self::Mount => "what it was mounted from is gone",
            Self::SystemDescriptors => "too many files are open in the whole system",
            Self::TimedOut => "its server does not answer",
            Self::Other(cause) => cause,
        })
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
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn absence_is_an_answer_and_nothing_else_is() {
        let errors =
            [Errno::ACCESS, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::STALE, Errno::TIMEDOUT, Errno::NOTCONN];
        for errno in errors {
            assert!(!is_absence(&errno.into()), "{errno:?}");
            assert!(!matches!(Cause::of(&errno.into()), Cause::Other(_)), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP] {
            assert!(is_absence(&errno.into()), "{errno:?}");
        }
    }
}
