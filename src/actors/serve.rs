//! The serve loop: every stream that a peer opens becomes one task, bounded by QUIC's stream limit for the
//! connection and by a semaphore for the process. What is answered is the role's own affair.

use std::sync::Arc;

use quinn::{RecvStream, SendStream, VarInt};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::io::frames;
use crate::io::link::Link;
use crate::wire::{Answer, Code, Refusal, Request, limits};

/// Streams served at once by this process.
const STREAMS: usize = 2048;

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
}

impl Stream {
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
    let streams = Arc::new(Semaphore::new(STREAMS));
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            link = links.recv() => match link {
                Some(link) => drop(tasks.spawn(serve_link(link, Arc::clone(&answers), Arc::clone(&streams)))),
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn serve_link<A: Answers>(link: Link, answers: Arc<A>, streams: Arc<Semaphore>) {
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = link.accept_stream() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        let Ok((send, recv)) = accepted else { return };
        // Only now: an idle link takes no place, or as many links as there are places would stop all service.
        let Ok(permit) = Arc::clone(&streams).acquire_owned().await else { return };
        let (link, answers) = (link.clone(), Arc::clone(&answers));
        tasks.spawn(async move {
            serve_stream(&link, answers.as_ref(), Stream { send, recv }).await;
            drop(permit);
        });
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
