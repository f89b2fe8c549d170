//! One request under way: which units it holds, and how much of it is still to come.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::NodeId;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Units of which the provider chooses: so many are still to be chosen.
    Choice(u32),
    /// A file's list and last chunk.
    List(usize),
    /// Exactly the units that it holds.
    Units,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) node: NodeId,
    pub(super) asked: Asked,
    /// Units that it holds in the picker.
    pub(super) pending: BTreeSet<u32>,
    /// Units among which the provider may still choose.
    pub(super) listed: BTreeSet<u32>,
    /// All bytes that were ever expected of it.
    pub(super) expected: u64,
    pub(super) received: u64,
    pub(super) proven: u64,
    pub(super) since: Duration,
}

impl Request {
    pub(super) fn new(node: NodeId, asked: Asked, expected: u64, now: Duration) -> Self {
        Self {
            node,
            asked,
            pending: BTreeSet::new(),
            listed: BTreeSet::new(),
            expected,
            received: 0,
            proven: 0,
            since: now,
        }
    }

    /// Bytes that are still to come. Proof and arrival are told separately and in any order.
    pub(super) const fn outstanding(&self) -> u64 {
        let seen = if self.received > self.proven { self.received } else { self.proven };
        self.expected.saturating_sub(seen)
    }

    /// Counts bytes; says how many of them are news.
    pub(super) fn see(&mut self, received: u64, proven: u64) -> u64 {
        let before = self.received.max(self.proven);
        self.received += received;
        self.proven += proven;
        self.received.max(self.proven) - before
    }

    /// Whether nothing that it could still bring is wanted.
    pub(super) fn is_pointless(&self) -> bool {
        match self.asked {
            Asked::Choice(_) => self.pending.is_empty() && self.listed.is_empty(),
            Asked::List(_) => false,
            Asked::Units => self.pending.is_empty(),
        }
    }
}
