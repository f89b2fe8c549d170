//! Frames over streams: sending, receiving, and the exchange of a request and its answer.
//! Invariant: a frame that has begun must end by a deadline, and nothing is allocated beyond what has arrived and
//! its cap. Futures here are not cancel-safe: a dropped one leaves its stream in the middle of a frame.

use std::time::Duration;

use quinn::{ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::io::link::{Link, code, describe, var_int};
use crate::wire::codec::{LEN, decode_request, length};
use crate::wire::limits::CONTROL;
use crate::wire::{Answer, Code, FrameError, Refusal, Request, decode, encode};

/// A stream's request must be there this long after the stream began.
pub const REQUEST: Duration = Duration::from_secs(10);
/// An answer must be there this long after its request.
pub const ANSWER: Duration = Duration::from_secs(10);
/// The slowest rate at which a frame's rest may come or go, in bytes per second (128 kbit/s), after [`REQUEST`].
const SLOWEST: u64 = 16 << 10;

/// Between two frames of one stream that are not known: a 64th of a second, the pace of a neighbour's queries.
const SKIP: Duration = Duration::from_micros(15_625);

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The stream ended in the middle of a frame, or where one had to come.
    #[error("the peer ended the exchange too early")]
    Ended,
    /// What came is not the message that had to come, or what should go is too long.
    #[error("the peer sent a wrong message: {0}")]
    Frame(#[from] FrameError),
    /// The connection is lost.
    #[error("the connection is lost: {cause}", cause = describe(.0))]
    Lost(#[from] ConnectionError),
    /// The other side refused.
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    /// The other side gave the stream up.
    #[error("the peer broke the exchange off: {0:?}")]
    Reset(Code),
    /// It took too long.
    #[error("the peer took too long")]
    TimedOut,
}

impl CallError {
    /// Whether the exchange was lost because its connection gave way to another one between the same nodes: it is to
    /// be asked again there.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Lost(ConnectionError::ApplicationClosed(close)) => code(close.error_code) == Code::Duplicate,
            Self::Lost(cause) => *cause == ConnectionError::LocallyClosed,
            _ => false,
        }
    }

    /// What to tell the other side when its message led to this.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Ended => Code::BadRequest,
            Self::Frame(FrameError::TooLong { .. }) => Code::TooLarge,
            Self::Frame(FrameError::Unknown) => Code::Unsupported,
            Self::Frame(_) => Code::BadRequest,
            Self::Lost(_) => Code::Cancelled,
            Self::Refused(refusal) => refusal.code,
            Self::Reset(code) => *code,
            Self::TimedOut => Code::TimedOut,
        }
    }
}

/// Sends one frame.
///
/// # Errors
/// When it is longer than `cap`, the other side stopped reading or is too slow, or the connection is lost.
pub async fn send<T: Serialize>(stream: &mut SendStream, message: &T, cap: usize) -> Result<(), CallError> {
    let frame = encode(message, cap)?;
    timeout(limit(frame.len()), stream.write_all(&frame)).await.map_err(|_| CallError::TimedOut)??;
    Ok(())
}

/// Receives one frame; `None` when the stream ended cleanly before it. Waits for its first byte as long as the
/// connection lives: the caller knows how long a silence is right.
///
/// # Errors
/// When the stream breaks, or what comes is not that message.
pub async fn receive<T: DeserializeOwned>(stream: &mut RecvStream, cap: usize) -> Result<Option<T>, CallError> {
    let mut prefix = [0; LEN];
    let Some(read) = stream.read(&mut prefix).await? else { return Ok(None) };
    rest(stream, prefix, read, cap).await.and_then(|value| Ok(decode(&value)?)).map(Some)
}

/// Receives one frame's value, not yet decoded; `None` when the stream ended cleanly before it. A place in `room`
/// is taken once the frame has begun, so that idle streams take none, and comes with the value.
///
/// # Errors
/// When the stream breaks, or the frame is longer than `cap`.
pub async fn receive_value<'a>(
    stream: &mut RecvStream,
    cap: usize,
    room: &'a Semaphore,
) -> Result<Option<(Vec<u8>, SemaphorePermit<'a>)>, CallError> {
    let mut prefix = [0; LEN];
    let Some(read) = stream.read(&mut prefix).await? else { return Ok(None) };
    let place = room.acquire().await.map_err(|_| CallError::Ended)?;
    Ok(Some((rest(stream, prefix, read, cap).await?, place)))
}

/// A frame of a later version came where one of these was due. Whoever sends many waits, as a neighbour does: its stream
/// fills, and then it.
pub async fn skip(due: &str) {
    tracing::debug!(due, "a frame that this version does not know is skipped");
    tokio::time::sleep(SKIP).await;
}

/// Receives the request that begins a stream.
///
/// # Errors
/// As [`receive`], and when it is not there after [`REQUEST`]. What to answer is the error's `code`: see [`refuse`].
pub async fn receive_request(stream: &mut RecvStream) -> Result<Request, CallError> {
    let value = async {
        let mut prefix = [0; LEN];
        let read = stream.read(&mut prefix).await?.ok_or(CallError::Ended)?;
        rest(stream, prefix, read, CONTROL).await
    };
    let value = timeout(REQUEST, value).await.map_err(|_| CallError::TimedOut)??;
    Ok(decode_request(&value)?)
}

/// Receives the answer to a request, which must be there after [`ANSWER`].
///
/// # Errors
/// As [`receive`], and when the answer is a refusal.
pub async fn receive_answer<T: DeserializeOwned>(stream: &mut RecvStream, cap: usize) -> Result<T, CallError> {
    let answer = timeout(ANSWER, receive::<Answer<T>>(stream, cap)).await.map_err(|_| CallError::TimedOut)??;
    answer.ok_or(CallError::Ended)?.map_err(CallError::Refused)
}

/// Opens a stream and sends a request; for exchanges in which more is sent before the answer.
///
/// # Errors
/// When the connection is lost, or the other side lets no more streams be opened for [`REQUEST`].
pub async fn open(link: &Link, request: &Request) -> Result<(SendStream, RecvStream), CallError> {
    let opened = timeout(REQUEST, link.connection().open_bi()).await.map_err(|_| CallError::TimedOut)?;
    let (mut to, from) = opened?;
    match send(&mut to, request, CONTROL).await {
        // A refusal may stop our side before it has read everything; the answer tells why.
        Ok(()) | Err(CallError::Reset(_)) => Ok((to, from)),
        Err(error) => Err(error),
    }
}

/// Opens a stream, sends a request and receives its answer. The send side stays open: the caller finishes it,
/// and dropping it does so too.
///
/// # Errors
/// As [`open`] and [`receive_answer`].
pub async fn call<T: DeserializeOwned>(
    link: &Link,
    request: &Request,
    answer_cap: usize,
) -> Result<(T, SendStream, RecvStream), CallError> {
    let (to, mut from) = open(link, request).await?;
    let answer = receive_answer(&mut from, answer_cap).await?;
    Ok((answer, to, from))
}

/// Receives the raw bytes that follow an answer; the next ones must be there within `idle`.
///
/// # Errors
/// When the stream ends before them or breaks, or nothing comes for too long.
pub async fn receive_raw(stream: &mut RecvStream, len: usize, idle: Duration) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        // Only what has arrived is allocated for: the length is a claim.
        let chunk = timeout(idle, stream.read_chunk(len - bytes.len(), true)).await.map_err(|_| CallError::TimedOut)?;
        bytes.extend_from_slice(&chunk?.ok_or(CallError::Ended)?.bytes);
    }
    Ok(bytes)
}

/// Answers with a refusal, and asks the other side to send nothing more. Errors are nobody's concern any more.
pub async fn refuse(to: &mut SendStream, from: &mut RecvStream, refusal: Refusal) {
    let stop = var_int(refusal.code);
    let _ = send(to, &Answer::<()>::Err(refusal), CONTROL).await;
    let _ = to.finish();
    let _ = from.stop(stop);
}

/// The rest of a frame of which `read` bytes of the prefix have come.
async fn rest(stream: &mut RecvStream, mut prefix: [u8; LEN], read: usize, cap: usize) -> Result<Vec<u8>, CallError> {
    timeout(REQUEST, stream.read_exact(&mut prefix[read..])).await.map_err(|_| CallError::TimedOut)??;
    let len = length(prefix, cap)?;
    let value = async {
        let mut value = Vec::new();
        while value.len() < len {
            // Only what has arrived is allocated: a claim of a page costs its sender a page.
            let chunk = stream.read_chunk(len - value.len(), true).await?.ok_or(CallError::Ended)?;
            value.extend_from_slice(&chunk.bytes);
        }
        Ok(value)
    };
    timeout(limit(len), value).await.map_err(|_| CallError::TimedOut)?
}

fn limit(len: usize) -> Duration {
    REQUEST + Duration::from_secs(len as u64 / SLOWEST)
}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(cause) => Self::Lost(cause),
            ReadError::Reset(number) => Self::Reset(code(number)),
            _ => Self::Ended,
        }
    }
}

impl From<ReadExactError> for CallError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Ended,
            ReadExactError::ReadError(cause) => cause.into(),
        }
    }
}

impl From<WriteError> for CallError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(cause) => Self::Lost(cause),
            WriteError::Stopped(number) => Self::Reset(code(number)),
            _ => Self::Ended,
        }
    }
}

#[cfg(test)]
mod tests;
