//! What the Index actor owns, and what it does about each message. Nothing here waits: looking, looking up, hashing
//! and making collections run in tasks whose results come back as [`Step`]s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actors::index::catalogue::{Catalogue, State};
use crate::actors::index::collect::Parts;
use crate::actors::index::hashing::{Batch, Hashing, Job, Outcome};
use crate::actors::index::lookup::{LookedUp, look_up};
use crate::actors::index::outbox::Outbox;
use crate::actors::index::waiters::{Waiters, how_far};
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexSnapshot, OwnStep};
use crate::io::cache::HashCache;
use crate::io::scan::SharePlan;
use crate::io::shared_source::{HashedFile, SharedCollection};
use crate::io::watch::{RootKey, Told};
use crate::model::{Kind, Offer, OfferBook, SafePath};
use crate::wire::message::ResolveEvent;

mod watching;

use watching::{Looked, Watching};

/// The first publication waits so long for ids: a small tree is then announced once, not first without ids.
const FIRST: Duration = Duration::from_millis(100);
/// Between two publications while ids fill in: each is one delta to each tracker.
const PUBLISH: Duration = Duration::from_millis(200);
/// The same for each offer: what copying and comparing it costs, some 1 µs, is then a tenth of a core at most.
const PUBLISH_OFFER: Duration = Duration::from_micros(10);
/// File states beyond which the cache forgets what is not shared now: about 100 MB.
const CACHE_LIMIT: u64 = 1_000_000;

/// What comes back from the actor's own tasks.
#[derive(Debug)]
pub(super) enum Step {
    /// Tries again what could not be looked at or read.
    Again(RootKey),
    Collected {
        key: RootKey,
        generation: u64,
        made: Result<Arc<SharedCollection>, String>,
    },
    Hashed(Batch),
    LookedUp(LookedUp),
    Retry,
    Scanned(Vec<Looked>),
    Tick,
    Told(Told),
    Watch,
}

/// The actor's state.
#[derive(Debug)]
pub(super) struct IndexState {
    me: ActorRef<IndexMessage>,
    cache: Option<HashCache>,
    offers: watch::Sender<Arc<OfferBook>>,
    snapshot: watch::Sender<Arc<IndexSnapshot>>,
    catalogue: Catalogue,
    hashing: Hashing,
    waiters: Waiters,
    outbox: Outbox,
    /// Look-ups and collections under way.
    tasks: usize,
    watching: Watching,
    /// Roots with a file that changed while it was hashed.
    retry: BTreeSet<RootKey>,
    /// Roots that have an id which is not yet published.
    identified: Vec<IndexEvent>,
    /// When it was last published or else begun, and whether it changed since.
    published: Instant,
    is_first: bool,
    dirty: bool,
    ticking: bool,
    /// Hashing began and its end was not told.
    reporting: bool,
}

impl IndexState {
    /// Begins with what `args` share.
    ///
    /// # Errors
    /// When no threads can be had.
    pub(super) fn start(me: ActorRef<IndexMessage>, args: IndexArgs) -> Result<Self, rayon::ThreadPoolBuildError> {
        let mut state = Self {
            watching: Watching::start(me.clone(), args.pace),
            me,
            hashing: Hashing::new(args.threads, args.cache.clone())?,
            cache: args.cache,
            offers: args.offers,
            snapshot: args.snapshot,
            catalogue: Catalogue::default(),
            waiters: Waiters::default(),
            outbox: Outbox::new(args.events),
            tasks: 0,
            retry: BTreeSet::new(),
            identified: Vec::new(),
            published: Instant::now(),
            is_first: true,
            dirty: false,
            ticking: false,
            reporting: false,
        };
        if let Some(plan) = args.plan {
            state.share(plan);
            state.advance();
        }
        Ok(state)
    }

    /// Adds what was surveyed.
    pub(super) fn share(&mut self, plan: SharePlan) {
        let rules = Arc::new(plan.rules);
        self.outbox.known(plan.skipped);
        let (mut keys, mut jobs) = (Vec::new(), Vec::new());
        for scanned in plan.scanned {
            let taken = format!("{} is not shared because its name is already offered", scanned.path.display());
            let unseen = plan.unseen.contains(&scanned.name);
            match self.catalogue.add(scanned, rules.clone()) {
                Some((key, more)) => {
                    if unseen {
                        self.watching.was_unseen(key);
                    }
                    keys.push(key);
                    jobs.extend(more);
                }
                None => self.outbox.warn(format!("{taken}: rename it, or name it with --list")),
            }
        }
        if self.is_first {
            self.published = Instant::now();
        }
        self.dirty = true;
        self.look_up(jobs);
        self.leave_unwatched(keys);
    }

    /// Somebody wants an offer's id.
    pub(super) fn resolve(&mut self, name: SafePath, tell: mpsc::Sender<ResolveEvent>) {
        if !self.waiters.add(name.clone(), tell) {
            return;
        }
        let tree = self.catalogue.roots.iter().position(|r| r.root.name == name && r.root.kind == Kind::Collection);
        self.hashing.hurry(|job| tree.map_or(job.name == name, |key| job.root == key));
    }

    /// Takes the result of a task.
    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Again(key) => self.again(key),
            Step::Collected { key, generation, made } => self.collected(key, generation, made),
            Step::Hashed(batch) => self.hashed(batch),
            Step::LookedUp(looked_up) => self.looked_up(looked_up),
            Step::Retry => {
                let retry = std::mem::take(&mut self.retry);
                self.look(retry);
            }
            Step::Scanned(scans) => self.scanned(scans),
            Step::Tick => self.tick(),
            Step::Told(Told::Changed(keys)) => self.look(keys),
            Step::Told(Told::Unwatched(cause)) => self.outbox.push(IndexEvent::Warning(cause.to_string())),
            Step::Watch => self.watching.due = true,
        }
    }

    /// After every message: starts what can be started, and publishes what is due.
    pub(super) fn advance(&mut self) {
        for key in self.catalogue.collectable() {
            self.collect(key);
        }
        let me = self.me.clone();
        self.hashing.start(move |batch| send(&me, Step::Hashed(batch)));
        self.report_end();
        if self.dirty && self.is_due() {
            self.publish();
        }
        self.begin_watch();
        self.tell_waiters(false);
        self.outbox.flush();
        let waiting = self.dirty || !self.outbox.is_empty() || !self.waiters.is_empty() || !self.hashing.is_idle();
        if waiting && !self.ticking {
            self.ticking = true;
            self.me.send_after(if self.is_first { FIRST } else { PUBLISH }, || IndexMessage::Own(OwnStep(Step::Tick)));
        }
    }

    fn look_up(&mut self, jobs: Vec<Job>) {
        match self.cache.clone() {
            _ if jobs.is_empty() => (),
            None => self.hashing.push(jobs),
            Some(cache) => {
                self.tasks += 1;
                self.spawn(move || Step::LookedUp(look_up(&cache, jobs)));
            }
        }
    }

    fn looked_up(&mut self, looked_up: LookedUp) {
        self.tasks -= 1;
        self.hashing.push(looked_up.unknown);
        for (name, file) in looked_up.found {
            self.take_hashed(&name, file);
        }
        if let Some(warning) = looked_up.warning {
            self.outbox.warn(warning);
        }
    }

    fn hashed(&mut self, batch: Batch) {
        self.hashing.finished(&batch);
        self.reporting = true;
        if let Some(warning) = batch.warning {
            self.outbox.warn(warning);
        }
        for (job, outcome) in batch.results {
            match outcome {
                Outcome::Cancelled => (),
                Outcome::Changed => self.take_changed(&job),
                Outcome::Done(file) => self.take_hashed(&job.name, file),
                Outcome::Failed(cause) => {
                    if self.catalogue.not_hashed(&job, State::Failed) {
                        self.dirty = true;
                        let path = job.path.display();
                        let sentence = format!("{path} is left out until it can be read: {cause}");
                        self.outbox.warn_of(&job.path, sentence);
                    }
                    self.try_again(job.root);
                }
            }
        }
        self.end_troubles();
    }

    fn take_hashed(&mut self, name: &SafePath, file: Arc<HashedFile>) {
        let id = file.id;
        self.outbox.over(&file.path);
        let Some(key) = self.catalogue.hashed(name, file) else { return };
        self.dirty = true;
        if self.catalogue.roots[key].root.kind == Kind::File {
            self.identified.push(IndexEvent::Offer { id, name: name.clone() });
        }
    }

    /// The watch will tell, but perhaps it did so before the file was queued: the root is looked at once more.
    fn take_changed(&mut self, job: &Job) {
        if !self.catalogue.not_hashed(job, State::Stale) {
            return;
        }
        if self.retry.is_empty() {
            self.me.send_after(self.watching.pace.longest * 2, || IndexMessage::Own(OwnStep(Step::Retry)));
        }
        self.retry.insert(job.root);
    }

    fn collect(&mut self, key: RootKey) {
        let root = &self.catalogue.roots[key];
        let parts = Parts {
            key,
            name: root.root.name.clone(),
            rows: self.catalogue.rows.clone(),
            empty_dirs: root.empty_dirs.clone(),
        };
        let generation = root.generation;
        self.tasks += 1;
        self.spawn(move || Step::Collected { key, generation, made: parts.collect() });
    }

    fn collected(&mut self, key: RootKey, generation: u64, made: Result<Arc<SharedCollection>, String>) {
        self.tasks -= 1;
        match made {
            Ok(made) => {
                let id = made.id();
                if self.catalogue.collected(key, generation, made) {
                    self.dirty = true;
                    self.identified.push(IndexEvent::Offer { id, name: self.catalogue.roots[key].root.name.clone() });
                }
            }
            Err(sentence) => self.outbox.warn(sentence),
        }
    }

    fn tick(&mut self) {
        self.ticking = false;
        if !self.hashing.is_idle() {
            let (done, total) = self.hashing.progress();
            self.reporting = true;
            self.outbox.sample(IndexEvent::Hashing { done, total });
        }
        self.tell_waiters(true);
    }

    /// Once all is hashed: says so, and makes the cache durable.
    fn report_end(&mut self) {
        if !self.reporting || !self.hashing.is_idle() || self.tasks > 0 {
            return;
        }
        self.reporting = false;
        let (_, total) = self.hashing.progress();
        self.outbox.push(IndexEvent::Hashing { done: total, total });
        if let Some(cache) = self.cache.clone() {
            let rows = self.catalogue.rows.clone();
            spawn_blocking(move || {
                let keep: Vec<_> = rows.values().map(|row| row.stamp).collect();
                if let Err(error) = cache.prune(&keep, CACHE_LIMIT).and_then(|()| cache.flush()) {
                    tracing::warn!("{error}");
                }
            });
        }
    }

    /// At once when nothing more is on its way or somebody waits, else in steps; names do not wait for ids.
    fn is_due(&self) -> bool {
        if self.waiters.any(|name| self.catalogue.book.offers.get(name).is_some_and(|o| o.id.is_some())) {
            return true;
        }
        let quiet = self.tasks == 0 && self.hashing.is_idle();
        quiet || ((!self.is_first || self.tasks == 0) && self.published.elapsed() >= self.interval())
    }

    fn interval(&self) -> Duration {
        let offers = u32::try_from(self.catalogue.book.offers.len()).unwrap_or(u32::MAX);
        if self.is_first { FIRST } else { PUBLISH.saturating_add(PUBLISH_OFFER.saturating_mul(offers)) }
    }

    fn publish(&mut self) {
        self.dirty = false;
        (self.published, self.is_first) = (Instant::now(), false);
        self.snapshot.send_replace(Arc::new(self.catalogue.snapshot()));
        self.offers.send_replace(self.catalogue.book.clone());
        for event in std::mem::take(&mut self.identified) {
            self.outbox.push(event);
        }
    }

    fn tell_waiters(&mut self, progress: bool) {
        let (catalogue, hashing) = (&self.catalogue, &self.hashing);
        // An id counts once it is published: whoever is told may ask for it at once.
        let published = self.offers.borrow();
        let is_published = |offer: &Offer| published.offers.get(&offer.name) == Some(offer);
        self.waiters.tell(|name| how_far(catalogue, hashing, name, is_published), progress);
    }

    fn spawn(&self, task: impl FnOnce() -> Step + Send + 'static) {
        let me = self.me.clone();
        spawn_blocking(move || send(&me, task()));
    }
}

/// An actor that has ended needs no results.
fn send(me: &ActorRef<IndexMessage>, step: Step) {
    let _ = me.cast(IndexMessage::Own(OwnStep(step)));
}
