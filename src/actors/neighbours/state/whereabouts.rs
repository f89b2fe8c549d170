//! Where a certain node is: what is known of it at once, then what is heard until no more is expected.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::State;
use crate::model::NodeId;

/// How long the local network is listened to for a node that was named. Everyone answers the first question at once
/// (`io::net::lan::question`); where a firewall lets no such answer in, all are asked at once, after 1 s and after 3 s (RFC 6762,
/// section 5.2), and who has answered somebody else within the last second keeps silent (section 6).
const NAMED: Duration = Duration::from_secs(4);

/// Who waits to hear of which node, and until when on the local network.
#[derive(Debug, Default)]
pub(super) struct Sought(Vec<(NodeId, Duration, mpsc::Sender<Vec<SocketAddr>>)>);

impl Sought {
    /// A node was heard of.
    pub(super) fn heard(&self, node: NodeId, addrs: &[SocketAddr]) {
        for (.., tell) in self.0.iter().filter(|(sought, ..)| *sought == node) {
            // Full or gone: who asked has enough.
            let _ = tell.try_send(addrs.to_vec());
        }
    }

    /// Nothing more is expected but on the local network.
    pub(super) fn end(&mut self, now: Duration) {
        self.0.retain(|(_, until, tell)| now < *until && !tell.is_closed());
    }
}

impl State {
    /// Tells where a node may be, until the neighbours are settled and the local network has been asked often enough.
    pub(in crate::actors::neighbours) fn whereabouts(&mut self, node: NodeId, tell: mpsc::Sender<Vec<SocketAddr>>) {
        self.begin();
        let known = self.table.addresses(node);
        if !known.is_empty() {
            // It has just been made: there is room.
            let _ = tell.try_send(known);
        }
        let until = if self.dependencies.lan.is_some() { self.now() + NAMED } else { Duration::ZERO };
        self.sought.0.push((node, until, tell));
    }
}
