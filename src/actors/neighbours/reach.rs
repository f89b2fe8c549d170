//! Tasks that make neighbours: dialling one that was chosen, keeping a given one, and seeing where one that dialled us
//! can be dialled by others.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use ractor::ActorRef;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::talk::{Ticket, talk};
use super::{Message, Newcomer};
use crate::actors::connections::{ConnectError, ConnectionsRef};
use crate::actors::start::Farewell;
use crate::io::net::dial::DialError;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::{Link, Loss};
use crate::logic::limits::back_off::BackOff;
use crate::logic::neighbours::Direction;
use crate::model::{NodeId, PeerTarget};
use crate::wire::{About, Code, Join, Request, Role, limits};

/// How long an address may take to answer when it is dialled back.
const PROBE: Duration = Duration::from_millis(1500);

/// What these tasks need.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) connections: ConnectionsRef,
    pub(super) actor: ActorRef<Message>,
    /// This is a command that ends soon.
    pub(super) visiting: bool,
}

/// Why a node is not a neighbour now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinError {
    /// There is no link to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The exchange failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It is not wanted here.
    #[error("it is not wanted as a neighbour now: {0}")]
    NotNow(Code),
}

impl JoinError {
    /// It is a neighbour already, or is about to be: it asked us at the same time. Or this node is ending.
    fn is_nobodys_fault(&self) -> bool {
        match self {
            Self::Call(CallError::Lost(Loss::Here)) => true,
            Self::Call(CallError::Refused(refusal)) => refusal.code == Code::Duplicate,
            Self::NotNow(code) => *code == Code::Duplicate,
            Self::Connect(ConnectError::Dial(error)) => error.is_of_the_end(),
            Self::Connect(ConnectError::Stopped) => true,
            Self::Call(_) | Self::Connect(_) => false,
        }
    }

    /// Whether there is something to be said of it.
    fn is_news(&self) -> bool {
        !self.is_nobodys_fault() && !matches!(self, Self::Connect(ConnectError::Dial(DialError::NoAddress)))
    }

    /// Another node that answered, and where.
    const fn met(&self) -> Option<(SocketAddr, NodeId)> {
        match self {
            Self::Connect(ConnectError::Dial(DialError::WrongKey { addr, found, .. })) => Some((*addr, *found)),
            _ => None,
        }
    }
}

impl Reach {
    /// Makes a chosen node a neighbour, and talks with it until the end.
    pub(super) async fn chosen(self, node: NodeId, addrs: Vec<SocketAddr>, about: About) {
        let joined = async {
            let link = self.connections.to_node(node, addrs).await?;
            self.join(&link, Direction::Outbound, about).await
        };
        match joined.await {
            Ok((ticket, streams)) => drop(talk(ticket, streams).await),
            Err(error) => {
                if error.is_news() {
                    tracing::debug!(peer = %node.short(), %error, "not a neighbour");
                }
                // Gone only with the node itself.
                let _ = self.actor.cast(Message::Failed(node, error.met()));
            }
        }
    }

    /// Keeps a node that the user named a neighbour as long as this one lives.
    pub(super) async fn given(self, target: PeerTarget, about: About) {
        let (begun, mut back_off) = (Instant::now(), BackOff::default());
        let mut rng = rand::rngs::StdRng::seed_from_u64(rand::random());
        loop {
            match self.once(&target, about.clone()).await {
                Ok((ticket, streams)) => {
                    back_off.reset();
                    // Gone only with the node itself.
                    let _ = self.actor.cast(Message::Given(target.clone(), None));
                    if talk(ticket, streams).await {
                        continue;
                    }
                }
                Err(error) => {
                    let failed = Some(error).filter(|error| !error.is_nobodys_fault());
                    if self.actor.cast(Message::Given(target.clone(), failed)).is_err() {
                        return;
                    }
                }
            }
            sleep(back_off.next(begun.elapsed(), &mut rng)).await;
        }
    }

    async fn once(&self, target: &PeerTarget, about: About) -> Result<(Ticket, (SendStream, RecvStream)), JoinError> {
        let link = self.connections.to_role(target, Role::Node).await?;
        self.join(&link, Direction::Given, about).await
    }

    async fn join(
        &self,
        link: &Link,
        direction: Direction,
        about: About,
    ) -> Result<(Ticket, (SendStream, RecvStream)), JoinError> {
        let request = Request::Join(Join { visiting: self.visiting, about });
        // It is being asked: it is not let in meanwhile if it asks as well. The actor is gone only with the node itself.
        let _ = self.actor.cast(Message::Joining(link.peer(), true));
        let _asked = Farewell::of(self.actor.clone(), Message::Joining(link.peer(), false));
        let (about, send, recv) = frames::call::<About>(link, &request, limits::CONTROL).await?;
        let newcomer = Newcomer { link: link.clone(), direction, about };
        let taken = ractor::call!(self.actor, Message::Join, newcomer);
        let ticket = taken.map_err(|_| JoinError::NotNow(Code::Closing))?.map_err(JoinError::NotNow)?;
        Ok((ticket, (send, recv)))
    }

    /// Dials a neighbour that dialled us at the addresses it may have, and tells where it answers.
    pub(super) async fn dial_back(self, node: NodeId, addrs: Vec<SocketAddr>) {
        let mut probes = JoinSet::new();
        for addr in addrs {
            let connections = self.connections.clone();
            probes.spawn(async move {
                let answers = timeout(PROBE, connections.probe(addr, node)).await.unwrap_or(false);
                answers.then_some(addr)
            });
        }
        let reached: Vec<_> = probes.join_all().await.into_iter().flatten().collect();
        // Gone only with the node itself.
        let _ = self.actor.cast(Message::Reached(node, reached));
    }
}
