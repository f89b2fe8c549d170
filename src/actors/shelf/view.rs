//! The shelf as a node may see it, for everything that others ask for. Invariant: what the node may not have, or know of,
//! is answered as what is not there ([`Access`](crate::actors::access::Access) says which; each way in asks it here).

use std::sync::{Arc, LazyLock};

use tokio::sync::{mpsc, watch};

use super::{Entry, Shelf, fullest};
use crate::actors::index::{Absence, IndexRef, IndexSnapshot};
use crate::actors::limits::throttle::Throttle;
use crate::io::net::link::Link;
use crate::io::share::source::Source;
use crate::logic::offers::search::Window;
use crate::model::{Asker, ContentId, Hit, Kind, NodeId, Offer, Query, SafePath};
use crate::wire::{Code, HitPage, LeftOut, OfferPage, ResolveEvent, Sought};

/// Hits of this node for one query of a neighbour: who has so many may have more.
pub const FLOODED: u32 = 100;

/// A name that nothing is offered under.
static NOTHING: LazyLock<SafePath> = LazyLock::new(|| SafePath::parse(".qshare-nothing").expect("a path"));

/// Of what a node may not have, nothing is there.
static NONE: LazyLock<Arc<IndexSnapshot>> = LazyLock::new(Arc::default);

/// What a node may see of the shelf; cheap to clone.
#[derive(Clone)]
pub struct View {
    shelf: Shelf,
    /// None: anybody.
    node: Option<NodeId>,
}

impl View {
    pub(super) const fn new(shelf: Shelf, node: Option<NodeId>) -> Self {
        Self { shelf, node }
    }

    /// The index, as the node may see it.
    fn index(&self) -> Arc<IndexSnapshot> {
        self.index_of(self.asker(None))
    }

    fn index_of(&self, asker: Asker) -> Arc<IndexSnapshot> {
        let whole = self.shelf.index.borrow();
        let less = match asker {
            Asker::Stranger => whole.open(),
            Asker::Friend => whole.named(),
            Asker::Receiver => None,
        };
        Arc::clone(less.unwrap_or(&whole))
    }

    /// The same for what is asked for by its id: what is given to the node has no name there. What is for others alone is not
    /// there, and what else was under its id is, or is gone, as it would be without that: nothing shows that it has come or gone.
    fn index_for(&self, id: ContentId) -> (Arc<IndexSnapshot>, Asker) {
        let asker = self.asker(Some(id));
        if self.shelf.access.is_ruled_out(self.node, id) {
            return (Arc::clone(&NONE), asker);
        }
        (self.index_of(asker), asker)
    }

    /// As what the node asks, for the content of an id or for names.
    fn asker(&self, id: Option<ContentId>) -> Asker {
        let access = &self.shelf.access;
        match self.node {
            Some(node) if id.is_some_and(|id| access.is_given(node, id)) => Asker::Receiver,
            Some(node) if access.has_friend(node) => Asker::Friend,
            _ => Asker::Stranger,
        }
    }

    /// Whether the content is here for this node by its id, whomever else this node serves.
    pub fn is_given(&self, id: ContentId) -> bool {
        let Some(node) = self.node else { return false };
        let is_among = |entry: &Entry| entry.terms.among.as_ref().is_some_and(|nodes| nodes.contains(&node));
        self.shelf.access.is_given(node, id) || self.shelf.transfers(id).iter().any(is_among)
    }

    /// The transfers of it under way of which the node may know.
    fn transfers(&self, id: ContentId) -> Vec<Entry> {
        let mut all = self.shelf.transfers(id);
        all.retain(|entry| match &entry.terms.among {
            Some(nodes) => self.node.is_some_and(|node| nodes.contains(&node)),
            None => self.may(Some(id), None),
        });
        all
    }

    /// Whether a content that was served to the node, as one to which it was given or not, is no longer to be.
    pub fn is_over(&self, id: ContentId, was_given: bool) -> bool {
        let (index, asker) = self.index_for(id);
        let is_nowhere = || self.transfers(id).is_empty() && !index.has(id);
        match index.absence(id, asker) {
            // Somebody else may have had it meanwhile, and has lost it.
            _ if was_given && asker != Asker::Receiver => is_nowhere(),
            None if !self.may(Some(id), None) => is_nowhere(),
            _ => index.is_withdrawn(id, asker),
        }
    }

    /// What serves the content.
    ///
    /// # Errors
    /// NotFound, SizeDiffers when the id is here with another size, or Changed when its file has changed or gone.
    pub fn source(&self, id: ContentId, size: u64) -> Result<Arc<dyn Source>, Code> {
        let (index, asker) = self.index_for(id);
        if let Some(source) = index.source(id, size) {
            return Ok(source);
        }
        let transfers = self.transfers(id);
        match fullest(transfers.iter().filter(|entry| entry.source.size() == size)) {
            Some(entry) => Ok(Arc::clone(&entry.source)),
            None if transfers.is_empty() && index.locate(id, |_| true).is_empty() => Err(absent(&index, id, asker)),
            None => Err(Code::SizeDiffers),
        }
    }

    /// Where what is sent of a content waits, beside what holds for the node: what only a transfer has that one's, else the offer's.
    pub fn limit(&self, id: ContentId, size: u64) -> Option<Throttle> {
        let (index, transfers) = (self.index_for(id).0, self.transfers(id));
        match fullest(transfers.iter().filter(|entry| entry.source.size() == size)) {
            Some(transfer) if index.source(id, size).is_none() => transfer.terms.throttle.clone(),
            _ => index.limit(id).cloned(),
        }
    }

    /// A collection's canonical bytes, and what it leaves out of its directory, here or where it is fetched from.
    ///
    /// # Errors
    /// BadRequest for the id of a file, NotFound, or Changed when its files have changed or gone.
    pub fn manifest(&self, id: ContentId) -> Result<(Arc<[u8]>, LeftOut), Code> {
        let ((index, asker), transfers) = (self.index_for(id), self.transfers(id));
        let transfer = transfers.iter().find_map(|entry| entry.source.manifest());
        let is_file = || self.locate(id).iter().any(|hit| hit.kind == Kind::File);
        let none = || if is_file() { Code::BadRequest } else { absent(&index, id, asker) };
        let bytes = transfer.or_else(|| index.manifest(id)).ok_or_else(none)?;
        let told = || transfers.iter().map(|entry| entry.left_out.as_ref()).find(|told| !told.is_empty());
        Ok((bytes, index.left_out(id).or_else(told).cloned().unwrap_or_default()))
    }

    /// What becomes of a content that is served from the index.
    pub fn changes(&self, id: ContentId, size: u64) -> Changes {
        let mut index = self.shelf.index.clone();
        // What is served now was found a moment ago, perhaps in an earlier snapshot: so the present one is looked at.
        index.mark_changed();
        Changes { view: self.clone(), index, id, size }
    }

    /// What is here of what a neighbour looks for; `None` when it is not to be looked for to the end.
    pub fn answer(&self, what: &Sought, going: &dyn Fn() -> bool) -> Option<Vec<Hit>> {
        match what {
            Sought::Content(id) => Some(self.locate(*id)),
            Sought::Nodes | Sought::Unknown => Some(Vec::new()),
            Sought::Names(_) | Sought::Words(_) => {
                let Some(Ok(query)) = what.query() else { return Some(Vec::new()) };
                Some(self.search(&query, Window { limit: FLOODED, skip: 0 }, going)?.hits)
            }
        }
    }

    /// The best hits for a query, as many of the wanted ones as a page holds; `None` when it is not to go on to its end.
    pub fn search(&self, query: &Query, within: Window, going: &dyn Fn() -> bool) -> Option<HitPage> {
        self.index().search(query, within, self.shows(), going)
    }

    /// The offers after a name, as many as a page holds.
    pub fn files_of(&self, after: Option<&SafePath>) -> OfferPage {
        self.index().files_of(after, self.shows())
    }

    /// Who asks for an id is told of the offer, or else of the transfer under way, or else of a tree that has changed and
    /// of which something is left. The latter have no names.
    pub fn locate(&self, id: ContentId) -> Vec<Hit> {
        if self.shelf.access.is_ruled_out(self.node, id) {
            return Vec::new();
        }
        let index = self.index();
        let mut hits = index.locate(id, self.shows());
        if hits.is_empty() {
            let transfers = self.transfers(id);
            let told = transfers.iter().filter(|entry| entry.terms.among.is_none());
            let under_way = fullest(told).map(|entry| Arc::clone(&entry.source));
            hits.extend(under_way.or_else(|| index.former(id)).map(|source| nameless(id, source.as_ref())));
        }
        hits
    }

    /// Has an offer hashed first: its progress, then its end. The channel closes at once when the index is gone.
    pub fn resolve(&self, index: &IndexRef, name: SafePath) -> mpsc::Receiver<ResolveEvent> {
        let id = self.index().offer(&name).and_then(|offer| offer.id);
        if self.may(id, Some(&name)) {
            return index.resolve(name);
        }
        // Asked for like one that is not there: how long the refusal takes tells nothing of what is.
        index.resolve(NOTHING.clone())
    }

    /// What is told of an offer that was resolved: of which content it is, is known only now.
    pub fn resolved(&self, event: ResolveEvent) -> ResolveEvent {
        match event {
            ResolveEvent::Done(offer) if !self.shows()(&offer) => ResolveEvent::Failed(Code::NotFound.into()),
            event => event,
        }
    }

    /// Tells a transfer that a peer takes part in it; forgotten when the transfer has too many to look at.
    pub fn participant(&self, id: ContentId, link: &Link) {
        for entry in self.transfers(id) {
            // Full: it has candidates enough.
            let _ = entry.participants.try_send(link.clone());
        }
    }

    /// The question that every answer here comes through.
    fn may(&self, id: Option<ContentId>, name: Option<&SafePath>) -> bool {
        self.shelf.access.grants(self.node, id, name)
    }

    fn shows(&self) -> impl Fn(&Offer) -> bool {
        |offer| self.may(offer.id, Some(&offer.name))
    }
}

/// Follows what becomes of a content.
pub struct Changes {
    view: View,
    index: watch::Receiver<Arc<IndexSnapshot>>,
    id: ContentId,
    size: u64,
}

impl Changes {
    /// Waits until the index has changed, and says from what the content is served then.
    ///
    /// # Errors
    /// As [`View::source`].
    pub async fn next(&mut self) -> Result<Arc<dyn Source>, Code> {
        if self.index.changed().await.is_err() {
            // Nothing changes any more.
            std::future::pending::<()>().await;
        }
        self.view.source(self.id, self.size)
    }
}

/// Why an id is not here for one who asks so.
fn absent(index: &IndexSnapshot, id: ContentId, asker: Asker) -> Code {
    match index.absence(id, asker) {
        Some(Absence::Changed) => Code::Changed,
        Some(Absence::Denied) => Code::Unreadable,
        Some(Absence::Withdrawn) | None => Code::NotFound,
    }
}

/// A content that is served without being offered.
fn nameless(id: ContentId, source: &dyn Source) -> Hit {
    let (kind, size, executable) = (source.kind(), source.size(), source.executable());
    let files = u32::try_from(source.map().files().len()).unwrap_or(u32::MAX);
    Hit { kind, files, executable, ..Hit::file(Some(id), size) }
}
