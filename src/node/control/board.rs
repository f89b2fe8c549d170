//! What a node reports, for those who follow it and those who ask how it is. Invariant: whoever reads it by itself, as before,
//! gets everything; who follows and is too slow misses the oldest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc};

use crate::actors::announcer::AnnouncerNotice;
use crate::node::types::{Event, Notice};

/// Events that one who follows may be behind.
const BEHIND: usize = 1024;

/// What was reported.
#[derive(Debug)]
pub(super) struct Board {
    told: broadcast::Sender<Event>,
    trackers: Mutex<BTreeMap<String, Known>>,
}

/// What a tracker has said at last.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// How many offers it holds.
    pub(super) offers: u64,
    /// Where it reaches this node.
    pub(super) reached: Vec<SocketAddr>,
}

impl Default for Board {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(BEHIND), trackers: Mutex::default() }
    }
}

impl Board {
    /// Passes everything on, for as long as the node reports.
    pub(super) async fn pass_on(self: Arc<Self>, mut from: mpsc::Receiver<Event>, to: mpsc::Sender<Event>) {
        while let Some(event) = from.recv().await {
            self.note(&event);
            // Nobody follows, mostly; nobody reads, where the command forgets what is reported.
            let _ = self.told.send(event.clone());
            let _ = to.send(event).await;
        }
    }

    fn note(&self, event: &Event) {
        let mut trackers = self.trackers.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Announced(told) => {
                let known = Known { offers: told.offers, reached: told.reached.clone() };
                trackers.insert(told.tracker.clone(), known);
            }
            Event::Notice(Notice::Announcer(
                AnnouncerNotice::Unlinked { tracker, .. } | AnnouncerNotice::NotTaken { tracker, .. },
            )) => drop(trackers.remove(tracker)),
            _ => {}
        }
    }

    /// What the node reports from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Event> {
        self.told.subscribe()
    }

    /// What each tracker has said at last.
    pub(super) fn trackers(&self) -> BTreeMap<String, Known> {
        self.trackers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
