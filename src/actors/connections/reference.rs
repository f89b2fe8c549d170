//! The handle of the Connections actor, and which node to trust at an address: the given id, else the one that was
//! remembered, else the first one seen is remembered. Loopback addresses are remembered only when given with an id:
//! nodes come and go there, and nobody else can answer.

use std::net::SocketAddr;
use std::sync::Arc;

use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::side::Sockets;
use super::{ConnectError, Message, Target, Wanted};
use crate::actors::access::Access;
use crate::io::home::lines::LinesError;
use crate::io::home::trust::TrustStore;
use crate::io::net::dial::DialError;
use crate::io::net::endpoint::Endpoint;
use crate::io::net::link::Link;
use crate::io::net::purpose::Purpose;
use crate::io::net::resolve::{only_loopback, resolve};
use crate::model::{NodeId, PeerTarget};
use crate::wire::{Code, Role};

/// A handle to the links of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConnectionsRef {
    actor: ActorRef<Message>,
    endpoint: Endpoint,
    prober: Arc<OnceCell<Endpoint>>,
    sides: Sockets,
    trust: TrustStore,
}

impl ConnectionsRef {
    pub(super) fn new(actor: ActorRef<Message>, endpoint: Endpoint, trust: TrustStore) -> Self {
        Self { actor, endpoint, prober: Arc::default(), sides: Sockets::default(), trust }
    }

    /// The link to a node: the one in use, or a new one. The addresses are what others told: each is dialled only so often.
    ///
    /// # Errors
    /// When the node cannot be dialled at these addresses.
    pub async fn to_node(&self, node: NodeId, addrs: Vec<SocketAddr>) -> Result<Link, ConnectError> {
        self.wanted(Target::Node(node), addrs, false).await
    }

    /// The link to what a user wrote: resolved, dialled, and its key compared with the given or remembered one.
    ///
    /// # Errors
    /// When it cannot be reached or is not the right node.
    pub async fn to_target(&self, target: &PeerTarget) -> Result<Link, ConnectError> {
        let addrs = resolve(target).await?;
        self.to_resolved(target, addrs).await
    }

    /// The same of a host that has been resolved.
    ///
    /// # Errors
    /// When it cannot be reached or is not the right node.
    pub async fn to_resolved(&self, target: &PeerTarget, addrs: Vec<SocketAddr>) -> Result<Link, ConnectError> {
        let host_port = target.host_port();
        let remembered = self.ask_trust(&host_port, |trust, host_port| trust.lookup(host_port)).await?;
        let remember = remembered.is_none() && is_remembered(target.id, &addrs);
        let link = match target.id.or(remembered) {
            Some(node) => self.wanted(Target::Node(node), addrs, true).await,
            None => self.wanted(Target::Unknown(addrs.clone()), addrs, true).await,
        };
        let link = link.map_err(|error| match (error, target.id, remembered) {
            (ConnectError::Dial(DialError::WrongKey { found, .. }), None, Some(remembered)) => {
                ConnectError::ChangedKey { host_port: host_port.clone(), remembered, found }
            }
            (error, ..) => error,
        })?;
        if remember {
            let found = link.peer();
            let first = self.ask_trust(&host_port, move |trust, host_port| remember_first(trust, host_port, found));
            let first = first.await?;
            if first != found && target.id.is_none() {
                return Err(ConnectError::ChangedKey { host_port, remembered: first, found });
            }
        }
        Ok(link)
    }

    /// As [`ConnectionsRef::to_target`], for a node of this role. The role of a node that dialled us is not known.
    ///
    /// # Errors
    /// Also when the node is something else.
    pub async fn to_role(&self, target: &PeerTarget, expected: Role) -> Result<Link, ConnectError> {
        let link = self.to_target(target).await?;
        match link.role() {
            Some(found) if found != expected => {
                Err(ConnectError::WrongRole { host_port: target.host_port(), found, expected })
            }
            _ => Ok(link),
        }
    }

    /// The link in use to a node, without dialling.
    pub async fn existing(&self, node: NodeId) -> Option<Link> {
        self.ask(|reply| Message::Existing(node, reply)).await.flatten()
    }

    /// Closes the links to all nodes that are not served any more.
    pub fn keep(&self, access: Access) {
        // Stopped, it holds none.
        let _ = self.actor.cast(Message::Keep(access));
    }

    /// Takes in a link that another node dialled.
    pub fn established(&self, link: Link) {
        if self.actor.cast(Message::Established(link.clone())).is_err() {
            link.close(Code::Closing);
        }
    }

    /// So many more connections to the node of a link, each from a socket of its own; fewer when they cannot be had.
    pub async fn beside(&self, link: &Link, count: usize) -> Vec<Link> {
        self.sides.dial(&self.endpoint, link, count).await
    }

    /// Whether a node answers at an address, seen from a socket that it does not know: where a firewall lets answers
    /// through, only that shows whether a stranger would reach it.
    pub async fn probe(&self, addr: SocketAddr, node: NodeId) -> bool {
        let Ok(prober) = self.prober.get_or_try_init(|| async { self.endpoint.aside(Purpose::Probe) }).await else {
            return false;
        };
        let Ok(link) = prober.dial(&[addr], Some(node)).await else { return false };
        link.close(Code::Probe);
        true
    }

    async fn wanted(&self, target: Target, addrs: Vec<SocketAddr>, given: bool) -> Result<Link, ConnectError> {
        let asked = self.ask(|reply| Message::Wanted(Wanted { target, addrs, given, reply })).await;
        asked.unwrap_or(Err(ConnectError::Stopped))
    }

    /// `None` when the actor is gone.
    async fn ask<T: Send + 'static>(&self, message: impl FnOnce(RpcReplyPort<T>) -> Message) -> Option<T> {
        self.actor.call(message, None).await.ok()?.success_or(()).ok()
    }

    async fn ask_trust<T: Send + 'static>(
        &self,
        host_port: &str,
        question: impl FnOnce(&TrustStore, &str) -> Result<T, LinesError> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let (trust, host_port) = (self.trust.clone(), host_port.to_owned());
        let answer = spawn_blocking(move || question(&trust, &host_port)).await;
        answer.map_err(|_| ConnectError::Stopped)?.map_err(ConnectError::Trust)
    }
}

/// Remembers a node, or gives the one that is. What cannot be written does not hinder: it is as at the first visit again.
fn remember_first(trust: &TrustStore, host_port: &str, found: NodeId) -> Result<NodeId, LinesError> {
    match trust.remember_first(host_port, found) {
        Err(error @ LinesError::Io { .. }) => {
            tracing::info!(%error, host_port, "a key is not remembered");
            Ok(found)
        }
        remembered => remembered,
    }
}

/// On loopback nodes come and go, so only what the user pinned counts there.
fn is_remembered(given: Option<NodeId>, addrs: &[SocketAddr]) -> bool {
    given.is_some() || !only_loopback(addrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_remembered_but_not_on_loopback() {
        let [local, far] = ["127.0.0.1:7", "10.0.0.1:7"].map(|addr| addr.parse::<SocketAddr>().expect(addr));
        let given = Some(NodeId::from_bytes([1; 32]));
        assert!(is_remembered(None, &[far]) && is_remembered(None, &[local, far]) && is_remembered(given, &[local]));
        assert!(!is_remembered(None, &[local]));
    }
}
