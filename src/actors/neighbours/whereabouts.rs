//! Where a certain node is: what is known of it at once, then what is heard until no more is expected.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::state::State;
use crate::model::NodeId;

/// Who waits to hear of which node.
#[derive(Debug, Default)]
pub(super) struct Sought(Vec<(NodeId, mpsc::Sender<Vec<SocketAddr>>)>);

impl Sought {
    /// A node was heard of.
    pub(super) fn heard(&self, node: NodeId, addrs: &[SocketAddr]) {
        for (_, tell) in self.0.iter().filter(|(sought, _)| *sought == node) {
            // Full or gone: who asked has enough.
            let _ = tell.try_send(addrs.to_vec());
        }
    }

    /// Nothing more is expected.
    pub(super) fn end(&mut self) {
        self.0.clear();
    }
}

impl State {
    /// Tells where a node may be, until the neighbours are settled.
    pub(super) fn whereabouts(&mut self, node: NodeId, tell: mpsc::Sender<Vec<SocketAddr>>) {
        self.begin();
        let known = self.table.addresses(node);
        if !known.is_empty() {
            // It has just been made: there is room.
            let _ = tell.try_send(known);
        }
        self.sought.0.push((node, tell));
    }
}
