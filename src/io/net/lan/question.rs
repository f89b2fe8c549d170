//! A question to everyone on the network that each answers at once and to the asker alone (RFC 6762, sections 5.1 and 6.7).
//! What `mdns-sd` asks and is answered goes to all: then everyone takes a while, and who has told somebody else within the
//! last second keeps silent (section 6), so that of many who look at the same time the later ones heard nobody for a second.
//! Bounds: a few packets are sent, and answers are taken for a second. Not responsible for who comes later.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::Poll;
use std::time::Duration;

use if_addrs::{IfAddr, Interface};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, TYPE};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Heard, SERVICE, in_order};
use crate::model::NodeId;

/// Where everyone listens (RFC 6762, section 3).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// Of the multicast packets: no router passes them on, whatever it is.
const HOPS: u32 = 255;
/// When it is asked, since the beginning: a packet may be lost, and a responder may have just begun.
const ASKED: [Duration; 3] = [Duration::ZERO, Duration::from_millis(150), Duration::from_millis(400)];
/// When it is over.
const OVER: Duration = Duration::from_secs(1);
/// Nodes that are told at most: more than a network that one can look around in has.
const NODES: usize = 4096;
/// Bytes of an answer: as many as multicast DNS allows (RFC 6762, section 17).
const ANSWER: usize = 9000;

/// One question.
pub(super) struct Question {
    number: u16,
    sockets: Vec<UdpSocket>,
    interfaces: Vec<Interface>,
    begun: Instant,
    asked: usize,
    /// Who has answered.
    told: BTreeSet<NodeId>,
    waiting: Vec<Heard>,
}

impl Question {
    /// To be asked by [`Question::next`]. Where no socket can be had nobody answers.
    pub(super) fn new() -> Self {
        let any = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))];
        let sockets = any.into_iter().filter_map(|addr| socket(addr).ok()).collect();
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let (number, begun) = (rand::random(), Instant::now());
        Self { number, sockets, interfaces, begun, asked: 0, told: BTreeSet::new(), waiting: Vec::new() }
    }

    /// The next node that answers; none once it is over. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.waiting.pop() {
                return Some(heard);
            }
            if self.asked < ASKED.len() && self.begun.elapsed() >= ASKED[self.asked] {
                self.asked += 1;
                self.ask();
            }
            let until = self.begun + ASKED.get(self.asked).copied().unwrap_or(OVER);
            if self.asked == ASKED.len() && Instant::now() >= until || self.told.len() >= NODES {
                return None;
            }
            if self.sockets.is_empty() {
                sleep_until(until).await;
            } else if let Ok((bytes, from)) = timeout_at(until, self.received()).await {
                self.take(&bytes, from);
            }
        }
    }

    /// On each interface, of each kind that it has; where it cannot be sent there is nobody.
    fn ask(&self) {
        let Ok(packet) = question(self.number) else { return };
        for socket in &self.sockets {
            let is_v4 = socket.local_addr().is_ok_and(|addr| addr.is_ipv4());
            let mut done = BTreeSet::new();
            for interface in self.interfaces.iter().filter(|interface| interface.ip().is_ipv4() == is_v4) {
                if done.insert(interface.name.clone()) && through(socket, interface).is_ok() {
                    let group = if is_v4 { IpAddr::from(GROUP_V4) } else { IpAddr::from(GROUP_V6) };
                    let _ = socket.try_send_to(&packet, (group, PORT).into());
                }
            }
        }
    }

    async fn received(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; ANSWER];
        let (len, from) = poll_fn(|context| {
            for socket in &self.sockets {
                let mut buffer = ReadBuf::new(&mut bytes);
                if let Poll::Ready(Ok(from)) = socket.poll_recv_from(context, &mut buffer) {
                    return Poll::Ready((buffer.filled().len(), from));
                }
            }
            Poll::Pending
        })
        .await;
        bytes.truncate(len);
        (bytes, from)
    }

    fn take(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(interface) = self.interfaces.iter().find(|interface| is_on(interface, from)) else { return };
        // Who answers from elsewhere is no responder on this network (RFC 6762, section 11).
        if from.port() != PORT {
            return;
        }
        for service in answers(bytes, self.number) {
            if self.told.insert(service.node) {
                self.waiting.push(service.heard(interface, from));
            }
        }
    }
}

fn socket(addr: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_multicast_hops_v6(HOPS)?;
    } else {
        socket.set_multicast_ttl_v4(HOPS)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Sends to a group through this interface from now on.
fn through(socket: &UdpSocket, interface: &Interface) -> io::Result<()> {
    match &interface.addr {
        IfAddr::V4(v4) => SockRef::from(socket).set_multicast_if_v4(&v4.ip),
        IfAddr::V6(_) => SockRef::from(socket).set_multicast_if_v6(interface.index.unwrap_or(0)),
    }
}

/// Whether an address is on an interface's network.
fn is_on(interface: &Interface, from: SocketAddr) -> bool {
    match (&interface.addr, from) {
        (IfAddr::V4(own), SocketAddr::V4(from)) => own.ip & own.netmask == *from.ip() & own.netmask,
        (IfAddr::V6(_), SocketAddr::V6(from)) if from.scope_id() != 0 => interface.index == Some(from.scope_id()),
        (IfAddr::V6(own), SocketAddr::V6(from)) => own.ip & own.netmask == *from.ip() & own.netmask,
        _ => false,
    }
}

fn question(number: u16) -> simple_dns::Result<Vec<u8>> {
    let mut packet = Packet::new_query(number);
    let (service, pointers) = (Name::new(SERVICE.trim_end_matches('.'))?, QTYPE::TYPE(TYPE::PTR));
    packet.questions.push(simple_dns::Question::new(service, pointers, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec()
}

/// A node as an answer tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    node: NodeId,
    port: u16,
    ips: BTreeSet<IpAddr>,
}

impl Service {
    fn heard(self, interface: &Interface, from: SocketAddr) -> Heard {
        let scope = match from {
            SocketAddr::V6(from) if from.scope_id() != 0 => from.scope_id(),
            _ => interface.index.unwrap_or(0),
        };
        let addr = |ip| match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, self.port, 0, scope).into(),
            ip => SocketAddr::new(ip, self.port),
        };
        // Of itself only this machine tells on its loopback interface.
        let ips = self.ips.into_iter().filter(|ip| !ip.is_loopback() || interface.is_loopback());
        Heard { node: self.node, addrs: in_order(ips.map(addr)), interfaces: BTreeSet::from([interface.name.clone()]) }
    }
}

/// The nodes of an answer to the question of this number; none of what is no such answer.
fn answers(bytes: &[u8], number: u16) -> Vec<Service> {
    let Ok(packet) = Packet::parse(bytes) else { return Vec::new() };
    if packet.id() != number || !packet.has_flags(PacketFlag::RESPONSE) {
        return Vec::new();
    }
    let records = || packet.answers.iter().chain(&packet.additional_records);
    let services = records().filter_map(|record| match &record.rdata {
        RData::SRV(service) if service.port != 0 => Some((node(&record.name)?, service)),
        _ => None,
    });
    let ips = |host: &Name<'_>| {
        records()
            .filter(|record| record.name == *host)
            .filter_map(|record| match &record.rdata {
                RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
                RData::AAAA(aaaa) => Some(IpAddr::from(Ipv6Addr::from(aaaa.address))),
                _ => None,
            })
            .collect()
    };
    services.map(|(node, service)| Service { node, port: service.port, ips: ips(&service.target) }).collect()
}

/// The node that an instance of the service is.
fn node(instance: &Name<'_>) -> Option<NodeId> {
    let text = instance.to_string();
    text.strip_suffix(SERVICE.trim_end_matches('.'))?.strip_suffix('.')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfOperStatus, Ifv4Addr};
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, AAAA, SRV};

    use super::*;

    const NUMBER: u16 = 7;

    fn name(text: &str) -> Name<'_> {
        Name::new(text).expect(text)
    }

    /// What the node of this key answers, at a port and two addresses.
    fn answer(instance: &str, port: u16) -> Vec<u8> {
        let record = |name, rdata| ResourceRecord::new(name, CLASS::IN, 10, rdata);
        let (instance, host) = (name(instance), name("qshare-x.local"));
        let mut packet = Packet::new_reply(NUMBER);
        packet.answers.push(record(name("_qshare._udp.local"), RData::PTR(instance.clone().into())));
        let service = SRV { priority: 0, weight: 0, port, target: host.clone() };
        packet.additional_records.push(record(instance, RData::SRV(service)));
        for ip in [[10, 0, 0, 7], [127, 0, 0, 1]] {
            packet.additional_records.push(record(host.clone(), RData::A(A { address: u32::from_be_bytes(ip) })));
        }
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7).into();
        packet.additional_records.push(record(host, RData::AAAA(AAAA { address })));
        packet.additional_records.push(record(name("other.local"), RData::A(A { address: 9 })));
        packet.build_bytes_vec().expect("built")
    }

    fn interface() -> Interface {
        let (ip, netmask) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(255, 255, 255, 0));
        Interface {
            name: "eth0".to_owned(),
            addr: IfAddr::V4(Ifv4Addr { ip, netmask, prefixlen: 24, broadcast: None }),
            index: Some(3),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
        }
    }

    #[test]
    fn an_answer_tells_a_node_with_its_own_addresses() {
        let node = NodeId::of_public_key(b"k");
        let bytes = answer(&format!("{node}._qshare._udp.local"), 4917);
        let [service] = answers(&bytes, NUMBER).try_into().expect("one");
        let heard = service.heard(&interface(), SocketAddr::from(([10, 0, 0, 7], PORT)));
        // Loopback is nobody's address on another interface, and a link-local one is on that of the answer.
        let addrs = ["10.0.0.7:4917", "[fe80::7%3]:4917"].map(|addr| addr.parse().expect("an address"));
        assert_eq!((heard.node, heard.addrs), (node, addrs.to_vec()));
    }

    #[test]
    fn what_is_no_answer_to_this_question_tells_nobody() {
        let node = NodeId::of_public_key(b"k");
        let instance = format!("{node}._qshare._udp.local");
        let bytes = answer(&instance, 4917);
        assert_eq!(answers(&bytes, NUMBER + 1), []);
        assert_eq!(answers(&answer(&instance, 0), NUMBER), []);
        assert_eq!(answers(&answer("printer._ipp._tcp.local", 631), NUMBER), []);
        assert_eq!(answers(&question(NUMBER).expect("built"), NUMBER), []);
        for cut in 0..bytes.len() {
            assert!(answers(&bytes[..cut], NUMBER).len() <= 1);
        }
    }

    #[test]
    fn only_the_network_of_an_interface_answers() {
        assert!(is_on(&interface(), SocketAddr::from(([10, 0, 0, 200], PORT))));
        assert!(!is_on(&interface(), SocketAddr::from(([10, 0, 1, 200], PORT))));
        assert!(!is_on(&interface(), SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))));
    }
}
