//! The queue of files that wait for their id, and the pools that hash them.
//! Invariant: a queued file is in exactly one lane; each lane has a bounded number of batches under way.
//! What somebody waits for goes through a pool of its own, so that no large file is in its way.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::io::cache::HashCache;
use crate::io::cpu::give_way;
use crate::io::hash::{HashError, Hashed, hash_file, let_settle};
use crate::io::shared_source::{HashedFile, ListPlace};
use crate::io::stamp::FileStamp;
use crate::io::watch::RootKey;
use crate::model::SafePath;

/// Files up to this size are hashed many at a time: about a millisecond's work each.
const SMALL: u64 = 1 << 20;
/// The most files in a batch,
const BATCH_FILES: usize = 512;
/// and the most bytes: together some 50 ms of work, so that ids appear while hashing goes on.
const BATCH_BYTES: u64 = 64 << 20;

/// A file that waits for its id.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) name: SafePath,
    pub(super) path: Arc<Path>,
    pub(super) stamp: FileStamp,
    pub(super) root: RootKey,
}

/// Which way a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Large,
    Small,
    Urgent,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Outcome {
    Cancelled,
    /// It is no longer what was queued.
    Changed,
    /// This user may not read it; the system's words.
    Denied(String),
    Done(Arc<HashedFile>),
    /// It cannot be read, for this reason.
    Failed(String),
    /// It could not be read for something that this process or the system lacks, and that says nothing about the file.
    Lacking(String),
}

/// Files that were hashed together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lane: Lane,
    pub(super) results: Vec<(Job, Outcome)>,
    /// The cache could not be written.
    pub(super) warning: Option<String>,
}

/// The hashing of one index. Dropping it cancels what is under way.
#[derive(Debug)]
pub(super) struct Hashing {
    background: ThreadPool,
    urgent: ThreadPool,
    cache: Option<HashCache>,
    lanes: [VecDeque<Job>; 3],
    under_way: [usize; 3],
    /// Bytes done of the files being hashed one by one.
    running: HashMap<SafePath, Arc<AtomicU64>>,
    cancel: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    total: u64,
}

impl Hashing {
    pub(super) fn new(threads: usize, cache: Option<HashCache>) -> Result<Self, ThreadPoolBuildError> {
        let pool = |name: &'static str| {
            ThreadPoolBuilder::new().num_threads(threads).thread_name(move |i| format!("{name} {i}"))
        };
        Ok(Self {
            background: pool("hash").start_handler(|_| give_way()).build()?,
            urgent: pool("hash first").build()?,
            cache,
            lanes: Default::default(),
            under_way: [0; 3],
            running: HashMap::new(),
            cancel: Arc::default(),
            done: Arc::default(),
            total: 0,
        })
    }

    /// Queues files in their order.
    pub(super) fn push(&mut self, jobs: Vec<Job>) {
        if self.is_idle() {
            self.done.store(0, Ordering::Relaxed);
            self.total = 0;
        }
        for job in jobs {
            self.total = self.total.saturating_add(job.stamp.size);
            let lane = if job.stamp.size > SMALL { Lane::Large } else { Lane::Small };
            self.lanes[lane as usize].push_back(job);
        }
    }

    /// Moves the waiting files that are asked for to the front.
    pub(super) fn hurry(&mut self, asked: impl Fn(&Job) -> bool) {
        for lane in [Lane::Large, Lane::Small] {
            let (first, rest) = std::mem::take(&mut self.lanes[lane as usize]).into_iter().partition(&asked);
            self.lanes[lane as usize] = rest;
            let first: VecDeque<Job> = first;
            self.lanes[Lane::Urgent as usize].extend(first);
        }
    }

    /// Starts as many batches as may be under way; each calls `finished` on a hashing thread.
    pub(super) fn start(&mut self, finished: impl Fn(Batch) + Clone + Send + 'static) {
        for (lane, most) in [(Lane::Urgent, 2), (Lane::Large, 1), (Lane::Small, 2)] {
            while self.under_way[lane as usize] < most {
                let jobs = self.batch(lane);
                if jobs.is_empty() {
                    break;
                }
                self.under_way[lane as usize] += 1;
                let work = self.work(jobs);
                let pool = if lane == Lane::Urgent { &self.urgent } else { &self.background };
                let finished = finished.clone();
                pool.spawn(move || finished(work.run(lane)));
            }
        }
    }

    /// A batch has come back.
    pub(super) fn finished(&mut self, batch: &Batch) {
        let count = &mut self.under_way[batch.lane as usize];
        *count = count.saturating_sub(1);
        for (job, _) in &batch.results {
            self.running.remove(&job.name);
        }
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == [0; 3] && self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Bytes done, of all that were queued since it was last idle.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed).min(self.total), self.total)
    }

    /// Bytes done of those files that are being hashed and are asked for.
    pub(super) fn running(&self, asked: impl Fn(&SafePath) -> bool) -> u64 {
        let asked = self.running.iter().filter(|(name, _)| asked(name));
        asked.map(|(_, done)| done.load(Ordering::Relaxed)).sum()
    }

    fn batch(&mut self, lane: Lane) -> Vec<Job> {
        let queue = &mut self.lanes[lane as usize];
        let (mut jobs, mut bytes) = (Vec::new(), 0_u64);
        while let Some(job) = queue.front() {
            bytes = bytes.saturating_add(job.stamp.size);
            let fits = jobs.len() < BATCH_FILES && bytes <= BATCH_BYTES && lane != Lane::Large;
            if !jobs.is_empty() && !fits {
                break;
            }
            jobs.extend(queue.pop_front());
        }
        jobs
    }

    fn work(&mut self, jobs: Vec<Job>) -> Work {
        let jobs = jobs
            .into_iter()
            .map(|job| {
                let done = (job.stamp.size > SMALL).then(Arc::<AtomicU64>::default);
                if let Some(done) = &done {
                    self.running.insert(job.name.clone(), done.clone());
                }
                (job, done)
            })
            .collect();
        Work { jobs, cache: self.cache.clone(), cancel: self.cancel.clone(), done: self.done.clone() }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// A batch as it goes to a pool.
struct Work {
    jobs: Vec<(Job, Option<Arc<AtomicU64>>)>,
    cache: Option<HashCache>,
    cancel: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Work {
    fn run(self, lane: Lane) -> Batch {
        let hashed: Vec<_> = self.jobs.par_iter().map(|(job, done)| self.hash(job, done.as_deref())).collect();
        let (cached, warning) = self.remember(&hashed);
        let outcomes = hashed.into_iter().zip(&self.jobs).map(|(result, (job, _))| match result {
            Ok(hashed) => Outcome::Done(Arc::new(placed(job, hashed, cached.as_ref()))),
            Err(HashError::Cancelled) => Outcome::Cancelled,
            Err(error) if error.is_passing() => Outcome::Lacking(error.to_string()),
            Err(HashError::Io(e)) if e.kind() == std::io::ErrorKind::PermissionDenied => Outcome::Denied(e.to_string()),
            Err(HashError::Io(e)) if is_gone(job) => {
                tracing::debug!("{} went while it was to be hashed: {e}", job.path.display());
                Outcome::Changed
            }
            Err(HashError::Changed) => Outcome::Changed,
            Err(error @ (HashError::Io(_) | HashError::TooLarge)) => Outcome::Failed(error.to_string()),
        });
        let outcomes: Vec<Outcome> = outcomes.collect();
        let results = self.jobs.into_iter().map(|(job, _)| job).zip(outcomes).collect();
        Batch { lane, results, warning }
    }

    fn hash(&self, job: &Job, own: Option<&AtomicU64>) -> Result<Hashed, HashError> {
        let counted = AtomicU64::new(0);
        let progress = |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            self.done.fetch_add(bytes, Ordering::Relaxed);
            if let Some(own) = own {
                own.fetch_add(bytes, Ordering::Relaxed);
            }
        };
        // Else it would be hashed again at the next start.
        let_settle(&job.stamp);
        let result = hash_file(&job.path, &job.stamp, &progress, &self.cancel);
        // What was not read of a file that failed is done too, or the whole would never be.
        self.done.fetch_add(job.stamp.size.saturating_sub(counted.into_inner()), Ordering::Relaxed);
        result
    }

    /// Stores what was hashed, before anybody relies on finding its list there.
    fn remember(&self, hashed: &[Result<Hashed, HashError>]) -> (Option<HashCache>, Option<String>) {
        let Some(cache) = &self.cache else { return (None, None) };
        let good: Vec<&Hashed> = hashed.iter().filter_map(|r| r.as_ref().ok()).collect();
        match cache.store(&good) {
            Ok(()) => (Some(cache.clone()), None),
            Err(error) => (None, Some(error.to_string())),
        }
    }
}

fn placed(job: &Job, hashed: Hashed, cache: Option<&HashCache>) -> HashedFile {
    let list = match (hashed.list, cache) {
        (None, _) => ListPlace::NotNeeded,
        (Some(_), Some(cache)) if hashed.settled && FileStamp::identifies() => ListPlace::Cache(cache.clone()),
        (Some(list), _) => ListPlace::Memory(Arc::new(list)),
    };
    HashedFile { path: job.path.clone(), stamp: hashed.stamp, id: hashed.id, list, settled: hashed.settled }
}

/// Whether what was queued is not at its path any more.
fn is_gone(job: &Job) -> bool {
    std::fs::symlink_metadata(&job.path).map_or(true, |meta| FileStamp::of(&meta) != job.stamp)
}
