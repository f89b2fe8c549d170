//! From a plan to the published result: the transfer is started, fed with providers, watched, and published.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::actors::download::supervisor::{Download, TransferRequest};
use crate::actors::download::{Ending, Shortfall, Snapshot};
use crate::io::receive::partial::Partial;
use crate::io::receive::publish::PublishPlan;
use crate::io::share::source::Source as _;
use crate::logic::explain::{Spent, account};
use crate::node::error::{Error, Lack};
use crate::node::get::again::{look_again, tell_changed_from_gone};
use crate::node::get::contents::Contents;
use crate::node::get::follow::follow;
use crate::node::get::givers;
use crate::node::get::seed::Learned;
use crate::node::get::times::only;
use crate::node::get::turn::Turn;
use crate::node::get::{Get, Plan, Sink, kept};
use crate::node::look::beside::Beside;
use crate::node::look::near;
use crate::node::report::Report;
use crate::node::types::{GetNotice, Outcome, Output, Phase, ProviderProgress, ShareBack};

/// Batches of providers that wait to be taken up by a transfer.
const PROVIDERS: usize = 16;

impl Get {
    /// Fetches and publishes.
    pub(super) async fn fetch(mut self, plan: Plan) -> Result<Outcome, Error> {
        let (Plan { hit, contents, present, place, beside }, partial, resumed) = match self.open(plan).await? {
            Turn::Done(outcome) => return Ok(*outcome),
            Turn::Own(plan, partial, resumed) => (*plan, partial, resumed),
        };
        self.tell_of_earlier(&contents, &place, &resumed.superseded);
        let parts = &self.inner;
        let shares = self.request.share != ShareBack::Never;
        let job = TransferRequest {
            id: contents.part.id,
            kind: contents.part.kind,
            size: contents.part.size,
            executable: contents.executable,
            map: Arc::clone(&contents.map),
            manifest: contents.tree.as_ref().map(|(_, manifest)| Arc::clone(manifest)),
            partial: Arc::clone(&partial),
            resumed,
            limit: self.request.limit,
            wait: self.request.wait,
            share: shares,
            open: self.request.from.is_none(),
            connections: self.request.connections,
            in_order: matches!(self.request.output, Output::Stream(_)),
            seed: rand::random(),
        };
        let mut download = parts.downloads.start(job).await?;
        download.providers(hit.providers.clone());
        self.report.phase(Phase::Fetching);
        let showing = Showing::start(&download, &self.report);
        let noting = givers::begin(&place, &contents, &download);
        let participation = (shares && contents.map.units() > 1).then(|| parts.announcer.join(contents.part));
        let ended = self.until_end(&mut download, &contents, beside).await;
        drop(showing);
        let last = download.progress().borrow().clone();
        show(&self.report, &last);
        match ended? {
            Ending::Cancelled => return Err(self.interrupted_with(&partial)),
            Ending::Complete => {}
            Ending::Incomplete(shortfall) => return Err(self.incomplete(&contents, shortfall, &partial).await),
        }
        noting.done().await;
        self.report.phase(Phase::Finishing);
        let Sink::Disk { destination, parent } = place else { return Ok(self.fetched(contents, last.spent)) };
        let mut cancelled = self.cancelled.clone();
        let times = tokio::select! {
            times = self.times(&contents, &destination.name, &hit.providers) => times,
            // All is proven and kept: the next run only publishes.
            () = until(&mut cancelled) => return Err(self.interrupted_with(&partial)),
        };
        let (target, replace) = (destination.name.clone(), present.replace);
        // Of what only others fetch too, no offer has told the bit; who gave it has.
        let executable = contents.executable || download.source().executable();
        let publish = PublishPlan { target, replace, times: times.clone(), executable };
        blocking(move || Ok(partial.publish(&publish)?)).await?;
        self.set_times(&parent, &destination.name, &contents, only(times, &present.same)).await;
        let lists = download.source().lists();
        let learned = Learned { lists, compared: present.proofs, same: present.same };
        let seeding = self.keep(&contents, &destination, learned).await?;
        // Only now: what goes on being served has been so all the time.
        drop(participation);
        Ok(Outcome { path: Some(destination.path()), seeding, ..self.fetched(contents, last.spent) })
    }

    /// Feeds the transfer until it ends, is cancelled, or its stream takes no more.
    async fn until_end(
        &mut self,
        download: &mut Download,
        contents: &Contents,
        beside: Option<Beside>,
    ) -> Result<Ending, Error> {
        let (found, mut providers) = mpsc::channel(PROVIDERS);
        let mut following = JoinSet::new();
        following.spawn(look_again(self.finder.clone(), contents.part, download.progress(), found.clone()));
        if self.finder.is_open() {
            for place in self.finder.trackers() {
                following.spawn(follow(self.finder.clone(), place.clone(), contents.part, found.clone()));
            }
            if let Some(overlay) = self.finder.overlay() {
                let (own, plane) = (self.finder.own, self.report.now().plane);
                following.spawn(near::follow(overlay.clone(), own, contents.part, plane, found.clone()));
            }
        }
        if let Some(beside) = beside {
            following.spawn(beside.run(self.report.clone(), found.clone()));
        }
        let mut cancelled = self.cancelled.clone();
        let mut ending = false;
        let mut stream = Delivery::start(&mut self.request.output, download);
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
        tell_changed_from_gone(&self.finder, contents.part, &contents.name, &mut providers).await;
        let first = files.first().and_then(|first| contents.path_of(*first));
        let lack = Lack { waited, providers, files: first.map(|first| (first, files.len())) };
        let (name, have) = (contents.name.to_string(), kept(&now, partial));
        Error::Incomplete { name, have, total: now.total, lack: Box::new(lack) }
    }

    fn fetched(&self, contents: Contents, spent: Spent) -> Outcome {
        let now = self.report.now();
        let spent = Spent {
            looking: self.report.took(Phase::Looking),
            connecting: self.report.took(Phase::Connecting),
            comparing: self.report.took(Phase::Hashing),
            fetching: self.report.took(Phase::Fetching),
            finishing: self.report.took(Phase::Finishing),
            ..spent
        };
        let bytes = contents.wanted().iter().map(|(_, size)| size).sum();
        let shares = account(&spent);
        Outcome { fetched: now.fetched, providers: now.providers, shares, ..self.outcome(contents, bytes) }
    }
}

/// Copies the transfer's progress into the report while it lives.
struct Showing(JoinHandle<()>);

impl Showing {
    fn start(download: &Download, report: &Report) -> Self {
        let (mut progress, report) = (download.progress(), report.clone());
        Self(tokio::spawn(async move {
            while progress.changed().await.is_ok() {
                show(&report, &progress.borrow_and_update());
            }
        }))
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn show(report: &Report, now: &Snapshot) {
    report.update(|progress| {
        progress.bytes = now.bytes;
        progress.fetched = now.fetched;
        progress.total = now.total;
        progress.rate = now.rate;
        let provider = |p: &crate::actors::download::ProviderSnapshot| ProviderProgress {
            node: p.node,
            addr: p.addr,
            bytes: p.bytes,
            rate: p.rate,
            path: p.path,
            connections: p.connections,
            why: p.why,
        };
        progress.providers = now.providers.iter().map(provider).collect();
        let known = progress.warnings.len();
        let all = now.warnings.iter().cloned().map(|notice| GetNotice::Download(notice).into());
        let new: Vec<_> = all.filter(|notice| !progress.warnings[..known].contains(notice)).collect();
        progress.warnings.extend(new);
    });
}

/// The bytes on their way to the request's stream, when it has one.
struct Delivery(Option<JoinHandle<std::io::Result<u64>>>);

impl Delivery {
    fn start(output: &mut Output, download: &Download) -> Self {
        let Output::Stream(_) = output else { return Self(None) };
        let Output::Stream(mut stream) = std::mem::replace(output, Output::Here) else { return Self(None) };
        let source = Arc::clone(download.source());
        // It ends with its transfer: aborted, or delivered whole.
        Self(Some(tokio::spawn(async move { source.deliver(&mut *stream, std::future::pending()).await })))
    }

    /// Resolves only when the stream takes no more.
    async fn failed(&mut self) -> std::io::Error {
        match self.join().await {
            Some(Err(error)) => error,
            _ => std::future::pending().await,
        }
    }

    /// Waits until everything is delivered.
    async fn finished(&mut self) -> Result<(), Error> {
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::Internal { cause: error.to_string() }))
}
