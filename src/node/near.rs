//! The neighbours of a transfer: who has its content is asked again and again while it lasts, so that it needs no
//! tracker. A node that comes later is found within seconds at first, within half a minute later on.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::actors::neighbours::Answer;
use crate::model::{Hit, NodeId, Provider};
use crate::node::planes::Overlay;
use crate::wire::{Part, Sought};

/// Between two questions: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Sends the providers that the neighbours tell of until the receiver is gone.
pub(crate) async fn follow(overlay: Overlay, own: NodeId, part: Part, providers: mpsc::Sender<Vec<Provider>>) {
    let mut pause = AGAIN.0;
    while !providers.is_closed() {
        sleep(pause).await;
        pause = (pause * 2).min(AGAIN.1);
        let mut answers = overlay.search(Sought::Content(part.id));
        while let Ok(Some(Answer::Found { hits, .. })) = timeout(ANSWER, answers.recv()).await {
            let found: Vec<Provider> = hits.into_iter().filter(|hit| is_of(hit, part)).flat_map(|hit| hit.providers).collect();
            let others: Vec<Provider> = found.into_iter().filter(|provider| provider.node != own).collect();
            if !others.is_empty() && providers.send(others).await.is_err() {
                return;
            }
        }
    }
}

fn is_of(hit: &Hit, part: Part) -> bool {
    (hit.id, hit.kind, hit.size) == (Some(part.id), part.kind, part.size)
}
