//! The lock on an open file, which goes with it.

use std::fs::File;
use std::io;

/// Takes the lock of an open file, without waiting; false when another holds it. It goes with the file.
///
/// # Errors
/// When the file system has no locks.
#[cfg(unix)]
pub fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Takes the lock of an open file, without waiting; false when another holds it. It goes with the file.
///
/// # Errors
/// When the file system has no locks.
#[cfg(not(unix))]
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(e)) => Err(e),
    }
}
