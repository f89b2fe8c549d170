//! Whether the destination has room, asked before the first byte.
//! Not a promise: others write too, and a full disk later is an error that keeps what was verified.

use serde::{Deserialize, Serialize};

use crate::io::receive::dest::{SafeDir, quoted};
use crate::model::LocalPath;

/// There is no room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} has {} free but {} are needed", quoted(path), bytes(*available), bytes(*needed))]
pub struct SpaceError {
    /// The destination.
    pub path: LocalPath,
    /// Bytes needed.
    pub needed: u64,
    /// Bytes free.
    pub available: u64,
}

/// Whether `needed` more bytes fit; where the system does not tell, they are tried.
///
/// # Errors
/// When they do not.
pub fn check(dir: &SafeDir, needed: u64) -> Result<(), SpaceError> {
    match dir.available() {
        Some(available) if available < needed => Err(SpaceError { path: dir.path().into(), needed, available }),
        _ => Ok(()),
    }
}

/// Bytes with a binary unit and at most one decimal.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let power = (count.ilog2() / 10).clamp(1, 5);
    let tenths = (u128::from(count) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = SafeDir::open(dir.path()).expect("held");
        assert_eq!(check(&held, 1), Ok(()));
        let error = check(&held, u64::MAX).expect_err("no disk has that");
        assert_eq!(error.needed, u64::MAX);
        assert!(error.to_string().contains("15.9 PiB") || error.to_string().contains("16383.9 PiB"), "{error}");
    }

    #[test]
    fn bytes_are_readable() {
        let cases = [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536 << 10, "1.5 MiB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
