//! How a running node is, as every version tells it.

use std::time::Duration;

use super::board::Board;
use crate::io::cpu;
use crate::model::PeerTarget;
use crate::node::Node;
use crate::node::types::JobRow;
use crate::wire::control::{
    Budget, ControlStatus, FriendState, JobState, LISTED, NeighbourState, OwnAddress, Running, TrackerState,
    UploadState,
};
use crate::wire::limits::CONTROL_VERSION;

/// Who it is.
pub(super) fn running(node: &Node) -> Running {
    Running {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        control: CONTROL_VERSION,
        pid: std::process::id(),
        node: node.id(),
        lan: node.inner.near.lan.is_some(),
        only_peers: node.inner.near.only_peers,
    }
}

/// How it is.
pub(super) async fn of(node: &Node, board: &Board, (up, refused): (Duration, u64)) -> ControlStatus {
    let inner = &node.inner;
    let (known, uploads) = (board.trackers(), node.count_uploads().await);
    let answers = |addr| (!known.is_empty()).then(|| known.values().any(|known| known.reached.contains(&addr)));
    let state = |tracker: PeerTarget, partly| {
        let offers = known.get(&tracker.to_string()).map(|known| known.offers);
        TrackerState { tracker: tracker.host_port(), offers, partly }
    };
    let whole = inner.finder.trackers().map(|responder| state(responder.target.clone(), false));
    let partly = inner.announcer.further().await.into_iter().map(|tracker| state(tracker, true));
    let index = inner.shelf.index();
    ControlStatus {
        running: running(node),
        up_ms: millis(up),
        addrs: node.endpoint.candidates().into_iter().map(|addr| OwnAddress { addr, answers: answers(addr) }).collect(),
        trackers: whole.chain(partly).take(LISTED).collect(),
        neighbours: neighbours(node).await,
        friends: friends(node).await,
        offers: index.public().all().names,
        all_offers: index.offers().all().names,
        jobs: node.jobs(None).await.unwrap_or_default().into_iter().take(LISTED).map(job).collect(),
        budgets: budgets(node).await,
        uploads: uploads.under_way.into_iter().take(LISTED).map(upload).collect(),
        uploads_ended: uploads.ended,
        uploaded: uploads.bytes,
        memory: cpu::memory(),
        refused,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn neighbours(node: &Node) -> Vec<NeighbourState> {
    let all = node.inner.neighbours.all().await.into_iter().take(LISTED);
    all.map(|row| NeighbourState {
        node: row.node,
        addr: row.addr,
        offers: row.offers,
        rtt_us: u64::try_from(row.rtt.as_micros()).unwrap_or(u64::MAX),
    })
    .collect()
}

async fn friends(node: &Node) -> Vec<FriendState> {
    let friends = std::sync::Arc::clone(&node.inner.friends.borrow());
    let mut told = Vec::new();
    for friend in friends.iter().take(LISTED) {
        let linked = node.connections.existing(friend.node).await.is_some();
        told.push(FriendState { name: friend.name.to_string(), node: friend.node, linked });
    }
    told
}

fn job(of: JobRow) -> JobState {
    let name = of.name.map_or_else(|| of.what.to_string(), |name| name.to_string());
    JobState { id: u32::from(of.id).into(), name, state: of.state.word().to_owned(), have: of.bytes, total: of.total }
}

fn upload(of: crate::node::Upload) -> UploadState {
    let name = of.name.map_or_else(|| of.id.to_string(), |name| name.to_string());
    UploadState { node: of.node, name, bytes: of.bytes, size: of.size, rate: of.rate }
}

/// What is bounded, with its use.
async fn budgets(node: &Node) -> Vec<Budget> {
    let [connections, half_open] = node.endpoint.gate_use();
    let [slots, waiting] = node.inner.uploads.used().await;
    let own = [
        ("connections of others", connections),
        ("half-open handshakes", half_open),
        ("upload slots", slots),
        ("requests that wait for a slot", waiting),
    ];
    let all = own.into_iter().chain(node.inner.gauges.read());
    all.map(|(name, (used, of))| Budget { name: name.to_owned(), used: used as u64, of: of as u64 }).collect()
}
