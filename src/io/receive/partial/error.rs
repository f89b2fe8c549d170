//! Why a transfer's bytes cannot be kept or published: the path and the cause.

use serde::{Deserialize, Serialize};

use crate::io::receive::dest::{DestError, quoted};
use crate::io::receive::space::SpaceError;
use crate::model::LocalPath;

/// Why something with a partial file failed. What was noted before stays noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PartialError {
    /// The target has got something since the start.
    #[error("{} has appeared during the transfer and is not replaced", quoted(path))]
    Appeared {
        /// What is there.
        path: LocalPath,
    },
    /// A file in the partial tree is not as it was written.
    #[error("{} was changed by another program during the transfer", quoted(path))]
    Damaged {
        /// The file.
        path: LocalPath,
    },
    /// The destination refused.
    #[error(transparent)]
    Dest(#[from] DestError),
    /// Its publication is wanted no longer.
    #[error("it is wanted no longer")]
    Halted,
    /// Another process has it.
    #[error("{} is in use by {}", quoted(path), holder(*pid))]
    InUse {
        /// The partial file.
        path: LocalPath,
        /// The process, when known.
        pid: Option<u32>,
    },
    /// A file is asked for, and what an earlier run has begun is proven to be a collection of that id.
    #[error("what is offered is one file, and {} is of a collection of the same id", quoted(path))]
    Kind {
        /// The journal.
        path: LocalPath,
    },
    /// A target with a name that qshare gives to what is not finished.
    #[error("{} is a name that qshare uses for unfinished transfers", quoted(path))]
    Reserved {
        /// The target.
        path: LocalPath,
    },
    /// There is no room.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// There is no such unit here, or it has another length: a fault of the program.
    #[error("unit {unit} does not belong to this transfer")]
    Unit {
        /// Which.
        unit: u32,
    },
    /// What the target had at the start is gone.
    #[error("{} was removed during the transfer", quoted(path))]
    Vanished {
        /// The target.
        path: LocalPath,
    },
    /// A journal of another version.
    #[error("{} was written by another version of qshare", quoted(path))]
    Version {
        /// The journal.
        path: LocalPath,
    },
}

impl PartialError {
    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Dest(error) => error.is_full(),
            Self::Space(_) => true,
            _ => false,
        }
    }

    /// Whether another program has been at what was noted: how much of it holds is known to the next run alone.
    pub fn is_meddled(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Vanished { .. } => true,
            Self::Dest(error) => error.is_meddled(),
            _ => false,
        }
    }
}

/// Who has a partial file, for sentences.
pub fn holder(pid: Option<u32>) -> String {
    pid.filter(|pid| is_alive(*pid)).map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Whether there is a process of this number: whoever holds a journal need not be who wrote to it last.
pub fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, test_kill_process};
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
    }
    #[cfg(not(unix))]
    {
        pid != 0
    }
}

#[cfg(all(test, unix))]
mod tests;
