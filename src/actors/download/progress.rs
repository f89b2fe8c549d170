//! Where a transfer stands, as its watchers see it: sampled, never queued.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ending::Outlook;
use super::state::State;
use crate::actors::connections::ConnectError;
use crate::logic::explain::Spent;
use crate::logic::transfer::Why;
use crate::logic::transfer::speed::Speed;
use crate::model::NodeId;

/// Where a transfer stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Bytes proven so far, with those of earlier runs.
    pub bytes: u64,
    /// Bytes proven in this run.
    pub fetched: u64,
    /// Bytes wanted altogether.
    pub total: u64,
    /// Proven bytes a second, lately.
    pub rate: u64,
    /// Whoever gave something or could, in node id order.
    pub providers: Vec<ProviderSnapshot>,
    /// What went wrong; only ever grows.
    pub warnings: Vec<DownloadNotice>,
    /// Where the time of fetching went.
    pub spent: Spent,
    /// Nobody who is known gives anything now: it is time to look for others.
    pub stuck: bool,
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

/// One provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderSnapshot {
    /// Which.
    pub node: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// Bytes that it brought and that were proven.
    pub bytes: u64,
    /// Its bytes a second, lately.
    pub rate: u64,
    /// The round trip to it, and the UDP payload in bytes that the path carries from here.
    pub path: (Duration, u16),
    /// The most connections that were open to it at a time.
    pub connections: usize,
    /// Why it gives nothing now, where it said so or failed.
    pub why: Option<Why>,
}

/// The counts behind it.
#[derive(Debug)]
pub(super) struct Tallies {
    total: u64,
    fetched: u64,
    speed: Speed,
    providers: BTreeMap<NodeId, ProviderTally>,
    warnings: Vec<DownloadNotice>,
}

/// A provider that was linked.
#[derive(Debug, Clone, Copy)]
struct ProviderTally {
    addr: SocketAddr,
    bytes: u64,
    path: (Duration, u16),
    connections: usize,
}

impl Tallies {
    pub(super) fn new(total: u64) -> Self {
        let mut speed = Speed::default();
        speed.start(Duration::ZERO);
        Self { total, fetched: 0, speed, providers: BTreeMap::new(), warnings: Vec::new() }
    }

    pub(super) fn met(&mut self, node: NodeId, addr: SocketAddr) {
        self.providers
            .entry(node)
            .or_insert(ProviderTally { addr, bytes: 0, path: (Duration::ZERO, 0), connections: 0 })
            .addr = addr;
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

    pub(super) fn warn(&mut self, notice: DownloadNotice) {
        self.warnings.push(notice);
    }
}

impl State {
    pub(super) fn show(&mut self) {
        for (node, met) in &mut self.tallies.providers {
            if let Some(link) = self.candidates.link(*node) {
                met.path = (link.rtt(), link.mtu());
                met.connections = met.connections.max(self.candidates.connections(*node).count());
            }
        }
        let now = self.now();
        let rates: BTreeMap<NodeId, u64> = self.transfer.providers(now).iter().map(|p| (p.node, p.rate)).collect();
        let troubles: BTreeMap<NodeId, Why> = self.troubles().into_iter().map(|t| (t.node, t.why)).collect();
        let shown = |(&node, met): (&NodeId, &ProviderTally)| ProviderSnapshot {
            node,
            addr: met.addr,
            bytes: met.bytes,
            rate: rates.get(&node).copied().unwrap_or(0),
            path: met.path,
            connections: met.connections,
            why: troubles.get(&node).copied(),
        };
        let snapshot = Snapshot {
            bytes: self.transfer.proven_bytes(),
            fetched: self.tallies.fetched,
            total: self.tallies.total,
            rate: self.tallies.speed.rate(now).unwrap_or(0),
            providers: self.tallies.providers.iter().map(shown).collect(),
            warnings: self.tallies.warnings.clone(),
            spent: self.context.clocks.spent(self.idle),
            stuck: self.outlook != Outlook::Open,
        };
        self.progress.send_replace(snapshot);
    }
}
