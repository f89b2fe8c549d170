//! What is asked of a transfer, and how it is ended from elsewhere.

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use globset::Glob;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{ContentId, Query, Rate};
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

with_setters! {
    /// A wish to fetch something; what is not set is as [`GetRequest::new`] has it. Its paths travel as text, so one that is
    /// none cannot be sent.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct GetRequest {
        /// What.
        what: What,
        /// Only from this peer.
        from: Option<PeerRef>,
        /// Only the collection's files that match one of these; all when empty.
        only: Vec<Glob>,
        /// To this path. Into it, when it is a directory or ends in a separator (and is made if absent); else under that
        /// name. When none: into the current directory, under its own name.
        output: Option<PathBuf>,
        /// Replace files that differ.
        force: bool,
        /// Apply modification times.
        times: bool,
        /// Whether others are served.
        share: ShareBack,
        /// The most bytes a second to fetch.
        limit: Option<Rate>,
        /// Connections to each provider; else as many as there is use for.
        connections: Option<NonZeroU8>,
        /// How long to go on while nothing comes and somebody may still come.
        wait: Duration,
        /// Find out what would be fetched, and end.
        dry_run: bool,
        /// Which of several ids that the words match; none: if they match several, fail as ambiguous.
        choose: Option<ContentId>,
    }
}

/// How long a transfer goes on while nothing comes, where nothing else is asked.
const WAIT: Duration = Duration::from_secs(120);

impl GetRequest {
    /// All of it, from everyone who has it, into the current directory, replacing nothing; others are served meanwhile.
    #[must_use]
    pub const fn new(what: What) -> Self {
        Self {
            what,
            from: None,
            only: Vec::new(),
            output: None,
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
