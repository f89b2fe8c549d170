//! What the Index actor owns, and what it does about each message. Nothing here waits: looking, looking up, hashing
//! and making collections run in tasks whose results come back as [`Step`]s.

use std::collections::BTreeSet;
use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actors::index::catalogue::{Catalogue, State};
use crate::actors::index::collect::Parts;
use crate::actors::index::hashing::{Batch, Hashing, Job, Outcome};
use crate::actors::index::lookup::{LookedUp, look_up};
use crate::actors::index::outbox::Outbox;
use crate::actors::index::seed::Seeds;
use crate::actors::index::waiters::Waiters;
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexSnapshot, OwnStep};
use crate::io::cache::HashCache;
use crate::io::handover::Handover;
use crate::io::scan::SharePlan;
use crate::io::shared_source::{HashedFile, SharedCollection};
use crate::io::watch::{RootKey, Told};
use crate::model::{Kind, OfferBook, SafePath};
use crate::wire::message::ResolveEvent;

mod publication;
mod watching;

use publication::{FIRST, PUBLISH};
use watching::{Looked, Watching};

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
    handover: Option<Handover>,
    offers: watch::Sender<Arc<OfferBook>>,
    pub(super) snapshot: watch::Sender<Arc<IndexSnapshot>>,
    pub(super) catalogue: Catalogue,
    pub(super) seeds: Seeds,
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
            handover: args.handover,
            offers: args.offers,
            snapshot: args.snapshot,
            catalogue: Catalogue::default(),
            seeds: Seeds::default(),
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
        self.tell_seeders();
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
                let handover = self.handover.clone();
                self.spawn(move || Step::LookedUp(look_up(&cache, handover.as_ref(), jobs)));
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
        if !looked_up.arrived.is_empty() {
            self.arrived(&looked_up.arrived);
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
        if self.catalogue.refuse(name, &file) {
            self.dirty = true;
            let path = file.path.display();
            return self.outbox.warn(format!("{path} is no longer served because it is not what was fetched any more"));
        }
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
            fixed: root.root.fixed.clone(),
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

    fn spawn(&self, task: impl FnOnce() -> Step + Send + 'static) {
        let me = self.me.clone();
        spawn_blocking(move || send(&me, task()));
    }
}

/// An actor that has ended needs no results.
fn send(me: &ActorRef<IndexMessage>, step: Step) {
    let _ = me.cast(IndexMessage::Own(OwnStep(step)));
}
