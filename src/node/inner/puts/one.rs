//! One of those to whom something is sent: told of it until it has decided and has it, and that it is withdrawn if that comes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::whom::Whom;
use super::{AGAIN, Place, Sender, TOGETHER, until};
use crate::io::clock::time_of_day;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::{Link, var_int};
use crate::model::Provider;
use crate::node::error::{Error, Silence, Who};
use crate::node::types::Receiving;
use crate::wire::limits::CONTROL;
use crate::wire::{Code, Put, PutEvent, PutItem, Request};

/// The first version that knows of this.
const SINCE: u16 = 7;

/// One of those to whom it goes.
pub(super) struct One {
    sender: Arc<Sender>,
    whom: Whom,
    items: Vec<PutItem>,
    known: watch::Receiver<Vec<Place>>,
    /// It knows of it, and not that it is withdrawn.
    is_told: bool,
    /// When the last connection to it ended, from 1970 on.
    seen: Option<Duration>,
}

impl One {
    pub(super) fn new(sender: &Arc<Sender>, whom: Whom, items: Vec<PutItem>) -> Self {
        let known = sender.places.subscribe();
        // An earlier run of the node may have told it.
        let is_told = !sender.wish.told.is_empty();
        Self { sender: Arc::clone(sender), whom, items, known, is_told, seen: None }
    }

    pub(super) async fn tell(mut self) {
        let mut pause = AGAIN.0;
        let mut cancelled = self.sender.cancelled.clone();
        while !*cancelled.borrow_and_update() {
            match self.once().await {
                Ok(()) if self.is_over() => break,
                Ok(()) => pause = AGAIN.0,
                // There is another connection, where it is told again.
                Err(error) if gave_way(&error) => pause = AGAIN.0,
                Err(error) => {
                    let state = if is_final(&error) { Receiving::Refused } else { Receiving::Away };
                    // What the home has written may be older.
                    let seen = self.sender.inner.last_seen(self.whom.node).await.max(self.seen);
                    self.sender.set(self.whom.at, |receiver| receiver.seen = seen);
                    self.set(state, Some(error));
                    if state == Receiving::Refused {
                        break;
                    }
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = cancelled.changed() => {}
            }
            pause = (pause * 2).min(AGAIN.1);
        }
        if self.is_told && !matches!(self.state(), Some(Receiving::Declined | Receiving::Done | Receiving::Refused)) {
            // Who cannot be reached any more finds that nobody gives it.
            let _ = timeout(TOGETHER, self.withdraw()).await;
        }
    }

    /// Says that it is withdrawn where there is no stream any more on which it was offered.
    async fn withdraw(&mut self) -> Result<(), Error> {
        let (_, mut to, mut from) = self.ask().await?;
        self.give_up(&mut to, &mut from).await;
        Ok(())
    }

    /// It knows that it is withdrawn once it has ended its side, too.
    async fn give_up(&mut self, to: &mut SendStream, from: &mut RecvStream) {
        let code = match self.state() {
            Some(Receiving::Changed) => Code::Changed,
            Some(Receiving::Gone) => Code::NotFound,
            _ => Code::Cancelled,
        };
        // It may have gone.
        let _ = to.reset(var_int(code));
        let ended = async {
            loop {
                match frames::receive_known::<PutEvent>(from, CONTROL).await {
                    Ok(Some(_)) => {}
                    end => return matches!(end, Ok(None) | Err(CallError::Ended | CallError::Reset(_))),
                }
            }
        };
        self.is_told = !timeout(TOGETHER, ended).await.unwrap_or(false);
    }

    fn set(&self, state: Receiving, error: Option<Error>) {
        self.sender.set(self.whom.at, |receiver| {
            if !receiver.state.is_over() {
                (receiver.state, receiver.error) = (state, error);
            }
        });
    }

    fn state(&self) -> Option<Receiving> {
        let (progress, peer) = (self.sender.progress.borrow(), &self.sender.wish.to[self.whom.at]);
        progress.receivers.iter().find(|receiver| receiver.peer == *peer).map(|receiver| receiver.state)
    }

    fn is_over(&self) -> bool {
        self.state().is_some_and(Receiving::is_over)
    }

    /// Tells it once.
    async fn ask(&mut self) -> Result<(Who, SendStream, RecvStream), Error> {
        let link = self.reach().await?;
        let who = Who::peer(link.remote());
        if link.version().is_some_and(|version| version < SINCE) {
            return Err(Error::Refused { who, code: Code::Unsupported });
        }
        let request = Request::Put(self.request());
        let told = frames::call(&link, &request, CONTROL).await;
        let ((), to, from) = told.map_err(|error| Error::call(who.clone(), error))?;
        self.is_told = true;
        Ok((who, to, from))
    }

    async fn reach(&mut self) -> Result<Link, Error> {
        let (at, node) = (self.whom.at, self.whom.node);
        let peer = self.sender.wish.to[at].to_string();
        let link = self.sender.inner.finder.reach(node, self.whom.target.clone()).await;
        let link = link.map_err(|error| error.unwrap_or(Error::UnknownPeer { peer }))?;
        self.sender.inner.meet(vec![node]).await;
        let addrs: Vec<SocketAddr> = vec![link.remote()];
        self.sender.places.send_modify(|places| places[at].addrs = addrs);
        if !*self.sender.cancelled.borrow() {
            let is_known = |place: &Place| place.node.is_none() || !place.addrs.is_empty();
            let all = self.known.wait_for(|places| places.iter().all(is_known));
            // Whoever is not there by then finds the others itself.
            let _ = timeout(TOGETHER, all).await;
        }
        Ok(link)
    }

    /// Tells it once, and hears what becomes of it until that is decided or the connection is lost.
    async fn once(&mut self) -> Result<(), Error> {
        let (who, to, from) = self.ask().await?;
        let heard = self.hear(who, to, from).await;
        self.seen = Some(time_of_day());
        heard
    }

    async fn hear(&mut self, who: Who, mut to: SendStream, mut from: RecvStream) -> Result<(), Error> {
        let mut cancelled = self.sender.cancelled.clone();
        let failed = |error| Error::call(who.clone(), error);
        loop {
            let event = tokio::select! {
                event = frames::receive_known::<PutEvent>(&mut from, CONTROL) => event.map_err(failed)?,
                () = until(&mut cancelled) => {
                    self.give_up(&mut to, &mut from).await;
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
        let others = places.iter().filter_map(|place| Some((place.node?, place.addrs.clone())));
        let others = others.filter(|(node, _)| *node != self.whom.node);
        let receivers = others.map(|(node, addrs)| Provider { node, addrs }).collect();
        let wish = &self.sender.wish;
        Put { put: wish.put, items: self.items.clone(), text: wish.text.clone(), receivers }
    }

    fn heard(&self, event: PutEvent) {
        let total = self.items.iter().map(|item| item.size).sum();
        let (state, bytes) = match event {
            PutEvent::Declined => (Receiving::Declined, None),
            PutEvent::Done => (Receiving::Done, Some(total)),
            PutEvent::Have(bytes) => (Receiving::Fetching, Some(bytes.min(total))),
            PutEvent::Waiting => (Receiving::Waiting, Some(0)),
        };
        if !self.is_over() {
            self.sender.set(self.whom.at, |receiver| receiver.bytes = bytes.unwrap_or(receiver.bytes));
        }
        self.set(state, None);
    }
}

/// Whether time does not help.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Refused { code: Code::BadRequest | Code::TooLarge, .. })
}

/// Whether another connection to it is there in place of the one that was lost.
fn gave_way(error: &Error) -> bool {
    matches!(error, Error::Unreachable { cause: Silence::Call(error), .. } if error.is_duplicate())
}
