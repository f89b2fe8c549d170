//! Plain tasks that bring units: stream → pooled buffer → hash → positional write → a message to the transfer.
//! Invariant: nothing is written before it is proven, and what was written is told even when the task is aborted.
//! Not responsible for what to ask for, nor for silence: the transfer cancels what takes too long.

mod kin;
mod list;
mod units;
mod verify;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::Semaphore;
use tracing::Span;

use crate::actors::download::Message;
use crate::actors::download::clocks::{Clocks, StreamClocks};
use crate::actors::download::source::PartialSource;
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::throttle::Throttle;
use crate::io::net::frames::CallError;
use crate::io::net::link::{Link, Room};
use crate::io::receive::partial::PartialError;
use crate::logic::transfer::{End, Fault, Input, RequestId};
use crate::model::{NodeId, Wanted};
use crate::wire::Code;

pub(crate) use kin::from_kin;
pub(crate) use list::fetch_list;
pub(crate) use units::fetch_units;
pub(crate) use verify::verify;

/// Blocking writes at a time; whoever holds all permits knows that none is under way.
pub(crate) const WRITERS: u32 = 32;

/// What all fetch tasks of one transfer share.
#[derive(Debug)]
pub(crate) struct FetchContext {
    pub(crate) wanted: Arc<Wanted>,
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
    /// Bytes that may come, and the room for them on the connection once they are not read as they come.
    pub(crate) expected: u64,
    pub(crate) room: Arc<OnceLock<Room>>,
    /// What its streams wait for.
    pub(crate) clocks: Arc<StreamClocks>,
    /// Whom it asks for what, for the log: its task runs in it.
    pub(crate) span: Span,
}

/// Why a request stopped before its end.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{0}")]
    End(End),
    #[error("{1}")]
    Fault(Option<u32>, Fault),
    /// The disk refused, or the process ends; told already.
    #[error("it could not be kept here")]
    Told,
}

impl FetchContext {
    pub(crate) fn tell(&self, input: Input) {
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::Input(input));
    }

    fn finish(&self, request: RequestId, ended: Result<(), Stop>) {
        let told = ended.as_ref().map_or_else(ToString::to_string, |()| "whole".to_owned());
        tracing::debug!(ended = told, "a request has ended");
        match ended {
            Ok(()) => self.tell(Input::Ended { request, end: End::Finished }),
            Err(Stop::End(end)) => self.tell(Input::Ended { request, end }),
            Err(Stop::Fault(unit, fault)) => self.tell(Input::Fault { request, unit, fault }),
            Err(Stop::Told) => {}
        }
    }

    fn disk_failed(&self, error: PartialError) -> Stop {
        let _ = self.actor.cast(Message::Failed(error));
        Stop::Told
    }
}

/// What an error of the exchange means, where `unit` is the one that was to come.
fn stop_of(error: CallError, unit: Option<u32>) -> Stop {
    Stop::End(match error {
        CallError::Reset(Code::Changed) => return Stop::Fault(unit, Fault::Changed),
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
