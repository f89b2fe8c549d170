//! What a node offers at one moment, to be searched and served by any number of tasks outside the actor.
//! Invariant: it never changes; answers fit in a page.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use itertools::Itertools as _;

use super::{Absence, FormerTree, Gone, Row, Rows};
use crate::actors::limits::throttle::Throttle;
use crate::io::share::shared_source::{HashedFile, Remains, SharedCollection, SharedFile};
use crate::io::share::source::Source;
use crate::logic::offers::search::{Search, Window};
use crate::logic::offers::table::OfferTable;
use crate::model::{Asker, ContentId, Hit, Offer, Provider, Query, SafePath};
use crate::wire::{HitPage, LeftOut, OfferPage};

/// The offers of a node at one moment.
#[derive(Default)]
pub struct IndexSnapshot {
    parts: Parts,
    /// Those of the offers that anybody may know of.
    public: Arc<OfferTable>,
    /// What is offered by id, then what is no longer offered and perhaps still is of it. Made when first asked for: most
    /// snapshots are replaced before.
    files: OnceLock<Vec<Arc<HashedFile>>>,
    /// What is left of former trees; each made when it is first asked for.
    remains: HashMap<ContentId, Left>,
    /// What friends see in its place, and whoever lists it, where that is less.
    named: Option<Arc<Self>>,
    /// What strangers see in its place, where that is less.
    open: Option<Arc<Self>>,
}

/// A former tree, and what is left of it at this moment.
struct Left {
    former: Arc<FormerTree>,
    remains: OnceLock<Option<Arc<Remains>>>,
}

/// What a snapshot is made of.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) offers: Arc<OfferTable>,
    pub(super) rows: Rows,
    pub(super) collections: HashMap<ContentId, Arc<SharedCollection>>,
    pub(super) former: Vec<Arc<FormerTree>>,
    pub(super) gone: Arc<Gone>,
    pub(super) left_out: HashMap<ContentId, Arc<LeftOut>>,
    pub(super) limits: HashMap<ContentId, Throttle>,
}

impl fmt::Debug for IndexSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexSnapshot").field("offers", &self.parts.offers.all().names).finish_non_exhaustive()
    }
}

impl IndexSnapshot {
    pub(super) fn new(mut parts: Parts) -> Self {
        let former = std::mem::take(&mut parts.former).into_iter();
        let remains = former.map(|former| (former.tree.id(), Left { former, remains: OnceLock::new() })).collect();
        Self { parts, remains, ..Self::default() }
    }

    /// The same, in whose place friends and strangers see others.
    pub(super) fn with_less(self, named: Option<Arc<Self>>, open: Option<Arc<Self>>) -> Self {
        Self { named, open, ..self }
    }

    /// What friends see in its place, and whoever lists it, where that is less.
    pub const fn named(&self) -> Option<&Arc<Self>> {
        self.named.as_ref()
    }

    /// What strangers see in its place, where that is less.
    pub const fn open(&self) -> Option<&Arc<Self>> {
        self.open.as_ref()
    }

    /// The same, where anybody may know of these offers.
    pub(in crate::actors::index) fn with_public(self, public: Arc<OfferTable>) -> Self {
        Self { public, ..self }
    }

    /// The hits for a query among the offers that are shown, best first, as many of the wanted ones as a page holds; `None`
    /// when it is not to go on to its end. They name no provider: it is the node that answers.
    pub fn search(
        &self,
        query: &Query,
        within: Window,
        shows: impl Fn(&Offer) -> bool,
        going: &dyn Fn() -> bool,
    ) -> Option<HitPage> {
        self.reader(shows).words(query, within, going)
    }

    /// The hits for an id among the offers that are shown: more than one when a file and a collection share it, or sizes
    /// differ.
    pub fn locate(&self, id: ContentId, shows: impl Fn(&Offer) -> bool) -> Vec<Hit> {
        self.reader(shows).id(id, []).hits
    }

    fn reader<S: Fn(&Offer) -> bool>(&self, shows: S) -> Search<'_, S, impl FnMut(&[usize]) -> Vec<Provider>> {
        Search::new(vec![&self.parts.offers], shows, |_| Vec::new())
    }

    /// The offers after a name, of those that are shown, as many as a page holds.
    pub fn files_of(&self, after: Option<&SafePath>, shows: impl Fn(&Offer) -> bool) -> OfferPage {
        self.parts.offers.page(after, shows)
    }

    /// From what an id of this size can be served: a tree or file that is offered, one that is being hashed again after
    /// a change, or what is left of a tree that has changed. `None` when it is nothing of these, or has another size:
    /// [`IndexSnapshot::locate`] and [`IndexSnapshot::absence`] tell which.
    pub fn source(&self, id: ContentId, size: u64) -> Option<Arc<dyn Source>> {
        if let Some(collection) = self.parts.collections.get(&id).filter(|c| c.size() == size) {
            return Some(collection.clone());
        }
        if let Some(file) = self.file(id, size) {
            return Some(Arc::new(SharedFile::new(file)?));
        }
        let left = self.remains.get(&id).filter(|left| left.former.tree.size() == size)?;
        let tree = left.former.ask();
        let remains = left.remains.get_or_init(|| Remains::of(tree, |id, size| self.file(id, size)).map(Arc::new));
        Some(remains.clone()?)
    }

    /// What is left of a tree that was offered and has changed.
    pub fn former(&self, id: ContentId) -> Option<Arc<dyn Source>> {
        self.source(id, self.remains.get(&id)?.former.tree.size())
    }

    /// The canonical bytes of a collection that is offered, or was.
    pub fn manifest(&self, id: ContentId) -> Option<Arc<[u8]>> {
        let former = || self.remains.get(&id).map(|left| left.former.ask());
        self.parts.collections.get(&id).or_else(former)?.manifest()
    }

    /// What a collection that is offered, or was, leaves out of its directory: told with it as long as it is served, for
    /// whoever has found it fetches it also when another one has taken its place.
    pub fn left_out(&self, id: ContentId) -> Option<&LeftOut> {
        let now = self.parts.left_out.get(&id);
        if now.is_some() || self.parts.collections.contains_key(&id) {
            return now.map(AsRef::as_ref);
        }
        Some(self.remains.get(&id)?.former.left_out.as_ref()).filter(|left_out| !left_out.is_empty())
    }

    /// Where what is sent of this id waits, if all that offers it is limited.
    pub fn limit(&self, id: ContentId) -> Option<&Throttle> {
        self.parts.limits.get(&id)
    }

    /// Why what was offered under this id to one who asks so is gone, if it was and is.
    pub fn absence(&self, id: ContentId, asker: Asker) -> Option<Absence> {
        self.parts.gone.absence(id, asker)
    }

    /// Whether this id was offered to one who asks so, and nobody is to have it any more.
    pub fn is_withdrawn(&self, id: ContentId, asker: Asker) -> bool {
        self.absence(id, asker) == Some(Absence::Withdrawn) && self.parts.offers.of_id(id).next().is_none()
    }

    /// Whether anything of this id is there, of whatever size.
    pub fn has(&self, id: ContentId) -> bool {
        let is_file = |files: &[Arc<HashedFile>]| files.binary_search_by_key(&id, |file| file.id).is_ok();
        self.parts.collections.contains_key(&id) || self.remains.contains_key(&id) || is_file(self.files())
    }

    /// A file of this content: one that is offered, or else one that was and perhaps still is.
    fn file(&self, id: ContentId, size: u64) -> Option<Arc<HashedFile>> {
        let files = self.files();
        let first = files.partition_point(|file| file.id < id);
        files[first..].iter().take_while(|file| file.id == id).find(|file| file.stamp.size == size).cloned()
    }

    fn files(&self) -> &[Arc<HashedFile>] {
        self.files.get_or_init(|| {
            let offered = self.parts.rows.values().filter_map(Row::offered);
            let former = self.parts.rows.values().filter_map(Row::former);
            offered.chain(former).cloned().sorted_by_key(|file| file.id).collect()
        })
    }

    /// The offer of a name.
    pub fn offer(&self, name: &SafePath) -> Option<&Offer> {
        self.parts.offers.get(name)
    }

    /// Those of the offers that anybody may know of.
    pub fn public(&self) -> &OfferTable {
        &self.public
    }

    /// All offers.
    pub fn offers(&self) -> &OfferTable {
        &self.parts.offers
    }
}
