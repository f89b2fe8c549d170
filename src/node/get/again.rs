//! Looks again on all planes while a transfer has nobody who gives: for one that came back elsewhere, or another one.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::actors::download::{Progress, Trouble};
use crate::logic::transfer::Why;
use crate::model::{Content, Provider, Query, SafePath};
use crate::node::look::find::Finder;
use crate::wire::Code;

/// Between two looks: at first, and at most. The first comes at once.
const AGAIN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// Hits of the same name that are looked at.
const NAMESAKES: u32 = 50;

/// Sends the providers that are found until the receiver or the transfer is gone.
pub(crate) async fn look_again(
    finder: Finder,
    content: Content,
    mut transfer: watch::Receiver<Progress>,
    providers: mpsc::Sender<Vec<Provider>>,
) {
    let mut pause = AGAIN.0;
    while transfer.wait_for(|now| now.stuck).await.is_ok() {
        match finder.locate(content.id).await {
            Ok(found) => {
                let hits = found.hits.into_iter().map(|found| found.hit);
                let same = hits.filter(|hit| hit.content() == Some(content));
                let others = same.flat_map(|hit| hit.providers).filter(|provider| provider.node != finder.own);
                let others: Vec<_> = others.collect();
                if !others.is_empty() && providers.send(others).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "nobody was found again"),
        }
        let moves = transfer.wait_for(|now| !now.stuck);
        pause = match tokio::time::timeout(pause, moves).await {
            Ok(Ok(_)) => AGAIN.0,
            Ok(Err(_)) => return,
            Err(_) => (pause * 2).min(AGAIN.1),
        };
    }
}

/// Who has no longer what it gave, and offers something else under its name: it has changed its copy.
pub(crate) async fn tell_changed_from_gone(
    finder: &Finder,
    content: Content,
    name: &SafePath,
    troubles: &mut [Trouble],
) {
    let gone = |one: &Trouble| one.why == Why::Gone || one.why == Why::Refused(Code::NotFound);
    if !troubles.iter().any(gone) {
        return;
    }
    let Ok(query) = Query::parse(&[name.as_str()]) else { return };
    let Ok((found, _)) = finder.candidates(&query, NAMESAKES).await else { return };
    let other = found.hits.into_iter().map(|found| found.hit).filter(|hit| hit.id != Some(content.id));
    let same_name = other.filter(|hit| hit.kind == content.kind && hit.names.iter().any(|n| n.last() == name.last()));
    let owners: Vec<_> = same_name.flat_map(|hit| hit.providers).map(|provider| provider.node).collect();
    for one in troubles.iter_mut().filter(|one| gone(one) && owners.contains(&one.node)) {
        one.why = Why::Changed;
    }
}
