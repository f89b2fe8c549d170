//! When shared roots are looked at, tried again and watched, and when what was found is published.
//! Invariants: at most one look is under way, and what is wanted meanwhile is looked at after it; names do not wait for
//! ids, and ids wait for no longer than an interval that grows with the offers. Not responsible for what is found, nor for what is published.

mod event;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use event::{Facts, Input, PublicationOrder};

/// A root, by its number.
pub type Root = usize;

/// The first publication waits so long for ids: a small tree is then announced once, not first without ids.
const FIRST: Duration = Duration::from_millis(100);
/// Between two publications while ids fill in: each is one delta to each tracker.
const PUBLISH: Duration = Duration::from_millis(200);
/// The same for each offer: what copying and comparing it costs, some 1 µs, is then a tenth of a core at most.
const PUBLISH_OFFER: Duration = Duration::from_micros(10);
/// Between two looks at everything that requests for changed files bring about.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon what is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// A change is told at the latest after this.
    pub longest: Duration,
    /// What could not be looked at or read is tried again after this at first.
    pub check: Duration,
    /// What could not be looked at is tried again after this at the latest,
    pub poll: Duration,
    /// and what could not be read, after this.
    pub whole: Duration,
    /// Between two looks at former trees that nobody may want any more.
    pub sweep: Duration,
}

/// Something of a root could not be looked at, or a file of it not be read: that passes, or somebody mends it.
#[derive(Debug, Default)]
struct Trouble {
    /// Something could not be looked at, and that was told.
    unseen: bool,
    /// When it is tried again.
    again: Option<Duration>,
    tries: u32,
    /// Of a look.
    cost: Duration,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Publication {
    pace: Pace,
    /// Look-ups and collections under way.
    tasks: usize,
    /// A look at roots is under way, and these are to be looked at after it.
    looking: bool,
    wanted: BTreeSet<Root>,
    looked_everywhere: Option<Duration>,
    troubles: BTreeMap<Root, Trouble>,
    /// Roots with a file that keeps changing, and when they are looked at again.
    restless: BTreeSet<Root>,
    rest: Option<Duration>,
    /// Roots that are not watched yet, and until when. Setting a watch up means a second look at everything, which would
    /// only be in the way of the first publication and of the first ids.
    unwatched: Vec<Root>,
    watch: Option<Duration>,
    sweep: Option<Duration>,
    tick: Option<Duration>,
    /// When it was last published, or else begun.
    published: Duration,
    is_first: bool,
    dirty: bool,
    /// Hashing began and its end was not told.
    reporting: bool,
}

impl Publication {
    /// Nothing is shared yet.
    pub fn new(pace: Pace) -> Self {
        Self { pace, is_first: true, ..Self::default() }
    }

    /// When [`Input::Settle`] is due without anything having happened.
    pub fn wake(&self) -> Option<Duration> {
        let again = self.troubles.values().filter_map(|trouble| trouble.again);
        again.chain([self.rest, self.watch, self.sweep, self.tick].into_iter().flatten()).min()
    }

    /// Whether nothing is on its way that would be published, unless something is being hashed.
    pub fn is_settled(&self) -> bool {
        !self.looking && self.wanted.is_empty() && self.tasks == 0 && !self.dirty
    }

    /// Roots that had trouble, and whose troubles are over if all of their files could be read.
    pub fn recovering(&self) -> Vec<Root> {
        let over = |trouble: &Trouble| !trouble.unseen && trouble.again.is_none();
        self.troubles.iter().filter(|(_, trouble)| over(trouble)).map(|(root, _)| *root).collect()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<PublicationOrder> {
        let mut out = Vec::new();
        match input {
            Input::Added { root, unseen } => self.added(root, unseen, now),
            Input::Changed => self.dirty = true,
            Input::Hashed => self.reporting = true,
            Input::Look(roots) => self.wanted.extend(roots),
            Input::LookEverywhere(roots) => {
                if self.looked_everywhere.is_none_or(|at| now >= at + LOOK_AGAIN) {
                    self.looked_everywhere = Some(now);
                    self.wanted.extend(0..roots);
                }
            }
            Input::Looked => self.looking = false,
            Input::New(root) => self.leave_unwatched(root, now),
            Input::Removed(root) => self.removed(root),
            Input::Restless(root) => {
                self.rest.get_or_insert(now + self.pace.longest * 2);
                self.restless.insert(root);
            }
            Input::Seen { root, cost, unseen: true } => self.unseen(root, cost, now, &mut out),
            Input::Seen { root, unseen: false, .. } => self.seen(root, &mut out),
            Input::Settle(facts) => self.settle(&facts, now, &mut out),
            Input::TaskBegun => self.tasks += 1,
            Input::TaskEnded => self.tasks -= 1,
            Input::Unreadable(root) => {
                self.dirty = true;
                self.try_again(root, now);
            }
            Input::Whole(root) => drop(self.troubles.remove(&root)),
        }
        out
    }

    fn added(&mut self, root: Root, unseen: bool, now: Duration) {
        if unseen {
            self.troubles.entry(root).or_default().unseen = true;
        }
        if self.is_first {
            self.published = now;
        }
        self.dirty = true;
        self.leave_unwatched(root, now);
    }

    fn removed(&mut self, root: Root) {
        self.troubles.remove(&root);
        self.wanted.remove(&root);
        self.restless.remove(&root);
        self.unwatched.retain(|waiting| *waiting != root);
        self.dirty = true;
    }

    /// Has a root watched as soon as a change would be told if it were watched already.
    fn leave_unwatched(&mut self, root: Root, now: Duration) {
        if self.unwatched.is_empty() {
            self.watch = Some(now + self.pace.longest);
        }
        self.unwatched.push(root);
    }

    /// A look has seen all.
    fn seen(&mut self, root: Root, out: &mut Vec<PublicationOrder>) {
        if let Some(trouble) = self.troubles.get_mut(&root).filter(|trouble| trouble.unseen) {
            *trouble = Trouble { again: trouble.again, ..Trouble::default() };
            // Nor could it be watched.
            out.push(PublicationOrder::WatchAgain(root));
        }
    }

    /// Takes what a look could not see: told once, and tried again until all is seen.
    fn unseen(&mut self, root: Root, cost: Duration, now: Duration, out: &mut Vec<PublicationOrder>) {
        let trouble = self.troubles.entry(root).or_default();
        trouble.cost = cost;
        if !std::mem::replace(&mut trouble.unseen, true) {
            out.push(PublicationOrder::Unseen(root));
        }
        self.try_again(root, now);
    }

    /// Has a root's troubles tried again after a while, longer after each try, and so long that trying takes less than 1 %
    /// of a core. Reading a file again may cost much more than looking, so that is done more and more rarely.
    fn try_again(&mut self, root: Root, now: Duration) {
        let trouble = self.troubles.entry(root).or_default();
        if trouble.again.is_some() {
            return;
        }
        let most = if trouble.unseen { self.pace.poll } else { self.pace.whole };
        let pause = self.pace.check.saturating_mul(1 << trouble.tries.min(16)).min(most);
        trouble.again = Some(now + pause.max(trouble.cost.saturating_mul(100)));
        trouble.tries += 1;
    }

    fn settle(&mut self, facts: &Facts, now: Duration, out: &mut Vec<PublicationOrder>) {
        self.come_due(facts, now, out);
        if !self.looking && !self.wanted.is_empty() {
            self.looking = true;
            out.push(PublicationOrder::Look(std::mem::take(&mut self.wanted).into_iter().collect()));
        }
        if self.reporting && facts.idle && self.tasks == 0 {
            self.reporting = false;
            out.push(PublicationOrder::AllHashed);
        }
        if self.dirty && self.is_due(facts, now) {
            (self.dirty, self.published, self.is_first) = (false, now, false);
            out.push(PublicationOrder::Publish);
        }
        if self.tasks == 0 && self.watch.is_none() {
            out.extend(std::mem::take(&mut self.unwatched).into_iter().map(PublicationOrder::Watch));
        }
        if facts.former {
            self.sweep.get_or_insert(now + self.pace.sweep);
        }
        if self.dirty || facts.waiting || !facts.idle {
            self.tick.get_or_insert(now + if self.is_first { FIRST } else { PUBLISH });
        }
    }

    /// What was put off until now.
    fn come_due(&mut self, facts: &Facts, now: Duration, out: &mut Vec<PublicationOrder>) {
        let is_due = |at: &mut Duration| *at <= now;
        for (root, trouble) in &mut self.troubles {
            if trouble.again.take_if(is_due).is_some() {
                self.wanted.extend(trouble.unseen.then_some(*root));
                out.push(PublicationOrder::Read(*root));
            }
        }
        if self.rest.take_if(is_due).is_some() {
            self.wanted.append(&mut self.restless);
        }
        if self.sweep.take_if(is_due).is_some() {
            out.push(PublicationOrder::Sweep);
        }
        if self.tick.take_if(is_due).is_some() {
            self.reporting |= !facts.idle;
            out.push(PublicationOrder::Progress);
        }
        self.watch.take_if(is_due);
    }

    /// At once when nothing more is on its way or somebody waits, else in steps; names do not wait for ids.
    fn is_due(&self, facts: &Facts, now: Duration) -> bool {
        let quiet = self.tasks == 0 && facts.idle;
        let stepped = (!self.is_first || self.tasks == 0) && now >= self.published + self.interval(facts.offers);
        facts.awaited || quiet || stepped
    }

    /// Between two publications of so many offers, while more is on its way.
    fn interval(&self, offers: usize) -> Duration {
        let offers = u32::try_from(offers).unwrap_or(u32::MAX);
        if self.is_first { FIRST } else { PUBLISH.saturating_add(PUBLISH_OFFER.saturating_mul(offers)) }
    }
}
