//! What is asked of a transfer, and how it is ended from elsewhere.

use std::fmt;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use globset::Glob;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{Content, ContentId, Provider, Query, Rate, SafePath};
use crate::node::PeerRef;
use crate::wire::limits;

/// Connections to one provider at most.
pub const MAX_CONNECTIONS: usize = 1 + limits::SIDES;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The content of this id.
    Id(ContentId),
    /// Whatever these words match, if it is one thing.
    Words(Query),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Words(query) => f.write_str(&query.words().join(" ")),
        }
    }
}

/// Which paths are asked for: those that a glob matches; or, with a `!` before it, those that it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    glob: Glob,
    negative: bool,
}

impl Pattern {
    /// Whether it leaves out what its glob matches.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// The glob.
    #[must_use]
    pub const fn glob(&self) -> &Glob {
        &self.glob
    }
}

impl From<Glob> for Pattern {
    fn from(glob: Glob) -> Self {
        Self { glob, negative: false }
    }
}

impl FromStr for Pattern {
    type Err = globset::Error;

    /// A directory may be written with a slash at its end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, negative) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
        let glob = Glob::new(text.strip_suffix('/').filter(|_| negative).unwrap_or(text))?;
        Ok(Self { glob, negative })
    }
}

impl TryFrom<String> for Pattern {
    type Error = globset::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "!" } else { "" }, self.glob)
    }
}

/// What becomes of files that are there with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replace {
    /// They are replaced.
    All,
    /// They are in the way.
    Nothing,
    /// Those that are older than what is offered are replaced, and the others stay as they are.
    Older,
}

/// Whether a transfer's proven chunks are served to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareBack {
    /// Not at all.
    Never,
    /// While it lasts and on, until the node is stopped; the transfer's own end comes before.
    Seed,
    /// While it lasts.
    While,
}

/// How long a transfer goes on while nothing comes, where nothing else is asked.
const WAIT: Duration = Duration::from_secs(120);
/// What another node has offered to this one and some others alone: it is fetched from these nodes, and served to them and nobody
/// else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// What it is said to be: nothing else is taken for it.
    pub content: Content,
    /// What it is to be called.
    pub name: SafePath,
    /// Files of it at most.
    pub files: u32,
    /// Whether a single file may be executed.
    pub executable: bool,
    /// Whoever offers it, and the others.
    pub among: Vec<Provider>,
}

with_setters! {
    /// A wish to fetch something; what is not set is as [`GetRequest::new`] has it. Its paths travel as text, so one that is
    /// none cannot be sent.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct GetRequest {
        /// What.
        what: What,
        /// Only from this peer.
        from: Option<PeerRef> = None,
        /// Which of the collection's files; all when empty.
        only: Vec<Pattern> = Vec::new(),
        /// To this path. Into it, when it is a directory or ends in a separator (and is made if absent); else under that
        /// name. When none: into the current directory, under its own name.
        output: Option<PathBuf> = None,
        /// What becomes of files that differ.
        replace: Replace = Replace::Nothing,
        /// Apply modification times.
        times: bool = false,
        /// Whether others are served.
        share: ShareBack = ShareBack::While,
        /// The most bytes a second to fetch.
        limit: Option<Rate> = None,
        /// Connections to each provider; else as many as there is use for.
        connections: Option<NonZeroU8> = None,
        /// How long to go on while nothing comes and somebody may still come.
        wait: Duration = WAIT,
        /// Find out what would be fetched, and end.
        dry_run: bool = false,
        /// The last component of the name that it is to have, where it is offered under several.
        called: Option<SafePath> = None,
        /// Paths that other content of the same errand has taken: nothing else goes there.
        taken: Vec<PathBuf> = Vec::new(),
        /// Which permissions what is made does not get; those of this process's umask, where none is said.
        umask: Option<u32> = None,
        /// Which of several ids that the words match; none: if they match several, fail as ambiguous.
        choose: Option<ContentId> = None,
        /// The most bytes a second that are sent of it while it comes, and while it is served after that.
        upload_limit: Option<Rate> = None,
        /// Of a content of several names that the words match none is chosen: fail as ambiguous.
        every: bool = false,
        /// It was offered to this node; then nobody else is asked.
        given: Option<Given> = None,
    }
    /// All of it, from everyone who has it, into the current directory, replacing nothing; others are served meanwhile.
    fn new;
}

/// Ends a transfer from elsewhere; what was proven is kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<watch::Sender<bool>>);

impl Canceller {
    /// A canceller, and what the transfer awaits: `true` once cancelled.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Self(Arc::new(sender)), receiver)
    }

    /// Asks the transfer to end; it then fails as interrupted.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_is_seen_by_who_awaits_it() {
        let (canceller, receiver) = Canceller::new();
        assert!(!*receiver.borrow());
        canceller.cancel();
        assert!(*receiver.borrow());
    }
}
