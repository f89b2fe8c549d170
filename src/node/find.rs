//! Asks every configured tracker and peer at once, and the neighbours, and merges what they answer.
//! Not responsible for which of the hits is meant: `logic::choose` decides that.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::actors::connections::ConnectionsRef;
use crate::io::frames;
use crate::io::link::Link;
use crate::logic::merge::merge;
use crate::model::{ContentId, Hit, Kind, NodeId, PeerTarget, Provider, Query};
use crate::node::convert::{call_error, connect_error};
use crate::node::error::{Error, Who};
use crate::node::planes::{self, Enough, Overlay, Page};
use crate::node::types::{Found, FoundHit, Options, PeerRow, Plane};
use crate::wire::{HitPage, Locate, PeerPage, Peers, Request, Role, Search, Sought, limits};

/// How long everyone who is asked may take together (design, section 9: all trackers have answered, or 2 s).
const ANSWER: Duration = Duration::from_secs(2);
/// The most pages taken from one answering side, so that nobody keeps a command busy for ever.
const PAGES: usize = 1000;

/// Knows whom to ask.
#[derive(Clone)]
pub(crate) struct Finder {
    pub(crate) connections: ConnectionsRef,
    pub(crate) own: NodeId,
    places: Vec<Place>,
    /// Only what this node offers counts.
    from: Option<NodeId>,
    overlay: Option<Overlay>,
}

/// One place to look.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) target: PeerTarget,
    pub(crate) plane: Plane,
}

impl Place {
    /// Whom an error about this place names.
    pub(crate) fn who(&self) -> Who {
        match self.plane {
            Plane::Lan | Plane::Neighbours | Plane::Peer => Who::peer(self.target.host_port()),
            Plane::Tracker => Who::tracker(self.target.host_port()),
        }
    }
}

impl Finder {
    pub(crate) fn new(connections: ConnectionsRef, own: NodeId, options: &Options, overlay: Option<Overlay>) -> Self {
        let (trackers, peers) = (&options.trackers, &options.peers);
        let place = |plane| move |target: &PeerTarget| Place { target: target.clone(), plane };
        let places = trackers.iter().map(place(Plane::Tracker)).chain(peers.iter().map(place(Plane::Peer)));
        Self { connections, own, places: places.collect(), from: None, overlay }
    }

    /// The same, looking at one peer only.
    pub(crate) fn only(&self, target: PeerTarget) -> Self {
        Self { places: vec![self.place_of(target)], overlay: None, ..self.clone() }
    }

    /// The same, looking everywhere for what one node offers, and at the node itself where it is known to be.
    pub(crate) fn only_from(&self, node: NodeId, at: Option<PeerTarget>) -> Self {
        let mut finder = Self { from: Some(node), ..self.clone() };
        finder.places.extend(at.map(|at| self.place_of(at)));
        finder
    }

    /// Whether everyone who has a content may give it.
    pub(crate) fn is_open(&self) -> bool {
        self.from.is_none() && (self.overlay.is_some() || self.trackers().next().is_some())
    }

    /// A peer as a place to look.
    #[expect(clippy::unused_self, reason = "places belong to finders")]
    pub(crate) fn place_of(&self, target: PeerTarget) -> Place {
        Place { target, plane: Plane::Peer }
    }

    /// The configured trackers.
    pub(crate) fn trackers(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.plane == Plane::Tracker)
    }

    /// Who is asked, for people: `tracker lab:4917`, `3 places`.
    pub(crate) fn asked(&self) -> String {
        let near = self.overlay.as_ref().map(|_| "the nodes near this one".to_owned());
        let places = match self.places.as_slice() {
            [] => None,
            [one] => Some(one.who().to_string()),
            many => Some(format!("{} places", many.len())),
        };
        places.into_iter().chain(near).collect::<Vec<_>>().join(" and ")
    }

    /// Which offers match the words, best first.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn search(&self, query: &Query, limit: u32, enough: Enough) -> Result<Found, Error> {
        let words = query.words().to_vec();
        let sought = Sought::Words(words.clone());
        let direct = self.begin(move |link, who| search_pages(link, who, words.clone(), limit));
        let pages = self.look(direct, sought, enough).await?;
        Ok(merge_answers(self.from, Some(query), pages, limit))
    }

    /// Who offers an id.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn locate(&self, id: ContentId) -> Result<Found, Error> {
        self.locate_until(id, Enough::Everything).await
    }

    /// Who offers an id, as soon as somebody knows: a transfer follows the others.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn locate_first(&self, id: ContentId) -> Result<Found, Error> {
        self.locate_until(id, Enough::First).await
    }

    async fn locate_until(&self, id: ContentId, enough: Enough) -> Result<Found, Error> {
        let direct = self.begin(move |link, who| locate_page(link, who, id));
        let pages = self.look(direct, Sought::Content(id), enough).await?;
        Ok(merge_answers(self.from, None, pages, u32::MAX))
    }

    async fn look(&self, direct: Asking<Page>, sought: Sought, enough: Enough) -> Result<Asked<Page>, Error> {
        if self.places.is_empty() && self.overlay.is_none() {
            return Err(Error::NowhereToLook);
        }
        if let (Some(node), Some(overlay), true) = (self.from, &self.overlay, self.places.is_empty()) {
            // Nobody else can tell where it is, and a look that ends before the local network has is one in vain.
            overlay.meet(node).await;
        }
        planes::look(direct, &self.places, self.overlay.as_ref().map(|overlay| (overlay, sought)), enough).await
    }

    /// The link to a node that is near, if it is: it becomes a neighbour, or one of the neighbours tells of it.
    pub(crate) async fn near(&self, node: NodeId) -> Option<Link> {
        let overlay = self.overlay.as_ref()?;
        let told = async {
            let rows = overlay.near(self.own).await;
            let row = rows.into_iter().find(|row| row.peer.node == node)?;
            self.connections.to_node(node, row.peer.addrs).await.ok()
        };
        tokio::select! {
            Some(link) = overlay.meet(node) => Some(link),
            Some(link) = told => Some(link),
            else => None,
        }
    }

    /// The neighbours, where they are asked.
    pub(crate) const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// All nodes that the trackers know, and the peers that answer.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn peers(&self) -> Result<(Vec<PeerRow>, Vec<String>), Error> {
        let asked = match (&self.overlay, self.places.is_empty()) {
            (None, true) => return Err(Error::NowhereToLook),
            (None, false) => self.ask(peer_pages).await?,
            (Some(overlay), places) => {
                let direct = async { if places { Ok(Asked::default()) } else { self.ask(peer_pages).await } };
                let (asked, near) = tokio::join!(direct, overlay.near(self.own));
                let near: Vec<_> = near.into_iter().map(|row| row.peer).collect();
                let mut asked = match asked {
                    Err(error) if near.is_empty() => return Err(error),
                    Err(error) => Asked { warnings: vec![error.to_string()], ..Asked::default() },
                    Ok(asked) => asked,
                };
                asked.answers.push((Plane::Neighbours, near));
                asked
            }
        };
        let mut rows: HashMap<NodeId, PeerRow> = HashMap::new();
        for (plane, peers) in asked.answers {
            for peer in peers {
                let row = rows.entry(peer.node).or_insert_with(|| PeerRow { peer: peer.clone(), plane });
                row.plane = row.plane.max(plane);
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|row| row.peer.node);
        Ok((rows, asked.warnings))
    }

    /// Begins to ask every place at once; each answers with its number, in its time or with an error that says so.
    fn begin<T, F, A>(&self, ask: A) -> Asking<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        A: Fn(Link, Who) -> F + Clone + Send + Sync + 'static,
    {
        let deadline = Instant::now() + ANSWER;
        let mut tasks = JoinSet::new();
        for (number, place) in self.places.iter().cloned().enumerate() {
            let (connections, own, ask) = (self.connections.clone(), self.own, ask.clone());
            tasks.spawn(async move {
                let answered = timeout_at(deadline, async {
                    let link = connect(&connections, &place, own).await?;
                    ask(link, place.who()).await
                });
                let silent = || Err(Error::Unreachable { who: place.who(), cause: "no answer within 2 s".to_owned() });
                (number, answered.await.unwrap_or_else(|_| silent()))
            });
        }
        tasks
    }

    /// Asks every place at once. Those that fail become warnings, unless all of them do.
    async fn ask<T, F, A>(&self, ask: A) -> Result<Asked<T>, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        A: Fn(Link, Who) -> F + Clone + Send + Sync + 'static,
    {
        let (mut tasks, mut asked) = (self.begin(ask), Asked::default());
        while let Some(joined) = tasks.join_next().await {
            if let Ok((number, answer)) = joined {
                asked.take(self.places[number].plane, answer);
            }
        }
        asked.into_result()
    }
}

/// Places that are being asked.
pub(crate) type Asking<T> = JoinSet<(usize, Result<T, Error>)>;

/// What was answered on which plane, and who did not answer.
pub(crate) struct Asked<T> {
    pub(crate) answers: Vec<(Plane, T)>,
    pub(crate) warnings: Vec<String>,
    /// The first that failed.
    failed: Option<Error>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), warnings: Vec::new(), failed: None }
    }
}

impl<T> Asked<T> {
    /// Notes what a place answered.
    pub(crate) fn take(&mut self, plane: Plane, answer: Result<T, Error>) {
        match answer {
            Ok(answer) => self.answers.push((plane, answer)),
            Err(error) => {
                self.warnings.push(error.to_string());
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Everything, unless nobody answered and somebody failed.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn into_result(self) -> Result<Self, Error> {
        match self.failed {
            Some(error) if self.answers.is_empty() => Err(error),
            _ => Ok(self),
        }
    }
}

/// A link to a place that plays the role which the place is named for.
pub(crate) async fn connect(connections: &ConnectionsRef, place: &Place, own: NodeId) -> Result<Link, Error> {
    let link = connections.to_target(&place.target).await.map_err(|error| connect_error(place.who(), own, error))?;
    let wanted = match place.plane {
        Plane::Lan | Plane::Neighbours | Plane::Peer => Role::Node,
        Plane::Tracker => Role::Tracker,
    };
    match link.role() {
        Some(role) if role != wanted => Err(Error::WrongRole { who: place.who(), role }),
        _ => Ok(link),
    }
}

/// One exchange of one answer.
pub(crate) async fn call<T: DeserializeOwned>(
    link: &Link,
    who: &Who,
    request: &Request,
    cap: usize,
) -> Result<T, Error> {
    let (answer, _, _) = frames::call(link, request, cap).await.map_err(|error| call_error(who.clone(), error))?;
    Ok(answer)
}

async fn search_pages(link: Link, who: Who, words: Vec<String>, limit: u32) -> Result<(Vec<Hit>, u64), Error> {
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
    Ok((own_hits(hits, &link), more))
}

/// What the node at the other end, or the tracker there, knows of an id.
pub(crate) async fn locate_page(link: Link, who: Who, id: ContentId) -> Result<(Vec<Hit>, u64), Error> {
    let mut page: HitPage = call(&link, &who, &Request::Locate(Locate { id }), limits::PAGE).await?;
    page.hits.retain(|hit| hit.id == Some(id));
    Ok((own_hits(page.hits, &link), page.more))
}

async fn peer_pages(link: Link, who: Who) -> Result<Vec<crate::wire::Peer>, Error> {
    if link.role() != Some(Role::Tracker) {
        let node = link.peer();
        return Ok(vec![crate::wire::Peer {
            node,
            addrs: vec![link.remote()],
            offers: count_offers(&link, &who).await?,
        }]);
    }
    let (mut peers, mut after) = (Vec::<crate::wire::Peer>::new(), None);
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
pub(crate) async fn all_offers(
    link: &Link,
    who: &Who,
    node: Option<NodeId>,
) -> Result<Vec<crate::model::Offer>, Error> {
    let (mut offers, mut after) = (Vec::<crate::model::Offer>::new(), None);
    for _ in 0..PAGES {
        let request = Request::FilesOf(crate::wire::FilesOf { node, after: after.clone() });
        let page: crate::wire::OfferPage = call(link, who, &request, limits::PAGE).await?;
        let last = page.offers.last().map(|offer| offer.name.clone());
        offers.extend(page.offers);
        if !page.more || last <= after {
            break;
        }
        after = last;
    }
    Ok(offers)
}

/// A node answers for itself without naming itself: it is the provider, and the link says where it is.
fn own_hits(mut hits: Vec<Hit>, link: &Link) -> Vec<Hit> {
    if link.role() != Some(Role::Tracker) {
        for hit in &mut hits {
            hit.providers = vec![Provider { node: link.peer(), addrs: vec![link.remote()] }];
        }
    }
    hits
}

fn merge_answers(from: Option<NodeId>, query: Option<&Query>, asked: Asked<Page>, limit: u32) -> Found {
    let mut planes: HashMap<(Option<ContentId>, Kind, u64), Plane> = HashMap::new();
    let (mut all, mut more) = (Vec::new(), 0_u64);
    for (plane, (hits, rest)) in asked.answers {
        more = more.max(rest);
        for hit in &hits {
            let known = planes.entry((hit.id, hit.kind, hit.size)).or_insert(plane);
            *known = (*known).max(plane);
        }
        all.extend(hits.into_iter().filter_map(|hit| only_from(from, hit)));
    }
    let mut hits = merge(query, all);
    let kept = hits.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    more = more.saturating_add((hits.len() - kept) as u64);
    hits.truncate(kept);
    let with_plane = |hit: Hit| {
        let plane = planes.get(&(hit.id, hit.kind, hit.size)).copied().unwrap_or(Plane::Tracker);
        FoundHit { hit, plane }
    };
    Found { hits: hits.into_iter().map(with_plane).collect(), more, warnings: asked.warnings }
}

/// The hit as far as it is this node's.
fn only_from(from: Option<NodeId>, mut hit: Hit) -> Option<Hit> {
    if let Some(node) = from {
        hit.providers.retain(|provider| provider.node == node);
    }
    (from.is_none() || !hit.providers.is_empty()).then_some(hit)
}
