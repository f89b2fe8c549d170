//! Frames over streams: sending, receiving, and the exchange of a request and its answer.
//! Invariant: a frame that has begun must go on, at [`pace::SLOWEST`] from [`REQUEST`] on, and nothing is allocated beyond what
//! has arrived and its cap. Futures here are not cancel-safe: a dropped one leaves its stream in the middle of a frame.

mod pace;
mod raw;

use std::any::type_name;
use std::future::{Future, pending};
use std::time::Duration;

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

pub use self::pace::{Pace, REQUEST, limit};
use self::raw::fill;
pub use self::raw::{Pieces, receive_list, receive_raw};
use crate::io::net::link::{Link, Loss, code, var_int};
use crate::wire::codec::{LEN, length};
use crate::wire::heard::{Event, Heard};
use crate::wire::limits::CONTROL;
use crate::wire::{Answer, Code, FrameError, Refusal, Request, decode, encode};

/// An answer must have begun this long after its request.
pub const ANSWER: Duration = Duration::from_secs(10);

/// When one of many streams may have ended, in milliseconds.
const MANY_RETRY_MS: u32 = 1000;

/// Between two frames of one stream that are not known: a 64th of a second, the pace of a neighbour's queries.
const SKIP: Duration = Duration::from_micros(15_625);

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CallError {
    /// The stream ended in the middle of a frame, or where one had to come.
    #[error("the peer ended the exchange too early")]
    Ended,
    /// What came is not the message that had to come, or what should go is too long.
    #[error("the peer sent a wrong message: {0}")]
    Frame(#[from] FrameError),
    /// The connection is lost.
    #[error("the connection is lost: {0}")]
    Lost(Loss),
    /// The other side refused.
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    /// The other side gave the stream up.
    #[error("the peer broke the exchange off: {0}")]
    Reset(Code),
    /// It took too long.
    #[error("the peer took too long")]
    TimedOut,
}

impl From<ConnectionError> for CallError {
    fn from(cause: ConnectionError) -> Self {
        Self::Lost(cause.into())
    }
}

impl CallError {
    /// There are as many streams of that kind to the other side as this one may have.
    pub const fn many() -> Self {
        Self::Refused(Refusal { code: Code::Busy, retry_ms: MANY_RETRY_MS })
    }

    /// Whether the exchange was lost because its connection gave way to another one between the same nodes: it is to
    /// be asked again there.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Lost(loss) if loss.gave_way())
    }

    /// What to tell the other side when its message led to this.
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
    write(stream, encode(message, cap)?.into()).await
}

/// Sends bytes without copying them.
///
/// # Errors
/// When the other side stopped reading or is too slow, or the connection is lost.
pub async fn write(stream: &mut SendStream, bytes: Bytes) -> Result<(), CallError> {
    write_unless(stream, bytes, pending).await
}

/// As [`write()`], but given up when `hurry` resolves before the next bytes are taken: it begins anew with each of them.
///
/// # Errors
/// As [`write()`].
pub async fn write_unless<F: Future<Output = ()>>(
    stream: &mut SendStream,
    mut bytes: Bytes,
    hurry: impl Fn() -> F,
) -> Result<(), CallError> {
    let mut pace = Pace::begin();
    while !bytes.is_empty() {
        let mut chunks = [bytes];
        let before = chunks[0].len();
        tokio::select! {
            biased;
            written = pace.step(stream.write_chunks(&mut chunks)) => drop(written?),
            () = hurry() => return Err(CallError::TimedOut),
        }
        [bytes] = chunks;
        pace.add(before - bytes.len());
    }
    Ok(())
}

/// Receives one frame; `None` when the stream ended cleanly before it. Waits for its first byte as long as the
/// connection lives: the caller knows how long a silence is right.
///
/// # Errors
/// When the stream breaks or goes on too slowly, or what comes is not that message.
pub async fn receive<T: DeserializeOwned>(stream: &mut RecvStream, cap: usize) -> Result<Option<T>, CallError> {
    let Some(frame) = Incoming::begin(stream, cap).await? else { return Ok(None) };
    Ok(Some(decode(&frame.whole(stream).await?)?))
}

/// A frame that is being received.
#[derive(Debug)]
pub struct Incoming {
    value: Vec<u8>,
    len: usize,
    pace: Pace,
}

impl Incoming {
    /// Receives a frame's length; `None` when the stream ended cleanly before it. Waits for its first byte as long as
    /// the connection lives.
    ///
    /// # Errors
    /// When the stream breaks, or the frame is longer than `cap`.
    pub async fn begin(stream: &mut RecvStream, cap: usize) -> Result<Option<Self>, CallError> {
        let mut prefix = [0; LEN];
        let Some(read) = stream.read(&mut prefix).await? else { return Ok(None) };
        let pace = Pace::begin();
        pace.step(stream.read_exact(&mut prefix[read..])).await?;
        Ok(Some(Self { value: Vec::new(), len: length(prefix, cap)?, pace }))
    }

    /// The length of its value in bytes, as claimed.
    pub const fn claimed(&self) -> usize {
        self.len
    }

    /// How much of it has not been received.
    pub const fn missing(&self) -> usize {
        self.len - self.value.len()
    }

    /// Receives at most so much more of it. Only what has arrived is allocated for: the length is a claim.
    ///
    /// # Errors
    /// When the stream ends or breaks before, or goes on too slowly.
    pub async fn read(&mut self, stream: &mut RecvStream, most: usize) -> Result<(), CallError> {
        let upto = self.value.len().saturating_add(most).min(self.len);
        fill(&mut self.value, upto, stream, &mut self.pace).await
    }

    /// This side let the other one wait for so long.
    pub fn forgive(&mut self, waited: Duration) {
        self.pace.forgive(waited);
    }

    /// Receives the rest, and gives the value.
    ///
    /// # Errors
    /// As [`Incoming::read`].
    pub async fn whole(mut self, stream: &mut RecvStream) -> Result<Vec<u8>, CallError> {
        self.read(stream, self.len).await?;
        Ok(self.value)
    }
}

/// Receives the next event that this version knows. One of a later version is skipped, and whoever sends many waits, as a
/// neighbour does: its stream fills, and then it.
///
/// # Errors
/// As [`receive`].
pub async fn receive_known<T: Event>(stream: &mut RecvStream, cap: usize) -> Result<Option<T>, CallError> {
    loop {
        match receive::<Heard<T>>(stream, cap).await? {
            Some(Heard::Known(event)) => return Ok(Some(event)),
            Some(Heard::Unknown) => {
                tracing::debug!(due = type_name::<T>(), "a frame that this version does not know is skipped");
                sleep(SKIP).await;
            }
            None => return Ok(None),
        }
    }
}

/// Receives the request that begins a stream.
///
/// # Errors
/// As [`receive`], and when it is not there after [`REQUEST`]. What to answer is the error's `code`: see [`refuse`].
#[cfg(feature = "lab")]
pub async fn receive_request(stream: &mut RecvStream) -> Result<Request, CallError> {
    let value = async {
        let frame = Incoming::begin(stream, CONTROL).await?.ok_or(CallError::Ended)?;
        frame.whole(stream).await
    };
    let value = timeout(REQUEST, value).await.map_err(|_| CallError::TimedOut)??;
    Ok(crate::wire::codec::decode_request(&value)?)
}

/// Receives the answer to a request, which must begin within [`ANSWER`].
///
/// # Errors
/// As [`receive`], and when the answer is a refusal.
pub async fn receive_answer<T: DeserializeOwned>(stream: &mut RecvStream, cap: usize) -> Result<T, CallError> {
    let begun = timeout(ANSWER, Incoming::begin(stream, cap)).await.map_err(|_| CallError::TimedOut)??;
    let value = begun.ok_or(CallError::Ended)?.whole(stream).await?;
    decode::<Answer<T>>(&value)?.map_err(CallError::Refused)
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

/// Answers with a refusal, and asks the other side to send nothing more. Errors are nobody's concern any more.
pub async fn refuse(to: &mut SendStream, from: &mut RecvStream, refusal: Refusal) {
    let stop = var_int(refusal.code);
    match send(to, &Answer::<()>::Err(refusal), CONTROL).await {
        Ok(()) => drop(to.finish()),
        Err(error) => drop(to.reset(var_int(error.code()))),
    }
    let _ = from.stop(stop);
}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(cause) => cause.into(),
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
            WriteError::ConnectionLost(cause) => cause.into(),
            WriteError::Stopped(number) => Self::Reset(code(number)),
            _ => Self::Ended,
        }
    }
}

#[cfg(test)]
mod tests;
