//! From a node that a person named to a link to it, wherever it is known: at the address given with its id, at the trackers,
//! among the given peers, where it was met, among those remembered, heard on the local network or told of by neighbours. All
//! are tried at once; the pinned handshake decides.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::actors::connections::known_at;
use crate::io::net::link::Link;
use crate::model::{NodeId, PeerTarget, Plane};
use crate::node::error::{Error, Result, Who};
use crate::node::look::ask::{Responder, connect};
use crate::node::look::find::Finder;
use crate::node::look::planes::Overlay;

/// A way to the node: the link, or why it leads nowhere; no error when it only does not know the node.
type Way = Result<Link, Option<Error>>;

impl Finder {
    /// The link to a node, which the user says to be at an address, perhaps.
    ///
    /// # Errors
    /// Why it cannot be reached there; else why somebody could not be asked; none when nobody knows it.
    pub(crate) async fn reach(&self, node: NodeId, at: Option<PeerTarget>) -> Way {
        if let Some(link) = self.connections.existing(node).await {
            return Ok(link);
        }
        let mut ways = JoinSet::new();
        if let Some(target) = at {
            let finder = self.clone();
            ways.spawn(async move { (true, finder.dial(Responder::of(target)).await.map_err(Some)) });
        }
        for responder in self.responders.iter().cloned() {
            let finder = self.clone();
            ways.spawn(async move { (false, finder.by_way_of(responder, node).await) });
        }
        let finder = self.clone();
        ways.spawn(async move { (false, finder.where_it_was_met(node).await) });
        if let Some(overlay) = self.overlay().cloned() {
            let (finder, telling) = (self.clone(), overlay.clone());
            ways.spawn(async move { (false, finder.around(&overlay, node).await) });
            let finder = self.clone();
            ways.spawn(async move { (false, finder.told(&telling, node).await) });
        }
        let (mut given, mut other) = (None, None);
        while let Some(joined) = ways.join_next().await {
            match joined {
                Ok((_, Ok(link))) => return Ok(link),
                Ok((true, Err(error))) => given = error,
                Ok((false, Err(error))) => other = other.or(error),
                Err(_) => {}
            }
        }
        Err(given.or(other))
    }

    async fn dial(&self, responder: Responder) -> Result<Link> {
        connect(&self.connections, &responder, self.own).await
    }

    /// Where a tracker knows the node; or a given peer, which may be the node itself.
    async fn by_way_of(&self, responder: Responder, node: NodeId) -> Way {
        let link = self.dial(responder.clone()).await.map_err(Some)?;
        if responder.plane != Plane::Tracker {
            return if link.peer() == node { Ok(link) } else { Err(None) };
        }
        let known = known_at(&link, node).await.map_err(|error| Some(Error::call(responder.who(), error)))?;
        self.at(node, known.ok_or(None)?).await
    }

    /// Where a command of this home had a link to it.
    async fn where_it_was_met(&self, node: NodeId) -> Way {
        let met = self.met.clone();
        let addr = spawn_blocking(move || met.address_of(node)).await.ok().flatten();
        self.at(node, addr.into_iter().collect()).await
    }

    /// Where neighbours say that it is.
    async fn told(&self, overlay: &Overlay, node: NodeId) -> Way {
        let row = overlay.near(self.own).await.into_iter().find(|row| row.peer.node == node);
        self.at(node, row.ok_or(None)?.peer.addrs).await
    }

    /// Where the node was heard or is remembered, as soon as it is.
    async fn around(&self, overlay: &Overlay, node: NodeId) -> Way {
        let mut heard: mpsc::Receiver<Vec<SocketAddr>> = overlay.neighbours.whereabouts(node);
        let mut dials = JoinSet::new();
        let mut failed = None;
        let mut open = true;
        while open || !dials.is_empty() {
            tokio::select! {
                addrs = heard.recv(), if open => match addrs {
                    Some(addrs) => {
                        let finder = self.clone();
                        dials.spawn(async move { finder.at(node, addrs).await });
                    }
                    None => open = false,
                },
                Some(dialled) = dials.join_next(), if !dials.is_empty() => match dialled {
                    Ok(Ok(link)) => return Ok(link),
                    Ok(Err(error)) => failed = failed.or(error),
                    Err(_) => {}
                },
            }
        }
        Err(failed)
    }

    async fn at(&self, node: NodeId, addrs: Vec<SocketAddr>) -> Way {
        let Some(first) = addrs.first().copied() else { return Err(None) };
        let link = self.connections.to_node(node, addrs).await;
        link.map_err(|error| Some(Error::connect(Who::peer(first.to_string()), self.own, error)))
    }
}
