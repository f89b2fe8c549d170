//! The node's side of a transfer that a command follows. Invariant: however the command goes, without a word or with it, the
//! transfer is left to the node unless it was cancelled.

use std::pin::pin;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::time::{MissedTickBehavior, interval};

use super::request::{Told, Word};
use super::{answer_with, packed};
use crate::io::net::frames::{self, CallError};
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::node::Node;
use crate::node::error::{ControlError, Error};
use crate::node::get::Ending;
use crate::node::inner::orders::{Followed, JobWish, JobsRef};
use crate::wire::limits::PAGE;

/// How often progress is told: as often as it is shown.
const SAMPLE: Duration = Duration::from_millis(200);
/// Providers of which is told: a frame takes them.
const PROVIDERS: usize = 1024;

/// Begins a transfer, and tells of it to its end.
pub(super) async fn fetch(
    node: &Node,
    wish: JobWish,
    to: &mut SendStream,
    from: &mut RecvStream,
) -> Result<(), CallError> {
    let begun = async {
        let jobs = node.inner.jobs()?.clone();
        let followed = jobs.add(wish).await?;
        Ok((jobs, followed))
    };
    match begun.await {
        Ok((jobs, followed)) => Following::new(jobs, followed).run(to, from).await,
        Err(error) => answer_with(to, packed(&Ending::Err(error))).await,
    }
}

struct Following {
    jobs: JobsRef,
    followed: Followed,
    /// Notices that were told.
    told: usize,
}

impl Drop for Following {
    fn drop(&mut self) {
        let (jobs, id) = (self.jobs.clone(), self.followed.id);
        // One that has ended is none any more.
        tokio::spawn(async move { jobs.detach(id).await });
    }
}

impl Following {
    const fn new(jobs: JobsRef, followed: Followed) -> Self {
        Self { jobs, followed, told: 0 }
    }

    const fn id(&self) -> JobId {
        self.followed.id
    }

    async fn run(mut self, to: &mut SendStream, from: &mut RecvStream) -> Result<(), CallError> {
        frames::send(to, &Told::Job(self.id()), PAGE).await?;
        let mut word = pin!(frames::receive::<Word>(from, PAGE));
        let mut heard = false;
        let mut samples = interval(SAMPLE);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                end = &mut self.followed.end => break end,
                _ = samples.tick() => self.tell(to).await?,
                word = &mut word, if !heard => match word? {
                    Some(Word::Cancel) => {
                        heard = true;
                        // It may have ended by itself just now.
                        let _ = self.jobs.order(Some(self.id()), JobOrder::Cancel).await;
                    }
                    Some(Word::Leave) => {
                        self.jobs.detach(self.id()).await;
                        return frames::send(to, &Told::Left, PAGE).await;
                    }
                    None => return Ok(()),
                },
            }
        };
        self.tell(to).await?;
        // It ends with the node.
        let end = end.unwrap_or(Err(Error::Control(ControlError::Lost)));
        answer_with(to, packed(&end)).await
    }

    async fn tell(&mut self, to: &mut SendStream) -> Result<(), CallError> {
        let notices = self.followed.notices.borrow_and_update().iter().skip(self.told).cloned().collect::<Vec<_>>();
        self.told += notices.len();
        for notice in notices {
            frames::send(to, &Told::Notice(notice), PAGE).await?;
        }
        let mut progress = self.followed.progress.borrow_and_update().clone();
        progress.providers.truncate(PROVIDERS);
        frames::send(to, &Told::Progress(Box::new(progress)), PAGE).await
    }
}
