//! Network addresses: how people write a peer, and which addresses may be told to whom.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::NodeId;

/// Where a tracker listens whose port is not given.
pub const TRACKER_PORT: u16 = 4917;
/// Where a node listens whose port is not given: another one, so that it does not matter which of both starts first.
pub const NODE_PORT: u16 = 4918;

/// Why a text is not `[ID@]HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// What stands before the `@` is no id.
    #[error("`{0}` before the @ is not a whole node id: give all its {len} characters", len = NodeId::TEXT_LEN)]
    Id(String),
    /// Its form is another.
    #[error("`{0}` is not [ID@]HOST:PORT (a port is 1 to 65535, and an IPv6 address stands in brackets)")]
    Form(String),
    /// An IPv6 address, of whose colons none is a port's.
    #[error("`{0}` is an IPv6 address, which stands in brackets: write `[{0}]` or `[{0}]:PORT`")]
    Bare(Ipv6Addr),
}

/// A tracker or peer as people write it: `HOST:PORT` or `ID@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerTarget {
    /// Who must answer; whoever does, when none.
    pub id: Option<NodeId>,
    /// A name or address, without brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// A node that is dialled again after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Which.
    pub node: NodeId,
    /// Where it was dialled.
    pub addrs: Vec<SocketAddr>,
    /// It is dialled before the others.
    pub anchor: bool,
    /// Nothing but the local network told of it: without that it is not dialled.
    pub lan: bool,
}

impl PeerTarget {
    /// `HOST:PORT` with brackets where needed: the key under which trust is remembered.
    #[must_use]
    pub fn host_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Reads `[ID@]HOST[:PORT]`; without a port it is `port`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, port: u16) -> Result<Self, TargetError> {
        Self::read(text, Some(port))
    }

    fn read(text: &str, default: Option<u16>) -> Result<Self, TargetError> {
        let form = || TargetError::Form(text.to_owned());
        let (id, rest) = match text.split_once('@') {
            Some((id, rest)) => (Some(id.parse().map_err(|_| TargetError::Id(id.to_owned()))?), rest),
            None => (None, text),
        };
        let error = || rest.parse().map_or_else(|_| form(), TargetError::Bare);
        let (host, port) = host_and_port(rest).ok_or_else(error)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => default,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
            return Err(error());
        }
        Ok(Self { id, host: host.to_ascii_lowercase(), port: port.ok_or_else(error)? })
    }
}

/// `HOST`, `HOST:PORT`, `[HOST]` or `[HOST]:PORT`, in parts.
fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        return if rest.is_empty() { Some((host, None)) } else { Some((host, Some(rest.strip_prefix(':')?))) };
    }
    match text.split_once(':') {
        // Which of the colons was the port's?
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

impl FromStr for PeerTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::read(text, None)
    }
}

impl fmt::Display for PeerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.id {
            write!(f, "{id}@")?;
        }
        f.write_str(&self.host_port())
    }
}

/// The address as it is published and compared: never v4-mapped, never scoped.
#[must_use]
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Whether the address reaches only this machine.
#[must_use]
pub fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether an address could be published at all: a real unicast address with a port, not link-local (where machines in
/// clouds ask for their secrets), "this network", multicast, broadcast or reserved (RFC 6890). Of IPv6 only what is given to
/// networks (RFC 4291: 2000::/3, and RFC 4193), and nothing that stands for an IPv4 address behind a translator or tunnel.
/// Networks for documentation and benchmarks count as any: laboratories use them.
#[must_use]
pub fn is_publishable(addr: SocketAddr) -> bool {
    let usable = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, third, _] = ip.octets();
            first != 0 && first < 224 && !ip.is_link_local() && [first, second, third] != [192, 0, 0]
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
            ip.is_loopback() || ip.is_unique_local() || (first & 0xe000 == 0x2000 && !tunnel)
        }
    };
    usable && addr.port() != 0
}

/// Whether an address is a link-local one of IPv6, with a port. The scope that it needs is not looked at.
#[must_use]
pub fn is_link_local(addr: SocketAddr) -> bool {
    matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local()) && addr.port() != 0
}

/// Who tells of addresses: where the connection to it leads to and from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teller {
    /// Its address.
    pub remote: IpAddr,
    /// The address of this machine at which it is met, where the system tells.
    pub local: Option<IpAddr>,
}

impl Teller {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_here(self) -> bool {
        is_loopback(self.remote) || self.local.map(|ip| ip.to_canonical()) == Some(self.remote.to_canonical())
    }

    /// Whether an address may be dialled on its word: one that could be published; a loopback address only where it is on
    /// this machine, a private one only where it is in a private network itself or the address is in the subnet in which we
    /// are met. For what a stranger far away says of those would be a service of this machine, or of our own network.
    #[must_use]
    pub fn may_tell(self, addr: SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        is_publishable(addr)
            && match ip {
                _ if is_loopback(ip) => self.is_here(),
                _ if is_private(ip) => {
                    is_private(self.remote) || self.is_here() || self.local.is_some_and(|local| same_subnet(local, ip))
                }
                _ => true,
            }
    }
}

/// Whether an address belongs to a private network (RFC 1918, RFC 6598, RFC 4193) or to this machine.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The network that shares a limit with this address: what one party commonly has at its disposal, a /24 (IPv4) or a
/// /64 (IPv6). An address of a private network or of this machine stands for itself: a classroom is one subnet.
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        own if is_private(own) => own,
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() >> 8 << 8)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// Whether two addresses share a /24 (IPv4) or /64 (IPv6).
#[must_use]
pub fn same_subnet(a: IpAddr, b: IpAddr) -> bool {
    match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

/// Whether a candidate address that a node claims may be dialled back, given where the claim came from: loopback
/// only for a claim from loopback, the same subnet, or both private (design, section 3).
#[must_use]
pub fn may_dial_back(candidate: IpAddr, observed: IpAddr) -> bool {
    if is_loopback(candidate) || is_loopback(observed) {
        return is_loopback(candidate) && is_loopback(observed);
    }
    same_subnet(candidate, observed) || (is_private(candidate) && is_private(observed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_network_counts_as_one_and_a_private_address_for_itself() {
        let network = |text: &str| network(text.parse().expect(text)).to_string();
        assert_eq!(
            (network("203.0.113.9"), network("::ffff:203.0.113.9")),
            ("203.0.113.0".into(), "203.0.113.0".into())
        );
        assert_eq!(network("2001:db8:1:2:3::4"), "2001:db8:1:2::");
        for own in ["10.0.0.7", "192.168.1.2", "127.0.0.1", "fd00::1", "100.64.0.1"] {
            assert_eq!(network(own), own);
        }
    }

    #[test]
    fn targets_round_trip() {
        let id = NodeId::of_public_key(b"k");
        for text in ["host:4917", "10.0.0.1:1", "[fd66::1]:4917", &format!("{id}@lab-3.example:4917")] {
            assert_eq!(text.parse::<PeerTarget>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn wrong_targets_are_refused() {
        for text in
            ["", "host", "host:", "host:0", "host:99999", ":1", "fd66::1:1", "x@host:1", "[::1:1", "a b:1", "a/b:1"]
        {
            assert!(text.parse::<PeerTarget>().is_err(), "{text}");
        }
        let short = "abcdefgh@host:1".parse::<PeerTarget>().expect_err("a shortened id");
        assert_eq!(short.to_string(), "`abcdefgh` before the @ is not a whole node id: give all its 52 characters");
    }

    #[test]
    fn a_host_without_a_port_has_the_one_that_is_usual() {
        let parsed = |text: &str| PeerTarget::parse(text, NODE_PORT).map(|target| target.host_port());
        for (text, expected) in [
            ("lab1", "lab1:4918"),
            ("lab1:7", "lab1:7"),
            ("10.0.0.1", "10.0.0.1:4918"),
            ("[fd66::1]", "[fd66::1]:4918"),
            ("[fd66::1]:7", "[fd66::1]:7"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected));
        }
        let id = NodeId::of_public_key(b"k");
        assert_eq!(
            PeerTarget::parse(&format!("{id}@lab1"), 5).map(|target| (target.id, target.port)),
            Ok((Some(id), 5))
        );
        let bare = PeerTarget::parse("fd66::1", 7).expect_err("no brackets").to_string();
        assert!(bare.contains("`[fd66::1]:PORT`"), "{bare}");
        for wrong in ["", "lab1:", "lab1:0", "fd66::1", "[fd66::1", "[fd66::1]7", "a b", "a/b", "-x", "x@lab1"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_near_candidates_are_dialled_back() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        assert!(may_dial_back(ip("10.1.2.3"), ip("192.168.0.9")));
        assert!(may_dial_back(ip("8.8.8.9"), ip("8.8.8.8")));
        assert!(!may_dial_back(ip("8.8.9.9"), ip("8.8.8.8")));
        assert!(!may_dial_back(ip("10.0.0.1"), ip("8.8.8.8")));
        assert!(!may_dial_back(ip("127.0.0.1"), ip("10.0.0.1")));
        assert!(may_dial_back(ip("::1"), ip("127.0.0.1")));
        assert_eq!(canonical("[::ffff:10.0.0.1]:7".parse().expect("addr")), "10.0.0.1:7".parse().expect("addr"));
    }

    #[test]
    fn what_is_no_place_of_a_node_is_never_published() {
        for text in [
            "0.0.0.0:7",
            "0.1.2.3:7",
            "169.254.1.1:7",
            "169.254.169.254:80",
            "192.0.0.170:7",
            "224.0.0.251:5353",
            "239.1.2.3:7",
            "240.0.0.1:7",
            "255.255.255.255:7",
            "10.0.0.1:0",
            "[::]:7",
            "[ff02::fb]:5353",
            "[fe80::1]:7",
            "[fec0::1]:7",
            "[::10.0.0.1]:7",
            "[64:ff9b::a9fe:a9fe]:80",
            "[2002:a9fe:a9fe::1]:80",
            "[2001:0:1::1]:7",
            "[100::1]:7",
            "[::ffff:169.254.169.254]:80",
            "[::ffff:255.255.255.255]:7",
            "[4000::1]:7",
        ] {
            assert!(!is_publishable(text.parse().expect(text)), "{text}");
        }
        for text in
            ["10.0.0.1:7", "127.0.0.1:7", "[::1]:7", "[fd00::1]:7", "[2001:db8::1]:7", "203.0.113.9:7", "198.18.0.1:7"]
        {
            assert!(is_publishable(text.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn near_addresses_are_told_by_who_is_near() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let may = |remote: &str, local: &str, told: &str| {
            let teller = Teller { remote: ip(remote), local: (!local.is_empty()).then(|| ip(local)) };
            teller.may_tell(told.parse().expect(told))
        };
        assert!(may("127.0.0.1", "127.0.0.1", "127.0.0.1:7") && may("::1", "", "10.9.9.9:7"));
        assert!(may("10.0.0.5", "10.0.0.5", "127.0.0.1:7"), "on this machine");
        for told in ["127.0.0.1:7", "[::1]:7", "[::ffff:127.0.0.1]:7", "169.254.169.254:80", "255.255.255.255:7"] {
            assert!(!may("10.0.0.5", "10.0.0.9", told) && !may("8.8.8.8", "8.8.4.4", told), "{told}");
        }
        assert!(may("10.0.0.5", "10.0.0.9", "192.168.3.4:7"));
        assert!(may("8.8.8.8", "10.0.0.9", "10.0.0.5:7"), "the network that we are in");
        assert!(!may("8.8.8.8", "10.0.0.9", "10.0.1.5:7") && !may("8.8.8.8", "", "10.0.0.5:7"));
        assert!(may("8.8.8.8", "", "203.0.113.9:7"));
    }
}
