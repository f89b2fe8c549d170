//! What goes on beside searches. While a transfer lasts, the neighbours are asked again and again who has its content, so
//! that it needs no tracker: who comes later is found within seconds at first, within half a minute later on. And the
//! nodes that trackers know become candidates for neighbours.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::actors::neighbours::{Answer, NeighboursRef};
use crate::logic::neighbours::Source;
use crate::model::{Content, NodeId, Plane, Provider};
use crate::node::error::Result;
use crate::node::look::ask::{Responder, call, connect};
use crate::node::look::find::Finder;
use crate::node::look::planes::Overlay;
use crate::wire::{Peer, PeerPage, Peers, Request, Sought, limits};

/// Between two questions: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The first question where only those near know the content: who began at the same time is found before the uploader has
/// sent the same twice. Others' addresses are dialled back meanwhile, which takes a few round trips.
const SOON: Duration = Duration::from_millis(250);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// When the trackers are asked for nodes: first, when they have had time to dial back, and then each.
const MEET: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// Nodes of a tracker that are too few to choose from, and as many as are enough.
const FEW: usize = 16;
const MANY: usize = 100;

/// Sends the providers that the neighbours tell of until the receiver is gone.
pub(crate) async fn follow(
    overlay: Overlay,
    own: NodeId,
    part: Content,
    plane: Option<Plane>,
    providers: mpsc::Sender<Vec<Provider>>,
) {
    let mut pause = AGAIN.0;
    if matches!(plane, Some(Plane::Lan | Plane::Neighbours)) {
        pause = SOON;
    }
    while !providers.is_closed() {
        sleep(pause).await;
        // Whoever comes is found within a quarter of the time that the transfer has lasted.
        pause = (pause.max(AGAIN.0 * 4 / 5) * 5 / 4).min(AGAIN.1);
        let mut answers = overlay.search(Sought::Content(part.id));
        let deadline = Instant::now() + ANSWER;
        while let Ok(Some(Answer::Found { hits, .. })) = timeout_at(deadline, answers.recv()).await {
            let same = hits.into_iter().filter(|hit| hit.content() == Some(part));
            let others = same.flat_map(|hit| hit.providers).filter(|provider| provider.node != own);
            let others: Vec<Provider> = others.collect();
            if !others.is_empty() && providers.send(others).await.is_err() {
                return;
            }
        }
    }
}

/// Tells the neighbours which nodes the trackers know, as long as the node lives.
pub(crate) async fn meet(finder: Finder, neighbours: NeighboursRef) {
    sleep(MEET.0).await;
    loop {
        for responder in finder.trackers() {
            match some_peers(&finder, responder).await {
                Ok(peers) => {
                    let others = peers.into_iter().filter(|peer| peer.node != finder.own && !peer.addrs.is_empty());
                    others.for_each(|peer| neighbours.heard(peer.node, peer.addrs, Source::Tracker));
                }
                Err(error) => tracing::debug!(%error, "a tracker tells of no neighbours"),
            }
        }
        sleep(MEET.1).await;
    }
}

/// One page of the nodes that a tracker knows, from a random place on.
async fn some_peers(finder: &Finder, responder: &Responder) -> Result<Vec<Peer>> {
    let link = connect(&finder.connections, responder, finder.own).await?;
    let after = Some(NodeId::from_bytes(rand::random()));
    let mut page: PeerPage = call(&link, &responder.who(), &Request::Peers(Peers { after }), limits::PAGE).await?;
    if page.peers.len() < FEW {
        page = call(&link, &responder.who(), &Request::Peers(Peers { after: None }), limits::PAGE).await?;
    }
    page.peers.iter_mut().for_each(|peer| peer.addrs.retain(|addr| link.teller().may_tell(*addr)));
    page.peers.truncate(MANY);
    Ok(page.peers)
}

#[cfg(test)]
mod tests;
