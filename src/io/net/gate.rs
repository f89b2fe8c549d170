//! Who may begin a connection: counts half-open handshakes and connections, by address and by network.
//! Invariant: every admitted connection holds a [`Permit`], and the counts are exactly the permits alive; of both kinds
//! some are kept for networks that have few.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::address::{is_loopback, network};
use crate::model::counts::take_away;

/// Half-open handshakes above which an address must first prove, by a Retry, that it can receive.
pub const HALF_OPEN_RETRY: usize = 32;
/// Half-open handshakes above which nobody is let in: they last 10 s at most.
pub const HALF_OPEN: usize = 1024;
/// Half-open handshakes of one network.
const HALF_OPEN_NETWORK: usize = 512;
/// Connections of one address.
pub const PER_ADDRESS: usize = 256;
/// Connections from this machine.
pub const PER_LOOPBACK: usize = 1024;
/// Connections of one network: four addresses that have what one may have. Who shares a network commonly has one each.
pub const PER_NETWORK: usize = 1024;
/// Connections in all.
pub const IN_ALL: usize = 16_384;
/// Of those in all, and of the half-open ones, a quarter is kept for networks that have no more than so many.
const FEW: usize = 8;
/// Connections above which each is to keep less ([`Gate::crowded`]).
pub const CROWD: usize = 64;

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
    crowded: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Counts {
    half_open: Tally,
    connections: Tally,
    addresses: HashMap<IpAddr, usize>,
}

/// How many there are, in all and of each network.
#[derive(Debug, Default)]
struct Tally {
    all: usize,
    networks: HashMap<IpAddr, usize>,
}

impl Tally {
    /// Whether there is room for one more of a network.
    fn has_room(&self, of: IpAddr, most: usize, in_all: usize) -> bool {
        let near = self.networks.get(&of).copied().unwrap_or(0);
        let reserve = if near < FEW { 0 } else { in_all / 4 };
        near < most && self.all < in_all - reserve
    }

    fn add(&mut self, of: IpAddr) {
        self.all += 1;
        *self.networks.entry(of).or_default() += 1;
    }

    fn remove(&mut self, of: IpAddr) {
        self.all -= 1;
        take_away(&mut self.networks, &of, 1);
    }
}

impl Gate {
    /// Judges a connection from `ip`; `validated` when the address has proven that it can receive.
    pub fn judge(self: &Arc<Self>, ip: IpAddr, validated: bool) -> Verdict {
        let key = counted(ip);
        let of = network(key);
        let limit = if is_loopback(ip) { PER_LOOPBACK } else { PER_ADDRESS };
        let mut counts = self.counts();
        if counts.half_open.all >= HALF_OPEN_RETRY && !validated {
            return Verdict::Retry;
        }
        let full = counts.addresses.get(&key).is_some_and(|count| *count >= limit);
        let begins = counts.half_open.has_room(of, HALF_OPEN_NETWORK, HALF_OPEN);
        if full || !begins || !counts.connections.has_room(of, PER_NETWORK, IN_ALL) {
            return Verdict::Refuse;
        }
        counts.half_open.add(of);
        counts.connections.add(of);
        *counts.addresses.entry(key).or_default() += 1;
        self.notice(&counts);
        Verdict::Admit(Permit { gate: self.clone(), key, of, half_open: true })
    }

    /// Whether more than [`CROWD`] connections hold a permit, kept up to date.
    pub fn crowded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.crowded)
    }

    fn notice(&self, counts: &Counts) {
        self.crowded.store(counts.connections.all > CROWD, Ordering::Relaxed);
    }

    /// Connections that hold a permit, and those of them that are half-open, each with how many there may be.
    pub fn in_use(&self) -> [(usize, usize); 2] {
        let counts = self.counts();
        [(counts.connections.all, IN_ALL), (counts.half_open.all, HALF_OPEN)]
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
    /// The network of the address.
    of: IpAddr,
    half_open: bool,
}

impl Permit {
    /// The handshake is over.
    pub fn established(&mut self) {
        if std::mem::take(&mut self.half_open) {
            self.gate.counts().half_open.remove(self.of);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.established();
        let mut counts = self.gate.counts();
        counts.connections.remove(self.of);
        self.gate.notice(&counts);
        take_away(&mut counts.addresses, &self.key, 1);
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
        assert_eq!(gate.in_use()[0].0, 0);
    }

    #[test]
    fn a_crowd_is_told_while_it_lasts() {
        let gate = Arc::new(Gate::default());
        let crowded = gate.crowded();
        let mut permits: Vec<_> = (0..CROWD).filter_map(|_| open(&gate, "10.0.0.1")).collect();
        assert!(!crowded.load(Ordering::Relaxed));
        permits.extend(open(&gate, "10.0.0.2"));
        assert!(crowded.load(Ordering::Relaxed));
        permits.pop();
        assert!(!crowded.load(Ordering::Relaxed));
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
    fn no_network_and_no_crowd_of_them_keeps_a_new_one_out() {
        let gate = Arc::new(Gate::default());
        let near: Vec<_> = (0..2000).filter_map(|n| open(&gate, &format!("203.0.113.{}", n % 200))).collect();
        assert_eq!(near.len(), PER_NETWORK);
        let crowd: Vec<_> = (0..40 * PER_NETWORK).filter_map(|n| open(&gate, &format!("10.0.{}.1", n % 256))).collect();
        assert_eq!(near.len() + crowd.len(), IN_ALL - IN_ALL / 4, "the rest is for those who have few");
        assert!(open(&gate, "203.0.113.201").is_none() && open(&gate, "192.0.2.1").is_some());
        let begun: Vec<_> =
            (0..2000).filter_map(|_| admitted(gate.judge("198.51.100.1".parse().expect("ip"), true))).collect();
        assert!(begun.len() <= HALF_OPEN_NETWORK);
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
