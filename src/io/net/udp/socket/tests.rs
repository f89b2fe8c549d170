//! Against the kernel on loopback, and against a kernel whose buffer is full whenever a test says so.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use quinn::udp::EcnCodepoint;
use quinn::{Runtime as _, TokioRuntime};

use super::*;

const SEGMENT: usize = 1200;

/// Takes sends while it has room, and tells what it took.
#[derive(Debug)]
struct Kernel {
    state: Mutex<KernelState>,
    segments: usize,
}

#[derive(Debug, Default)]
struct KernelState {
    room: usize,
    sends: Vec<(Vec<u8>, Option<usize>, Option<EcnCodepoint>)>,
    waiting: Vec<std::task::Waker>,
}

impl Kernel {
    fn new(room: usize, segments: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(KernelState { room, ..KernelState::default() }), segments })
    }

    fn make_room(&self, room: usize) {
        let mut state = self.state.lock().expect("no panic");
        state.room += room;
        state.waiting.drain(..).for_each(std::task::Waker::wake);
    }

    fn took(&self) -> Vec<u8> {
        self.state.lock().expect("no panic").sends.iter().flat_map(|(bytes, ..)| bytes.clone()).collect()
    }

    fn sends(&self) -> Vec<usize> {
        self.state.lock().expect("no panic").sends.iter().map(|(bytes, ..)| bytes.len()).collect()
    }
}

#[derive(Debug)]
struct Room(Arc<Kernel>);

impl UdpPoller for Room {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state.lock().expect("no panic");
        if state.room > 0 {
            return Poll::Ready(Ok(()));
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncUdpSocket for Kernel {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.state.lock().expect("no panic");
        if state.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.room -= 1;
        state.sends.push((transmit.contents.to_vec(), transmit.segment_size, transmit.ecn));
        Ok(())
    }

    fn poll_recv(&self, _: &mut Context<'_>, _: &mut [IoSliceMut<'_>], _: &mut [RecvMeta]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }

    fn max_transmit_segments(&self) -> usize {
        self.segments
    }
}

fn transmit(contents: &[u8]) -> Transmit<'_> {
    Transmit {
        destination: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
        ecn: Some(EcnCodepoint::Ect0),
        contents,
        segment_size: (contents.len() > SEGMENT).then_some(SEGMENT),
        src_ip: None,
    }
}

/// Segments that differ from each other.
fn segments(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| [u8::try_from(n % 251).expect("small"); SEGMENT]).collect()
}

async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        yield_now().await;
    }
}

#[tokio::test]
async fn consecutive_batches_leave_as_one_send_in_order_with_their_mark() {
    let kernel = Kernel::new(usize::MAX, 64);
    let socket = BatchSocket::new(kernel.clone(), u16::MAX, Arc::default());
    let bytes = segments(30);
    for batch in bytes.chunks(10 * SEGMENT) {
        socket.try_send(&transmit(batch)).expect("room");
    }
    assert!(kernel.took().is_empty(), "it waits for more");
    until(|| !kernel.took().is_empty()).await;
    let sends = kernel.state.lock().expect("no panic").sends.clone();
    assert_eq!(sends, [(bytes, Some(SEGMENT), Some(EcnCodepoint::Ect0))]);
}

#[tokio::test]
async fn a_connection_keeps_two_datagrams_at_most_in_a_crowd() {
    let crowded = Arc::new(AtomicBool::new(false));
    let socket = BatchSocket::new(Kernel::new(usize::MAX, 64), u16::MAX, crowded.clone());
    let none = BatchSocket::new(Kernel::new(usize::MAX, 1), u16::MAX, crowded.clone());
    assert_eq!((socket.max_transmit_segments(), none.max_transmit_segments()), (64, 1));
    crowded.store(true, Ordering::Relaxed);
    assert_eq!((socket.max_transmit_segments(), none.max_transmit_segments()), (2, 1));
}

#[tokio::test]
async fn what_is_small_leaves_at_once_and_after_what_waits() {
    let kernel = Kernel::new(usize::MAX, 64);
    let socket = BatchSocket::new(kernel.clone(), u16::MAX, Arc::default());
    socket.try_send(&transmit(b"ack")).expect("room");
    assert_eq!(kernel.sends(), [3]);
    socket.try_send(&transmit(&segments(10))).expect("room");
    socket.try_send(&transmit(b"other ack")).expect("room");
    assert_eq!(kernel.sends(), [3, 10 * SEGMENT, 9]);
}

#[tokio::test]
async fn a_full_batch_does_not_wait() {
    let kernel = Kernel::new(usize::MAX, 64);
    let socket = BatchSocket::new(kernel.clone(), u16::MAX, Arc::default());
    for batch in segments(50).chunks(10 * SEGMENT) {
        socket.try_send(&transmit(batch)).expect("room");
    }
    assert_eq!(kernel.sends(), [50 * SEGMENT], "five batches of ten are as much as one send takes");
}

#[tokio::test]
async fn a_full_kernel_holds_the_sender_back_and_nothing_is_lost_or_doubled() {
    for segments_of_the_socket in [64, 20, 1] {
        let kernel = Kernel::new(0, segments_of_the_socket);
        let socket = Arc::new(BatchSocket::new(kernel.clone(), u16::MAX, Arc::default()));
        let bytes = segments(500);
        let (sender, all, out) = (Arc::clone(&socket), bytes.clone(), kernel.clone());
        let sending = tokio::spawn(async move {
            let mut poller = Arc::clone(&sender).create_io_poller();
            for batch in all.chunks(segments_of_the_socket.min(10) * SEGMENT) {
                while let Err(error) = sender.try_send(&transmit(batch)) {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.expect("the kernel lives");
                }
            }
        });
        let mut most = 0;
        while !sending.is_finished() || out.took().len() < bytes.len() {
            out.make_room(1);
            yield_now().await;
            most = most.max(out.state.lock().expect("no panic").sends.iter().map(|(b, ..)| b.len()).max().unwrap_or(0));
        }
        sending.await.expect("sent");
        assert!(kernel.took() == bytes, "{segments_of_the_socket} segments");
        assert!(most <= MAX_SEND.min(segments_of_the_socket * SEGMENT), "{most}");
    }
}

#[tokio::test]
async fn large_datagrams_whose_batch_is_taken_in_part_are_not_sent_twice() {
    let kernel = Kernel::new(2, 64);
    let socket = BatchSocket::new(kernel.clone(), u16::MAX, Arc::default());
    let bytes: Vec<u8> = (0..5 * 32_700_u32).map(|i| u8::try_from(i % 251).expect("small")).collect();
    let batch = Transmit { segment_size: Some(32_700), ..transmit(&bytes) };
    socket.try_send(&batch).expect("taken over");
    assert_eq!(kernel.sends(), [65_400, 65_400]);
    let error = socket.try_send(&transmit(b"next")).expect_err("the kernel is full");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    kernel.make_room(1);
    until(|| kernel.took().len() == bytes.len()).await;
    assert!(kernel.took() == bytes);
}

#[tokio::test]
async fn the_kernel_on_loopback_delivers_every_segment() {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let inner = TokioRuntime.wrap_udp_socket(sender).expect("wrapped");
    let socket = Arc::new(BatchSocket::new(inner, u16::MAX, Arc::default()));
    let mut poller = Arc::clone(&socket).create_io_poller();
    poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.expect("an open socket");
    let bytes = segments(40);
    let destination = receiver.local_addr().expect("addr");
    for batch in bytes.chunks(10.min(socket.max_transmit_segments()) * SEGMENT) {
        socket.try_send(&Transmit { destination, ecn: None, ..transmit(batch) }).expect("room");
    }
    drop(socket);
    let mut received = Vec::new();
    while received.len() < bytes.len() {
        let mut datagram = [0; 2 * SEGMENT];
        let len = receiver.recv(&mut datagram).expect("every one");
        assert_eq!(len, SEGMENT);
        received.extend_from_slice(&datagram[..len]);
    }
    assert!(received == bytes);
}

#[tokio::test]
async fn connections_that_send_in_turns_are_joined_each() {
    let kernel = Kernel::new(usize::MAX, 64);
    let socket = BatchSocket::new(kernel.clone(), u16::MAX, Arc::default());
    let ends = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let one = ends(9);
    let other = (10..).map(ends).find(|end| place_of(*end) != place_of(one)).expect("there are many");
    let bytes = segments(30);
    for batch in bytes.chunks(10 * SEGMENT) {
        for destination in [one, other] {
            socket.try_send(&Transmit { destination, ..transmit(batch) }).expect("room");
        }
    }
    until(|| kernel.sends().len() == 2).await;
    assert_eq!(kernel.sends(), [30 * SEGMENT; 2]);
    assert!(kernel.took() == [bytes.clone(), bytes].concat());
}
