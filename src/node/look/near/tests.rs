//! Real nodes in one process, on addresses of 127.0.0.0/8.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::io::home::identity::{Identity, LongTermKeys};
use crate::io::net::endpoint::{Endpoint, EndpointOptions};
use crate::io::net::frames;
use crate::io::net::link::Link;
use crate::logic::flood::RATE;
use crate::model::QueryId;
use crate::node::{Direction, Home, Lifetime, Listen, Near, Node, Options};
use crate::wire::{About, Code, FloodQuery, Join, NeighbourFrame, Role};

/// A node at an address; with a peer it is a neighbour of that one and of nobody else.
async fn start(home: &Path, listen: SocketAddr, peer: Option<&Node>) -> Result<Node> {
    let target = |node: &Node| format!("{}@{}", node.id(), node.addr()).parse().expect("a target");
    let options = Options::new(Home::at(home.to_owned()))
        .lifetime(Lifetime::LongRunning)
        .listen(Listen::At(listen))
        .peers(peer.map(target).into_iter().collect::<Vec<_>>())
        .near(Near { lan: None, only_peers: peer.is_some(), ttl: None, all_global: true });
    Ok(Node::start(options).await?.0)
}

async fn node(home: &Path, listen: SocketAddr) -> Node {
    start(home, listen, None).await.expect("started")
}

fn neighbours(node: &Node) -> NeighboursRef {
    node.inner.neighbours.clone()
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_choose_each_other_at_once_are_neighbours_once() {
    for _ in 0..5 {
        let homes = [home(), home()];
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let nodes = [node(homes[0].path(), any).await, node(homes[1].path(), any).await];
        let refs = nodes.each_ref().map(neighbours);
        for (own, other) in [(0, 1), (1, 0)] {
            refs[own].heard(nodes[other].id(), vec![nodes[other].addr()], Source::Lan);
        }
        // While one takes the other's place the two may be seen as they were at different moments.
        let once = async {
            loop {
                let rows = [refs[0].all().await, refs[1].all().await].concat();
                let mut directions: Vec<_> = rows.iter().map(|row| row.direction).collect();
                directions.sort();
                if directions == [Direction::Inbound, Direction::Outbound] {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        in_time(once).await;
    }
}

/// A node that wants to be a neighbour, from this address; the link of one that is taken in stays.
async fn fake(from: SocketAddr, target: &Node) -> Option<(Endpoint, Link, quinn::SendStream, quinn::RecvStream)> {
    let (identity, keys) = (Identity::ephemeral().expect("identity"), LongTermKeys::ephemeral().expect("keys"));
    let options = EndpointOptions { listen: Listen::At(from), role: Role::Node };
    let endpoint = Endpoint::bind(Arc::new(identity), keys, options).expect("bound");
    let link = endpoint.dial(&[target.addr()], Some(target.id())).await.ok()?;
    let request = Request::Join(Join { visiting: false, about: About::default() });
    let (_, send, recv) = frames::call::<About>(&link, &request, limits::CONTROL).await.ok()?;
    Some((endpoint, link, send, recv))
}

/// What is left of a node that was killed must not keep it out when it comes again: a lost connection is silent for 10 s.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_takes_its_own_place_before_the_lost_connection_is_noticed() {
    let home = home();
    let own = node(home.path(), SocketAddr::from(([127, 2, 0, 5], 0))).await;
    let identity = Arc::new(Identity::ephemeral().expect("identity"));
    let mut before: Option<(Endpoint, Link, quinn::SendStream, quinn::RecvStream)> = None;
    for visiting in [true, true, false, false, true] {
        let keys = LongTermKeys::ephemeral().expect("keys");
        let options = EndpointOptions { listen: Listen::At(SocketAddr::from(([127, 3, 0, 2], 0))), role: Role::Node };
        let endpoint = Endpoint::bind(Arc::clone(&identity), keys, options).expect("bound");
        let link = endpoint.dial(&[own.addr()], Some(own.id())).await.expect("up");
        let request = Request::Join(Join { visiting, about: About::default() });
        let joined = frames::call::<About>(&link, &request, limits::CONTROL).await;
        let (_, send, recv) = joined.expect("it is let in, whatever it was before");
        let again = frames::call::<About>(&link, &request, limits::CONTROL).await.map(drop);
        let refused = |error| matches!(error, frames::CallError::Refused(refusal) if refusal.code == Code::Duplicate);
        assert!(again.is_err_and(refused), "once for each connection");
        if let Some((.., mut recv)) = before.take() {
            let ended = frames::receive::<NeighbourFrame>(&mut recv, limits::PAGE).await;
            assert!(ended.is_ok_and(|frame| frame.is_none()), "what was before is over");
        }
        let rows = neighbours(&own).all().await;
        let direction = if visiting { Direction::Visiting } else { Direction::Inbound };
        assert_eq!(rows.iter().map(|row| row.direction).collect::<Vec<_>>(), [direction]);
        before = Some((endpoint, link, send, recv));
    }
}

/// Found in a restart of 500 fakes: the task of a stream is dropped with its connection, and told nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_whose_connection_ends_is_none_any_more_and_may_come_back() {
    let homes = [home(), home()];
    let other = node(homes[0].path(), SocketAddr::from(([127, 2, 0, 2], 0))).await;
    let own = start(homes[1].path(), SocketAddr::from(([127, 2, 0, 3], 0)), Some(&other)).await.expect("started");
    // Nothing is asked here, or a node would notice at the next question that a neighbour is gone.
    other.stop().await;
    let (identity, keys) = (Identity::ephemeral().expect("identity"), LongTermKeys::ephemeral().expect("keys"));
    let options = EndpointOptions { listen: Listen::At(SocketAddr::from(([127, 3, 0, 1], 0))), role: Role::Node };
    let endpoint = Endpoint::bind(Arc::new(identity), keys, options).expect("bound");
    let (refs, id) = (neighbours(&own), endpoint.node_id());
    for n in 0..5_u8 {
        let link = endpoint.dial(&[own.addr()], Some(own.id())).await.expect("up");
        let request = Request::Join(Join { visiting: false, about: About::default() });
        let (_, mut send, _recv) = frames::call::<About>(&link, &request, limits::CONTROL).await.expect("let in");
        // So many that its reader waits and does not see the end.
        let before = refs.counts().await.handled;
        for m in 0..=u8::MAX {
            let id = QueryId::from_bytes([n, m, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let query = FloodQuery { id, ttl: 1, what: Sought::Nodes };
            frames::send(&mut send, &NeighbourFrame::Query(query), limits::PAGE).await.expect("sent");
        }
        let handled = async {
            while refs.counts().await.handled < before + u64::from(RATE.0) {
                tokio::task::yield_now().await;
            }
        };
        in_time(handled).await;
        link.close(Code::Closing);
        let gone = async {
            while refs.all().await.iter().any(|row| row.node == id) {
                tokio::task::yield_now().await;
            }
        };
        in_time(gone).await;
    }
}

/// Waits until the node has at least so many of these as neighbours. Who chose whom may change: nodes that have places
/// free choose those of whom they are told.
async fn has(node: &Node, of: &BTreeSet<NodeId>, count: usize) -> BTreeSet<NodeId> {
    let neighbours = neighbours(node);
    in_time(async {
        loop {
            let rows = neighbours.all().await;
            let there: BTreeSet<NodeId> = rows.iter().map(|row| row.node).filter(|node| of.contains(node)).collect();
            if there.len() >= count {
                return there;
            }
            sleep(LOOK).await;
        }
    })
    .await
}

/// Between two looks at what no event tells of.
const LOOK: Duration = Duration::from_millis(20);

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), work).await.expect("only a hang takes so long")
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_fake_neighbours_push_out_no_honest_one_also_after_a_restart() {
    let own_home = home();
    let own = node(own_home.path(), SocketAddr::from(([127, 2, 0, 1], 0))).await;
    let (at, id) = (own.addr(), own.id());
    let (mut homes, mut honest) = (Vec::new(), Vec::new());
    for n in 0..16_u8 {
        homes.push(home());
        let peer = Some(&own).filter(|_| n >= 8);
        let home = homes.last().expect("one").path();
        honest.push(start(home, SocketAddr::from(([127, 1, n, 1], 0)), peer).await.expect("started"));
    }
    let (chosen, choosing) = honest.split_at(8);
    let ids = |nodes: &[Node]| nodes.iter().map(|node| node.id()).collect::<BTreeSet<_>>();
    chosen.iter().for_each(|other| neighbours(&own).heard(other.id(), vec![other.addr()], Source::Tracker));
    has(&own, &ids(chosen), 8).await;
    has(&own, &ids(choosing), 8).await;

    let from = |n: u8| SocketAddr::from(([127, 99, 0, n], 0));
    let mut let_in = Vec::new();
    for n in 0..500_u32 {
        let_in.extend(fake(from(u8::try_from(n % 250 + 1).expect("small")), &own).await);
    }
    assert!(let_in.len() <= 2, "{} of one subnet", let_in.len());
    assert_eq!(has(&own, &ids(chosen), 8).await, ids(chosen));
    assert_eq!(has(&own, &ids(choosing), 8).await, ids(choosing));

    // What is worth remembering is written within seconds.
    let remembered = || std::fs::read_to_string(own_home.path().join("node/neighbours")).unwrap_or_default();
    in_time(async {
        while remembered().lines().count() < 8 {
            sleep(LOOK).await;
        }
    })
    .await;
    own.stop().await;
    drop(own);
    // The tasks of the one before let go of the socket one after the other.
    let own = in_time(async {
        loop {
            match start(own_home.path(), at, None).await {
                Ok(node) => return node,
                Err(_) => sleep(LOOK).await,
            }
        }
    })
    .await;
    assert_eq!((own.id(), own.addr()), (id, at));
    let mut after = Vec::new();
    for n in 0..250_u8 {
        after.extend(fake(from(n % 250 + 1), &own).await);
    }
    assert!(after.len() <= 2, "{} of one subnet", after.len());
    has(&own, &ids(chosen), 8).await;
    has(&own, &ids(choosing), 4).await;
}
