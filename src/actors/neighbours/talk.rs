//! The standing stream of two neighbours: one task that reads at the pace a neighbour may have, one that writes what
//! waits. Invariant: the next frame is read only after the actor has taken the last one; what waits to be written has
//! a place among a bounded number of bytes; however the task ends, also when it is dropped, the actor is told.

use quinn::{RecvStream, SendStream};
use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Message;
use crate::actors::limits::pool::{Pool, Taken};
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::var_int;
use crate::logic::flood::RATE;
use crate::logic::limits::bucket::Tokens;
use crate::logic::limits::shares::{Limits, Who};
use crate::model::NodeId;
use crate::wire::{Code, Heard, NeighbourFrame, limits};

/// Frames that wait for one neighbour. Who does not read so many is left.
const WAITING: usize = 256;
/// What waits for all neighbours, in KiB; a frame is at most 1024. One that does not read does not fill it for the others.
const ROOM: Limits = Limits { all: 32 << 10, network: 16 << 10, peer: 4 << 10, reserve: 8 << 10, modest: 1 << 10 };

/// Room for that.
#[must_use]
pub fn room() -> Pool {
    Pool::new(ROOM)
}

/// A frame that waits, with its place.
#[derive(Debug)]
pub(super) struct Queued {
    frame: NeighbourFrame,
    _place: Taken,
}

/// The actor's end of a neighbour's stream. Dropped, it ends the stream.
#[derive(Debug)]
pub(super) struct FrameQueue {
    queue: mpsc::Sender<Queued>,
    room: Pool,
    who: Who,
}

/// What the task of a neighbour's stream works with.
#[derive(Debug)]
pub struct Ticket {
    frames: mpsc::Receiver<Queued>,
    end: End,
}

/// The end of a stream, told when this is dropped: the task of a stream that the other side opened is dropped with its
/// connection, at any moment.
#[derive(Debug)]
pub(super) struct End {
    pub(super) node: NodeId,
    /// Tells this stream from another one of the same neighbour.
    pub(super) serial: u64,
    pub(super) actor: ActorRef<Message>,
    /// Another connection to the same node took its place.
    pub(super) duplicate: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        let Self { node, serial, duplicate, .. } = *self;
        // Gone only with the node itself.
        let _ = self.actor.cast(Message::Ended { node, serial, duplicate });
    }
}

impl FrameQueue {
    pub(super) fn new(end: End, room: Pool, who: Who) -> (Self, Ticket) {
        let (queue, frames) = mpsc::channel(WAITING);
        (Self { queue, room, who }, Ticket { frames, end })
    }

    /// Queues a frame; says whether the neighbour still keeps up.
    pub(super) fn say(&self, frame: NeighbourFrame) -> bool {
        let place = self.room.try_take(self.who, kibibytes(&frame));
        place.is_some_and(|place| self.queue.try_send(Queued { frame, _place: place }).is_ok())
    }
}

/// At least what a frame takes.
fn kibibytes(frame: &NeighbourFrame) -> usize {
    let bytes = match frame {
        NeighbourFrame::Found(found) => {
            let hits: usize = found.hits.iter().map(crate::logic::offers::page::of_hit).sum();
            hits + found.nodes.len() * crate::logic::offers::page::MAX_PROVIDER
        }
        _ => 0,
    };
    (bytes >> 10) + 1
}

/// Talks until either side ends it, or the connection is lost; whether that gave way to another one between the same nodes.
pub(crate) async fn talk(ticket: Ticket, (mut send, mut recv): (SendStream, RecvStream)) -> bool {
    let Ticket { frames, mut end } = ticket;
    let ended = tokio::select! {
        ended = write(frames, &mut send) => ended,
        ended = read(&end, &mut recv) => ended,
    };
    // What this side closes, at the node's end, is no news.
    if let Some(error) = ended.as_ref().err().filter(|error| !error.is_duplicate()) {
        tracing::debug!(peer = %end.node.short(), %error, "a neighbour's stream ended");
    }
    // Both may be over already. What was not taken in time is not kept for later.
    let _ = if matches!(ended, Err(CallError::TimedOut)) { send.reset(var_int(Code::TimedOut)) } else { send.finish() };
    let _ = recv.stop(var_int(Code::Closing));
    end.duplicate = ended.is_err_and(|error| error.is_duplicate());
    end.duplicate
}

async fn write(mut frames: mpsc::Receiver<Queued>, send: &mut SendStream) -> Result<(), CallError> {
    while let Some(queued) = frames.recv().await {
        frames::send(send, &queued.frame, limits::PAGE).await?;
    }
    Ok(())
}

async fn read(end: &End, recv: &mut RecvStream) -> Result<(), CallError> {
    let (begun, mut pace) = (Instant::now(), Tokens::new(RATE.0, RATE.1));
    while let Some(frame) = frames::receive::<Heard<NeighbourFrame>>(recv, limits::PAGE).await? {
        if !matches!(frame, Heard::Known(NeighbourFrame::Done(_) | NeighbourFrame::Found(_))) {
            // Whoever asks faster, or says what is not known here, waits: its stream fills, and then it.
            sleep(pace.owe(begun.elapsed())).await;
        }
        if ractor::call!(end.actor, Message::Frame, end.node, end.serial, frame).is_err() {
            break;
        }
    }
    Ok(())
}
