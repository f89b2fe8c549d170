//! What other transfers of this home put beneath shared paths is taken over as soon as they have told of it.

use std::path::Path;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::actors::index::IndexRef;
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::hash::Hashed;
use crate::node::inner::Inner;
use crate::node::types::Lifetime;
use crate::wire::Role;

/// How often is looked: with the look at the paths and an announcement well within the 2 s in which the directory
/// follows a transfer, also where the system cannot watch.
const LOOK: Duration = Duration::from_millis(500);

/// Takes what is handed over into the cache, and has the index look at where it is, as long as the node lives.
pub(crate) async fn take(of: Option<(Handover, HashCache)>, index: IndexRef) {
    let Some((handover, cache)) = of else { return };
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (handover, cache) = (handover.clone(), cache.clone());
        let taken = tokio::task::spawn_blocking(move || handover.take(&cache)).await.unwrap_or_default();
        if !taken.is_empty() {
            index.arrived(taken);
        }
    }
}

impl Inner {
    /// Whether a node runs in this home that may share what is fetched: this one, or the one beside which this is a guest.
    pub(crate) fn has_running_node(&self) -> bool {
        self.guest.is_some() || self.lifetime == Lifetime::LongRunning
    }

    /// Tells the running node of this home, if there is one, what is known of the files at a path. Blocks.
    pub(crate) fn hand_over(&self, path: &Path, files: &[Hashed]) {
        if !self.has_running_node() || files.is_empty() {
            return;
        }
        if let Err(error) = Handover::at(&self.home.role_dir(Role::Node)).give(path, files) {
            // They are hashed once more: nothing else is lost.
            tracing::debug!(%error, "the running node is not told");
        }
    }
}
