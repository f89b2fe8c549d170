//! How a file is opened and a name taken, and what is known of a name.

use crate::io::share::stamp::FileStamp;

/// How a file is opened. Nothing but a regular file is ever opened or waited for, and what is there already is written
/// only if it is ours alone: our user's, with one name. Else somebody has put it there, and writing would go through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read and write; made anew, in the place of a file or link that has the name.
    Anew,
    /// To read and write; made anew, and refused when anything has the name.
    CreateNew,
    /// To read and write; made when missing.
    OpenOrCreate,
    /// To read.
    Read,
}

/// What has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// What is known of a name without following it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub len: u64,
    /// Bytes that the file system has set aside for it.
    pub allocated: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Device and inode; `None` where there is no such thing.
    pub identity: Option<(u64, u64)>,
    /// How many names it has.
    pub links: u64,
    /// Whose it is; `None` where there is no such thing.
    pub owner: Option<u32>,
    /// Its state; `None` where that does not tell one file from another.
    pub stamp: Option<FileStamp>,
}

/// Whether a rename may take the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Whatever has the name stays, and the rename is refused.
    Never,
    /// A regular file is replaced; anything else is refused.
    File,
}
