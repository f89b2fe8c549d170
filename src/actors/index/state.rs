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
use crate::actors::index::seed::Seeds;
use crate::actors::index::waiters::Waiters;
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexSnapshot, OwnStep};
use crate::io::cache::HashCache;
use crate::io::handover::Handover;
use crate::io::scan::{Scan, SharePlan, scan_root};
use crate::io::shared_source::{HashedFile, SharedCollection};
use crate::io::watch::{self as io_watch, Pace, RootKey, Told, Watch};
use crate::model::{Kind, OfferBook, SafePath};
use crate::wire::message::ResolveEvent;

/// File states beyond which the cache forgets what is not shared now: about 100 MB.
const CACHE_LIMIT: u64 = 1_000_000;
/// Between two looks at everything that requests for changed files bring about.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

mod publication;

use publication::{FIRST, PUBLISH};

/// What comes back from the actor's own tasks.
#[derive(Debug)]
pub(super) enum Step {
    Collected { key: RootKey, generation: u64, made: Result<Arc<SharedCollection>, String> },
    Hashed(Batch),
    LookedUp(LookedUp),
    Retry,
    Scanned(Vec<(RootKey, Scan)>),
    Tick,
    Told(Told),
    Watch,
}

/// The actor's state.
#[derive(Debug)]
pub(super) struct IndexState {
    me: ActorRef<IndexMessage>,
    pace: Pace,
    cache: Option<HashCache>,
    handover: Option<Handover>,
    watch: Arc<Watch>,
    offers: watch::Sender<Arc<OfferBook>>,
    pub(super) snapshot: watch::Sender<Arc<IndexSnapshot>>,
    pub(super) catalogue: Catalogue,
    pub(super) seeds: Seeds,
    hashing: Hashing,
    waiters: Waiters,
    outbox: Outbox,
    /// Look-ups and collections under way.
    tasks: usize,
    /// A look at roots is under way, and these are to be looked at after it.
    scanning: bool,
    wanted: BTreeSet<RootKey>,
    looked_everywhere: Option<Instant>,
    /// Roots that are not watched yet. Setting a watch up means a second look at everything, which would only be in the
    /// way of the first publication and of the first ids.
    unwatched: Vec<RootKey>,
    /// It is time to watch them.
    watch_due: bool,
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
        let (tell, told) = mpsc::channel(io_watch::CAPACITY);
        forward(told, me.clone());
        let mut state = Self {
            me,
            pace: args.pace,
            watch: Arc::new(Watch::start(tell, args.pace)),
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
            scanning: false,
            looked_everywhere: None,
            wanted: BTreeSet::new(),
            unwatched: Vec::new(),
            watch_due: false,
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
            match self.catalogue.add(scanned, rules.clone()) {
                Some((key, more)) => {
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

    /// Looks at all roots again, but not as often as peers may ask for what has changed.
    pub(super) fn look_everywhere(&mut self) {
        if self.looked_everywhere.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            self.looked_everywhere = Some(Instant::now());
            self.look(0..self.catalogue.roots.len());
        }
    }

    /// Looks at roots again, after the look that is under way.
    pub(super) fn look(&mut self, keys: impl IntoIterator<Item = RootKey>) {
        let known = self.catalogue.roots.len();
        self.wanted.extend(keys.into_iter().filter(|key| *key < known));
        if self.scanning || self.wanted.is_empty() {
            return;
        }
        let root =
            |key: RootKey| (key, self.catalogue.roots[key].root.clone(), self.catalogue.roots[key].rules.clone());
        let roots: Vec<_> = std::mem::take(&mut self.wanted).into_iter().map(root).collect();
        self.scanning = true;
        self.spawn(move || {
            Step::Scanned(roots.iter().map(|(key, root, rules)| (*key, scan_root(root, rules))).collect())
        });
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
            Step::Told(Told::Warning(sentence)) => self.outbox.warn(sentence),
            Step::Watch => self.watch_due = true,
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
                        self.outbox.warn(format!("{path} is left out because it cannot be read: {cause}"));
                    }
                }
            }
        }
    }

    fn take_hashed(&mut self, name: &SafePath, file: Arc<HashedFile>) {
        if self.catalogue.refuse(name, &file) {
            self.dirty = true;
            let path = file.path.display();
            return self.outbox.warn(format!("{path} is no longer served because it is not what was fetched any more"));
        }
        let id = file.id;
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
            self.me.send_after(self.pace.longest * 2, || IndexMessage::Own(OwnStep(Step::Retry)));
        }
        self.retry.insert(job.root);
    }

    fn scanned(&mut self, scans: Vec<(RootKey, Scan)>) {
        self.scanning = false;
        let (mut jobs, mut back) = (Vec::new(), Vec::new());
        let proofs = self.seeds.take(scans.iter().map(|(key, _)| *key));
        for (key, scan) in scans {
            let was_gone = self.catalogue.roots[key].gone;
            if scan.gone && !was_gone {
                self.watch.poll(key);
                let path = scan.root.path.display();
                self.outbox.warn(format!("{path} is gone and no longer offered: it is offered again when it is back"));
            } else if was_gone && !scan.gone {
                back.push(key);
            }
            for skipped in &scan.skipped {
                self.outbox.warn(skipped.to_string());
            }
            let (more, changed) = self.catalogue.rescanned(key, scan);
            self.dirty |= changed;
            jobs.extend(more);
        }
        let (known, jobs) = proofs.divide(jobs);
        known.into_iter().for_each(|(name, file)| self.take_hashed(&name, file));
        self.look_up(jobs);
        self.leave_unwatched(back);
        self.look([]);
    }

    /// Has roots watched as soon as a change would be told if they were watched already.
    pub(super) fn leave_unwatched(&mut self, keys: Vec<RootKey>) {
        if self.unwatched.is_empty() && !keys.is_empty() {
            self.watch_due = false;
            self.me.send_after(self.pace.longest, || IndexMessage::Own(OwnStep(Step::Watch)));
        }
        self.unwatched.extend(keys);
    }

    /// Watches roots, then looks at them once: what changed before the watch began is not told by it.
    fn begin_watch(&mut self) {
        if self.tasks > 0 || !self.watch_due {
            return;
        }
        let keys = std::mem::take(&mut self.unwatched);
        if keys.is_empty() {
            return;
        }
        let root = |key: RootKey| (key, self.catalogue.roots[key].root.clone());
        let roots: Vec<_> = keys.iter().copied().map(root).collect();
        let watch = self.watch.clone();
        self.spawn(move || {
            for (key, root) in roots {
                watch.add(key, &root.path, root.kind);
            }
            Step::Told(Told::Changed(keys))
        });
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

/// Ends when the watch does.
fn forward(mut told: mpsc::Receiver<Told>, me: ActorRef<IndexMessage>) {
    tokio::spawn(async move {
        while let Some(told) = told.recv().await {
            send(&me, Step::Told(told));
        }
    });
}

/// An actor that has ended needs no results.
fn send(me: &ActorRef<IndexMessage>, step: Step) {
    let _ = me.cast(IndexMessage::Own(OwnStep(step)));
}
