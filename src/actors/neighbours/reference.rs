//! The handle of the Neighbours actor.

use std::net::SocketAddr;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot};

use super::talk::Ticket;
use super::{Answer, Message, Newcomer, Row};
use crate::io::net::link::Link;
use crate::logic::flood::Counts;
use crate::logic::neighbours::{Direction, Source};
use crate::model::{NodeId, PeerTarget};
use crate::wire::{About, Code, Join, Sought};

/// Answers that wait for who asked; a query has no more hits than these can hold.
const ANSWERS: usize = 512;

/// How long the end of a command waits until that is written, in milliseconds.
const REMEMBERING: u64 = 1000;

/// Sets of addresses of one node that wait for who asked where it is.
const WHEREABOUTS: usize = 16;

/// A handle to the neighbours. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NeighboursRef(pub(super) ActorRef<Message>);

/// Nodes are kept as neighbours until this is dropped.
#[derive(Debug)]
pub struct Keeping {
    _until: oneshot::Sender<()>,
}

impl NeighboursRef {
    /// Keeps further nodes as neighbours, until what is returned is dropped.
    #[must_use]
    pub fn keep(&self, targets: Vec<PeerTarget>) -> Keeping {
        let (until, dropped) = oneshot::channel();
        // Gone only with the node itself.
        let _ = self.0.cast(Message::Keep(targets, dropped));
        Keeping { _until: until }
    }

    /// A node may be at these addresses: a hint.
    pub fn heard(&self, node: NodeId, addrs: Vec<SocketAddr>, source: Source) {
        // Gone only with the node itself.
        let _ = self.0.cast(Message::Heard(node, addrs, source));
    }

    /// Looks for something over the neighbours, with one TTL after the other while nothing comes. The channel has
    /// what is found, then [`Answer::Over`]; dropping it ends the search.
    pub fn search(&self, what: Sought, waves: Vec<u8>) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(ANSWERS);
        // Gone only with the node itself; then the channel is closed.
        let _ = self.0.cast(Message::Search { what, waves, answers });
        receiver
    }

    /// Where a node may be: what is known, then what is heard, until no more is expected to be heard of it.
    pub fn whereabouts(&self, node: NodeId) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (tell, receiver) = mpsc::channel(WHEREABOUTS);
        // Gone only with the node itself; then the channel is closed.
        let _ = self.0.cast(Message::Whereabouts(node, tell));
        receiver
    }

    /// The neighbours of this moment.
    pub async fn all(&self) -> Vec<Row> {
        ractor::call!(self.0, Message::All).unwrap_or_default()
    }

    /// How many queries have gone through.
    pub async fn counts(&self) -> Counts {
        ractor::call!(self.0, Message::Counts).unwrap_or_default()
    }

    /// Waits until no more neighbours are about to come, at most so long.
    pub async fn settled(&self, most: Duration) {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        // Too long, or gone with the node itself.
        let _ = ractor::call_t!(self.0, Message::WhenSettled, millis);
    }

    /// Remembers what is worth it, before the end: a command is over sooner than what it learned is due to be written.
    pub async fn remember(&self) {
        // Too long, or gone with the node itself.
        let _ = ractor::call_t!(self.0, Message::Remember, REMEMBERING);
    }

    /// Takes in a node that wants to be a neighbour: what this one says of itself, and its end of their stream.
    ///
    /// # Errors
    /// Why it may not be one.
    pub async fn join(&self, link: &Link, join: Join) -> Result<(About, Ticket), Code> {
        let direction = if join.visiting { Direction::Visiting } else { Direction::Inbound };
        let newcomer = Newcomer { link: link.clone(), direction, about: join.about };
        let about = ractor::call!(self.0, Message::About).map_err(|_| Code::Closing)?;
        let ticket = ractor::call!(self.0, Message::Join, newcomer).map_err(|_| Code::Closing)??;
        Ok((about, ticket))
    }
}
