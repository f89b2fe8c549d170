//! What is sent to single nodes: offered to them alone, told to each of them, and again until they have decided or have it.
//! Invariant: nobody else can have it, what ends with its command is offered no longer when that is done, and whoever was told of it
//! and has not decided is told that it is withdrawn.

pub(crate) mod left;
mod offer;
mod one;
mod told;
mod whom;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use self::offer::Offered;
use self::one::One;
use self::whom::Whom;
use crate::model::NodeId;
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::node::types::{Canceller, PutProgress, PutWish, Receiver, Receiving};
use crate::wire::PutItem;
use crate::wire::limits::{PUT_RECEIVERS, PUT_TEXT};

/// Between two tries to tell a node: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// So long the others are waited for before the first is told where they are, and one is told that it is withdrawn.
const TOGETHER: Duration = Duration::from_secs(2);
/// So long all of them are told that it is withdrawn.
const WITHDRAWING: Duration = Duration::from_secs(5);
/// How often is looked whether it is still what was offered.
const LOOK: Duration = Duration::from_secs(1);

/// Something that is sent. Dropped, it is so no longer.
pub(crate) struct Putting {
    pub(crate) progress: watch::Receiver<PutProgress>,
    pub(crate) canceller: Canceller,
    task: JoinHandle<Result<(), Error>>,
    abort: AbortHandle,
}

impl Putting {
    pub(crate) fn begin(inner: Arc<Inner>, mut wish: PutWish) -> Self {
        let mut named = Vec::new();
        wish.to.retain(|peer| {
            !named.contains(peer) && {
                named.push(peer.clone());
                true
            }
        });
        let receivers = wish.to.iter().cloned().map(|peer| Receiver {
            peer,
            node: None,
            state: Receiving::Looking,
            bytes: 0,
            error: None,
            seen: None,
        });
        let progress = PutProgress { receivers: receivers.collect(), ..PutProgress::default() };
        let (progress, shown) = watch::channel(progress);
        let (canceller, cancelled) = Canceller::new();
        let places = watch::Sender::new(vec![Place::default(); wish.to.len()]);
        let sender = Arc::new(Sender { inner, wish, progress, canceller: canceller.clone(), cancelled, places });
        let task = tokio::spawn(sender.run());
        Self { progress: shown, canceller, abort: task.abort_handle(), task }
    }

    /// Waits until all have decided and have it, nothing has moved for long, or it was cancelled.
    ///
    /// # Errors
    /// When it cannot be offered.
    pub(crate) async fn finish(&mut self) -> Result<PutProgress, Error> {
        (&mut self.task).await??;
        Ok(self.progress.borrow().clone())
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

struct Sender {
    inner: Arc<Inner>,
    wish: PutWish,
    progress: watch::Sender<PutProgress>,
    canceller: Canceller,
    cancelled: watch::Receiver<bool>,
    places: watch::Sender<Vec<Place>>,
}

/// One of those to whom it goes, and where it is, once known.
#[derive(Clone, Default)]
struct Place {
    node: Option<NodeId>,
    addrs: Vec<SocketAddr>,
}

impl Sender {
    async fn run(self: Arc<Self>) -> Result<(), Error> {
        self.check()?;
        let mut cancelled = self.cancelled.clone();
        let mut telling = Box::pin(Arc::clone(&self).tell_all());
        let told = tokio::select! {
            told = &mut telling => Some(told),
            () = self.still() => None,
            () = until(&mut cancelled) => None,
        };
        let told = match told {
            Some(told) => told,
            None => {
                self.canceller.cancel();
                // They are told that it is withdrawn; not for long.
                timeout(WITHDRAWING, &mut telling).await.unwrap_or_else(|_| Ok(Vec::new()))
            }
        };
        for offered in told? {
            offered.end().await;
        }
        Ok(())
    }

    /// Whether it can be told at all.
    fn check(&self) -> Result<(), Error> {
        if self.wish.to.len() > PUT_RECEIVERS {
            return Err(ControlError::TooManyReceivers { count: self.wish.to.len() }.into());
        }
        if self.wish.text.len() > PUT_TEXT {
            return Err(ControlError::LongText { bytes: self.wish.text.len() }.into());
        }
        Ok(())
    }

    /// Waits until nothing has moved for as long as is waited.
    async fn still(&self) {
        let mut progress = self.progress.subscribe();
        let moved = |progress: &PutProgress| {
            let receivers = progress.receivers.iter().map(|receiver| (receiver.state, receiver.bytes));
            (progress.hashing, receivers.collect::<Vec<_>>())
        };
        let mut before = moved(&progress.borrow_and_update());
        let mut until = Instant::now() + self.wish.wait;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                changed = progress.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    let now = moved(&progress.borrow_and_update());
                    // That it looks for somebody who is away is no movement.
                    let is_moved = |(state, bytes): &(Receiving, u64), (was, had): &(Receiving, u64)| {
                        bytes != had || (state != was && !matches!(state, Receiving::Away | Receiving::Looking))
                    };
                    if now.0 != before.0 || now.1.iter().zip(&before.1).any(|(now, before)| is_moved(now, before)) {
                        until = Instant::now() + self.wish.wait;
                    }
                    before = now;
                }
            }
        }
    }

    /// Finds out who they are, offers it to them, and tells each of them until it has decided and has it. Who is not known in time is
    /// looked for while the others have it.
    async fn tell_all(self: Arc<Self>) -> Result<Vec<Offered>, Error> {
        let mut cancelled = self.cancelled.clone();
        let mut looking = JoinSet::new();
        let first = async {
            self.check_paths().await?;
            self.check_names().await?;
            (0..self.wish.to.len()).for_each(|at| drop(looking.spawn(Arc::clone(&self).look_for(at))));
            self.first(&mut looking).await
        };
        let first = tokio::select! {
            first = first => first?,
            () = until(&mut cancelled) => return Ok(Vec::new()),
        };
        let nodes = first.iter().map(|whom| whom.node).collect();
        let (offered, items) = tokio::select! {
            offered = self.begin(nodes) => offered?,
            () = until(&mut cancelled) => return Ok(Vec::new()),
        };
        let mut all = Vec::from_iter(offered);
        let mut telling = JoinSet::new();
        for whom in first {
            telling.spawn(One::new(&self, whom, items.clone()).tell());
        }
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !(looking.is_empty() && telling.is_empty()) {
            tokio::select! {
                Some(found) = looking.join_next() => {
                    let Some((whom, offered)) = self.late(found?, &items).await? else { continue };
                    all.extend(offered);
                    telling.spawn(One::new(&self, whom, items.clone()).tell());
                }
                Some(_) = telling.join_next() => {}
                _ = looks.tick() => self.check_offered(&all).await,
                () = until(&mut cancelled), if !(looking.is_empty() && all.is_empty()) => {
                    // Nobody has it from now on, whoever is still to be told.
                    looking.shutdown().await;
                    for offered in all.drain(..) {
                        offered.end().await;
                    }
                }
            }
        }
        Ok(all)
    }

    /// Offers it to those who are known, and says what it is. What went on over the end of a node and is another thing by now is not.
    async fn begin(&self, nodes: BTreeSet<NodeId>) -> Result<(Option<Offered>, Vec<PutItem>), Error> {
        let told = &self.wish.told;
        let (offered, items) = match self.offer(nodes, "").await {
            Ok((offered, items)) if told.is_empty() || *told == items => (Some(offered), items),
            Ok(_) => {
                self.spoilt(&told[0], false);
                (None, told.clone())
            }
            Err(Error::Survey(_)) if !told.is_empty() => {
                self.spoilt(&told[0], true);
                (None, told.clone())
            }
            Err(error) => return Err(error),
        };
        let total = items.iter().map(|item| item.size).sum();
        self.progress.send_modify(|progress| {
            (progress.items, progress.total, progress.hashing) = (items.clone(), total, None);
        });
        Ok((offered, items))
    }

    /// Offers it to one who was not known before, too.
    async fn late(
        &self,
        found: Result<Option<Whom>, (usize, Error)>,
        items: &[PutItem],
    ) -> Result<Option<(Whom, Option<Offered>)>, Error> {
        let whom = match found {
            Ok(Some(whom)) => whom,
            Ok(None) => return Ok(None),
            Err((at, error)) => {
                self.set(at, |receiver| (receiver.state, receiver.error) = (Receiving::Refused, Some(error)));
                return Ok(None);
            }
        };
        let (mut cancelled, end) = (self.cancelled.clone(), format!("-{}", whom.at));
        let offered = tokio::select! {
            offered = self.offer([whom.node].into(), &end) => offered,
            () = until(&mut cancelled) => return Ok(None),
        };
        match offered {
            Ok((offered, now)) if now == *items => return Ok(Some((whom, Some(offered)))),
            Ok(_) => self.spoilt(&items[0], false),
            Err(Error::Survey(_)) if !items.is_empty() => self.spoilt(&items[0], true),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Ends it where it is no longer what was offered: those who were told of it are told that it is withdrawn.
    async fn check_offered(&self, all: &[Offered]) {
        let roots = self.inner.index.roots().await;
        for (name, item) in all.iter().flat_map(|offered| &offered.items) {
            let Some(root) = roots.iter().find(|root| root.name == *name) else { continue };
            // While it is hashed again it may be the same.
            if root.gone || root.id.is_some_and(|id| id != item.id) {
                return self.spoilt(item, root.gone);
            }
        }
    }

    fn spoilt(&self, item: &PutItem, is_gone: bool) {
        let state = if is_gone { Receiving::Gone } else { Receiving::Changed };
        let error = ControlError::OtherSource { name: item.name.clone(), is_gone };
        self.progress.send_modify(|progress| {
            for receiver in progress.receivers.iter_mut().filter(|receiver| !receiver.state.is_over()) {
                (receiver.state, receiver.error) = (state, Some(error.clone().into()));
            }
        });
        self.canceller.cancel();
    }

    /// Changes how it stands at one; those that turned out to be another of them are not there any more.
    fn set(&self, at: usize, change: impl FnOnce(&mut Receiver)) {
        let peer = &self.wish.to[at];
        self.progress.send_if_modified(|progress| {
            let Some(receiver) = progress.receivers.iter_mut().find(|receiver| receiver.peer == *peer) else {
                return false;
            };
            let before = receiver.clone();
            change(receiver);
            *receiver != before
        });
    }
}

/// Waits until it is cancelled.
async fn until(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending().await
    }
}
