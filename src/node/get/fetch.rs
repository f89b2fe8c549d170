//! From a plan to the published result: the transfer is started, fed with providers, watched, and published.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::actors::download::supervisor::{Download, TransferRequest};
use crate::actors::download::{Ending, Shortfall, Terms};
use crate::actors::limits::throttle::Throttle;
use crate::actors::shelf::Serving;
use crate::io::receive::partial::{Partial, PartialError, Resumed};
use crate::io::receive::publish::{Halt, PublishPlan};
use crate::io::share::source::Source as _;
use crate::logic::explain::{Spent, account};
use crate::node::error::{Error, Lack, Result};
use crate::node::get::again::{Again, tell_changed_from_gone};
use crate::node::get::contents::Contents;
use crate::node::get::follow::follow;
use crate::node::get::given;
use crate::node::get::givers;
use crate::node::get::seed::Learned;
use crate::node::get::times::only;
use crate::node::get::{Get, Plan, Sink, Stream, is_still_there, kept};
use crate::node::look::late::LateAnswers;
use crate::node::look::near;
use crate::node::types::{Outcome, Phase, ShareBack};

mod turn;

use turn::Turn;

/// Batches of providers that wait to be taken up by a transfer.
const PROVIDERS: usize = 16;

impl Get {
    /// Fetches and publishes.
    pub(super) async fn fetch(&mut self, plan: Plan) -> Result<Outcome> {
        let (Plan { hit, contents, present, place, late }, partial, resumed) = match self.open(plan).await? {
            Turn::Done(outcome) => return Ok(*outcome),
            Turn::Own(plan, partial, resumed) => (*plan, partial, resumed),
        };
        self.tell_of_earlier(&contents, &place, &resumed.superseded);
        let parts = Arc::clone(&self.inner);
        let shares = self.request.share != ShareBack::Never;
        let request = self.transfer(&contents, &partial, resumed);
        let mut download = parts.downloads.start(request).await?;
        download.providers(hit.providers.clone());
        self.report.phase(Phase::Fetching);
        let noting = givers::begin(&place, &contents, &download);
        let is_open = shares && self.request.given.is_none();
        let participation =
            (is_open && contents.wanted.map.units() > 1).then(|| parts.announcer.join(contents.wanted.content));
        let ended = self.until_end(&mut download, &contents, late).await;
        match ended? {
            Ending::Cancelled => return Err(self.interrupted_with(&partial)),
            Ending::Complete => {}
            Ending::Incomplete(shortfall) => return Err(self.incomplete(&contents, shortfall, &partial).await),
        }
        noting.done().await;
        self.report.phase(Phase::Finishing);
        let Sink::Disk { destination, parent } = place else { return Ok(self.fetched(contents)) };
        let mut cancelled = self.cancelled.clone();
        let times = tokio::select! {
            times = self.times(&contents, &destination.name, &hit.providers) => times,
            // All is proven and kept: the next run only publishes.
            () = until(&mut cancelled) => return Err(self.interrupted_with(&partial)),
        };
        let (target, replace) = (destination.name.clone(), present.replace);
        let (replaced, left) = (replace.len() as u64, present.newer.len() as u64);
        // Of what only others fetch too, no offer has told the bit; who gave it has.
        let executable = contents.executable || download.source.executable();
        let halt = Halt::default();
        let publish = PublishPlan { target, replace, times: times.clone(), executable, halt: halt.clone() };
        let held = Arc::clone(&partial);
        let mut published = std::pin::pin!(blocking(move || Ok(held.publish(&publish)?)));
        let published = tokio::select! {
            published = &mut published => published,
            () = until(&mut cancelled) => {
                halt.order();
                published.await
            }
        };
        match published {
            Err(Error::Partial(PartialError::Halted)) => return Err(self.interrupted_with(&partial)),
            published => published?,
        };
        is_still_there(&destination, &parent)?;
        self.set_times(&parent, &destination.name, &contents, only(times, &present.same)).await;
        let lists = download.source.lists();
        let learned = Learned { lists, compared: present.proofs, same: present.same };
        let seeding = self.keep(&contents, &destination, learned).await?;
        // Only now: what goes on being served has been so all the time.
        drop(participation);
        Ok(Outcome { path: Some(destination.path().into()), seeding, replaced, left, ..self.fetched(contents) })
    }

    /// What the transfer is started with.
    fn transfer(&self, contents: &Contents, partial: &Arc<Partial>, resumed: Resumed) -> TransferRequest {
        TransferRequest {
            partial: Arc::clone(partial),
            resumed,
            executable: contents.executable,
            left_out: contents.left_out.clone(),
            terms: Terms {
                throttle: self.throttle.clone(),
                wait: self.request.wait,
                connections: self.request.connections,
                in_order: self.stream.is_some(),
                // What is put to somebody is put anew, as something else.
                returns: self.request.given.is_none(),
                seed: rand::random(),
            },
            share: self.request.share != ShareBack::Never,
            serving: Serving {
                throttle: self.request.upload_limit.map(|limit| Throttle::new(Some(limit))),
                among: self.request.given.as_ref().map(|given| Arc::new(given::nodes(given))),
            },
            open: self.request.from.is_none(),
            progress: self.report.progress(),
            tell: self.report.tell(),
        }
    }

    /// Feeds the transfer until it ends, is cancelled, or its stream takes no more.
    async fn until_end(
        &mut self,
        download: &mut Download,
        contents: &Contents,
        late: Option<LateAnswers>,
    ) -> Result<Ending> {
        let (found, mut providers) = mpsc::channel(PROVIDERS);
        let mut following = JoinSet::new();
        let (tell, mut truth) = mpsc::channel(1);
        let again = Again {
            finder: self.finder.clone(),
            content: contents.wanted.content,
            name: contents.name.clone(),
            changes: download.changes(),
            transfer: download.progress(),
            report: self.report.clone(),
        };
        following.spawn(again.run(found.clone(), tell));
        if self.finder.is_open() {
            for tracker in self.finder.trackers() {
                following.spawn(follow(self.finder.clone(), tracker.clone(), contents.wanted.content, found.clone()));
            }
            if let Some(overlay) = self.finder.overlay() {
                let own = self.finder.own;
                let plane = self.report.now().plane;
                following.spawn(near::follow(overlay.clone(), own, contents.wanted.content, plane, found.clone()));
            }
        }
        if let Some(given) = self.request.given.clone() {
            following.spawn(given::meet(self.finder.connections.clone(), given, (download.progress(), found.clone())));
        }
        if let Some(late) = late {
            following.spawn(late.run(self.report.clone(), found.clone()));
        }
        let mut cancelled = self.cancelled.clone();
        let mut ending = false;
        let on_disk = self.stream.is_none();
        let mut stream = Delivery::start(self.stream.take(), download);
        loop {
            tokio::select! {
                ended = download.ended() => {
                    let ended = ended?;
                    if ended == Ending::Complete {
                        stream.finished().await?;
                    }
                    return Ok(ended);
                }
                failed = stream.failed() => {
                    download.cancel();
                    return Err(Error::Stdout(failed.into()));
                }
                Some(more) = providers.recv() => download.providers(more),
                // What a stream was begun with cannot be taken back.
                Some(other) = truth.recv(), if on_disk && !ending => {
                    ending = true;
                    self.truth = Some(other.hit);
                    download.cancel();
                }
                () = until(&mut cancelled), if !ending => {
                    ending = true;
                    download.cancel();
                }
            }
        }
    }

    async fn incomplete(&self, contents: &Contents, shortfall: Shortfall, partial: &Partial) -> Error {
        let now = self.report.now();
        let Shortfall { waited, mut providers, files } = shortfall;
        tell_changed_from_gone(&self.finder, contents.wanted.content, &contents.name, &mut providers).await;
        let first = files.first().and_then(|first| contents.path_of(*first));
        let lack = Lack { waited, providers, files: first.map(|first| (first, files.len())) };
        let have = kept(&now, partial);
        Error::Incomplete { name: contents.name.to_string(), have, total: now.total, lack: Box::new(lack) }
    }

    fn fetched(&self, contents: Contents) -> Outcome {
        let now = self.report.now();
        let spent = Spent {
            looking: self.report.took(Phase::Looking),
            connecting: self.report.took(Phase::Connecting),
            comparing: self.report.took(Phase::Hashing),
            fetching: self.report.took(Phase::Fetching),
            finishing: self.report.took(Phase::Finishing),
            ..now.spent
        };
        let bytes = contents.bytes();
        let shares = account(&spent);
        Outcome { fetched: now.fetched, providers: now.providers, shares, ..self.outcome(contents, bytes) }
    }
}

/// The bytes on their way to the request's stream, when it has one.
struct Delivery(Option<JoinHandle<std::io::Result<u64>>>);

impl Delivery {
    fn start(stream: Option<Stream>, download: &Download) -> Self {
        Self(stream.map(|mut stream| {
            let source = Arc::clone(&download.source);
            // It ends with its transfer: aborted, or delivered whole.
            tokio::spawn(async move { source.deliver(&mut *stream).await })
        }))
    }

    /// Resolves only when the stream takes no more.
    async fn failed(&mut self) -> std::io::Error {
        match self.join().await {
            Some(Err(error)) => error,
            _ => std::future::pending().await,
        }
    }

    /// Waits until everything is delivered.
    async fn finished(&mut self) -> Result<()> {
        self.join().await.transpose().map(drop).map_err(|error| Error::Stdout(error.into()))
    }

    async fn join(&mut self) -> Option<std::io::Result<u64>> {
        let joined = self.0.as_mut()?.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        self.0 = None;
        Some(joined)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

pub(super) async fn until(cancelled: &mut tokio::sync::watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending().await
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
