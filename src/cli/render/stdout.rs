//! Whether anybody can read standard output, where no write tells: before the first byte, when there is none, and while
//! nothing is written.

pub(crate) mod rest;

use std::io;
use std::time::Duration;

use crate::cli::failure::{Failure, Result};
use crate::node::Error;

/// # Errors
/// When standard output was closed, or whoever read it has gone.
pub(crate) async fn is_open() -> Result<()> {
    if is_stand_in() {
        return Err(Failure::Usage(
            "standard output is closed (or is the null device, open for reading too), and -o - writes there: open it, or give a file with -o FILE"
                .to_owned(),
        ));
    }
    if has_no_reader().await { Err(Error::Stdout(io::ErrorKind::BrokenPipe.into()).into()) } else { Ok(()) }
}

/// How often it is looked whether somebody reads still.
const LOOK: Duration = Duration::from_millis(500);

/// Resolves once nobody can read what is written any more.
pub(crate) async fn unread() {
    while !has_no_reader().await {
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a process that was started without a standard output has got the null device for it: Rust's runtime opens that
/// to read and write (`library/std/src/sys/pal/unix/mod.rs`, `sanitize_standard_fds`), where a shell's `> /dev/null` opens
/// it to write.
#[cfg(unix)]
fn is_stand_in() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let stdout = io::stdout();
    let (Ok(own), Ok(null), Ok(flags)) = (fstat(&stdout), stat("/dev/null"), fcntl_getfl(&stdout)) else {
        return false;
    };
    (own.st_dev, own.st_ino) == (null.st_dev, null.st_ino) && flags & OFlags::RWMODE == OFlags::RDWR
}

#[cfg(not(unix))]
const fn is_stand_in() -> bool {
    false
}

/// Whether it is a pipe or a socket whose other end is closed. One that is only full has a reader.
#[cfg(unix)]
async fn has_no_reader() -> bool {
    use std::os::fd::AsFd as _;
    use tokio::io::Interest;
    use tokio::net::unix::pipe::Sender;

    /// The kernel tells at once what it knows; only of a full pipe it tells nothing.
    const TOLD: Duration = Duration::from_millis(100);

    let own = io::stdout().as_fd().try_clone_to_owned();
    // Nothing is written through it, so it need not be a pipe. A file or a null device cannot be waited for, and needs no
    // reader.
    let Ok(stdout) = own.and_then(Sender::from_owned_fd_unchecked) else { return false };
    let told = tokio::time::timeout(TOLD, stdout.ready(Interest::WRITABLE)).await;
    told.is_ok_and(|ready| ready.is_ok_and(|ready| ready.is_write_closed()))
}

#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "one signature on all platforms")]
async fn has_no_reader() -> bool {
    false
}
