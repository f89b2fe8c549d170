//! The serve loop: every stream that a peer opens becomes one task. What is answered is the role's own affair.
//! Invariant: nothing that others need is held for a request before it is whole: until then it has its QUIC stream, a
//! place among its own connection's `UNREAD`, and the bytes that came. Then it has a place in a divided pool.

pub mod clock;
pub mod dial_back;
pub mod inbox;
pub mod node;
mod places;
#[cfg(test)]
mod tests;
pub mod tracker;
pub mod upload;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{RecvStream, SendStream, VarInt};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, info_span};

use self::places::RequestPlace;
use crate::actors::limits::pool::who;
use crate::io::net::frames::{self, CallError, Incoming, REQUEST};
use crate::io::net::link::Link;
use crate::io::net::transport::KEEP_ALIVE;
use crate::logic::limits::shares::Who;
use crate::model::NodeId;
use crate::wire::codec::decode_request;
use crate::wire::{Answer, Code, Refusal, Request, limits};

pub use self::places::{Pages, Places, Room, kib, lasting_units};

/// Requests of one connection that are not whole, or wait for a place. Those of honest peers are whole at once, but for
/// lost packets; later ones wait to be accepted.
const UNREAD: usize = 16;

/// A peer of which nothing comes for so long is not there: each answers a packet at least as often as it is asked whether it
/// lives.
const GONE: Duration = KEEP_ALIVE.saturating_mul(2);

/// How a role answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers one request on its stream; errors have been told to the peer when it returns.
    fn answer(&self, link: &Link, request: Request, stream: Stream) -> impl Future<Output = ()> + Send;

    /// Whether a node is a friend, which others do not keep out.
    fn is_friend(&self, node: NodeId) -> bool {
        let _ = node;
        false
    }
}

/// Both directions of the stream of one request.
pub struct Stream {
    /// To the peer.
    pub send: SendStream,
    /// From the peer.
    pub recv: RecvStream,
    /// Its place among those that are served.
    place: Option<RequestPlace>,
}

impl Stream {
    /// A stream that no serve loop counts.
    #[must_use]
    pub const fn new(send: SendStream, recv: RecvStream) -> Self {
        Self { send, recv, place: None }
    }

    /// Puts what is sent behind the answers to earlier bulk requests of the same connection: units become whole, and
    /// so of use to others, one after the other instead of all at the end. Everything else goes before.
    pub fn queue_behind_earlier(&self) {
        let place = i32::try_from(self.send.id().index()).unwrap_or(i32::MAX);
        // Closed already: the peer has gone or cancelled.
        let _ = self.send.set_priority(place.saturating_neg().saturating_sub(1));
    }

    /// Sends a granted answer.
    ///
    /// # Errors
    /// When the peer no longer listens.
    pub async fn grant<T: Serialize>(&mut self, message: T, cap: usize) -> Result<(), CallError> {
        frames::send(&mut self.send, &Answer::Ok(message), cap).await
    }

    /// Sends a granted answer and ends the stream.
    pub async fn finish_with<T: Serialize>(mut self, message: T, cap: usize) {
        let sent = self.grant(message, cap).await;
        self.end(sent);
    }

    /// Refuses the request and ends the stream.
    pub async fn refuse(mut self, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        tracing::info!(code = %refusal.code, "refused");
        let answer: Answer<()> = Err(refusal);
        let sent = frames::send(&mut self.send, &answer, limits::CONTROL).await;
        self.end(sent);
    }

    /// What is to be sent, and the stream; nothing after a refusal.
    pub async fn unless_refused<T>(self, made: Result<T, impl Into<Refusal>>) -> Option<(T, Self)> {
        match made {
            Ok(made) => Some((made, self)),
            Err(refusal) => {
                self.refuse(refusal).await;
                None
            }
        }
    }

    /// Answers with what is being made for the peer, as long as it waits: who gives the question up, has gone without a word,
    /// or has waited as long as anybody does, is worked for no more.
    pub async fn answer_with(mut self, link: &Link, made: impl Future<Output = Result<(Box<[u8]>, Room), Code>>) {
        let stopped = self.send.stopped();
        let made = tokio::select! {
            _ = stopped => return self.reset(Code::Cancelled),
            () = link.silent(GONE) => return self.reset(Code::TimedOut),
            made = timeout(REQUEST, made) => made,
        };
        match made {
            Ok(Ok((answer, room))) => self.deliver(answer.into(), room).await,
            Ok(Err(code)) => self.refuse(code).await,
            Err(_) => self.reset(Code::TimedOut),
        }
    }

    /// Sends a whole answer that was made for the peer and ends the stream; keeps the answer's room until the peer has
    /// acknowledged it. Who takes it too slowly, or not at all while others wait, is left.
    async fn deliver(mut self, answer: Bytes, mut room: Room) {
        let len = answer.len();
        room.shrink(len);
        let sent = frames::write_unless(&mut self.send, answer, || room.pressed(places::STALLED)).await;
        if sent.is_ok() {
            self.finish();
            let taken = self.send.stopped();
            tokio::select! {
                // An error says that the peer has gone.
                _ = taken => return,
                () = sleep(frames::limit(len)) => {}
                () = room.pressed(places::settling(len)) => {}
            }
        }
        self.reset(Code::TimedOut);
        if !matches!(sent, Err(CallError::Lost(_) | CallError::Reset(_))) {
            room.blame();
        }
    }

    /// The stream becomes one that stays open for events, and no longer counts as a request. `units` as
    /// [`lasting_units`] says.
    ///
    /// # Errors
    /// Busy, when too many do so already.
    pub fn stay(&mut self, units: usize) -> Result<(), Code> {
        self.place.as_mut().map_or(Ok(()), |place| place.stay(units))
    }

    /// Ends the stream after its last frame; if that did not go, what is left of it is nobody's concern any more.
    pub fn end(&mut self, sent: Result<(), CallError>) {
        match sent {
            Ok(()) => self.finish(),
            Err(error) => self.reset(error.code()),
        }
    }

    /// Ends the stream after what was sent.
    pub fn finish(&mut self) {
        // Closed already: the peer has gone or cancelled.
        let _ = self.send.finish();
    }

    /// Ends the stream at once with a code.
    pub fn reset(&mut self, code: Code) {
        // Closed already: the peer has gone or cancelled.
        let _ = self.send.reset(VarInt::from_u32(code.into()));
    }
}

/// Serves every link that arrives until the channel closes; dropped tasks end with their streams.
pub async fn serve_links<A: Answers>(mut links: mpsc::Receiver<Link>, answers: Arc<A>, places: Places) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            link = links.recv() => match link {
                Some(link) => {
                    let span = info_span!("link", peer = %link.peer().short(), at = %link.remote());
                    drop(tasks.spawn(serve_link(link, Arc::clone(&answers), places.clone()).instrument(span)));
                }
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn serve_link<A: Answers>(link: Link, answers: Arc<A>, places: Places) {
    let unread = Arc::new(Semaphore::new(UNREAD));
    let mut tasks = JoinSet::new();
    loop {
        let next = async {
            let turn = Arc::clone(&unread).acquire_owned().await.ok()?;
            Some((turn, link.accept_stream().await.ok()?))
        };
        let (turn, (send, recv)) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            Some(_) = tasks.join_next() => continue,
        };
        let request = serve_stream(link.clone(), Stream::new(send, recv), Arc::clone(&answers), places.clone(), turn);
        tasks.spawn(request.in_current_span());
    }
}

/// One request: read until it is whole, then answered. `turn` is its place among those of the link that are not.
async fn serve_stream<A: Answers>(
    link: Link,
    mut stream: Stream,
    answers: Arc<A>,
    places: Places,
    turn: OwnedSemaphorePermit,
) {
    let who = who(&link, answers.is_friend(link.peer()));
    match places.receive(&mut stream.recv, who).await {
        Ok((request, place)) => {
            if !goes_on(&request) {
                // What else comes would be kept, unread, as long as the stream is open. Whole already otherwise.
                let _ = stream.recv.stop(VarInt::from_u32(Code::Closing.into()));
            }
            stream.place = Some(place);
            drop(turn);
            let span = info_span!("request", ?request);
            span.in_scope(|| tracing::debug!("asked"));
            // On the heap, so that streams whose requests do not come are small.
            Box::pin(answers.answer(&link, request, stream)).instrument(span).await;
        }
        Err(error) => {
            tracing::debug!(%error, "a request that cannot be read");
            stream.refuse(error.code()).await;
        }
    }
}

impl Places {
    /// A stream's request once it is whole and its turn has come, with its place.
    async fn receive(&self, recv: &mut RecvStream, who: Who) -> Result<(Request, RequestPlace), CallError> {
        let whole = async {
            let mut frame = Incoming::begin(recv, limits::CONTROL).await?.ok_or(CallError::Ended)?;
            frame.read(recv, places::SMALL).await?;
            let large = if frame.missing() > 0 { Some(self.bytes.take(who, kib(frame.claimed())).await) } else { None };
            Ok::<_, CallError>((frame.whole(recv).await?, large))
        };
        let (value, large) = timeout(REQUEST, whole).await.map_err(|_| CallError::TimedOut)??;
        let request = decode_request(&value)?;
        drop(value);
        Ok((request, self.place(who, large).await))
    }
}

/// Whether more than the request comes from who made it.
const fn goes_on(request: &Request) -> bool {
    matches!(request, Request::Announce(_) | Request::Bench(_) | Request::Join(_) | Request::Put(_))
}
