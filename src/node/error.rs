//! Everything that can go wrong for a caller of the node: one sentence that names the thing and the cause,
//! and what to do; one code word for programs; one exit code.
//! Invariant: no message holds text from the network or a path that was not escaped.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::collection::CollectionError;
use crate::model::query::QueryError;
use crate::model::safe_path::PathError;
use crate::model::{ContentId, Hit, NodeId, SafePath, Shown, Size};

mod code;
mod who;

pub use code::ErrorCode;
pub use who::Who;

/// How many things one sentence names before it counts the rest.
const NAMED: usize = 20;

/// Why the node could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words match several ids.
    #[error("`{}` matches {} different things; run again with one of their ids or with more words", Shown(.what), .hits.len())]
    Ambiguous {
        /// The words.
        what: String,
        /// What they match, best first.
        hits: Vec<Hit>,
    },
    /// An id prefix fits several known nodes.
    #[error("the id prefix `{}` fits {count} nodes; give more of its characters", Shown(.prefix))]
    AmbiguousPeer {
        /// As given.
        prefix: String,
        /// How many nodes.
        count: usize,
    },
    /// A collection's list cannot be used.
    #[error("the collection {id} is refused whole: {source}; nothing of it was written")]
    BadCollection {
        /// Which.
        id: ContentId,
        /// Why.
        source: CollectionError,
    },
    /// A line of `share --list` is not `name<TAB>path`.
    #[error("line {line} of {} is refused: {cause}; write one `name<TAB>path` a line", shown(.path))]
    BadList {
        /// The list.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        cause: String,
    },
    /// A glob of `--exclude` or an ignore file cannot be read.
    #[error("the pattern `{}` is refused: {}", Shown(.pattern), Shown(.cause))]
    BadPattern {
        /// As given.
        pattern: String,
        /// Why.
        cause: String,
    },
    /// The answering side has no room right now.
    #[error("{who} is busy; try again in {seconds} s")]
    Busy {
        /// `tracker HOST:PORT` or `peer …`.
        who: Who,
        /// When.
        seconds: u32,
    },
    /// The destination cannot be written.
    #[error("{} cannot be written: {source}; give another place with -o", shown(.path))]
    Destination {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another transfer writes the same partial file.
    #[error("{} is already being fetched by another process; wait for it or give another place with -o", shown(.path))]
    DestinationBusy {
        /// The partial file.
        path: PathBuf,
    },
    /// A symlink or something else in the destination is in the way.
    #[error("{} is in the way: {cause}; move it or give another place with -o", shown(.path))]
    DestinationBlocked {
        /// What.
        path: PathBuf,
        /// What it is.
        cause: String,
    },
    /// Files exist with other content.
    #[error("{} with other content; pass --force to replace just {}, or give another place with -o", existing(.paths), if .paths.len() == 1 { "it" } else { "those" })]
    Exists {
        /// All of them.
        paths: Vec<PathBuf>,
    },
    /// The other side does not serve this node.
    #[error("{who} refused this node: its id {node} is not on the allow list; ask whoever runs it to add the id")]
    Forbidden {
        /// Who refused.
        who: Who,
        /// This node.
        node: NodeId,
    },
    /// The home cannot be used.
    #[error("the home {} cannot be used: {}; give another with --home", shown(.path), Shown(.cause))]
    Home {
        /// Which path within it.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Another long-running node has the home.
    #[error("the home {} is in use by {}; stop that one or give another home with --home", shown(.path), holder(.pid))]
    HomeLocked {
        /// Which.
        path: PathBuf,
        /// By whom, if it is known.
        pid: Option<u32>,
    },
    /// No provider for too long, or none that is honest.
    #[error("{} is incomplete, {} of {} are proven and kept: {}; run the same command again to go on", Shown(.name), Size(*.have), Size(*.total), Shown(.cause))]
    Incomplete {
        /// The name, or the id while there is none.
        name: String,
        /// Proven bytes.
        have: u64,
        /// Bytes altogether.
        total: u64,
        /// Why.
        cause: String,
    },
    /// An actor failed; the state is on disk.
    #[error("the {part} stopped: {}; what was proven is kept, start again", Shown(.cause))]
    Internal {
        /// Which actor.
        part: &'static str,
        /// Why.
        cause: String,
    },
    /// The transfer was cancelled.
    #[error("interrupted {}; run the same command again to go on", kept(*.have, *.total))]
    Interrupted {
        /// Proven bytes.
        have: u64,
        /// Bytes altogether.
        total: u64,
    },
    /// Somebody else answers than who is remembered.
    #[error("{who} answered as {found}, but {expected} is remembered for it; if the change is right, run `qshare trust forget {who_at}` and try again", who_at = .who.at)]
    KeyChanged {
        /// Who was asked.
        who: Who,
        /// Who is remembered.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
    /// The UDP port cannot be had.
    #[error("cannot listen on UDP {addr}: {source}; give another address with --listen")]
    Listen {
        /// The address.
        addr: String,
        /// Why.
        source: io::Error,
    },
    /// Two shared paths would have one name.
    #[error("{} and {} would both be offered as `{}`; share one of them under another name with --list", shown(.first), shown(.second), Shown(.name.as_str()))]
    NameTaken {
        /// The name.
        name: SafePath,
        /// The first path.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// The file system has no room.
    #[error("no space for {}: {} more are needed and {} are free; free some and run the same command again, what was proven is kept", shown(.path), Size(*.needed), Size(*.free))]
    NoSpace {
        /// The destination.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// `--only` leaves nothing over.
    #[error("no file in `{}` matches --only; `qshare ls {id}` shows what it holds", Shown(.name))]
    NoneMatch {
        /// The collection's name.
        name: String,
        /// Its id.
        id: ContentId,
    },
    /// A file is not a collection.
    #[error("{id} is a file and not a collection; `qshare locate {id}` shows who has it")]
    NotACollection {
        /// Which.
        id: ContentId,
    },
    /// A collection cannot be written to a stream.
    #[error("`{}` is a collection and only one file can be written to standard output; give a directory with -o DIR/ or take one file of it", Shown(.name))]
    NotAFile {
        /// The collection's name.
        name: String,
    },
    /// Nobody offers it.
    #[error("nothing was found for `{}` at {asked}; check it, or name more places to look with --tracker or --peer", Shown(.what))]
    NotFound {
        /// The words or the id.
        what: String,
        /// Who was asked: `2 trackers`, `peer HOST:PORT`.
        asked: String,
    },
    /// Neither tracker nor peer is known.
    #[error("there is nowhere to look; name a tracker with --tracker HOST:PORT or a peer with --peer HOST:PORT")]
    NowhereToLook,
    /// Nothing is left to share.
    #[error("nothing can be shared of {}; {}", Shown(.what), Shown(.cause))]
    NothingToShare {
        /// The paths.
        what: String,
        /// Why, and what to do.
        cause: String,
    },
    /// Names that the destination's file system cannot hold.
    #[error("{} cannot hold {count} of the names, the first is `{}` ({cause}); nothing was written, give a place on another file system with -o", shown(.path), Shown(.first.as_str()))]
    NotPortable {
        /// The destination.
        path: PathBuf,
        /// One of them.
        first: SafePath,
        /// How many.
        count: usize,
        /// Why: `it differs only in case from another`.
        cause: &'static str,
    },
    /// The answer makes no sense.
    #[error("{who} does not speak qshare/1 as it should: {}; check that it is a {} of this version", Shown(.cause), .who.role)]
    Protocol {
        /// Who.
        who: Who,
        /// What was wrong.
        cause: String,
    },
    /// Not a query.
    #[error("{0}; give other words")]
    Query(#[from] QueryError),
    /// The dialled node is this one.
    #[error("{who} is this node itself; name another")]
    Oneself {
        /// Who.
        who: Who,
    },
    /// The output cannot be written.
    #[error("standard output cannot be written: {0}; check where it goes")]
    Stdout(#[source] io::Error),
    /// A path that is too much to share by accident.
    #[error("{} is {what} itself; pass --all if all of it is meant, or name what is to be shared", shown(.path))]
    TooMuch {
        /// Which.
        path: PathBuf,
        /// `the root of the file system`, `a home directory`.
        what: &'static str,
    },
    /// A host name that nobody knows.
    #[error("{who} is unknown: {}; check the spelling of the host name", Shown(.cause))]
    UnknownHost {
        /// Who.
        who: Who,
        /// What the resolver said.
        cause: String,
    },
    /// No known node has this id or prefix.
    #[error("no node `{}` is known here; `qshare peers` lists those that a tracker knows", Shown(.peer))]
    UnknownPeer {
        /// As given.
        peer: String,
    },
    /// Nobody answers.
    #[error("{who} does not answer: {}; check that it runs and that UDP port {} is open on the way", Shown(.cause), .who.port())]
    Unreachable {
        /// Who.
        who: Who,
        /// Why.
        cause: String,
    },
    /// A local path cannot be read.
    #[error("{} cannot be read: {source}; check the path and its permissions", shown(.path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A local name that is never valid as an offer's name.
    #[error("{} cannot be shared: {cause}; rename it or give it another name with --list", shown(.path))]
    Unshareable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: PathError,
    },
    /// Another node answers than the one whose id was given.
    #[error("{who} is {found} and not {expected} as was asked; check the id or the address")]
    WrongNode {
        /// Who was asked.
        who: Who,
        /// Which id was given.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
}

impl Error {
    /// The code for programs.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Ambiguous { .. } | Self::AmbiguousPeer { .. } => ErrorCode::Ambiguous,
            Self::BadCollection { .. } | Self::Protocol { .. } => ErrorCode::Protocol,
            Self::BadList { .. }
            | Self::BadPattern { .. }
            | Self::NameTaken { .. }
            | Self::NotAFile { .. }
            | Self::NowhereToLook
            | Self::Query(_)
            | Self::TooMuch { .. } => ErrorCode::Usage,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Destination { .. }
            | Self::DestinationBlocked { .. }
            | Self::DestinationBusy { .. }
            | Self::NotPortable { .. } => ErrorCode::Destination,
            Self::Exists { .. } => ErrorCode::Exists,
            Self::Forbidden { .. } => ErrorCode::Forbidden,
            Self::Home { .. } => ErrorCode::Home,
            Self::HomeLocked { .. } => ErrorCode::HomeLocked,
            Self::Incomplete { .. } => ErrorCode::Incomplete,
            Self::Internal { .. } | Self::NotACollection { .. } | Self::Oneself { .. } | Self::Stdout(_) => {
                ErrorCode::Failed
            }
            Self::Interrupted { .. } => ErrorCode::Interrupted,
            Self::KeyChanged { .. } | Self::WrongNode { .. } => ErrorCode::KeyChanged,
            Self::Listen { .. } => ErrorCode::Listen,
            Self::NoSpace { .. } => ErrorCode::NoSpace,
            Self::NoneMatch { .. } | Self::NotFound { .. } | Self::UnknownPeer { .. } => ErrorCode::NotFound,
            Self::NothingToShare { .. } | Self::Unreadable { .. } | Self::Unshareable { .. } => ErrorCode::Unreadable,
            Self::UnknownHost { .. } | Self::Unreachable { .. } => ErrorCode::Unreachable,
        }
    }

    /// The candidates of [`Error::Ambiguous`], best first.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        match self {
            Self::Ambiguous { hits, .. } => hits,
            _ => &[],
        }
    }
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

fn kept(have: u64, total: u64) -> String {
    match have {
        0 => "before anything was fetched".to_owned(),
        _ => format!("with {} of {} proven and kept", Size(have), Size(total)),
    }
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn existing(paths: &[PathBuf]) -> String {
    let named: Vec<String> = paths.iter().take(NAMED).map(|p| shown(p)).collect();
    let rest = paths.len().saturating_sub(NAMED);
    let verb = if paths.len() == 1 { "exists" } else { "exist" };
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{more} {verb}", named.join(", "))
}

#[cfg(test)]
mod tests;
