//! What this node can serve right now: the index's files and the transfers under way.
//! A snapshot that tasks read without asking any actor. What is asked by others is asked of a [`View`] of it.

mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

pub use self::view::{Changes, FLOODED, View};
use crate::actors::access::Access;
use crate::actors::index::IndexSnapshot;
use crate::actors::limits::throttle::Throttle;
use crate::io::net::link::Link;
use crate::io::share::source::Source;
use crate::model::offer::audience::unhidden;
use crate::model::{ContentId, NodeId, SafePath};
use crate::wire::LeftOut;

/// Transfers under way, by content id: two of one content into two directories are two entries.
type Transfers = BTreeMap<ContentId, Vec<Entry>>;

/// A transfer as others see it.
#[derive(Clone)]
struct Entry {
    /// Whose place it is; no other place has it.
    number: u64,
    source: Arc<dyn Source>,
    /// What was told with a collection that it leaves out of its directory: told on with it.
    left_out: Arc<LeftOut>,
    participants: mpsc::Sender<Link>,
    terms: Serving,
}

/// How a transfer serves what it has.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    /// Where what is sent of it waits.
    pub throttle: Option<Throttle>,
    /// These nodes alone may have of it and know of it; none: whoever may have the content.
    pub among: Option<Arc<BTreeSet<NodeId>>>,
}

/// The shelf; cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    index: watch::Receiver<Arc<IndexSnapshot>>,
    /// Who may have what of it.
    pub access: Access,
    transfers: Arc<watch::Sender<Transfers>>,
    numbers: Arc<AtomicU64>,
}

/// A transfer's place on the shelf; what was put there, and only that, is taken off when it is dropped.
pub struct Shelved {
    transfers: Arc<watch::Sender<Transfers>>,
    id: ContentId,
    number: u64,
}

impl Shelf {
    /// A shelf over the index's snapshots, of which others may have what `access` says.
    pub fn new(index: watch::Receiver<Arc<IndexSnapshot>>, access: Access) -> Self {
        Self { index, access, transfers: Arc::default(), numbers: Arc::default() }
    }

    /// As a node may see it; without one, as anybody may.
    pub fn seen_by(&self, node: Option<NodeId>) -> View {
        View::new(self.clone(), node)
    }

    /// The index as it is now, with all that has a name for anybody.
    pub fn index(&self) -> Arc<IndexSnapshot> {
        let whole = self.index.borrow();
        Arc::clone(whole.named().unwrap_or(&whole))
    }

    /// What a content is offered as here: the shortest of its names, as its person knows it.
    pub fn name_of(&self, id: ContentId) -> Option<SafePath> {
        let shortest = |index: &IndexSnapshot| {
            let names = index.offers().of_id(id).map(|offer| &offer.name);
            names.min_by_key(|name| (name.as_str().len(), name.as_str())).cloned()
        };
        let all = Arc::clone(&self.index.borrow());
        shortest(&self.index()).or_else(|| shortest(&all).map(|name| unhidden(&name)))
    }

    /// Puts a transfer on the shelf; peers that begin to watch it are sent to `participants`.
    #[must_use]
    pub fn place(
        &self,
        id: ContentId,
        source: Arc<dyn Source>,
        left_out: LeftOut,
        (participants, terms): (mpsc::Sender<Link>, Serving),
    ) -> Shelved {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { number, source, left_out: Arc::new(left_out), participants, terms };
        self.transfers.send_modify(|all| all.entry(id).or_default().push(entry));
        Shelved { transfers: Arc::clone(&self.transfers), id, number }
    }

    /// How many offers and transfers under way here anybody may know of.
    pub fn public(&self) -> (u64, usize) {
        let transfers = self.transfers.borrow();
        let is_open = |entries: &Vec<Entry>| entries.iter().any(|entry| entry.terms.among.is_none());
        let public = transfers.iter().filter(|(id, of)| is_open(of) && self.access.is_public(Some(**id), None));
        (self.index.borrow().public().all().names, public.count())
    }

    /// Changes whenever one begins or ends.
    pub fn transfer_changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.transfers.subscribe()
    }

    fn transfers(&self, id: ContentId) -> Vec<Entry> {
        self.transfers.borrow().get(&id).cloned().unwrap_or_default()
    }
}

impl Drop for Shelved {
    fn drop(&mut self) {
        self.transfers.send_modify(|all| {
            if let Some(entries) = all.get_mut(&self.id) {
                entries.retain(|entry| entry.number != self.number);
                if entries.is_empty() {
                    all.remove(&self.id);
                }
            }
        });
    }
}

/// The one that has most; the newest of several that have as much.
fn fullest<'e>(entries: impl Iterator<Item = &'e Entry>) -> Option<&'e Entry> {
    entries.min_by_key(|entry| (Reverse(entry.source.have().count()), Reverse(entry.number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::share::shared_source::SharedCollection;
    use crate::io::share::source::tests::Drawn;
    use crate::model::Collection;
    use crate::model::collection::Entry as TreeEntry;
    use crate::wire::Code;

    const SIZE: u64 = 4 << 18;

    fn id() -> ContentId {
        ContentId::of(b"content")
    }

    fn place(shelf: &Shelf, size: u64, picture: &str) -> Shelved {
        shelf.place(id(), Drawn::of(id(), size, picture), LeftOut::default(), (mpsc::channel(1).0, Serving::default()))
    }

    fn served(shelf: &Shelf, size: u64) -> Result<u32, Code> {
        shelf.seen_by(None).source(id(), size).map(|source| source.have().count())
    }

    fn shelf() -> Shelf {
        Shelf::new(watch::channel(Arc::default()).1, Access::everyone())
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
        assert_eq!(shelf.seen_by(None).locate(id()).iter().map(|hit| hit.size).collect::<Vec<_>>(), [SIZE]);
    }

    #[test]
    fn a_transfer_for_single_nodes_is_seen_by_these_alone_and_opens_nothing_else_of_its_content() {
        let shelf = shelf();
        let (one, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let terms = Serving { among: Some(Arc::new([one].into())), throttle: None };
        let _given = shelf.place(id(), Drawn::of(id(), SIZE, "##"), LeftOut::default(), (mpsc::channel(1).0, terms));
        let served = |node, size| shelf.seen_by(node).source(id(), size).map(|source| source.have().count());
        assert_eq!((served(Some(one), SIZE), served(Some(one), 8)), (Ok(2), Err(Code::SizeDiffers)));
        for node in [None, Some(other)] {
            assert_eq!((served(node, SIZE), served(node, 8)), (Err(Code::NotFound), Err(Code::NotFound)));
            assert!(shelf.seen_by(node).locate(id()).is_empty());
        }
        assert_eq!(shelf.public().1, 0);
        let _own = place(&shelf, SIZE, "###");
        assert_eq!((served(Some(one), SIZE), served(Some(other), SIZE)), (Ok(3), Ok(3)));
    }

    #[test]
    fn what_was_told_with_a_collection_is_told_on_while_it_is_fetched() {
        let shelf = shelf();
        let file = crate::wire::LeftOutFile { path: SafePath::parse("log").expect("valid"), why: Code::Changed };
        let told = LeftOut { files: vec![file], more: 1 };
        let tree = Collection::new(vec![(SafePath::parse("d").expect("valid"), TreeEntry::Directory)]).expect("sound");
        let source = SharedCollection::new(&tree, &[]).expect("complete");
        let id = source.id();
        let _place = shelf.place(id, Arc::new(source), told.clone(), (mpsc::channel(1).0, Serving::default()));
        assert_eq!(shelf.seen_by(None).manifest(id).map(|(_, left_out)| left_out), Ok(told));
    }
}
