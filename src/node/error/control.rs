//! Why the running node of a home does not do what a command asks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ErrorCode, shown};
use crate::logic::limits::inbox::{Loss, Standing};
use crate::logic::limits::jobs::JobId;
use crate::model::{Cause, LocalPath, SafePath, Shown, Size};
use crate::wire::Code;
use crate::wire::limits::{CONTROL_VERSION, PUT_RECEIVERS, PUT_TEXT};

/// Why the running node of a home does not do what a command asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ControlError {
    /// It lives for one command only, and keeps no transfers.
    #[error("the running node of this home lives for one command only")]
    Brief,
    /// It has ended while it sent what this command writes.
    #[error("the running node of this home has ended after {} were written", Size(*.written))]
    Cut {
        /// How many bytes.
        written: u64,
    },
    /// It goes on with a transfer that this command has left to it.
    #[error("the running node goes on with it as job {job}")]
    Left {
        /// Its number there.
        job: JobId,
    },
    /// What others offer cannot be put there.
    #[error("{} cannot be written ({cause})", shown(path))]
    NoInboxDir {
        /// Where.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// What is to be fetched cannot come from whoever offered it any more.
    #[error("{}", lost(*.loss))]
    LostThere {
        /// Why.
        loss: Loss,
    },
    /// There is no such offer in the inbox that waits.
    #[error("{}", no_offer(*.number, *.state))]
    NoOffer {
        /// Which.
        number: u32,
        /// How it stands; none where there is none.
        state: Option<Standing>,
    },
    /// Nothing of this number is sent.
    #[error("nothing is sent as number {number}")]
    NoPut {
        /// Which.
        number: u32,
    },
    /// What is sent as this number has ended.
    #[error("what was sent as number {number} is over")]
    PutOver {
        /// Which.
        number: u32,
    },
    /// What is sent as this number has not ended.
    #[error("number {number} is still sent")]
    PutStands {
        /// Which.
        number: u32,
    },
    /// It offers that itself, and has nobody to fetch it from but itself.
    #[error("the running node of this home offers it itself")]
    Own,
    /// It has ended, or its connection was lost, before the answer was there.
    #[error("the running node of this home has ended, or answers no more")]
    Lost,
    /// Nothing is offered as that.
    #[error("nothing is offered as {}", Shown(what))]
    NotOffered {
        /// As a person named it.
        what: String,
    },
    /// What was to be offered at the next start, too, cannot be written down.
    #[error("{} cannot be written ({cause})", shown(path))]
    NotKept {
        /// Where.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// It does not understand all that this command asks.
    #[error(
        "the running node of this home (process {pid}) has version {version} ({control}) and this command {} ({})",
        env!("CARGO_PKG_VERSION"), CONTROL_VERSION
    )]
    OtherVersion {
        /// Its process.
        pid: u32,
        /// The version of its program,
        version: String,
        /// and that of what commands ask of it.
        control: u16,
    },
    /// A message is too long.
    #[error("a message has {PUT_TEXT} bytes at most, and this one {bytes}")]
    LongText {
        /// Its bytes.
        bytes: usize,
    },
    /// Not all to whom it was sent want it.
    #[error("declined by {}", by.join(", "))]
    Declined {
        /// Who does not, as people know them.
        by: Vec<String>,
    },
    /// Not all to whom it was sent have it.
    #[error("{} {} not have all of it, and nothing moved for {}", by.join(", "), if by.len() == 1 { "does" } else { "do" }, humantime::format_duration(*waited))]
    Undecided {
        /// Who has not, as people know them.
        by: Vec<String>,
        /// How long was waited.
        waited: Duration,
    },
    /// It was to go to this node itself.
    #[error("this is the node that sends it")]
    Itself,
    /// Nobody answers at an address, so it is not known whose that is.
    #[error("nobody has answered at {} within {}, so it is not known who that is", at.join(", "), humantime::format_duration(*waited))]
    Nameless {
        /// The addresses, as they were given.
        at: Vec<String>,
        /// How long was waited.
        waited: Duration,
    },
    /// What was to be sent is another thing by now.
    #[error("{name} {} since it was offered", if *is_gone { "is gone" } else { "has changed" })]
    OtherSource {
        /// Its name.
        name: SafePath,
        /// There is nothing there any more.
        is_gone: bool,
    },
    /// More than one offer may hold.
    #[error("{count} things, or their names, are more than is sent at once")]
    TooManyItems {
        /// How many.
        count: usize,
    },
    /// More receivers than one offer may have.
    #[error("something goes to {PUT_RECEIVERS} nodes at most, and this to {count}")]
    TooManyReceivers {
        /// How many.
        count: usize,
    },
    /// What was to be sent cannot be read as a whole.
    #[error("{name} cannot be hashed ({code})")]
    Unhashed {
        /// Its name.
        name: SafePath,
        /// Why.
        code: Code,
    },
    /// What is to be offered no longer stays written down.
    #[error("{} cannot be written ({cause})", shown(path))]
    StillKept {
        /// Where.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// It is offered already, to others than it was to be, with other things left out, or at another rate.
    #[error("{name} is offered already, to others, with other things left out, or at another rate")]
    Otherwise {
        /// What.
        name: SafePath,
    },
    /// There is none.
    #[error("no node of this home runs")]
    NotRunning,
    /// It sees another directory under a path than the command that asked.
    #[error("{} is another directory for the running node of this home", shown(.path))]
    OtherDirectory {
        /// Where.
        path: LocalPath,
    },
    /// Another key is shown where the home says that it is.
    #[error("something else answers where the running node of this home ({}) should", process(*.pid))]
    OtherKey {
        /// The node's process, when known.
        pid: Option<u32>,
    },
    /// What it sends makes no sense.
    #[error("the running node of this home answers wrongly ({0})")]
    Protocol(String),
    /// It holds the home and does not answer.
    #[error("the running node of this home ({}) does not answer", process(*.pid))]
    Silent {
        /// Its process, when known.
        pid: Option<u32>,
        /// It runs on another host or in another container.
        elsewhere: bool,
    },
    /// It was to end, and has not.
    #[error("the running node of this home ({}) was asked to stop and goes on", process(*.pid))]
    Stays {
        /// Its process, when known.
        pid: Option<u32>,
    },
    /// Another command has ended it, and with it what goes through it.
    #[error("another command has stopped the running node of this home")]
    Stopped {
        /// The transfer that it goes on with when it runs again.
        job: Option<JobId>,
    },
    /// Where a transfer goes is another directory by now, or none.
    #[error("{} was moved or removed", shown(.path))]
    Moved {
        /// Where it was.
        path: LocalPath,
    },
    /// Another command has cancelled the transfer.
    #[error("job {job} was cancelled by another command, {} of {} are proven and kept", Size(*.have), Size(*.total))]
    Cancelled {
        /// Its number.
        job: JobId,
        /// Bytes that are kept,
        have: u64,
        /// and bytes altogether.
        total: u64,
    },
    /// Another command has paused the transfer.
    #[error("paused as job {job}, {} of {} are proven and kept", Size(*.have), Size(*.total))]
    Paused {
        /// Its number.
        job: JobId,
        /// Bytes that are kept,
        have: u64,
        /// and bytes altogether.
        total: u64,
    },
    /// It fetches the same to the same place already.
    #[error("the running node fetches it already as job {job}")]
    Same {
        /// Its number there.
        job: JobId,
    },
}

const fn lost(loss: Loss) -> &'static str {
    match loss {
        Loss::Changed => "it has changed at its sender since it was offered",
        Loss::Ended => "it is not sent any more",
        Loss::Gone => "it is gone at its sender since it was offered",
    }
}

fn no_offer(number: u32, state: Option<Standing>) -> String {
    match state {
        Some(state) => format!("number {number} of the inbox is {}", state.word()),
        None => format!("the inbox has no number {number}"),
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl ControlError {
    /// Whether it cannot carry out a transfer that the command itself can.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Brief | Self::OtherDirectory { .. } | Self::Own)
    }

    /// Whether it is about one transfer, and others can go on.
    #[must_use]
    pub const fn is_of_one(&self) -> bool {
        matches!(self, Self::Cancelled { .. } | Self::Paused { .. })
    }

    /// The code for programs.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Moved { .. } | Self::OtherDirectory { .. } => ErrorCode::Destination,
            Self::Declined { .. } => ErrorCode::Failed,
            Self::Cancelled { .. } | Self::Cut { .. } | Self::Paused { .. } | Self::Undecided { .. } => {
                ErrorCode::Incomplete
            }
            Self::Left { .. } | Self::Same { .. } | Self::Stopped { .. } => ErrorCode::Interrupted,
            Self::Brief | Self::Lost | Self::Own => ErrorCode::Failed,
            Self::NoOffer { state: None, .. } | Self::NoPut { .. } => ErrorCode::NotFound,
            Self::NoOffer { .. } => ErrorCode::Usage,
            Self::NoInboxDir { .. } | Self::NotKept { .. } | Self::StillKept { .. } => ErrorCode::Destination,
            Self::NotOffered { .. } | Self::NotRunning => ErrorCode::NotFound,
            Self::LostThere { .. } | Self::OtherSource { .. } | Self::Unhashed { .. } => ErrorCode::Unreadable,
            Self::Nameless { .. } => ErrorCode::Unreachable,
            Self::Itself | Self::PutOver { .. } | Self::PutStands { .. } => ErrorCode::Usage,
            Self::LongText { .. }
            | Self::Otherwise { .. }
            | Self::TooManyItems { .. }
            | Self::TooManyReceivers { .. } => ErrorCode::Usage,
            Self::OtherKey { .. } => ErrorCode::KeyChanged,
            Self::OtherVersion { .. } | Self::Protocol(_) => ErrorCode::Protocol,
            Self::Silent { .. } | Self::Stays { .. } => ErrorCode::HomeLocked,
        }
    }
}
