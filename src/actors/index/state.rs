//! What the Index actor owns, and what it does about each message. Nothing here waits: looking, looking up, hashing
//! and making collections run in tasks whose results come back as [`Step`]s.

use std::collections::BTreeSet;
use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actors::index::catalogue::Catalogue;
use crate::actors::index::hashing::{Batch, Hashing};
use crate::actors::index::lookup::LookedUp;
use crate::actors::index::outbox::Outbox;
use crate::actors::index::seed::Seeds;
use crate::actors::index::waiters::Waiters;
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexSnapshot, OwnStep};
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::scan::SharePlan;
use crate::io::share::shared_source::SharedCollection;
use crate::io::share::watch::{RootKey, Told};
use crate::logic::offers::table::OfferTable;
use crate::model::{Kind, SafePath};
use crate::wire::ResolveEvent;

mod publication;
mod results;
mod watching;

use publication::{FIRST, PUBLISH};
use watching::{Looked, Watching};

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
    /// Former trees that nobody asks for can go.
    Forget,
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
    offers: watch::Sender<Arc<OfferTable>>,
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
        let mut state = Self {
            watching: Watching::start(me.clone(), args.pace),
            me,
            hashing: Hashing::new(args.threads, args.cache.clone())?,
            cache: args.cache,
            handover: args.handover,
            offers: args.offers,
            snapshot: args.snapshot,
            catalogue: Catalogue::new(args.pace),
            seeds: Seeds::default(),
            waiters: Waiters::default(),
            outbox: Outbox::new(args.events),
            tasks: 0,
            retry: BTreeSet::new(),
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
            let unseen = plan.unseen.contains(&scanned.name);
            match self.catalogue.add(scanned, rules.clone(), now) {
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
        self.tell_unsettled();
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

    fn tick(&mut self) {
        self.ticking = false;
        if !self.hashing.is_idle() {
            let (done, total) = self.hashing.progress();
            self.reporting = true;
            self.outbox.sample(IndexEvent::Hashing { done, total });
        }
        self.tell_waiters(true);
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
