//! A transfer that a node keeps for a command, as it is shown.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logic::limits::jobs::{JobId, JobState};
use crate::model::{Rate, SafePath};
use crate::node::Error;
use crate::node::types::What;

/// A transfer that a node keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// What is wanted.
    pub what: What,
    /// What it is called, once known.
    pub name: Option<SafePath>,
    /// Whether it was offered to this node's person, and came by the inbox.
    pub given: bool,
    /// Where it goes.
    pub output: Option<PathBuf>,
    /// How it stands.
    pub state: JobState,
    /// Whether its transfer is about to end, as its owner wants: it may still come to its end.
    pub halting: bool,
    /// Bytes proven so far.
    pub bytes: u64,
    /// Bytes wanted altogether; 0 while unknown.
    pub total: u64,
    /// Bytes a second that come, lately.
    pub rate: u64,
    /// The most bytes a second that it may take.
    pub limit: Option<Rate>,
    /// Who gives.
    pub providers: u64,
    /// Why it failed last.
    pub error: Option<Error>,
    /// How long it is until it is tried again by itself.
    pub again: Option<Duration>,
}
