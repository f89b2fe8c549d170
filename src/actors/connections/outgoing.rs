//! How often an address is dialled that others told of: an address in an answer is a claim, and whoever makes claims must not
//! have this node send packets to somebody who never answers.
//! Invariant: at most `OPEN` dials to one network have no answer yet, and those that got none are metered for each address
//! and for each network. What answers as the node that was meant costs nothing. Not responsible for which addresses may be
//! dialled at all: `model/address.rs`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::io::net::dial::{Admit, Answered, DIAL};
use crate::logic::limits::vain::Vain;
use crate::model::address::{is_loopback, network};
use crate::model::counts::take_away;

/// Dials to one network that have no answer yet; later ones wait. A handshake takes a round trip, so those of an honest
/// network, however many nodes one address stands for, pass in no time.
const OPEN: usize = 8;

/// The meters. Of loopback only the single address is metered: its tellers are on this machine, as a lab's nodes are.
#[derive(Debug)]
pub(super) struct Outgoing {
    begun: Instant,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    vain: Vain,
    open: HashMap<IpAddr, usize>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { begun: Instant::now(), state: Mutex::default(), freed: Notify::new() }
    }
}

impl Outgoing {
    /// As what a dial asks before each of its addresses.
    pub(super) fn as_admit(self: &Arc<Self>) -> Admit {
        let this = Arc::clone(self);
        Arc::new(move |addr| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                let pass = this.admit(addr, DIAL).await?;
                Some(Box::new(move || pass.answered()) as Answered)
            })
        })
    }

    /// The right to dial an address once, as soon as there is room; `None` when it was dialled in vain too often. Who waits
    /// says for how long.
    pub(super) async fn admit(self: &Arc<Self>, addr: SocketAddr, patience: Duration) -> Option<Pass> {
        let waiting = async {
            loop {
                let freed = self.freed.notified();
                tokio::pin!(freed);
                // Enabled before the look, so that what is freed between is not missed.
                freed.as_mut().enable();
                if let Some(passed) = self.look(addr) {
                    return passed;
                }
                freed.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.ok().flatten()
    }

    /// Whether it may be dialled now; `None` when it has to wait.
    fn look(self: &Arc<Self>, addr: SocketAddr) -> Option<Option<Pass>> {
        let counted = Some(network(addr.ip())).filter(|ip| !is_loopback(*ip));
        let mut state = self.state();
        let State { vain, open } = &mut *state;
        if counted.is_some_and(|network| open.get(&network).is_some_and(|count| *count >= OPEN)) {
            return None;
        }
        if !vain.may_dial(addr, counted, self.begun.elapsed()) {
            return Some(None);
        }
        counted.into_iter().for_each(|network| *open.entry(network).or_default() += 1);
        drop(state);
        Some(Some(Pass { outgoing: Arc::clone(self), addr, counted }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One dial.
#[derive(Debug)]
pub(super) struct Pass {
    outgoing: Arc<Outgoing>,
    addr: SocketAddr,
    counted: Option<IpAddr>,
}

impl Pass {
    /// It answered as the node that was meant.
    pub(super) fn answered(self) {
        self.outgoing.state().vain.answered(self.addr, self.counted);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(network) = self.counted else { return };
        let mut state = self.outgoing.state();
        take_away(&mut state.open, &network, 1);
        drop(state);
        self.outgoing.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[tokio::test]
    async fn at_most_some_to_a_network_have_no_answer_yet() {
        let outgoing = Arc::new(Outgoing::default());
        let at = |n: usize| addr(&format!("203.0.113.{n}:7"));
        let mut passes = Vec::new();
        for n in 0..OPEN {
            passes.push(outgoing.admit(at(n), Duration::from_secs(3)).await.expect("room"));
        }
        assert!(outgoing.admit(at(99), Duration::from_millis(20)).await.is_none(), "nobody answers");
        assert!(outgoing.admit(addr("198.51.100.1:7"), Duration::from_secs(3)).await.is_some(), "another network");
        let patient = Arc::clone(&outgoing);
        let waiting = tokio::spawn(async move { patient.admit(at(99), Duration::from_secs(30)).await.is_some() });
        tokio::task::yield_now().await;
        passes.pop().expect("a pass").answered();
        assert!(waiting.await.expect("no panic"));
    }

    #[tokio::test]
    async fn what_answers_costs_nothing() {
        let outgoing = Arc::new(Outgoing::default());
        for n in 0..500 {
            let at = addr(&format!("203.0.113.9:{}", 1000 + n % 50));
            outgoing.admit(at, Duration::ZERO).await.expect("an honest house").answered();
        }
        assert!(outgoing.state().open.is_empty());
    }
}
