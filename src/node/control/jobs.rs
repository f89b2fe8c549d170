//! The transfers that a node keeps for commands: carries out what `logic/limits/jobs` decides, and keeps them in the home.
//! Invariant: what a command has left to the node is in its file before the command is told so, if the disk takes it.

mod kept;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};

use self::kept::Kept;
use crate::actors::limits::throttle::Throttle;
use crate::io::home::Home;
use crate::io::home::jobs::{JobFile, JobFiles};
use crate::io::receive::landing::Landing;
use crate::logic::limits::jobs::{JobError, JobId, JobOrder, JobState, Jobs, RunEnd, Step};
use crate::model::{Cause, ContentId, RateLimit};
use crate::node::Node;
use crate::node::error::{ControlError, Error, ErrorCode};
use crate::node::get::Transfer;
use crate::node::inner::Inner;
use crate::node::inner::orders::{Followed, JobWish, JobsRef, Order};
use crate::node::types::{Canceller, Event, JobRow, Lifetime, Notice, Outcome, Progress};
use crate::wire::Role;

/// Orders that wait.
const ORDERS: usize = 64;
/// Jobs of a page.
const PAGE: usize = 256;
/// How long transfers may take to end with the node: they sync what they have.
const END: Duration = Duration::from_secs(5);

/// A transfer that the node of a home goes on with, or is ready to.
#[derive(Debug, Clone)]
pub struct KeptJob {
    /// Its number.
    pub id: JobId,
    /// What it fetches.
    pub content: ContentId,
    /// Where it goes: this path, or into it.
    pub output: PathBuf,
}

/// Those that are kept in a home, as far as they can be read and it is known what they fetch. Blocks on the disk; the node need not
/// run.
#[must_use]
pub fn kept_in(home: &Home) -> Vec<KeptJob> {
    let files = JobFiles::at(&home.role_dir(Role::Node)).read().unwrap_or_default();
    let kept = |file: JobFile| {
        let kept = Kept::read(&file.bytes.ok()?).ok()?;
        let is_over = matches!(kept.state, JobState::Cancelled | JobState::Ended);
        let (content, output) = (kept.content()?, kept.wish.request.output?);
        (!is_over).then(|| KeptJob { id: file.number.into(), content, output })
    };
    files.into_iter().filter_map(kept).collect()
}

/// Begins to keep jobs, those of earlier runs first, where the node lives long enough.
pub(crate) async fn start(node: &Node) {
    if node.guest.is_some() || node.lifetime != Lifetime::LongRunning {
        return;
    }
    let (to, orders) = mpsc::channel(ORDERS);
    let files = JobFiles::at(&node.home.role_dir(Role::Node));
    let mut keeper = Keeper {
        node: Arc::downgrade(&node.inner),
        files,
        jobs: Jobs::default(),
        all: BTreeMap::new(),
        runs: JoinSet::new(),
        begun: Instant::now(),
        untold: true,
    };
    keeper.restore().await;
    // Set once: a node starts once.
    let _ = node.inner.jobs.set(JobsRef::new(to));
    node.inner.run(keeper.run(orders));
}

/// Who keeps them.
struct Keeper {
    node: Weak<Inner>,
    files: JobFiles,
    jobs: Jobs,
    all: BTreeMap<JobId, Job>,
    runs: JoinSet<(JobId, Result<Outcome, Error>)>,
    begun: Instant,
    /// That jobs cannot be kept was not told yet.
    untold: bool,
}

/// One of them.
struct Job {
    kept: Kept,
    run: Option<Run>,
    /// Who is told its end.
    end: Option<oneshot::Sender<Result<Outcome, Error>>>,
}

/// Its transfer.
struct Run {
    progress: watch::Receiver<Progress>,
    notices: watch::Receiver<Vec<Notice>>,
    canceller: Canceller,
    throttle: Throttle,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            self.settle().await;
            let due = self.jobs.due().map(|due| self.begun + due);
            tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(order) => self.order(order).await,
                },
                Some(Ok((id, result))) = self.runs.join_next() => self.over(id, result),
                () = sleep_until(due.unwrap_or(self.begun)), if due.is_some() => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Those of earlier runs; what cannot be read is told, and left where it is.
    async fn restore(&mut self) {
        let files = self.files.clone();
        let read = spawn_blocking(move || files.read()).await;
        let read = read.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_else(|error| {
            self.warn(Notice::JobUnread { path: self.files.dir().into(), cause: error.into() });
            Vec::new()
        });
        for file in read {
            let id = JobId::from(file.number);
            self.jobs.reserve(id);
            match file.bytes.map_err(Cause::from).and_then(|bytes| Kept::read(&bytes)) {
                Err(cause) => self.warn(Notice::JobUnread { path: file.path.as_path().into(), cause }),
                Ok(kept) if self.jobs.restore(id, kept.state, kept.error.as_ref().is_none_or(may_change)) => {
                    self.all.insert(id, Job { kept, run: None, end: None });
                }
                Ok(_) => {}
            }
        }
    }

    fn warn(&self, notice: Notice) {
        if let Some(node) = self.node.upgrade() {
            node.host.warn(notice);
        }
    }

    async fn order(&mut self, order: Order) {
        // Whoever asked may have gone.
        match order {
            Order::Add(wish, reply) => {
                let followed = self.add(*wish).await;
                let _ = reply.send(followed);
            }
            Order::Detach(id, reply) => {
                let kept = self.detach(id);
                self.settle().await;
                let _ = reply.send(kept);
            }
            Order::Jobs(id, order, reply) => {
                let done = self.order_jobs(id, order);
                self.settle().await;
                let _ = reply.send(done.map_err(Error::from));
            }
            Order::Leave(wish, reply) => {
                let id = self.leave(*wish).await;
                let _ = reply.send(id);
            }
            Order::Limit(id, limit, reply) => {
                let done = self.limit(id, limit);
                self.settle().await;
                let _ = reply.send(done.map_err(Error::from));
            }
            Order::Rows(after, reply) => drop(reply.send(self.rows(after))),
            Order::Stop(_) => {}
        }
    }

    async fn add(&mut self, wish: JobWish) -> Result<Followed, Error> {
        is_here(wish.landing.clone()).await?;
        let id = self.jobs.add(true)?;
        let (end, ended) = oneshot::channel();
        self.all.insert(id, Job { kept: Kept::new(wish), run: None, end: Some(end) });
        // One that is followed waits for nobody.
        self.settle().await;
        let run = self.all.get(&id).and_then(|job| job.run.as_ref()).ok_or(JobError::Unknown { id })?;
        Ok(Followed { id, progress: run.progress.clone(), notices: run.notices.clone(), end: ended })
    }

    /// Leaves a job to itself, or to one that fetches the same to the same place; which of them goes on.
    fn detach(&mut self, id: JobId) -> JobId {
        let Some(same) = self.same(id).filter(|_| self.jobs.is_attached(id)) else {
            self.jobs.detach(id);
            return id;
        };
        // It may have ended just now. What waited for another try has one now.
        let _ = self.jobs.order(id, JobOrder::Cancel);
        let _ = self.jobs.order(same, JobOrder::Retry);
        same
    }

    fn same(&self, id: JobId) -> Option<JobId> {
        let new = self.all.get(&id)?;
        let content = new.content()?;
        let target = |job: &Job| (job.kept.wish.request.output.clone(), job.kept.wish.request.only.clone());
        let goes_on = |id| matches!(self.jobs.state(id), Some(JobState::Running | JobState::Waiting));
        let mut others = self.all.iter().filter(|(other, _)| **other != id && !self.jobs.is_attached(**other));
        let same = others
            .find(|(other, job)| goes_on(**other) && job.content() == Some(content) && target(job) == target(new));
        same.map(|(same, _)| *same)
    }

    async fn leave(&mut self, wish: JobWish) -> Result<JobId, Error> {
        let id = self.jobs.add(false)?;
        self.all.insert(id, Job { kept: Kept::new(wish), run: None, end: None });
        self.settle().await;
        Ok(id)
    }

    fn order_jobs(&mut self, id: Option<JobId>, order: JobOrder) -> Result<Vec<JobId>, JobError> {
        self.one_or_all(id, |jobs, id| jobs.order(id, order))
    }

    fn limit(&mut self, id: Option<JobId>, limit: RateLimit) -> Result<Vec<JobId>, JobError> {
        let changed = self.one_or_all(id, Jobs::changed)?;
        for (_, job) in self.all.iter_mut().filter(|(id, _)| changed.contains(id)) {
            job.kept.wish.request.limit = limit.rate();
            job.run.iter().for_each(|run| run.throttle.set(limit.rate()));
        }
        Ok(changed)
    }

    /// Does it with one job, or with all that no command follows and for which it does not fail; says which.
    fn one_or_all(
        &mut self,
        id: Option<JobId>,
        with: impl Fn(&mut Jobs, JobId) -> Result<(), JobError>,
    ) -> Result<Vec<JobId>, JobError> {
        if let Some(id) = id {
            return with(&mut self.jobs, id).map(|()| vec![id]);
        }
        let left: Vec<_> = self.all.keys().copied().filter(|id| !self.jobs.is_attached(*id)).collect();
        Ok(left.into_iter().filter(|id| with(&mut self.jobs, *id).is_ok()).collect())
    }

    fn rows(&self, after: Option<JobId>) -> Vec<JobRow> {
        let after = after.map_or(0, u32::from);
        self.all
            .iter()
            .filter(|(id, _)| u32::from(**id) > after && !self.is_forgotten(**id))
            .take(PAGE)
            .map(|(id, job)| self.row(*id, job))
            .collect()
    }

    /// Whether it is on its way out: a command that followed it has ended it.
    fn is_forgotten(&self, id: JobId) -> bool {
        self.jobs.is_attached(id) && self.jobs.state(id) == Some(JobState::Cancelled)
    }

    fn row(&self, id: JobId, job: &Job) -> JobRow {
        let (now, request) = (job.now(), &job.kept.wish.request);
        JobRow {
            id,
            what: request.what.clone(),
            name: now.name.or_else(|| request.given.as_ref().map(|given| given.name.clone())),
            given: request.given.is_some(),
            output: request.output.clone(),
            state: self.jobs.state(id).unwrap_or(job.kept.state),
            halting: self.jobs.is_halting(id),
            bytes: now.bytes,
            total: now.total,
            rate: now.rate,
            limit: request.limit,
            providers: now.providers.iter().filter(|provider| provider.rate > 0).count() as u64,
            error: job.kept.error.clone(),
            again: self.jobs.again(id, self.now()),
        }
    }

    /// Does what is to be done.
    async fn settle(&mut self) {
        while let Some(step) = self.jobs.step(self.now()) {
            match step {
                Step::Begin(id) => self.begin(id).await,
                Step::Forget(id) => {
                    self.all.remove(&id);
                    let files = self.files.clone();
                    self.disk(id, move || files.remove(id.into())).await;
                }
                Step::Halt(id) => {
                    let run = self.all.get(&id).and_then(|job| job.run.as_ref());
                    run.into_iter().for_each(|run| run.canceller.cancel());
                }
                Step::Keep(id) => self.keep(id).await,
            }
        }
    }

    async fn begin(&mut self, id: JobId) {
        let (Some(job), Some(node)) = (self.all.get_mut(&id), self.node.upgrade()) else { return };
        let wish = &job.kept.wish;
        if is_here(wish.landing.clone()).await.is_err() {
            let path = wish.landing.dir.as_path().into();
            self.over(id, Err(ControlError::Moved { path }.into()));
            return;
        }
        // What it tells is in the transfer's own notices.
        let (asker, _) = mpsc::channel(1);
        let transfer = Transfer::begin(Arc::new(node.at(&wish.places, asker).await), wish.request.clone(), None);
        let (progress, notices, canceller) = (transfer.progress(), transfer.notices(), transfer.canceller());
        job.run = Some(Run { progress, notices, canceller, throttle: transfer.throttle() });
        self.runs.spawn(async move { (id, transfer.finish().await) });
        self.tell(id);
    }

    /// How it stands, to whoever listens.
    fn tell(&self, id: JobId) {
        if let (Some(job), Some(node)) = (self.all.get(&id), self.node.upgrade()) {
            // Full: who listens may ask for all.
            let _ = node.host.events.try_send(Event::Job(Box::new(self.row(id, job))));
        }
    }

    fn over(&mut self, id: JobId, result: Result<Outcome, Error>) {
        let now = self.now();
        let Some(job) = self.all.get_mut(&id) else { return };
        let came = job.now().fetched > 0;
        job.note();
        job.run = None;
        job.kept.error = result.as_ref().err().cloned();
        let end = match &result {
            Ok(outcome) => {
                job.kept.ended(outcome);
                RunEnd::Done
            }
            Err(error) if error.code() == ErrorCode::Interrupted => {
                job.kept.error = None;
                RunEnd::Halted
            }
            Err(error) => RunEnd::Failed { again: may_change(error), came },
        };
        if let Some(told) = job.end.take() {
            let paused = self.jobs.state(id) == Some(JobState::Paused);
            let result = result.map_err(|error| match error {
                Error::Interrupted { have, total } if paused => ControlError::Paused { job: id, have, total }.into(),
                error => error,
            });
            // The command may have gone.
            let _ = told.send(result);
        }
        // One that is followed is forgotten at once.
        job.kept.state = end.state();
        self.jobs.over(id, end, now);
        if self.jobs.state(id).is_none() {
            self.tell(id);
        }
    }

    async fn keep(&mut self, id: JobId) {
        let Some(state) = self.jobs.state(id) else { return };
        let Some(job) = self.all.get_mut(&id) else { return };
        job.note();
        job.kept.state = state;
        let (files, bytes) = (self.files.clone(), job.kept.bytes());
        self.tell(id);
        self.disk(id, move || files.write(id.into(), &bytes)).await;
    }

    /// What the disk does not take is told once, and the job goes on.
    async fn disk(&mut self, id: JobId, work: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        match spawn_blocking(work).await {
            Ok(Err(error)) if self.untold => {
                self.untold = false;
                let path = self.files.dir().join(id.to_string());
                self.warn(Notice::Job { path: path.as_path().into(), cause: error.into() });
            }
            Ok(Err(_)) | Err(_) => {}
            Ok(Ok(())) => self.untold = true,
        }
    }

    /// Ends the transfers; the next run of the node goes on with them. Where another command has stopped it, those who follow one have
    /// been told that.
    async fn stop(&mut self) {
        if self.node.upgrade().is_some_and(|node| *node.stop_asked().borrow()) {
            let followed: Vec<_> = self.all.keys().copied().filter(|id| self.jobs.is_attached(*id)).collect();
            followed.into_iter().for_each(|id| self.jobs.detach(id));
            self.settle().await;
        }
        self.all.values().filter_map(|job| job.run.as_ref()).for_each(|run| run.canceller.cancel());
        let all = async { while self.runs.join_next().await.is_some() {} };
        // What was journalled is kept in any case.
        let _ = timeout(END, all).await;
    }
}

impl Job {
    /// How far it is.
    fn now(&self) -> Progress {
        let run = self.run.as_ref().map(|run| run.progress.borrow().clone());
        let kept = &self.kept;
        let before =
            || Progress { name: kept.name.clone(), bytes: kept.have, total: kept.total, ..Progress::default() };
        match run {
            // Nothing is known yet in this run.
            Some(run) if run.total == 0 => Progress { phase: run.phase, ..before() },
            Some(run) => run,
            None => before(),
        }
    }

    /// What is fetched, once that is known.
    fn content(&self) -> Option<ContentId> {
        self.run.as_ref().and_then(|run| run.progress.borrow().id).or_else(|| self.kept.content())
    }

    /// Takes over how far its transfer is.
    fn note(&mut self) {
        let now = self.now();
        self.kept.note(now);
    }
}

/// Whether time, or somebody who comes, may help.
fn may_change(error: &Error) -> bool {
    match error {
        Error::DoesNotMatch { .. }
        | Error::OtherThanGiven { .. }
        | Error::LeftOut { .. }
        | Error::NoneMatch { .. }
        | Error::NotACollection { .. } => false,
        Error::Halted { error, .. } => may_change(error),
        error => matches!(
            error.code(),
            ErrorCode::Busy
                | ErrorCode::Destination
                | ErrorCode::Failed
                | ErrorCode::Forbidden
                | ErrorCode::Incomplete
                | ErrorCode::NoSpace
                | ErrorCode::NotFound
                | ErrorCode::Unreachable
        ),
    }
}

/// Whether it can go there.
///
/// # Errors
/// When the command that asked sees another directory under this path than the node.
pub(super) async fn is_here(landing: Landing) -> Result<(), Error> {
    let path = landing.dir.clone();
    match spawn_blocking(move || landing.is_here()).await? {
        true => Ok(()),
        false => Err(ControlError::OtherDirectory { path: path.into() }.into()),
    }
}
