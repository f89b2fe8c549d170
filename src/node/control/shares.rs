//! The node's side of what a command offers. Invariant: however the command goes, what it offers goes with it, unless it is kept.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::interval;

use super::board::{Board, Fetched};
use super::request::{Told, Word};
use super::{answer_with, packed};
use crate::io::net::frames::{self, CallError};
use crate::logic::uploads::{Upload, UploadEvent, Uploads};
use crate::model::{NodeId, PeerTarget, SafePath};
use crate::node::Node;
use crate::node::error::Error;
use crate::node::inner::Inner;
use crate::node::inner::shares::{OfferRow, Offered, ShareWish, Terms};
use crate::node::types::Event;
use crate::wire::Code;
use crate::wire::limits::PAGE;

/// Nodes that are told apart in the totals.
const NODES: usize = 10_000;
/// How often is looked whether it is still offered.
const LOOK: Duration = Duration::from_secs(1);

/// Something that is offered, or kept for that, with who fetched it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRow {
    /// What.
    pub offer: OfferRow,
    /// How often it was fetched since the node began, or something of it, and by whom last.
    pub fetched: Fetched,
}

/// All of them.
pub(super) async fn all(node: &Node, board: &Board) -> Vec<SharedRow> {
    let row = |offer: OfferRow| {
        let fetched = offer.root.as_ref().map(|root| board.fetched(&root.name)).unwrap_or_default();
        SharedRow { offer, fetched }
    };
    node.shared().await.into_iter().map(row).collect()
}

/// Offers what a command wants, and tells of it until the command ends, or at once where it is kept.
pub(super) async fn share(
    node: &Node,
    board: &Board,
    wish: ShareWish,
    (to, from): (&mut SendStream, &mut RecvStream),
) -> Result<(), CallError> {
    let events = board.follow();
    // In a task of its own: a command that goes meanwhile must not leave behind what nobody withdraws.
    let offering = tokio::spawn(offer(Arc::clone(&node.inner), wish));
    let Ok((offered, mine)) = offering.await else { return Err(CallError::Refused(Code::Internal.into())) };
    answer_with(to, packed(&offered)).await?;
    match (mine, offered) {
        (Some(mine), Ok(_)) => mine.follow(events, to, from).await,
        _ => Ok(()),
    }
}

/// Offers a wish; what became of it, and what ends it unless it is kept.
async fn offer(inner: Arc<Inner>, wish: ShareWish) -> (Result<Offered, Error>, Option<Mine>) {
    let offered = inner.shares.offer(wish.clone()).await;
    let terms = offered.as_ref().ok().and_then(|offered| inner.shares.terms(&wish, offered));
    let names: Vec<_> = offered.iter().flat_map(|offered| &offered.roots).map(|root| root.name.clone()).collect();
    let before = offered.iter().flat_map(|offered| &offered.before).cloned();
    let shown = names.iter().cloned().chain(before).collect();
    if wish.keep {
        return (offered, None);
    }
    let mut mine = Mine::of(inner, shown);
    (mine.names, mine.terms, mine.trackers) = (names, terms, wish.trackers);
    (offered, Some(mine))
}

/// Tells what is fetched of what lies at these paths, and is offered by whomever, until the command ends.
pub(super) async fn watch(
    node: &Node,
    board: &Board,
    paths: Vec<PathBuf>,
    (to, from): (&mut SendStream, &mut RecvStream),
) -> Result<(), CallError> {
    let events = board.follow();
    let roots = node.inner.index.roots().await.into_iter().filter(|root| paths.contains(&root.path));
    let before: Vec<_> = roots.map(|root| root.name).collect();
    let offered: Result<_, Error> = Ok(Offered { before: before.clone(), ..Offered::default() });
    answer_with(to, packed(&offered)).await?;
    Mine::of(Arc::clone(&node.inner), before).follow(events, to, from).await
}

/// What a command offers. Dropped, it is offered no longer.
struct Mine {
    inner: Arc<Inner>,
    names: Vec<SafePath>,
    /// These, and what of it was offered before: of all that is told.
    shown: Vec<SafePath>,
    /// Where it is announced for this command.
    trackers: Vec<PeerTarget>,
    terms: Option<Terms>,
    totals: Uploads,
    nodes: HashSet<NodeId>,
}

impl Drop for Mine {
    fn drop(&mut self) {
        let (inner, names) = (Arc::clone(&self.inner), std::mem::take(&mut self.names));
        if !names.is_empty() {
            tokio::spawn(async move { inner.shares.withdraw(names).await });
        }
    }
}

impl Mine {
    fn of(inner: Arc<Inner>, shown: Vec<SafePath>) -> Self {
        let (names, trackers, terms) = (Vec::new(), Vec::new(), None);
        Self { inner, names, shown, trackers, terms, totals: Uploads::default(), nodes: HashSet::new() }
    }

    async fn follow(
        mut self,
        mut events: tokio::sync::broadcast::Receiver<Event>,
        to: &mut SendStream,
        from: &mut RecvStream,
    ) -> Result<(), CallError> {
        let mut uploads = self.inner.uploads.shown();
        let mut looks = interval(LOOK);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) if self.concerns(&event) => {
                        let counts = self.count(&event);
                        frames::send(to, &Told::Event(event), PAGE).await?;
                        if counts {
                            // It was told as over without being in the totals.
                            let now = uploads.borrow().clone();
                            self.tell_uploads(&now, to).await?;
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "who shares is too slow"),
                    Err(RecvError::Closed) => return Err(CallError::Refused(Code::Closing.into())),
                },
                Ok(()) = uploads.changed() => {
                    let now = uploads.borrow_and_update().clone();
                    self.tell_uploads(&now, to).await?;
                }
                _ = looks.tick() => {
                    let roots = self.inner.index.roots().await;
                    if !self.shown.is_empty() && !roots.iter().any(|root| self.shown.contains(&root.name)) {
                        // Another command has unshared all of it.
                        return frames::send(to, &Told::Left, PAGE).await;
                    }
                }
                // Whatever it says, it is its last word.
                word = frames::receive::<Word>(from, PAGE) => {
                    drop(word);
                    drop(self.terms.take());
                    self.inner.shares.withdraw(std::mem::take(&mut self.names)).await;
                    return frames::send(to, &Told::Left, PAGE).await;
                }
            }
        }
    }

    fn has(&self, upload: &Upload) -> bool {
        upload.name.as_ref().is_some_and(|name| self.offers(name))
    }

    fn offers(&self, name: &SafePath) -> bool {
        self.shown.iter().any(|root| root == name || name.above().any(|above| above == root.as_str()))
    }

    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Offer { name, .. } => self.offers(name),
            Event::Upload(UploadEvent::Begun(upload) | UploadEvent::Ended(upload)) => self.has(upload),
            Event::Announced(told) => self.is_told(&told.tracker),
            Event::Hashing { .. } | Event::Notice(_) => true,
            Event::Allowed { .. } | Event::Inbox(_) | Event::Job(_) | Event::Put(_) => false,
        }
    }

    /// Whether this tracker is told of everything, or of this.
    fn is_told(&self, tracker: &str) -> bool {
        let own = self.inner.finder.trackers().map(|responder| &responder.target);
        own.chain(&self.trackers).any(|told| told.to_string() == tracker)
    }

    async fn tell_uploads(&self, all: &Uploads, to: &mut SendStream) -> Result<(), CallError> {
        frames::send(to, &Told::Uploads(Box::new(self.uploads(all))), PAGE).await
    }

    /// Adds what is over to the totals; whether this is.
    fn count(&mut self, event: &Event) -> bool {
        let Event::Upload(UploadEvent::Ended(upload)) = event else { return false };
        self.totals.ended += 1;
        self.totals.bytes += upload.bytes;
        if self.nodes.len() < NODES {
            self.nodes.insert(upload.node);
        }
        true
    }

    /// What of the node's uploads is of this.
    fn uploads(&self, all: &Uploads) -> Uploads {
        let under_way: Vec<Upload> = all.under_way.iter().filter(|upload| self.has(upload)).cloned().collect();
        let recent = all.recent.iter().filter(|past| self.has(&past.upload)).cloned().collect();
        let nodes: HashSet<NodeId> =
            under_way.iter().map(|upload| upload.node).chain(self.nodes.iter().copied()).collect();
        let bytes = self.totals.bytes + under_way.iter().map(|upload| upload.bytes).sum::<u64>();
        Uploads { under_way, recent, ended: self.totals.ended, bytes, nodes: nodes.len() as u64 }
    }
}
