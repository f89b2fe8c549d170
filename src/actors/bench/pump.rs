//! The pump of a bench: bytes from memory or a file to a stream and back, the same on both ends.
//! Invariant: what makes no progress for [`STALL`], or less than a frame must, ends: one test at a time is served. Not responsible for what is measured.

use std::fs::File;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::io::net::frames::{CallError, Pace};
use crate::io::positional;

/// Bytes moved at a time: large enough that a system call and a task switch are nothing beside it.
const PIECE: usize = 1 << 20;
/// An end that moves no byte for this long has given up.
const STALL: Duration = Duration::from_secs(10);

/// What a part of a test comes to.
type Result<T, E = BenchError> = std::result::Result<T, E>;

/// Why a bench ended early.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The stream or connection ended.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The temporary file failed.
    #[error("the temporary file cannot be used: {0}")]
    File(#[from] io::Error),
}

/// Where a test's bytes come from or go to.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A file without a name; gone when it is closed, also by a killed process.
    File(Arc<File>),
    /// Memory.
    Memory,
}

impl Storage {
    /// A place for a test; a file is filled with so many bytes, on the disk before this returns.
    ///
    /// # Errors
    /// When there is no room, or no directory for temporary files.
    pub async fn new(file: bool, fill: Option<u64>) -> Result<Self> {
        if !file {
            return Ok(Self::Memory);
        }
        let file = blocking(move || {
            let file = tempfile::tempfile()?;
            fill_up(&file, fill.unwrap_or(0))?;
            Ok(file)
        });
        Ok(Self::File(Arc::new(file.await?)))
    }
}

/// Sends this many bytes; `moved` is told of each piece.
///
/// # Errors
/// When the stream or the file fails, or the other end takes nothing for `STALL`.
pub async fn send(stream: &mut SendStream, bytes: u64, storage: Storage, moved: &(dyn Fn(u64) + Sync)) -> Result<()> {
    let mut buffer = pattern();
    let mut done = 0;
    let mut pace = Pace::begin();
    while done < bytes {
        let len = piece(bytes - done);
        if let Storage::File(file) = &storage {
            let (file, mut taken) = (Arc::clone(file), std::mem::take(&mut buffer));
            let read = move || positional::read_exact_at(&file, &mut taken[..len], done).map(|()| taken);
            buffer = blocking(read).await?;
        }
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let written = within(pace.step(stream.write(rest))).await?;
            pace.add(written);
            rest = &rest[written..];
            moved(written as u64);
        }
        done += len as u64;
    }
    Ok(())
}

/// Receives this many bytes; those of a file are on the disk before this returns.
///
/// # Errors
/// When the stream ends early, the file fails, or nothing comes for `STALL`.
pub async fn receive(
    stream: &mut RecvStream,
    bytes: u64,
    storage: Storage,
    moved: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    let mut pace = Pace::begin();
    while done < bytes {
        let len = piece(bytes - done);
        let mut filled = 0;
        while filled < len {
            let read = within(pace.step(stream.read(&mut buffer[filled..len]))).await?.ok_or(CallError::Ended)?;
            pace.add(read);
            filled += read;
            moved(read as u64);
        }
        if let Storage::File(file) = &storage {
            let (file, taken) = (Arc::clone(file), std::mem::take(&mut buffer));
            let write = move || positional::write_all_at(&file, &taken[..len], done).map(|()| taken);
            buffer = blocking(write).await?;
        }
        done += len as u64;
    }
    match storage {
        Storage::File(file) => blocking(move || file.sync_data()).await,
        Storage::Memory => Ok(()),
    }
}

/// Waits until the other end has finished its side: it has everything.
///
/// # Errors
/// When more bytes come instead, or nothing within the limit: see [`settling`].
pub(super) async fn ended(stream: &mut RecvStream, limit: Duration) -> Result<()> {
    let rest = async { Ok::<_, CallError>(stream.read(&mut [0]).await?) };
    match timeout(limit, rest).await.map_err(|_| CallError::TimedOut)?? {
        None => Ok(()),
        Some(_) => Err(CallError::Ended.into()),
    }
}

/// How long the receiving end may be silent after the last byte: a file goes to the disk, with at least 64 MiB a second.
pub fn settling(file: bool, bytes: u64) -> Duration {
    if file { STALL + Duration::from_secs(bytes / (64 << 20)) } else { STALL }
}

async fn within<T>(step: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    timeout(STALL, step).await.unwrap_or(Err(CallError::TimedOut))
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(job).await.map_err(io::Error::other)??)
}

fn fill_up(mut file: &File, bytes: u64) -> io::Result<()> {
    let pattern = pattern();
    let mut left = bytes;
    while left > 0 {
        let len = piece(left);
        io::Write::write_all(&mut file, &pattern[..len])?;
        left -= len as u64;
    }
    file.sync_data()
}

/// How much of what is left goes at a time.
fn piece(left: u64) -> usize {
    usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))
}

/// Bytes that no layer can make smaller.
fn pattern() -> Vec<u8> {
    let mut bytes = vec![0; PIECE];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_filled_and_has_no_name() {
        let bytes = 2 * PIECE as u64 + 7;
        let Ok(Storage::File(file)) = Storage::new(true, Some(bytes)).await else { panic!("a file") };
        assert_eq!(file.metadata().expect("open").len(), bytes);
        let mut last = [0; 7];
        positional::read_exact_at(&file, &mut last, bytes - 7).expect("there");
        assert_eq!(last, pattern()[..7]);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&file.metadata().expect("open")), 0);
        assert!(matches!(Storage::new(false, Some(1)).await, Ok(Storage::Memory)));
    }

    #[test]
    fn the_last_piece_is_what_is_left() {
        assert_eq!((piece(0), piece(5), piece(u64::MAX)), (0, 5, PIECE));
    }
}
