//! The UDP socket under the endpoint: dual-stack, with big buffers, and safe for large datagrams.
//! Invariant: no single send is longer than what the kernel takes; quinn hands over up to ten segments whose sum
//! Linux refuses above 64 KiB (EMSGSIZE), which would count as loss of the whole batch.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};

/// The greatest UDP payload over IPv4 (65,535 less 20 and 8 bytes of headers): also the most that one send takes.
pub const MAX_PAYLOAD: u16 = 65_507;
/// What is asked for the socket's buffers, in bytes.
pub const BUFFER: usize = 8 << 20;
/// The most that generic receive offload joins, in bytes.
const MAX_RECEIVED: usize = 65_536;

/// A bound socket and what to tell about it.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub socket: UdpSocket,
    /// Sentences on buffers that are far smaller than asked.
    pub warnings: Vec<String>,
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
    let given = [
        ("receive", "net.core.rmem_max", socket.recv_buffer_size()?),
        ("send", "net.core.wmem_max", socket.send_buffer_size()?),
    ];
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    let warnings = given.into_iter().filter_map(|(name, sysctl, got)| warning(name, sysctl, got)).collect();
    Ok(Bound { socket: socket.into(), warnings })
}

fn warning(name: &str, sysctl: &str, got: usize) -> Option<String> {
    (got < BUFFER / 2).then(|| {
        let got = got >> 10;
        format!(
            "the system gave {got} KiB of {} KiB for the UDP {name} buffer, which costs speed: raise it with `sysctl -w {sysctl}={BUFFER}`",
            BUFFER >> 10
        )
    })
}

/// Puts the socket under quinn.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub fn wrap(socket: UdpSocket, max_payload: u16) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    Ok(Arc::new(SplitSocket { inner: TokioRuntime.wrap_udp_socket(socket)?, max_payload }))
}

/// Sends a batch in pieces that the kernel takes.
#[derive(Debug)]
struct SplitSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    max_payload: u16,
}

impl AsyncUdpSocket for SplitSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    /// When a later piece finds the socket full, quinn sends the whole batch again: QUIC drops the duplicates.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        pieces(transmit).try_for_each(|piece| self.inner.try_send(&piece))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    /// Quinn's receive buffer is this times the greatest payload times 32: the offload's own limit is enough, or
    /// the buffer would be 134 MB.
    fn max_receive_segments(&self) -> usize {
        let enough = MAX_RECEIVED.div_ceil(usize::from(self.max_payload));
        if self.inner.max_receive_segments() == 1 { 1 } else { enough }
    }
}

/// A batch as sends of whole segments, none longer than [`MAX_PAYLOAD`].
fn pieces<'a>(transmit: &'a Transmit<'a>) -> impl Iterator<Item = Transmit<'a>> {
    let whole = transmit.contents.len().max(1);
    let segment = transmit.segment_size.filter(|size| *size > 0 && *size < whole);
    let piece = segment.map_or(whole, |size| size * (usize::from(MAX_PAYLOAD) / size).max(1));
    transmit.contents.chunks(piece).map(move |contents| Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn,
        contents,
        segment_size: segment.filter(|size| *size < contents.len()),
        src_ip: transmit.src_ip,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(len: usize, segment_size: Option<usize>) -> Vec<(usize, Option<usize>)> {
        let contents = vec![0; len];
        let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let transmit = Transmit { destination, ecn: None, contents: &contents, segment_size, src_ip: None };
        pieces(&transmit).map(|piece| (piece.contents.len(), piece.segment_size)).collect()
    }

    #[test]
    fn a_batch_is_split_at_whole_segments() {
        assert_eq!(lengths(14_520, Some(1452)), [(14_520, Some(1452))]);
        assert_eq!(lengths(89_520, Some(8952)), [(62_664, Some(8952)), (26_856, Some(8952))]);
        assert_eq!(lengths(150_000, Some(65_507)), [(65_507, None), (65_507, None), (18_986, None)]);
        assert_eq!(lengths(1200, None), [(1200, None)]);
        assert_eq!(lengths(900, Some(1200)), [(900, None)]);
    }

    #[test]
    fn small_buffers_are_told_with_the_setting() {
        assert!(warning("receive", "net.core.rmem_max", BUFFER).is_none());
        let text = warning("receive", "net.core.rmem_max", 425_984).expect("warned");
        assert!(text.contains("416 KiB") && text.contains("net.core.rmem_max=8388608"), "{text}");
    }

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
