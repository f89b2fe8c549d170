//! What one node or tracker is asked, page by page.

use crate::io::net::link::Link;
use crate::model::{ContentId, Hit, NodeId, Offer, Provider};
use crate::node::error::{Error, Who};
use crate::node::look::ask::{Page, call};
use crate::wire::{FilesOf, HitPage, Locate, OfferPage, Peer, PeerPage, Peers, Request, Role, Search, limits};

/// The most pages taken from one answering side, so that nobody keeps a command busy for ever.
const PAGES: usize = 1000;

pub(super) async fn search_pages(link: Link, who: Who, words: Vec<String>, limit: u32) -> Result<Page, Error> {
    let (mut hits, mut more) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let skip = u32::try_from(hits.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(skip).min(limits::HITS);
        if left == 0 {
            break;
        }
        let request = Request::Search(Search { words: words.clone(), limit: left, skip });
        let page: HitPage = call(&link, &who, &request, limits::PAGE).await?;
        more = page.more;
        if page.hits.is_empty() {
            break;
        }
        hits.extend(page.hits);
        if more == 0 {
            break;
        }
    }
    Ok(Page { hits: own_hits(hits, &link), more: Some(more) })
}

pub(crate) async fn locate_page(link: Link, who: Who, id: ContentId) -> Result<Page, Error> {
    let mut page: HitPage = call(&link, &who, &Request::Locate(Locate { id }), limits::PAGE).await?;
    page.hits.retain(|hit| hit.id == Some(id));
    Ok(Page { hits: own_hits(page.hits, &link), more: Some(page.more) })
}

pub(super) async fn peer_pages(link: Link, who: Who) -> Result<Vec<Peer>, Error> {
    if link.role() != Some(Role::Tracker) {
        let node = link.peer();
        return Ok(vec![Peer { node, addrs: vec![link.remote()], offers: count_offers(&link, &who).await? }]);
    }
    let (mut peers, mut after) = (Vec::<Peer>::new(), None);
    for _ in 0..PAGES {
        let page: PeerPage = call(&link, &who, &Request::Peers(Peers { after }), limits::PAGE).await?;
        let last = page.peers.last().map(|peer| peer.node);
        peers.extend(page.peers);
        if !page.more || last <= after {
            break;
        }
        after = last;
    }
    Ok(peers)
}

async fn count_offers(link: &Link, who: &Who) -> Result<u64, Error> {
    Ok(all_offers(link, who, None).await?.len() as u64)
}

/// All offers of a node, from itself or from a tracker, in name order.
pub(crate) async fn all_offers(link: &Link, who: &Who, node: Option<NodeId>) -> Result<Vec<Offer>, Error> {
    let (mut offers, mut after) = (Vec::<Offer>::new(), None);
    for _ in 0..PAGES {
        let request = Request::FilesOf(FilesOf { node, after: after.clone() });
        let page: OfferPage = call(link, who, &request, limits::PAGE).await?;
        let last = page.offers.last().map(|offer| offer.name.clone());
        offers.extend(page.offers);
        if !page.more || last <= after {
            break;
        }
        after = last;
    }
    Ok(offers)
}

/// A node answers for itself without naming itself: it is the provider, and the link says where it is. Of what a tracker
/// tells only such addresses stay as may be dialled on its word.
fn own_hits(mut hits: Vec<Hit>, link: &Link) -> Vec<Hit> {
    let (from_tracker, teller) = (link.role() == Some(Role::Tracker), link.teller());
    for hit in &mut hits {
        if from_tracker {
            let providers = hit.providers.iter_mut();
            providers.for_each(|provider| provider.addrs.retain(|addr| teller.may_tell(*addr)));
        } else {
            hit.providers = vec![Provider { node: link.peer(), addrs: vec![link.remote()] }];
        }
    }
    hits
}
