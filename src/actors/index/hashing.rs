//! The queue of files that wait for their id, and the pools that hash them.
//! Invariant: a queued file is in exactly one lane; each lane has a bounded number of batches under way.
//! No file is in the way of all others, however large: each lane has a pool of its own, what somebody waits for has a lane of
//! its own, and within a lane large files take turns.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::time::Instant;

use crate::io::cpu::give_way;
use crate::io::share::cache::{CacheError, HashCache};
use crate::io::share::hash::{Begun, HashError, Hashed, Turn, Turns, hash_turn, let_settle};
use crate::io::share::shared_source::{HashedFile, ListPlace};
use crate::io::share::stamp::FileStamp;
use crate::io::share::watch::RootKey;
use crate::model::{Cause, Obstacle, SafePath};

/// Files up to this size are hashed many at a time: about a millisecond's work each.
const SMALL: u64 = 1 << 20;
/// The most files in a batch,
const BATCH_FILES: usize = 512;
/// and the most bytes: together some 50 ms of work, so that ids appear while hashing goes on.
const BATCH_BYTES: u64 = 64 << 20;

/// How long a large file is hashed while others of its lane wait: long enough to read ahead on any disk, short enough for
/// whoever waits for one of them.
const TURN: Duration = Duration::from_secs(1);

/// A file that waits for its id.
#[derive(Debug, Clone)]
pub(super) struct HashJob {
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
    /// This user may not read it.
    Denied(Cause),
    Done(Arc<HashedFile>),
    /// It cannot be read, for this reason.
    Failed(Cause),
    /// It could not be read for something that this process or the system lacks, and that says nothing about the file.
    Lacking(Cause),
}

/// Files that were hashed together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lane: Lane,
    pub(super) results: Vec<(HashJob, Outcome)>,
    /// Those whose turn was over, with how far they are.
    paused: Vec<Queued>,
    /// The cache could not be written.
    pub(super) uncached: Option<CacheError>,
}

/// A file in a lane.
#[derive(Debug)]
struct Queued {
    job: HashJob,
    /// What was hashed of it in earlier turns.
    begun: Option<Begun>,
    /// Bytes done of it, where it is hashed by itself.
    done: Option<Arc<AtomicU64>>,
}

/// The hashing of one index. Dropping it cancels what is under way.
#[derive(Debug)]
pub(super) struct Hashing {
    /// By lane.
    pools: [ThreadPool; 3],
    cache: Option<HashCache>,
    lanes: [VecDeque<Queued>; 3],
    /// Whether others of a lane wait for their turn.
    others: Arc<[AtomicBool; 3]>,
    under_way: [usize; 3],
    /// Something is being hashed that nobody wants any more: its turn is to end.
    unwanted: [bool; 3],
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
            pools: [
                pool("hash").start_handler(|_| give_way()).build()?,
                pool("hash small").start_handler(|_| give_way()).build()?,
                pool("hash first").build()?,
            ],
            cache,
            lanes: Default::default(),
            others: Arc::default(),
            under_way: [0; 3],
            unwanted: [false; 3],
            running: HashMap::new(),
            cancel: Arc::default(),
            done: Arc::default(),
            total: 0,
        })
    }

    /// Queues files in their order.
    pub(super) fn push(&mut self, jobs: Vec<HashJob>) {
        if self.is_idle() {
            self.done.store(0, Ordering::Relaxed);
            self.total = 0;
        }
        for job in jobs {
            self.total = self.total.saturating_add(job.stamp.size);
            let lane = if job.stamp.size > SMALL { Lane::Large } else { Lane::Small };
            let done = (lane == Lane::Large).then(Arc::default);
            self.lanes[lane as usize].push_back(Queued { job, begun: None, done });
        }
        self.tell_waiting();
    }

    /// Moves the waiting files that are asked for to the front.
    pub(super) fn hurry(&mut self, asked: impl Fn(&HashJob) -> bool) {
        for lane in [Lane::Large, Lane::Small] {
            let all = std::mem::take(&mut self.lanes[lane as usize]);
            let (first, rest): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|queued| asked(&queued.job));
            self.lanes[lane as usize] = rest;
            self.lanes[Lane::Urgent as usize].extend(first);
        }
        self.tell_waiting();
    }

    /// Forgets the files of a root. What is being hashed of it ends with its turn.
    pub(super) fn forget(&mut self, root: RootKey) {
        for lane in &mut self.lanes {
            let (gone, left): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(lane).into_iter().partition(|queued| queued.job.root == root);
            *lane = left;
            for Queued { job, .. } in gone {
                self.total = self.total.saturating_sub(job.stamp.size);
                self.running.remove(&job.name);
            }
        }
        self.unwanted = self.under_way.map(|batches| batches > 0);
        self.tell_waiting();
    }

    /// Says in which lanes a turn is not to be longer than one.
    fn tell_waiting(&self) {
        for (lane, others) in self.others.iter().enumerate() {
            let others_wait = !self.lanes[lane].is_empty() || self.under_way[lane] > 1;
            others.store(others_wait || self.unwanted[lane], Ordering::Relaxed);
        }
    }

    /// Starts as many batches as may be under way; each calls `finished` on a hashing thread.
    pub(super) fn start(&mut self, finished: impl Fn(Batch) + Clone + Send + 'static) {
        for (lane, most) in [(Lane::Urgent, 2), (Lane::Large, 1), (Lane::Small, 2)] {
            while self.under_way[lane as usize] < most {
                let files = self.batch(lane);
                if files.is_empty() {
                    break;
                }
                self.under_way[lane as usize] += 1;
                let work = self.work(files);
                let finished = finished.clone();
                self.pools[lane as usize].spawn(move || finished(work.run(lane)));
            }
        }
        self.tell_waiting();
    }

    /// A batch has come back. What is not done yet waits for its next turn if it is still `wanted`, with what is `asked` for
    /// if it is that by now.
    pub(super) fn finished(
        &mut self,
        batch: &mut Batch,
        wanted: impl Fn(&HashJob) -> bool,
        asked: impl Fn(&HashJob) -> bool,
    ) {
        let count = &mut self.under_way[batch.lane as usize];
        *count = count.saturating_sub(1);
        self.unwanted[batch.lane as usize] = false;
        for (job, _) in &batch.results {
            self.running.remove(&job.name);
        }
        for queued in batch.paused.drain(..) {
            if !wanted(&queued.job) {
                self.running.remove(&queued.job.name);
                self.total = self.total.saturating_sub(queued.job.stamp.size);
                continue;
            }
            let lane = if asked(&queued.job) { Lane::Urgent } else { batch.lane };
            self.lanes[lane as usize].push_back(queued);
        }
        self.tell_waiting();
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

    fn batch(&mut self, lane: Lane) -> Vec<Queued> {
        let queue = &mut self.lanes[lane as usize];
        let (mut files, mut bytes) = (Vec::new(), 0_u64);
        while let Some(Queued { job, .. }) = queue.front() {
            bytes = bytes.saturating_add(job.stamp.size);
            let fits = files.len() < BATCH_FILES && bytes <= BATCH_BYTES && lane != Lane::Large;
            if !files.is_empty() && !fits {
                break;
            }
            files.extend(queue.pop_front());
        }
        files
    }

    fn work(&mut self, files: Vec<Queued>) -> Work {
        let counted = files.iter().filter_map(|file| Some((file.job.name.clone(), file.done.clone()?)));
        self.running.extend(counted);
        let (cancel, done, others) = (self.cancel.clone(), self.done.clone(), self.others.clone());
        Work { files, cache: self.cache.clone(), cancel, done, others }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// A batch as it goes to a pool.
struct Work {
    files: Vec<Queued>,
    cache: Option<HashCache>,
    cancel: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    others: Arc<[AtomicBool; 3]>,
}

impl Work {
    fn run(mut self, lane: Lane) -> Batch {
        let files = std::mem::take(&mut self.files);
        let turns = files.into_par_iter().map(|mut file| {
            let turn = self.hash(&mut file, lane);
            (file, turn)
        });
        let (mut ended, mut paused) = (Vec::new(), Vec::new());
        for (file, turn) in turns.collect::<Vec<_>>() {
            match turn {
                Ok(Turn::Over(begun)) => paused.push(Queued { begun: Some(begun), ..file }),
                Ok(Turn::Done(hashed)) => ended.push((file.job, Ok(hashed))),
                Err(error) => ended.push((file.job, Err(error))),
            }
        }
        let (cached, uncached) = self.remember(ended.iter().filter_map(|(_, hashed)| hashed.as_ref().ok()));
        let results = ended.into_iter().map(|(job, hashed)| {
            let outcome = match hashed {
                Ok(hashed) => Outcome::Done(Arc::new(placed(job.path.clone(), hashed, cached.as_ref()))),
                Err(error) => unhashed(&job, error),
            };
            (job, outcome)
        });
        Batch { lane, results: results.collect(), paused, uncached }
    }

    fn hash(&self, file: &mut Queued, lane: Lane) -> Result<Turn, HashError> {
        let (job, own) = (&file.job, file.done.as_deref());
        let before = own.map_or(0, |own| own.load(Ordering::Relaxed));
        let counted = AtomicU64::new(before);
        let progress = |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            self.done.fetch_add(bytes, Ordering::Relaxed);
            if let Some(own) = own {
                own.fetch_add(bytes, Ordering::Relaxed);
            }
        };
        // Else it would be hashed again at the next start.
        let_settle(&job.stamp);
        let (began, others) = (Instant::now(), &self.others[lane as usize]);
        let over = || others.load(Ordering::Relaxed) && began.elapsed() >= TURN;
        let turns = Turns { progress: &progress, cancel: &self.cancel, over: &over };
        let result = hash_turn(&job.path, &job.stamp, file.begun.take(), &turns);
        if !matches!(result, Ok(Turn::Over(_))) {
            // What was not read of a file that failed is done too, or the whole would never be.
            self.done.fetch_add(job.stamp.size.saturating_sub(counted.into_inner()), Ordering::Relaxed);
        }
        result
    }

    /// Stores what was hashed, before anybody relies on finding its list there.
    fn remember<'h>(&self, hashed: impl Iterator<Item = &'h Hashed>) -> (Option<HashCache>, Option<CacheError>) {
        let Some(cache) = &self.cache else { return (None, None) };
        match cache.store(&hashed.collect::<Vec<_>>()) {
            Ok(()) => (Some(cache.clone()), None),
            Err(error) => (None, Some(error)),
        }
    }
}

/// A hashed file with its list at its place: in the cache, where it is stored there.
pub(super) fn placed(path: Arc<Path>, hashed: Hashed, cache: Option<&HashCache>) -> HashedFile {
    let list = match (hashed.list, cache) {
        (None, _) => ListPlace::NotNeeded,
        (Some(_), Some(cache)) if hashed.settled && FileStamp::identifies() => ListPlace::Cache(cache.clone()),
        (Some(list), _) => ListPlace::Memory(Arc::new(list)),
    };
    HashedFile { path, stamp: hashed.stamp, id: hashed.id, list, settled: hashed.settled }
}

/// What a failure says about the file.
fn unhashed(job: &HashJob, error: HashError) -> Outcome {
    match error {
        HashError::Cancelled => Outcome::Cancelled,
        error if error.is_passing() => Outcome::Lacking(cause(&error)),
        HashError::Io(ref e) if e.kind() == std::io::ErrorKind::PermissionDenied => Outcome::Denied(cause(&error)),
        HashError::Io(e) if is_gone(job) => {
            tracing::debug!("{} went while it was to be hashed: {e}", job.path.display());
            Outcome::Changed
        }
        HashError::Changed => Outcome::Changed,
        error @ (HashError::Io(_) | HashError::TooLarge) => Outcome::Failed(cause(&error)),
    }
}

/// The whole of the system's words: numbers help who asks others about them.
fn cause(error: &HashError) -> Cause {
    let kind = if let HashError::Io(error) = error { Obstacle::of(error) } else { Obstacle::FileSize };
    Cause { kind, text: error.to_string() }
}

/// Whether what was queued is not at its path any more.
fn is_gone(job: &HashJob) -> bool {
    std::fs::symlink_metadata(&job.path).map_or(true, |meta| FileStamp::of(&meta) != job.stamp)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn files_that_come_after_a_huge_one_are_hashed_beside_it_in_every_lane() {
        let dir = tempfile::tempdir().expect("a directory");
        let job = |name: &str, bytes: u64| {
            let path = dir.path().join(name);
            File::create(&path).and_then(|file| file.set_len(bytes)).expect("made");
            let stamp = FileStamp::of(&fs::metadata(&path).expect("there"));
            HashJob { name: SafePath::parse(name).expect("valid"), path: path.into(), stamp, root: 0 }
        };
        // Sparse: 4 TiB, which no machine hashes while this test runs.
        let huge = [job("huge", 4 << 40), job("huge too", 4 << 40)];
        let others = vec![job("middling", 3 << 20), job("asked for", 3 << 20), job("small", 4)];
        let mut hashing = Hashing::new(1, None).expect("threads");
        let (tell, told) = mpsc::channel();
        let finished = move |batch| drop(tell.send(batch));
        hashing.push(huge.into());
        hashing.hurry(|job| job.name.as_str() == "huge too");
        hashing.start(finished.clone());
        hashing.push(others);
        hashing.hurry(|job| job.name.as_str() == "asked for");
        let mut done = Vec::new();
        while done.len() < 3 {
            hashing.start(finished.clone());
            let mut batch: Batch = told.recv().expect("there is more");
            hashing.finished(&mut batch, |_| true, |_| false);
            let ended = |(job, outcome): &(HashJob, Outcome)| {
                assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                job.name.to_string()
            };
            done.extend(batch.results.iter().map(ended));
        }
        done.sort_unstable();
        assert_eq!(done, ["asked for", "middling", "small"]);
        assert!(hashing.running(|name| name.as_str() == "huge") > 0 && !hashing.is_idle());
        // What nobody wants any more ends with its turn, also while nothing else waits.
        hashing.forget(0);
        while !hashing.is_idle() {
            hashing.start(finished.clone());
            let mut batch: Batch = told.recv().expect("it ends");
            hashing.finished(&mut batch, |_| false, |_| false);
        }
        assert_eq!(hashing.running(|_| true), 0);
    }
}
