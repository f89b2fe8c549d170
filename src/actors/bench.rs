//! The asked side of `qshare bench`: sends or takes bytes from memory or through a temporary file, and tells what it
//! cost. Invariant: one test at a time, and between its tests a client keeps its turn for a while.
//! Not responsible for the bytes themselves: both ends share the pump.

use std::time::Duration;

use tokio::time::timeout;

use crate::actors::serve::{Answers, Stream};
use crate::io::cpu;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::wire::{Answer, Bench, BenchEnd, Code, Refusal, Request, limits};

mod pump;
mod turn;

use pump::ended;
pub use pump::{BenchError, Storage, receive, send, settling};
use turn::Turn;

/// The most bytes of one test.
pub const MAX_BYTES: u64 = 16 << 30;
/// When another client may ask again.
const BUSY_RETRY_MS: u32 = 1000;

/// The bench role.
#[derive(Default)]
pub struct BenchAnswers {
    turn: Turn,
}

impl Answers for BenchAnswers {
    async fn answer(&self, link: &Link, request: Request, mut stream: Stream) {
        let Request::Bench(bench) = request else { return stream.refuse(Code::Unsupported).await };
        if bench.bytes > MAX_BYTES {
            return stream.refuse(Code::TooLarge).await;
        }
        let Some(turn) = self.turn.take(link) else {
            return stream.refuse(Refusal { code: Code::Busy, retry_ms: BUSY_RETRY_MS }).await;
        };
        let served = serve(link, &bench, &mut stream).await;
        // Before the client hears of the end, as it then asks for the next test.
        drop(turn);
        let ended = match served {
            Ok(Some(end)) => frames::send(&mut stream.send, &end, limits::CONTROL).await.map_err(BenchError::from),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => stream.finish(),
            Err(error) => {
                tracing::info!(peer = %link.peer().short(), %error, "a bench ended early");
                stream.reset(error.code());
            }
        }
    }
}

/// What a test cost; none when it could not begin, which the client has been told.
async fn serve(link: &Link, bench: &Bench, stream: &mut Stream) -> Result<Option<BenchEnd>, BenchError> {
    stream.grant((), limits::CONTROL).await?;
    // Filling a file may take long; it is in nobody's time, and the client waits for the second answer.
    let storage = match Storage::new(bench.file, bench.download.then_some(bench.bytes)).await {
        Ok(storage) => storage,
        Err(error) => {
            tracing::warn!(%error, "a bench cannot begin: set TMPDIR to a directory with room");
            let refusal: Answer<()> = Err(error.code().into());
            frames::send(&mut stream.send, &refusal, limits::CONTROL).await?;
            return Ok(None);
        }
    };
    link.widen();
    stream.grant((), limits::CONTROL).await?;
    let before = Usage::of(link);
    if bench.download {
        send(&mut stream.send, bench.bytes, storage, &|_| ()).await?;
        ended(&mut stream.recv, settling(bench.file, bench.bytes)).await?;
    } else {
        receive(&mut stream.recv, bench.bytes, storage, &|_| ()).await?;
    }
    Ok(Some(before.until_now(link)))
}

impl BenchError {
    /// What to tell the other end.
    pub fn code(&self) -> Code {
        match self {
            Self::Call(error) => error.code(),
            Self::File(_) => Code::Internal,
        }
    }
}

/// How long an asked end may take to fill a file of this length, before it says that it can begin: at least 16 MiB a
/// second, and half a minute for a disk that sleeps.
pub fn preparation(bytes: u64) -> Duration {
    Duration::from_secs(30 + bytes / (16 << 20))
}

/// Waits until the asked end can begin.
///
/// # Errors
/// When it refuses, is lost or takes longer than [`preparation`].
pub async fn ready(from: &mut quinn::RecvStream, bytes: u64) -> Result<(), CallError> {
    let answer = timeout(preparation(bytes), frames::receive::<Answer<()>>(from, limits::CONTROL)).await;
    answer.map_err(|_| CallError::TimedOut)??.ok_or(CallError::Ended)?.map_err(CallError::Refused)
}

/// What the process and a connection have used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    cpu: Duration,
    sent: u64,
    lost: u64,
}

impl Usage {
    /// Until now.
    pub fn of(link: &Link) -> Self {
        let path = link.connection().stats().path;
        Self { cpu: cpu::process_time(), sent: path.sent_packets, lost: path.lost_packets }
    }

    /// What was used since.
    pub fn until_now(self, link: &Link) -> BenchEnd {
        let now = Self::of(link);
        BenchEnd {
            cpu_us: u64::try_from(now.cpu.saturating_sub(self.cpu).as_micros()).unwrap_or(u64::MAX),
            mtu: link.connection().stats().path.current_mtu,
            // A path that changed meanwhile counts from zero.
            sent: now.sent.saturating_sub(self.sent),
            lost: now.lost.saturating_sub(self.lost),
            memory: cpu::peak_memory(),
        }
    }
}
