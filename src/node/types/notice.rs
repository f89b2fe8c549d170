//! What a person should know that ends nothing: values, whose words are in `cli/say/notice.rs`.

use std::path::PathBuf;

use crate::actors::announcer::AnnouncerNotice;
use crate::actors::directory::Refusals;
use crate::actors::download::DownloadNotice;
use crate::actors::index::IndexNotice;
use crate::actors::neighbours::NeighbourNotice;
use crate::io::home::lines::LinesError;
use crate::io::net::udp::SmallBuffer;
use crate::io::receive::dest::DestError;
use crate::io::receive::partial::Superseded;
use crate::io::share::cache::Renewed;
use crate::model::{ContentId, NodeId, Plane, SafePath};
use crate::node::{Error, Who};
use crate::wire::LeftOut;

/// What a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Of a tracker to which is announced.
    Announcer(AnnouncerNotice),
    /// A line of a file of the home is not as it should be, and is left out.
    Broken(LinesError),
    /// The hash cache is begun again.
    CacheRenewed(Renewed),
    /// The directory of this tracker is full.
    DirectoryFull(Refusals),
    /// Of a transfer.
    Get(GetNotice),
    /// Of what is shared.
    Index(IndexNotice),
    /// The transport's key had another length than 32 bytes and was made anew.
    KeyRenewed {
        /// The file.
        path: PathBuf,
        /// How many bytes it had.
        len: usize,
    },
    /// A list that people keep in a file has changed and cannot be taken, or not all of it.
    List {
        /// Which list.
        list: ListName,
        /// Nothing of it could be read: the one from before stays.
        stays: bool,
        /// Why.
        error: LinesError,
    },
    /// Of who was asked for what is looked for.
    Look(LookNotice),
    /// Of the neighbours.
    Neighbour(NeighbourNotice),
    /// A buffer of the socket is far smaller than it should be.
    SmallBuffer(SmallBuffer),
}

/// What a person should know of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetNotice {
    /// Something at the destination could not be done; the content is right.
    Dest(DestError),
    /// Of its providers.
    Download(DownloadNotice),
    /// An earlier run has left something of what is one of several things now: with its id it can be gone on with.
    GoOn {
        /// What is left.
        kept: Kept,
        /// Where the result was to be put, where that was said.
        output: Option<PathBuf>,
        /// The globs of what was asked for.
        only: Vec<String>,
    },
    /// An earlier run has left something of what was not found now.
    Kept {
        /// What is left.
        kept: Kept,
        /// In which directory.
        dir: PathBuf,
    },
    /// A collection comes without some of its files that were asked for.
    LeftOut(Without),
    /// The result is not served further: not all of it is there.
    NotServed(SafePath),
    /// The result will not be served, as not all of it is asked for.
    PartNotServed(SafePath),
    /// Something else is meant by the same words.
    Rival(Rival),
    /// An unfinished transfer of other content is at the same name.
    Superseded {
        /// The name.
        name: SafePath,
        /// What is there.
        earlier: Superseded,
        /// All of the new content is asked for.
        whole: bool,
    },
    /// Nobody tells the times of what was fetched.
    TimesUnknown(SafePath),
    /// Another transfer of the same content has the place.
    Waiting {
        /// The partial file.
        path: PathBuf,
        /// The other process, when known.
        pid: Option<u32>,
    },
}

/// What a person should know of who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookNotice {
    /// Somebody did not answer as it should; others did.
    Failed(Box<Error>),
    /// Somebody offers what nobody can have.
    Impossible {
        /// Who, as far as is known.
        node: Option<NodeId>,
        /// Which content.
        id: ContentId,
        /// The size that is claimed.
        size: u64,
    },
    /// Somebody has not answered; what is shown is what others know.
    Silent(Who),
    /// A node cannot prove the size that it claims.
    Unproven {
        /// Which.
        node: NodeId,
        /// Of what.
        id: ContentId,
        /// The claim.
        size: u64,
    },
    /// A node sent another list than the collection's.
    WrongList {
        /// Which.
        node: NodeId,
        /// Of which collection.
        id: ContentId,
    },
}

impl From<GetNotice> for Notice {
    fn from(notice: GetNotice) -> Self {
        Self::Get(notice)
    }
}

impl From<LookNotice> for Notice {
    fn from(notice: LookNotice) -> Self {
        Self::Look(notice)
    }
}

/// What an earlier run has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of what.
    pub id: ContentId,
    /// The name it was to have, where that is known.
    pub name: Option<SafePath>,
    /// Proven bytes.
    pub have: u64,
    /// Bytes altogether.
    pub size: u64,
}

/// Files that a collection comes without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Without {
    /// The collection's name.
    pub name: SafePath,
    /// Those that were asked for, and how many others there may be.
    pub files: LeftOut,
}

/// A list that people keep in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListName {
    /// Whom a tracker serves.
    Allowed,
    /// The friends of a home.
    Friends,
}

/// What the same words name, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// The words.
    pub words: String,
    /// The other content.
    pub id: ContentId,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it was found.
    pub plane: Plane,
    /// What was chosen, and where that was found.
    pub chosen: (ContentId, Plane),
}
