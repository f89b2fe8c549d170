//! What becomes of transfers that a node keeps for commands: which runs, which waits, which is tried again and when.
//! Invariant: at most [`RUNNING`] run at once, and none is begun before its earlier run has ended. Not responsible for the transfers
//! themselves, nor for where jobs are kept: [`Step`] says what is to be done.

mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use state::{JobOrder, JobState};

/// Jobs that run at a time; the others wait, the oldest first.
pub const RUNNING: usize = 8;
/// Jobs that are kept.
pub const MOST: usize = 1000;
/// Until a job that failed is tried again for the first time; twice as long each further time.
const FIRST: Duration = Duration::from_secs(5);
/// The longest time until it is tried again: so late may a provider that came back be noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// A job, by the number that people give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct JobId(u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for JobId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<JobId> for u32 {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl FromStr for JobId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// Why an order is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JobError {
    /// As many are kept as can be, and none of them is over.
    #[error("{MOST} transfers are kept here, and none of them is over")]
    Full,
    /// There is none of this number.
    #[error("there is no job {id}")]
    Unknown {
        /// Which.
        id: JobId,
    },
    /// It does not fit the job's state.
    #[error("job {id} is {}", .state.word())]
    State {
        /// Which.
        id: JobId,
        /// How it stands.
        state: JobState,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// It is there.
    Done,
    /// It could not be had.
    Failed {
        /// Whether time may change that.
        again: bool,
        /// Whether something came in this run.
        came: bool,
    },
    /// It was halted.
    Halted,
}

impl RunEnd {
    /// How a job stands after it that is not tried again.
    pub const fn state(self) -> JobState {
        match self {
            Self::Done => JobState::Ended,
            Self::Failed { .. } => JobState::Failed,
            Self::Halted => JobState::Cancelled,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begin its transfer.
    Begin(JobId),
    /// Forget it.
    Forget(JobId),
    /// End its transfer; [`Jobs::over`] is told when that is done.
    Halt(JobId),
    /// Keep how it stands.
    Keep(JobId),
}

#[derive(Debug, Clone)]
struct Job {
    state: JobState,
    /// Its transfer has not ended.
    runs: bool,
    /// A command follows it and is told its end: it is not kept.
    attached: bool,
    /// Runs that failed since something came.
    failures: u32,
    /// When it is tried again.
    due: Option<Duration>,
}

impl Job {
    const fn new(state: JobState, attached: bool) -> Self {
        Self { state, runs: false, attached, failures: 0, due: None }
    }
}

/// All jobs of a node. Times are those since it began.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: BTreeMap<JobId, Job>,
    last: u32,
    steps: Vec<Step>,
}

impl Jobs {
    /// How a job stands.
    pub fn state(&self, id: JobId) -> Option<JobState> {
        Some(self.jobs.get(&id)?.state)
    }

    /// Whether a command follows it.
    pub fn is_attached(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.attached)
    }

    /// How long it is until a job that could not be had is tried again.
    pub fn again(&self, id: JobId, now: Duration) -> Option<Duration> {
        Some(self.jobs.get(&id)?.due?.saturating_sub(now))
    }

    /// When something is to be done without being told anything.
    pub fn due(&self) -> Option<Duration> {
        self.jobs.values().filter_map(|job| job.due).min()
    }

    /// A job of an earlier run of the node: what ran then waits now.
    /// A number that is taken, and one too many, are left out.
    pub fn restore(&mut self, id: JobId, state: JobState, again: bool) -> bool {
        self.last = self.last.max(id.0);
        if self.jobs.len() >= MOST || self.jobs.contains_key(&id) {
            return false;
        }
        let state = if state == JobState::Running { JobState::Waiting } else { state };
        let due = (state == JobState::Failed && again).then_some(Duration::ZERO);
        self.jobs.insert(id, Job { due, ..Job::new(state, false) });
        true
    }

    /// No job has this number from now on.
    pub fn reserve(&mut self, id: JobId) {
        self.last = self.last.max(id.0);
    }

    /// A new job, and whether a command follows it.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add(&mut self, attached: bool) -> Result<JobId, JobError> {
        if self.jobs.len() >= MOST {
            let over = self.jobs.iter().find(|(_, job)| job.state.is_over() && !job.runs);
            let oldest = over.map(|(id, _)| *id).ok_or(JobError::Full)?;
            self.forget(oldest);
        }
        self.last += 1;
        let id = JobId(self.last);
        self.jobs.insert(id, Job::new(JobState::Waiting, attached));
        self.keep(id);
        Ok(id)
    }

    /// Does what its owner wants.
    ///
    /// # Errors
    /// When there is no such job, or this does not fit its state.
    pub fn order(&mut self, id: JobId, order: JobOrder) -> Result<(), JobError> {
        let job = self.jobs.get_mut(&id).ok_or(JobError::Unknown { id })?;
        let state = job.state;
        if order == JobOrder::Clear
            && matches!(state, JobState::Cancelled | JobState::Ended | JobState::Failed)
            && !job.runs
        {
            self.forget(id);
            return Ok(());
        }
        let sooner = (order == JobOrder::Retry && job.due.is_some()).then_some(JobState::Waiting);
        job.state = order.of(state).or(sooner).ok_or(JobError::State { id, state })?;
        (job.due, job.failures) = (None, 0);
        // Whoever follows it hears that it was interrupted.
        job.attached &= order == JobOrder::Cancel;
        if state == JobState::Running {
            self.steps.push(Step::Halt(id));
        }
        self.keep(id);
        Ok(())
    }

    /// Something else of it has changed.
    ///
    /// # Errors
    /// When there is no such job, or it is over.
    pub fn changed(&mut self, id: JobId) -> Result<(), JobError> {
        let state = self.state(id).ok_or(JobError::Unknown { id })?;
        if state.is_over() {
            return Err(JobError::State { id, state });
        }
        self.keep(id);
        Ok(())
    }

    /// The command that followed it has gone, and leaves it to the node: it waits for its turn, where enough others run.
    pub fn detach(&mut self, id: JobId) {
        let is_full = self.left() >= RUNNING;
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.attached) else { return };
        job.attached = false;
        if is_full && job.state == JobState::Running {
            job.state = JobState::Waiting;
            self.steps.push(Step::Halt(id));
        }
        self.keep(id);
    }

    /// Whether its transfer goes on for a moment yet though its owner wants it no longer: it may still come to its end.
    pub fn is_halting(&self, id: JobId) -> bool {
        let over = |state| matches!(state, JobState::Cancelled | JobState::Paused);
        self.jobs.get(&id).is_some_and(|job| job.runs && over(job.state))
    }

    /// How many run that no command follows.
    fn left(&self) -> usize {
        self.jobs.values().filter(|job| job.runs && !job.attached).count()
    }

    /// Its transfer has ended. What a command was told is forgotten.
    pub fn over(&mut self, id: JobId, end: RunEnd, now: Duration) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.runs = false;
        match (end, job.state) {
            (RunEnd::Done, _) => job.state = JobState::Ended,
            (RunEnd::Failed { again, came }, JobState::Running) => {
                job.state = if again { JobState::Waiting } else { JobState::Failed };
                job.failures = if came { 0 } else { job.failures };
                let pause = FIRST.saturating_mul(1 << job.failures.min(8)).min(LONGEST);
                job.due = again.then(|| now + pause);
                job.failures += 1;
            }
            (RunEnd::Halted, JobState::Running) => job.state = JobState::Waiting,
            // Its owner wants something else by now.
            (RunEnd::Failed { .. } | RunEnd::Halted, _) => {}
        }
        if job.attached { self.forget(id) } else { self.keep(id) }
    }

    /// What is to be done next, until nothing is.
    pub fn step(&mut self, now: Duration) -> Option<Step> {
        if !self.steps.is_empty() {
            return Some(self.steps.remove(0));
        }
        for job in self.jobs.values_mut().filter(|job| job.due.is_some_and(|due| due <= now)) {
            (job.state, job.due) = (JobState::Waiting, None);
        }
        if self.left() >= RUNNING {
            return self.begin(|job| job.attached);
        }
        self.begin(|_| true)
    }

    /// Begins the oldest that waits. Who looks on waits for nobody.
    fn begin(&mut self, may: impl Fn(&Job) -> bool) -> Option<Step> {
        let waits = |job: &Job| job.state == JobState::Waiting && job.due.is_none() && !job.runs && may(job);
        let (id, job) = self.jobs.iter_mut().find(|(_, job)| waits(job))?;
        (job.state, job.runs) = (JobState::Running, true);
        Some(Step::Begin(*id))
    }

    fn keep(&mut self, id: JobId) {
        if !self.is_attached(id) {
            self.steps.push(Step::Keep(id));
        }
    }

    fn forget(&mut self, id: JobId) {
        self.jobs.remove(&id);
        self.steps.push(Step::Forget(id));
    }
}
