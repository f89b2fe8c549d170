//! Why a file could not be hashed, and whether that passes.

use std::io;

/// Why a file has no id.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The caller no longer wants it.
    #[error("hashing was cancelled")]
    Cancelled,
    /// It is not, or no longer, the file that was expected.
    #[error("the file changed while it was hashed")]
    Changed,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Larger than any file that can be shared.
    #[error("the file is larger than 8 TiB")]
    TooLarge,
}

impl HashError {
    /// Whether it says something about this process or its surroundings at this moment, not about the file.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Io(error) if is_passing(error))
    }
}

/// Whether a failure is a lack of descriptors or memory, or of a server behind the file system: it passes.
pub fn is_passing(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let passing = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::INTR,
            Errno::AGAIN,
            Errno::STALE,
            Errno::TIMEDOUT,
            Errno::HOSTDOWN,
            Errno::NOTCONN,
        ];
        error.raw_os_error().is_some_and(|number| passing.iter().any(|errno| errno.raw_os_error() == number))
    }
    #[cfg(not(unix))]
    {
        matches!(
            error.kind(),
            io::ErrorKind::Interrupted
                | io::ErrorKind::OutOfMemory
                | io::ErrorKind::TimedOut
                | io::ErrorKind::WouldBlock
        )
    }
}

/// What a read that failed says of the file.
pub(super) fn cut_short(error: io::Error) -> HashError {
    if error.kind() == io::ErrorKind::UnexpectedEof { HashError::Changed } else { HashError::Io(error) }
}
