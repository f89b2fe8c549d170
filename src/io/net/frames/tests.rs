//! Frames between two real endpoints; the wrong ones are written byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::*;
use crate::io::home::identity::{Identity, LongTermKeys};
use crate::io::net::endpoint::{Endpoint, EndpointOptions, Listen};
use crate::io::net::transport::{LASTING, STREAM_WINDOW};
use crate::model::ContentId;
use crate::wire::{HitPage, Locate, Role};

struct Pair {
    asks: Link,
    answers: Link,
    _endpoints: [Endpoint; 2],
}

async fn pair() -> Pair {
    let listen = Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let endpoints = [(); 2].map(|()| {
        let identity = Arc::new(Identity::ephemeral().expect("identity"));
        let keys = LongTermKeys::ephemeral().expect("keys");
        Endpoint::bind(identity, keys, EndpointOptions { listen, role: Role::Node }).expect("bound")
    });
    let accepting = endpoints[0].clone();
    let accepted = async { accepting.accept().await.expect("arrival").establish(Role::Node, |_| Ok(())).await };
    let addrs = [endpoints[0].local_addr()];
    let (answers, asks) = tokio::join!(accepted, endpoints[1].dial(&addrs, None));
    Pair { asks: asks.expect("dialled"), answers: answers.expect("established"), _endpoints: endpoints }
}

fn request() -> Request {
    Request::Locate(Locate { id: ContentId::of(b"x") })
}

/// What the answering side makes of these bytes and the stream's end.
async fn received(bytes: &[u8]) -> Result<Request, CallError> {
    let pair = pair().await;
    let (mut to, _from) = pair.asks.connection().open_bi().await.expect("stream");
    to.write_all(bytes).await.expect("written");
    to.finish().expect("finished");
    let (_to, mut from) = pair.answers.accept_stream().await.expect("stream");
    receive_request(&mut from).await
}

/// All streams that may bring bytes are full of what is read slowly.
#[tokio::test]
async fn what_is_not_read_for_long_leaves_what_else_comes_its_room() {
    const FULL: usize = STREAM_WINDOW as usize;
    let pair = pair().await;
    pair.asks.widen();
    let giving = async |bytes: usize| {
        let (mut to, _from) = pair.answers.accept_stream().await.expect("stream");
        to.write_all(&vec![0; bytes]).await.expect("written");
        to.finish().expect("finished");
        to
    };
    let (mut kept, mut rooms) = (Vec::new(), Vec::new());
    for _ in 0..LASTING {
        let (mut to, mut from) = pair.asks.connection().open_bi().await.expect("stream");
        let asking = async {
            to.write_all(&[0]).await.expect("asked");
            from.read_exact(&mut [0; 1]).await.expect("begun");
            rooms.push(pair.asks.room(u64::from(STREAM_WINDOW)));
        };
        let (given, ()) = tokio::join!(giving(FULL), asking);
        kept.push((given, to, from));
    }
    // Much more than the connection has room for.
    let (mut to, mut from) = pair.asks.connection().open_bi().await.expect("stream");
    let asking = async {
        to.write_all(&[0]).await.expect("asked");
        from.read_to_end(10 * FULL).await.expect("read").len()
    };
    let (_, read) =
        timeout(Duration::from_secs(60), async { tokio::join!(giving(10 * FULL), asking) }).await.expect("room");
    assert_eq!(read, 10 * FULL);
}

#[tokio::test]
async fn a_request_gets_its_answer() {
    let pair = pair().await;
    let page = HitPage { hits: vec![], more: 3 };
    let answering = async {
        let (mut to, mut from) = pair.answers.accept_stream().await.expect("stream");
        assert_eq!(receive_request(&mut from).await, Ok(request()));
        send(&mut to, &Answer::Ok(page.clone()), CONTROL).await.expect("sent");
        to.finish().expect("finished");
    };
    let request = request();
    let (answer, ()) = tokio::join!(call::<HitPage>(&pair.asks, &request, CONTROL), answering);
    let (answer, _to, mut from) = answer.expect("answered");
    assert_eq!(answer, page);
    assert_eq!(receive::<HitPage>(&mut from, CONTROL).await, Ok(None));
}

#[tokio::test]
async fn a_refusal_arrives_with_its_time() {
    let pair = pair().await;
    let refusal = Refusal { code: Code::Busy, retry_ms: 700 };
    let answering = async {
        let (mut to, mut from) = pair.answers.accept_stream().await.expect("stream");
        refuse(&mut to, &mut from, refusal.clone()).await;
        (to, from)
    };
    let request = request();
    let (answer, _streams) = tokio::join!(call::<HitPage>(&pair.asks, &request, CONTROL), answering);
    assert_eq!(answer.expect_err("refused"), CallError::Refused(refusal));
}

#[tokio::test]
async fn a_reset_and_a_lost_connection_are_told_apart() {
    let pair = pair().await;
    let request = request();
    let resetting = async {
        let (mut to, from) = pair.answers.accept_stream().await.expect("stream");
        to.reset(var_int(Code::Changed)).expect("reset");
        (to, from)
    };
    let (answer, _streams) = tokio::join!(call::<HitPage>(&pair.asks, &request, CONTROL), resetting);
    assert_eq!(answer.expect_err("reset"), CallError::Reset(Code::Changed));
    pair.answers.close(Code::Closing);
    assert!(matches!(call::<HitPage>(&pair.asks, &request, CONTROL).await, Err(CallError::Lost(_))));
}

#[tokio::test]
async fn wrong_bytes_are_refused_with_the_right_code() {
    let unknown = [&[0, 0, 0, 8, 0x81, 0xa5][..], b"Fetsh", &[0xc0]].concat();
    let cases: [(&str, &[u8], Code); 7] = [
        ("nothing", &[], Code::BadRequest),
        ("half a length", &[0, 0], Code::BadRequest),
        ("length 0", &[0, 0, 0, 0], Code::TooLarge),
        ("length 2^32-1", &[0xff, 0xff, 0xff, 0xff, 1, 2, 3], Code::TooLarge),
        ("less than claimed", &[0, 0, 1, 0, 0x81], Code::BadRequest),
        ("no message", &[0, 0, 0, 1, 7], Code::BadRequest),
        ("an unknown message", &unknown, Code::Unsupported),
    ];
    for (case, bytes, code) in cases {
        assert_eq!(received(bytes).await.map_err(|error| error.code()), Err(code), "{case}");
    }
}

#[tokio::test]
async fn a_message_over_its_cap_is_not_sent() {
    let pair = pair().await;
    let (mut to, _from) = pair.asks.connection().open_bi().await.expect("stream");
    let error = send(&mut to, &"x".repeat(100), 64).await.expect_err("too long");
    assert!(matches!(error, CallError::Frame(FrameError::TooLong { .. })), "{error}");
}

/// A length, one byte, and then silence: the design's ten seconds.
#[tokio::test]
async fn a_request_that_stalls_is_given_up() {
    let pair = pair().await;
    let (mut to, _from) = pair.asks.connection().open_bi().await.expect("stream");
    to.write_all(&[0, 0, 1, 0, 0x81]).await.expect("written");
    let (_to, mut from) = pair.answers.accept_stream().await.expect("stream");
    assert_eq!(receive_request(&mut from).await, Err(CallError::TimedOut));
}

/// 1 MiB is claimed: nothing of it comes, or little more than must, or some and then no more.
#[tokio::test]
async fn a_frame_must_go_on_and_may_be_slow() {
    let claim = (crate::wire::limits::PAGE as u32).to_be_bytes();
    let receiving = |bytes: usize, goes_on: bool| async move {
        let pair = pair().await;
        let (mut to, _from) = pair.asks.connection().open_bi().await.expect("stream");
        to.write_all(&claim).await.expect("written");
        let (_to, mut from) = pair.answers.accept_stream().await.expect("stream");
        let writing = async {
            to.write_all(&vec![0; bytes]).await.expect("written");
            for _ in 0..if goes_on { u32::MAX } else { 0 } {
                sleep(Duration::from_millis(100)).await;
                to.write_all(&[0; 2 << 10]).await.expect("written");
            }
            pending::<()>().await;
        };
        let begun = tokio::time::Instant::now();
        let frame = Incoming::begin(&mut from, crate::wire::limits::PAGE).await.expect("a claim").expect("begun");
        tokio::select! {
            whole = timeout(Duration::from_secs(13), frame.whole(&mut from)) => (whole, begun.elapsed()),
            () = writing => unreachable!("it never ends"),
        }
    };
    let (nothing, some, slow) = tokio::join!(receiving(0, false), receiving(32 << 10, false), receiving(0, true));
    assert_eq!(nothing.0, Ok(Err(CallError::TimedOut)));
    assert!(nothing.1 >= REQUEST && nothing.1 < some.1, "{:?}", nothing.1);
    assert_eq!(some.0, Ok(Err(CallError::TimedOut)));
    assert!(some.1 >= Duration::from_secs(12), "32 KiB are two more seconds: {:?}", some.1);
    assert!(slow.0.is_err(), "20 KiB/s go on");
}

/// Who lets nothing come is not waited for longer than who sends nothing.
#[tokio::test]
async fn what_is_not_taken_is_given_up() {
    let pair = pair().await;
    let (mut to, _from) = pair.asks.connection().open_bi().await.expect("stream");
    to.write_all(&[0]).await.expect("written");
    // More than the windows of a stream that nobody reads.
    let long = Bytes::from(vec![0; 16 << 20]);
    let hurried = write_unless(&mut to, long, || sleep(Duration::from_millis(200))).await;
    assert_eq!(hurried, Err(CallError::TimedOut));
}
