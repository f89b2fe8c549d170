//! Where a transfer stands, as its watchers see it: sampled, never queued.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::state::State;
use crate::logic::speed::Speed;
use crate::model::NodeId;

/// Where a transfer stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// What went wrong, one sentence each; only ever grows.
    pub warnings: Vec<String>,
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
}

/// The counts behind it.
#[derive(Debug)]
pub(super) struct Tallies {
    total: u64,
    fetched: u64,
    speed: Speed,
    providers: BTreeMap<NodeId, (SocketAddr, u64)>,
    warnings: Vec<String>,
}

impl Tallies {
    pub(super) fn new(total: u64) -> Self {
        let mut speed = Speed::default();
        speed.start(Duration::ZERO);
        Self { total, fetched: 0, speed, providers: BTreeMap::new(), warnings: Vec::new() }
    }

    pub(super) fn met(&mut self, node: NodeId, addr: SocketAddr) {
        self.providers.entry(node).or_insert((addr, 0)).0 = addr;
    }

    pub(super) fn proven(&mut self, node: NodeId, bytes: u64, now: Duration) {
        self.fetched += bytes;
        self.speed.add(bytes, now);
        if let Some((_, brought)) = self.providers.get_mut(&node) {
            *brought += bytes;
        }
    }

    /// Whether nothing has come yet.
    pub(super) const fn is_idle(&self) -> bool {
        self.fetched == 0
    }

    pub(super) fn warn(&mut self, sentence: String) {
        self.warnings.push(sentence);
    }
}

impl State {
    pub(super) fn show(&self) {
        let now = self.now();
        let rates: BTreeMap<NodeId, u64> = self.transfer.providers(now).iter().map(|p| (p.node, p.rate)).collect();
        let shown = |(&node, &(addr, bytes)): (&NodeId, &(SocketAddr, u64))| ProviderSnapshot {
            node,
            addr,
            bytes,
            rate: rates.get(&node).copied().unwrap_or(0),
        };
        let snapshot = Snapshot {
            bytes: self.transfer.proven_bytes(),
            fetched: self.tallies.fetched,
            total: self.tallies.total,
            rate: self.tallies.speed.rate(now).unwrap_or(0),
            providers: self.tallies.providers.iter().map(shown).collect(),
            warnings: self.tallies.warnings.clone(),
        };
        self.progress.send_replace(snapshot);
    }
}
