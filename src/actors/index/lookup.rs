//! Which files the hash cache knows, so that they need not be read.

use std::path::PathBuf;
use std::sync::Arc;

use itertools::{Either, Itertools as _};

use crate::actors::index::hashing::HashJob;
use crate::io::share::cache::{CacheError, HashCache};
use crate::io::share::handover::Handover;
use crate::io::share::shared_source::{HashedFile, ListPlace};
use crate::model::{Layout, SafePath};

/// What the cache knew.
#[derive(Debug, Default)]
pub(super) struct LookedUp {
    pub(super) found: Vec<(SafePath, Arc<HashedFile>)>,
    pub(super) unknown: Vec<HashJob>,
    /// Why nothing could be looked up.
    pub(super) uncached: Option<CacheError>,
    /// Where transfers have put something meanwhile.
    pub(super) arrived: Vec<PathBuf>,
}

/// Asks for all files at once, after what transfers of this home have handed over was taken into the cache. Blocks on both.
pub(super) fn look_up(cache: &HashCache, handover: Option<&Handover>, jobs: Vec<HashJob>) -> LookedUp {
    let arrived = handover.map(|handover| handover.take(cache)).unwrap_or_default();
    let stamps: Vec<_> = jobs.iter().map(|job| job.stamp).collect();
    let ids = match cache.lookup_many(&stamps) {
        Ok(ids) => ids,
        Err(error) => {
            return LookedUp { unknown: jobs, uncached: Some(error), arrived, ..LookedUp::default() };
        }
    };
    let (found, unknown) = jobs.into_iter().zip(ids).partition_map(|(job, id)| {
        let Some(id) = id else { return Either::Right(job) };
        let needs_list = Layout::of(job.stamp.size).is_some_and(|layout| layout.needs_list());
        let list = if needs_list { ListPlace::Cache(cache.clone()) } else { ListPlace::NotNeeded };
        Either::Left((job.name, Arc::new(HashedFile { path: job.path, stamp: job.stamp, id, list, settled: true })))
    });
    LookedUp { found, unknown, uncached: None, arrived }
}
