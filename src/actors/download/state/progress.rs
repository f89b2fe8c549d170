//! Where a transfer stands, as its watchers see it: sampled, never queued. One value, which whoever prepares a transfer and
//! the transfer itself write, each its own part.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::State;
use super::ending::Outlook;
use crate::actors::connections::ConnectError;
use crate::logic::explain::Spent;
use crate::logic::transfer::files::{FileCount, Files};
use crate::logic::transfer::speed::Speed;
use crate::logic::transfer::{ProviderView, Why};
use crate::model::{ContentId, NodeId, Plane, SafePath};

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Looking for providers.
    #[default]
    Looking,
    /// Dialling them, reading lists.
    Connecting,
    /// Hashing what is already on the disk, or waiting for a provider to hash.
    Hashing,
    /// Another transfer of the same content has the place.
    Waiting,
    /// Fetching bytes.
    Fetching,
    /// Syncing and publishing.
    Finishing,
    /// Done; serving others.
    Seeding,
}

/// Where a transfer stands; sampled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// What is fetched, once known.
    pub name: Option<SafePath>,
    /// Its id, once known.
    pub id: Option<ContentId>,
    /// Where it was found.
    pub plane: Option<Plane>,
    /// Bytes proven so far, with those that earlier runs have noted.
    pub bytes: u64,
    /// Bytes proven in this run.
    pub fetched: u64,
    /// Bytes copied here from another transfer of the same content, for whose end this one has waited.
    pub copied: u64,
    /// Bytes wanted altogether; 0 while unknown.
    pub total: u64,
    /// Bytes a second that come, lately.
    pub rate: u64,
    /// Whoever gave something or could, in node id order.
    pub providers: Vec<ProviderProgress>,
    /// How far hashing is, in its phase: it proves nothing and brings nothing.
    pub hashing: Option<Hashing>,
    /// Where the time of fetching went.
    pub spent: Spent,
    /// Nobody who is known gives anything now: it is time to look for others.
    pub stuck: bool,
    /// How long it is then until this is given up.
    pub gives_up: Option<Duration>,
    /// Files that are whole, of those that are fetched.
    pub files: FileCount,
}

/// What went wrong with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownloadNotice {
    /// It sent wrong bytes, and is not asked for this content again for an hour.
    Lied {
        /// Which.
        node: NodeId,
        /// Where it is.
        addr: Option<SocketAddr>,
    },
    /// It cannot be reached.
    Unreachable {
        /// Which.
        node: NodeId,
        /// Why.
        error: ConnectError,
    },
}

/// To whom a transfer tells what went wrong.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn(DownloadNotice) + Send + Sync>);

impl Tell {
    /// Whoever this is called for.
    pub fn new(tell: impl Fn(DownloadNotice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// How far hashing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hashing {
    /// Bytes hashed.
    pub done: u64,
    /// Bytes to hash.
    pub total: u64,
    /// The provider that hashes; none when what is here is compared.
    pub node: Option<NodeId>,
}

/// What one provider has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderProgress {
    /// Who.
    pub node: NodeId,
    /// From where.
    pub addr: SocketAddr,
    /// Bytes that it brought in this run and that were proven.
    pub bytes: u64,
    /// Its bytes a second, lately.
    pub rate: u64,
    /// The round trip to it.
    pub rtt: Duration,
    /// The UDP payload in bytes that the path to it carries from here.
    pub mtu: u16,
    /// The most connections that were open to it at a time.
    pub connections: usize,
    /// Why it gives nothing now, where it said so or failed.
    pub why: Option<Why>,
}

impl ProviderProgress {
    /// One that has given nothing yet.
    pub const fn new(node: NodeId, addr: SocketAddr) -> Self {
        Self { node, addr, bytes: 0, rate: 0, rtt: Duration::ZERO, mtu: 0, connections: 0, why: None }
    }
}

/// Between two counts of whole files: of many it takes a while.
const COUNT: Duration = Duration::from_millis(500);

/// What a transfer counts, and where it shows it.
#[derive(Debug)]
pub(super) struct Tallies {
    progress: watch::Sender<Progress>,
    tell: Tell,
    total: u64,
    fetched: u64,
    speed: Speed,
    /// Those that were linked.
    providers: BTreeMap<NodeId, ProviderProgress>,
    files: Files,
    /// What was counted of them, and when.
    counted: (FileCount, Option<Duration>),
}

impl Tallies {
    pub(super) fn new(progress: watch::Sender<Progress>, tell: Tell, total: u64, files: Files) -> Self {
        let mut speed = Speed::default();
        speed.start(Duration::ZERO);
        let (providers, counted) = (BTreeMap::new(), (FileCount::default(), None));
        Self { progress, tell, total, fetched: 0, speed, providers, files, counted }
    }

    fn count_files(&mut self, has: impl Fn(u32) -> bool, now: Duration) -> FileCount {
        if self.counted.1.is_none_or(|at| now.saturating_sub(at) >= COUNT) {
            self.counted = (self.files.count(has), Some(now));
        }
        self.counted.0
    }

    pub(super) fn met(&mut self, node: NodeId, addr: SocketAddr) {
        self.providers.entry(node).or_insert_with(|| ProviderProgress::new(node, addr)).addr = addr;
    }

    pub(super) fn proven(&mut self, node: NodeId, bytes: u64, now: Duration) {
        self.fetched += bytes;
        self.speed.add(bytes, now);
        if let Some(met) = self.providers.get_mut(&node) {
            met.bytes += bytes;
        }
    }

    /// Whether nothing has come yet.
    pub(super) const fn is_idle(&self) -> bool {
        self.fetched == 0
    }

    /// Where a node was, if it was linked.
    pub(super) fn addr(&self, node: NodeId) -> Option<SocketAddr> {
        self.providers.get(&node).map(|met| met.addr)
    }

    pub(super) fn warn(&self, notice: DownloadNotice) {
        (self.tell.0)(notice);
    }
}

/// A rate is shown as if all that has come had taken a quarter of a second at least: 1/s.
const FIRST: u64 = 4;

impl State {
    pub(super) fn show(&mut self) {
        let now = self.now();
        let views: BTreeMap<NodeId, ProviderView> =
            self.transfer.providers(now).into_iter().map(|view| (view.node, view)).collect();
        let troubles: BTreeMap<NodeId, Why> = self.troubles().into_iter().map(|t| (t.node, t.why)).collect();
        for (node, met) in &mut self.tallies.providers {
            if let Some(link) = self.candidates.link(*node) {
                (met.rtt, met.mtu) = (link.rtt(), link.mtu());
                met.connections = met.connections.max(self.candidates.connections(*node).count());
            }
            let view = views.get(node);
            met.rate = view.map_or(0, |view| view.rate);
            // Whoever is asked and does not keep us waiting is in no trouble any more.
            let asked = view.is_some_and(|view| view.active && view.pausing.is_none());
            met.why = troubles.get(node).copied().filter(|_| !asked);
        }
        let coming = views.values().map(|view| view.rate).sum::<u64>();
        let spent = self.context.clocks.spent(self.idle);
        let gives_up = self.gives_up(now);
        let files = self.tallies.count_files(|unit| self.transfer.has(unit), now);
        let tallies = &self.tallies;
        tallies.progress.send_modify(|shown| {
            // What is hashed again is here already, and is taken off where it is not as it was noted.
            shown.bytes = self.transfer.proven_bytes() + self.transfer.claimed_bytes();
            shown.fetched = tallies.fetched;
            shown.total = tallies.total;
            // A large unit takes long to prove over a slow path, and its bytes come meanwhile.
            shown.rate = if coming > 0 { coming } else { tallies.speed.rate(now).unwrap_or(0) };
            // What comes together at first is no rate yet.
            if tallies.fetched > 0 {
                shown.rate = shown.rate.min(tallies.fetched.saturating_mul(FIRST));
            }
            shown.providers = tallies.providers.values().copied().collect();
            shown.spent = spent;
            shown.stuck = self.outlook != Outlook::Open;
            shown.gives_up = gives_up;
            shown.files = files;
        });
    }
}
