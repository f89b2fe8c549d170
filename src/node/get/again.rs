//! Looks again on all planes while a transfer has nobody who gives: for one that came back elsewhere, or another one.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::actors::download::{Progress, Trouble};
use crate::logic::transfer::Why;
use crate::model::{Content, FoundHit, Kind, Provider, Query, SafePath};
use crate::node::look::Looking;
use crate::node::look::find::Finder;
use crate::node::report::Report;
use crate::wire::Code;

/// Between two looks: at first, and at most. The first comes at once.
const AGAIN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// Hits of the same name that are looked at.
const NAMESAKES: u32 = 50;

/// What a transfer needs, and how it stands.
pub(crate) struct Again {
    pub(crate) finder: Finder,
    pub(crate) content: Content,
    pub(crate) transfer: watch::Receiver<Progress>,
    pub(crate) report: Report,
}

impl Again {
    /// Sends the providers that are found until the receiver or the transfer is gone; and, while nothing has come, what else
    /// is claimed of the id, where that is proven.
    pub(crate) async fn run(mut self, providers: mpsc::Sender<Vec<Provider>>, truth: mpsc::Sender<FoundHit>) {
        let mut pause = AGAIN.0;
        while self.transfer.wait_for(|now| now.stuck).await.is_ok() {
            match self.finder.locate(self.content.id).await {
                Ok(found) => {
                    let (same, other): (Vec<_>, Vec<_>) =
                        found.hits.into_iter().partition(|found| found.hit.content() == Some(self.content));
                    let others = same.into_iter().flat_map(|found| found.hit.providers);
                    let others: Vec<_> = others.filter(|provider| provider.node != self.finder.own).collect();
                    if !others.is_empty() && providers.send(others).await.is_err() {
                        return;
                    }
                    self.tell_of_other(other, &truth).await;
                }
                Err(error) => tracing::debug!(%error, "nobody was found again"),
            }
            let moves = self.transfer.wait_for(|now| !now.stuck);
            pause = match tokio::time::timeout(pause, moves).await {
                Ok(Ok(_)) => AGAIN.0,
                Ok(Err(_)) => return,
                Err(_) => (pause * 2).min(AGAIN.1),
            };
        }
    }

    async fn tell_of_other(&self, claims: Vec<FoundHit>, truth: &mpsc::Sender<FoundHit>) {
        if self.transfer.borrow().bytes > 0 || self.content.kind == Kind::Collection {
            return;
        }
        let looking = Looking { finder: &self.finder, report: &self.report };
        if let Some(other) = looking.true_among(claims).await {
            // Whoever fetches may have ended.
            let _ = truth.send(other).await;
        }
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
