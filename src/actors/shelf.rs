//! What this node can serve right now: the index's files and the transfers under way.
//! A snapshot that tasks read without asking any actor.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::actors::index::IndexSnapshot;
use crate::io::link::Link;
use crate::io::source::Source;
use crate::model::{ContentId, Hit, Provider, Query};
use crate::wire::{Code, LeftOut, Sought};

/// Hits of this node for one query of a neighbour.
const FLOODED: u32 = 100;

/// Transfers under way, by content id.
type Transfers = BTreeMap<ContentId, Entry>;

/// A transfer as others see it.
#[derive(Clone)]
struct Entry {
    source: Arc<dyn Source>,
    participants: mpsc::Sender<Link>,
}

/// The shelf; cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    index: watch::Receiver<Arc<IndexSnapshot>>,
    transfers: Arc<watch::Sender<Arc<Transfers>>>,
}

/// A transfer's place on the shelf; taken off when dropped.
pub struct Place {
    transfers: Arc<watch::Sender<Arc<Transfers>>>,
    id: ContentId,
}

impl Shelf {
    /// A shelf over the index's snapshots.
    #[must_use]
    pub fn new(index: watch::Receiver<Arc<IndexSnapshot>>) -> Self {
        Self { index, transfers: Arc::new(watch::Sender::new(Arc::default())) }
    }

    /// The index as it is now.
    #[must_use]
    pub fn index(&self) -> Arc<IndexSnapshot> {
        Arc::clone(&self.index.borrow())
    }

    /// Puts a transfer on the shelf; peers that begin to watch it are sent to `participants`.
    #[must_use]
    pub fn place(&self, id: ContentId, source: Arc<dyn Source>, participants: mpsc::Sender<Link>) -> Place {
        self.transfers.send_modify(|all| {
            let mut new = Transfers::clone(all);
            new.insert(id, Entry { source, participants });
            *all = Arc::new(new);
        });
        Place { transfers: Arc::clone(&self.transfers), id }
    }

    /// What serves the content.
    ///
    /// # Errors
    /// NotFound, SizeDiffers when the id is here with another size, or Changed when it was here.
    pub fn source(&self, id: ContentId, size: u64) -> Result<Arc<dyn Source>, Code> {
        let index = self.index();
        if let Some(source) = index.source(id, size) {
            return Ok(source);
        }
        let transfers = Arc::clone(&self.transfers.borrow());
        match transfers.get(&id) {
            Some(entry) if entry.source.size() == size => Ok(Arc::clone(&entry.source)),
            Some(_) => Err(Code::SizeDiffers),
            None if !index.locate(id).is_empty() => Err(Code::SizeDiffers),
            None => Err(absent(&index, id)),
        }
    }

    /// A collection's canonical bytes, and what it leaves out of its directory here.
    ///
    /// # Errors
    /// NotFound, or Changed when it was here.
    pub fn manifest(&self, id: ContentId) -> Result<(Arc<[u8]>, LeftOut), Code> {
        let index = self.index();
        let transfer = self.transfers.borrow().get(&id).and_then(|entry| entry.source.manifest());
        let bytes = transfer.or_else(|| index.manifest(id)).ok_or_else(|| absent(&index, id))?;
        Ok((bytes, index.left_out(id).cloned().unwrap_or_default()))
    }

    /// What becomes of a content that is served from the index.
    #[must_use]
    pub fn changes(&self, id: ContentId, size: u64) -> Changes {
        let mut index = self.index.clone();
        // What is served now was found a moment ago, perhaps in an earlier snapshot: so the present one is looked at.
        index.mark_changed();
        Changes { shelf: self.clone(), index, id, size }
    }

    /// The transfer of this id as a hit without names; a node answers with it when it is asked to locate.
    #[must_use]
    pub fn transfer_hit(&self, id: ContentId) -> Option<Hit> {
        let entry = self.transfers.borrow().get(&id).cloned()?;
        let (kind, size) = (entry.source.kind(), entry.source.size());
        let files = u32::try_from(entry.source.map().files().len()).unwrap_or(u32::MAX);
        let providers: Vec<Provider> = Vec::new();
        Some(Hit { id: Some(id), kind, size, files, locked: false, names: Vec::new(), providers })
    }

    /// What is here of what a neighbour looks for.
    #[must_use]
    pub fn answer(&self, what: &Sought) -> Vec<Hit> {
        match what {
            Sought::Content(id) => self.locate(*id),
            Sought::Nodes => Vec::new(),
            Sought::Words(words) => match Query::parse(words) {
                Ok(query) => self.index().search(&query, FLOODED, 0).hits,
                Err(_) => Vec::new(),
            },
        }
    }

    /// Who asks for an id is told of the offer, or else of the transfer under way.
    #[must_use]
    pub fn locate(&self, id: ContentId) -> Vec<Hit> {
        let mut hits = self.index().locate(id);
        if hits.is_empty() {
            hits.extend(self.transfer_hit(id));
        }
        hits
    }

    /// Tells a transfer that a peer takes part in it; forgotten when the transfer has too many to look at.
    pub fn participant(&self, id: ContentId, link: &Link) {
        if let Some(entry) = self.transfers.borrow().get(&id) {
            // Full: it has candidates enough.
            let _ = entry.participants.try_send(link.clone());
        }
    }
}

/// Follows what becomes of a content.
pub struct Changes {
    shelf: Shelf,
    index: watch::Receiver<Arc<IndexSnapshot>>,
    id: ContentId,
    size: u64,
}

impl Changes {
    /// Waits until the index has changed, and says from what the content is served then.
    ///
    /// # Errors
    /// As [`Shelf::source`].
    pub async fn next(&mut self) -> Result<Arc<dyn Source>, Code> {
        if self.index.changed().await.is_err() {
            // Nothing changes any more.
            std::future::pending::<()>().await;
        }
        self.shelf.source(self.id, self.size)
    }
}

/// Why an id is not here.
fn absent(index: &IndexSnapshot, id: ContentId) -> Code {
    if index.had(id) { Code::Changed } else { Code::NotFound }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.transfers.send_modify(|all| {
            let mut new = Transfers::clone(all);
            new.remove(&self.id);
            *all = Arc::new(new);
        });
    }
}
