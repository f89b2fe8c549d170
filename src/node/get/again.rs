//! Looks again on all planes while a transfer has nobody who gives: for one that came back elsewhere, or another one.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::actors::download::supervisor::ChangeTeller;
use crate::actors::download::{Progress, Trouble};
use crate::logic::transfer::Why;
use crate::model::{Content, FoundHit, Kind, NodeId, Provider, Query, SafePath};
use crate::node::look::Looking;
use crate::node::look::find::Finder;
use crate::node::report::Report;

/// Between two looks: at first, and at most. The first comes at once.
const AGAIN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// Hits of the same name that are looked at.
const NAMESAKES: u32 = 50;

/// What a transfer needs, and how it stands.
pub(crate) struct Again {
    pub(crate) finder: Finder,
    pub(crate) content: Content,
    /// The name under which it was offered.
    pub(crate) name: SafePath,
    pub(crate) changes: ChangeTeller,
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
            self.tell_of_changes().await;
            let moves = self.transfer.wait_for(|now| !now.stuck);
            pause = match tokio::time::timeout(pause, moves).await {
                Ok(Ok(_)) => AGAIN.0,
                Ok(Err(_)) => return,
                Err(_) => (pause * 2).min(AGAIN.1),
            };
        }
    }

    /// Who has it no longer is not waited for where it offers something else in its place.
    async fn tell_of_changes(&self) {
        let is_gone = |now: &Progress| now.providers.iter().any(|one| one.why.is_some_and(Why::is_absence));
        if is_gone(&self.transfer.borrow()) {
            self.changes.changed(owners_of_other(&self.finder, self.content, &self.name).await);
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
    if !troubles.iter().any(|one| one.why.is_absence()) {
        return;
    }
    let owners = owners_of_other(finder, content, name).await;
    for one in troubles.iter_mut().filter(|one| one.why.is_absence() && owners.contains(&one.node)) {
        one.why = Why::Changed;
    }
}

/// Who offers another content under this name.
async fn owners_of_other(finder: &Finder, content: Content, name: &SafePath) -> Vec<NodeId> {
    let Ok(query) = Query::parse(&[name.as_str()]) else { return Vec::new() };
    let Ok((found, _)) = finder.candidates(&query, NAMESAKES).await else { return Vec::new() };
    let other = found.hits.into_iter().map(|found| found.hit).filter(|hit| hit.id != Some(content.id));
    let same_name = other.filter(|hit| hit.kind == content.kind && hit.names.iter().any(|n| n.last() == name.last()));
    same_name.flat_map(|hit| hit.providers).map(|provider| provider.node).collect()
}
