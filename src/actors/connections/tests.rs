//! Several nodes in one process, on loopback.

use std::collections::HashSet;

use quinn::ConnectionError;

use super::*;
use crate::actors::lab::{Host, identity};
use crate::io::net::link::code;
use crate::wire::{Role, limits};

#[tokio::test]
async fn side_connections_are_served_up_to_a_number_and_are_no_links() {
    let (a, mut b) = (Host::node().await, Host::node().await);
    let link = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    let sides = a.connections.beside(&link, limits::SIDES).await;
    let ports: HashSet<_> = sides.iter().map(Link::observed).collect();
    assert_eq!((sides.len(), ports.len()), (limits::SIDES, limits::SIDES), "a socket each");
    let mut served = Vec::new();
    for _ in 0..=limits::SIDES {
        served.push(b.links.recv().await.expect("handed on"));
    }
    assert!(served.iter().all(|link| link.peer() == a.id()));
    for (of, other) in [(&a, b.id()), (&b, a.id())] {
        assert_eq!(of.connections.existing(other).await.map(|link| link.purpose()), Some(Purpose::Link));
    }

    let more = a.connections.beside(&link, 1).await;
    let closed = more[0].closed().await;
    assert!(matches!(&closed, ConnectionError::ApplicationClosed(close) if code(close.error_code) == Code::Busy));
    drop(sides);
    // The other end hears of the dropped ones in its own time.
    loop {
        let again = a.connections.beside(&link, 1).await;
        tokio::select! {
            again = b.links.recv() => break assert_eq!(again.expect("handed on").peer(), a.id()),
            _ = again[0].closed() => {}
        }
    }
}

#[tokio::test]
async fn a_link_is_used_again_by_both_sides() {
    let (mut a, mut b) = (Host::node().await, Host::node().await);
    let first = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    assert!(a.links.recv().await.expect("handed on").is_same(&first));
    let arrived = b.links.recv().await.expect("handed on");
    assert!(a.connections.to_node(b.id(), vec![b.addr()]).await.expect("again").is_same(&first));
    assert!(a.connections.to_target(&b.target(None)).await.expect("again").is_same(&first));
    assert!(b.connections.to_node(a.id(), vec![]).await.expect("there").is_same(&arrived));
    assert_eq!((a.endpoint.dials(), b.endpoint.dials()), (1, 0));
}

#[tokio::test]
async fn dials_at_the_same_time_are_one() {
    let (a, b) = (Host::node().await, Host::node().await);
    let both =
        tokio::join!(a.connections.to_node(b.id(), vec![b.addr()]), a.connections.to_node(b.id(), vec![b.addr()]));
    assert!(both.0.expect("dialled").is_same(&both.1.expect("dialled")));
    assert_eq!((a.endpoint.dials(), b.endpoint.dials()), (1, 0));
}

/// Found with a node that had moved: the dial to where it was held up the one to where it is.
#[tokio::test]
async fn addresses_learned_during_a_dial_are_tried_at_once() {
    let (a, b) = (Host::node().await, Host::node().await);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let old = a.connections.to_node(b.id(), vec![silent.local_addr().expect("bound")]);
    let new = async {
        // The first dial is under way: what it sent is there.
        silent.set_nonblocking(true).expect("set");
        while silent.peek(&mut [0; 1]).is_err() {
            tokio::task::yield_now().await;
        }
        a.connections.to_node(b.id(), vec![b.addr()]).await
    };
    let (old, new) = tokio::join!(old, new);
    assert!(old.expect("whoever waited longer, too").is_same(&new.expect("dialled")));
}

#[tokio::test]
async fn of_two_links_the_one_dialled_by_the_smaller_id_stays() {
    let (mut a, mut b) = (Host::node().await, Host::node().await);
    if b.id() < a.id() {
        std::mem::swap(&mut a, &mut b);
    }
    // Dialled beneath the actors, so that there surely are two.
    let ours = a.endpoint.dial(&[b.addr()], Some(b.id())).await.expect("dialled");
    let theirs = b.endpoint.dial(&[a.addr()], Some(a.id())).await.expect("dialled");
    a.connections.established(ours.clone());
    b.connections.established(theirs.clone());
    // Either side may be the one that closes it.
    match theirs.closed().await {
        ConnectionError::ApplicationClosed(close) => assert_eq!(code(close.error_code), Code::Duplicate),
        closed => assert_eq!(closed, ConnectionError::LocallyClosed),
    }
    assert!(!ours.is_closed());
    assert!(a.connections.existing(b.id()).await.expect("open").is_same(&ours));
    assert!(!b.connections.existing(a.id()).await.expect("open").dialled());
}

#[tokio::test]
async fn dials_from_both_sides_leave_a_link_for_both() {
    let (a, b) = (Host::node().await, Host::node().await);
    let both =
        tokio::join!(a.connections.to_node(b.id(), vec![b.addr()]), b.connections.to_node(a.id(), vec![a.addr()]));
    assert_eq!((both.0.expect("dialled").peer(), both.1.expect("dialled").peer()), (b.id(), a.id()));
}

#[tokio::test]
async fn a_given_id_must_answer() {
    let (a, b) = (Host::node().await, Host::node().await);
    let other = identity().node_id();
    let error = a.connections.to_target(&b.target(Some(other))).await.expect_err("another");
    assert!(matches!(error, ConnectError::Dial(DialError::WrongKey { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains(&other.to_string()) && text.contains(&b.id().to_string()), "{text}");
    assert_eq!(a.trust.list().expect("read"), []);
    assert_eq!(a.connections.existing(b.id()).await.map(|link| link.peer()), None);
}

#[tokio::test]
async fn loopback_is_remembered_only_with_an_id_and_a_change_is_refused() {
    let (a, b) = (Host::node().await, Host::node().await);
    a.connections.to_target(&b.target(None)).await.expect("dialled");
    assert_eq!(a.trust.list().expect("read"), []);
    let target = b.target(Some(b.id()));
    a.connections.to_target(&target).await.expect("there");
    assert_eq!(a.trust.lookup(&target.host_port()).expect("read"), Some(b.id()));

    let remembered = identity().node_id();
    assert!(a.trust.forget(&target.host_port()).expect("written"));
    a.trust.remember_first(&target.host_port(), remembered).expect("written");
    let error = a.connections.to_target(&b.target(None)).await.expect_err("changed");
    assert_eq!(error, ConnectError::ChangedKey { host_port: target.host_port(), remembered, found: b.id() });
}

#[tokio::test]
async fn the_role_is_checked() {
    let a = Host::node().await;
    let tracker = Host::start(Role::Tracker, identity(), 0).await;
    a.connections.to_role(&tracker.target(None), Role::Tracker).await.expect("a tracker");
    let error = a.connections.to_role(&tracker.target(None), Role::Node).await.expect_err("no node");
    assert!(matches!(error, ConnectError::WrongRole { found: Role::Tracker, expected: Role::Node, .. }), "{error}");
}

#[tokio::test]
async fn a_probe_tells_who_answers_and_leaves_the_link_alone() {
    let (a, b) = (Host::node().await, Host::node().await);
    let link = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    assert!(b.connections.probe(a.addr(), a.id()).await);
    assert!(!b.connections.probe(a.addr(), b.id()).await);
    assert!(!b.connections.probe(a.addr(), identity().node_id()).await);
    assert!(a.connections.to_node(b.id(), vec![]).await.expect("still").is_same(&link));
}

#[tokio::test]
async fn a_probe_is_never_taken_for_a_link() {
    let (a, mut b) = (Host::node().await, Host::node().await);
    assert!(a.connections.probe(b.addr(), b.id()).await);
    let link = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    let first = b.links.recv().await.expect("handed on");
    assert_eq!(first.remote().port(), a.addr().port(), "the first link that is served is the real one");
    assert!(b.connections.existing(a.id()).await.is_some_and(|known| known.remote().port() == a.addr().port()));
    drop(link);
}

#[tokio::test]
async fn a_closed_link_is_forgotten_and_dialled_again() {
    let (a, mut b) = (Host::node().await, Host::node().await);
    let first = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    b.links.recv().await.expect("handed on").close(Code::Busy);
    first.closed().await;
    assert!(a.connections.existing(b.id()).await.is_none());
    let second = a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled again");
    assert!(!second.is_same(&first) && !second.is_closed());
}

#[tokio::test]
async fn a_failed_dial_is_not_repeated_at_once_but_other_addresses_are_tried() {
    let (a, b) = (Host::node().await, Host::node().await);
    let c = Host::node().await;
    let wrong = a.connections.to_node(b.id(), vec![c.addr()]).await.expect_err("not there");
    let again = a.connections.to_node(b.id(), vec![c.addr()]).await.expect_err("not there");
    assert_eq!((wrong, a.endpoint.dials()), (again, 1));
    a.connections.to_node(b.id(), vec![b.addr()]).await.expect("dialled");
    assert_eq!(a.endpoint.dials(), 2);
}

#[tokio::test]
async fn a_node_has_no_link_to_itself() {
    let a = Host::node().await;
    let by_id = a.connections.to_node(a.id(), vec![a.addr()]).await.expect_err("itself");
    let by_address = a.connections.to_target(&a.target(None)).await.expect_err("itself");
    assert_eq!((by_id.kind(), by_address.kind()), (ConnectKind::Own, ConnectKind::Own));
}
