//! Everything that can go wrong for a caller of the node, as values: the thing and the cause; one code word for programs;
//! one exit code. What to do about it, in the words of a command line, stands in `cli/say.rs`.
//! Invariant: no message holds text from the network or a path that was not escaped.

use std::time::Duration;

use ractor::SpawnErr;
use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

use crate::actors::connections::{ConnectError, ConnectKind};
use crate::actors::download::DownloadError;
use crate::io::home::HomeError;
use crate::io::home::identity::IdentityError;
use crate::io::home::lines::LinesError;
use crate::io::net::endpoint::BindError;
use crate::io::net::frames::CallError;
use crate::io::receive::accepts::AcceptError;
use crate::io::receive::dest::DestError;
use crate::io::receive::existing::ExistingError;
use crate::io::receive::partial::{PartialError, holder};
use crate::io::share::scan::SurveyError;
use crate::logic::limits::jobs::JobError;
use crate::logic::offers::suggest::Suggestion;
use crate::logic::offers::tally::Beyond;
use crate::model::collection::CollectionError;
use crate::model::query::QueryError;
use crate::model::safe_path::PathError;
use crate::model::{Cause, ContentId, Hit, LocalPath, NodeId, Obstacle, Shown, Size};
use crate::node::types::Without;
use crate::wire::{Code, Role};

mod code;
mod control;
mod lack;
mod who;

pub use crate::model::text::path::shown;
pub use code::ErrorCode;
pub use control::ControlError;
pub use lack::Lack;
pub use who::{Who, Whom};

/// A content, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: ContentId,
    /// A name of it.
    pub name: String,
}

/// Why the node could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// The destination's file system cannot hold the names.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// An order for a job cannot be carried out.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The words match several ids.
    #[error("`{}` matches several different things", Shown(.what))]
    Ambiguous {
        /// The words.
        what: String,
        /// What they match, best first.
        hits: Vec<Hit>,
        /// How many more they match.
        beyond: Beyond,
        /// The directory of each that the words name, where they do.
        beneath: Option<String>,
    },
    /// An id prefix fits several known nodes.
    #[error("the id prefix `{}` fits {count} nodes", Shown(.prefix))]
    AmbiguousPeer {
        /// As given.
        prefix: String,
        /// How many nodes.
        count: usize,
    },
    /// Another transfer of the same content has the partial file, and does not get on.
    #[error("{} fetches the same content into {} and nothing came there for {}", holder(*.pid), shown(.path), humantime::format_duration(*.waited))]
    Awaited {
        /// The partial file.
        path: LocalPath,
        /// The other process, when known.
        pid: Option<u32>,
        /// For how long nothing came.
        waited: Duration,
    },
    /// It was cancelled while another transfer of the same content had the partial file.
    #[error("interrupted; {} goes on fetching the same content into {}", holder(*.pid), shown(.path))]
    Overtaken {
        /// The partial file.
        path: LocalPath,
        /// The other process, when known.
        pid: Option<u32>,
    },
    /// What was offered to this node alone is not what it was said to be.
    #[error("{} was offered with {} and is another thing, of {}", Shown(.name), Size(*.size), Size(*.is))]
    OtherThanGiven {
        /// Its name.
        name: String,
        /// Its bytes as they were claimed.
        size: u64,
        /// The bytes that it has.
        is: u64,
    },
    /// The beginning of an id is that of another content now than of the one that this home was shown.
    #[error(
        "`{}` is the beginning of {} ({}), which was shown here and nobody has now, and of {} ({})",
        Shown(.prefix), .shown.id, Shown(&.shown.name), .found.id, Shown(&.found.name)
    )]
    OtherThanShown {
        /// As given.
        prefix: String,
        /// What this home was shown.
        shown: Box<Named>,
        /// What is there now.
        found: Box<Named>,
    },
    /// A collection's list cannot be used.
    #[error("the collection {id} is refused whole: {source}")]
    BadCollection {
        /// Which.
        id: ContentId,
        /// Why.
        source: CollectionError,
    },
    /// `-o FILE` is not a name.
    #[error("{} cannot be a result's name ({cause})", shown(.path))]
    BadTarget {
        /// As given.
        path: LocalPath,
        /// Why.
        cause: PathError,
    },
    /// The socket or the key cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no link to a place.
    #[error("{who}: {source}")]
    Connect {
        /// Which place.
        who: Who,
        /// Why.
        source: Box<ConnectError>,
    },
    /// The running node of the home does not do it.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The destination refused.
    #[error(transparent)]
    Dest(#[from] DestError),
    /// `--only` leaves a single file out.
    #[error("`{}` is a single file and not among what was asked for", Shown(.name))]
    DoesNotMatch {
        /// The file's name.
        name: String,
    },
    /// What is at the target may not be replaced.
    #[error(transparent)]
    Existing(#[from] ExistingError),
    /// The other side does not serve this node.
    #[error("{who} does not serve this node")]
    Forbidden {
        /// Who refused.
        who: Who,
        /// This node.
        node: NodeId,
    },
    /// What was asked for is left out of the collection by whoever shares it.
    #[error("nothing of `{}` that was asked for can be had", Shown(.name))]
    LeftOut {
        /// The collection's name.
        name: String,
        /// Which files, and why.
        without: Without,
    },
    /// The transfer failed on its way.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The friends of this home cannot be read.
    #[error(transparent)]
    Friends(#[from] LinesError),
    /// Something on this side ended a transfer of which something is kept.
    #[error("{error}")]
    Halted {
        /// What.
        error: Box<Self>,
        /// Proven bytes.
        have: u64,
        /// Bytes altogether.
        total: u64,
    },
    /// The home cannot be used, or another process has it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The identity cannot be read or made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What was found says of itself what cannot be.
    #[error("whoever offers {id} says that it has {size} bytes, which nothing of that id has")]
    Impossible {
        /// Which.
        id: ContentId,
        /// The size that is claimed.
        size: u64,
    },
    /// Nothing came for too long, or nobody is left who could give the rest.
    #[error("`{}` is incomplete", Shown(.name))]
    Incomplete {
        /// The name, or the id while there is none.
        name: String,
        /// Proven bytes.
        have: u64,
        /// Bytes altogether.
        total: u64,
        /// Why.
        lack: Box<Lack>,
    },
    /// Something of the node itself failed; the state is on disk.
    #[error("the node stopped ({})", Shown(&.0.to_string()))]
    Internal(#[from] Fault),
    /// The transfer was cancelled.
    #[error("interrupted")]
    Interrupted {
        /// Proven bytes.
        have: u64,
        /// Bytes altogether.
        total: u64,
    },
    /// Everyone who has it gives another list than the id's.
    #[error("nobody could give the list of the collection {id}")]
    NoManifest {
        /// Which.
        id: ContentId,
        /// Why.
        lack: Box<Lack>,
    },
    /// Nobody has this name.
    #[error("no friend is called `{}`, nor can a host of this name be found", Shown(.name))]
    NoFriend {
        /// As given.
        name: String,
    },
    /// It serves its friends only.
    #[error("{who} serves only its friends")]
    NotAFriend {
        /// Who.
        who: Who,
    },
    /// `--only` leaves nothing over.
    #[error("no file in `{}` is among what was asked for", Shown(.name))]
    NoneMatch {
        /// The collection's name.
        name: String,
        /// Its id.
        id: ContentId,
    },
    /// A file is not a collection.
    #[error("{id} is a file and not a collection")]
    NotACollection {
        /// Which.
        id: ContentId,
    },
    /// A collection cannot be written to a stream.
    #[error("`{}` is a collection and only one file can be written to standard output", Shown(.name))]
    NotAFile {
        /// The collection's name.
        name: String,
    },
    /// Nobody offers it.
    #[error("nothing was found for `{}` at {asked}", Shown(.what))]
    NotFound {
        /// The words or the id.
        what: String,
        /// Who was asked.
        asked: Whom,
        /// What is nearly so.
        near: Vec<Suggestion>,
    },
    /// Whoever offers it could not hash it.
    #[error("`{}` has no id yet", Shown(.name))]
    NotHashed {
        /// Its name.
        name: String,
        /// Why.
        lack: Box<Lack>,
    },
    /// Neither tracker nor peer is known, and the local network is not to be asked.
    #[error("there is nowhere to look")]
    NowhereToLook,
    /// The list of nodes that may use a tracker cannot be read.
    #[error(transparent)]
    Allow(LinesError),
    /// The partial file or tree cannot be kept or published.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// The answer makes no sense.
    #[error("{who} does not speak qshare/1 as it should ({})", Shown(&.cause.to_string()))]
    Protocol {
        /// Who.
        who: Who,
        /// What was wrong.
        cause: CallError,
    },
    /// Not a query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The other side refused.
    #[error("{who} refused: {code}")]
    Refused {
        /// Who.
        who: Who,
        /// Why.
        code: Code,
    },
    /// The output cannot be written.
    #[error("standard output cannot be written ({0})")]
    Stdout(#[source] Cause),
    /// What was given to share cannot be shared.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It would go where other content of the same errand is.
    #[error("{id} would go to {}, where another thing of this command is", shown(.path))]
    Taken {
        /// Where.
        path: LocalPath,
        /// Which.
        id: ContentId,
    },
    /// A temporary file cannot be made, filled or read.
    #[error("a temporary file in {} cannot be used ({source})", shown(.dir))]
    Temporary {
        /// Where.
        dir: LocalPath,
        /// Why.
        source: Cause,
    },
    /// A file is larger than any that can be shared.
    #[error("{id} claims more than can be shared, {}", Size(*.size))]
    TooLarge {
        /// Which.
        id: ContentId,
        /// The claim.
        size: u64,
    },
    /// A collection has more files and directories than are taken.
    #[error("the collection {id} has {entries} files and directories, and at most {most} are taken")]
    TooManyFiles {
        /// Which.
        id: ContentId,
        /// How many it has.
        entries: usize,
        /// How many would have to be allowed.
        needed: usize,
        /// How many are.
        most: usize,
    },
    /// No known node has this id or prefix.
    #[error("no node `{}` is known here", Shown(.peer))]
    UnknownPeer {
        /// As given.
        peer: String,
    },
    /// Nobody answers.
    #[error("{who} does not answer ({})", Shown(&.cause.to_string()))]
    Unreachable {
        /// Who.
        who: Who,
        /// Why.
        cause: Silence,
    },
    /// A local path cannot be read.
    #[error("{} cannot be read ({source})", shown(.path))]
    Unreadable {
        /// Which.
        path: LocalPath,
        /// Why.
        source: Cause,
    },
    /// The place is something else than it was named for.
    #[error("{who} is a {} and not a {}", Who::word(*.role), Who::word(.who.role))]
    WrongRole {
        /// Which place.
        who: Who,
        /// What it is.
        role: Role,
    },
}

/// What a part of the node comes to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What of the node itself failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// An actor, with this error.
    #[error("{0}")]
    Actor(String),
    /// An actor that was to be started, with this error.
    #[error("{0}")]
    Start(String),
    /// A transfer to a stream found its content at a destination, which it has not.
    #[error("what goes to a stream is never there already")]
    StreamIsThere,
    /// A task panicked or was cut off, in the runtime's words.
    #[error("{0}")]
    Task(String),
}

impl From<SpawnErr> for Error {
    fn from(error: SpawnErr) -> Self {
        Self::Internal(Fault::Start(error.to_string()))
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::Internal(Fault::Task(error.to_string()))
    }
}

/// Why somebody does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Silence {
    /// The exchange was broken off.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl Error {
    /// Whether nothing was found, but something that is spelled nearly so.
    #[must_use]
    pub const fn is_nearly_found(&self) -> bool {
        matches!(self, Self::NotFound { near, .. } if !near.is_empty())
    }

    /// There is no link to a place.
    pub(crate) fn connect(who: Who, own: NodeId, error: ConnectError) -> Self {
        match error.kind() {
            ConnectKind::Forbidden => Self::Forbidden { who, node: own },
            _ => Self::Connect { who, source: Box::new(error) },
        }
    }

    /// An exchange with a place failed.
    pub(crate) fn call(who: Who, error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) if refusal.code == Code::Forbidden => Self::NotAFriend { who },
            CallError::Refused(refusal) => Self::Refused { who, code: refusal.code },
            CallError::Lost(_) | CallError::TimedOut | CallError::Reset(_) => {
                Self::Unreachable { who, cause: error.into() }
            }
            CallError::Ended | CallError::Frame(_) => Self::Protocol { who, cause: error },
        }
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Accept(_) | Self::Dest(_) => ErrorCode::Destination,
            Self::Job(JobError::Full) => ErrorCode::Busy,
            Self::Job(JobError::State { .. }) => ErrorCode::Usage,
            Self::Job(JobError::Unknown { .. }) => ErrorCode::NotFound,
            Self::Allow(LinesError::Io { .. }) => ErrorCode::Unreadable,
            Self::Allow(LinesError::Malformed { .. }) => ErrorCode::Usage,
            Self::OtherThanGiven { .. } => ErrorCode::Protocol,
            Self::Ambiguous { .. } | Self::AmbiguousPeer { .. } | Self::OtherThanShown { .. } => ErrorCode::Ambiguous,
            Self::BadCollection { .. } | Self::Impossible { .. } | Self::Protocol { .. } | Self::TooLarge { .. } => {
                ErrorCode::Protocol
            }
            Self::BadTarget { .. } | Self::NotAFile { .. } | Self::NowhereToLook | Self::Query(_) => ErrorCode::Usage,
            Self::Bind(_) => ErrorCode::Listen,
            Self::Connect { source, .. } => connect_code(source),
            Self::Control(error) => error.code(),
            Self::Download(DownloadError::Partial(error)) | Self::Partial(error) if error.is_full() => {
                ErrorCode::NoSpace
            }
            Self::Download(DownloadError::Partial(_)) | Self::Partial(_) => ErrorCode::Destination,
            Self::Existing(_) | Self::Taken { .. } => ErrorCode::Exists,
            Self::Forbidden { .. } | Self::NotAFriend { .. } => ErrorCode::Forbidden,
            Self::Friends(_) => ErrorCode::Home,
            Self::Halted { error, .. } => error.code(),
            Self::Home(HomeError::Absent) => ErrorCode::Usage,
            Self::Home(HomeError::Locked { .. }) => ErrorCode::HomeLocked,
            Self::Home(_) | Self::Identity(_) => ErrorCode::Home,
            Self::Awaited { .. } | Self::Incomplete { .. } => ErrorCode::Incomplete,
            Self::NoManifest { lack, .. } | Self::NotHashed { lack, .. } if lack.waited.is_some() => {
                ErrorCode::Incomplete
            }
            Self::Download(DownloadError::Stopped)
            | Self::Internal(_)
            | Self::NotACollection { .. }
            | Self::Refused { .. }
            | Self::Stdout(_)
            | Self::TooManyFiles { .. } => ErrorCode::Failed,
            Self::Interrupted { .. } | Self::Overtaken { .. } => ErrorCode::Interrupted,
            Self::NoManifest { .. } | Self::NotHashed { .. } | Self::Unreachable { .. } => ErrorCode::Unreachable,
            Self::LeftOut { .. } => ErrorCode::Incomplete,
            Self::DoesNotMatch { .. }
            | Self::NoFriend { .. }
            | Self::NoneMatch { .. }
            | Self::NotFound { .. }
            | Self::UnknownPeer { .. } => ErrorCode::NotFound,
            Self::Survey(error) if error.is_usage() => ErrorCode::Usage,
            Self::Temporary { source, .. } if source.kind == Obstacle::Space => ErrorCode::NoSpace,
            Self::Temporary { .. } => ErrorCode::Failed,
            Self::Survey(_) | Self::Unreadable { .. } => ErrorCode::Unreadable,
            Self::WrongRole { .. } => ErrorCode::Usage,
        }
    }
}

const fn connect_code(error: &ConnectError) -> ErrorCode {
    match error.kind() {
        ConnectKind::OtherKey => ErrorCode::KeyChanged,
        ConnectKind::Forbidden => ErrorCode::Forbidden,
        ConnectKind::NotQshare => ErrorCode::Protocol,
        ConnectKind::Own | ConnectKind::OtherRole => ErrorCode::Usage,
        ConnectKind::Stopped => ErrorCode::Failed,
        ConnectKind::Trust => ErrorCode::Home,
        ConnectKind::Resolve | ConnectKind::Unreachable => ErrorCode::Unreachable,
    }
}
