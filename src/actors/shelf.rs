//! What this node can serve right now: the index's files and the transfers under way.
//! A snapshot that tasks read without asking any actor.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::actors::index::IndexSnapshot;
use crate::io::link::Link;
use crate::io::source::Source;
use crate::model::{ContentId, Hit, Provider, Query};
use crate::wire::{Code, Sought};

/// Hits of this node for one query of a neighbour: who has so many may have more.
pub const FLOODED: u32 = 100;

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

    /// How many transfers are under way here that are served to others.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.transfers.borrow().len()
    }

    /// Changes whenever one begins or ends.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.transfers.subscribe()
    }

    /// What serves the content.
    ///
    /// # Errors
    /// NotFound, or SizeDiffers when the id is here with another size.
    pub fn source(&self, id: ContentId, size: u64) -> Result<Arc<dyn Source>, Code> {
        let index = self.index();
        if let Some(source) = index.source(id, size) {
            return Ok(source);
        }
        let transfers = Arc::clone(&self.transfers.borrow());
        match transfers.get(&id) {
            Some(entry) if entry.source.size() == size => Ok(Arc::clone(&entry.source)),
            Some(_) => Err(Code::SizeDiffers),
            None if index.locate(id).is_empty() => Err(Code::NotFound),
            None => Err(Code::SizeDiffers),
        }
    }

    /// A collection's canonical bytes.
    #[must_use]
    pub fn manifest(&self, id: ContentId) -> Option<Arc<[u8]>> {
        let transfer = self.transfers.borrow().get(&id).and_then(|entry| entry.source.manifest());
        transfer.or_else(|| {
            let index = self.index();
            let size = index.locate(id).first()?.size;
            index.source(id, size)?.manifest()
        })
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

impl Drop for Place {
    fn drop(&mut self) {
        self.transfers.send_modify(|all| {
            let mut new = Transfers::clone(all);
            new.remove(&self.id);
            *all = Arc::new(new);
        });
    }
}
