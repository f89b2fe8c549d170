//! The addresses of this machine's interfaces, as candidates for others to dial.
//! Invariant: link-local addresses never, loopback only where there is nothing else. What is published is decided
//! by the tracker that dials back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use if_addrs::Interface;

use crate::model::address::{is_loopback, is_publishable};
use crate::wire::limits::CANDIDATES;

/// The candidates of an endpoint bound to `bound`, the likeliest first.
pub fn candidates(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let interfaces = up().map(|interface| (interface.ip(), interface.name));
    choose(interfaces.filter(|(ip, _)| ip.is_ipv4() || bound.is_ipv6()).collect(), bound.port())
}

/// All interfaces that are up with their addresses, by name.
pub fn all() -> Vec<(String, Vec<IpAddr>)> {
    let mut all: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for interface in up() {
        all.entry(interface.name.clone()).or_default().push(interface.ip());
    }
    all.into_iter().collect()
}

/// The system lists the addresses of one whose cable is out, or that was set down, as well.
fn up() -> impl Iterator<Item = Interface> {
    if_addrs::get_if_addrs().unwrap_or_default().into_iter().filter(Interface::is_oper_up)
}

fn choose(mut interfaces: Vec<(IpAddr, String)>, port: u16) -> Vec<SocketAddr> {
    interfaces.sort_by_key(|(ip, name)| (is_bridge(name), ip.is_ipv6()));
    let all = || interfaces.iter().map(|(ip, _)| SocketAddr::new(*ip, port)).filter(|addr| is_publishable(*addr));
    let (loopback, other): (Vec<_>, Vec<_>) = all().partition(|addr| is_loopback(addr.ip()));
    let mut chosen = if other.is_empty() { loopback } else { other };
    chosen.truncate(CANDIDATES);
    chosen
}

/// Bridges of containers and virtual machines have addresses that no other machine reaches.
fn is_bridge(name: &str) -> bool {
    ["docker", "br-", "virbr", "cni", "lxcbr"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(interfaces: &[(&str, &str)]) -> Vec<String> {
        let parse = |(ip, name): &(&str, &str)| (ip.parse().expect(ip), (*name).to_owned());
        choose(interfaces.iter().map(parse).collect(), 7).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn real_addresses_come_before_bridges_and_instead_of_loopback() {
        let machine = [
            ("127.0.0.1", "lo"),
            ("172.17.0.1", "docker0"),
            ("fd66::5", "eth0"),
            ("10.0.0.5", "eth0"),
            ("fe80::5", "eth0"),
            ("169.254.3.4", "eth1"),
        ];
        assert_eq!(chosen(&machine), ["10.0.0.5:7", "[fd66::5]:7", "172.17.0.1:7"]);
        assert_eq!(chosen(&[("127.0.0.1", "lo"), ("::1", "lo")]), ["127.0.0.1:7", "[::1]:7"]);
    }

    #[test]
    fn there_are_at_most_four_and_a_bound_address_is_the_only_one() {
        let many: Vec<_> = (1..9).map(|n| (IpAddr::from([10, 0, 0, n]), "eth0".to_owned())).collect();
        assert_eq!(choose(many, 7).len(), CANDIDATES);
        let bound: SocketAddr = "127.0.0.1:9".parse().expect("addr");
        assert_eq!(candidates(bound), [bound]);
    }
}
