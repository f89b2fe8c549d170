//! The code words of errors, for programs, and the exit codes of the process (design, section 9).

use serde::{Deserialize, Serialize};

/// What went wrong, for programs; serialised it is the word in the JSON event `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Several things match.
    Ambiguous,
    /// Over a quota.
    Busy,
    /// The destination cannot be written, or is in use.
    Destination,
    /// Files exist with other content.
    Exists,
    /// Anything else.
    Failed,
    /// Not allowed for this node.
    Forbidden,
    /// The home cannot be used.
    Home,
    /// The home is in use.
    HomeLocked,
    /// Proven bytes are kept, the rest could not be had.
    Incomplete,
    /// A signal came.
    Interrupted,
    /// Somebody else answers than who is remembered or asked for.
    KeyChanged,
    /// The UDP port cannot be had.
    Listen,
    /// No space.
    NoSpace,
    /// Nobody has it.
    NotFound,
    /// The other side sent what it must not.
    Protocol,
    /// A local path cannot be read.
    Unreadable,
    /// Nobody answers.
    Unreachable,
    /// The command itself is wrong.
    Usage,
}

impl ErrorCode {
    /// The process's exit code (design, section 9).
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Ambiguous => 4,
            Self::Incomplete => 6,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_word() {
        let words = crate::wire::names::names_of::<ErrorCode>();
        assert_eq!(words.iter().collect::<std::collections::BTreeSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        let word = |code: ErrorCode| serde_json::to_string(&code).expect("a word");
        assert_eq!(
            (&*word(ErrorCode::NotFound), &*word(ErrorCode::HomeLocked)),
            (r#""not_found""#, r#""home_locked""#)
        );
    }
}
