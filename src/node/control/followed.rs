//! The node's side of a transfer that a command follows. Invariant: however the command goes, without a word or with it, a job is
//! left to the node unless it was cancelled, and what is none ends.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::jobs::is_here;
use super::request::{Told, Word};
use super::{answer_with, packed};
use crate::io::net::frames::{self, CallError};
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::model::SafePath;
use crate::node::Node;
use crate::node::error::{ControlError, Error};
use crate::node::get::{Ending, Stream, Transfer};
use crate::node::inner::Inner;
use crate::node::inner::orders::{Followed, JobWish, JobsRef};
use crate::node::types::{Canceller, ShareBack};
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
        Ok((jobs, followed)) => {
            let keeper = Keeper::Jobs(jobs, followed.id);
            frames::send(to, &Told::Job(followed.id), PAGE).await?;
            Following { keeper, followed, told: 0 }.run(to, from).await
        }
        Err(error) => answer_with(to, packed(&Ending::Err(error))).await,
    }
}

/// The same of one that ends with the command. Its result is served, if that is wanted, until the command's connection ends; its
/// bytes go to a stream of this number, if there is one.
pub(super) async fn attend(
    (node, owner): (&Node, &Connection),
    (wish, stream): (JobWish, Option<u64>),
    to: &mut SendStream,
    from: &mut RecvStream,
) -> Result<(), CallError> {
    let begun = async {
        let Some(number) = stream else {
            is_here(wish.landing).await?;
            return Ok(None);
        };
        let lost = |_| Error::Control(ControlError::Lost);
        let (mut bytes, _) = owner.open_bi().await.map_err(lost)?;
        bytes.write_all(&number.to_be_bytes()).await.map_err(|_| Error::Control(ControlError::Lost))?;
        Ok(Some(Box::new(bytes) as Stream))
    };
    let stream = match begun.await {
        Ok(stream) => stream,
        Err(error) => return answer_with(to, packed(&Ending::Err(error))).await,
    };
    // What it tells is in the transfer's own notices.
    let (asker, _) = mpsc::channel(1);
    let seeds = wish.request.share == ShareBack::Seed;
    let before = if seeds { node.inner.index.roots().await } else { Vec::new() };
    let before = before.into_iter().map(|root| root.name).collect();
    let transfer = Transfer::begin(Arc::new(node.inner.at(&wish.places, asker).await), wish.request, stream);
    let (progress, notices, canceller) = (transfer.progress(), transfer.notices(), transfer.canceller());
    let (end, ended) = oneshot::channel();
    let serving = Serving { inner: Arc::clone(&node.inner), owner: owner.clone(), before };
    tokio::spawn(serving.finish(transfer, end));
    let followed = Followed { id: JobId::from(0), progress, notices, end: ended };
    Following { keeper: Keeper::Command(canceller), followed, told: 0 }.run(to, from).await
}

/// What becomes of a result that is served for the time of a command.
struct Serving {
    inner: Arc<Inner>,
    owner: Connection,
    /// What was shared before.
    before: HashSet<SafePath>,
}

impl Serving {
    async fn finish(self, transfer: Transfer, end: oneshot::Sender<Ending>) {
        let ending = transfer.finish().await;
        let seeded = ending.as_ref().ok().filter(|outcome| outcome.seeding).and_then(|outcome| outcome.path.clone());
        // The command may have gone.
        let _ = end.send(ending);
        let Some(path) = seeded else { return };
        self.owner.closed().await;
        let at = std::fs::canonicalize(&*path).unwrap_or_else(|_| path.to_path_buf());
        let roots = self.inner.index.roots().await.into_iter();
        let mine = roots.filter(|root| root.path == at && !self.before.contains(&root.name)).map(|root| root.name);
        self.inner.shares.withdraw(mine.collect()).await;
    }
}

/// Who goes on with a transfer whose command has gone.
enum Keeper {
    /// Nobody: it ends.
    Command(Canceller),
    /// The jobs of the node.
    Jobs(JobsRef, JobId),
}

struct Following {
    keeper: Keeper,
    followed: Followed,
    /// Notices that were told.
    told: usize,
}

impl Drop for Following {
    fn drop(&mut self) {
        match &self.keeper {
            Keeper::Command(canceller) => canceller.cancel(),
            Keeper::Jobs(jobs, id) => {
                let (jobs, id) = (jobs.clone(), *id);
                // One that has ended is none any more.
                tokio::spawn(async move { jobs.detach(id).await });
            }
        }
    }
}

impl Following {
    async fn run(mut self, to: &mut SendStream, from: &mut RecvStream) -> Result<(), CallError> {
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
                        self.keeper.cancel().await;
                    }
                    Some(Word::Leave) => {
                        if let Keeper::Jobs(jobs, id) = &self.keeper {
                            frames::send(to, &Told::Job(jobs.detach(*id).await), PAGE).await?;
                        }
                        return frames::send(to, &Told::Left, PAGE).await;
                    }
                    None => return Ok(()),
                },
            }
        };
        self.tell(to).await?;
        // It ends with the node.
        let end = end.unwrap_or(Err(Error::Control(ControlError::Lost)));
        let end = match (end, &self.keeper) {
            (Err(Error::Interrupted { have, total }), Keeper::Jobs(_, id)) if !heard => {
                Err(ControlError::Cancelled { job: *id, have, total }.into())
            }
            // Only the end of the node has ended it.
            (Err(Error::Interrupted { .. }), Keeper::Command(_)) if !heard => Err(ControlError::Lost.into()),
            (end, _) => end,
        };
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

impl Keeper {
    async fn cancel(&self) {
        match self {
            Self::Command(canceller) => canceller.cancel(),
            // It may have ended by itself just now.
            Self::Jobs(jobs, id) => drop(jobs.order(Some(*id), JobOrder::Cancel).await),
        }
    }
}
