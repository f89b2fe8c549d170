//! What comes back about files: ids that were known, ids that were hashed, collections made of them.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{IndexState, Step};
use crate::actors::index::catalogue::State;
use crate::actors::index::collect::Parts;
use crate::actors::index::hashing::{Batch, Job, Outcome};
use crate::actors::index::lookup::{LookedUp, look_up};
use crate::actors::index::{IndexEvent, IndexMessage, OwnStep};
use crate::io::shared_source::{HashedFile, SharedCollection};
use crate::io::watch::RootKey;
use crate::model::{Kind, SafePath};

/// File states beyond which the cache forgets what is not shared now: about 100 MB.
const CACHE_LIMIT: u64 = 1_000_000;

impl IndexState {
    pub(super) fn look_up(&mut self, jobs: Vec<Job>) {
        match self.cache.clone() {
            _ if jobs.is_empty() => (),
            None => self.hashing.push(jobs),
            Some(cache) => {
                self.tasks += 1;
                self.spawn(move || Step::LookedUp(look_up(&cache, jobs)));
            }
        }
    }

    pub(super) fn looked_up(&mut self, looked_up: LookedUp) {
        self.tasks -= 1;
        self.hashing.push(looked_up.unknown);
        for (name, file) in looked_up.found {
            self.take_hashed(&name, file);
        }
        if let Some(warning) = looked_up.warning {
            self.outbox.warn(warning);
        }
    }

    pub(super) fn hashed(&mut self, batch: Batch) {
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

    pub(super) fn collect(&mut self, key: RootKey) {
        let root = &self.catalogue.roots[key];
        let parts = Parts {
            key,
            name: root.root.name.clone(),
            rows: self.catalogue.rows.clone(),
            empty_dirs: root.empty_dirs.clone(),
        };
        let generation = root.generation;
        self.tasks += 1;
        self.spawn(move || Step::Collected { key, generation, made: parts.collect() });
    }

    pub(super) fn collected(&mut self, key: RootKey, generation: u64, made: Result<Arc<SharedCollection>, String>) {
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

    /// Once all is hashed: says so, and makes the cache durable.
    pub(super) fn report_end(&mut self) {
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
}
