//! The process's exit codes (design, section 9), as a type.

use std::process::ExitCode;

use crate::io::net::lan::LanError;
use crate::node::ErrorCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Done.
    pub(crate) const DONE: Self = Self(0);
    /// Failed.
    pub(crate) const FAILED: Self = Self(1);
    /// The command line or the configuration is wrong.
    pub(crate) const USAGE: Self = Self(2);
    /// By SIGHUP: 128 and the signal's number, as the others.
    pub(crate) const HUNG_UP: Self = Self(129);
    /// By SIGINT.
    pub(crate) const INTERRUPTED: Self = Self(130);
    /// By SIGTERM.
    pub(crate) const TERMINATED: Self = Self(143);

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self.0
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        Self(code.exit())
    }
}

impl From<LanError> for Exit {
    fn from(error: LanError) -> Self {
        Self(error.exit_status())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_design() {
        assert_eq!(Exit::from(ErrorCode::Failed), Exit::FAILED);
        assert_eq!(Exit::from(ErrorCode::Usage), Exit::USAGE);
        assert_eq!(Exit::from(ErrorCode::Interrupted), Exit::INTERRUPTED);
        assert_eq!(Exit::from(ErrorCode::NotFound).code(), 3);
        assert_eq!(Exit::from(ErrorCode::Ambiguous).code(), 4);
        assert_eq!(Exit::from(ErrorCode::Incomplete).code(), 6);
        for word in crate::wire::names::names_of::<ErrorCode>() {
            let code: ErrorCode = serde_json::from_value((*word).into()).expect("its own word");
            assert!(matches!(code.exit(), 1..=4 | 6 | 130), "{code:?}");
        }
    }
}
