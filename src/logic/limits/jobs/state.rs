//! How a job stands, and what its owner makes of that.

use serde::{Deserialize, Serialize};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its owner has ended it; what was proven is kept.
    Cancelled,
    /// It is there.
    Ended,
    /// It could not be had, and time does not change that.
    Failed,
    /// Its owner has stopped it for a while.
    Paused,
    /// It is being fetched.
    Running,
    /// Others run before it, or it could not be had and is tried again by itself.
    Waiting,
}

impl JobState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }

    /// Whether nothing more is to be done.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Ended)
    }
}

/// What its owner wants with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobOrder {
    /// End it, and keep what was proven.
    Cancel,
    /// Stop it for a while.
    Pause,
    /// Go on with one that was paused.
    Resume,
    /// Try one again that failed or was cancelled, or at once what is tried again by itself.
    Retry,
    /// Forget one of which nothing becomes any more.
    Clear,
}

impl JobOrder {
    /// What it makes of a job in this state; nothing of one that it does not fit.
    pub(super) const fn of(self, state: JobState) -> Option<JobState> {
        match (self, state) {
            (Self::Cancel, JobState::Failed | JobState::Paused | JobState::Running | JobState::Waiting) => {
                Some(JobState::Cancelled)
            }
            (Self::Pause, JobState::Failed | JobState::Running | JobState::Waiting) => Some(JobState::Paused),
            (Self::Resume, JobState::Paused) | (Self::Retry, JobState::Cancelled | JobState::Failed) => {
                Some(JobState::Waiting)
            }
            _ => None,
        }
    }
}
