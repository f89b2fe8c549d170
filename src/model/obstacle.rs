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

    /// What to do about it, as the beginning of an advice.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Busy => "stop the program that uses it",
            Self::Directory => "give a file and not a directory",
            Self::Closed | Self::Disk | Self::OtherDevice => "see that the disk is well",
            Self::FileSize => {
                "raise the limit of a file's size (ulimit -f), or use a file system that takes larger files"
            }
            Self::FileTable => "end other programs or raise the sysctl fs.file-max",
            Self::Kind => "give a regular file and not a device, pipe or socket",
            Self::Loop => "mend its links (they lead in a circle)",
            Self::Name => "use a shorter or simpler name",
            Self::NotFound => "check the path",
            Self::NotDirectory => "check the path (a part of it is a file)",
            Self::OpenFiles => "raise the limit of open files (ulimit -n)",
            Self::Permission => "check its permissions and its owner",
            Self::Quota => "free some of your quota there",
            Self::ReadOnly => "make its file system writable",
            Self::Space => "free some space there",
            Self::Text => "save it as text in UTF-8",
            Self::Unsupported => "its file system cannot do what is needed, use another one",
            Self::Unreachable => "see that its file system is mounted and its server answers",
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

/// What to do about an error, as the beginning of an advice.
#[must_use]
pub fn advice(error: &io::Error) -> &'static str {
    Obstacle::of(error).advice()
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
    fn each_cause_has_its_advice() {
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
        let mut advices = std::collections::BTreeMap::new();
        for (number, expected) in numbers {
            let found = Obstacle::of(&io::Error::from_raw_os_error(number));
            assert_eq!(found, expected, "errno {number}");
            let same = advices.insert(found.advice(), found).is_none_or(|other| other == found);
            assert!(same, "two causes have one advice: {}", found.advice());
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
