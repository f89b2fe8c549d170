//! Side connections of a transfer: when to have them, and which connection the next request goes over.
//! Invariant: the link decides whether a provider is there; a side that is lost only costs its requests, which are
//! asked for again.

use std::num::NonZeroU8;

use super::{Message, State};
use crate::io::cpu::network_threads;
use crate::io::net::link::Link;
use crate::model::NodeId;

/// Bytes a second from which one connection may be what limits: more than Gigabit Ethernet carries.
const FAST: u64 = 125_000_000;
/// Connections to one provider, unless somebody asks for more.
const MOST: usize = 4;

/// How many connections to one provider, and from which rate on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    connections: usize,
    rate: u64,
}

impl Width {
    /// As many as were asked for, from the start; else one for each network thread, to a provider that is fast.
    pub(super) fn new(asked: Option<NonZeroU8>) -> Self {
        match asked {
            Some(asked) => Self { connections: usize::from(asked.get()), rate: 0 },
            None => Self { connections: network_threads().min(MOST), rate: FAST },
        }
    }
}

impl State {
    /// Has side connections opened to providers that are fast enough.
    pub(super) fn widen(&mut self) {
        let Width { connections, rate } = self.width;
        if connections < 2 {
            return;
        }
        for provider in self.transfer.providers(self.now()).iter().filter(|provider| provider.rate >= rate) {
            let Some(link) = self.candidates.widen(provider.node) else { continue };
            let (dialler, myself) = (self.connections.clone(), self.myself.clone());
            self.tasks.spawn(async move {
                let sides = dialler.beside(&link, connections - 1).await;
                // A transfer that has ended needs none.
                let _ = myself.cast(Message::Widened(link, sides));
            });
        }
    }

    pub(in crate::actors::download) fn on_widened(&mut self, link: &Link, sides: Vec<Link>) {
        tracing::debug!(node = %link.peer().short(), sides = sides.len(), "side connections");
        self.candidates.widened(link, sides);
    }

    /// Of the connections to a provider the one with the fewest requests under way.
    pub(super) fn idlest(&self, node: NodeId) -> Option<Link> {
        let under_way = |link: &Link| self.running.values().filter(|running| running.link.is_same(link)).count();
        self.candidates.connections(node).min_by_key(|link| under_way(link)).cloned()
    }
}
