//! A handle to the index for tasks that answer peers.

use std::path::PathBuf;

use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot};

use super::{IndexMessage, Seed, SharedRoot};
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
        self.ask(|reply| IndexMessage::Seed(Box::new(seed), reply)).await
    }

    /// Transfers of this home have put something at these paths.
    pub fn arrived(&self, paths: Vec<PathBuf>) {
        // A stopped index ends the node, which says so.
        let _ = self.0.cast(IndexMessage::Arrived(paths));
    }

    /// Shares these as well. The names that they are offered under come back, without those that were taken.
    pub fn share(&self, plan: SharePlan) -> oneshot::Receiver<Vec<SafePath>> {
        let (reply, told) = oneshot::channel();
        // A stopped index ends the node, which says so.
        let _ = self.0.cast(IndexMessage::Share(Box::new(plan), reply));
        told
    }

    /// What is shared, root by root.
    pub async fn roots(&self) -> Vec<SharedRoot> {
        self.ask(IndexMessage::Roots).await
    }

    /// Shares what has these names no longer; those that were shared. When it is done nobody gets them any more.
    pub async fn unshare(&self, names: Vec<SafePath>) -> Vec<SafePath> {
        self.ask(|reply| IndexMessage::Unshare(names, reply)).await
    }

    async fn ask<T: Default>(&self, message: impl FnOnce(oneshot::Sender<T>) -> IndexMessage) -> T {
        let (reply, told) = oneshot::channel();
        // A stopped index has nothing; it drops the reply.
        let _ = self.0.cast(message(reply));
        told.await.unwrap_or_default()
    }
}
