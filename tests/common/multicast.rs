//! Somebody on the network who misuses multicast DNS (RFC 6762): noise, broken packets, and announcements of nodes that are
//! not there.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use qshare::model::NodeId;

use super::noise;

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// The service's name, and where it stands in [`fakes`]: just behind the header.
const SERVICE: &[u8] = b"\x07_qshare\x04_udp\x05local\x00";
const SERVICE_AT: [u8; 2] = [0xc0, 12];
/// Record types and the class of the Internet.
const PTR: u16 = 12;
const SRV: u16 = 33;
const TXT: u16 = 16;
const A: u16 = 1;
const IN: u16 = 1;
/// Nodes in one packet.
const FAKES: u64 = 12;

/// Sends packets until told to stop; gives how many.
pub fn send(from: Ipv4Addr, stop: &Arc<AtomicBool>, packets: impl Iterator<Item = Vec<u8>>) -> usize {
    let socket = UdpSocket::bind((from, 0)).expect("bound");
    let going_on = packets.take_while(|_| !stop.load(Ordering::Relaxed));
    // A full queue loses some.
    going_on.map(|packet| drop(socket.send_to(&packet, GROUP))).count()
}

/// What no daemon should have to read: noise, cut packets, names that point to themselves, counts that lie.
pub fn broken(number: u64) -> Vec<u8> {
    match number % 4 {
        0 => noise(number, 20 + usize::try_from(number % 1200).expect("small")),
        1 => {
            let whole = fakes(number);
            let len = 1 + usize::try_from(number).expect("small") % (whole.len() - 1);
            whole[..len].to_vec()
        }
        2 => [&header(1)[..], &SERVICE_AT, &PTR.to_be_bytes(), &IN.to_be_bytes(), &[0, 0, 1, 0, 0, 2], &SERVICE_AT]
            .concat(),
        _ => [&header(u16::MAX)[..], SERVICE].concat(),
    }
}

/// Announcements of nodes that are not there: pointer, service, text and address of each.
pub fn fakes(number: u64) -> Vec<u8> {
    let mut packet = header(u16::try_from(4 * FAKES).expect("few")).to_vec();
    for n in number * FAKES..(number + 1) * FAKES {
        let id = NodeId::of_public_key(&n.to_be_bytes()).to_string();
        let service = if n % FAKES == 0 { SERVICE } else { &SERVICE_AT };
        let instance = [&[52][..], id.as_bytes(), &SERVICE_AT].concat();
        let host = host(n);
        record(&mut packet, service, PTR, &instance);
        record(&mut packet, &instance, SRV, &[&[0, 0, 0, 0, 19, 53][..], &host].concat());
        record(&mut packet, &instance, TXT, &[0]);
        record(&mut packet, &host, A, &[10, 66, 0, 200]);
    }
    packet
}

/// Addresses of hosts that nobody has asked for, many in a packet.
pub fn strangers(number: u64) -> Vec<u8> {
    const HOSTS: u64 = 30;
    let mut packet = header(u16::try_from(HOSTS).expect("few")).to_vec();
    for n in number * HOSTS..(number + 1) * HOSTS {
        record(&mut packet, &host(n), A, &[10, 66, 0, 200]);
    }
    packet
}

fn host(number: u64) -> Vec<u8> {
    [format!("\x10{number:016x}").as_bytes(), b"\x05local\x00"].concat()
}

fn header(answers: u16) -> [u8; 12] {
    let [high, low] = answers.to_be_bytes();
    [0, 0, 0x84, 0, 0, 0, high, low, 0, 0, 0, 0]
}

fn record(packet: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]) {
    packet.extend_from_slice(name);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&IN.to_be_bytes());
    packet.extend_from_slice(&4500_u32.to_be_bytes());
    packet.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
    packet.extend_from_slice(data);
}
