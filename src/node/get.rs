//! One `get`, from the wish to the published result: look, compare, fetch, publish, perhaps go on serving.

pub(super) mod again;
pub(super) mod begun;
pub(super) mod contents;
pub(super) mod destination;
pub(super) mod dry;
pub(super) mod fetch;
pub(super) mod follow;
pub(super) mod given;
pub(super) mod givers;
mod holding;
pub(super) mod manifest;
pub(super) mod seed;
pub(super) mod selection;
pub(super) mod times;
pub(super) mod update;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncWrite;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{Instrument as _, debug_span};

use crate::actors::limits::throttle::Throttle;
use crate::io::receive::dest::{DestError, SafeDir};
use crate::io::receive::partial::{Names, Partial, PartialError};
use crate::io::receive::umask::Mask;
use crate::logic::limits::turns::{by_turns, home};
use crate::logic::offers::merge::add_provider;
use crate::model::{ContentId, Hit, NodeId, SafePath};
use crate::node::error::{ControlError, Error, Result};
use crate::node::get::contents::{Contents, Present, name_of, not_hashed};
use crate::node::get::destination::TargetPath;
use crate::node::get::seed::Learned;
use crate::node::inner::Inner;
use crate::node::look::Meant;
use crate::node::look::find::Finder;
use crate::node::look::late::LateAnswers;
use crate::node::report::Report;
use crate::node::types::{Canceller, GetNotice, GetRequest, LookNotice, Notice, Outcome, Phase, Progress};

/// What is told of a transfer: where it stands, and what went wrong.
pub(super) type Told = (watch::Receiver<Progress>, watch::Receiver<Vec<Notice>>);

/// How a transfer ends.
pub(super) type Ending = Result<Outcome>;

/// A transfer under way. Dropping it cancels it; what was proven is kept.
pub struct Transfer {
    progress: watch::Receiver<Progress>,
    notices: watch::Receiver<Vec<Notice>>,
    canceller: Canceller,
    leaver: Option<Canceller>,
    throttle: Throttle,
    task: JoinHandle<Ending>,
}

impl Transfer {
    pub(crate) fn begin(inner: Arc<Inner>, request: GetRequest, stream: Option<Stream>) -> Self {
        let finder = if request.given.is_some() { inner.finder.nobody() } else { inner.finder.clone() };
        let report = Report::new();
        let (progress, notices) = (report.progress().subscribe(), report.notices());
        let (canceller, cancelled) = Canceller::new();
        let throttle = Throttle::new(request.limit).beneath(&inner.rates.down);
        let (started, to) = (Instant::now(), throttle.clone());
        let get = Get { inner, finder, request, stream, report, cancelled, throttle: to, started, truth: None };
        let span = debug_span!("get", what = ?get.request.what);
        Self { progress, notices, canceller, leaver: None, throttle, task: tokio::spawn(get.run().instrument(span)) }
    }

    /// One that another process carries out, and the task that hears of it.
    pub(super) fn of(
        told: Told,
        (canceller, leaver): (Canceller, Option<Canceller>),
        task: JoinHandle<Ending>,
    ) -> Self {
        let (progress, notices) = told;
        Self { progress, notices, canceller, leaver, throttle: Throttle::new(None), task }
    }

    /// Where it stands.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// What went wrong so far; only ever grows.
    #[must_use]
    pub fn notices(&self) -> watch::Receiver<Vec<Notice>> {
        self.notices.clone()
    }

    /// Ends it from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Leaves it to the running node, which carries it out: it then fails as left. None where it is carried out here.
    #[must_use]
    pub fn leaver(&self) -> Option<Canceller> {
        self.leaver.clone()
    }

    /// At which its own rate is changed, where it is carried out here.
    pub(super) fn throttle(&self) -> Throttle {
        self.throttle.clone()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Whatever kept it from being published.
    pub async fn finish(mut self) -> Result<Outcome> {
        (&mut self.task).await?
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}

/// What a file's bytes are written to.
pub(in crate::node) type Stream = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// One request on its way.
pub(super) struct Get {
    pub(super) inner: Arc<Inner>,
    pub(super) finder: Finder,
    pub(super) request: GetRequest,
    /// Where the bytes go instead of a path.
    pub(super) stream: Option<Stream>,
    pub(super) report: Report,
    pub(super) cancelled: watch::Receiver<bool>,
    throttle: Throttle,
    started: Instant,
    /// What the id was proven to be, when nobody had what had been claimed of it.
    pub(super) truth: Option<Hit>,
}

/// Whatever ends a transfer on this side, what was proven by then is kept and is said.
fn halted(error: Error, report: &Report) -> Error {
    let now = report.now();
    match error {
        Error::Dest(_) | Error::Download(_) | Error::Partial(_) if now.bytes > 0 => {
            Error::Halted { error: Box::new(error), have: now.bytes, total: now.total }
        }
        error => error,
    }
}

impl Get {
    async fn run(mut self) -> Result<Outcome> {
        let mut cancelled = self.cancelled.clone();
        loop {
            let prepared = tokio::select! {
                prepared = self.prepare() => Some(prepared?),
                _ = cancelled.wait_for(|cancelled| *cancelled) => None,
            };
            let Some(prepared) = prepared else { return Err(self.interrupted_early().await) };
            let plan = match prepared {
                Prepared::Done(outcome) => return Ok(*outcome),
                Prepared::Fetch(plan) => plan,
            };
            let report = self.report.clone();
            let on_disk = matches!(plan.place, Sink::Disk { .. });
            let providers = plan.hit.providers.clone();
            let fetched = self.fetch(*plan).await;
            // Now there are links to them.
            self.inner.meet(providers.iter().map(|provider| provider.node).collect()).await;
            if fetched.is_ok() || self.truth.is_none() {
                return fetched.map_err(|error| if on_disk { halted(error, &report) } else { error });
            }
        }
    }

    pub(super) fn interrupted(&self) -> Error {
        let now = self.report.now();
        Error::Interrupted { have: now.bytes, total: now.total }
    }

    /// The same, of a transfer that has begun: what an earlier run left is kept though it was not hashed again yet.
    pub(super) fn interrupted_with(&self, partial: &Partial) -> Error {
        let now = self.report.now();
        Error::Interrupted { have: kept(&now, partial), total: now.total }
    }

    /// Everything before the first byte of content.
    async fn prepare(&mut self) -> Result<Prepared> {
        TargetPath::check(self.request.output.as_deref())?;
        let Meant { mut hit, late, beneath } = self.meant().await?;
        let Some(id) = hit.id else { return Err(not_hashed(&hit)) };
        // It is told of the whole collection.
        hit.modified = hit.modified.filter(|_| beneath.is_none());
        // Whatever is asked of them one by one, too: many at one address are not asked before all others.
        hit.providers = by_turns(hit.providers, HashMap::new(), |provider| home(&provider.addrs));
        self.inner.meet(hit.providers.iter().map(|provider| provider.node).collect()).await;
        self.report.phase(Phase::Connecting);
        self.call(&mut hit);
        let named = hit.names.first().cloned().unwrap_or_else(|| name_of(id));
        let destination = self.target(&named, Some(id))?;
        let parent = destination.as_ref().map(|destination| destination.parent.as_path());
        let mut liars = Vec::new();
        let contents = Contents::of(self, &mut hit, beneath.as_deref(), parent, &mut liars).await;
        liars.into_iter().try_for_each(|node| self.bar(node, id, &mut hit))?;
        let mut contents = contents?;
        self.is_as_given(&contents)?;
        if contents.wanted.content.size != hit.size {
            self.believe_others(&mut hit, &mut contents).await;
        }
        contents.without.iter().cloned().for_each(|without| self.report.warn(GetNotice::LeftOut(without)));
        // What is known only by its id is named after it.
        let destination = self.lands(&contents).await?;
        if let Some(destination) = destination.as_ref().filter(|to| Names::is_reserved(to.name.name())) {
            return Err(PartialError::Reserved { path: destination.path().into() }.into());
        }
        if let Some(path) = destination.as_ref().map(TargetPath::path).filter(|path| self.request.taken.contains(path))
        {
            return Err(Error::Taken { path: path.into(), id });
        }
        self.report.name(&contents.name, id);
        self.report.total(contents.wanted.content.size);
        self.tell_of_seeding(&contents);
        if self.request.dry_run {
            let more = if let Some(late) = late { late.hear_now(&self.report).await } else { Vec::new() };
            more.into_iter().for_each(|provider| add_provider(&mut hit.providers, provider));
            return Ok(Prepared::Done(Box::new(self.preview(&hit, contents, destination).await?)));
        }
        let Some(destination) = destination else { return self.prepare_stream(hit, contents, late) };
        let parent = open_parent(&destination, Mask::asked(self.request.umask))?;
        contents.older = self.older(&contents, &destination.name, &parent, &hit.providers).await;
        let present = self.compare(&contents, &destination, &parent).await?;
        self.tell_of_update(&present);
        if contents.wanted.tree.is_none() && !present.newer.is_empty() {
            let (path, outcome) = (Some(destination.path().into()), self.outcome(contents, 0));
            return Ok(Prepared::Done(Box::new(Outcome { path, left: 1, ..outcome })));
        }
        contents.unwanted.extend(present.newer.iter().cloned());
        if present.complete {
            if contents.unwanted.is_empty() {
                Partial::discard(&parent, id)?;
            }
            let there = AllThere { destination, parent, present };
            return Ok(Prepared::Done(Box::new(self.nothing_to_do(contents, there, &hit).await?)));
        }
        let place = Sink::Disk { destination, parent };
        Ok(Prepared::Fetch(Box::new(Plan { hit, contents, present, place, late })))
    }

    /// Puts the name first that it was shown under, where it has several.
    fn call(&self, hit: &mut Hit) {
        let known = self.request.called.as_ref().and_then(|name| hit.names.iter().position(|one| one.last() == *name));
        known.into_iter().for_each(|place| hit.names.swap(0, place));
    }

    /// Where a result of this name and id lands; nowhere when it goes to a stream.
    fn target(&self, name: &SafePath, id: Option<ContentId>) -> Result<Option<TargetPath>> {
        self.stream.is_none().then(|| TargetPath::of(self.request.output.as_deref(), name, id)).transpose()
    }

    /// Where these contents land; told where a directory is taken for an earlier result of them.
    async fn lands(&self, contents: &Contents) -> Result<Option<TargetPath>> {
        let target = self.target(&contents.name, Some(contents.wanted.content.id))?;
        let tree = contents.wanted.tree.is_some() && target.is_some();
        let Some(output) = self.request.output.clone().filter(|_| tree) else { return Ok(target) };
        let files = contents.files();
        let earlier = tokio::task::spawn_blocking(move || TargetPath::earlier(&output, &files)).await?;
        let Some(earlier) = earlier.filter(|earlier| target.as_ref() != Some(earlier)) else { return Ok(target) };
        self.report.warn(GetNotice::Earlier { name: contents.name.clone(), path: earlier.path().into() });
        Ok(Some(earlier))
    }

    /// The directory in which it lands, whatever its name; `None` for a stream, and where it cannot land.
    pub(super) fn parent(&self, id: Option<ContentId>) -> Option<PathBuf> {
        let any = SafePath::parse("x").ok()?;
        Some(self.target(&any, id).ok()??.parent)
    }

    /// What is meant, which is not this node's own.
    async fn meant(&mut self) -> Result<Meant> {
        if let Some(given) = &self.request.given {
            return Ok(given::meant(given));
        }
        let found = match self.truth.take() {
            Some(hit) => Ok(Meant { hit, late: None, beneath: None }),
            None => self.find_at_all().await,
        };
        if let Err(Error::Connect { .. } | Error::NotFound { .. } | Error::Unreachable { .. }) = &found {
            self.tell_of_kept().await;
        }
        let own = |id| self.finder.itself().is_some_and(|itself| !itself.locate(id).hits.is_empty());
        // A node does not dial itself.
        if found.as_ref().is_ok_and(|found| found.hit.id.is_some_and(own)) {
            return Err(ControlError::Own.into());
        }
        found
    }

    /// Finds what is meant: at the peer that was named, or anywhere.
    async fn find_at_all(&mut self) -> Result<Meant> {
        if let Some(peer) = &self.request.from {
            self.finder = self.inner.finder_at(peer).await?;
        }
        self.find().await
    }

    /// Whoever told another size than a list has may have invented its name, too: those who told the true one have the word.
    async fn believe_others(&self, hit: &mut Hit, contents: &mut Contents) {
        let found = self.finder.locate(contents.wanted.content.id).await.map(|found| found.hits).unwrap_or_default();
        let content = Some(contents.wanted.content);
        let Some(other) = found.into_iter().map(|found| found.hit).find(|hit| hit.content() == content) else { return };
        contents.name = Contents::called(&other, contents.wanted.content.id);
        let others = std::mem::replace(hit, other).providers;
        others.into_iter().for_each(|provider| add_provider(&mut hit.providers, provider));
    }

    /// Who sent a wrong list is not asked for anything else of it.
    fn bar(&self, node: NodeId, id: ContentId, hit: &mut Hit) -> Result<()> {
        self.report.warn(LookNotice::WrongList { node, id });
        self.inner.downloads.bar(node, id);
        hit.providers.retain(|provider| provider.node != node);
        Ok(())
    }

    fn prepare_stream(&self, hit: Hit, contents: Contents, late: Option<LateAnswers>) -> Result<Prepared> {
        contents.is_streamable()?;
        let dir = tempfile::tempdir().map_err(|error| Error::Stdout(error.into()))?;
        let parent = SafeDir::open(dir.path())?;
        let place = Sink::Stream { parent, _dir: dir };
        Ok(Prepared::Fetch(Box::new(Plan { hit, contents, present: Present::default(), place, late })))
    }

    /// Compares with what is at the destination, and gives that its executable bits: a warning when they cannot be set,
    /// for the content is right.
    pub(super) async fn compare(
        &self,
        contents: &Contents,
        destination: &TargetPath,
        parent: &SafeDir,
    ) -> Result<Present> {
        let mut present = contents.compare(destination, parent, self.request.replace, &self.report).await?;
        let (contents, parent, target) = (contents.clone(), parent.clone(), destination.name.clone());
        let given = tokio::task::spawn_blocking(move || {
            let given = contents.give_bits(&parent, &target, &mut present);
            (present, given)
        });
        let (present, given) = given.await?;
        if let Err(error) = given {
            self.report.warn(GetNotice::Dest(error));
        }
        Ok(present)
    }

    /// Everything is there: only times may have to be set, and it may be served.
    pub(super) async fn nothing_to_do(&self, contents: Contents, there: AllThere, hit: &Hit) -> Result<Outcome> {
        let AllThere { destination, parent, present } = there;
        let times = self.times(&contents, &destination.name, &hit.providers).await;
        self.set_times(&parent, &destination.name, &contents, times).await;
        let learned = Learned { compared: present.proofs, same: present.same, ..Learned::default() };
        let seeding = self.keep(&contents, &destination, learned).await?;
        let bytes = contents.bytes();
        self.report.bytes(bytes, bytes);
        let (path, left) = (Some(destination.path().into()), present.newer.len() as u64);
        Ok(Outcome { path, seeding, left, ..self.outcome(contents, bytes) })
    }

    pub(super) fn outcome(&self, contents: Contents, bytes: u64) -> Outcome {
        let (lacks, waited) = (contents.without.is_some(), self.report.took(Phase::Waiting));
        Outcome {
            id: contents.wanted.content.id,
            kind: contents.wanted.content.kind,
            part: !contents.only.is_empty(),
            name: contents.name,
            path: None,
            bytes,
            fetched: 0,
            copied: self.report.now().copied,
            replaced: 0,
            left: 0,
            elapsed: self.started.elapsed().saturating_sub(waited),
            waited,
            providers: Vec::new(),
            plane: self.report.now().plane,
            preview: None,
            shares: Vec::new(),
            seeding: false,
            lacks,
        }
    }
}

/// Bytes that are here and stay: proven in this run, or noted and not yet hashed again.
pub(super) fn kept(now: &Progress, partial: &Partial) -> u64 {
    now.bytes.max(partial.bytes_noted().min(now.total))
}

fn open_parent(destination: &TargetPath, mask: Mask) -> Result<SafeDir> {
    let parent = &destination.parent;
    let opened = if destination.make { SafeDir::create(parent, mask) } else { SafeDir::open_masked(parent, mask) };
    opened.map_err(|error| if error.is_missing() { DestError::absent(parent) } else { error }.into())
}

/// That what was put into this directory is where it was to be.
///
/// # Errors
/// When the directory has gone elsewhere meanwhile.
fn is_still_there(destination: &TargetPath, parent: &SafeDir) -> Result<(), DestError> {
    let now = SafeDir::open(&destination.parent).ok().map(|dir| dir.identity());
    let strayed = || DestError::Strayed { path: destination.parent.as_path().into() };
    if now == Some(parent.identity()) { Ok(()) } else { Err(strayed()) }
}

/// A destination at which everything is.
pub(super) struct AllThere {
    pub(super) destination: TargetPath,
    pub(super) parent: SafeDir,
    pub(super) present: Present,
}

/// How preparing ended.
enum Prepared {
    Done(Box<Outcome>),
    Fetch(Box<Plan>),
}

/// What is to be fetched, and to where.
pub(super) struct Plan {
    pub(super) hit: Hit,
    pub(super) contents: Contents,
    pub(super) present: Present,
    pub(super) place: Sink,
    /// What is heard beside the transfer.
    pub(super) late: Option<LateAnswers>,
}

/// Where the bytes go.
pub(super) enum Sink {
    /// Beside the target, until they have its name.
    Disk {
        /// The target.
        destination: TargetPath,
        /// Its directory.
        parent: SafeDir,
    },
    /// To the request's stream, by way of a temporary directory.
    Stream {
        /// The temporary directory.
        parent: SafeDir,
        /// Removes it at the end.
        _dir: tempfile::TempDir,
    },
}

impl Sink {
    /// The name that the result gets beside the partial file.
    pub(super) const fn target(&self) -> Option<&SafePath> {
        match self {
            Self::Disk { destination, .. } => Some(&destination.name),
            Self::Stream { .. } => None,
        }
    }

    /// The directory of the partial file.
    pub(super) const fn parent(&self) -> &SafeDir {
        match self {
            Self::Disk { parent, .. } | Self::Stream { parent, .. } => parent,
        }
    }
}
