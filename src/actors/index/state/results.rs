//! What comes back about files: ids that were known, ids that were hashed, collections made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{IndexState, Step};
use crate::actors::index::catalogue::{Taken, Unhashed};
use crate::actors::index::collect::{NoTree, Parts};
use crate::actors::index::hashing::{Batch, HashJob, Outcome};
use crate::actors::index::lookup::{LookedUp, look_up};
use crate::actors::index::{IndexEvent, IndexNotice};
use crate::io::share::shared_source::{HashedFile, SharedCollection};
use crate::io::share::watch::RootKey;
use crate::logic::publication::Input;
use crate::model::{Cause, ContentId, Kind, SafePath};

/// File states beyond which the cache forgets what is not shared now: about 100 MB.
const CACHE_LIMIT: u64 = 1_000_000;

impl IndexState {
    pub(super) fn look_up(&mut self, jobs: Vec<HashJob>) {
        match self.cache.clone() {
            _ if jobs.is_empty() => (),
            None => self.hashing.push(jobs),
            Some(cache) => {
                self.tell(Input::TaskBegun);
                let handover = self.handover.clone();
                self.spawn(move || Step::LookedUp(look_up(&cache, handover.as_ref(), jobs)));
            }
        }
    }

    pub(super) fn looked_up(&mut self, looked_up: LookedUp) {
        self.tell(Input::TaskEnded);
        self.hashing.push(looked_up.unknown);
        for (name, file) in looked_up.found {
            self.take_hashed(&name, file);
        }
        if let Some(error) = looked_up.uncached {
            self.outbox.warn(IndexNotice::Cache(error));
        }
        if !looked_up.arrived.is_empty() {
            self.arrived(&looked_up.arrived);
        }
    }

    pub(super) fn hashed(&mut self, mut batch: Batch) {
        let (waiters, roots) = (&self.waiters, &self.catalogue.roots);
        let asked = |job: &HashJob| waiters.any(|name| job.name == *name || roots[job.root].root.name == *name);
        self.hashing.finished(&mut batch, |job| !roots[job.root].withdrawn, asked);
        self.tell(Input::Hashed);
        if let Some(error) = batch.uncached {
            self.outbox.warn(IndexNotice::Cache(error));
        }
        let now = Instant::now();
        for (job, outcome) in batch.results {
            match outcome {
                Outcome::Cancelled => (),
                Outcome::Changed => self.take_changed(&job),
                Outcome::Done(file) => self.take_hashed(&job.name, file),
                Outcome::Denied(cause) => self.cannot_read(&job, Unhashed::Denied, cause, now),
                Outcome::Failed(cause) => self.cannot_read(&job, Unhashed::Failed, cause, now),
                Outcome::Lacking(cause) => {
                    if self.catalogue.not_hashed(&job, Unhashed::Lacking, now) {
                        let root = &self.catalogue.roots[job.root].root;
                        let (name, kind) = (root.name.clone(), root.kind);
                        self.outbox.warn_of(&root.path, IndexNotice::Lacking { name, kind, cause });
                        self.tell(Input::Unreadable(job.root));
                    }
                }
            }
        }
    }

    fn cannot_read(&mut self, job: &HashJob, why: Unhashed, cause: Cause, now: Instant) {
        if self.catalogue.not_hashed(job, why, now) {
            self.outbox.warn_of(&job.path, IndexNotice::Unreadable { path: job.path.to_path_buf().into(), cause });
            self.tell(Input::Unreadable(job.root));
        }
    }

    /// Says which files keep changing: one notice a root, however many there are.
    pub(super) fn tell_unsettled(&mut self) {
        let mut roots: BTreeMap<RootKey, Vec<SafePath>> = BTreeMap::new();
        for (name, key) in self.catalogue.unsettled() {
            roots.entry(key).or_default().push(name);
        }
        for (key, names) in roots {
            let Some(row) = names.first().and_then(|name| self.catalogue.rows.get(name)) else { continue };
            let (path, root) = (row.path.to_path_buf().into(), &self.catalogue.roots[key].root);
            let root = (root.kind == Kind::Collection).then(|| root.name.clone());
            self.outbox.warn(IndexNotice::Unsettled { path, more: names.len() - 1, root });
            self.tell(Input::Changed);
            self.look_for_rest(key);
        }
    }

    /// Has a root looked at again in a while if something in it keeps changing: when it has settled, nothing tells.
    pub(super) fn look_for_rest(&mut self, key: RootKey) {
        if self.catalogue.is_restless(key) {
            self.tell(Input::Restless(key));
        }
    }

    pub(super) fn take_hashed(&mut self, name: &SafePath, file: Arc<HashedFile>) {
        if self.catalogue.refuse(name, &file, Instant::now()) {
            self.tell(Input::Changed);
            if let Some(key) = self.catalogue.rows.get(name).map(|row| row.root) {
                self.tell_broken(key);
            }
            return;
        }
        let id = file.id;
        self.outbox.over(&file.path);
        let taken = self.catalogue.hashed(name, file, Instant::now());
        // What is the same is served without doubt from now on.
        if taken != Taken::Late {
            self.tell(Input::Changed);
        }
        let Taken::New(key) = taken else { return };
        if self.catalogue.roots[key].root.kind == Kind::File {
            self.identify(key, id);
        }
    }

    /// A root has its id, which is told once it is published; of what has no name for anybody nothing is told.
    fn identify(&mut self, key: RootKey, id: ContentId) {
        let row = &self.catalogue.roots[key];
        if !row.audience.is_hidden() {
            self.identified.push(IndexEvent::Offer { id, name: row.root.name.clone() });
        }
    }

    /// The watch will tell, but perhaps it did so before the file was queued: the root is looked at once more.
    fn take_changed(&mut self, job: &HashJob) {
        if self.catalogue.not_hashed(job, Unhashed::Changed, Instant::now()) {
            self.tell(Input::Restless(job.root));
        }
    }

    pub(super) fn collect(&mut self, key: RootKey) {
        let root = &self.catalogue.roots[key];
        let parts = Parts {
            key,
            name: root.root.name.clone(),
            rows: self.catalogue.rows.clone(),
            count: root.count.files as usize,
            empty_dirs: root.empty_dirs.clone(),
            fixed: root.root.fixed.clone(),
        };
        let generation = root.generation;
        self.tell(Input::TaskBegun);
        self.spawn(move || Step::Collected { key, generation, made: parts.collect() });
    }

    pub(super) fn collected(&mut self, key: RootKey, generation: u64, made: Result<Arc<SharedCollection>, NoTree>) {
        self.tell(Input::TaskEnded);
        match made {
            Ok(made) => {
                let id = made.id();
                let before = self.catalogue.roots[key].collection.as_ref().map(|tree| tree.id());
                if self.catalogue.collected(key, generation, made) {
                    self.tell(Input::Changed);
                    if before == Some(id) {
                        return;
                    }
                    self.identify(key, id);
                }
            }
            Err(cause) => {
                let name = self.catalogue.roots[key].root.name.clone();
                self.outbox.warn(IndexNotice::NoTree { name, cause });
            }
        }
    }

    /// All is hashed: says so, and makes the cache durable.
    pub(super) fn report_end(&mut self) {
        let (_, total) = self.hashing.progress();
        self.outbox.push(IndexEvent::Hashing { done: total, total });
        if let Some(cache) = self.cache.clone() {
            let rows = self.catalogue.rows.clone();
            spawn_blocking(move || {
                // What is served as what it was is proven by the list of that.
                let was = rows.values().filter_map(|row| row.offered().or_else(|| row.former()));
                let keep: Vec<_> = rows.values().map(|row| row.stamp).chain(was.map(|file| file.stamp)).collect();
                if let Err(error) = cache.prune(&keep, CACHE_LIMIT).and_then(|()| cache.flush()) {
                    tracing::warn!("{error}");
                }
            });
        }
    }
}
