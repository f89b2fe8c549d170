//! What other nodes offer to this one's person.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::logic::limits::inbox::{Accept, Entry, Loss, Rules, Standing};
use crate::logic::limits::jobs::JobId;
use crate::node::{ControlError, Error};

/// Bytes that are taken without a person, where nothing else is said.
const BYTES: u64 = 10 << 30;
/// Files of one offer that are.
const FILES: u64 = 100_000;

/// What is taken without a person, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRules {
    /// What.
    pub rules: Rules,
    /// Where to; into the home where nothing is said.
    pub dir: Option<PathBuf>,
    /// Whether a desktop is told of what waits: where no person looks at a terminal.
    pub notify: bool,
}

impl Default for InboxRules {
    fn default() -> Self {
        let rules = Rules { accept: Accept::Ask, bytes: BYTES, files: FILES };
        Self { rules, dir: None, notify: false }
    }
}

/// Something that a node offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRow {
    /// Its number.
    pub number: u32,
    /// What, and how it stands.
    pub entry: Entry,
    /// The transfer of it that does not go on, and why.
    pub trouble: Option<(JobId, Error)>,
    /// Nothing comes because whoever offers it cannot be reached.
    #[serde(default)]
    pub away: bool,
}

impl InboxRow {
    /// That whoever offered it has it no longer, and so why it does not come.
    #[must_use]
    pub fn loss(&self) -> Option<Error> {
        let is_open = self.entry.state == Standing::Withdrawn || self.trouble.is_some();
        // Nobody else gives what is not sent any more.
        let loss = self.entry.loss.filter(|loss| is_open || *loss == Loss::Ended && self.entry.state.is_open())?;
        Some(ControlError::LostThere { loss }.into())
    }
}
