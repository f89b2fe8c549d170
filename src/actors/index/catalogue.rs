//! What is shared: the roots, a row for every file beneath them, and the offers that follow.
//! Invariant: an offer exists exactly for every row that did not fail and every directory that is there; it has an
//! id exactly when the file is hashed, or all files of the directory are.
//! Not responsible for hashing, looking and watching: it is told their results.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::actors::index::hashing::Job;
use crate::actors::index::snapshot::{IndexSnapshot, Names};
use crate::io::scan::{Root, Rules, Scan, ScannedFile, ScannedRoot};
use crate::io::shared_source::{HashedFile, SharedCollection};
use crate::io::stamp::FileStamp;
use crate::io::watch::RootKey;
use crate::logic::name_index::NameKey;
use crate::model::{Kind, Offer, OfferBook, SafePath};

mod seeds;
#[cfg(test)]
mod tests;

/// All files by name.
pub(super) type Rows = BTreeMap<SafePath, Row>;

/// One shared file.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) root: RootKey,
    pub(super) path: Arc<Path>,
    pub(super) stamp: FileStamp,
    pub(super) state: State,
}

/// How far a file is.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// It cannot be read; it is tried again, and not offered until that succeeds or its stamp changes.
    Failed,
    /// It has an id.
    Hashed(Arc<HashedFile>),
    /// It waits for its id.
    Pending,
    /// It changed while it was hashed; the next look queues it again.
    Stale,
}

/// How a found file compares with its row.
enum Found {
    /// It has the same stamp, but was hashed so soon after a write that this need not mean the same bytes.
    Doubtful,
    Known,
    New,
}

/// One shared root.
#[derive(Debug)]
pub(super) struct RootRow {
    pub(super) root: Root,
    pub(super) rules: Arc<Rules>,
    pub(super) empty_dirs: Arc<[SafePath]>,
    pub(super) count: Count,
    /// Rises with every change of its files, so that a collection made of older ones is not taken.
    pub(super) generation: u64,
    pub(super) collection: Option<Arc<SharedCollection>>,
    /// A collection of this generation is being made, or cannot be made.
    pub(super) collecting: bool,
    pub(super) gone: bool,
}

/// The files of a root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) files: u32,
    pub(super) bytes: u64,
    pub(super) missing: u32,
    pub(super) missing_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) roots: Vec<RootRow>,
    pub(super) rows: Arc<Rows>,
    pub(super) book: Arc<OfferBook>,
    names: Arc<Names>,
    keys: HashMap<SafePath, NameKey>,
}

impl Catalogue {
    /// Adds a root that was looked at; what has to be hashed of it. `None` when its name is taken.
    pub(super) fn add(&mut self, scanned: ScannedRoot, rules: Arc<Rules>) -> Option<(RootKey, Vec<Job>)> {
        if self.book.offers.contains_key(&scanned.name) {
            return None;
        }
        let root = Root { name: scanned.name.clone(), path: scanned.path.clone(), kind: scanned.kind, fixed: None };
        let key = self.add_root(root, rules);
        Some((key, self.replace(key, scanned, &HashSet::new(), false)))
    }

    fn add_root(&mut self, root: Root, rules: Arc<Rules>) -> RootKey {
        self.roots.push(RootRow {
            root,
            rules,
            empty_dirs: Arc::default(),
            count: Count::default(),
            generation: 0,
            collection: None,
            collecting: false,
            gone: false,
        });
        self.roots.len() - 1
    }

    /// Takes what a later look found; what has to be hashed, and whether anything changed.
    pub(super) fn rescanned(&mut self, key: RootKey, scan: Scan) -> (Vec<Job>, bool) {
        let before = self.roots[key].generation;
        let unseen: HashSet<&str> = scan.unseen.iter().map(|unseen| unseen.name.as_str()).collect();
        if unseen.contains(scan.root.name.as_str()) {
            return (Vec::new(), false);
        }
        let mut root = scan.root;
        let kept = |dir: &&SafePath| is_unseen(&unseen, dir) && root.empty_dirs.binary_search(dir).is_err();
        let kept: Vec<SafePath> = self.roots[key].empty_dirs.iter().filter(kept).cloned().collect();
        root.empty_dirs.extend(kept);
        root.empty_dirs.sort_unstable();
        let jobs = self.replace(key, root, &unseen, scan.gone);
        (jobs, self.roots[key].generation != before)
    }

    /// The files of a root that could not be read, to be tried again.
    pub(super) fn failed(&self, key: RootKey) -> Vec<Job> {
        let failed = self.rows_of(key).filter(|(_, row)| matches!(row.state, State::Failed));
        let job = |(name, row): (&SafePath, &Row)| Job {
            name: name.clone(),
            path: row.path.clone(),
            stamp: row.stamp,
            root: key,
        };
        failed.map(job).collect()
    }

    /// What is neither found nor `unseen` is there no more.
    fn replace(&mut self, key: RootKey, scanned: ScannedRoot, unseen: &HashSet<&str>, gone: bool) -> Vec<Job> {
        let removed: Vec<SafePath> = self
            .rows_of(key)
            .filter(|(name, _)| scanned.files.binary_search_by(|f| f.name.cmp(name)).is_err())
            .filter(|(name, _)| !is_unseen(unseen, name))
            .map(|(name, _)| name.clone())
            .collect();
        let mut changed = !removed.is_empty() || *self.roots[key].empty_dirs != scanned.empty_dirs[..];
        for name in removed {
            Arc::make_mut(&mut self.rows).remove(&name);
            self.drop_offer(&name);
        }
        let (mut jobs, mut rows) = (Vec::new(), Vec::new());
        for file in scanned.files {
            let fresh = match self.compare(key, &file) {
                Found::Known => continue,
                Found::Doubtful => false,
                Found::New => true,
            };
            let ScannedFile { name, path, stamp } = file;
            let job = Job { name, path: path.into(), stamp, root: key };
            if fresh {
                let row = Row { root: key, path: job.path.clone(), stamp, state: State::Pending };
                rows.push((job.name.clone(), row));
            }
            jobs.push(job);
        }
        changed |= !rows.is_empty();
        self.put_rows(rows);
        changed |= self.roots[key].gone != gone;
        if changed || self.roots[key].generation == 0 {
            let root = &mut self.roots[key];
            (root.empty_dirs, root.gone) = (scanned.empty_dirs.into(), gone);
            self.renew(key);
        }
        jobs
    }

    fn compare(&self, key: RootKey, file: &ScannedFile) -> Found {
        match self.rows.get(&file.name) {
            // A name that another root has stays with it.
            Some(row) if row.root != key => Found::Known,
            Some(row) if row.stamp == file.stamp && *row.path == *file.path => match &row.state {
                State::Hashed(hashed) if !hashed.settled => Found::Doubtful,
                State::Stale => Found::New,
                _ => Found::Known,
            },
            _ => Found::New,
        }
    }

    /// Takes found files that have to be hashed, in the order of their names.
    fn put_rows(&mut self, rows: Vec<(SafePath, Row)>) {
        if rows.is_empty() {
            return;
        }
        let offer = |name: &SafePath, row: &Row| {
            (name.clone(), Offer { executable: row.stamp.executable, ..unhashed(name.clone(), row.stamp.size) })
        };
        // Of what is shared as one known content nothing is offered before it was found to be that.
        let fixed = |(_, row): &&(SafePath, Row)| self.roots[row.root].root.fixed.is_some();
        let (unknown, plain): (Vec<_>, Vec<_>) = rows.iter().partition(fixed);
        unknown.into_iter().for_each(|(name, _)| self.drop_offer(name));
        let offers: Vec<_> = plain.into_iter().map(|(name, row)| offer(name, row)).collect();
        offers.iter().for_each(|(name, _)| self.put_name(name));
        put_all(Arc::make_mut(&mut self.rows), rows);
        put_all(&mut Arc::make_mut(&mut self.book).offers, offers);
    }

    /// Takes a hashed file; its root when that gave it an id, or another one.
    pub(super) fn hashed(&mut self, name: &SafePath, file: Arc<HashedFile>) -> Option<RootKey> {
        // A look-up is some twenty comparisons of long names: one for each map.
        let row = Arc::make_mut(&mut self.rows).get_mut(name)?;
        if row.stamp != file.stamp || *row.path != *file.path {
            return None;
        }
        let (root, id, size, executable) = (row.root, file.id, file.stamp.size, file.stamp.executable);
        let before = match &row.state {
            State::Failed => {
                row.state = State::Hashed(file);
                self.put_offer(Offer { id: Some(id), executable, ..unhashed(name.clone(), size) });
                self.renew(root);
                return Some(root);
            }
            State::Hashed(before) => Some(before.id),
            State::Pending | State::Stale => None,
        };
        row.state = State::Hashed(file);
        if before == Some(id) {
            return None;
        }
        match Arc::make_mut(&mut self.book).offers.get_mut(name) {
            Some(offer) => offer.id = Some(id),
            None => self.put_offer(Offer { id: Some(id), executable, ..unhashed(name.clone(), size) }),
        }
        if before.is_some() {
            self.renew(root);
        } else {
            let count = &mut self.roots[root].count;
            count.missing = count.missing.saturating_sub(1);
            count.missing_bytes = count.missing_bytes.saturating_sub(size);
        }
        Some(root)
    }

    /// Takes that a file cannot be read, or has changed while it was hashed. Whether that was still of interest.
    pub(super) fn not_hashed(&mut self, job: &Job, state: State) -> bool {
        let current = |row: &&Row| row.stamp == job.stamp && matches!(row.state, State::Pending);
        if self.rows.get(&job.name).filter(current).is_none() {
            return false;
        }
        let failed = matches!(state, State::Failed);
        if let Some(row) = Arc::make_mut(&mut self.rows).get_mut(&job.name) {
            row.state = state;
        }
        if failed {
            self.drop_offer(&job.name);
            self.renew(job.root);
        }
        true
    }

    /// Takes a collection made of a root's files; whether they are still the same.
    pub(super) fn collected(&mut self, key: RootKey, generation: u64, made: Arc<SharedCollection>) -> bool {
        let root = &mut self.roots[key];
        if root.generation != generation {
            return false;
        }
        root.collecting = false;
        root.collection = Some(made);
        self.offer_collection(key);
        true
    }

    /// The directories whose collection can be made now; each once per generation.
    pub(super) fn collectable(&mut self) -> Vec<RootKey> {
        let mut ready = Vec::new();
        for (key, root) in self.roots.iter_mut().enumerate() {
            let whole = root.root.kind == Kind::Collection && !root.gone && root.count.missing == 0;
            let complete = root.root.fixed.as_ref().is_none_or(|fixed| fixed.files() == root.count.files);
            if whole && complete && root.collection.is_none() && !root.collecting {
                root.collecting = true;
                ready.push(key);
            }
        }
        ready
    }

    /// What the world may see of it, at this moment.
    pub(super) fn snapshot(&self) -> IndexSnapshot {
        let collections = self.roots.iter().filter_map(|r| Some((r.collection.as_ref()?.id(), r.collection.clone()?)));
        IndexSnapshot::new(self.book.clone(), self.rows.clone(), self.names.clone(), collections.collect())
    }

    fn rows_of(&self, key: RootKey) -> Box<dyn Iterator<Item = (&SafePath, &Row)> + '_> {
        let root = &self.roots[key].root;
        match root.kind {
            Kind::Collection => Box::new(self.rows.iter().filter(move |(_, row)| row.root == key)),
            Kind::File => Box::new(self.rows.get_key_value(&root.name).into_iter()),
        }
    }

    /// After a change of a root's files: counts again; an older collection is no longer what is there.
    fn renew(&mut self, key: RootKey) {
        let mut count = Count::default();
        for (_, row) in self.rows_of(key).filter(|(_, row)| !matches!(row.state, State::Failed)) {
            count.files = count.files.saturating_add(1);
            count.bytes = count.bytes.saturating_add(row.stamp.size);
            if !matches!(row.state, State::Hashed(_)) {
                count.missing += 1;
                count.missing_bytes = count.missing_bytes.saturating_add(row.stamp.size);
            }
        }
        let root = &mut self.roots[key];
        root.count = count;
        root.generation += 1;
        (root.collection, root.collecting) = (None, false);
        self.offer_collection(key);
    }

    fn offer_collection(&mut self, key: RootKey) {
        let RootRow { root, count, collection, gone, .. } = &self.roots[key];
        let incomplete = root.fixed.is_some() && collection.is_none();
        if root.kind == Kind::File {
            return;
        }
        let name = root.name.clone();
        if *gone || incomplete {
            return self.drop_offer(&name);
        }
        let id = collection.as_ref().map(|c| c.id());
        let (kind, size, files) = (Kind::Collection, count.bytes, count.files);
        self.put_offer(Offer { name, size, id, kind, files, locked: false, executable: false });
    }

    fn put_offer(&mut self, offer: Offer) {
        self.put_name(&offer.name);
        Arc::make_mut(&mut self.book).offers.insert(offer.name.clone(), offer);
    }

    fn put_name(&mut self, name: &SafePath) {
        if let Entry::Vacant(place) = self.keys.entry(name.clone()) {
            // Full only at 4 GiB of names: then the offer is found by its id and in lists.
            if let Some(key) = Arc::make_mut(&mut self.names).insert(name) {
                place.insert(key);
            }
        }
    }

    fn drop_offer(&mut self, name: &SafePath) {
        Arc::make_mut(&mut self.book).offers.remove(name);
        if let Some(key) = self.keys.remove(name) {
            Arc::make_mut(&mut self.names).remove(key);
        }
    }
}

/// Whether a name is one of those, or beneath one.
fn is_unseen(unseen: &HashSet<&str>, name: &SafePath) -> bool {
    let name = name.as_str();
    let above = || name.match_indices('/').any(|(end, _)| unseen.contains(&name[..end]));
    !unseen.is_empty() && (unseen.contains(name) || above())
}

/// The offer of a file without its id.
const fn unhashed(name: SafePath, size: u64) -> Offer {
    Offer { name, size, id: None, kind: Kind::File, files: 1, locked: false, executable: false }
}

/// Puts sorted entries into a map: one by one where they are few, else by merging, which compares each name once.
fn put_all<V>(map: &mut BTreeMap<SafePath, V>, sorted: Vec<(SafePath, V)>) {
    if sorted.len() < map.len() / 8 {
        map.extend(sorted);
    } else {
        map.append(&mut sorted.into_iter().collect());
    }
}
