//! A handle to the index for tasks that answer peers.

use std::path::PathBuf;

use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot};

use super::{IndexMessage, Seed};
use crate::io::share::scan::SharePlan;
use crate::model::SafePath;
use crate::wire::ResolveEvent;

/// Events that wait for a slow reader; later ones that find no room are left out.
const EVENTS: usize = 16;

/// The handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct IndexRef(pub ActorRef<IndexMessage>);

impl IndexRef {
    /// Has an offer hashed first; its progress, then its end. The channel closes at once when the index is gone.
    pub fn resolve(&self, name: SafePath) -> mpsc::Receiver<ResolveEvent> {
        let (tell, events) = mpsc::channel(EVENTS);
        // A stopped index drops the sender: the receiver sees the end.
        let _ = self.0.cast(IndexMessage::Resolve { name, tell });
        events
    }

    /// A file has changed since it was hashed.
    pub fn stale(&self) {
        // A stopped index ends the node, which says so.
        let _ = self.0.cast(IndexMessage::Stale);
    }

    /// Goes on sharing what was fetched. Whether it can be had now; false when it is not there any more.
    pub async fn seed(&self, seed: Seed) -> bool {
        let (reply, told) = oneshot::channel();
        // A stopped index drops the reply.
        let _ = self.0.cast(IndexMessage::Seed(Box::new(seed), reply));
        told.await.unwrap_or(false)
    }

    /// Transfers of this home have put something at these paths.
    pub fn arrived(&self, paths: Vec<PathBuf>) {
        // A stopped index ends the node, which says so.
        let _ = self.0.cast(IndexMessage::Arrived(paths));
    }

    /// Shares these as well.
    pub fn share(&self, plan: SharePlan) {
        // A stopped index ends the node, which says so.
        let _ = self.0.cast(IndexMessage::Share(Box::new(plan)));
    }
}
