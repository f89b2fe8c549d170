//! The code words of errors, for programs, and the exit codes of the process (design, section 9).

use serde::{Deserialize, Serialize};

/// What went wrong, for programs; serialised it is the word in the JSON event `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Ambiguous,
        Self::Busy,
        Self::Destination,
        Self::Exists,
        Self::Failed,
        Self::Forbidden,
        Self::Home,
        Self::HomeLocked,
        Self::Incomplete,
        Self::Interrupted,
        Self::KeyChanged,
        Self::Listen,
        Self::NoSpace,
        Self::NotFound,
        Self::Protocol,
        Self::Unreadable,
        Self::Unreachable,
        Self::Usage,
    ];

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
        let words = ErrorCode::ALL.map(|code| serde_json::to_string(&code).expect("a word"));
        assert_eq!(words.iter().collect::<std::collections::BTreeSet<_>>().len(), ErrorCode::ALL.len());
        assert!(words.iter().all(|w| w.trim_matches('"').bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert_eq!((&*words[13], &*words[7]), (r#""not_found""#, r#""home_locked""#));
    }
}
