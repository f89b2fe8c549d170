//! The UDP socket under the endpoint: dual-stack, with big buffers, and sends of the right length.
//! Quinn hands over up to ten segments: their sum may be more than the 64 KiB that Linux takes (EMSGSIZE, and the
//! batch counts as lost), and is far less than that at the MTU of Ethernet.

mod batch;
mod socket;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

/// The greatest UDP payload over IPv4 (65,535 less 20 and 8 bytes of headers).
pub const MAX_PAYLOAD: u16 = 65_507;
/// What is asked for the socket's buffers, in bytes.
pub const BUFFER: usize = 8 << 20;

/// A bound socket and what to tell about it.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub socket: UdpSocket,
    /// Buffers that are far smaller than asked.
    pub small: Vec<SmallBuffer>,
}

/// A buffer that the system made far smaller than [`BUFFER`], which costs speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmallBuffer {
    /// The one for what is sent, not for what is received.
    pub sends: bool,
    /// Its size in bytes.
    pub got: usize,
}

/// Binds; an unspecified IPv6 address serves IPv4 too, and becomes 0.0.0.0 where IPv6 is off.
///
/// # Errors
/// When the address cannot be had.
pub fn bind(addr: SocketAddr) -> io::Result<Bound> {
    match open(addr) {
        Err(error) if addr.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port()))
        }
        bound => bound,
    }
}

fn open(addr: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // The kernel cuts what is asked to its own limit, without an error; elsewhere an error leaves the default.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    let given = [(false, socket.recv_buffer_size()?), (true, socket.send_buffer_size()?)];
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    let small = given.into_iter().filter(|(_, got)| *got < BUFFER / 2);
    Ok(Bound { socket: socket.into(), small: small.map(|(sends, got)| SmallBuffer { sends, got }).collect() })
}

/// Puts the socket under quinn, which keeps less for each connection while there is a crowd of them. Must be called within
/// a tokio runtime.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub fn wrap(socket: UdpSocket, max_payload: u16, crowded: Arc<AtomicBool>) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    Ok(Arc::new(socket::BatchSocket::new(TokioRuntime.wrap_udp_socket(socket)?, max_payload, crowded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_address_serves_both_families() {
        let bound = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).expect("bound");
        let port = bound.socket.local_addr().expect("addr").port();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        sender.send_to(b"x", (Ipv4Addr::LOCALHOST, port)).expect("sent");
        bound.socket.set_nonblocking(false).expect("blocking");
        assert_eq!(bound.socket.recv(&mut [0; 4]).expect("received"), 1);
    }
}
