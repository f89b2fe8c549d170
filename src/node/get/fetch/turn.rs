//! A turn at the partial file: one transfer of a content at a time works in one directory. Another one of the same
//! content waits for it, under whichever name either goes; then it is copied from what the first has made, or, where that
//! one was ended, goes on where it was. One that does not get on is given up like any other wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{blocking, until};
use crate::io::receive::donor::{Donor, Donors};
use crate::io::receive::partial::{Partial, PartialError, PartialSpec, Resumed};
use crate::logic::patience::{Awake, Patience};
use crate::model::LocalPath;
use crate::node::error::{Error, Fault, Result};
use crate::node::get::{AllThere, Get, Plan, Sink};
use crate::node::types::{GetNotice, Outcome, Phase};

/// How often a transfer that waits looks whether it is its turn.
const LOOK: Duration = Duration::from_millis(200);

/// What came of waiting.
pub(super) enum Turn {
    /// The other transfer has put it where this one would.
    Done(Box<Outcome>),
    /// The partial file is this transfer's.
    Own(Box<Plan>, Arc<Partial>, Resumed),
}

impl Get {
    /// Opens the partial file, and waits as long as another transfer has it.
    pub(super) async fn open(&self, mut plan: Plan) -> Result<Turn> {
        let (mut donors, mut told, mut waited) = (Donors::default(), false, false);
        let (began, mut wait) = (Instant::now(), Wait::new(self.request.wait));
        loop {
            let alone = self.request.given.is_some();
            let spec = PartialSpec { alone, ..plan.contents.spec(&plan.present, plan.place.target()) };
            let parent = plan.place.parent().clone();
            let id = spec.wanted.content.id;
            let opened = blocking(move || {
                let opened = Partial::open(&parent, spec);
                // Held, it is there also when it has got its name.
                let other = matches!(opened, Err(PartialError::InUse { .. }))
                    .then(|| (Donor::of(&parent, id), Partial::journal_len(&parent, id)));
                let (donor, noted) = other.unwrap_or_default();
                Ok((opened, donor, noted))
            });
            match opened.await? {
                (Err(PartialError::InUse { path, pid }), other, noted) => {
                    donors.add(other);
                    if !std::mem::replace(&mut told, true) {
                        self.report.warn(GetNotice::Waiting { path: path.clone(), pid });
                    }
                    if !std::mem::replace(&mut waited, true) {
                        self.report.phase(Phase::Waiting);
                    }
                    if wait.is_over(noted, began.elapsed()) {
                        return Err(Error::Awaited { path, pid, waited: self.request.wait });
                    }
                    self.pause(path, pid).await?;
                }
                (Err(error), ..) => return Err(error.into()),
                (Ok((partial, resumed)), ..) if !waited => return self.own(plan, partial, resumed, donors).await,
                (Ok((partial, resumed)), ..) => {
                    waited = false;
                    match self.compare_again(&mut plan, &partial).await? {
                        Again::Same => return self.own(plan, partial, resumed, donors).await,
                        Again::Other => drop(partial),
                        Again::Complete => return self.found(plan, partial).await,
                    }
                }
            }
        }
    }

    async fn pause(&self, path: LocalPath, pid: Option<u32>) -> Result<()> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            () = sleep(LOOK) => Ok(()),
            () = until(&mut cancelled) => Err(Error::Overtaken { path, pid }),
        }
    }

    /// What the other transfer has put at this one's destination counts.
    async fn compare_again(&self, plan: &mut Plan, partial: &Partial) -> Result<Again> {
        let Sink::Disk { destination, parent } = &plan.place else { return Ok(Again::Same) };
        let present = match self.compare(&plan.contents, destination, parent).await {
            Ok(present) => present,
            Err(error) => {
                // Begun anew, with nothing in it: nothing is left behind. The error is the one to tell.
                if partial.bytes_noted() == 0 {
                    partial.abandon();
                }
                return Err(error);
            }
        };
        let same = present.same == plan.present.same;
        plan.present = present;
        Ok(match same {
            _ if plan.present.complete => Again::Complete,
            true => Again::Same,
            false => Again::Other,
        })
    }

    async fn own(&self, mut plan: Plan, partial: Partial, resumed: Resumed, donors: Donors) -> Result<Turn> {
        let before = resumed.units.clone();
        let (partial, resumed, executable) = blocking(move || {
            let resumed = donors.give(&partial, resumed)?;
            Ok((partial, resumed, donors.is_executable()))
        })
        .await?;
        plan.contents.executable |= executable;
        let copied = resumed.units.iter().filter(|unit| !before.has(*unit));
        let copied = copied.map(|unit| plan.contents.wanted.map.len(unit)).sum();
        self.report.update(|progress| progress.copied = copied);
        Ok(Turn::Own(Box::new(plan), Arc::new(partial), resumed))
    }

    async fn found(&self, plan: Plan, partial: Partial) -> Result<Turn> {
        partial.abandon();
        drop(partial);
        let Plan { hit, contents, present, place, .. } = plan;
        let Sink::Disk { destination, parent } = place else {
            return Err(Fault::StreamIsThere.into());
        };
        let there = AllThere { destination, parent, present };
        Ok(Turn::Done(Box::new(self.nothing_to_do(contents, there, &hit).await?)))
    }
}

/// How the destination compares after waiting.
enum Again {
    Complete,
    Other,
    Same,
}

/// A wait for another transfer. What that one notes is news.
#[derive(Debug)]
struct Wait {
    awake: Awake,
    patience: Patience,
    noted: u64,
}

impl Wait {
    fn new(limit: Duration) -> Self {
        Self { awake: Awake::default(), patience: Patience::new(limit, Duration::ZERO), noted: 0 }
    }

    /// Whether the other has noted nothing for too long: it has `noted` so much when the clock has run for `clock`. To be
    /// asked several times a second.
    fn is_over(&mut self, noted: u64, clock: Duration) -> bool {
        self.awake.tick(clock);
        let now = self.awake.at(clock);
        if std::mem::replace(&mut self.noted, noted) != noted {
            self.patience.news(now);
        }
        self.patience.is_over(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_nothing_is_noted_and_a_gap_counts_as_one_tick() {
        let (mut wait, mut clock) = (Wait::new(Duration::from_secs(5)), Duration::ZERO);
        let mut look = |noted, passed| {
            clock += passed;
            wait.is_over(noted, clock)
        };
        assert!((1..=100).all(|noted| !look(noted, LOOK)), "the other one gets on");
        assert!((0..15).all(|_| !look(100, LOOK)), "for 3 s it does not");
        assert!(!look(100, Duration::from_secs(3600)), "the process was stopped: 4 s");
        assert!((0..4).all(|_| !look(100, LOOK)));
        assert!(look(100, LOOK), "5 s");
    }
}
