//! What a node reports, for those who follow it and those who ask how it is. Invariant: whoever reads it by itself, as before,
//! gets everything; who follows and is too slow misses the oldest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};

use crate::actors::announcer::AnnouncerNotice;
use crate::io::clock::time_of_day;
use crate::logic::uploads::{Upload, UploadEvent};
use crate::model::{NodeId, SafePath};
use crate::node::types::{Event, Notice};

/// Events that one who follows may be behind.
const BEHIND: usize = 1024;

/// Names of which is known how often they were fetched.
const NAMES: usize = 10_000;

/// What was reported.
#[derive(Debug)]
pub(super) struct Board {
    told: broadcast::Sender<Event>,
    trackers: Mutex<BTreeMap<String, Known>>,
    fetched: Mutex<BTreeMap<SafePath, Fetched>>,
}

/// How often something was fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// How often, or something of it.
    pub times: u64,
    /// By whom last, and when, since 1970.
    pub last: Option<(NodeId, Duration)>,
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
        Self { told: broadcast::Sender::new(BEHIND), trackers: Mutex::default(), fetched: Mutex::default() }
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
            Event::Upload(UploadEvent::Ended(Upload { node, name: Some(name), .. })) => self.note_fetched(name, *node),
            _ => {}
        }
    }

    fn note_fetched(&self, name: &SafePath, node: NodeId) {
        let mut all = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(name.clone()).or_default();
        *of = Fetched { times: of.times + 1, last: Some((node, time_of_day())) };
        if all.len() > NAMES
            && let Some(oldest) =
                all.iter().min_by_key(|(_, of)| of.last.map(|(_, at)| at)).map(|(name, _)| name.clone())
        {
            all.remove(&oldest);
        }
    }

    /// How often a name was fetched, or one beneath it.
    pub(super) fn fetched(&self, root: &SafePath) -> Fetched {
        let all = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |name: &SafePath| name == root || name.above().any(|above| above == root.as_str());
        let each = all.iter().filter(|(name, _)| is_of(name)).map(|(_, of)| *of);
        each.fold(Fetched::default(), |sum, of| Fetched {
            times: sum.times + of.times,
            last: sum.last.into_iter().chain(of.last).max_by_key(|(_, at)| *at),
        })
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
