//! One tracker or node that is asked: which it is, the link to it, what it is asked page by page; and what several have answered.
//! Not responsible for whom to ask, nor for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::actors::connections::{ConnectError, ConnectionsRef};
use crate::io::net::frames;
use crate::io::net::link::Link;
use crate::io::net::resolve::{ResolveError, resolve};
use crate::model::{ContentId, Hit, NodeId, Offer, PeerTarget, Plane, Provider, Query};
use crate::node::error::{Error, Result, Silence, Who};
use crate::node::types::{LookNotice, Notice};
use crate::wire::{FilesOf, HitPage, Locate, OfferPage, Peer, PeerPage, Peers, Request, Role, Search, Sought, limits};

/// A tracker or a node that is asked directly.
#[derive(Debug, Clone)]
pub(crate) struct Responder {
    pub(crate) target: PeerTarget,
    pub(crate) plane: Plane,
    /// The link to it, where there is one already.
    pub(super) link: Option<Link>,
    /// Its host has had an address: while it has none, it is not the place that is silent.
    pub(super) resolved: Arc<AtomicBool>,
}

impl Responder {
    /// A peer that is to be dialled.
    pub(crate) fn of(target: PeerTarget) -> Self {
        Self { target, plane: Plane::Peer, link: None, resolved: Arc::default() }
    }

    /// A node to which there is a link.
    pub(crate) fn at(link: Link) -> Self {
        let (id, addr) = (Some(link.peer()), link.remote());
        let target = PeerTarget { id, host: addr.ip().to_string(), port: addr.port() };
        Self { target, plane: Plane::Peer, link: Some(link), resolved: Arc::new(true.into()) }
    }

    /// Why there is no answer; none while its host has an address.
    pub(crate) fn unresolved(&self, own: NodeId) -> Option<Error> {
        let error = ResolveError::TimedOut { host: self.target.host.clone() };
        (!self.resolved.load(Ordering::Relaxed)).then(|| Error::connect(self.who(), own, error.into()))
    }

    /// That nothing has come for so long.
    pub(crate) fn silent(&self, own: NodeId, waited: Duration) -> Error {
        let late = || Error::Unreachable { who: self.who(), cause: Silence::Late(waited) };
        self.unresolved(own).unwrap_or_else(late)
    }

    /// The link to it, whatever it is.
    async fn dial(&self, connections: &ConnectionsRef) -> Result<Link, ConnectError> {
        let addrs = resolve(&self.target).await?;
        self.resolved.store(true, Ordering::Relaxed);
        connections.to_resolved(&self.target, addrs).await
    }

    /// Whom an error about this responder names.
    pub(crate) fn who(&self) -> Who {
        match self.plane {
            Plane::Here | Plane::Lan | Plane::Neighbours | Plane::Peer => Who::peer(self.target.host_port()),
            Plane::Tracker => Who::tracker(self.target.host_port()),
        }
    }
}

/// What one answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) hits: Vec<Hit>,
    /// How many more there are; an answer over the neighbours does not tell.
    pub(crate) more: Option<u64>,
}

/// What is looked for, against which answers are held.
#[derive(Debug, Clone)]
pub(crate) enum Looked {
    Id(ContentId),
    Names(Query),
}

impl Looked {
    /// How the neighbours are asked.
    pub(crate) fn sought(&self) -> Sought {
        match self {
            Self::Id(id) => Sought::Content(*id),
            Self::Names(query) => query.into(),
        }
    }

    /// Leaves of an answer what answers this; says how many hits did not.
    pub(crate) fn keep_what_answers(&self, hits: &mut Vec<Hit>) -> usize {
        let all = hits.len();
        match self {
            Self::Id(id) => hits.retain(|hit| hit.id == Some(*id)),
            Self::Names(query) => hits.retain_mut(|hit| hit.keep_what_answers(query)),
        }
        all - hits.len()
    }
}

/// Places that are being asked.
pub(crate) type Asking<T> = JoinSet<(usize, Result<T>)>;

/// What was answered on which plane, and who did not answer.
pub(crate) struct Asked<T> {
    pub(crate) answers: Vec<(Plane, T)>,
    pub(crate) warnings: Vec<Notice>,
    /// Everyone who was asked has answered.
    pub(crate) whole: bool,
    /// A neighbour has brought so much that it may have left out something.
    pub(crate) cut: bool,
    /// The first that failed.
    pub(super) failed: Option<Error>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), warnings: Vec::new(), whole: true, cut: false, failed: None }
    }
}

impl<T> Asked<T> {
    /// Notes what a responder answered.
    pub(crate) fn take(&mut self, plane: Plane, answer: Result<T>) {
        match answer {
            Ok(answer) => self.answers.push((plane, answer)),
            Err(error) => {
                self.warnings.push(LookNotice::Failed(Box::new(error.clone())).into());
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Everything, unless nobody answered and somebody failed.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn into_result(self) -> Result<Self> {
        match self.failed {
            Some(error) if self.answers.is_empty() => Err(error),
            _ => Ok(self),
        }
    }
}

/// A link to a responder, which plays the role that it is named for.
pub(crate) async fn connect(connections: &ConnectionsRef, responder: &Responder, own: NodeId) -> Result<Link> {
    let link = match responder.link.as_ref().filter(|link| !link.is_closed()) {
        Some(link) => link.clone(),
        None => responder.dial(connections).await.map_err(|error| Error::connect(responder.who(), own, error))?,
    };
    let wanted = match responder.plane {
        Plane::Here | Plane::Lan | Plane::Neighbours | Plane::Peer => Role::Node,
        Plane::Tracker => Role::Tracker,
    };
    match link.role() {
        Some(role) if role != wanted => Err(Error::WrongRole { who: responder.who(), role }),
        _ => Ok(link),
    }
}

/// One exchange of one answer.
pub(crate) async fn call<T: DeserializeOwned>(link: &Link, who: &Who, request: &Request, cap: usize) -> Result<T> {
    let (answer, _, _) = frames::call(link, request, cap).await.map_err(|error| Error::call(who.clone(), error))?;
    Ok(answer)
}

/// The most pages taken from one answering side, so that nobody keeps a command busy for ever.
const PAGES: usize = 1000;

pub(crate) async fn search_pages(link: Link, who: Who, query: Query, limit: u32) -> Result<Page> {
    let (mut hits, mut more) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let skip = u32::try_from(hits.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(skip).min(limits::HITS);
        if left == 0 {
            break;
        }
        let request = Request::Search(Search::of(&query, left, skip));
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

pub(crate) async fn locate_page(link: Link, who: Who, id: ContentId) -> Result<Page> {
    let page: HitPage = call(&link, &who, &Request::Locate(Locate { id }), limits::PAGE).await?;
    Ok(Page { hits: own_hits(page.hits, &link), more: Some(page.more) })
}

pub(crate) async fn peer_pages(link: Link, who: Who) -> Result<Vec<Peer>> {
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

/// How many offers a node has for this one.
pub(crate) async fn count_offers(link: &Link, who: &Who) -> Result<u64> {
    Ok(all_offers(link, who, None).await?.len() as u64)
}

/// All offers of a node, from itself or from a tracker, in name order.
pub(crate) async fn all_offers(link: &Link, who: &Who, node: Option<NodeId>) -> Result<Vec<Offer>> {
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
