//! Something that is sent to single nodes, for a command: by a node inside it, or by the running one of its home. Invariant:
//! however the command goes, what it sends goes with it, unless it is left to the node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::request::{Request, Told, Word};
use super::{Remote, answer_with, packed};
use crate::io::net::frames::{self, CallError};
use crate::node::Node;
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::node::inner::puts::{Putting, left};
use crate::node::types::{Canceller, Places, PutProgress, PutWish};
use crate::wire::limits::PAGE;

/// How often it is told how it stands: as often as it is shown.
const SAMPLE: Duration = Duration::from_millis(200);

/// Something that is sent. Dropped, it is so no longer, unless it was left to the running node.
pub struct Put {
    progress: watch::Receiver<PutProgress>,
    canceller: Canceller,
    task: JoinHandle<Result<PutProgress, Error>>,
}

impl Put {
    pub(in crate::node) fn here(inner: Arc<Inner>, wish: PutWish) -> Self {
        let mut putting = Putting::begin(inner, wish);
        let (progress, canceller) = (putting.progress.clone(), putting.canceller.clone());
        Self { progress, canceller, task: tokio::spawn(async move { putting.finish().await }) }
    }

    /// How it stands.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<PutProgress> {
        self.progress.clone()
    }

    /// Ends it from elsewhere: those who have not decided are told that it is withdrawn.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Waits until all have decided and have it, nothing has moved for as long as is waited, or it was ended.
    ///
    /// # Errors
    /// When it cannot be offered, or the running node has ended.
    pub async fn finish(&mut self) -> Result<PutProgress, Error> {
        (&mut self.task).await?
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Remote {
    /// Has the node send something, looking at these places; `detach`ed it is left to the node once it is offered.
    #[must_use]
    pub fn put(self: Arc<Self>, places: Places, wish: PutWish, detach: bool) -> Put {
        let (tell, progress) = watch::channel(PutProgress::default());
        let (canceller, mut cancelled) = Canceller::new();
        let task = tokio::spawn(async move {
            let (mut to, mut from) = self.begin(&Request::Put(places, Box::new(wish))).await?;
            let mut spoken = false;
            loop {
                let told = tokio::select! {
                    told = self.next(&mut from) => told?,
                    Ok(_) = cancelled.wait_for(|cancelled| *cancelled), if !spoken => {
                        spoken = true;
                        // A node that is gone is noticed by whoever hears it.
                        let _ = frames::send(&mut to, &Word::Cancel, PAGE).await;
                        continue;
                    }
                };
                match told {
                    Told::Answer(len) => return self.answer::<Result<PutProgress, Error>>(&mut from, len).await?,
                    Told::Left => return Ok(tell.borrow().clone()),
                    Told::Put(now) => {
                        let is_offered = now.hashing.is_none() && now.receivers.iter().all(|one| one.node.is_some());
                        tell.send_replace(*now);
                        if detach && is_offered && !spoken {
                            spoken = true;
                            let _ = frames::send(&mut to, &Word::Leave, PAGE).await;
                        }
                    }
                    _ => {}
                }
            }
        });
        Put { progress, canceller, task }
    }
}

/// The node's side.
pub(super) async fn put(
    node: &Node,
    wish: PutWish,
    to: &mut SendStream,
    from: &mut RecvStream,
) -> Result<(), CallError> {
    let mut putting = Putting::begin(Arc::clone(&node.inner), wish.clone());
    let mut progress = putting.progress.clone();
    progress.mark_changed();
    let mut word = pin!(frames::receive::<Word>(from, PAGE));
    let (mut heard, mut samples) = (false, interval(SAMPLE));
    let end = loop {
        tokio::select! {
            end = putting.finish() => break end,
            _ = samples.tick() => if progress.has_changed().unwrap_or(false) {
                let now = progress.borrow_and_update().clone();
                frames::send(to, &Told::Put(Box::new(now)), PAGE).await?;
            },
            word = &mut word, if !heard => {
                heard = true;
                if let Ok(Some(Word::Leave)) = word {
                    let left = node.inner.jobs().cloned();
                    let left = match left {
                        Ok(_) => left::leave(&node.inner, putting, wish).await,
                        Err(error) => Err(error),
                    };
                    return match left {
                        Ok(_) => frames::send(to, &Told::Left, PAGE).await,
                        Err(error) => answer_with(to, packed(&Err::<PutProgress, Error>(error))).await,
                    };
                }
                putting.canceller.cancel();
            }
        }
    };
    left::spool_ends(&wish).await;
    let end = end.map_err(|error| match error {
        // Its task was cut off with the node.
        Error::Internal(_) => Error::Control(ControlError::Lost),
        error => error,
    });
    answer_with(to, packed(&end)).await
}
