//! Whether a transfer can go on, and why not: soon when nobody is left who could give the rest, else when nothing came
//! for as long as a person wanted to wait.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use itertools::Itertools as _;
use serde::{Deserialize, Serialize};

use super::{Ending, State};
use crate::actors::connections::ConnectError;
use crate::logic::transfer::{Fault, Why};
use crate::model::NodeId;

/// When everybody has denied it: they are asked again and all planes are searched for others, for so long. A look takes 2 s
/// and a dial 3 s.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// The same where all who were known lied: that says nothing of honest ones, and by then each that is up has renewed its
/// lease (20 s) or found its tracker again (5 s).
const LIARS: Duration = Duration::from_secs(30);

/// Whoever is there and sends nothing may only be slow, and is no reason to speak of an end before so long: what comes within
/// 4 s is news (`logic/patience.rs`).
const SLOW: Duration = Duration::from_secs(5);

/// What can be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Somebody may give something, or is only just being met.
    Open,
    /// Everybody who is known has denied what is missing, since then.
    Stranded(Duration),
    /// Nobody is there, but some may come back.
    Stuck,
}

/// Why the rest could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shortfall {
    /// For how long nothing came; none when nobody was left who could give the rest.
    pub waited: Option<Duration>,
    /// What became of each provider that was known, in the order of their ids.
    pub providers: Vec<Trouble>,
    /// Files of the unit map that a provider has no longer as they were, while it still gives others.
    pub files: Vec<usize>,
}

/// Why a provider gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which.
    pub node: NodeId,
    /// Where it is or was.
    pub addr: Option<SocketAddr>,
    /// Why.
    pub why: Why,
    /// Why it cannot be dialled, where that is so.
    pub error: Option<ConnectError>,
}

impl State {
    /// Sees what can be expected now.
    pub(super) fn look_ahead(&mut self) {
        let now = self.now();
        self.outlook = match self.outlook {
            _ if self.ending || self.candidates.is_meeting() => Outlook::Open,
            _ if self.transfer.has_hope() && self.transfer.is_silent(now) => Outlook::Stuck,
            _ if self.transfer.has_hope() => Outlook::Open,
            before if self.is_stranded() => match before {
                Outlook::Stranded(since) => Outlook::Stranded(since),
                _ => Outlook::Stranded(now),
            },
            _ => Outlook::Stuck,
        };
    }

    /// Without hope: whoever is linked has denied what is missing. Whether all others have denied everything.
    fn is_stranded(&self) -> bool {
        // What was taken back may be offered again; one who never had it does not get it.
        let denied =
            self.candidates.all().all(|one| one.linked || (one.record.denied && !(self.returns && one.may_return())));
        let known = self.candidates.all().next().is_some() || self.candidates.barred().next().is_some();
        denied && known
    }

    pub(super) fn end_if_hopeless(&mut self) {
        let now = self.now();
        let waited = match self.outlook {
            _ if self.ending => return,
            Outlook::Stranded(since) if now.saturating_sub(since) >= self.last_look() => None,
            _ if self.patience.is_over(now) => Some(self.patience.limit),
            _ => return,
        };
        let files = self.transfer.denied().into_keys().collect();
        let mut providers = self.troubles();
        if waited.is_some() {
            // Whoever is linked, denies nothing and asks for no pause was there all the same.
            let told: BTreeSet<NodeId> = providers.iter().map(|one| one.node).collect();
            let quiet = self.candidates.all().filter(|one| one.linked && !told.contains(&one.node));
            providers.extend(quiet.map(|one| Trouble {
                node: one.node,
                addr: one.addr,
                why: Why::Silent,
                error: None,
            }));
        }
        let shortfall = Shortfall { waited, providers, files };
        tracing::debug!("the rest cannot be had");
        self.end(Ok(Ending::Incomplete(shortfall)));
    }

    /// How long it is until this is given up, while nobody is there who could give anything.
    pub(super) fn gives_up(&self, now: Duration) -> Option<Duration> {
        let patience = self.patience.left(now);
        match self.outlook {
            Outlook::Open => None,
            Outlook::Stranded(since) => Some(self.last_look().saturating_sub(now.saturating_sub(since)).min(patience)),
            Outlook::Stuck if self.transfer.has_hope() && self.patience.limit - patience < SLOW => None,
            Outlook::Stuck => Some(patience),
        }
    }

    fn last_look(&self) -> Duration {
        if self.candidates.all().next().is_some() { LAST_LOOK } else { LIARS }
    }

    /// Who gives nothing, and why.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let views = self.transfer.providers(self.now());
        let denying = self.transfer.denying();
        let fault = |node: NodeId| match denying.get(&node)? {
            Fault::Changed => Some(Why::Changed),
            Fault::Lie => Some(Why::Lied),
            Fault::Missing => Some(Why::Gone),
        };
        let linked = |node: NodeId| {
            let pausing = views.iter().find(|view| view.node == node).and_then(|view| view.pausing);
            pausing.or_else(|| fault(node))
        };
        let known = self.candidates.all().filter_map(|one| {
            let why = linked(one.node).filter(|_| one.linked).or(one.record.why);
            Some(Trouble { node: one.node, addr: one.addr, why: why?, error: one.error.cloned() })
        });
        let lied = |node| Trouble { node, addr: self.tallies.addr(node), why: Why::Lied, error: None };
        known.chain(self.candidates.barred().map(lied)).sorted_by_key(|trouble| trouble.node).collect()
    }
}
