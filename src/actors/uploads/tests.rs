//! Slots and seats as the tasks see them: what is granted comes back, whoever is dropped when.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;
use crate::actors::access::Access;

const ONE: Capacity = Capacity { slots: 1, reserve: 0, peers: 1, per_peer: 1, queue: 1, queue_per_peer: 1 };

async fn pool(capacity: Capacity) -> UploadsRef {
    UploadsRef::start(capacity, shelf(), None).await.expect("spawned").0
}

fn shelf() -> Shelf {
    Shelf::new(watch::channel(Arc::default()).1, Access::everyone())
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn asking(n: u8) -> Asking {
    let network = IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
    let taking = Taking { node: node(n), addr: (network, 4918).into(), id: ContentId::of(b"content"), size: 100 };
    Asking { who: Who { peer: node(n), network, friend: false }, taking, link: None }
}

/// Polls once, so that the message is on its way, and leaves time for the pool to reply. What the future has not taken
/// by then is dropped with it, as it is with a task that is aborted.
async fn begun_and_dropped(future: impl Future) {
    let mut future = pin!(future);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "the pool has not replied yet");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_slot_goes_to_who_waits() {
    let pool = pool(ONE).await;
    let first = pool.ask(asking(1)).await.expect("free");
    let mut waiting = pin!(pool.ask(asking(2)));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("there is no slot"),
        () = tokio::task::yield_now() => {}
    }
    // The queue is full, and nobody has more in it than who asks: the other one keeps its place.
    begun_and_dropped(pool.ask(asking(1))).await;
    drop(first);
    assert!(waiting.await.is_some());
}

#[tokio::test]
async fn a_cancelled_wait_keeps_no_slot() {
    let pool = pool(ONE).await;
    let first = pool.ask(asking(1)).await.expect("free");
    begun_and_dropped(pool.ask(asking(1))).await;
    drop(first);
    assert!(pool.ask(asking(1)).await.is_some());
}

/// A stream's task is dropped with its connection at any moment: also between the grant and the moment it would see it.
#[tokio::test]
async fn a_slot_that_was_granted_to_a_task_that_is_gone_comes_back() {
    let pool = pool(ONE).await;
    for _ in 0..3 {
        begun_and_dropped(pool.ask(asking(1))).await;
    }
    assert!(pool.ask(asking(2)).await.is_some(), "nobody has it");
}

#[tokio::test]
async fn a_slot_that_comes_free_for_a_task_that_is_gone_goes_to_the_next() {
    let pool = pool(Capacity { queue: 2, ..ONE }).await;
    let first = pool.ask(asking(1)).await.expect("free");
    let mut gone = Box::pin(pool.ask(asking(2)));
    let mut waits = Box::pin(pool.ask(asking(3)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(gone.as_mut().poll(&mut context).is_pending() && waits.as_mut().poll(&mut context).is_pending());
    drop(first);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // Granted, and never seen.
    drop(gone);
    assert!(waits.await.is_some());
}

#[tokio::test]
async fn a_seat_of_a_task_that_is_gone_is_left() {
    let (pool, id) = (pool(Capacity::default()).await, ContentId::of(b"x"));
    begun_and_dropped(pool.join(id, node(1))).await;
    let seat = pool.join(id, node(2)).await.expect("joined");
    // The first one's leaving may be behind in the mailbox.
    let mut fetching = seat.fetching.clone();
    fetching.wait_for(|crowd| crowd.nodes == 1).await.expect("pool lives");
}

/// A peer that lets its upload wait loses the slot when others want one; a slow disk is not its fault.
#[tokio::test]
async fn who_does_not_read_is_recalled_when_others_wait() {
    let pool = pool(ONE).await;
    let first = pool.ask(asking(1)).await.expect("free");
    first.works();
    let mut waits = Box::pin(pool.ask(asking(2)));
    tokio::select! {
        biased;
        _ = &mut waits => panic!("there is no slot"),
        () = first.recalled() => panic!("the disk is slow"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    first.waits();
    first.recalled().await;
    drop(first);
    assert!(waits.await.is_some());
}

/// Else each crowd would be slower than the one before it: what went often to those who have left would go last.
#[tokio::test]
async fn what_was_sent_to_a_crowd_that_has_gone_does_not_count() {
    let pool = pool(Capacity::default()).await;
    let id = ContentId::of(b"x");
    let seat = pool.join(id, node(1)).await.expect("joined");
    pool.sent(id, 0..1);
    assert_eq!(pool.choose(id, vec![0, 1]).await, Some(1));
    drop(seat);
    let _seat = pool.join(id, node(1)).await.expect("joined");
    assert_eq!(pool.choose(id, vec![0, 1]).await, Some(0));
}

#[tokio::test]
async fn the_audience_counts_nodes_and_their_streams_wake_nobody() {
    let pool = pool(Capacity::default()).await;
    let id = ContentId::of(b"x");
    let mut one = pool.join(id, node(1)).await.expect("joined");
    let again = pool.join(id, node(1)).await.expect("joined");
    let two = pool.join(id, node(2)).await.expect("joined");
    assert_eq!(*one.fetching.borrow_and_update(), Crowd { nodes: 2, streams: 3 });
    drop(two);
    one.fetching.changed().await.expect("pool lives");
    assert_eq!(*one.fetching.borrow_and_update(), Crowd { nodes: 1, streams: 2 });
    drop(again);
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(pool.join(id, node(1)).await.expect("joined"));
    }
    assert_eq!(one.fetching.has_changed().ok(), Some(false), "the same node, on other streams");
    assert_eq!(*one.fetching.borrow(), Crowd { nodes: 1, streams: 4 });
    drop(more);
    let _three = pool.join(id, node(3)).await.expect("joined");
    one.fetching.changed().await.expect("pool lives");
    assert_eq!(one.fetching.borrow().nodes, 2);
}

#[tokio::test]
async fn what_is_taken_is_told_when_it_begins_and_when_it_is_over() {
    let (pool, mut events) = UploadsRef::start(Capacity::default(), shelf(), None).await.expect("spawned");
    let slot = pool.ask(asking(1)).await.expect("free");
    drop(slot.counted(Bytes::from_static(b"head and bytes"), 60));
    let Some(UploadEvent::Begun(begun)) = events.recv().await else { panic!("it has begun") };
    assert_eq!((begun.node, begun.bytes, begun.size), (node(1), 60, 100));
    assert_eq!(pool.shown().borrow().under_way.len(), 1);
    drop(slot.counted(Bytes::from_static(b"bytes"), 40));
    drop(slot);
    let Some(UploadEvent::Ended(ended)) = events.recv().await else { panic!("it is over") };
    assert_eq!((ended.number, ended.bytes, ended.is_whole()), (begun.number, 100, true));
    let mut shown = pool.shown();
    let last = shown.wait_for(|uploads| uploads.ended == 1).await.expect("pool lives").clone();
    assert_eq!((last.under_way.len(), last.recent.len(), last.bytes, last.nodes), (0, 1, 100, 1));
}

/// QUIC drops what it keeps when it is acknowledged, and also when the stream is reset or the connection is no more.
#[tokio::test]
async fn what_nobody_acknowledged_was_not_taken() {
    let pool = pool(Capacity::default()).await;
    let kept = || Bytes::from_static(b"bytes");
    let (reset, lost) = (pool.ask(asking(1)).await.expect("free"), pool.ask(asking(2)).await.expect("free"));
    let [never, late] = [reset.counted(kept(), 60), lost.counted(kept(), 60)];
    drop((reset.counted(kept(), 7), lost.counted(kept(), 5)));
    reset.abandon();
    drop(never);
    drop((reset, lost));
    drop(late);
    let view = pool.view().await.expect("the pool lives");
    assert_eq!((view.bytes, view.nodes), (12, 2));
}
