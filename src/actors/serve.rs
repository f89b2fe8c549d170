//! The serve loop: every stream that a peer opens becomes one task, bounded by QUIC's stream limit for the
//! connection and by a semaphore for the process. What is answered is the role's own affair.

use std::sync::Arc;

use quinn::{RecvStream, SendStream, VarInt};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::io::frames;
use crate::io::link::Link;
use crate::wire::{Answer, Code, Refusal, Request, limits};

/// Requests answered at once by this process.
const STREAMS: usize = 2048;
/// Streams of events that stay open: they wait more than they work, and must not keep requests out.
const LASTING: usize = 16_384;

/// How a role answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers one request on its stream; errors have been told to the peer when it returns.
    fn answer(&self, link: &Link, request: Request, stream: Stream) -> impl Future<Output = ()> + Send;
}

/// Both directions of the stream of one request.
pub struct Stream {
    /// To the peer.
    pub send: SendStream,
    /// From the peer.
    pub recv: RecvStream,
    /// Its place among those that are served.
    place: Option<Place>,
}

struct Place {
    permit: OwnedSemaphorePermit,
    lasting: Arc<Semaphore>,
}

impl Place {
    fn stay(&mut self) -> Result<(), Code> {
        self.permit = Arc::clone(&self.lasting).try_acquire_owned().map_err(|_| Code::Busy)?;
        Ok(())
    }
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
    pub async fn grant<T: Serialize>(&mut self, message: T, cap: usize) -> Result<(), frames::CallError> {
        frames::send(&mut self.send, &Answer::Ok(message), cap).await
    }

    /// Sends a granted answer and ends the stream.
    pub async fn finish_with<T: Serialize>(mut self, message: T, cap: usize) {
        if self.grant(message, cap).await.is_ok() {
            self.finish();
        }
    }

    /// Refuses the request and ends the stream.
    pub async fn refuse(mut self, refusal: impl Into<Refusal>) {
        let answer: Answer<()> = Err(refusal.into());
        if frames::send(&mut self.send, &answer, limits::CONTROL).await.is_ok() {
            self.finish();
        }
    }

    /// The stream becomes one that stays open for events, and no longer counts as a request.
    ///
    /// # Errors
    /// Busy, when too many do so already.
    pub fn stay(&mut self) -> Result<(), Code> {
        self.place.as_mut().map_or(Ok(()), Place::stay)
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
pub async fn serve_links<A: Answers>(mut links: mpsc::Receiver<Link>, answers: Arc<A>) {
    let places = Places { requests: Arc::new(Semaphore::new(STREAMS)), lasting: Arc::new(Semaphore::new(LASTING)) };
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            link = links.recv() => match link {
                Some(link) => drop(tasks.spawn(serve_link(link, Arc::clone(&answers), places.clone()))),
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Room for streams, over all links.
#[derive(Clone)]
struct Places {
    requests: Arc<Semaphore>,
    lasting: Arc<Semaphore>,
}

async fn serve_link<A: Answers>(link: Link, answers: Arc<A>, places: Places) {
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = link.accept_stream() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        let Ok((send, recv)) = accepted else { return };
        // Only now: an idle link takes no place, or as many links as there are places would stop all service.
        let Ok(permit) = Arc::clone(&places.requests).acquire_owned().await else { return };
        let place = Some(Place { permit, lasting: Arc::clone(&places.lasting) });
        let stream = Stream { send, recv, place };
        let (link, answers) = (link.clone(), Arc::clone(&answers));
        tasks.spawn(async move { serve_stream(&link, answers.as_ref(), stream).await });
    }
}

async fn serve_stream<A: Answers>(link: &Link, answers: &A, mut stream: Stream) {
    match frames::receive_request(&mut stream.recv).await {
        Ok(request) => answers.answer(link, request, stream).await,
        Err(error) => {
            tracing::debug!(peer = %link.peer().short(), %error, "a request that cannot be read");
            stream.refuse(error.code()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_stay_make_room_for_requests_until_too_many_do() {
        let (requests, lasting) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let place = || {
            let permit = Arc::clone(&requests).try_acquire_owned().ok()?;
            Some(Place { permit, lasting: Arc::clone(&lasting) })
        };
        let mut first = place().expect("room");
        assert!(place().is_none());
        first.stay().expect("room to stay");
        let mut second = place().expect("room again");
        assert_eq!(second.stay(), Err(Code::Busy));
        drop(first);
        assert_eq!(second.stay(), Ok(()));
    }
}
