//! The asked side of `qshare bench`: sends or takes bytes for one client at a time, from memory or through a
//! temporary file, and tells what it cost. Both sides share the pump.

use std::fs::File;
use std::io;
use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use tokio::sync::Semaphore;

use crate::actors::serve::{Answers, Stream};
use crate::io::frames;
use crate::io::link::Link;
use crate::wire::{Bench, BenchEnd, Code, Refusal, Request, limits};

/// The most bytes of one test.
pub const MAX_BYTES: u64 = 16 << 30;
/// Bytes moved at a time: large enough that a system call and a task switch are nothing beside it.
const PIECE: usize = 1 << 20;
/// When another client may ask again.
const BUSY_RETRY_MS: u32 = 1000;

/// The bench role.
pub struct BenchAnswers {
    turn: Semaphore,
}

impl Default for BenchAnswers {
    fn default() -> Self {
        Self { turn: Semaphore::new(1) }
    }
}

impl Answers for BenchAnswers {
    async fn answer(&self, link: &Link, request: Request, stream: Stream) {
        let Request::Bench(bench) = request else { return stream.refuse(Code::Unsupported).await };
        if bench.bytes > MAX_BYTES {
            return stream.refuse(Code::TooLarge).await;
        }
        let Ok(_turn) = self.turn.try_acquire() else {
            return stream.refuse(Refusal { code: Code::Busy, retry_ms: BUSY_RETRY_MS }).await;
        };
        if let Err(error) = serve(link, &bench, stream).await {
            tracing::info!(peer = %link.peer().short(), %error, "a bench ended early");
        }
    }
}

/// Why a bench ended early.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The stream or connection ended.
    #[error(transparent)]
    Call(#[from] frames::CallError),
    /// The temporary file failed.
    #[error("the temporary file for the bench cannot be used: {0}; set TMPDIR to a directory with room")]
    File(#[from] io::Error),
    /// The stream could not be read.
    #[error("the stream ended early: {0}")]
    Read(#[from] quinn::ReadExactError),
    /// The stream could not be written.
    #[error("the stream ended early: {0}")]
    Write(#[from] quinn::WriteError),
}

async fn serve(link: &Link, bench: &Bench, mut stream: Stream) -> Result<(), BenchError> {
    // The file is made before the answer, so that making it is in nobody's time.
    let file = if bench.file { Some(Arc::new(temporary(bench.download.then_some(bench.bytes)).await?)) } else { None };
    stream.grant((), limits::CONTROL).await?;
    let before = Usage::of(link);
    if bench.download {
        send(&mut stream.send, bench.bytes, file).await?;
    } else {
        receive(&mut stream.recv, bench.bytes, file).await?;
    }
    frames::send(&mut stream.send, &before.until_now(link), limits::CONTROL).await?;
    stream.finish();
    Ok(())
}

/// What the process and a connection have used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    cpu_us: u64,
    sent: u64,
    lost: u64,
}

impl Usage {
    /// Until now.
    #[must_use]
    pub fn of(link: &Link) -> Self {
        let path = link.connection().stats().path;
        Self { cpu_us: crate::io::cpu::process_time().as_micros() as u64, sent: path.sent_packets, lost: path.lost_packets }
    }

    /// What was used since.
    #[must_use]
    pub fn until_now(self, link: &Link) -> BenchEnd {
        let now = Self::of(link);
        BenchEnd {
            cpu_us: now.cpu_us - self.cpu_us,
            mtu: link.connection().stats().path.current_mtu,
            sent: now.sent - self.sent,
            lost: now.lost - self.lost,
        }
    }
}

/// A file without a name, filled with this many bytes; gone when it is closed.
///
/// # Errors
/// When there is no room, or no directory for temporary files.
pub async fn temporary(fill: Option<u64>) -> Result<File, BenchError> {
    let made = tokio::task::spawn_blocking(move || {
        let file = tempfile::tempfile()?;
        let piece = pattern();
        let mut left = fill.unwrap_or(0);
        while left > 0 {
            let len = left.min(PIECE as u64);
            io::Write::write_all(&mut &file, &piece[..len as usize])?;
            left -= len;
        }
        Ok(file)
    });
    Ok(made.await.map_err(io::Error::other)?.map_err(|e: io::Error| e)?)
}

/// Sends this many bytes, from the file or from memory.
///
/// # Errors
/// When the stream or the file fails.
pub async fn send(send: &mut SendStream, bytes: u64, file: Option<Arc<File>>) -> Result<(), BenchError> {
    let mut buffer = pattern();
    let mut done = 0;
    while done < bytes {
        let len = (bytes - done).min(PIECE as u64) as usize;
        if let Some(file) = &file {
            buffer = positional(Arc::clone(file), buffer, len, done, Direction::Read).await?;
        }
        send.write_all(&buffer[..len]).await?;
        done += len as u64;
    }
    Ok(())
}

/// Receives this many bytes, into the file or into memory.
///
/// # Errors
/// When the stream or the file fails.
pub async fn receive(recv: &mut RecvStream, bytes: u64, file: Option<Arc<File>>) -> Result<(), BenchError> {
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    while done < bytes {
        let len = (bytes - done).min(PIECE as u64) as usize;
        recv.read_exact(&mut buffer[..len]).await?;
        if let Some(file) = &file {
            buffer = positional(Arc::clone(file), buffer, len, done, Direction::Write).await?;
        }
        done += len as u64;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

async fn positional(
    file: Arc<File>,
    mut buffer: Vec<u8>,
    len: usize,
    at: u64,
    direction: Direction,
) -> Result<Vec<u8>, BenchError> {
    let done = tokio::task::spawn_blocking(move || {
        match direction {
            Direction::Read => crate::io::positional::read_exact_at(&file, &mut buffer[..len], at)?,
            Direction::Write => crate::io::positional::write_all_at(&file, &buffer[..len], at)?,
        }
        Ok(buffer)
    });
    Ok(done.await.map_err(io::Error::other)?.map_err(|e: io::Error| e)?)
}

/// Bytes that no layer can make smaller.
fn pattern() -> Vec<u8> {
    let mut bytes = vec![0; PIECE];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
