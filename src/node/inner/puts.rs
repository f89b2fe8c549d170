//! What is sent to single nodes: offered to them alone, told to each of them, and again until they have decided or have it.
//! Invariant: nobody else can have it, and what ends with its command is offered no longer when that is done.

pub(crate) mod left;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::io::net::frames::{self, CallError};
use crate::io::net::link::{Link, var_int};
use crate::io::share::scan::{RootSummary, SurveyOptions, survey};
use crate::model::{ContentId, NodeId, Offer, PeerTarget, Provider, SafePath};
use crate::node::Resolved;
use crate::node::error::{ControlError, Error, Who};
use crate::node::inner::Inner;
use crate::node::look::ask::{Responder, connect};
use crate::node::types::{Canceller, PeerRef, PutProgress, PutWish, Receiver, Receiving};
use crate::wire::limits::{CONTROL, PUT_ITEMS, PUT_NAMES, PUT_RECEIVERS, PUT_TEXT};
use crate::wire::{Code, Put, PutEvent, PutItem, Request, ResolveEvent};

/// Between two tries to tell a node: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// So long the others are waited for before the first is told where they are.
const TOGETHER: Duration = Duration::from_secs(2);
/// The first version that knows of this.
const SINCE: u16 = 7;

/// Something that is sent. Dropped, it is so no longer.
pub(crate) struct Putting {
    pub(crate) progress: watch::Receiver<PutProgress>,
    pub(crate) canceller: Canceller,
    task: JoinHandle<Result<(), Error>>,
    abort: AbortHandle,
}

impl Putting {
    pub(crate) fn begin(inner: Arc<Inner>, wish: PutWish) -> Self {
        let receivers = wish.to.iter().cloned().map(|peer| Receiver {
            peer,
            node: None,
            state: Receiving::Looking,
            bytes: 0,
            error: None,
        });
        let progress = PutProgress { receivers: receivers.collect(), ..PutProgress::default() };
        let (progress, shown) = watch::channel(progress);
        let (canceller, cancelled) = Canceller::new();
        let sender = Arc::new(Sender { inner, wish, progress, canceller: canceller.clone(), cancelled });
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
}

/// What is offered, until this is dropped.
struct Offered {
    inner: Arc<Inner>,
    names: Vec<SafePath>,
}

impl Offered {
    async fn end(mut self) {
        self.inner.index.unshare(std::mem::take(&mut self.names)).await;
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        let (inner, names) = (Arc::clone(&self.inner), std::mem::take(&mut self.names));
        if !names.is_empty() {
            tokio::spawn(async move { inner.index.unshare(names).await });
        }
    }
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
                timeout(TOGETHER, &mut telling).await.unwrap_or(Ok(None))
            }
        };
        if let Some(offered) = told? {
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

    /// Finds out who they are, offers it to them, and tells each of them until it has decided and has it.
    async fn tell_all(self: Arc<Self>) -> Result<Option<Offered>, Error> {
        let mut cancelled = self.cancelled.clone();
        let everyone = tokio::select! {
            everyone = self.everyone() => everyone?,
            () = until(&mut cancelled) => return Ok(None),
        };
        let nodes: BTreeSet<NodeId> = everyone.iter().map(|(node, _)| *node).collect();
        let (offered, items) = tokio::select! {
            offered = self.offer(nodes) => offered?,
            () = until(&mut cancelled) => return Ok(None),
        };
        let total = items.iter().map(|item| item.size).sum();
        self.progress.send_modify(|progress| {
            (progress.items, progress.total, progress.hashing) = (items.clone(), total, None);
        });
        let (places, known) = watch::channel(vec![Vec::<SocketAddr>::new(); everyone.len()]);
        let places = Arc::new(places);
        let mut telling = JoinSet::new();
        for (at, (node, target)) in everyone.iter().cloned().enumerate() {
            let (sender, places, known) = (Arc::clone(&self), Arc::clone(&places), known.clone());
            let nodes: Vec<NodeId> = everyone.iter().map(|(node, _)| *node).collect();
            let items = items.clone();
            telling.spawn(async move {
                let one = One { sender, at, node, target, items, nodes, places, known };
                one.tell().await;
            });
        }
        while telling.join_next().await.is_some() {}
        Ok(Some(offered))
    }

    /// Who they are; one that is known by its place alone has to answer for that.
    async fn everyone(&self) -> Result<Vec<(NodeId, Option<PeerTarget>)>, Error> {
        let mut all = Vec::new();
        for (at, peer) in self.wish.to.iter().enumerate() {
            let one = self.who(at, peer).await?;
            self.set(at, |receiver| receiver.node = Some(one.0));
            all.push(one);
        }
        Ok(all)
    }

    async fn who(&self, at: usize, peer: &PeerRef) -> Result<(NodeId, Option<PeerTarget>), Error> {
        let mut pause = AGAIN.0;
        loop {
            let failed = match self.inner.resolved(peer).await {
                Ok(Resolved::Node { node, at }) => return Ok((node, at)),
                Ok(Resolved::Target(target)) => match target.id {
                    Some(node) => return Ok((node, Some(target))),
                    None => match self.dial(Responder::of(target.clone())).await {
                        Ok(link) => return Ok((link.peer(), Some(target))),
                        Err(error) => error,
                    },
                },
                Err(error @ (Error::Connect { .. } | Error::Unreachable { .. })) => error,
                Err(error) => return Err(error),
            };
            self.set(at, |receiver| (receiver.state, receiver.error) = (Receiving::Away, Some(failed)));
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    async fn dial(&self, responder: Responder) -> Result<Link, Error> {
        let finder = &self.inner.finder;
        connect(&finder.connections, &responder, finder.own).await
    }

    fn set(&self, at: usize, change: impl FnOnce(&mut Receiver)) {
        self.progress.send_if_modified(|progress| {
            let Some(receiver) = progress.receivers.get_mut(at) else { return false };
            let before = receiver.clone();
            change(receiver);
            *receiver != before
        });
    }

    /// Offers it to these nodes, under names that nobody is told; what it is, once it is hashed.
    async fn offer(&self, nodes: BTreeSet<NodeId>) -> Result<(Offered, Vec<PutItem>), Error> {
        let mut offered = Offered { inner: Arc::clone(&self.inner), names: Vec::new() };
        if self.wish.paths.is_empty() && self.wish.options.named.is_empty() {
            return Ok((offered, Vec::new()));
        }
        let wish = self.wish.clone();
        let plan = spawn_blocking(move || {
            if let Some(other) = wish.seen.iter().find(|landing| !landing.is_here()) {
                return Err(Error::from(ControlError::OtherDirectory { path: other.dir.as_path().into() }));
            }
            let first = survey(&wish.paths, &wish.options)?;
            let named = first.roots.iter().map(|root| (hidden(&wish, &root.name), root.path.clone())).collect();
            Ok(survey(&[], &SurveyOptions { named, nodes, ..wish.options })?)
        });
        let plan = plan.await??;
        let roots: Vec<RootSummary> = plan.roots.clone();
        let bytes: usize = roots.iter().map(|root| root.name.name().len()).sum();
        if roots.len() > PUT_ITEMS || bytes > PUT_NAMES {
            return Err(ControlError::TooManyItems { count: roots.len() }.into());
        }
        // A node that ends has nothing.
        offered.names = self.inner.index.share(plan).await.unwrap_or_default();
        let mut items = Vec::new();
        for root in roots {
            items.push(item(&root, self.hashed(&root.name).await?));
        }
        Ok((offered, items))
    }

    /// Waits until something has its id.
    async fn hashed(&self, name: &SafePath) -> Result<Offer, Error> {
        let mut events = self.inner.index.resolve(name.clone());
        while let Some(event) = events.recv().await {
            match event {
                ResolveEvent::Done(offer) => return Ok(offer),
                ResolveEvent::Hashing(done, total) => {
                    self.progress.send_modify(|progress| progress.hashing = Some((done, total)));
                }
                ResolveEvent::Failed(refusal) => {
                    return Err(ControlError::Unhashed { name: name.last(), code: refusal.code }.into());
                }
            }
        }
        Err(ControlError::Lost.into())
    }
}

/// Waits until it is cancelled.
async fn until(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending().await
    }
}

/// A name under which nobody finds it.
fn hidden(wish: &PutWish, name: &SafePath) -> SafePath {
    let name = name.last();
    // It is short enough; and it is the audience that hides it.
    SafePath::parse(&format!("put/{}", wish.put)).and_then(|dir| dir.join(&name)).unwrap_or(name)
}

fn item(root: &RootSummary, offer: Offer) -> PutItem {
    PutItem {
        name: root.name.last(),
        // It has one: it was resolved.
        id: offer.id.unwrap_or_else(|| ContentId::of(&[])),
        kind: offer.kind,
        size: offer.size,
        files: offer.files,
        executable: offer.executable,
    }
}

/// One of those to whom it goes.
struct One {
    sender: Arc<Sender>,
    at: usize,
    node: NodeId,
    target: Option<PeerTarget>,
    items: Vec<PutItem>,
    /// All of them, and where they are known to be.
    nodes: Vec<NodeId>,
    places: Arc<watch::Sender<Vec<Vec<SocketAddr>>>>,
    known: watch::Receiver<Vec<Vec<SocketAddr>>>,
}

impl One {
    async fn tell(mut self) {
        let mut pause = AGAIN.0;
        let mut cancelled = self.sender.cancelled.clone();
        while !*cancelled.borrow_and_update() {
            match self.once().await {
                Ok(()) if self.is_over() => return,
                Ok(()) => pause = AGAIN.0,
                Err(error) => {
                    let state = if is_final(&error) { Receiving::Refused } else { Receiving::Away };
                    self.sender.set(self.at, |receiver| (receiver.state, receiver.error) = (state, Some(error)));
                    if state == Receiving::Refused {
                        return;
                    }
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = cancelled.changed() => {}
            }
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    fn is_over(&self) -> bool {
        let progress = self.sender.progress.borrow();
        progress.receivers.get(self.at).is_some_and(|receiver| receiver.state.is_over())
    }

    /// Tells it once, and hears what becomes of it until that is decided or the connection is lost.
    async fn once(&mut self) -> Result<(), Error> {
        let peer = self.sender.wish.to[self.at].to_string();
        let link = self.sender.inner.finder.reach(self.node, self.target.clone()).await;
        let link = link.map_err(|error| error.unwrap_or(Error::UnknownPeer { peer }))?;
        let who = Who::peer(link.remote());
        if link.version().is_some_and(|version| version < SINCE) {
            return Err(Error::Refused { who, code: Code::Unsupported });
        }
        self.sender.inner.meet(vec![self.node]).await;
        self.places.send_modify(|places| places[self.at] = vec![link.remote()]);
        let all = self.known.wait_for(|places| places.iter().all(|addrs| !addrs.is_empty()));
        // Whoever is not there by then finds the others itself.
        let _ = timeout(TOGETHER, all).await;
        let request = Request::Put(self.request());
        let failed = |error| Error::call(who.clone(), error);
        let ((), mut to, mut from) = frames::call(&link, &request, CONTROL).await.map_err(failed)?;
        let mut cancelled = self.sender.cancelled.clone();
        loop {
            let event = tokio::select! {
                event = frames::receive_known::<PutEvent>(&mut from, CONTROL) => event.map_err(failed)?,
                () = until(&mut cancelled) => {
                    // It may have gone.
                    let _ = to.reset(var_int(Code::Cancelled));
                    let _ = timeout(TOGETHER, to.stopped()).await;
                    return Ok(());
                }
            };
            match event {
                Some(event) => self.heard(event),
                None if self.is_over() => return Ok(()),
                None => return Err(failed(CallError::Ended)),
            }
            if self.is_over() {
                return Ok(());
            }
        }
    }

    fn request(&self) -> Put {
        let places = self.known.borrow();
        let others = self.nodes.iter().zip(places.iter()).filter(|(node, _)| **node != self.node);
        let receivers = others.map(|(node, addrs)| Provider { node: *node, addrs: addrs.clone() }).collect();
        let wish = &self.sender.wish;
        Put { put: wish.put, items: self.items.clone(), text: wish.text.clone(), receivers }
    }

    fn heard(&self, event: PutEvent) {
        let total = self.items.iter().map(|item| item.size).sum();
        let (state, bytes) = match event {
            PutEvent::Declined => (Receiving::Declined, None),
            PutEvent::Done => (Receiving::Done, Some(total)),
            PutEvent::Have(bytes) => (Receiving::Fetching, Some(bytes.min(total))),
            PutEvent::Waiting => (Receiving::Waiting, None),
        };
        self.sender.set(self.at, |receiver| {
            (receiver.state, receiver.error) = (state, None);
            receiver.bytes = bytes.unwrap_or(receiver.bytes);
        });
    }
}

/// Whether time does not help.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Refused { code: Code::BadRequest | Code::TooLarge, .. })
}
