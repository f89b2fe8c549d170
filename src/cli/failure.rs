//! Why a command did not end well: one sentence, a code word, an exit code.
//! Invariant: whatever is not known better here keeps the code of the floor it comes from; `say.rs` has its words.

use std::io;

use crate::cli::exit::Exit;
use crate::cli::signals::Stop;
use crate::config::ConfigError;
use crate::node::{ControlError, Error, ErrorCode};

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Several things are meant.
    #[error("{0}")]
    Ambiguous(String),
    /// Who reads standard output has had enough: nothing more to say to anybody.
    #[error("standard output was closed")]
    Closed,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A signal ended a transfer, which says what is kept.
    #[error("{error}")]
    Interrupted {
        /// Which signal.
        stop: Stop,
        /// What the transfer says.
        error: Error,
    },
    /// The node says why.
    #[error(transparent)]
    Node(#[from] Error),
    /// What was asked for is empty.
    #[error("{0}")]
    Nothing(String),
    /// A part of the operating system failed the command.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
    /// Some of several things failed; each was told when it did.
    #[error("{failed} of {total} failed; see above")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
        /// What that means.
        code: ErrorCode,
    },
    /// A signal ended the command.
    #[error("interrupted")]
    Stopped(Stop),
    /// The command line, the environment or a setting is wrong.
    #[error("{0}")]
    Usage(String),
}

/// What a command or a part of it comes to.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The code for programs.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Ambiguous(_) => ErrorCode::Ambiguous,
            Self::Closed | Self::Other(_) => ErrorCode::Failed,
            Self::Config(_) | Self::Usage(_) => ErrorCode::Usage,
            Self::Interrupted { .. } | Self::Stopped(_) => ErrorCode::Interrupted,
            Self::Node(error) => error.code(),
            Self::Nothing(_) => ErrorCode::NotFound,
            Self::Some { code, .. } => *code,
        }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Closed => Exit::DONE,
            Self::Interrupted { stop, .. } | Self::Stopped(stop) => stop.exit(),
            // Whatever the cause, something is kept to go on with.
            Self::Node(Error::Halted { .. }) => ErrorCode::Incomplete.into(),
            Self::Node(Error::Control(ControlError::Stopped { .. })) => Stop::Asked.exit(),
            _ => self.code().into(),
        }
    }

    /// Whether it ends the command even where others of several things could be done.
    pub(crate) const fn ends_all(&self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Interrupted { .. }
                | Self::Node(Error::Control(ControlError::Stopped { .. }))
                | Self::Stopped(_)
        )
    }

    /// Whether there is nothing to tell: nobody reads, or the person at the keyboard did it.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Closed | Self::Stopped(Stop::Hangup | Stop::Interrupt | Stop::Terminate))
    }
}

/// What a failed write to standard output means.
pub(crate) fn stdout(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Node(Error::Stdout(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::say;
    use crate::cli::say::names::Names;
    use crate::node::Fault;

    fn said(failure: &Failure) -> String {
        say::failure(failure, &Names::default())
    }

    #[test]
    fn a_signal_decides_the_exit_code() {
        let error = || Error::Interrupted { have: 3 << 20, total: 9 << 20 };
        let by = |stop| Failure::Interrupted { stop, error: error() };
        assert_eq!(by(Stop::Interrupt).exit(), Exit::INTERRUPTED);
        assert_eq!(by(Stop::Terminate).exit(), Exit::TERMINATED);
        assert_eq!(by(Stop::Asked).exit(), Exit::TERMINATED);
        assert!(said(&by(Stop::Asked)).starts_with("`qshare stop` has ended this: interrupted, 3.0 MiB"));
        assert!(said(&Failure::Stopped(Stop::Asked)).contains("qshare stop"));
        assert!(Failure::Stopped(Stop::Interrupt).is_silent() && !Failure::Stopped(Stop::Asked).is_silent());
        assert!(said(&by(Stop::Interrupt)).starts_with("interrupted, 3.0 MiB of 9.0 MiB are proven and kept: run"));
    }

    #[test]
    fn a_closed_output_ends_quietly_and_a_result_that_was_not_taken_does_not() {
        let closed = stdout(io::ErrorKind::BrokenPipe.into());
        assert!(closed.is_silent() && closed.exit() == Exit::DONE);
        let full = stdout(io::ErrorKind::StorageFull.into());
        assert!(!full.is_silent() && full.exit() == Exit::FAILED);
        let stream = Failure::Node(Error::Stdout(io::ErrorKind::BrokenPipe.into()));
        assert!(!stream.is_silent() && stream.exit() == Exit::FAILED);
        assert!(said(&stream).contains("before all of it was written"), "{stream}");
    }

    #[test]
    fn what_is_kept_is_told_and_decides_the_exit_code_whatever_the_cause() {
        let error = Box::new(Error::Internal(Fault::Actor("no".to_owned())));
        let halted = Failure::Node(Error::Halted { error, have: 70 << 20, total: 600 << 20 });
        assert_eq!((halted.exit().code(), halted.code()), (6, ErrorCode::Failed));
        assert!(said(&halted).ends_with("(70.0 MiB of 600 MiB are proven and kept)"), "{halted}");
    }

    #[test]
    fn what_is_wrong_with_the_command_is_usage() {
        assert_eq!(Failure::Usage(String::new()).exit(), Exit::USAGE);
        assert_eq!(Failure::Nothing(String::new()).exit().code(), 3);
    }
}
