//! When the shared roots are looked at, and how they come to be watched.
//! Invariant: at most one look is under way; what is wanted meanwhile is looked at after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{IndexState, Step, send};
use crate::actors::index::{IndexMessage, IndexNotice, OwnStep};
use crate::io::share::scan::{Omission, Root, Rules, Scan, Unseen, scan_root};
use crate::io::share::watch::{self as io_watch, Pace, RootKey, Told, Watch};

/// Between two looks at everything that requests for changed files bring about.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which roots are looked at, and which are to be.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) pace: Pace,
    watch: Arc<Watch>,
    /// A look at roots is under way, and these are to be looked at after it.
    scanning: bool,
    wanted: BTreeSet<RootKey>,
    looked_everywhere: Option<Instant>,
    /// Roots that are not watched yet. Setting a watch up means a second look at everything, which would only be in the
    /// way of the first publication and of the first ids.
    unwatched: Vec<RootKey>,
    /// It is time to watch them.
    pub(super) due: bool,
    troubles: BTreeMap<RootKey, Trouble>,
}

/// What a look at a root found, and what it cost, in time of one core at most.
#[derive(Debug)]
pub(in crate::actors::index) struct Looked {
    key: RootKey,
    scan: Scan,
    cost: Duration,
}

/// Something of a root could not be looked at, or a file of it not be read: that passes, or somebody mends it.
#[derive(Debug, Default)]
struct Trouble {
    /// Something could not be looked at, and that was told.
    unseen: bool,
    /// It will be tried again.
    waiting: bool,
    tries: u32,
    /// Of a look.
    cost: Duration,
}

impl Trouble {
    /// Before it is tried again: longer each time, and so long that trying takes less than 1 % of a core. Reading a
    /// file again may cost much more than looking, so that is done more and more rarely.
    fn pause(&self, pace: &Pace) -> Duration {
        let most = if self.unseen { pace.poll } else { pace.whole };
        pace.check.saturating_mul(1 << self.tries.min(16)).min(most).max(self.cost.saturating_mul(100))
    }
}

impl Watching {
    pub(super) fn start(me: ActorRef<IndexMessage>, pace: Pace) -> Self {
        let (tell, told) = mpsc::channel(io_watch::CAPACITY);
        forward(told, me);
        Self {
            pace,
            watch: Arc::new(Watch::start(tell, pace)),
            scanning: false,
            wanted: BTreeSet::new(),
            looked_everywhere: None,
            unwatched: Vec::new(),
            due: false,
            troubles: BTreeMap::new(),
        }
    }
}

impl Watching {
    /// Whether no look is under way or wanted.
    pub(super) fn is_idle(&self) -> bool {
        !self.scanning && self.wanted.is_empty()
    }

    /// Something of a root could not be looked at, which was told.
    pub(super) fn was_unseen(&mut self, key: RootKey) {
        self.troubles.entry(key).or_default().unseen = true;
    }
}

impl IndexState {
    /// Looks at all roots again, but not as often as peers may ask for what has changed.
    pub(in crate::actors::index) fn look_everywhere(&mut self) {
        if self.watching.looked_everywhere.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            self.watching.looked_everywhere = Some(Instant::now());
            self.look(0..self.catalogue.roots.len());
        }
    }

    /// Looks at roots again, after the look that is under way.
    pub(in crate::actors::index) fn look(&mut self, keys: impl IntoIterator<Item = RootKey>) {
        let known = self.catalogue.roots.len();
        self.watching.wanted.extend(keys.into_iter().filter(|key| *key < known));
        if self.watching.scanning || self.watching.wanted.is_empty() {
            return;
        }
        let root =
            |key: RootKey| (key, self.catalogue.roots[key].root.clone(), self.catalogue.roots[key].rules.clone());
        let roots: Vec<_> = std::mem::take(&mut self.watching.wanted).into_iter().map(root).collect();
        self.watching.scanning = true;
        self.spawn(move || Step::Scanned(roots.iter().map(|(key, root, rules)| look_at(*key, root, rules)).collect()));
    }

    pub(super) fn scanned(&mut self, looks: Vec<Looked>) {
        self.watching.scanning = false;
        let (mut jobs, now) = (Vec::new(), Instant::now());
        let proofs = self.seeds.take(looks.iter().map(|look| look.key));
        for Looked { key, scan, cost } in looks {
            self.watching.watch.looked(key, cost);
            if scan.gone && !self.catalogue.roots[key].gone && scan.skipped.is_empty() {
                self.outbox.push(IndexNotice::Gone(scan.root.path.clone()));
            }
            for skipped in &scan.skipped {
                self.outbox.warn(IndexNotice::Omitted(Omission::Skipped(skipped.clone())));
            }
            if let Some(real) = self.catalogue.leads(key, scan.root.real.as_deref()) {
                // Who swaps a link wants that, and who did not do it wants to know.
                self.outbox.push(IndexNotice::LeadsTo { path: scan.root.path.clone(), real });
            }
            self.seen(key, &scan.unseen, cost);
            let (more, changed) = self.catalogue.rescanned(key, scan, now);
            self.dirty |= changed;
            jobs.extend(more);
            self.look_for_rest(key);
            self.tell_broken(key);
        }
        let (known, jobs) = proofs.divide(jobs);
        known.into_iter().for_each(|(name, file)| self.take_hashed(&name, file));
        self.look_up(jobs);
        self.look([]);
    }

    /// Says that what goes on being shared as one known content is that no longer.
    pub(super) fn tell_broken(&mut self, key: RootKey) {
        let Some((first, count)) = self.catalogue.broken(key) else { return };
        let root = &self.catalogue.roots[key].root;
        let (kind, root) = (root.kind, root.path.clone());
        self.outbox.push(IndexNotice::Broken { kind, root, first, more: count - 1 });
    }

    /// Takes what a look could not see: told once, and tried again until all is seen.
    fn seen(&mut self, key: RootKey, unseen: &[Unseen], cost: Duration) {
        let Some(first) = unseen.first() else {
            if let Some(trouble) = self.watching.troubles.get_mut(&key).filter(|trouble| trouble.unseen) {
                *trouble = Trouble { waiting: trouble.waiting, ..Trouble::default() };
                // Nor could it be watched.
                self.watching.watch.again(key);
            }
            return;
        };
        let trouble = self.watching.troubles.entry(key).or_default();
        trouble.cost = cost;
        if !std::mem::replace(&mut trouble.unseen, true) {
            self.outbox.push(IndexNotice::StillOffered { first: first.clone(), more: unseen.len() - 1 });
        }
        self.try_again(key);
    }

    /// Has a root's troubles tried again after a while, longer after each try.
    pub(super) fn try_again(&mut self, key: RootKey) {
        let pace = self.watching.pace;
        let trouble = self.watching.troubles.entry(key).or_default();
        if std::mem::replace(&mut trouble.waiting, true) {
            return;
        }
        self.me.send_after(trouble.pause(&pace), move || IndexMessage::Own(OwnStep(Step::Again(key))));
        trouble.tries += 1;
    }

    pub(super) fn again(&mut self, key: RootKey) {
        let Some(trouble) = self.watching.troubles.get_mut(&key) else { return };
        trouble.waiting = false;
        if trouble.unseen {
            self.look([key]);
        }
        self.look_up(self.catalogue.failed(key));
        self.end_troubles();
    }

    /// Forgets the troubles of roots of which everything could be read by now.
    pub(super) fn end_troubles(&mut self) {
        let (catalogue, outbox) = (&self.catalogue, &mut self.outbox);
        self.watching.troubles.retain(|key, trouble| {
            let goes_on = trouble.unseen || trouble.waiting || !catalogue.failed(*key).is_empty();
            if !goes_on {
                outbox.over(&catalogue.roots[*key].root.path);
            }
            goes_on
        });
    }

    /// Has roots watched as soon as a change would be told if they were watched already.
    pub(in crate::actors::index) fn leave_unwatched(&mut self, keys: Vec<RootKey>) {
        if self.watching.unwatched.is_empty() && !keys.is_empty() {
            self.watching.due = false;
            self.me.send_after(self.watching.pace.longest, || IndexMessage::Own(OwnStep(Step::Watch)));
        }
        self.watching.unwatched.extend(keys);
    }

    /// Watches roots. The watch tells them as changed once it stands: what changed before is not told by it.
    pub(super) fn begin_watch(&mut self) {
        if self.tasks > 0 || !self.watching.due {
            return;
        }
        for key in std::mem::take(&mut self.watching.unwatched) {
            let root = &self.catalogue.roots[key].root;
            self.watching.watch.add(key, &root.path, root.kind);
        }
    }
}

/// Blocks on the file system.
fn look_at(key: RootKey, root: &Root, rules: &Rules) -> Looked {
    let began = Instant::now();
    let scan = scan_root(root, rules);
    let cores = u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX);
    Looked { key, scan, cost: began.elapsed().saturating_mul(cores) }
}

/// Ends when the watch does.
fn forward(mut told: mpsc::Receiver<Told>, me: ActorRef<IndexMessage>) {
    tokio::spawn(async move {
        while let Some(told) = told.recv().await {
            send(&me, Step::Told(told));
        }
    });
}
