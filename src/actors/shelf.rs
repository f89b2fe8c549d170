//! What this node can serve right now: the index's files and the transfers under way.
//! A snapshot that tasks read without asking any actor.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use crate::actors::index::IndexSnapshot;
use crate::io::net::link::Link;
use crate::io::share::source::Source;
use crate::model::{ContentId, Hit, Kind, Query};
use crate::wire::{Code, LeftOut, Sought};

/// Hits of this node for one query of a neighbour: who has so many may have more.
pub const FLOODED: u32 = 100;

/// Transfers under way, by content id: two of one content into two directories are two entries.
type Transfers = BTreeMap<ContentId, Vec<Entry>>;

/// A transfer as others see it.
#[derive(Clone)]
struct Entry {
    /// Whose place it is; no other place has it.
    number: u64,
    source: Arc<dyn Source>,
    participants: mpsc::Sender<Link>,
}

/// The shelf; cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    index: watch::Receiver<Arc<IndexSnapshot>>,
    transfers: Arc<watch::Sender<Arc<Transfers>>>,
    numbers: Arc<AtomicU64>,
}

/// A transfer's place on the shelf; what was put there, and only that, is taken off when it is dropped.
pub struct Shelved {
    transfers: Arc<watch::Sender<Arc<Transfers>>>,
    id: ContentId,
    number: u64,
}

impl Shelf {
    /// A shelf over the index's snapshots.
    pub fn new(index: watch::Receiver<Arc<IndexSnapshot>>) -> Self {
        Self { index, transfers: Arc::new(watch::Sender::new(Arc::default())), numbers: Arc::default() }
    }

    /// The index as it is now.
    pub fn index(&self) -> Arc<IndexSnapshot> {
        Arc::clone(&self.index.borrow())
    }

    /// Puts a transfer on the shelf; peers that begin to watch it are sent to `participants`.
    #[must_use]
    pub fn place(&self, id: ContentId, source: Arc<dyn Source>, participants: mpsc::Sender<Link>) -> Shelved {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.transfers.send_modify(|all| {
            let mut new = Transfers::clone(all);
            new.entry(id).or_default().push(Entry { number, source, participants });
            *all = Arc::new(new);
        });
        Shelved { transfers: Arc::clone(&self.transfers), id, number }
    }

    /// How many transfers are under way here that are served to others.
    pub fn under_way(&self) -> usize {
        self.transfers.borrow().len()
    }

    /// Changes whenever one begins or ends.
    pub fn transfer_changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.transfers.subscribe()
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
        let transfers = self.transfers(id);
        match fullest(transfers.iter().filter(|entry| entry.source.size() == size)) {
            Some(entry) => Ok(Arc::clone(&entry.source)),
            None if transfers.is_empty() && index.locate(id).is_empty() => Err(absent(&index, id)),
            None => Err(Code::SizeDiffers),
        }
    }

    /// A collection's canonical bytes, and what it leaves out of its directory here.
    ///
    /// # Errors
    /// BadRequest for the id of a file, NotFound, or Changed when it was here.
    pub fn manifest(&self, id: ContentId) -> Result<(Arc<[u8]>, LeftOut), Code> {
        let index = self.index();
        let transfer = self.transfers(id).iter().find_map(|entry| entry.source.manifest());
        let is_file = || self.locate(id).iter().any(|hit| hit.kind == Kind::File);
        let none = || if is_file() { Code::BadRequest } else { absent(&index, id) };
        let bytes = transfer.or_else(|| index.manifest(id)).ok_or_else(none)?;
        Ok((bytes, index.left_out(id).cloned().unwrap_or_default()))
    }

    /// What becomes of a content that is served from the index.
    pub fn changes(&self, id: ContentId, size: u64) -> Changes {
        let mut index = self.index.clone();
        // What is served now was found a moment ago, perhaps in an earlier snapshot: so the present one is looked at.
        index.mark_changed();
        Changes { shelf: self.clone(), index, id, size }
    }

    /// The transfer of this id as a hit without names; a node answers with it when it is asked to locate.
    pub fn transfer_hit(&self, id: ContentId) -> Option<Hit> {
        let transfers = self.transfers(id);
        Some(nameless(id, fullest(transfers.iter())?.source.as_ref()))
    }

    /// What is here of what a neighbour looks for.
    pub fn answer(&self, what: &Sought) -> Vec<Hit> {
        match what {
            Sought::Content(id) => self.locate(*id),
            Sought::Nodes | Sought::Unknown => Vec::new(),
            Sought::Words(words) => match Query::parse(words) {
                Ok(query) => self.index().search(&query, FLOODED, 0).hits,
                Err(_) => Vec::new(),
            },
        }
    }

    /// Who asks for an id is told of the offer, or else of the transfer under way, or else of a tree that has changed and
    /// of which something is left.
    pub fn locate(&self, id: ContentId) -> Vec<Hit> {
        let index = self.index();
        let mut hits = index.locate(id);
        if hits.is_empty() {
            let former = || index.former(id).map(|source| nameless(id, source.as_ref()));
            hits.extend(self.transfer_hit(id).or_else(former));
        }
        hits
    }

    /// Tells a transfer that a peer takes part in it; forgotten when the transfer has too many to look at.
    pub fn participant(&self, id: ContentId, link: &Link) {
        for entry in self.transfers(id) {
            // Full: it has candidates enough.
            let _ = entry.participants.try_send(link.clone());
        }
    }

    fn transfers(&self, id: ContentId) -> Vec<Entry> {
        self.transfers.borrow().get(&id).cloned().unwrap_or_default()
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
    match index.had(id) {
        true if index.is_denied(id) => Code::Unreadable,
        true => Code::Changed,
        false => Code::NotFound,
    }
}

impl Drop for Shelved {
    fn drop(&mut self) {
        self.transfers.send_modify(|all| {
            let mut new = Transfers::clone(all);
            if let Some(entries) = new.get_mut(&self.id) {
                entries.retain(|entry| entry.number != self.number);
                if entries.is_empty() {
                    new.remove(&self.id);
                }
            }
            *all = Arc::new(new);
        });
    }
}

/// A content that is served without being offered.
fn nameless(id: ContentId, source: &dyn Source) -> Hit {
    let (kind, size, executable) = (source.kind(), source.size(), source.executable());
    let files = u32::try_from(source.map().files().len()).unwrap_or(u32::MAX);
    Hit { id: Some(id), kind, size, files, locked: false, executable, names: Vec::new(), providers: Vec::new() }
}

/// The one that has most; the newest of several that have as much.
fn fullest<'e>(entries: impl Iterator<Item = &'e Entry>) -> Option<&'e Entry> {
    entries.min_by_key(|entry| (Reverse(entry.source.have().count()), Reverse(entry.number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::share::source::drawn::Drawn;

    const SIZE: u64 = 4 << 18;

    fn id() -> ContentId {
        ContentId::of(b"content")
    }

    fn place(shelf: &Shelf, size: u64, picture: &str) -> Shelved {
        shelf.place(id(), Drawn::of(id(), size, picture), mpsc::channel(1).0)
    }

    fn served(shelf: &Shelf, size: u64) -> Result<u32, Code> {
        shelf.source(id(), size).map(|source| source.have().count())
    }

    fn shelf() -> Shelf {
        Shelf::new(watch::channel(Arc::default()).1)
    }

    #[test]
    fn a_place_that_is_given_up_takes_only_its_own_entry_away() {
        let shelf = shelf();
        let first = place(&shelf, SIZE, "##");
        let second = place(&shelf, SIZE, "##");
        drop(first);
        assert_eq!(served(&shelf, SIZE), Ok(2));
        let third = place(&shelf, SIZE, "#");
        drop(second);
        assert_eq!(served(&shelf, SIZE), Ok(1));
        drop(third);
        assert_eq!(served(&shelf, SIZE), Err(Code::NotFound));
    }

    #[test]
    fn of_several_transfers_the_one_that_has_most_serves() {
        let shelf = shelf();
        let _places =
            [place(&shelf, SIZE, "#"), place(&shelf, SIZE, "###"), place(&shelf, SIZE, "##"), place(&shelf, 7, "#")];
        assert_eq!((served(&shelf, SIZE), served(&shelf, 7)), (Ok(3), Ok(1)));
        assert_eq!(served(&shelf, 8), Err(Code::SizeDiffers));
        assert_eq!(shelf.transfer_hit(id()).map(|hit| hit.size), Some(SIZE));
    }
}
