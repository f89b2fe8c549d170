//! One tracker: connect, announce, renew, tell of changes, withdraw; from the beginning when it was lost.
//! Invariant: `known` is what the tracker holds if it still holds announcement `seq` of this epoch, but for what it let go of
//! to make room; each renewal says how much that is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::news::SessionNews;
use super::{Connect, Dependencies};
use crate::actors::access::Access;
use crate::io::net::endpoint::Endpoint;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::logic::changes::{Changes, Shared};
use crate::logic::limits::back_off::BackOff;
use crate::logic::limits::regain::Regain;
use crate::logic::offers::table::OfferTable;
use crate::model::{Content, Epoch, PeerTarget};
use crate::wire::{Announce, Announced, Answer, Code, Renew, Renewed, Request, Withdraw, limits};

/// A lease is renewed this long after it was last heard of.
const RENEW: Duration = Duration::from_secs(20);
/// Changes are told at most this often: while files are hashed, ids come by the thousand.
const PAUSE: Duration = Duration::from_millis(250);
/// After a tracker was lost, nodes announce again within this time, each at a moment of its own.
const SPREAD: Duration = Duration::from_secs(3);
/// A tracker takes a large announcement, and dials back, within this time.
const TAKEN: Duration = Duration::from_secs(60);
/// A stopping node waits this long for a tracker to take its withdrawal.
const STOP: Duration = Duration::from_secs(1);

/// The state of one session.
pub(super) struct Session {
    target: PeerTarget,
    connect: Connect,
    endpoint: Endpoint,
    access: Access,
    offers: watch::Receiver<Arc<OfferTable>>,
    parts: watch::Receiver<Arc<BTreeSet<Content>>>,
    stop: watch::Receiver<bool>,
    epoch: Epoch,
    seq: u64,
    known: Shared,
    regain: Regain,
    /// The candidates that were last dialled back, and whether one of them was reached.
    candidates: Vec<SocketAddr>,
    reachable: bool,
    news: SessionNews,
    rng: StdRng,
}

/// Why a connection is of no more use.
enum End {
    Lost(CallError),
    Stopped,
}

impl Session {
    pub(super) fn new(
        needs: &Dependencies,
        target: PeerTarget,
        epoch: Epoch,
        parts: watch::Receiver<Arc<BTreeSet<Content>>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            news: SessionNews::new(target.to_string(), needs.endpoint.port(), needs.events.clone()),
            target,
            connect: Arc::clone(&needs.connect),
            endpoint: needs.endpoint.clone(),
            access: needs.access.clone(),
            offers: needs.offers.clone(),
            parts,
            stop,
            epoch,
            seq: 0,
            known: Shared::default(),
            regain: Regain::default(),
            candidates: Vec::new(),
            reachable: false,
            rng: StdRng::from_os_rng(),
        }
    }

    /// Goes on until the node stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.begin() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let (started, mut back_off) = (Instant::now(), BackOff::default());
        loop {
            let connected = tokio::select! {
                connected = (self.connect)(self.target.clone()) => connected,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match connected {
                Ok(link) => match self.talk(&link, &mut back_off).await {
                    End::Stopped => return self.withdraw(&link).await,
                    End::Lost(error) => {
                        tracing::debug!(%error, "lost");
                        self.news.lost(&error);
                    }
                },
                Err(error) => {
                    tracing::debug!(%error, "not reached");
                    self.news.unreached(&error);
                }
            }
            let pause = back_off.next(started.elapsed(), &mut self.rng);
            tracing::debug!(?pause, "tried again");
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Waits until there is something to tell: an empty announcement before the first look at what is shared would
    /// only delay the one that has it all. What only friends may know is announced to nobody; the node itself is, so that
    /// they find it.
    async fn begin(&mut self) {
        let access = self.access.clone();
        let is_something = async {
            while self.shared().is_empty() {
                self.changed().await;
            }
        };
        tokio::select! {
            () = is_something => {}
            () = access.until_reserved() => {}
        }
    }

    /// Keeps a tracker told over one connection, until that or the node ends.
    async fn talk(&mut self, link: &Link, back_off: &mut BackOff) -> End {
        let mut stop = self.stop.clone();
        tokio::select! {
            Err(error) = self.keep(link, back_off) => End::Lost(error),
            _ = stop.wait_for(|stop| *stop) => End::Stopped,
            cause = link.closed() => End::Lost(cause.into()),
        }
    }

    async fn keep(&mut self, link: &Link, back_off: &mut BackOff) -> Result<(), CallError> {
        if self.seq == 0 {
            self.announce_all(link).await?;
        } else {
            self.renew(link).await?;
        }
        back_off.reset();
        self.news.heard();
        loop {
            if self.shared() != self.known {
                self.announce(link).await?;
                self.gather().await;
                continue;
            }
            let renew = Instant::now() + RENEW;
            tokio::select! {
                () = self.changed() => {}
                () = sleep_until(renew) => {
                    self.renew(link).await?;
                    if self.has_moved() {
                        self.announce(link).await?;
                    }
                }
            }
        }
    }

    /// Lets changes gather, but goes on at once with the last ids that were missing: somebody may wait for them.
    async fn gather(&mut self) {
        let pause = sleep(PAUSE);
        if is_whole(&self.known.offers) {
            return pause.await;
        }
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                () = self.changed() => {
                    if is_whole(&self.offers.borrow()) {
                        return;
                    }
                }
            }
        }
    }

    /// Goes on with the lease, or announces everything when the tracker no longer knows it.
    async fn renew(&mut self, link: &Link) -> Result<(), CallError> {
        let request = Request::Renew(Renew { epoch: self.epoch, seq: self.seq });
        let (renewed, ..) = frames::call::<Renewed>(link, &request, limits::CONTROL).await?;
        let Renewed { known, reachable, held, room } = renewed;
        tracing::debug!(known, ?reachable, held, room, "renewed");
        if known {
            self.reachable = !reachable.is_empty();
            self.news.reachable(self.reachable);
            return match held {
                Some(held) => self.regain(link, held, room).await,
                None => Ok(()),
            };
        }
        sleep(self.rng.random_range(Duration::ZERO..=SPREAD)).await;
        self.announce_all(link).await
    }

    /// The tracker holds so many offers and would take so many more: what it let go of is announced again where that helps.
    /// Not in full, which would take away first what is still there.
    async fn regain(&mut self, link: &Link, held: u64, room: u64) -> Result<(), CallError> {
        self.news.holds(held, &self.known, self.reachable);
        if self.regain.is_due(missing(&self.known, held), room) {
            return self.add(link, &Shared::default()).await;
        }
        Ok(())
    }

    /// Whether the addresses should be dialled back again: they are others, or none was reached.
    fn has_moved(&self) -> bool {
        !self.reachable || self.endpoint.candidates() != self.candidates
    }

    async fn announce(&mut self, link: &Link) -> Result<(), CallError> {
        let known = self.known.clone();
        self.add(link, &known).await
    }

    /// Announces what is beyond this.
    async fn add(&mut self, link: &Link, known: &Shared) -> Result<(), CallError> {
        let candidates = if self.has_moved() { self.endpoint.candidates() } else { Vec::new() };
        match self.tell(link, known, false, candidates).await {
            Err(CallError::Refused(refusal)) if refusal.code == Code::NotFound => self.announce_all(link).await,
            told => told,
        }
    }

    async fn announce_all(&mut self, link: &Link) -> Result<(), CallError> {
        self.tell(link, &Shared::default(), true, self.endpoint.candidates()).await
    }

    async fn tell(
        &mut self,
        link: &Link,
        known: &Shared,
        full: bool,
        candidates: Vec<SocketAddr>,
    ) -> Result<(), CallError> {
        let shared = self.shared();
        let dialled = (full || !candidates.is_empty()).then(|| candidates.clone());
        let head = Announce { epoch: self.epoch, seq: self.seq + 1, full, candidates, port: self.endpoint.port() };
        let announced = exchange(link, head, known, &shared).await?;
        self.seq += 1;
        self.known = shared;
        self.candidates = dialled.unwrap_or_else(|| std::mem::take(&mut self.candidates));
        self.reachable = !announced.reachable.is_empty();
        let Announced { taken, refused, reachable, .. } = &announced;
        tracing::info!(self.seq, full, taken, refused, ?reachable, "announced");
        self.regain.announced(missing(&self.known, announced.taken));
        self.news.announced(&announced, &self.known);
        Ok(())
    }

    async fn withdraw(&self, link: &Link) {
        let request = Request::Withdraw(Withdraw { epoch: self.epoch });
        // Unheard, the lease ends by itself.
        let _ = timeout(STOP, frames::call::<()>(link, &request, limits::CONTROL)).await;
    }

    fn shared(&mut self) -> Shared {
        Shared {
            offers: Arc::clone(&self.offers.borrow_and_update()),
            parts: Arc::clone(&self.parts.borrow_and_update()),
        }
    }

    /// Resolves when something has changed since it was last read. What can no longer change is not waited for.
    async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.offers.changed() => {}
            Ok(()) = self.parts.changed() => {}
            else => std::future::pending().await,
        }
    }
}

/// How many of these names a tracker lacks that holds so many.
fn missing(known: &Shared, held: u64) -> u64 {
    known.offers.all().names.saturating_sub(held)
}

/// Whether every offer has its id.
fn is_whole(offers: &OfferTable) -> bool {
    offers.iter().all(|offer| offer.id.is_some())
}

/// One announcement: its head, its pages, the tracker's answer.
async fn exchange(link: &Link, head: Announce, known: &Shared, shared: &Shared) -> Result<Announced, CallError> {
    let (mut to, mut from) = frames::open(link, &Request::Announce(head)).await?;
    for page in Changes::between(known, shared) {
        match frames::send(&mut to, &page, limits::PAGE).await {
            Ok(()) => {}
            // Refused on the way: the answer says why.
            Err(CallError::Reset(_)) => break,
            Err(error) => return Err(error),
        }
    }
    // Closed already: the answer says why.
    let _ = to.finish();
    let answer = timeout(TAKEN, frames::receive::<Answer<Announced>>(&mut from, limits::CONTROL)).await;
    answer.map_err(|_| CallError::TimedOut)??.ok_or(CallError::Ended)?.map_err(CallError::Refused)
}
