//! What a person should know that ends nothing: values, whose words are in `cli/say/notice.rs`.

use serde::{Deserialize, Serialize};

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
use crate::model::{Cause, ContentId, LocalPath, NodeId, Plane, SafePath};
use crate::node::{Error, Who};
use crate::wire::LeftOut;

/// What a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A job cannot be kept.
    Job {
        /// Its file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// What others offer to the person of this home cannot be kept.
    Inbox {
        /// Where.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// What was kept of that cannot be read.
    InboxUnread {
        /// Its file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// What was kept of a job cannot be read.
    JobUnread {
        /// Its file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// Something that is sent for a command that has left it cannot be.
    Put {
        /// Its number.
        number: u32,
        /// Why.
        error: Box<Error>,
    },
    /// What was to be sent cannot be read.
    PutsUnread {
        /// Its file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// What is kept to be offered cannot be read.
    Kept {
        /// Its file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// The transport's key had another length than 32 bytes and was made anew.
    KeyRenewed {
        /// The file.
        path: LocalPath,
        /// How many bytes it had.
        len: usize,
    },
    /// The commands of the home do not reach this node.
    NoControl(Cause),
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
    /// The usual port is another program's.
    PortTaken {
        /// Which that is.
        usual: u16,
        /// Where this listens.
        got: u16,
    },
    /// A buffer of the socket is far smaller than it should be.
    SmallBuffer(SmallBuffer),
}

/// What a person should know of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GetNotice {
    /// Something at the destination could not be done; the content is right.
    Dest(DestError),
    /// Of its providers.
    Download(DownloadNotice),
    /// The directory that was named holds most of it already: it is taken for that, and nothing is put into it.
    Earlier {
        /// The name of what is fetched.
        name: SafePath,
        /// The directory.
        path: LocalPath,
    },
    /// An earlier run has left something of what is one of several things now: with its id it can be gone on with.
    GoOn {
        /// What is left.
        kept: Kept,
        /// Where the result was to be put, where that was said.
        output: Option<LocalPath>,
        /// The globs of what was asked for.
        only: Vec<String>,
    },
    /// An earlier run has left something of what was not found now.
    Kept {
        /// What is left.
        kept: Kept,
        /// In which directory.
        dir: LocalPath,
    },
    /// A collection comes without some of its files that were asked for.
    LeftOut(Without),
    /// Files with other content stay, as they are not older than what is offered.
    NotOlder(Several),
    /// The result is not served further: not all of it is there.
    NotServed(SafePath),
    /// The result will not be served, as not all of it is asked for.
    PartNotServed(SafePath),
    /// Files that are older than what is offered are replaced.
    Replaces(Several),
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
        path: LocalPath,
        /// The other process, when known.
        pid: Option<u32>,
    },
}

/// What a person should know of who was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Friends near have not answered in time; what is chosen is what others know.
    SilentFriends(Vec<NodeId>),
    /// Friends near have not answered in time; what is shown is what others know.
    UnheardFriends(Vec<NodeId>),
    /// A node cannot prove the size that it claims.
    Unproven {
        /// Which.
        node: NodeId,
        /// Of what.
        id: ContentId,
        /// The claim.
        size: u64,
    },
    /// Somebody answers with what was not asked for; none where it is one of those near.
    Untrue(Option<Who>),
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// One or more files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Several {
    /// The first of them.
    pub first: Vec<SafePath>,
    /// How many more there are.
    pub more: usize,
}

impl Several {
    /// How many are named.
    const NAMED: usize = 5;

    /// Of all of them; none where there is none.
    pub(crate) fn of<'p>(all: impl IntoIterator<Item = &'p SafePath>) -> Option<Self> {
        let mut all = all.into_iter();
        let first: Vec<_> = all.by_ref().take(Self::NAMED).cloned().collect();
        (!first.is_empty()).then(|| Self { first, more: all.count() })
    }
}

/// Files that a collection comes without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Without {
    /// The collection's name.
    pub name: SafePath,
    /// Those that were asked for, and how many others there may be.
    pub files: LeftOut,
}

/// A list that people keep in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListName {
    /// Whom a tracker serves.
    Allowed,
    /// The friends of a home.
    Friends,
}

/// What the same words name, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::connections::ConnectError;
    use crate::io::net::dial::DialError;
    use crate::io::net::link::Loss;
    use crate::io::share::scan::{Omission, Skipped, Why};
    use crate::model::{Cause, Obstacle};

    #[test]
    fn notices_travel_and_are_equal_to_what_they_were() {
        let node = NodeId::of_public_key(b"n");
        let addr = "10.0.0.1:7".parse().expect("an address");
        let lost = ConnectError::Dial(DialError::Lost { addr, cause: Loss::Other("no".to_owned()) });
        let error = Error::Connect { who: Who::tracker("h:1"), source: Box::new(lost.clone()) };
        let source = Cause { kind: Obstacle::Space, text: "no space left on device".to_owned() };
        let skipped = Skipped { path: "/s/.ssh".into(), why: Why::Secret("ssh keys".into()) };
        let kept = Kept { id: ContentId::of(b"x"), name: None, have: 1, size: 2 };
        let only = vec!["*.c".to_owned()];
        let all: Vec<Notice> = vec![
            LookNotice::Failed(Box::new(error)).into(),
            GetNotice::Dest(DestError::Io { doing: "write".into(), path: "x".into(), source }).into(),
            GetNotice::Download(DownloadNotice::Unreachable { node, error: lost }).into(),
            GetNotice::GoOn { kept, output: Some("d".into()), only }.into(),
            Notice::Index(IndexNotice::Omitted(Omission::Skipped(skipped))),
        ];
        let bytes = rmp_serde::to_vec_named(&all).expect("written");
        assert_eq!(rmp_serde::from_slice::<Vec<Notice>>(&bytes).expect("read"), all);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_told_all_the_same() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::path::PathBuf::from(std::ffi::OsStr::from_bytes(b"a\xff"));
        let bytes = rmp_serde::to_vec_named(&Notice::Index(IndexNotice::Gone(path.into()))).expect("written");
        let read: Notice = rmp_serde::from_slice(&bytes).expect("read");
        assert_eq!(read, Notice::Index(IndexNotice::Gone("a\u{fffd}".into())));
    }
}
