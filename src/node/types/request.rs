//! What is asked of a transfer, and how it is ended from elsewhere.

use std::fmt;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use globset::Glob;
use tokio::io::AsyncWrite;
use tokio::sync::watch;

use crate::model::{ContentId, Query, Rate};
use crate::node::PeerRef;
use crate::wire::limits;

/// Connections to one provider at most.
pub const MAX_CONNECTIONS: usize = 1 + limits::SIDES;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The content of this id.
    Id(ContentId),
    /// Whatever these words match, if it is one thing.
    Words(Query),
}

/// Where a result goes.
pub enum Destination {
    /// Into the current directory, under its own name.
    Here,
    /// To this path. Into it, when it is a directory or ends in a separator (and is made if absent); else under that name.
    Path(PathBuf),
    /// The bytes of one file, in order.
    Stream(Box<dyn AsyncWrite + Send + Sync + Unpin>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("Here"),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Whether a transfer's proven chunks are served to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareBack {
    /// Not at all.
    Never,
    /// While it lasts and on, until the node is stopped; the transfer's own end comes before.
    Seed,
    /// While it lasts.
    While,
}

/// A wish to fetch something.
#[derive(Debug)]
pub struct GetRequest {
    /// What.
    pub what: What,
    /// Only from this peer.
    pub from: Option<PeerRef>,
    /// Only the collection's files that match one of these; all when empty.
    pub only: Vec<Glob>,
    /// To where.
    pub output: Destination,
    /// Replace files that differ.
    pub force: bool,
    /// Apply modification times.
    pub times: bool,
    /// Whether others are served.
    pub share: ShareBack,
    /// The most bytes a second to fetch.
    pub limit: Option<Rate>,
    /// Connections to each provider; else as many as there is use for.
    pub connections: Option<NonZeroU8>,
    /// How long to go on while nothing comes and somebody may still come.
    pub wait: Duration,
    /// Find out what would be fetched, and end.
    pub dry_run: bool,
    /// Which of several ids that the words match; none: if they match several, fail as ambiguous.
    pub choose: Option<ContentId>,
}

/// How long a transfer goes on while nothing comes, where nothing else is asked.
const WAIT: Duration = Duration::from_secs(120);

impl GetRequest {
    /// All of it, from everyone who has it, replacing nothing; others are served meanwhile.
    #[must_use]
    pub const fn new(what: What, output: Destination) -> Self {
        Self {
            what,
            from: None,
            only: Vec::new(),
            output,
            force: false,
            times: false,
            share: ShareBack::While,
            limit: None,
            connections: None,
            wait: WAIT,
            dry_run: false,
            choose: None,
        }
    }
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
