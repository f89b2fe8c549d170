//! What was fetched and goes on being shared: how it enters the index, which from then on treats it as any other root.
//! Invariant: whoever waits is told once, when it is published, or when nothing more is on its way and it is not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use itertools::{Either, Itertools as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::IndexState;
use crate::actors::index::hashing::{HashJob, placed};
use crate::actors::limits::throttle::Throttle;
use crate::io::share::hash::Hashed;
use crate::io::share::scan::Fixed;
use crate::io::share::shared_source::HashedFile;
use crate::io::share::stamp::FileStamp;
use crate::io::share::watch::RootKey;
use crate::logic::publication::Input;
use crate::model::{Audience, ContentId, Rate, SafePath};

/// A content that was fetched, at its final place.
#[derive(Debug)]
pub struct Seed {
    /// What it is offered under, if that is free.
    pub name: SafePath,
    /// Where it is, without links.
    pub path: PathBuf,
    /// What it is.
    pub fixed: Arc<Fixed>,
    /// For whom it is.
    pub audience: Audience,
    /// What is known of its files, so that they need not be read; settled.
    pub proofs: Vec<Hashed>,
    /// The most bytes a second that are sent of it.
    pub limit: Option<Rate>,
}

/// Contents that have not been looked at yet, and those who wait for them.
#[derive(Debug, Default)]
pub(super) struct Seeds {
    proofs: HashMap<RootKey, Vec<Hashed>>,
    waiting: Vec<(ContentId, u64, oneshot::Sender<bool>)>,
}

impl Seeds {
    /// What is known of the files of roots that have just been looked at.
    pub(super) fn take(&mut self, keys: impl Iterator<Item = RootKey>) -> Proofs {
        if self.proofs.is_empty() {
            return Proofs::default();
        }
        let all = keys.filter_map(|key| self.proofs.remove(&key)).flatten();
        Proofs(all.map(|hashed| (hashed.stamp, hashed)).collect())
    }
}

/// Known files by their state.
#[derive(Debug, Default)]
pub(super) struct Proofs(HashMap<FileStamp, Hashed>);

impl Proofs {
    /// Divides what was found into what is known and what is not.
    pub(super) fn divide(&self, jobs: Vec<HashJob>) -> (Vec<(SafePath, Arc<HashedFile>)>, Vec<HashJob>) {
        jobs.into_iter().partition_map(|job| match self.0.get(&job.stamp) {
            Some(hashed) => Either::Left((job.name, Arc::new(placed(job.path, hashed.clone(), None)))),
            None => Either::Right(job),
        })
    }
}

impl IndexState {
    /// Goes on sharing what was fetched.
    pub(in crate::actors::index) fn seed(&mut self, seed: Seed, reply: oneshot::Sender<bool>) {
        let Seed { name, path, fixed, audience, proofs, limit } = seed;
        let (id, size) = (fixed.id, fixed.size);
        let Some((key, new)) = self.catalogue.seed(&name, &path, fixed, Instant::now()) else {
            // Whoever waits may have gone.
            let _ = reply.send(false);
            return;
        };
        self.seeds.proofs.insert(key, proofs);
        self.seeds.waiting.push((id, size, reply));
        if new {
            self.catalogue.roots[key].audience = audience;
            self.catalogue.roots[key].throttle = limit.map(|limit| Throttle::new(Some(limit)));
            self.tell(Input::New(key));
        }
        self.look(vec![key]);
    }

    /// Looks at the roots in or around which a transfer has just put something.
    pub(in crate::actors::index) fn arrived(&mut self, paths: &[PathBuf]) {
        let near = |root: &Path| paths.iter().any(|path| path.starts_with(root) || root.starts_with(path));
        let roots = self.catalogue.roots.iter().enumerate();
        let keys: Vec<RootKey> =
            roots.filter(|(_, row)| !row.withdrawn && near(&row.root.path)).map(|(key, _)| key).collect();
        if keys.is_empty() {
            // Roots are kept as they were named: one may lead there over a link.
            return self.look_everywhere();
        }
        self.look(keys);
    }

    /// Tells those who wait for a content that it can be had, or that it will not be.
    pub(super) fn tell_seeders(&mut self) {
        if self.seeds.waiting.is_empty() {
            return;
        }
        let (settled, now) = (self.is_settled(), self.snapshot.borrow().clone());
        let there = |id, size| now.source(id, size).is_some();
        for (id, size, reply) in self.seeds.waiting.extract_if(.., |(id, size, _)| settled || there(*id, *size)) {
            // Whoever waits may have gone.
            let _ = reply.send(there(id, size));
        }
    }
}
