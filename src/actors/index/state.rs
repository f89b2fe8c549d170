//! What the Index actor owns, and what it does about each message. Nothing here waits: looking, looking up, hashing
//! and making collections run in tasks whose results come back as [`Step`]s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actors::index::catalogue::Catalogue;
use crate::actors::index::hashing::{Batch, Hashing};
use crate::actors::index::lookup::LookedUp;
use crate::actors::index::outbox::Outbox;
use crate::actors::index::waiters::{Waiters, how_far};
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexSnapshot, OwnStep};
use crate::io::cache::HashCache;
use crate::io::scan::{Scan, SharePlan, scan_root};
use crate::io::shared_source::SharedCollection;
use crate::io::watch::{self as io_watch, Pace, RootKey, Told, Watch};
use crate::model::{Kind, Offer, OfferBook, SafePath};
use crate::wire::message::ResolveEvent;

mod results;

/// The first publication waits so long for ids: a small tree is then announced once, not first without ids.
const FIRST: Duration = Duration::from_millis(100);
/// Between two publications while ids fill in: each is one delta to each tracker.
const PUBLISH: Duration = Duration::from_millis(200);
/// The same for each offer: what copying and comparing it costs, some 1 µs, is then a tenth of a core at most.
const PUBLISH_OFFER: Duration = Duration::from_micros(10);
/// Between two looks at everything that requests for changed files bring about.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What comes back from the actor's own tasks.
#[derive(Debug)]
pub(super) enum Step {
    /// What could not be read of this root is to be tried again.
    Again(RootKey),
    Collected {
        key: RootKey,
        generation: u64,
        made: Result<Arc<SharedCollection>, String>,
    },
    /// Former trees that nobody asks for can go.
    Forget,
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
    watch: Arc<Watch>,
    offers: watch::Sender<Arc<OfferBook>>,
    snapshot: watch::Sender<Arc<IndexSnapshot>>,
    catalogue: Catalogue,
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
    /// Roots with files that could not be read, which are to be tried again in a while.
    again: BTreeSet<RootKey>,
    /// Former trees are looked through in a while.
    forgetting: bool,
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
            offers: args.offers,
            snapshot: args.snapshot,
            catalogue: Catalogue::new(args.pace),
            waiters: Waiters::default(),
            outbox: Outbox::new(args.events),
            tasks: 0,
            scanning: false,
            looked_everywhere: None,
            wanted: BTreeSet::new(),
            unwatched: Vec::new(),
            watch_due: false,
            retry: BTreeSet::new(),
            again: BTreeSet::new(),
            forgetting: false,
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
        let (mut keys, mut jobs, now) = (Vec::new(), Vec::new(), Instant::now());
        for scanned in plan.scanned {
            let taken = format!("{} is not shared because its name is already offered", scanned.path.display());
            match self.catalogue.add(scanned, rules.clone(), now) {
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
            Step::Again(key) => self.try_again(key),
            Step::Collected { key, generation, made } => self.collected(key, generation, made),
            Step::Forget => self.forget(),
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
        self.tell_unsettled();
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

    fn scanned(&mut self, scans: Vec<(RootKey, Scan)>) {
        self.scanning = false;
        let (mut jobs, mut back, now) = (Vec::new(), Vec::new(), Instant::now());
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
            let (more, changed) = self.catalogue.rescanned(key, scan, now);
            self.dirty |= changed;
            jobs.extend(more);
            self.look_for_rest(key);
        }
        self.look_up(jobs);
        self.leave_unwatched(back);
        self.look([]);
    }

    /// Has roots watched as soon as a change would be told if they were watched already.
    fn leave_unwatched(&mut self, keys: Vec<RootKey>) {
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

    fn tick(&mut self) {
        self.ticking = false;
        if !self.hashing.is_idle() {
            let (done, total) = self.hashing.progress();
            self.reporting = true;
            self.outbox.sample(IndexEvent::Hashing { done, total });
        }
        self.tell_waiters(true);
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
