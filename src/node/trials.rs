//! Asking the providers of a hit one after the other for something small before a transfer can begin: again when one was
//! only not ready, for as long as a person wants to wait, and with what became of each at the end.

use std::time::Duration;

use tokio::time::Instant;

use crate::actors::connections::ConnectError;
use crate::actors::download::Trouble;
use crate::io::frames::CallError;
use crate::logic::patience::{Awake, Patience};
use crate::logic::transfer::{Record, Why};
use crate::model::Provider;
use crate::node::error::Lack;
use crate::wire::Code;

/// How often time is told.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// When all have said that they have not got it: they are asked again for so long, as one that hashes may say so.
const LAST: Duration = Duration::from_secs(5);

/// Why one that was asked could not give it.
#[derive(Debug)]
pub(crate) struct Failure {
    why: Why,
    error: Option<ConnectError>,
}

impl Failure {
    /// It sent something else than it should have.
    pub(crate) const fn lie() -> Self {
        Self { why: Why::Lied, error: None }
    }
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        Self { why, error: None }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let why = if let ConnectError::Forbidden(_) = error { Why::Refused(Code::Forbidden) } else { Why::Unreachable };
        Self { why, error: Some(error) }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let why = match error {
            CallError::Refused(refusal) if refusal.code == Code::Busy => {
                Why::Busy(Duration::from_millis(refusal.retry_ms.into()))
            }
            CallError::Refused(refusal) => Why::Refused(refusal.code),
            CallError::Reset(Code::Changed) => Why::Changed,
            CallError::TimedOut => Why::Silent,
            CallError::Lost(_) => Why::Lost,
            CallError::Reset(_) | CallError::Ended | CallError::Frame(_) => Why::Failing,
        };
        Self { why, error: None }
    }
}

/// Those who are asked.
#[derive(Debug)]
pub(crate) struct Trials {
    started: Instant,
    awake: Awake,
    patience: Patience,
    tried: Vec<Tried>,
    /// Since when all have denied it.
    denied: Option<Duration>,
}

#[derive(Debug)]
struct Tried {
    provider: Provider,
    record: Record,
    error: Option<ConnectError>,
    under_way: bool,
}

impl Trials {
    pub(crate) fn new(providers: &[Provider], wait: Duration) -> Self {
        let tried = |provider: &Provider| Tried {
            provider: provider.clone(),
            record: Record::default(),
            error: None,
            under_way: false,
        };
        Self {
            started: Instant::now(),
            awake: Awake::default(),
            patience: Patience::new(wait, Duration::ZERO),
            tried: providers.iter().map(tried).collect(),
            denied: None,
        }
    }

    fn now(&self) -> Duration {
        self.awake.at(self.started.elapsed())
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        if self.awake.tick(self.started.elapsed()) {
            self.tried.iter_mut().for_each(|one| one.record.wake());
        }
    }

    /// The next one to be asked, and its number: it counts as being asked until it has failed.
    pub(crate) fn next(&mut self) -> Option<(usize, Provider)> {
        let now = self.now();
        let due = |one: &Tried| !one.under_way && one.record.why() != Some(Why::Lied) && one.record.is_due(now, true);
        let number = self.tried.iter().position(due)?;
        self.tried[number].under_way = true;
        Some((number, self.tried[number].provider.clone()))
    }

    /// Whether somebody is being asked.
    pub(crate) fn is_asking(&self) -> bool {
        self.tried.iter().any(|one| one.under_way)
    }

    /// Something came.
    pub(crate) fn news(&mut self) {
        let now = self.now();
        self.patience.news(now);
    }

    pub(crate) fn failed(&mut self, number: usize, failure: Failure) {
        let now = self.now();
        if let Some(one) = self.tried.get_mut(number) {
            one.under_way = false;
            one.record.failed(failure.why, now);
            one.error = failure.error;
        }
    }

    /// Why it cannot be had, once it is time to give up.
    pub(crate) fn lack(&mut self) -> Option<Lack> {
        let now = self.now();
        let denied = self.tried.iter().all(|one| one.record.is_denied());
        self.denied = denied.then(|| self.denied.unwrap_or(now));
        let waited = match self.denied {
            _ if self.tried.is_empty() => None,
            Some(since) if now.saturating_sub(since) >= LAST.min(self.patience.limit()) => None,
            // Without patience everybody was asked once, and nothing waited for.
            _ if self.patience.is_over(now) => Some(self.patience.limit()).filter(|waited| !waited.is_zero()),
            _ => return None,
        };
        Some(Lack { waited, providers: self.troubles(), files: None })
    }

    /// Whoever is still being asked has not got as far as an answer.
    fn troubles(&self) -> Vec<Trouble> {
        let trouble = |one: &Tried| Trouble {
            node: one.provider.node,
            addr: one.provider.addrs.first().copied(),
            why: if one.under_way { Why::Hashing(Duration::ZERO) } else { one.record.why().unwrap_or(Why::Silent) },
            error: one.error.clone(),
        };
        self.tried.iter().map(trouble).collect()
    }
}
