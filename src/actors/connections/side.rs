//! Side connections: more connections to a node that has a link, each from a socket of its own, because one connection
//! is moved by one core at each end. Invariant: they are for requests of whoever dialled them, and in no table of
//! links; of one node only so many are served at a time ([`limits::SIDES`]).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::io::net::endpoint::Endpoint;
use crate::io::net::link::{Link, WeakLink};
use crate::io::net::purpose::Purpose;
use crate::model::NodeId;
use crate::wire::limits;

/// The sockets from which this process dials them, opened when first needed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Sockets(Arc<Mutex<Vec<Endpoint>>>);

impl Sockets {
    /// So many more connections to the node of a link, where the link leads; fewer when they cannot be had.
    pub(super) async fn dial(&self, endpoint: &Endpoint, link: &Link, count: usize) -> Vec<Link> {
        let mut dials = JoinSet::new();
        for socket in self.open(endpoint, count.min(limits::SIDES)).await {
            let link = link.clone();
            dials.spawn(async move { socket.dial(&[link.remote()], Some(link.peer())).await });
        }
        let dialled = dials.join_all().await.into_iter();
        dialled
            .filter_map(|side| side.inspect_err(|error| tracing::debug!(%error, "no side connection")).ok())
            .collect()
    }

    async fn open(&self, endpoint: &Endpoint, count: usize) -> Vec<Endpoint> {
        let mut sockets = self.0.lock().await;
        while sockets.len() < count {
            match endpoint.aside(Purpose::Side) {
                Ok(socket) => sockets.push(socket),
                Err(error) => {
                    tracing::debug!(%error, "no socket for side connections");
                    break;
                }
            }
        }
        sockets.iter().take(count).cloned().collect()
    }
}

/// Those that other nodes dialled.
#[derive(Debug, Default)]
pub(super) struct Arrived(HashMap<NodeId, Vec<WeakLink>>);

impl Arrived {
    /// Whether one more of that node is served.
    pub(super) fn admit(&mut self, link: &Link) -> bool {
        self.0.retain(|_, sides| {
            sides.retain(|side| side.upgrade().is_some_and(|side| !side.is_closed()));
            !sides.is_empty()
        });
        let sides = self.0.entry(link.peer()).or_default();
        let admitted = sides.len() < limits::SIDES;
        if admitted {
            sides.push(link.downgrade());
        }
        admitted
    }
}
