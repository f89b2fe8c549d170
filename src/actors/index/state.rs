//! What the Index actor owns, and what it does about each message. Nothing here waits: looking, looking up, hashing
//! and making collections run in tasks whose results come back as [`Step`]s.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::actors::access::Access;
use crate::actors::index::catalogue::{Catalogue, KEEP};
use crate::actors::index::collect::NoTree;
use crate::actors::index::hashing::{Batch, Hashing};
use crate::actors::index::lookup::LookedUp;
use crate::actors::index::outbox::Outbox;
use crate::actors::index::waiters::{Waiters, how_far};
use crate::actors::index::{IndexArgs, IndexEvent, IndexMessage, IndexNotice, IndexSnapshot, OwnStep};
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::shared_source::SharedCollection;
use crate::io::share::watch::{CAPACITY, Pace, RootKey, Told, Watch};
use crate::logic::offers::reserved::Reserved;
use crate::logic::offers::table::OfferTable;
use crate::logic::publication::{self, Facts, Input, Publication, PublicationOrder};
use crate::model::{Offer, SafePath};
use crate::wire::ResolveEvent;

mod looks;
mod results;
mod seed;
mod shares;

use looks::{Looked, forward};
pub use seed::Seed;
use seed::Seeds;

/// What comes back from the actor's own tasks.
#[derive(Debug)]
pub(super) enum Step {
    Collected {
        key: RootKey,
        generation: u64,
        made: Result<Arc<SharedCollection>, NoTree>,
    },
    Hashed(Batch),
    LookedUp(LookedUp),
    Scanned(Vec<Looked>),
    /// Something that was put off is due.
    Tick,
    Told(Told),
}

/// The actor's state.
#[derive(Debug)]
pub(super) struct IndexState {
    me: ActorRef<IndexMessage>,
    cache: Option<HashCache>,
    handover: Option<Handover>,
    access: Access,
    reserved: watch::Sender<Arc<Reserved>>,
    public: watch::Sender<Arc<OfferTable>>,
    pub(super) snapshot: watch::Sender<Arc<IndexSnapshot>>,
    pub(super) catalogue: Catalogue,
    seeds: Seeds,
    hashing: Hashing,
    waiters: Waiters,
    outbox: Outbox,
    watch: Watch,
    /// What is to be done when, in the time since it began; and for when it was last woken.
    publication: Publication,
    begun: Instant,
    woken: Option<Duration>,
    /// Roots that have an id which is not yet published.
    identified: Vec<IndexEvent>,
}

impl IndexState {
    /// Begins with what `args` share.
    ///
    /// # Errors
    /// When no threads can be had.
    pub(super) fn start(me: ActorRef<IndexMessage>, args: IndexArgs) -> Result<Self, rayon::ThreadPoolBuildError> {
        let (tell, told) = mpsc::channel(CAPACITY);
        forward(told, me.clone());
        let Pace { longest, check, poll, whole, .. } = args.pace;
        let mut state = Self {
            me,
            hashing: Hashing::new(args.threads, args.cache.clone())?,
            cache: args.cache,
            handover: args.handover,
            access: args.access,
            reserved: args.reserved,
            public: args.public,
            snapshot: args.snapshot,
            catalogue: Catalogue::new(args.pace),
            seeds: Seeds::default(),
            waiters: Waiters::default(),
            outbox: Outbox::new(args.events),
            watch: Watch::start(tell, args.pace),
            publication: Publication::new(publication::Pace { longest, check, poll, whole, sweep: KEEP / 2 }),
            begun: Instant::now(),
            woken: None,
            identified: Vec::new(),
        };
        if let Some(plan) = args.plan {
            state.share(plan);
            state.advance();
        }
        Ok(state)
    }

    /// Somebody wants an offer's id.
    pub(super) fn resolve(&mut self, name: SafePath, tell: mpsc::Sender<ResolveEvent>) {
        if !self.waiters.add(name.clone(), tell) {
            return;
        }
        let tree = self.catalogue.tree_named(&name);
        self.hashing.hurry(|job| tree.map_or(job.name == name, |key| job.root == key));
    }

    /// Takes the result of a task.
    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Collected { key, generation, made } => self.collected(key, generation, made),
            Step::Hashed(batch) => self.hashed(batch),
            Step::LookedUp(looked_up) => self.looked_up(looked_up),
            Step::Scanned(scans) => self.scanned(scans),
            // What is due is done after every message.
            Step::Tick => {}
            Step::Told(Told::Changed(keys)) => self.look(keys),
            Step::Told(Told::Unwatched(cause)) => self.outbox.push(IndexNotice::Unwatched(cause)),
        }
    }

    /// After every message: starts what can be started, and does what is due.
    pub(super) fn advance(&mut self) {
        loop {
            for key in self.catalogue.collectable() {
                self.collect(key);
            }
            let me = self.me.clone();
            self.hashing.start(move |batch| send(&me, Step::Hashed(batch)));
            self.tell_unsettled();
            self.end_troubles();
            // What is done may make something else due.
            if !self.tell(Input::Settle(self.facts())) {
                break;
            }
        }
        self.tell_waiters(false);
        self.tell_seeders();
        self.outbox.flush();
        self.wake();
    }

    /// Tells the machine, and does what it says. Whether that was anything.
    pub(super) fn tell(&mut self, input: Input) -> bool {
        let outputs = self.publication.handle(input, self.begun.elapsed());
        let is_any = !outputs.is_empty();
        outputs.into_iter().for_each(|output| self.carry_out(output));
        is_any
    }

    fn carry_out(&mut self, output: PublicationOrder) {
        match output {
            PublicationOrder::AllHashed => self.report_end(),
            PublicationOrder::Look(roots) => self.begin_look(roots),
            PublicationOrder::Progress => self.report_progress(),
            PublicationOrder::Publish => self.publish(),
            PublicationOrder::Read(root) => self.look_up(self.catalogue.failed(root)),
            PublicationOrder::Sweep => {
                if self.catalogue.sweep(Instant::now()) {
                    // The snapshot holds them too.
                    self.tell(Input::Changed);
                }
            }
            // Said by whoever has the look at hand.
            PublicationOrder::Unseen(_) => {}
            PublicationOrder::Watch(key) => {
                let root = &self.catalogue.roots[key].root;
                self.watch.add(key, &root.path, root.kind);
            }
            PublicationOrder::WatchAgain(key) => self.watch.again(key),
        }
    }

    fn facts(&self) -> Facts {
        let has_id = |name: &SafePath| self.catalogue.offer(name).is_some_and(|offer| offer.id.is_some());
        Facts {
            idle: self.hashing.is_idle(),
            awaited: self.waiters.any(has_id),
            waiting: !self.outbox.is_empty() || !self.waiters.is_empty(),
            former: self.catalogue.has_former(),
            offers: self.catalogue.rows.len(),
        }
    }

    /// Comes back when something is due.
    fn wake(&mut self) {
        let due = self.publication.wake();
        if let Some(at) = due.filter(|_| due != self.woken) {
            let after = at.saturating_sub(self.begun.elapsed());
            self.me.send_after(after, || IndexMessage::Own(OwnStep(Step::Tick)));
        }
        self.woken = due;
    }

    /// Whether nothing is on its way that would be published.
    pub(super) fn is_settled(&self) -> bool {
        self.publication.is_settled() && self.hashing.is_idle()
    }

    fn publish(&mut self) {
        let reserved = self.catalogue.reserved(&self.reserved.borrow());
        if **self.reserved.borrow() != reserved {
            self.reserved.send_replace(reserved.into());
        }
        let public = self.access.public(self.catalogue.offers());
        let reserved = Arc::clone(&self.reserved.borrow());
        let snapshot = self.catalogue.snapshot(&reserved).with_public(public.clone());
        self.snapshot.send_replace(Arc::new(snapshot));
        self.public.send_if_modified(|told| std::mem::replace(told, public.clone()) != public);
        for event in std::mem::take(&mut self.identified) {
            self.outbox.push(event);
        }
    }

    fn report_progress(&mut self) {
        if !self.hashing.is_idle() {
            let (done, total) = self.hashing.progress();
            self.outbox.sample(IndexEvent::Hashing { done, total });
        }
        self.tell_waiters(true);
    }

    fn tell_waiters(&mut self, progress: bool) {
        let (catalogue, hashing) = (&self.catalogue, &self.hashing);
        // An id counts once it is published: whoever is told may ask for it at once.
        let snapshot = self.snapshot.borrow();
        let published = snapshot.offers();
        let is_published = |offer: &Offer| published.get(&offer.name) == Some(offer);
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
