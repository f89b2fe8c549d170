//! Serves one Fetch or List: disk → buffer → stream, in a plain task.
//! Invariant: bytes that were read while the file changed are never sent as a whole unit: the stream is reset. A unit
//! that cannot be read at this moment is left out of the answer, or the answer is Busy when nothing else is to be sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::Semaphore;

use crate::actors::index::IndexRef;
use crate::actors::limits::buffers::{Buffer, BufferPool};
use crate::actors::limits::throttle::Throttle;
use crate::actors::uploads::Slot;
use crate::io::net::link::Link;
use crate::io::share::source::{ReadError, Source, SourceFile};
use crate::logic::limits::shares::Who;
use crate::model::units::UnitPlace;
use crate::wire::{Code, Fetch, RECORD_HEAD, RecordHead, RecordKind, limits};

/// Units shorter than this are not read on the spot: a thread takes many along, of many files.
const READY: u64 = 64 << 10;
/// The length of each buffer of the pool, in bytes.
pub const BUFFER: usize = 512 << 10;

/// What counts as taken when it is acknowledged, in bytes: of a stream that breaks off in the middle of it none does.
const PIECE: usize = 128 << 10;

/// What goes in one turn at a limit whatever the connection has shown, in bytes.
const LEAST: usize = 16 << 10;

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The peer no longer wants it, or has gone.
    #[error("the peer no longer wants it")]
    Gone,
    /// The stream must be reset with this code.
    #[error("{0}")]
    Reset(Code),
}

/// What a part of an upload comes to.
pub type Sent<T = ()> = Result<T, UploadError>;

impl From<quinn::WriteError> for UploadError {
    fn from(_: quinn::WriteError) -> Self {
        Self::Gone
    }
}

/// The units that a Fetch accepts, in the order of the request.
///
/// # Errors
/// BadRequest when they are not within the source or beyond the limits.
pub fn accepted_units(request: &Fetch, units: u32) -> Result<Vec<u32>, Code> {
    if request.units.len() > limits::FETCH_RANGES || request.max == 0 {
        return Err(Code::BadRequest);
    }
    let mut accepted = Vec::new();
    for &(first, count) in &request.units {
        let end = first.checked_add(count).filter(|end| *end <= units && count > 0).ok_or(Code::BadRequest)?;
        if accepted.len() + count as usize > limits::FETCH_UNITS as usize {
            return Err(Code::BadRequest);
        }
        accepted.extend(first..end);
    }
    if accepted.is_empty() { Err(Code::BadRequest) } else { Ok(accepted) }
}

/// Writes units of one source to one stream.
pub struct UnitWriter<'a> {
    /// From where.
    pub source: Arc<dyn Source>,
    /// To where.
    pub send: &'a mut SendStream,
    /// Over which connection.
    pub link: &'a Link,
    /// To whom.
    pub who: Who,
    /// The pool of buffers, each at least [`BUFFER`] bytes.
    pub buffers: &'a BufferPool,
    /// The upload limit.
    pub throttle: &'a Throttle,
    /// Told when a file turned out not to be in the state in which it was hashed.
    pub index: &'a IndexRef,
    /// Under which right; told whom the upload waits for.
    pub slot: &'a Slot,
    /// For one buffer's worth that is copied and not acknowledged.
    pub room: Arc<Semaphore>,
    /// Whether the peer is no longer to have it.
    pub over: &'a (dyn Fn() -> bool + Send + Sync),
    /// Something of the answer is on its way.
    pub begun: bool,
}

impl UnitWriter<'_> {
    /// Sends these units as records, reading one buffer ahead of the stream.
    ///
    /// # Errors
    /// When the peer has gone, or a file changed in the middle of a unit.
    pub async fn records(&mut self, units: impl IntoIterator<Item = u32>) -> Sent {
        let mut reader = Reader::new(Arc::clone(&self.source), units.into_iter().collect());
        reader.begun = self.begun;
        self.pump(reader).await
    }

    /// Sends the bytes of one unit without a record head.
    ///
    /// # Errors
    /// As [`UnitWriter::records`].
    pub async fn bare(&mut self, unit: u32) -> Sent {
        let mut reader = Reader::new(Arc::clone(&self.source), VecDeque::from([unit]));
        reader.bare = true;
        self.pump(reader).await
    }

    async fn pump(&mut self, reader: Reader) -> Sent {
        self.slot.works();
        let mut next = self.read(reader, self.step()).await;
        loop {
            let (mut reader, filled) = next.filled().await?;
            if std::mem::take(&mut reader.doubted) {
                self.index.stale();
            }
            if (self.over)() {
                return Err(UploadError::Reset(Code::NotFound));
            }
            self.begun |= filled.as_ref().is_ok_and(|(_, len)| *len > 0);
            let (buffer, len) = filled?;
            if len == 0 {
                return Ok(());
            }
            let mut content = std::mem::take(&mut reader.content);
            let mut bytes = match self.buffers.lend(buffer, len) {
                Ok(bytes) => bytes,
                Err(buffer) => self.copy(buffer, len).await,
            };
            next = self.read(reader, self.step()).await;
            // The limit may have become lower since they were read.
            while !bytes.is_empty() {
                let part = bytes.split_to(bytes.len().min(self.turn()));
                self.await_turn(part.len()).await;
                self.write(part, &mut content).await?;
                self.slot.works();
            }
        }
    }

    /// How many bytes go at a time at most.
    fn step(&self) -> usize {
        usize::try_from(self.throttle.step()).unwrap_or(usize::MAX)
    }

    /// How many of these go next: where there is a limit, no more than the connection has shown to take in a round trip.
    fn turn(&self) -> usize {
        self.throttle.rate().map_or(usize::MAX, |_| self.step().min(self.window()))
    }

    fn window(&self) -> usize {
        usize::try_from(self.link.window()).unwrap_or(usize::MAX).max(LEAST)
    }

    /// Waits until bytes may go. Who has not taken what went before is given nothing of what is limited: whoever is gone
    /// would use up what is there for others.
    async fn await_turn(&self, bytes: usize) {
        if self.throttle.rate().is_some() {
            self.slot.waits();
            self.slot.taken_but(self.window() as u64).await;
            self.slot.works();
        }
        self.throttle.turn(self.who, bytes as u64).await;
    }

    /// While buffers are short each upload has one buffer's worth with its peer: it waits for none but its own.
    async fn copy(&self, buffer: Buffer, len: usize) -> Bytes {
        self.slot.waits();
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes this semaphore");
        self.slot.works();
        buffer.copy(len, room)
    }

    /// Whatever the peer takes is a sign that it reads. Of `content` what is among these bytes is taken away.
    async fn write(&mut self, bytes: Bytes, content: &mut u64) -> Sent {
        let mut pieces = Pieces::of(bytes, content, self.slot);
        let mut left = &mut pieces.left[..];
        while !left.is_empty() {
            self.slot.waits();
            let written = self.send.write_chunks(left).await?;
            left = &mut left[written.chunks..];
        }
        Ok(())
    }

    /// What is in memory is read here and now: handing it to a thread and back costs more than the copy.
    async fn read(&self, mut reader: Reader, step: usize) -> Next {
        let mut buffer = self.buffers.take().await;
        let room = buffer.as_ref().len().min(step.max(RECORD_HEAD + 1));
        match reader.fill_ready(&mut buffer.as_mut()[..room]) {
            Ok(0) => Next::Reading(tokio::task::spawn_blocking(move || {
                let filled = reader.fill(&mut buffer.as_mut()[..room]);
                (reader, filled.map(|len| (buffer, len)))
            })),
            filled => Next::Read(reader, filled.map(|len| (buffer, len))),
        }
    }
}

/// Bytes on their way into a stream, each piece to be counted when it is acknowledged; those written are empty.
struct Pieces<'a> {
    left: Vec<Bytes>,
    slot: &'a Slot,
}

impl<'a> Pieces<'a> {
    fn of(mut bytes: Bytes, content: &mut u64, slot: &'a Slot) -> Self {
        let mut left = Vec::with_capacity(bytes.len().div_ceil(PIECE));
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let of_content = (*content).min(piece.len() as u64);
            *content -= of_content;
            left.push(slot.counted(piece, of_content));
        }
        Self { left, slot }
    }
}

impl Drop for Pieces<'_> {
    /// What did not get into the stream is dropped here, and nobody acknowledged it.
    fn drop(&mut self) {
        if self.left.iter().any(|piece| !piece.is_empty()) {
            self.slot.abandon();
        }
    }
}

type Filled = Sent<(Buffer, usize)>;

/// The next buffer: filled already, or on a thread that may wait for the disk.
enum Next {
    Read(Reader, Filled),
    Reading(tokio::task::JoinHandle<(Reader, Filled)>),
}

impl Next {
    async fn filled(self) -> Sent<(Reader, Filled)> {
        match self {
            Self::Read(reader, filled) => Ok((reader, filled)),
            Self::Reading(reading) => reading.await.map_err(|_| UploadError::Reset(Code::Internal)),
        }
    }
}

/// Turns units into record bytes, a buffer at a time.
struct Reader {
    source: Arc<dyn Source>,
    units: VecDeque<u32>,
    file: Option<(usize, Box<dyn SourceFile>)>,
    /// The unit under way and how much of it has been read.
    rest: Option<(UnitPlace, Range<u64>)>,
    bare: bool,
    /// A file is not in the state in which it was hashed.
    doubted: bool,
    /// Something of the answer is read already.
    begun: bool,
    /// Bytes of the content in what was read last, without record heads.
    content: u64,
}

impl Reader {
    fn new(source: Arc<dyn Source>, units: VecDeque<u32>) -> Self {
        Self { source, units, file: None, rest: None, bare: false, doubted: false, begun: false, content: 0 }
    }

    /// Fills the buffer with what needs no disk: bytes in memory of the large file that is open. 0 when there are none.
    fn fill_ready(&mut self, buffer: &mut [u8]) -> Sent<usize> {
        let mut len = 0;
        while buffer.len() - len > RECORD_HEAD {
            match self.read_ready(&mut buffer[len..])? {
                0 => break,
                more => len += more,
            }
        }
        Ok(len)
    }

    fn read_ready(&mut self, buffer: &mut [u8]) -> Sent<usize> {
        let fresh = self.units.front().copied().filter(|_| self.rest.is_none());
        let place = || self.place_of(fresh?).map(|place| (place, 0..place.len));
        let Some((place, mut rest)) = self.rest.clone().or_else(place) else { return Ok(0) };
        let open = self.file.as_ref().filter(|(file, _)| *file == place.file && place.len >= READY);
        let Some((_, file)) = open else { return Ok(0) };
        let head = if fresh.is_some() && !self.bare { RECORD_HEAD } else { 0 };
        let room = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX).min(buffer.len() - head);
        let read = file.read_ready(&mut buffer[head..head + room], place.offset + rest.start);
        let len = read.map_err(|error| self.failed(&error))?;
        if len == 0 {
            return Ok(0);
        }
        if let Some(unit) = fresh {
            self.units.pop_front();
            self.write_head(unit, RecordKind::Bytes, buffer);
        }
        rest.start += len as u64;
        self.content += len as u64;
        self.rest = (rest.start < rest.end).then_some((place, rest));
        Ok(head + len)
    }

    /// Fills the buffer as far as records go; 0 at the end. Blocks on the disk.
    fn fill(&mut self, buffer: &mut [u8]) -> Sent<usize> {
        let mut len = 0;
        while buffer.len() - len > RECORD_HEAD {
            if self.rest.is_some() {
                len += self.continue_unit(&mut buffer[len..])?;
            } else if let Some(unit) = self.units.pop_front() {
                len += self.begin_unit(unit, &mut buffer[len..])?;
            } else {
                break;
            }
        }
        Ok(len)
    }

    /// Writes the head and the first bytes. A unit that is not there any more is told as missing; one that cannot be
    /// read at this moment is not told of, so that it is asked for again.
    fn begin_unit(&mut self, unit: u32, buffer: &mut [u8]) -> Sent<usize> {
        let head = if self.bare { 0 } else { RECORD_HEAD };
        let Some(place) = self.place_of(unit) else { return self.missing(unit, buffer) };
        self.rest = Some((place, 0..place.len));
        match self.continue_unit(&mut buffer[head..]) {
            Ok(len) => {
                self.begun = true;
                self.write_head(unit, RecordKind::Bytes, buffer);
                Ok(head + len)
            }
            Err(UploadError::Reset(Code::Busy)) if self.begun && !self.bare => Ok(0),
            Err(UploadError::Reset(Code::Busy)) => Err(UploadError::Reset(Code::Busy)),
            // Of a tree the other files may be there: only a whole answer is about the one file that has changed.
            Err(changed) if !self.begun && self.source.map().files().len() == 1 => Err(changed),
            Err(_) => self.missing(unit, buffer),
        }
    }

    fn missing(&mut self, unit: u32, buffer: &mut [u8]) -> Sent<usize> {
        self.rest = None;
        if self.bare {
            return Err(UploadError::Reset(Code::Changed));
        }
        self.begun = true;
        self.write_head(unit, RecordKind::Missing, buffer);
        Ok(RECORD_HEAD)
    }

    fn continue_unit(&mut self, buffer: &mut [u8]) -> Sent<usize> {
        let Some((place, mut rest)) = self.rest.take() else { return Ok(0) };
        let len = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX).min(buffer.len());
        self.read_at(place, rest.start, &mut buffer[..len]).map_err(|error| self.failed(&error))?;
        rest.start += len as u64;
        self.content += len as u64;
        self.rest = (rest.start < rest.end).then_some((place, rest));
        Ok(len)
    }

    fn place_of(&self, unit: u32) -> Option<UnitPlace> {
        self.source.map().place(unit).filter(|_| self.source.has(unit))
    }

    fn write_head(&self, unit: u32, kind: RecordKind, buffer: &mut [u8]) {
        if !self.bare {
            buffer[..RECORD_HEAD].copy_from_slice(&RecordHead { unit, kind }.to_bytes());
        }
    }

    fn failed(&mut self, error: &ReadError) -> UploadError {
        tracing::debug!(%error, "a unit cannot be read");
        self.doubted |= matches!(error, ReadError::Busy | ReadError::Changed | ReadError::Denied);
        UploadError::Reset(match error {
            ReadError::Busy => Code::Busy,
            ReadError::Changed => Code::Changed,
            ReadError::Denied => Code::Unreadable,
            ReadError::Io(_) => Code::Internal,
        })
    }

    fn read_at(&mut self, place: UnitPlace, from: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        if self.file.as_ref().is_none_or(|(file, _)| *file != place.file) {
            self.file = Some((place.file, self.source.open(place.file)?));
        }
        let Some((_, file)) = &self.file else { return Err(ReadError::Changed) };
        file.read_at(buffer, place.offset + from)?;
        self.doubted |= file.is_doubted();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContentId;

    #[test]
    fn requests_beyond_the_source_or_the_limits_are_refused() {
        let fetch = |units: Vec<(u32, u32)>, max| Fetch { id: ContentId::of(b""), size: 1, units, max };
        assert_eq!(accepted_units(&fetch(vec![(8, 2), (0, 1)], 3), 10), Ok(vec![8, 9, 0]));
        for (units, max) in [
            (vec![(9, 2)], 1),
            (vec![(u32::MAX, 2)], 1),
            (vec![(0, 0)], 1),
            (vec![], 1),
            (vec![(0, 1)], 0),
            (vec![(0, 1); limits::FETCH_RANGES + 1], 1),
        ] {
            assert_eq!(accepted_units(&fetch(units, max), 10), Err(Code::BadRequest));
        }
        assert_eq!(accepted_units(&fetch(vec![(0, 4097)], 1), 5000), Err(Code::BadRequest));
    }
}
