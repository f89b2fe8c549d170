//! Which of a node's addresses are published: those that this tracker itself reaches under the node's id.
//! Invariant: no address is dialled that the node's own place in the network does not vouch for, and dials are
//! metered for each address and for the process.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use itertools::Itertools as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::actors::connections::ConnectionsRef;
use crate::actors::directory::DirectoryRef;
use crate::actors::limits::pool::Pool;
use crate::logic::limits::shares::{Limits, Who};
use crate::model::NodeId;
use crate::model::address::{canonical, is_publishable, may_dial_back, network};
use crate::wire::limits;

/// An address has this long to answer.
const PROBE: Duration = Duration::from_millis(1500);
/// Once one has answered, the others have this much longer.
const OTHERS: Duration = Duration::from_millis(250);
/// Dial-backs under way in this process: a node has its candidates and where it was heard.
const DIALS: Limits = Limits { all: 128, network: 64, peer: limits::CANDIDATES + 1, reserve: 32, modest: 1 };

/// Whether a node answers at an address, on a connection of its own.
pub type Probe = Arc<dyn Fn(SocketAddr, NodeId) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The real one: the node's own connections dial, aside from those in use.
pub fn probe_through(connections: ConnectionsRef) -> Probe {
    Arc::new(move |addr, node| {
        let connections = connections.clone();
        Box::pin(async move { connections.probe(addr, node).await })
    })
}

/// Dials back.
#[derive(Clone)]
pub struct DialBack {
    directory: DirectoryRef,
    probe: Probe,
    dials: Pool,
}

impl DialBack {
    /// With a way to see who answers at an address; the directory knows which were dialled in vain.
    #[must_use]
    pub fn new(directory: DirectoryRef, probe: Probe) -> Self {
        Self { directory, probe, dials: Pool::new(DIALS) }
    }

    /// The addresses at which the node was reached, in the order of the candidates.
    pub async fn reached(
        &self,
        node: NodeId,
        observed: SocketAddr,
        port: u16,
        candidates: &[SocketAddr],
    ) -> Vec<SocketAddr> {
        let who = Who { peer: node, network: network(observed.ip()), friend: false };
        let addrs = self.directory.may_dial(allowed(observed, port, candidates)).await;
        let mut probes = JoinSet::new();
        for (place, addr) in addrs.iter().copied().enumerate() {
            let this = self.clone();
            probes.spawn(async move { (place, this.probe(addr, who).await) });
        }
        let mut reached = vec![false; addrs.len()];
        let mut deadline = Instant::now() + PROBE;
        while let Ok(Some(answer)) = timeout_at(deadline, probes.join_next()).await {
            if let Ok((place, true)) = answer {
                reached[place] = true;
                deadline = deadline.min(Instant::now() + OTHERS);
            }
        }
        addrs.into_iter().zip(reached).filter(|(_, reached)| *reached).map(|(addr, _)| addr).collect()
    }

    async fn probe(&self, addr: SocketAddr, who: Who) -> bool {
        let _place = self.dials.take(who, 1).await;
        timeout(PROBE, (self.probe)(addr, who.peer)).await.unwrap_or(false)
    }
}

/// The candidates that may be dialled, and the address from which the node was heard, with its port.
fn allowed(observed: SocketAddr, port: u16, candidates: &[SocketAddr]) -> Vec<SocketAddr> {
    let heard = SocketAddr::new(observed.ip().to_canonical(), port);
    let near = candidates.iter().take(limits::CANDIDATES).map(|addr| canonical(*addr));
    let near = near.filter(|addr| may_dial_back(addr.ip(), heard.ip()));
    near.chain([heard]).filter(|addr| is_publishable(*addr)).unique().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn only_what_the_nodes_own_place_vouches_for_is_dialled() {
        let candidates = ["192.168.7.7:9", "8.8.8.8:9", "127.0.0.1:9", "[::ffff:10.0.0.5]:9"].map(addr);
        let allowed = allowed(addr("10.0.0.5:50000"), 9, &candidates);
        assert_eq!(allowed, [addr("192.168.7.7:9"), addr("10.0.0.5:9")]);
        assert_eq!(super::allowed(addr("8.8.4.4:1"), 0, &[]), [], "no port, no address");
    }
}
