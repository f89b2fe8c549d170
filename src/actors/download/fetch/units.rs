//! Units on their way: from a stream into a pooled buffer, proven, and written with their neighbours: one large unit, or
//! many small ones that came in a row. While one batch is hashed and written, the next is read: two buffers a stream,
//! never more. Invariant: where a unit lies is looked up once, when its head comes, and goes with its bytes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::RecvStream;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::{Ask, FetchContext, Stop, stop_of};
use crate::actors::download::Message;
use crate::actors::download::clocks::Wait;
use crate::actors::limits::buffers::Buffer;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Place;
use crate::logic::transfer::{Fault, Input};
use crate::model::units::UnitPlace;
use crate::wire::{Fetch, RECORD_HEAD, RecordHead, RecordKind, Request, limits};

/// Bytes after which a batch goes to the disk: hashing and writing in smaller pieces costs more than it gives.
const FULL: usize = 256 << 10;
/// The same as a time, so that slow providers' units count soon.
const OLD: Duration = Duration::from_millis(300);

/// Asks for units and takes in what comes.
pub(crate) async fn fetch_units(context: Arc<FetchContext>, ask: Ask, units: Vec<Range<u32>>, max: u32) {
    let accepted: BTreeSet<u32> = units.iter().cloned().flatten().collect();
    let choice = (max as usize) < accepted.len();
    let units = units.into_iter().map(|r| (r.start, r.end - r.start)).collect();
    let content = context.wanted.content;
    let request = Request::Fetch(Fetch { id: content.id, size: content.size, units, max });
    let mut intake =
        Intake { context: &context, ask: &ask, accepted, left: max, choice, current: None, batch: None, writing: None };
    let ended = intake.run(request).await;
    context.finish(ask.request, ended);
}

struct Intake<'a> {
    context: &'a Arc<FetchContext>,
    ask: &'a Ask,
    /// Units that may still come.
    accepted: BTreeSet<u32>,
    left: u32,
    choice: bool,
    current: Option<u32>,
    batch: Option<Batch>,
    writing: Option<JoinHandle<Result<(), Stop>>>,
}

/// Units that are proven and written together.
struct Batch {
    buffer: Buffer,
    filled: usize,
    units: Vec<(UnitPlace, Range<usize>)>,
    since: Instant,
}

impl Intake<'_> {
    async fn run(&mut self, request: Request) -> Result<(), Stop> {
        self.ask.link.widen();
        let _place = self.context.place(self.ask).await;
        let calling = frames::call::<()>(&self.ask.link, &request, limits::CONTROL);
        let answered = self.ask.clocks.over(Wait::Bytes, calling).await;
        let ((), _to, mut from) = answered.map_err(|error| self.stop(error))?;
        while let Some(RecordHead { unit, kind }) = self.head(&mut from).await.map_err(|error| self.stop(error))? {
            if !self.accepted.remove(&unit) || self.left == 0 {
                return Err(Stop::Fault(Some(unit), Fault::Lie));
            }
            self.left -= 1;
            if kind == RecordKind::Missing {
                let missing = Input::Fault { request: self.ask.request, unit: Some(unit), fault: Fault::Missing };
                self.context.tell(missing);
                continue;
            }
            self.unit(&mut from, unit).await?;
        }
        self.flush().await?;
        self.settle().await
    }

    async fn unit(&mut self, from: &mut RecvStream, unit: u32) -> Result<(), Stop> {
        if self.choice {
            self.context.tell(Input::Started { request: self.ask.request, unit });
        }
        self.current = Some(unit);
        // What was accepted is of this map.
        let place = self.context.wanted.map.place(unit).ok_or(Stop::Told)?;
        let mut batch = self.room(place).await?;
        let range = batch.filled..batch.filled + usize::try_from(place.len).unwrap_or(usize::MAX);
        // Units are never longer than the pool's buffers: both come from the same map.
        let room = batch.buffer.as_mut().get_mut(range.clone()).ok_or(Stop::Told)?;
        self.context.read(from, self.ask, room).await.map_err(|error| self.stop(error))?;
        batch.filled = range.end;
        batch.units.push((place, range));
        let due = batch.filled >= FULL || batch.since.elapsed() >= OLD;
        self.batch = Some(batch);
        if due { self.flush().await } else { Ok(()) }
    }

    /// A record's head; `None` at the stream's clean end.
    async fn head(&self, from: &mut RecvStream) -> Result<Option<RecordHead>, CallError> {
        let mut head = [0; RECORD_HEAD];
        let Some(first) = self.ask.clocks.over(Wait::Bytes, from.read(&mut head)).await? else { return Ok(None) };
        from.read_exact(&mut head[first..]).await?;
        Ok(Some(RecordHead::parse(head)?))
    }

    fn stop(&self, error: CallError) -> Stop {
        stop_of(error, self.current.or_else(|| self.accepted.first().copied()))
    }

    /// The batch under way, or a new one, with room for the unit.
    async fn room(&mut self, place: UnitPlace) -> Result<Batch, Stop> {
        let size = self.context.buffers.size() as u64;
        if self.batch.as_ref().is_some_and(|batch| batch.filled as u64 + place.len > size) {
            self.flush().await?;
        }
        if let Some(batch) = self.batch.take() {
            return Ok(batch);
        }
        let buffer = self.ask.clocks.over(Wait::Room, self.context.buffers.take()).await;
        Ok(Batch { buffer, filled: 0, units: Vec::new(), since: Instant::now() })
    }

    /// Sends the batch to the disk, after the one before it.
    async fn flush(&mut self) -> Result<(), Stop> {
        self.settle().await?;
        let Some(batch) = self.batch.take() else { return Ok(()) };
        let writers = Arc::clone(&self.context.writers).acquire_owned();
        let permit = self.ask.clocks.over(Wait::Room, writers).await.map_err(|_| Stop::Told)?;
        let (context, ask) = (Arc::clone(self.context), self.ask.clone());
        self.writing = Some(spawn_blocking(move || {
            let _permit = permit;
            context.keep(&ask, &batch)
        }));
        Ok(())
    }

    /// Waits for the write under way.
    async fn settle(&mut self) -> Result<(), Stop> {
        match self.writing.take() {
            Some(writing) => self.ask.clocks.over(Wait::Room, writing).await.unwrap_or(Err(Stop::Told)),
            None => Ok(()),
        }
    }
}

impl FetchContext {
    /// Reads exactly these bytes, at the transfer's rate.
    pub(super) async fn read(&self, from: &mut RecvStream, ask: &Ask, mut buf: &mut [u8]) -> Result<(), CallError> {
        while !buf.is_empty() {
            let most = buf.len().min(self.step());
            let read = ask.clocks.over(Wait::Bytes, from.read(&mut buf[..most])).await?.ok_or(CallError::Ended)?;
            self.came(ask, read).await;
            buf = &mut buf[read..];
        }
        Ok(())
    }

    /// Waits for the stream of a request.
    pub(super) async fn place<'a>(&self, ask: &'a Ask) -> Option<Place<'a>> {
        ask.clocks.over(Wait::Limit, ask.link.may_fetch(self.throttle.rate().is_some())).await
    }

    /// How many bytes are read at a time at most.
    pub(super) fn step(&self) -> usize {
        usize::try_from(self.throttle.step()).unwrap_or(usize::MAX)
    }

    /// Counts bytes that came, and waits as long as the transfer's rate wants it.
    pub(super) async fn came(&self, ask: &Ask, bytes: usize) {
        ask.received.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.throttle.rate().is_some() {
            ask.room.get_or_init(|| ask.link.room(ask.expected));
            ask.clocks.over(Wait::Limit, self.throttle.pass(bytes as u64)).await;
        }
    }

    /// Proves, writes, notes, tells. Blocks.
    fn keep(&self, ask: &Ask, batch: &Batch) -> Result<(), Stop> {
        let units = batch.units.iter().map(|(place, range)| (*place, &batch.buffer.as_ref()[range.clone()]));
        let proven = units.take_while(|(place, bytes)| self.source.proves(*place, bytes));
        let proven: Vec<_> = self.clocks.hashed.during(|| proven.collect());
        let stored = self.clocks.written.during(|| self.source.store(&proven));
        stored.map_err(|error| self.disk_failed(error))?;
        let units: Vec<_> = proven.into_iter().map(|(place, _)| place).collect();
        let lie = batch.units.get(units.len()).map(|(place, _)| place.unit);
        if !units.is_empty() {
            // A transfer that has ended needs no news.
            let _ = self.actor.cast(Message::Proven { request: ask.request, node: ask.node, units });
        }
        lie.map_or(Ok(()), |unit| Err(self.lied(ask, unit)))
    }

    /// Told from here: the task may have been aborted, and a lie must not go unnoticed.
    pub(super) fn lied(&self, ask: &Ask, unit: u32) -> Stop {
        ask.span.in_scope(|| tracing::debug!(unit, "does not prove"));
        self.tell(Input::Fault { request: ask.request, unit: Some(unit), fault: Fault::Lie });
        Stop::Told
    }
}
