//! What a node offers at one moment, to be searched and served by any number of tasks outside the actor.
//! Invariant: it never changes; answers fit in a page.

use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use crate::actors::index::catalogue::{FormerTree, Gone, Row, Rows};
use crate::io::share::shared_source::{HashedFile, Remains, SharedCollection, SharedFile};
use crate::io::share::source::Source;
use crate::logic::offers::names::{NameIndex, NameKey};
use crate::logic::offers::rank::{Rank, rank};
use crate::model::{ContentId, Hit, Kind, Offer, OfferBook, Query, SafePath};
use crate::wire::limits::{HITS, PAGE_FILL};
use crate::wire::{HitPage, LeftOut, OfferPage};

/// More than an offer or a hit takes on the wire beside its names: field names, numbers, an id.
const FIXED: usize = 128;
/// More than a name takes beside its bytes.
const PER_NAME: usize = 8;

/// The offers of a node at one moment.
#[derive(Default)]
pub struct IndexSnapshot {
    parts: Parts,
    /// Made when first asked for: most snapshots are replaced before.
    by_id: OnceLock<HashMap<ContentId, Vec<SafePath>>>,
    /// The names of files that were of an id and perhaps still are; made as `by_id` is.
    doubtful: OnceLock<HashMap<ContentId, SafePath>>,
    /// What is left of former trees; each made when it is first asked for.
    remains: HashMap<ContentId, Left>,
}

/// A former tree, and what is left of it at this moment.
struct Left {
    former: Arc<FormerTree>,
    remains: OnceLock<Option<Arc<Remains>>>,
}

/// What a snapshot is made of.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) book: Arc<OfferBook>,
    pub(super) rows: Arc<Rows>,
    pub(super) names: Arc<Names>,
    pub(super) collections: HashMap<ContentId, Arc<SharedCollection>>,
    pub(super) former: Vec<Arc<FormerTree>>,
    pub(super) gone: Arc<Gone>,
    pub(super) left_out: HashMap<ContentId, Arc<LeftOut>>,
}

/// What a snapshot holds, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexStats {
    /// How many offers.
    pub offers: u64,
    /// How many of them have an id.
    pub hashed: u64,
    /// Bytes of all offered files.
    pub bytes: u64,
}

/// The searchable names, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    index: NameIndex,
    by_key: Vec<Option<SafePath>>,
}

impl Names {
    pub(super) fn insert(&mut self, name: &SafePath) -> Option<NameKey> {
        let key = self.index.insert(name)?;
        let place = key.index();
        if self.by_key.len() <= place {
            self.by_key.resize(place + 1, None);
        }
        self.by_key[place] = Some(name.clone());
        Some(key)
    }

    pub(super) fn remove(&mut self, key: NameKey) {
        self.index.remove(key);
        if let Some(name) = self.by_key.get_mut(key.index()) {
            *name = None;
        }
    }
}

impl fmt::Debug for IndexSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexSnapshot").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl IndexSnapshot {
    pub(super) fn new(mut parts: Parts) -> Self {
        let former = std::mem::take(&mut parts.former).into_iter();
        let remains = former.map(|former| (former.tree.id(), Left { former, remains: OnceLock::new() })).collect();
        Self { parts, remains, ..Self::default() }
    }

    /// The hits for a query, best first, after the first `skip`; at most `limit` and no more than a page holds.
    /// They name no provider: it is the node that answers.
    #[must_use]
    pub fn search(&self, query: &Query, limit: u32, skip: u32) -> HitPage {
        let groups = self.groups(query);
        let skipped = (skip as usize).min(groups.len());
        let mut page = Page::default();
        let limit = limit.min(HITS) as usize;
        let hits: Vec<Hit> = groups[skipped..].iter().take(limit).map_while(|offers| page.take(hit(offers))).collect();
        let more = (groups.len() - skipped - hits.len()) as u64;
        HitPage { hits, more }
    }

    /// The matching offers grouped by content, best name first in each, groups by their best name. A group keeps as
    /// many names as a hit has: a thousand copies of one file cost a thousand comparisons, not more.
    fn groups(&self, query: &Query) -> Vec<Vec<&Offer>> {
        let mut found: Vec<(Rank, usize, &Offer)> = Vec::new();
        for (key, folded) in self.parts.names.index.search(query) {
            let name = self.parts.names.by_key.get(key.index()).and_then(Option::as_ref);
            let Some(offer) = name.and_then(|name| self.parts.book.offers.get(name)) else { continue };
            if let Some(rank) = rank(query, folded, offer.kind) {
                found.push((rank, offer.name.as_str().len(), offer));
            }
        }
        found.sort_unstable_by(|a, b| (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name)));
        let mut places: HashMap<(ContentId, Kind, u64), usize> = HashMap::new();
        let mut groups: Vec<Vec<&Offer>> = Vec::new();
        for (_, _, offer) in found {
            let next = groups.len();
            let place = offer.id.map_or(next, |id| *places.entry((id, offer.kind, offer.size)).or_insert(next));
            match groups.get_mut(place) {
                Some(group) if group.len() < Hit::MAX_NAMES => group.push(offer),
                Some(_) => (),
                None => groups.push(vec![offer]),
            }
        }
        groups
    }

    /// The hits for an id: more than one when a file and a collection share it, or sizes differ.
    #[must_use]
    pub fn locate(&self, id: ContentId) -> Vec<Hit> {
        let mut groups: Vec<Vec<&Offer>> = Vec::new();
        for offer in self.named(id) {
            let same = |group: &&mut Vec<&Offer>| group[0].kind == offer.kind && group[0].size == offer.size;
            match groups.iter_mut().find(same) {
                Some(group) if group.len() < Hit::MAX_NAMES => group.push(offer),
                Some(_) => (),
                None => groups.push(vec![offer]),
            }
        }
        groups.iter().map(|offers| hit(offers)).collect()
    }

    /// The offers after a name, as many as a page holds.
    #[must_use]
    pub fn files_of(&self, after: Option<&SafePath>) -> OfferPage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest =
            self.parts.book.offers.range::<SafePath, _>((from, Bound::Unbounded)).map(|(_, offer)| offer).peekable();
        let (mut offers, mut room) = (Vec::new(), PAGE_FILL);
        while let Some(offer) = rest.next_if(|o| FIXED + PER_NAME + o.name.as_str().len() <= room) {
            room -= FIXED + PER_NAME + offer.name.as_str().len();
            offers.push(offer.clone());
        }
        OfferPage { offers, more: rest.peek().is_some() }
    }

    /// From what an id of this size can be served: a tree or file that is offered, one that is being hashed again after
    /// a change, or what is left of a tree that has changed. `None` when it is nothing of these, or has another size:
    /// [`IndexSnapshot::locate`] and [`IndexSnapshot::had`] tell which.
    #[must_use]
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
    #[must_use]
    pub fn former(&self, id: ContentId) -> Option<Arc<dyn Source>> {
        self.source(id, self.remains.get(&id)?.former.tree.size())
    }

    /// The canonical bytes of a collection that is offered, or was.
    #[must_use]
    pub fn manifest(&self, id: ContentId) -> Option<Arc<[u8]>> {
        let former = || self.remains.get(&id).map(|left| left.former.ask());
        self.parts.collections.get(&id).or_else(former)?.manifest()
    }

    /// What a collection leaves out of its directory.
    #[must_use]
    pub fn left_out(&self, id: ContentId) -> Option<&LeftOut> {
        self.parts.left_out.get(&id).map(AsRef::as_ref)
    }

    /// Whether this id was offered and has changed or gone since.
    #[must_use]
    pub fn had(&self, id: ContentId) -> bool {
        self.parts.gone.has(id)
    }

    /// Whether this id was offered, and its file may not be read any more.
    #[must_use]
    pub fn is_denied(&self, id: ContentId) -> bool {
        self.parts.gone.is_denied(id)
    }

    /// A file of this content: one that is offered, or else one that was and perhaps still is.
    fn file(&self, id: ContentId, size: u64) -> Option<Arc<HashedFile>> {
        let offered = self.named(id).filter(|o| o.kind == Kind::File && o.size == size);
        let mut files = offered.filter_map(|offer| self.parts.rows.get(&offer.name)?.offered());
        if let Some(file) = files.find(|file| file.id == id) {
            return Some(Arc::clone(file));
        }
        let doubtful = self.doubtful.get_or_init(|| {
            let former = |(name, row): (&SafePath, &Row)| Some((row.former()?.id, name.clone()));
            self.parts.rows.iter().filter_map(former).collect()
        });
        let file = self.parts.rows.get(doubtful.get(&id)?)?.former()?;
        (file.stamp.size == size).then(|| Arc::clone(file))
    }

    /// The offer of a name.
    #[must_use]
    pub fn offer(&self, name: &SafePath) -> Option<&Offer> {
        self.parts.book.offers.get(name)
    }

    /// All offers.
    #[must_use]
    pub const fn book(&self) -> &Arc<OfferBook> {
        &self.parts.book
    }

    /// Its numbers; counts every offer.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        let mut stats = IndexStats::default();
        for offer in self.parts.book.offers.values() {
            stats.offers += 1;
            stats.hashed += u64::from(offer.id.is_some());
            stats.bytes += if offer.kind == Kind::File { offer.size } else { 0 };
        }
        stats
    }

    fn named(&self, id: ContentId) -> impl Iterator<Item = &Offer> {
        let by_id = self.by_id.get_or_init(|| {
            let mut by_id: HashMap<ContentId, Vec<SafePath>> = HashMap::new();
            for offer in self.parts.book.offers.values() {
                if let Some(id) = offer.id {
                    by_id.entry(id).or_default().push(offer.name.clone());
                }
            }
            by_id
        });
        by_id.get(&id).into_iter().flatten().filter_map(|name| self.parts.book.offers.get(name))
    }
}

/// Counts what a page still holds.
struct Page {
    room: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { room: PAGE_FILL }
    }
}

impl Page {
    fn take(&mut self, hit: Hit) -> Option<Hit> {
        let names: usize = hit.names.iter().map(|n| n.as_str().len() + PER_NAME).sum();
        self.room = self.room.checked_sub(names + FIXED)?;
        Some(hit)
    }
}

/// One hit of offers that are the same content; there is at least one.
fn hit(offers: &[&Offer]) -> Hit {
    let Offer { size, id, kind, files, locked, .. } = offers[0].clone();
    let names = offers.iter().map(|o| o.name.clone()).collect();
    let executable = offers.iter().any(|o| o.executable);
    Hit { id, kind, size, files, locked, executable, names, providers: Vec::new() }
}
