//! Something that is sent to single nodes, for a command: by a node inside it, or by the running one of its home. Invariant:
//! however the command goes, what it sends goes with it, unless it is left to the node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::fetch::speak;
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
    leaver: Option<Canceller>,
    task: JoinHandle<Result<PutProgress, Error>>,
}

impl Put {
    pub(in crate::node) fn here(inner: Arc<Inner>, wish: PutWish) -> Self {
        let mut putting = Putting::begin(inner, wish);
        let (progress, canceller) = (putting.progress.clone(), putting.canceller.clone());
        Self { progress, canceller, leaver: None, task: tokio::spawn(async move { putting.finish().await }) }
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

    /// Leaves it to the running node of the home, where that carries it out: then it has a number.
    #[must_use]
    pub fn leaver(&self) -> Option<Canceller> {
        self.leaver.clone()
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
        let ((canceller, cancelled), (leaver, left)) = (Canceller::new(), Canceller::new());
        let leaves = leaver.clone();
        let is_content = !wish.paths.is_empty() || !wish.options.named.is_empty();
        // What cannot be offered is told to the command that can still hear it.
        let is_offered = move |now: &PutProgress| {
            let known = now.receivers.iter().all(|one| one.node.is_some());
            known && now.hashing.is_none() && !(is_content && now.items.is_empty())
        };
        let task = tokio::spawn(async move {
            let (to, mut from) = self.begin(&Request::Put(places, Box::new(wish))).await?;
            let hear = async {
                loop {
                    match self.next(&mut from).await? {
                        Told::Answer(len) => return self.answer::<Result<PutProgress, Error>>(&mut from, len).await?,
                        Told::PutLeft(number) => {
                            return Ok(PutProgress { number: Some(number), ..tell.borrow().clone() });
                        }
                        Told::Put(now) => {
                            if detach && is_offered(&now) {
                                leaves.cancel();
                            }
                            tell.send_replace(*now);
                        }
                        _ => {}
                    }
                }
            };
            tokio::select! {
                ended = hear => ended,
                never = speak(to, cancelled, left) => never,
            }
        });
        Put { progress, canceller, leaver: Some(leaver), task }
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
    let (mut heard, mut is_gone, mut samples) = (false, false, interval(SAMPLE));
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
                        Ok(number) => frames::send(to, &Told::PutLeft(number), PAGE).await,
                        Err(error) => answer_with(to, packed(&Err::<PutProgress, Error>(error))).await,
                    };
                }
                is_gone = !matches!(word, Ok(Some(_)));
                putting.canceller.cancel();
            }
        }
    };
    if is_gone {
        // Nobody else removes it.
        left::spool_ends(&wish.spooled).await;
    }
    let end = end.map_err(|error| match error {
        // Its task was cut off with the node.
        Error::Internal(_) => Error::Control(ControlError::Lost),
        error => error,
    });
    answer_with(to, packed(&end)).await
}
