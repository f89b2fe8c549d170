//! The way of what other nodes offer to this one's person to whoever keeps it. Bounded: a peer's offer waits here for its
//! answer, and what does not find room is refused.

use std::net::SocketAddr;

use tokio::sync::{mpsc, oneshot, watch};

use crate::logic::limits::inbox::Loss;
use crate::logic::limits::shares::Who;
use crate::model::{NodeId, PutId};
use crate::wire::{Code, Put, PutEvent};

/// Offers that wait to be looked at.
const WAITING: usize = 64;

/// Something that a node offers.
#[derive(Debug)]
pub struct Offered {
    /// Whose.
    pub who: Who,
    /// Where it is.
    pub addr: SocketAddr,
    /// What.
    pub put: Put,
    /// What becomes of it.
    pub reply: oneshot::Sender<Result<watch::Receiver<PutEvent>, Code>>,
}

/// What comes from other nodes.
#[derive(Debug)]
pub enum Arrival {
    /// Something is offered, perhaps again.
    Offered(Box<Offered>),
    /// It is so no longer, perhaps as it is not there any more.
    Withdrawn(NodeId, PutId, Option<Loss>),
}

/// The way there; cheap to clone.
#[derive(Debug, Clone)]
pub struct InboxRef(mpsc::Sender<Arrival>);

impl InboxRef {
    /// The way, and its end. Where nobody listens there, nothing is taken.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Arrival>) {
        let (to, from) = mpsc::channel(WAITING);
        (Self(to), from)
    }

    /// Offers something; what becomes of it.
    ///
    /// # Errors
    /// Unsupported where nobody listens, and what the inbox says.
    pub async fn offer(&self, (who, addr): (Who, SocketAddr), put: Put) -> Result<watch::Receiver<PutEvent>, Code> {
        let (reply, answer) = oneshot::channel();
        let offered = Offered { who, addr, put, reply };
        self.0.send(Arrival::Offered(Box::new(offered))).await.map_err(|_| Code::Unsupported)?;
        answer.await.map_err(|_| Code::Closing)?
    }

    /// It is offered no longer.
    pub async fn withdraw(&self, from: NodeId, put: PutId, loss: Option<Loss>) {
        // Where nobody listens there is nothing.
        let _ = self.0.send(Arrival::Withdrawn(from, put, loss)).await;
    }
}
