//! A turn at the partial file: one transfer of a content at a time works in one directory. Another one of the same
//! content waits for it, under whichever name either goes; then it is copied from what the first has made, or, where that
//! one was ended, goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::io::donor::{Donor, Donors};
use crate::io::partial::{Partial, PartialError, Resumed};
use crate::model::UnitIndex;
use crate::node::error::Error;
use crate::node::fetch::{blocking, until};
use crate::node::get::{Get, Place, Plan, There};
use crate::node::types::{Outcome, Phase};

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
    pub(super) async fn open(&self, mut plan: Plan) -> Result<Turn, Error> {
        let (mut donors, mut told, mut waited) = (Donors::default(), false, false);
        loop {
            let (spec, parent, id) = (
                plan.contents.spec(&plan.present, plan.place.target()),
                plan.place.parent().clone(),
                plan.contents.part.id,
            );
            let opened = blocking(move || {
                let opened = Partial::open(&parent, spec);
                // Held, it is there also when it has got its name.
                let other = matches!(opened, Err(PartialError::InUse { .. })).then(|| Donor::of(&parent, id));
                Ok((opened, other.flatten()))
            });
            match opened.await? {
                (Err(PartialError::InUse { path, pid }), other) => {
                    donors.add(other);
                    if !std::mem::replace(&mut told, true) {
                        let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                        let path = path.display();
                        self.report
                            .warn(format!("{who} fetches the same content into {path}: waiting until it has ended"));
                    }
                    if !std::mem::replace(&mut waited, true) {
                        self.report.phase(Phase::Waiting);
                    }
                    self.pause().await?;
                }
                (Err(error), _) => return Err(error.into()),
                (Ok((partial, resumed)), _) if !waited => return self.own(plan, partial, resumed, donors).await,
                (Ok((partial, resumed)), _) => {
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

    async fn pause(&self) -> Result<(), Error> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            () = sleep(LOOK) => Ok(()),
            () = until(&mut cancelled) => Err(self.interrupted()),
        }
    }

    /// What the other transfer has put at this one's destination counts.
    async fn compare_again(&self, plan: &mut Plan, partial: &Partial) -> Result<Again, Error> {
        let Place::Disk { destination, parent } = &plan.place else { return Ok(Again::Same) };
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
        let (complete, same) = (present.complete, present.same == plan.present.same);
        plan.present = present;
        Ok(match (complete, same) {
            (true, _) => Again::Complete,
            (false, true) => Again::Same,
            (false, false) => Again::Other,
        })
    }

    async fn own(&self, plan: Plan, partial: Partial, resumed: Resumed, donors: Donors) -> Result<Turn, Error> {
        let before = resumed.units.clone();
        let (partial, resumed) = blocking(move || {
            let resumed = donors.give(&partial, resumed)?;
            Ok((partial, resumed))
        })
        .await?;
        let copied = resumed.units.iter().filter(|unit| !before.has(*unit));
        let copied = copied.map(|unit| plan.contents.map.len(UnitIndex(unit))).sum();
        self.report.update(|progress| progress.copied = copied);
        Ok(Turn::Own(Box::new(plan), Arc::new(partial), resumed))
    }

    async fn found(&self, plan: Plan, partial: Partial) -> Result<Turn, Error> {
        partial.abandon();
        drop(partial);
        let Plan { hit, contents, present, place, .. } = plan;
        let Place::Disk { destination, parent } = place else {
            return Err(Error::Internal { cause: "what goes to a stream is never there already".to_owned() });
        };
        let there = There { destination, parent, present };
        Ok(Turn::Done(Box::new(self.nothing_to_do(contents, there, &hit).await?)))
    }
}

/// How the destination compares after waiting.
enum Again {
    Complete,
    Other,
    Same,
}
