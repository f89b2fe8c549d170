//! Dials that got no answer, counted by address and by network, and when there may be another.
//! Invariant: a target of a stranger's choice gets a handful of packets at once, then some each second, whoever names it and
//! under however many ids. Not responsible for dialling.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::logic::limits::meter::Meter;

/// Dials of one address without an answer: so many at once, then one so often. A node that restarts is met within 3 s; each
/// dial is 3 packets of 1.2 KB in its 3 s.
const OF_ADDRESS: (u32, Duration) = (4, Duration::from_secs(3));
/// The same of one network, whatever the ports and hosts: of an honest one whose nodes have all gone the first are noticed at
/// once, and the others as their turn comes.
const OF_NETWORK: (u32, Duration) = (16, Duration::from_secs(1));
/// Addresses, and networks, that are remembered; while they are so many, no other is dialled on a stranger's word.
const TARGETS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct Vain {
    addresses: Meter<SocketAddr>,
    networks: Meter<IpAddr>,
}

impl Default for Vain {
    fn default() -> Self {
        let [addresses, networks] = [OF_ADDRESS, OF_NETWORK];
        Self {
            addresses: Meter::new(addresses.0, addresses.1, TARGETS),
            networks: Meter::new(networks.0, networks.1, TARGETS),
        }
    }
}

impl Vain {
    /// Whether an address may be dialled now; it counts as in vain until it has answered.
    pub fn may_dial(&mut self, addr: SocketAddr, network: Option<IpAddr>, now: Duration) -> bool {
        if !self.addresses.allow(addr, now) {
            return false;
        }
        let room = network.is_none_or(|network| self.networks.allow(network, now));
        if !room {
            self.addresses.give_back(&addr);
        }
        room
    }

    /// What was dialled has answered.
    pub fn answered(&mut self, addr: SocketAddr, network: Option<IpAddr>) {
        self.addresses.give_back(&addr);
        network.into_iter().for_each(|network| self.networks.give_back(&network));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::network;

    /// Dials that are let through in 20 s, each asked for ten times a second.
    fn dials(addrs: &[SocketAddr]) -> usize {
        let mut vain = Vain::default();
        let times = (0..200).map(|tenth| Duration::from_millis(tenth * 100));
        times.map(|now| addrs.iter().filter(|at| vain.may_dial(**at, Some(network(at.ip())), now)).count()).sum()
    }

    #[test]
    fn a_victim_gets_few_packets_however_many_name_it() {
        let one: SocketAddr = "203.0.113.7:53".parse().expect("an address");
        let ports: Vec<_> = (0..50).map(|port| SocketAddr::new(one.ip(), 1000 + port)).collect();
        let hosts: Vec<_> = (0..50_u8).map(|host| SocketAddr::from(([203, 0, 113, host], 53))).collect();
        assert!((8..=11).contains(&dials(&[one; 50])), "{}", dials(&[one; 50]));
        for many in [ports, hosts] {
            assert!((30..=36).contains(&dials(&many)), "{}", dials(&many));
        }
    }
}
