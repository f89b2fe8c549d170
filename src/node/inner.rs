//! What a running node holds together, whatever its role.

use std::sync::Mutex;
use std::sync::PoisonError;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Resolved;
use crate::actors::announcer::{AnnouncerRef, Participation};
use crate::actors::connections::ConnectionsRef;
use crate::actors::downloads::DownloadsRef;
use crate::actors::index::IndexRef;
use crate::actors::neighbours::NeighboursRef;
use crate::actors::node::Ended;
use crate::actors::shelf::{Place, Shelf};
use crate::io::endpoint::Endpoint;
use crate::io::home::{Home, HomeLock};
use crate::io::met::Met;
use crate::model::NodeId;
use crate::node::error::Error;
use crate::node::find::Finder;
use crate::node::types::{Event, PeerRef};
use crate::wire::Code;

/// A running node.
pub(crate) struct Inner {
    pub(crate) home: Home,
    pub(crate) endpoint: Endpoint,
    pub(crate) guest: bool,
    pub(crate) connections: ConnectionsRef,
    pub(crate) ended: Ended,
    pub(crate) events: mpsc::Sender<Event>,
    /// The node role's own parts; a tracker and a bench have none.
    pub(crate) parts: Option<Parts>,
    /// What goes on being served after its transfer.
    pub(crate) seeds: Mutex<Vec<Seed>>,
    pub(crate) supervisor: ActorRef<()>,
    /// Accepting, serving and passing events on; dropped with the node.
    pub(crate) tasks: Mutex<JoinSet<()>>,
    pub(crate) lock: Mutex<Option<HomeLock>>,
}

/// What a node has beyond connections.
pub(crate) struct Parts {
    pub(crate) index: IndexRef,
    pub(crate) shelf: Shelf,
    pub(crate) downloads: DownloadsRef,
    pub(crate) announcer: AnnouncerRef,
    pub(crate) neighbours: NeighboursRef,
    pub(crate) finder: Finder,
}

/// A finished transfer that is still served.
pub(crate) struct Seed {
    pub(crate) _place: Place,
    pub(crate) _participation: Participation,
}

impl Inner {
    /// The node role's parts.
    ///
    /// # Errors
    /// When this is a tracker or a bench, which no command asks such things of.
    pub(crate) fn parts(&self) -> Result<&Parts, Error> {
        self.parts.as_ref().ok_or_else(|| Error::Internal { cause: "only a node shares and fetches".to_owned() })
    }

    /// Remembers ids for people who name them by their first characters.
    pub(crate) fn meet(&self, nodes: impl IntoIterator<Item = NodeId>) {
        if let Err(error) = Met::at(self.home.root()).remember(nodes) {
            tracing::debug!(%error, "ids cannot be remembered");
        }
    }

    /// Which node or address is meant.
    ///
    /// # Errors
    /// When a prefix fits none or several.
    pub(crate) fn resolve_peer(&self, peer: &PeerRef) -> Result<Resolved, Error> {
        match peer {
            PeerRef::Id(node) => Ok(Resolved::Node(*node)),
            PeerRef::Prefix(prefix) => match Met::at(self.home.root()).with_prefix(prefix).as_slice() {
                [] => Err(Error::UnknownPeer { peer: prefix.clone() }),
                [one] => Ok(Resolved::Node(*one)),
                many => Err(Error::AmbiguousPeer { prefix: prefix.clone(), count: many.len() }),
            },
            PeerRef::Target(target) => Ok(Resolved::Target(target.clone())),
        }
    }

    /// Tells the user; forgotten when nobody listens.
    pub(crate) fn warn(&self, sentence: String) {
        // Full or closed: a warning must not hold anything up.
        let _ = self.events.try_send(Event::Warning(sentence));
    }

    /// Ends cleanly: withdraws, closes, stops.
    pub(crate) async fn stop(&self) {
        if let Some(parts) = &self.parts {
            parts.announcer.stop().await;
        }
        self.endpoint.close(Code::Closing).await;
        self.supervisor.stop(None);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.supervisor.stop(None);
    }
}
