//! Who may begin a connection: counts half-open handshakes and connections per address.
//! Invariant: every admitted connection holds a [`Permit`], and the counts are exactly the permits alive.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::address::is_loopback;

/// Half-open handshakes above which an address must first prove, by a Retry, that it can receive.
pub const HALF_OPEN_RETRY: usize = 32;
/// Half-open handshakes above which nobody is let in: they last 10 s at most.
pub const HALF_OPEN: usize = 1024;
/// Connections of one address.
pub const PER_ADDRESS: usize = 256;
/// Connections from this machine.
pub const PER_LOOPBACK: usize = 1024;

/// What to do with a new connection.
#[derive(Debug)]
pub enum Verdict {
    /// Let it in.
    Admit(Permit),
    /// Answer with a Retry.
    Retry,
    /// Refuse it.
    Refuse,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Gate {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    half_open: usize,
    connections: HashMap<IpAddr, usize>,
}

impl Gate {
    /// Judges a connection from `ip`; `validated` when the address has proven that it can receive.
    #[must_use]
    pub fn judge(self: &Arc<Self>, ip: IpAddr, validated: bool) -> Verdict {
        let key = counted(ip);
        let limit = if is_loopback(ip) { PER_LOOPBACK } else { PER_ADDRESS };
        let mut counts = self.counts();
        if counts.half_open >= HALF_OPEN_RETRY && !validated {
            return Verdict::Retry;
        }
        if counts.half_open >= HALF_OPEN || counts.connections.get(&key).is_some_and(|count| *count >= limit) {
            return Verdict::Refuse;
        }
        counts.half_open += 1;
        *counts.connections.entry(key).or_default() += 1;
        Verdict::Admit(Permit { gate: self.clone(), key, half_open: true })
    }

    /// Connections that hold a permit.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts().connections.values().sum()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one connection to exist.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    key: IpAddr,
    half_open: bool,
}

impl Permit {
    /// The handshake is over.
    pub fn established(&mut self) {
        if std::mem::take(&mut self.half_open) {
            self.gate.counts().half_open -= 1;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.established();
        let mut counts = self.gate.counts();
        if let Some(count) = counts.connections.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.connections.remove(&self.key);
            }
        }
    }
}

/// One IPv6 host commonly has a whole /64, so that is what is counted.
fn counted(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(verdict: Verdict) -> Option<Permit> {
        match verdict {
            Verdict::Admit(permit) => Some(permit),
            _ => None,
        }
    }

    fn open(gate: &Arc<Gate>, ip: &str) -> Option<Permit> {
        let mut permit = admitted(gate.judge(ip.parse().expect(ip), true));
        if let Some(permit) = &mut permit {
            permit.established();
        }
        permit
    }

    #[test]
    fn an_address_has_its_limit_and_gets_it_back() {
        let gate = Arc::new(Gate::default());
        let mut permits: Vec<_> = (0..PER_ADDRESS).filter_map(|_| open(&gate, "10.0.0.1")).collect();
        assert_eq!(permits.len(), PER_ADDRESS);
        assert!(open(&gate, "::ffff:10.0.0.1").is_none());
        assert!(open(&gate, "10.0.0.2").is_some());
        permits.pop();
        assert!(open(&gate, "10.0.0.1").is_some());
        drop(permits);
        assert_eq!(gate.connections(), 0);
    }

    #[test]
    fn loopback_and_networks_have_their_own_limits() {
        let gate = Arc::new(Gate::default());
        let local: Vec<_> = (0..=PER_LOOPBACK).filter_map(|_| open(&gate, "127.0.0.1")).collect();
        assert_eq!(local.len(), PER_LOOPBACK);
        let subnet: Vec<_> = (0..300).filter_map(|n| open(&gate, &format!("2001:db8::{n}"))).collect();
        assert_eq!(subnet.len(), PER_ADDRESS);
    }

    #[test]
    fn many_half_open_handshakes_demand_a_retry() {
        let gate = Arc::new(Gate::default());
        let ip = "10.0.0.1".parse().expect("ip");
        let mut permits: Vec<_> = (0..HALF_OPEN_RETRY).filter_map(|_| admitted(gate.judge(ip, false))).collect();
        assert_eq!(permits.len(), HALF_OPEN_RETRY);
        assert!(matches!(gate.judge(ip, false), Verdict::Retry));
        assert!(matches!(gate.judge(ip, true), Verdict::Admit(_)));
        permits[0].established();
        assert!(matches!(gate.judge(ip, false), Verdict::Admit(_)));
    }
}
