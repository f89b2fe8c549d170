//! The node's side of the control socket. Invariant: whoever does not show the home's own key is not answered, and counted; a
//! request is over when its stream is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::board::Board;
use super::request::{Ask, Request, Told};
use super::status;
use super::{answer_with, followed, packed, puts, shares};
use crate::io::net::endpoint::{Arrival, Endpoint, OwnerLink};
use crate::io::net::frames::{self, CallError, Incoming, REQUEST};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::node::types::Notice;
use crate::wire::bounded;
use crate::wire::control::{Control, Stopping};
use crate::wire::limits::PAGE;
use crate::wire::names::names_of;
use crate::wire::{Answer, Code, Refusal, decode};

/// Handshakes at a time: of anybody on this machine.
const HANDSHAKES: usize = 64;
/// Connections of the owner's commands at a time. One whose command was killed, or ended before it could say so, stays until it
/// has been silent for 10 s: a script may run fifty commands in each second.
const LINKS: usize = 512;
/// Notices of one request that wait to be sent.
const NOTICES: usize = 64;
/// How long the word that the node will stop may take to whoever has asked for that.
const FAREWELL: Duration = Duration::from_millis(500);

/// Who answers.
pub(super) struct Server {
    node: Weak<Inner>,
    board: Arc<Board>,
    begun: Instant,
    /// Who came with another key, or did not finish the handshake.
    refused: AtomicU64,
}

impl Server {
    pub(super) fn new(node: Weak<Inner>, board: Arc<Board>) -> Self {
        Self { node, board, begun: Instant::now(), refused: AtomicU64::new(0) }
    }

    /// Answers until the socket is closed.
    pub(super) async fn run(self: Arc<Self>, socket: Endpoint) {
        let (mut handshakes, mut links) = (JoinSet::new(), JoinSet::new());
        loop {
            tokio::select! {
                arrival = socket.accept() => match arrival {
                    // Not answered, it is given up by whoever dials; a refusal would be more work.
                    Some(arrival) if handshakes.len() < HANDSHAKES => {
                        drop(handshakes.spawn(Arc::clone(&self).greet(arrival)));
                    }
                    Some(arrival) => tracing::debug!(remote = %arrival.remote(), "no room for a handshake"),
                    None => return,
                },
                Some(greeted) = handshakes.join_next() => {
                    if let Some(owner) = greeted.ok().flatten().filter(|_| links.len() < LINKS) {
                        links.spawn(Arc::clone(&self).link(owner));
                    }
                }
                Some(_) = links.join_next() => {}
            }
        }
    }

    fn count(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    async fn greet(self: Arc<Self>, arrival: Arrival) -> Option<OwnerLink> {
        let remote = arrival.remote();
        let owner = arrival.of_owner().await.inspect_err(|error| {
            self.count();
            tracing::debug!(%remote, %error, "refused at the control socket");
        });
        owner.ok()
    }

    async fn link(self: Arc<Self>, owner: OwnerLink) {
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                stream = owner.connection.accept_bi() => match stream {
                    Ok(stream) => drop(streams.spawn(Arc::clone(&self).stream(owner.connection.clone(), stream))),
                    Err(_) => return,
                },
                Some(_) = streams.join_next() => {}
            }
        }
    }

    async fn stream(self: Arc<Self>, owner: Connection, (mut to, mut from): (SendStream, RecvStream)) {
        let Some(node) = self.node.upgrade().map(|inner| Node { inner }) else { return };
        let gone = to.stopped();
        let answered = tokio::select! {
            answered = self.answer((&node, &owner), &mut to, &mut from) => answered,
            _ = gone => return,
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "a request at the control socket is not answered");
            let refusal: Answer<()> = Err(Refusal::from(error.code()));
            // Whoever asked may have gone.
            let _ = frames::send(&mut to, &refusal, PAGE).await;
        }
        let _ = to.finish();
    }

    async fn answer(
        &self,
        (node, owner): (&Node, &Connection),
        to: &mut SendStream,
        from: &mut RecvStream,
    ) -> Result<(), CallError> {
        let value = async { Incoming::begin(from, PAGE).await?.ok_or(CallError::Ended)?.whole(from).await };
        let value = timeout(REQUEST, value).await.map_err(|_| CallError::TimedOut)??;
        let tag = bounded::tag(&value).unwrap_or_default();
        if names_of::<Control>().contains(&tag) {
            return self.fixed(node, decode(&value)?, to).await;
        }
        match decode(&value)? {
            Request::Ask(places, ask) => {
                let (asker, notices) = mpsc::channel(NOTICES);
                let node = Node { inner: Arc::new(node.inner.at(&places, asker).await) };
                asked((&node, &self.board), *ask, notices, to).await
            }
            Request::Events => self.events(to).await,
            Request::Share(wish) => shares::share(node, &self.board, *wish, (to, from)).await,
            Request::Fetch(wish) => followed::fetch(node, *wish, to, from).await,
            Request::Watch(paths) => shares::watch(node, &self.board, paths, (to, from)).await,
            Request::Put(places, wish) => {
                // What it cannot tell its progress has.
                let (asker, _) = mpsc::channel(1);
                let node = Node { inner: Arc::new(node.inner.at(&places, asker).await) };
                puts::put(&node, *wish, to, from).await
            }
            Request::Attend(wish, stream) => followed::attend((node, owner), (*wish, stream), to, from).await,
        }
    }

    /// What every version answers.
    async fn fixed(&self, node: &Node, control: Control, to: &mut SendStream) -> Result<(), CallError> {
        match control {
            Control::Hello(_) => grant(to, status::running(node)).await,
            Control::Status(_) => {
                let (up, refused) = (self.begun.elapsed(), self.refused.load(Ordering::Relaxed));
                grant(to, status::of(node, &self.board, (up, refused)).await).await
            }
            Control::Stop(_) => {
                grant(to, Stopping {}).await?;
                let _ = to.finish();
                // This stream is over once that is read, and with it whatever it does itself.
                let (read, inner) = (to.stopped(), Arc::clone(&node.inner));
                node.inner.run(async move {
                    let _ = timeout(FAREWELL, read).await;
                    inner.ask_to_stop();
                });
                Ok(())
            }
        }
    }

    async fn events(&self, to: &mut SendStream) -> Result<(), CallError> {
        use tokio::sync::broadcast::error::RecvError;
        let mut told = self.board.follow();
        frames::send(to, &Told::Begun, PAGE).await?;
        loop {
            match told.recv().await {
                Ok(event) => frames::send(to, &Told::Event(event), PAGE).await?,
                Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "who follows is too slow"),
                Err(RecvError::Closed) => return Err(CallError::Refused(Code::Closing.into())),
            }
        }
    }
}

async fn grant<T: Serialize>(to: &mut SendStream, answer: T) -> Result<(), CallError> {
    frames::send(to, &Answer::Ok(answer), PAGE).await
}

/// Does what is asked, and tells on the way.
async fn asked(
    (node, board): (&Node, &Board),
    ask: Ask,
    mut notices: mpsc::Receiver<Notice>,
    to: &mut SendStream,
) -> Result<(), CallError> {
    let work = std::pin::pin!(done(node, board, ask));
    let mut work = work;
    let answer = loop {
        tokio::select! {
            Some(notice) = notices.recv() => frames::send(to, &Told::Notice(notice), PAGE).await?,
            answer = &mut work => break answer,
        }
    };
    while let Ok(notice) = notices.try_recv() {
        frames::send(to, &Told::Notice(notice), PAGE).await?;
    }
    answer_with(to, answer).await
}

/// The method that is asked for.
async fn done(node: &Node, board: &Board, ask: Ask) -> Vec<u8> {
    match ask {
        Ask::Holdings(hit) => packed(&node.holdings(&hit).await),
        Ask::Jobs(after) => packed(&node.jobs(after).await),
        Ask::OrderJobs(id, order) => packed(&node.order_jobs(id, order).await),
        Ask::IsAsShown(query, found) => packed(&node.is_as_shown(&query, &found).await),
        Ask::Knows(peer) => packed(&node.knows(&peer)),
        Ask::List(peer) => packed(&node.list(&peer).await),
        Ask::Locate(id) => packed(&node.locate(id).await),
        Ask::Manifest(id) => packed(&node.manifest(id).await.map(|collection| collection.entries().to_vec())),
        Ask::Meant(query) => packed(&node.meant(&query).await),
        Ask::Neighbours => packed(&node.neighbours().await),
        Ask::NotFound(what, query) => packed(&node.not_found(&what, &query).await),
        Ask::Peers => packed(&node.peers().await),
        Ask::Search(query, limit) => packed(&node.search(&query, limit).await),
        Ask::Limit(change) => packed(&node.limit(change)),
        Ask::LimitJobs(id, limit) => packed(&node.limit_jobs(id, limit).await),
        Ask::Shared => packed(&shares::all(node, board).await),
        Ask::Yield => packed(&node.ask_to_yield()),
        Ask::Inbox => packed(&node.inbox().await),
        Ask::Accept(number, into) => packed(&node.accept_offer(number, into).await),
        Ask::Decline(number) => packed(&node.decline_offer(number).await),
        Ask::ClearInbox(number) => packed(&node.clear_offers(number).await),
        Ask::Puts => packed(&node.puts().await),
        Ask::CancelPut(number) => packed(&node.cancel_put(number).await),
        Ask::ClearPuts(number) => packed(&node.clear_puts(number).await),
        Ask::Unshare(what) => packed(&node.unshare(&what).await),
    }
}
