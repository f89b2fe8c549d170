//! The socket alone, without QUIC: what quinn would hand over, through the kernel on loopback and out again, once
//! through quinn's own socket and once through ours, which joins what is consecutive.

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qshare::io::net::udp;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime};

/// Less than a socket's buffer holds, with what the kernel adds for each datagram.
const BYTES: usize = 1 << 20;
/// What quinn hands over at a time.
const SEGMENTS: usize = 10;
/// Longer than anything that offload joins.
const BUFFER: usize = 1 << 16;

type Socket = Arc<dyn AsyncUdpSocket>;

fn plain(socket: std::net::UdpSocket) -> Socket {
    TokioRuntime.wrap_udp_socket(socket).expect("wrapped")
}

fn ours(socket: std::net::UdpSocket) -> Socket {
    udp::wrap(socket, udp::MAX_PAYLOAD, Arc::default()).expect("wrapped")
}

/// Sends all and takes it out again.
async fn through(from: &Socket, to: &Socket, destination: SocketAddr, contents: &[u8], segment: usize) {
    let mut poller = Arc::clone(from).create_io_poller();
    for contents in contents.chunks(SEGMENTS * segment) {
        let segment_size = (contents.len() > segment).then_some(segment);
        let batch = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        while from.try_send(&batch).is_err() {
            poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.expect("writable");
        }
    }
    let (mut buffer, mut meta, mut received) = (vec![0; BUFFER], [RecvMeta::default()], 0);
    while received < contents.len() {
        poll_fn(|cx| to.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await.expect("received");
        received += meta[0].len;
    }
}

fn sockets(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _within = runtime.enter();
    let bind = || udp::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound").socket;
    let receiver = bind();
    let destination = receiver.local_addr().expect("bound");
    let to = plain(receiver);
    let mut group = c.benchmark_group("socket");
    for segment in [1452, 8952] {
        let contents = vec![7; BYTES / (SEGMENTS * segment) * SEGMENTS * segment];
        group.throughput(Throughput::Bytes(contents.len() as u64));
        // Of 8952 bytes the kernel takes only seven at a time: quinn's own socket would lose them all.
        let both = [("quinn's own", plain as fn(_) -> _), ("ours", ours)];
        for (name, wrap) in both.into_iter().skip(usize::from(SEGMENTS * segment > BUFFER)) {
            let from = wrap(bind());
            group.bench_function(format!("{name}, {SEGMENTS} of {segment} at a time"), |b| {
                b.iter(|| runtime.block_on(through(&from, &to, destination, &contents, segment)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, sockets);
criterion_main!(benches);
