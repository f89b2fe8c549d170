//! Why the operating system refused something with a path, by what a person can do about it.
//! Not responsible for what was tried, nor for what else is possible there: the sentence around it says that.

use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};

/// Numbers for which the standard library has no kind; Linux and macOS have the same ones (errno(3)).
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
/// On Linux.
const ELOOP: i32 = 40;

/// Why the operating system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Obstacle {
    /// Somebody else uses it.
    Busy,
    /// Whoever read it has closed it.
    Closed,
    /// A directory where a file is needed.
    Directory,
    /// The disk fails, or nothing better is known.
    Disk,
    /// The file would be larger than the process may write, or its file system takes.
    FileSize,
    /// The system as a whole has no more open files.
    FileTable,
    /// Neither a file nor a directory as is needed.
    Kind,
    /// Links that lead to each other.
    Loop,
    /// A name that the file system does not take.
    Name,
    /// Nothing is there.
    NotFound,
    /// A file where a directory is needed.
    NotDirectory,
    /// Two places have to be on one file system, and are not.
    OtherDevice,
    /// The process has no more open files.
    OpenFiles,
    /// The user may not.
    Permission,
    /// The user's share of the disk is full.
    Quota,
    /// Nothing can be written there.
    ReadOnly,
    /// The disk is full.
    Space,
    /// Not text in UTF-8.
    Text,
    /// The file system cannot do it.
    Unsupported,
    /// A file system of another machine has gone.
    Unreachable,
}

impl Obstacle {
    /// What an error means.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy | ErrorKind::WouldBlock => Self::Busy,
            ErrorKind::BrokenPipe => Self::Closed,
            ErrorKind::CrossesDevices => Self::OtherDevice,
            ErrorKind::IsADirectory => Self::Directory,
            ErrorKind::FileTooLarge => Self::FileSize,
            ErrorKind::InvalidFilename => Self::Name,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::NotADirectory => Self::NotDirectory,
            ErrorKind::PermissionDenied => Self::Permission,
            ErrorKind::QuotaExceeded => Self::Quota,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull => Self::Space,
            ErrorKind::InvalidData => Self::Text,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::StaleNetworkFileHandle
            | ErrorKind::NotConnected
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut => Self::Unreachable,
            _ => match error.raw_os_error() {
                Some(EMFILE) if cfg!(unix) => Self::OpenFiles,
                Some(ENFILE) if cfg!(unix) => Self::FileTable,
                Some(ELOOP) if cfg!(target_os = "linux") => Self::Loop,
                // Not the system's word, but ours about what is there.
                None if error.kind() == ErrorKind::Other => Self::Kind,
                // EIO is the usual one of those without a kind.
                _ => Self::Disk,
            },
        }
    }
}

/// An error of the operating system, as a value: it can be compared, kept and sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Cause {
    /// What it means.
    pub kind: Obstacle,
    /// The system's words, without their number.
    pub text: String,
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        Self { kind: Obstacle::of(error), text: cause(error) }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        (&error).into()
    }
}

impl From<ErrorKind> for Cause {
    fn from(kind: ErrorKind) -> Self {
        io::Error::from(kind).into()
    }
}

/// The system's words for an error, without their number.
#[must_use]
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.chars().take(1).flat_map(char::to_lowercase).chain(words.chars().skip(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    const EIO: i32 = 5;

    #[cfg(unix)]
    #[test]
    fn each_cause_is_told_from_the_others() {
        let numbers = [
            (EIO, Obstacle::Disk),
            (ENFILE, Obstacle::FileTable),
            (EMFILE, Obstacle::OpenFiles),
            (rustix::io::Errno::ACCESS.raw_os_error(), Obstacle::Permission),
            (rustix::io::Errno::BUSY.raw_os_error(), Obstacle::Busy),
            #[cfg(target_os = "linux")]
            (rustix::io::Errno::LOOP.raw_os_error(), Obstacle::Loop),
            (rustix::io::Errno::DQUOT.raw_os_error(), Obstacle::Quota),
            (rustix::io::Errno::FBIG.raw_os_error(), Obstacle::FileSize),
            (rustix::io::Errno::ISDIR.raw_os_error(), Obstacle::Directory),
            (rustix::io::Errno::NAMETOOLONG.raw_os_error(), Obstacle::Name),
            (rustix::io::Errno::NOENT.raw_os_error(), Obstacle::NotFound),
            (rustix::io::Errno::NOSPC.raw_os_error(), Obstacle::Space),
            (rustix::io::Errno::NOTDIR.raw_os_error(), Obstacle::NotDirectory),
            (rustix::io::Errno::OPNOTSUPP.raw_os_error(), Obstacle::Unsupported),
            (rustix::io::Errno::PERM.raw_os_error(), Obstacle::Permission),
            (rustix::io::Errno::ROFS.raw_os_error(), Obstacle::ReadOnly),
            (rustix::io::Errno::STALE.raw_os_error(), Obstacle::Unreachable),
        ];
        for (number, expected) in numbers {
            assert_eq!(Obstacle::of(&io::Error::from_raw_os_error(number)), expected, "errno {number}");
        }
        let invalid = io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8");
        assert_eq!(Obstacle::of(&invalid), Obstacle::Text);
        assert_eq!(Obstacle::of(&io::Error::other("it is not a regular file")), Obstacle::Kind);
    }

    #[test]
    fn the_words_come_without_their_number() {
        assert_eq!(cause(&io::Error::other("Odd thing (os error 7)")), "odd thing");
        assert_eq!(cause(&ErrorKind::NotFound.into()), "entity not found");
    }
}
