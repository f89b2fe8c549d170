//! Asking the providers of a hit for something small before a transfer can begin: [`logic::trials`] on the clock, with who
//! they are and why each could not be reached.
//!
//! [`logic::trials`]: crate::logic::trials

use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::time::Instant;

use crate::actors::connections::ConnectError;
use crate::actors::download::Trouble;
use crate::io::net::frames::CallError;
use crate::logic::transfer::Why;
use crate::logic::trials;
use crate::model::{NodeId, Provider};
use crate::node::error::Lack;
use crate::wire::{Code, FrameError, Refusal};

/// How often time is told.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Why one that was asked could not give it.
#[derive(Debug)]
pub(crate) struct Failure {
    why: Why,
    error: Option<ConnectError>,
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        Self { why, error: None }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self { why: (&error).into(), error: Some(error) }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Why::from(&refusal).into()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => refusal.into(),
            CallError::Reset(Code::Changed) => Why::Changed.into(),
            CallError::TimedOut => Why::Silent.into(),
            CallError::Lost(_) => Why::Lost.into(),
            // What is no message now is none at the next try either.
            CallError::Frame(FrameError::Bound(_) | FrameError::Malformed(_) | FrameError::TooLong { .. }) => {
                Why::Lied.into()
            }
            CallError::Reset(_) | CallError::Ended | CallError::Frame(FrameError::Unknown) => Why::Failing.into(),
        }
    }
}

/// Those who are asked.
#[derive(Debug)]
pub(crate) struct Trials {
    started: Instant,
    machine: trials::Trials,
    providers: Vec<(Provider, Option<ConnectError>)>,
}

impl Trials {
    /// Of these, in an order that none of them can choose.
    pub(crate) fn new(providers: &[Provider], wait: Duration) -> Self {
        let mut providers: Vec<_> = providers.iter().map(|provider| (provider.clone(), None)).collect();
        providers.shuffle(&mut rand::rng());
        Self { started: Instant::now(), machine: trials::Trials::new(providers.len(), wait), providers }
    }

    /// Those who may have it too, but for nodes that are there already.
    pub(crate) fn add(&mut self, providers: impl IntoIterator<Item = Provider>) {
        for provider in providers {
            if !self.providers.iter().any(|(there, _)| there.node == provider.node) {
                self.machine.add();
                self.providers.push((provider, None));
            }
        }
    }

    /// Who has this number.
    pub(crate) fn node(&self, number: usize) -> NodeId {
        self.provider(number).node
    }

    /// The same, with its addresses.
    pub(crate) fn provider(&self, number: usize) -> &Provider {
        &self.providers[number].0
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        self.machine.tick(self.started.elapsed());
    }

    /// The time in which this process could work.
    pub(crate) fn now(&self) -> Duration {
        self.machine.now(self.started.elapsed())
    }

    /// The next one to be asked, and its number.
    pub(crate) fn next(&mut self) -> Option<(usize, Provider)> {
        let number = self.machine.next(self.started.elapsed())?;
        Some((number, self.providers[number].0.clone()))
    }

    /// How often the one with this number was asked.
    pub(crate) fn times(&self, number: usize) -> u32 {
        self.machine.times(number)
    }

    /// Whether somebody is being asked.
    pub(crate) fn is_asking(&self) -> bool {
        self.machine.is_asking()
    }

    /// Whether one that is asked has said that it is at work.
    pub(crate) fn is_working(&self) -> bool {
        self.machine.is_working()
    }

    /// One is at work; whether it got on is `news`.
    pub(crate) fn works(&mut self, number: usize, news: bool) {
        self.machine.works(number, news, self.started.elapsed());
    }

    /// One does not give it.
    pub(crate) fn failed(&mut self, number: usize, failure: Failure) {
        self.machine.failed(number, failure.why, self.started.elapsed());
        self.providers[number].1 = failure.error;
    }

    /// Why it cannot be had, once it is time to give up.
    pub(crate) fn lack(&mut self) -> Option<Lack> {
        let clock = self.started.elapsed();
        let over = self.machine.over(clock)?;
        let trouble = |(number, (provider, error)): (usize, &(Provider, Option<ConnectError>))| Trouble {
            node: provider.node,
            addr: provider.addrs.first().copied(),
            why: self.machine.why(number, clock),
            error: error.clone(),
        };
        let providers = self.providers.iter().enumerate().map(trouble).collect();
        Some(Lack { waited: over.waited, providers, files: None })
    }
}
