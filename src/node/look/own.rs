//! What the running node of a home offers itself, for the commands of that home: it dials nobody to ask itself, and tells its
//! owner all of it.

use tokio::task::spawn_blocking;

use crate::actors::shelf::Shelf;
use crate::logic::offers::search::Window;
use crate::model::{Collection, ContentId, Hit, Offer, Provider, Query};
use crate::node::look::ask::Page;
use crate::wire::limits::HITS;

/// What this node offers.
#[derive(Clone)]
pub(crate) struct OwnOffers {
    shelf: Shelf,
    provider: Provider,
}

impl OwnOffers {
    pub(crate) const fn new(shelf: Shelf, provider: Provider) -> Self {
        Self { shelf, provider }
    }

    /// What matches, best first, in pages.
    pub(crate) async fn search(&self, query: &Query, limit: u32) -> Page {
        let (index, query) = (self.shelf.index(), query.clone());
        let found = spawn_blocking(move || {
            let (mut hits, mut more) = (Vec::new(), 0);
            loop {
                let skip = u32::try_from(hits.len()).unwrap_or(u32::MAX);
                let within = Window { limit: limit.saturating_sub(skip).min(HITS), skip };
                let Some(page) = index.search(&query, within, |_| true, &|| true) else { break };
                more = page.more;
                let none = page.hits.is_empty();
                hits.extend(page.hits);
                if none || more == 0 || hits.len() >= limit as usize {
                    break;
                }
            }
            (hits, more)
        });
        let (hits, more) = found.await.unwrap_or_default();
        self.page(hits, more)
    }

    /// The offers of an id.
    pub(crate) fn locate(&self, id: ContentId) -> Page {
        self.page(self.shelf.index().locate(id, |_| true), 0)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Offer> {
        self.shelf.index().offers().iter().cloned().collect()
    }

    /// What a collection of them holds.
    pub(crate) fn manifest(&self, id: ContentId, most: usize) -> Option<Collection> {
        Collection::parse_within(&self.shelf.index().manifest(id)?, most).ok()
    }

    fn page(&self, mut hits: Vec<Hit>, more: u64) -> Page {
        hits.iter_mut().for_each(|hit| hit.providers = vec![self.provider.clone()]);
        Page { hits, more: Some(more) }
    }
}
