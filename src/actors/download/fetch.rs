//! Plain tasks that bring units: stream → pooled buffer → hash → positional write → a message to the transfer.
//! Invariant: nothing is written before it is proven, and what was written is told even when the task is aborted.
//! Not responsible for what to ask for, nor for silence: the transfer cancels what takes too long.

mod batch;
mod kin;
mod list;
mod verify;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::RecvStream;
use ractor::ActorRef;
use tokio::sync::Semaphore;

use crate::actors::download::Message;
use crate::actors::download::clocks::{Clocks, StreamClocks, Wait};
use crate::actors::download::source::PartialSource;
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::throttle::Throttle;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::logic::transfer::{End, Fault, Input, RequestId};
use crate::model::{ContentId, NodeId, UnitMap};
use crate::wire::{Code, Fetch, RECORD_HEAD, RecordHead, RecordKind, Request, limits};

use batch::Writer;
pub(crate) use kin::from_kin;
pub(crate) use list::fetch_list;
pub(crate) use verify::verify;

/// Blocking writes at a time; whoever holds all permits knows that none is under way.
pub(crate) const WRITERS: u32 = 32;

/// What all fetch tasks of one transfer share.
#[derive(Debug)]
pub(crate) struct FetchContext {
    pub(crate) id: ContentId,
    pub(crate) size: u64,
    pub(crate) map: Arc<UnitMap>,
    pub(crate) source: Arc<PartialSource>,
    pub(crate) buffers: BufferPool,
    pub(crate) throttle: Throttle,
    pub(crate) writers: Arc<Semaphore>,
    pub(crate) clocks: Clocks,
    pub(crate) actor: ActorRef<Message>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) request: RequestId,
    pub(crate) node: NodeId,
    pub(crate) link: Link,
    /// Bytes that came, sampled by the transfer.
    pub(crate) received: Arc<AtomicU64>,
    /// What its streams wait for.
    pub(crate) clocks: Arc<StreamClocks>,
}

/// Why a request stopped before its end.
enum Stop {
    End(End),
    Fault(Option<u32>, Fault),
    /// The disk refused, or the process ends; told already.
    Told,
}

impl FetchContext {
    pub(crate) fn tell(&self, input: Input) {
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::Input(input));
    }

    fn finish(&self, request: RequestId, ended: Result<(), Stop>) {
        match ended {
            Ok(()) => self.tell(Input::Ended { request, end: End::Finished }),
            Err(Stop::End(end)) => self.tell(Input::Ended { request, end }),
            Err(Stop::Fault(unit, fault)) => self.tell(Input::Fault { request, unit, fault }),
            Err(Stop::Told) => {}
        }
    }

    /// Reads exactly these bytes, at the transfer's rate.
    async fn read(&self, from: &mut RecvStream, ask: &Ask, mut buf: &mut [u8]) -> Result<(), CallError> {
        let step = usize::try_from(self.throttle.step()).unwrap_or(usize::MAX);
        while !buf.is_empty() {
            let most = buf.len().min(step);
            let read = ask.clocks.over(Wait::Bytes, from.read(&mut buf[..most])).await?.ok_or(CallError::Ended)?;
            ask.received.fetch_add(read as u64, Ordering::Relaxed);
            if self.throttle.limits() {
                ask.clocks.over(Wait::Limit, self.throttle.pass(read as u64)).await;
            }
            buf = &mut buf[read..];
        }
        Ok(())
    }
}

/// Asks for units and takes in what comes.
pub(crate) async fn fetch_units(context: Arc<FetchContext>, ask: Ask, units: Vec<Range<u32>>, max: u32) {
    let accepted: BTreeSet<u32> = units.iter().cloned().flatten().collect();
    let choice = (max as usize) < accepted.len();
    let units = units.into_iter().map(|r| (r.start, r.end - r.start)).collect();
    let request = Request::Fetch(Fetch { id: context.id, size: context.size, units, max });
    let writer = Writer::new(Arc::clone(&context), ask.clone());
    let mut intake = Intake { context: &context, ask: &ask, accepted, left: max, choice, current: None, writer };
    let ended = intake.run(request).await;
    context.finish(ask.request, ended);
}

struct Intake<'a> {
    context: &'a FetchContext,
    ask: &'a Ask,
    /// Units that may still come.
    accepted: BTreeSet<u32>,
    left: u32,
    choice: bool,
    current: Option<u32>,
    writer: Writer,
}

impl Intake<'_> {
    async fn run(&mut self, request: Request) -> Result<(), Stop> {
        self.ask.link.widen();
        let calling = frames::call::<()>(&self.ask.link, &request, limits::CONTROL);
        let answered = self.ask.clocks.over(Wait::Bytes, calling).await;
        let ((), _to, mut from) = answered.map_err(|error| self.stop(error))?;
        while let Some(RecordHead { unit, kind }) = self.head(&mut from).await.map_err(|error| self.stop(error))? {
            if !self.accepted.remove(&unit) || self.left == 0 {
                return Err(Stop::Fault(Some(unit), Fault::Lie));
            }
            self.left -= 1;
            if kind == RecordKind::Missing {
                let (request, unit) = (self.ask.request, Some(unit));
                self.context.tell(Input::Fault { request, unit, fault: Fault::Missing });
                continue;
            }
            self.unit(&mut from, unit).await?;
        }
        self.writer.flush().await?;
        self.writer.settle().await
    }

    async fn unit(&mut self, from: &mut RecvStream, unit: u32) -> Result<(), Stop> {
        if self.choice {
            self.context.tell(Input::Started { request: self.ask.request, unit });
        }
        self.current = Some(unit);
        let len = usize::try_from(self.context.map.len(crate::model::UnitIndex(unit))).unwrap_or(usize::MAX);
        let room = self.writer.room(unit, len).await?;
        let read = self.context.read(from, self.ask, room).await;
        read.map_err(|error| self.stop(error))?;
        self.writer.filled().await
    }

    /// A record's head; `None` at the stream's clean end.
    async fn head(&self, from: &mut RecvStream) -> Result<Option<RecordHead>, CallError> {
        let mut head = [0; RECORD_HEAD];
        let Some(first) = self.ask.clocks.over(Wait::Bytes, from.read(&mut head)).await? else { return Ok(None) };
        from.read_exact(&mut head[first..]).await?;
        Ok(Some(RecordHead::parse(head)?))
    }

    fn stop(&self, error: CallError) -> Stop {
        match error {
            CallError::Reset(Code::Changed) => {
                Stop::Fault(self.current.or_else(|| self.accepted.first().copied()), Fault::Changed)
            }
            other => stop_of(other),
        }
    }
}

fn stop_of(error: CallError) -> Stop {
    Stop::End(match error {
        CallError::Refused(refusal) if refusal.code == Code::Busy => {
            End::Busy { retry: Duration::from_millis(refusal.retry_ms.clamp(50, 5_000).into()) }
        }
        CallError::Refused(refusal) => End::Refused(refusal.code),
        CallError::Reset(code) => End::Reset(code),
        CallError::Lost(_) => End::Lost,
        CallError::Frame(_) => End::Reset(Code::BadRequest),
        CallError::TimedOut => End::TimedOut,
        CallError::Ended => End::Reset(Code::Internal),
    })
}
