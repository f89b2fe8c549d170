//! What is shared: the roots, a row for every file beneath them, and the offers that follow.
//! Invariant: an offer exists exactly for every row that did not fail and every directory that is there; it has an
//! id exactly when the file is hashed, or all files of the directory are but those that are left out.
//! Not responsible for hashing, looking and watching: it is told their results.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::index::hashing::HashJob;
use crate::actors::limits::throttle::Throttle;
use crate::io::clock::time_of_day;
use crate::io::share::scan::{Root, Rules, Scan, ScannedRoot};
use crate::io::share::shared_source::{HashedFile, SharedCollection};
use crate::io::share::watch::{Pace, RootKey};
use crate::logic::offers::name_map::NameMap;
use crate::logic::offers::reserved::Reserved;
use crate::logic::offers::table::OfferTable;
use crate::model::{Asker, Audience, Kind, Modified, Offer, SafePath};
use crate::wire::{Code, LeftOut, LeftOutFile};

mod former;
mod look;
mod roots;
mod seeds;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

pub use former::Absence;
use former::Former;
pub(super) use former::{FormerTree, Gone, KEEP};
use look::Seen;
pub use roots::SharedRoot;
pub use snapshot::IndexSnapshot;
use snapshot::Parts;
use state::UnrestBounds;
pub(super) use state::{Row, State};

/// All files by name.
pub(super) type Rows = NameMap<Row>;

/// The most left-out files that are named to those who fetch the tree.
const NAMED: usize = 8;

/// What a hashed file meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The file has changed meanwhile.
    Late,
    /// An id, or another one, for a file of this root.
    New(RootKey),
    /// The id that it has.
    Same,
}

/// Why a file that was to be hashed has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unhashed {
    /// It is no longer what was queued.
    Changed,
    /// This user may not read it.
    Denied,
    /// It cannot be read.
    Failed,
    /// Something else than the file was at fault.
    Lacking,
}

/// One shared root.
#[derive(Debug)]
pub(super) struct RootRow {
    pub(super) root: Root,
    pub(super) rules: Arc<Rules>,
    /// For whom it is.
    pub(super) audience: Audience,
    /// What is sent of it waits here.
    pub(super) throttle: Option<Throttle>,
    since: Duration,
    /// It is shared no longer: its place stays, so that what is on its way for it finds nothing.
    pub(super) withdrawn: bool,
    pub(super) empty_dirs: Arc<[SafePath]>,
    pub(super) count: Count,
    /// Rises with every change of its files, so that a collection made of older ones is not taken.
    pub(super) generation: u64,
    pub(super) collection: Option<Arc<SharedCollection>>,
    /// A collection of this generation is being made, or cannot be made.
    pub(super) collecting: bool,
    /// Files of the collection were proven again under other stamps, which it does not know.
    outdated: bool,
    /// What is there and could not be read or looked at when it was last looked for.
    unread: Vec<SafePath>,
    /// The most links that were left out of it at a time.
    links: u64,
    /// What its tree has and its collection has not; of a content that was fetched, also what was told with it.
    left_out: Arc<LeftOut>,
    pub(super) gone: bool,
    /// Where its path led when something was last there.
    real: Option<PathBuf>,
    /// It is not what it is shared as any more, and that was told.
    broken: bool,
}

/// The files of a root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) files: u32,
    pub(super) bytes: u64,
    pub(super) missing: u32,
    pub(super) missing_bytes: u64,
    /// Those that are offered and hashed again.
    pub(super) verifying: u32,
    /// Those that are left out because they keep changing.
    pub(super) restless: u32,
    /// That of the youngest.
    modified: Option<Modified>,
}

#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) roots: Vec<RootRow>,
    pub(super) rows: Rows,
    /// The offers as they were last published.
    offers: Arc<OfferTable>,
    /// Names whose offers are to be seen to since then, each with the root that it was last an offer of.
    touched: BTreeMap<SafePath, RootKey>,
    former: Former,
    patience: UnrestBounds,
    /// Files that are left out since this was last asked for.
    unsettled: Vec<SafePath>,
}

impl Catalogue {
    pub(super) fn new(pace: Pace) -> Self {
        Self { patience: pace.into(), ..Self::default() }
    }

    /// Adds a root that was looked at; what has to be hashed of it. `None` when its name is taken.
    pub(super) fn add(
        &mut self,
        scanned: ScannedRoot,
        rules: Arc<Rules>,
        now: Instant,
    ) -> Option<(RootKey, Vec<HashJob>)> {
        if self.offer(&scanned.name).is_some() {
            return None;
        }
        let root = Root { name: scanned.name.clone(), path: scanned.path.clone(), kind: scanned.kind, fixed: None };
        let key = self.add_root(root, rules);
        self.roots[key].real.clone_from(&scanned.real);
        self.roots[key].links = scanned.links;
        let found = Seen { root: scanned, unseen: HashSet::new(), gone: false };
        Some((key, self.replace(key, found, now).0))
    }

    fn add_root(&mut self, root: Root, rules: Arc<Rules>) -> RootKey {
        self.roots.push(RootRow {
            root,
            rules,
            audience: Audience::Everybody,
            throttle: None,
            since: time_of_day(),
            withdrawn: false,
            empty_dirs: Arc::default(),
            count: Count::default(),
            generation: 0,
            collection: None,
            collecting: false,
            outdated: false,
            unread: Vec::new(),
            links: 0,
            left_out: Arc::default(),
            gone: false,
            real: None,
            broken: false,
        });
        self.roots.len() - 1
    }

    /// How many links are left out of a root, where there were never so many before.
    pub(super) fn more_links(&mut self, key: RootKey, now: u64) -> Option<u64> {
        let most = &mut self.roots[key].links;
        (now > std::mem::replace(most, now.max(*most))).then_some(now)
    }

    /// Takes what a later look found; what has to be hashed, and whether anything changed.
    pub(super) fn rescanned(&mut self, key: RootKey, scan: Scan, now: Instant) -> (Vec<HashJob>, bool) {
        let Scan { root, unseen, gone, .. } = scan;
        let unseen = unseen.into_iter().map(|unseen| unseen.name).collect();
        self.replace(key, Seen { root, unseen, gone }, now)
    }

    /// Takes a hashed file.
    pub(super) fn hashed(&mut self, name: &SafePath, file: Arc<HashedFile>, now: Instant) -> Taken {
        let Some(row) = self.rows.get_mut(name) else { return Taken::Late };
        if row.stamp != file.stamp || *row.path != *file.path {
            return Taken::Late;
        }
        let (root, id, size, in_tree) = (row.root, file.id, file.stamp.size, row.is_in_tree());
        let (before, former) = (row.offered().map(|f| f.id), row.former().map(|f| f.id));
        let (verified, failed) = (row.is_verifying() && in_tree, matches!(row.state, State::Failed));
        row.state = State::Hashed(file);
        if before == Some(id) {
            self.roots[root].outdated |= verified;
            let verifying = &mut self.roots[root].count.verifying;
            *verifying = verifying.saturating_sub(u32::from(verified));
            return Taken::Same;
        }
        let lost = before.into_iter().chain(former).filter(|gone| *gone != id);
        let audience = &self.roots[root].audience;
        lost.for_each(|gone| self.former.lose(gone, audience, Absence::Changed));
        self.touched.insert(name.clone(), root);
        if (before.is_some() && in_tree) || failed {
            self.renew(root, now);
        } else if in_tree {
            let count = &mut self.roots[root].count;
            count.missing = count.missing.saturating_sub(1);
            count.missing_bytes = count.missing_bytes.saturating_sub(size);
        }
        Taken::New(root)
    }

    /// Takes that a file has no id, and why. Whether that was still of interest.
    pub(super) fn not_hashed(&mut self, job: &HashJob, why: Unhashed, now: Instant) -> bool {
        let current = |row: &&Row| row.stamp == job.stamp && !matches!(row.state, State::Hashed(_) | State::Stale(_));
        if self.rows.get(&job.name).filter(current).is_none() {
            return false;
        }
        let Some(row) = self.rows.get_mut(&job.name) else { return false };
        if matches!(row.state, State::Failed) {
            // It stays so until it can be read.
            return true;
        }
        let known = row.offered().or_else(|| row.former()).map(|file| file.id);
        let is_offered = row.offered().is_some();
        let was = std::mem::replace(&mut row.state, State::Failed).into_was();
        match why {
            Unhashed::Changed => {
                row.state = State::Stale(was);
                if !is_offered && row.unrest.change(now, self.patience) {
                    self.unsettled.push(job.name.clone());
                    self.renew(job.root, now);
                }
            }
            Unhashed::Denied | Unhashed::Failed => {
                let absence = if matches!(why, Unhashed::Denied) { Absence::Denied } else { Absence::Changed };
                let audience = &self.roots[job.root].audience;
                known.into_iter().for_each(|id| self.former.lose(id, audience, absence));
                self.touched.insert(job.name.clone(), job.root);
                self.renew(job.root, now);
            }
            Unhashed::Lacking => row.state = State::Lacking(was),
        }
        true
    }

    /// What could not be read of a root, to be tried again.
    pub(super) fn failed(&self, key: RootKey) -> Vec<HashJob> {
        let failed = self.rows_of(key).filter(|(_, row)| matches!(row.state, State::Failed | State::Lacking(_)));
        let job = |(name, row): (&SafePath, &Row)| HashJob {
            name: name.clone(),
            path: row.path.clone(),
            stamp: row.stamp,
            root: key,
        };
        failed.map(job).collect()
    }

    /// Whether a root has files that keep changing: only another look can tell when they have settled.
    pub(super) fn is_restless(&self, key: RootKey) -> bool {
        self.roots[key].count.restless > 0
    }

    /// Whether an offer cannot be had for now because what it stands for keeps changing.
    pub(super) fn is_unsettled(&self, name: &SafePath) -> bool {
        let file = |row: &Row| row.unrest.left_out && matches!(row.state, State::Stale(_));
        let root = |root: &RootRow| {
            let RootRow { root, count, .. } = root;
            root.kind == Kind::Collection && root.name == *name && count.restless > 0 && count.files == 0
        };
        self.rows.get(name).is_some_and(file) || self.roots.iter().any(root)
    }

    /// The files that are left out since the last time, each with its root.
    pub(super) fn unsettled(&mut self) -> Vec<(SafePath, RootKey)> {
        let names = std::mem::take(&mut self.unsettled);
        names.into_iter().filter_map(|name| self.rows.get(&name).map(|row| row.root).map(|key| (name, key))).collect()
    }

    /// Lets go of former trees that nobody asks for; whether there were any.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        self.former.sweep(now)
    }

    /// Whether former trees are kept.
    pub(super) fn has_former(&self) -> bool {
        !self.former.is_empty()
    }

    /// Takes a collection made of a root's files; whether they are still the same.
    pub(super) fn collected(&mut self, key: RootKey, generation: u64, made: Arc<SharedCollection>) -> bool {
        let root = &mut self.roots[key];
        if root.generation != generation {
            return false;
        }
        root.collecting = false;
        self.former.forget(made.id(), &root.audience);
        root.collection = Some(made);
        self.touch_collection(key);
        true
    }

    /// The directories whose collection can be made now; each once per generation, and once more when files of it were
    /// proven again. Nothing is made of a directory of which everything is left out: it would say that it is empty.
    pub(super) fn collectable(&mut self) -> Vec<RootKey> {
        let mut ready = Vec::new();
        for (key, root) in self.roots.iter_mut().enumerate() {
            let hollow = root.count.files == 0 && !root.left_out.is_empty();
            let whole = root.root.kind == Kind::Collection && !root.gone && root.count.missing == 0 && !hollow;
            let due = root.collection.is_none() || (root.outdated && root.count.verifying == 0);
            let complete = root.root.fixed.as_ref().is_none_or(|fixed| fixed.files() == root.count.files);
            if whole && complete && due && !root.collecting {
                (root.collecting, root.outdated) = (true, false);
                ready.push(key);
            }
        }
        ready
    }

    /// The offer of a name, at this moment.
    pub(super) fn offer(&self, name: &SafePath) -> Option<Offer> {
        match self.touched.get(name) {
            Some(key) => self.offer_of(name, *key),
            None => self.offers.get(name).cloned(),
        }
    }

    /// The offers, as they are from now on seen.
    pub(super) fn offers(&mut self) -> &Arc<OfferTable> {
        let touched = std::mem::take(&mut self.touched);
        if !touched.is_empty() {
            let mut offers = OfferTable::clone(&self.offers);
            let of = |(name, key)| (self.offer_of(&name, key), name);
            offers.apply(touched.into_iter().map(of).map(|(offer, name)| (name, offer)), &mut |_| {});
            self.offers = Arc::new(offers);
        }
        &self.offers
    }

    /// What a root offers under a name: a file of it, or itself as a collection.
    fn offer_of(&self, name: &SafePath, key: RootKey) -> Option<Offer> {
        let RootRow { root, count, collection, gone, .. } = &self.roots[key];
        let name = name.clone();
        if root.kind == Kind::Collection && root.name == name {
            let incomplete = root.fixed.is_some() && collection.is_none();
            let (id, size, files) = (collection.as_ref().map(|tree| tree.id()), count.bytes, count.files);
            let offer =
                Offer { kind: Kind::Collection, files, modified: count.modified, ..Offer::file(name, size, id) };
            return Some(offer).filter(|_| !gone && !incomplete);
        }
        let row = self.rows.get(&name).filter(|row| !matches!(row.state, State::Failed | State::Foreign))?;
        let (id, size, executable) = (row.offered().map(|file| file.id), row.stamp.size, row.stamp.executable);
        // Of what is shared as one known content nothing is offered before it was found to be that.
        let unknown = id.is_none() && root.fixed.is_some();
        (!unknown).then_some(Offer { executable, modified: row.stamp.modified(), ..Offer::file(name, size, id) })
    }

    /// What the world may see of it, from now on; others see what is left without what is not for them, and nothing that is of
    /// it: neither its bytes nor its dates stand for what somebody else offers to them.
    pub(super) fn snapshot(&mut self, reserved: &Reserved) -> IndexSnapshot {
        let offers = self.offers().clone();
        let whole = IndexSnapshot::new(self.parts(offers.clone(), self.rows.clone(), |_| true));
        if !reserved.has_names() {
            return whole;
        }
        let part = |asker: Asker| {
            let shows = |audience: &Audience| audience.includes(asker);
            let mut rows = Rows::default();
            for (name, row) in self.rows.iter().filter(|(_, row)| shows(&self.roots[row.root].audience)) {
                rows.insert(name.clone(), row.clone());
            }
            let offers = Arc::new(offers.only(|offer| reserved.shows(&offer.name, || asker == Asker::Friend)));
            Arc::new(IndexSnapshot::new(self.parts(offers, rows, shows)))
        };
        let named = (!reserved.hidden.is_empty()).then(|| part(Asker::Friend));
        let open = if reserved.friends.is_empty() { named.clone() } else { Some(part(Asker::Stranger)) };
        whole.with_less(named, open)
    }

    fn parts(&self, offers: Arc<OfferTable>, rows: Rows, shows: impl Fn(&Audience) -> bool) -> Parts {
        let roots = || self.live().filter(|root| shows(&root.audience));
        let collections = roots().filter_map(|root| Some((root.collection.as_ref()?.id(), root.collection.clone()?)));
        let left_out = roots().filter(|root| !root.left_out.is_empty());
        let left_out = left_out.filter_map(|root| Some((root.collection.as_ref()?.id(), root.left_out.clone())));
        Parts {
            offers,
            rows,
            collections: collections.collect(),
            former: self.former.trees().filter(|tree| shows(&tree.audience)).cloned().collect(),
            gone: self.former.gone.clone(),
            left_out: left_out.collect(),
            limits: self.limits(),
        }
    }

    fn rows_of(&self, key: RootKey) -> impl Iterator<Item = (&SafePath, &Row)> {
        let root = &self.roots[key].root;
        let (below, own) = match root.kind {
            Kind::Collection => (Some(self.rows.below(&root.name)), None),
            Kind::File => (None, self.rows.entry(&root.name)),
        };
        below.into_iter().flatten().chain(own).filter(move |(_, row)| row.root == key)
    }

    /// After a change of a root's files: counts again; an older collection is no longer what is there.
    fn renew(&mut self, key: RootKey, now: Instant) {
        // Who has found the older one still asks for it, and is told what that left out.
        let left_out = Arc::clone(&self.roots[key].left_out);
        self.recount(key);
        let root = &mut self.roots[key];
        root.generation += 1;
        (root.collecting, root.outdated) = (false, false);
        if let Some(tree) = root.collection.take() {
            let of = (key, self.roots[key].audience.clone());
            self.former.keep(of, tree, left_out, now);
        }
        self.touch_collection(key);
    }

    fn recount(&mut self, key: RootKey) {
        let told = self.roots[key].root.fixed.as_ref().map(|fixed| fixed.left_out.clone());
        let (mut count, mut left_out) = (Count::default(), told.unwrap_or_default());
        let mut leave_out = |name, why| match below(&self.roots[key].root.name, name) {
            Some(path) if left_out.files.len() < NAMED => left_out.files.push(LeftOutFile { path, why }),
            _ => left_out.more = left_out.more.saturating_add(1),
        };
        for (name, row) in self.rows_of(key) {
            if row.is_in_tree() {
                count.add(row);
                continue;
            }
            let restless = !matches!(row.state, State::Failed | State::Foreign);
            count.restless += u32::from(restless);
            leave_out(name, if restless { Code::Changed } else { Code::Internal });
        }
        // What was there when it could be looked at stays in the tree.
        let unread = self.roots[key].unread.iter().filter(|name| !self.has_below(name));
        unread.for_each(|name| leave_out(name, Code::Internal));
        let root = &mut self.roots[key];
        (root.count, root.left_out) = (count, left_out.into());
    }

    /// Whether a file has this name, or one beneath it.
    fn has_below(&self, name: &SafePath) -> bool {
        self.rows.get(name).is_some() || self.rows.below(name).next().is_some()
    }

    fn touch_collection(&mut self, key: RootKey) {
        let root = &self.roots[key].root;
        if root.kind == Kind::Collection {
            self.touched.insert(root.name.clone(), key);
        }
    }
}

impl Count {
    /// Counts a file that belongs to the tree.
    fn add(&mut self, row: &Row) {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(row.stamp.size);
        self.verifying += u32::from(row.is_verifying());
        self.modified = self.modified.max(row.stamp.modified());
        if row.offered().is_none() {
            self.missing += 1;
            self.missing_bytes = self.missing_bytes.saturating_add(row.stamp.size);
        }
    }
}

/// A whole name as a path within the root of that name.
pub(super) fn below(root: &SafePath, name: &SafePath) -> Option<SafePath> {
    let rest = name.as_str().strip_prefix(root.as_str())?.strip_prefix('/')?;
    SafePath::parse(rest).ok()
}
