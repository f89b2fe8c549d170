//! Asks every configured tracker and peer at once, and the neighbours, and merges what they answer.
//! Not responsible for which of the hits is meant: `logic::offers::choose` decides that.

mod peers;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::actors::connections::ConnectionsRef;
use crate::actors::shelf::FLOODED;
use crate::io::home::met::Met;
use crate::io::home::seen::{Seen, SeenContent};
use crate::io::net::link::Link;
use crate::logic::look::Enough;
use crate::model::{ContentId, FoundHit, NodeId, Plane, Query};
use crate::node::error::{Error, Result, Who, Whom};
use crate::node::look::answers;
use crate::node::look::ask::{Asked, Asking, Looked, Page, Responder, connect, locate_page, search_pages};
use crate::node::look::own::OwnOffers;
use crate::node::look::patience::asked;
use crate::node::look::planes::{self, Overlay, Rest};
use crate::node::types::{Hits, LookNotice, Options};

/// How long everyone who is asked may take together (design, section 9: all trackers have answered, or 2 s).
const ANSWER: Duration = Duration::from_secs(2);
/// Nodes near that are asked directly for what one answer over the neighbours does not hold.
const PAGED_ON: usize = 16;
/// Contents that this home was shown, of one beginning of an id, that are asked for by the whole id; the newest.
const SHOWN: usize = 4;
/// Hits that are looked at for what is spelled nearly as was asked.
const NEAR: u32 = 100;

/// Knows whom to ask.
#[derive(Clone)]
pub(crate) struct Finder {
    pub(crate) connections: ConnectionsRef,
    pub(crate) own: NodeId,
    /// Where nodes were met before.
    pub(crate) met: Met,
    /// What this home was shown.
    seen: Seen,
    /// Of a collection that is fetched: files and directories at most.
    pub(crate) max_files: usize,
    /// Everyone who is asked directly.
    pub(super) responders: Vec<Responder>,
    /// One node alone is asked, and gives.
    alone: bool,
    /// The local network is listened to.
    lan: bool,
    overlay: Option<Overlay>,
    /// What the node offers itself, for the commands of its home.
    itself: Option<OwnOffers>,
}

impl Finder {
    pub(crate) fn new(connections: ConnectionsRef, own: NodeId, options: &Options, overlay: Option<Overlay>) -> Self {
        let (trackers, peers) = (options.trackers.iter(), options.peers.iter());
        let trackers = trackers.map(|target| Responder { plane: Plane::Tracker, ..Responder::of(target.clone()) });
        let responders = trackers.chain(peers.cloned().map(Responder::of));
        let (met, seen) = (Met::at(options.home.root()), Seen::at(options.home.root()));
        let max_files = options.max_files;
        let (responders, lan) = (responders.collect(), options.near.lan.is_some());
        Self { connections, own, met, seen, max_files, responders, alone: false, lan, overlay, itself: None }
    }

    /// The same, which knows what the node offers itself.
    pub(crate) fn with_own(self, itself: OwnOffers) -> Self {
        Self { itself: Some(itself), ..self }
    }

    /// The same, which asks these friends itself as well, as if over the neighbours.
    pub(crate) fn with_friends(mut self, friends: Vec<Link>) -> Self {
        let friend = |link| Responder { plane: Plane::Neighbours, ..Responder::at(link) };
        self.responders.extend(friends.into_iter().map(friend));
        self
    }

    /// The same, which asks nobody.
    pub(crate) fn nobody(&self) -> Self {
        Self { responders: Vec::new(), overlay: None, alone: true, itself: None, ..self.clone() }
    }

    /// What the node offers itself, where that is asked for.
    pub(crate) const fn itself(&self) -> Option<&OwnOffers> {
        self.itself.as_ref()
    }

    /// The same, looking at one peer only.
    pub(crate) fn only(&self, responder: Responder) -> Self {
        Self { responders: vec![responder], overlay: None, alone: true, itself: None, ..self.clone() }
    }

    /// Whether everyone who has a content may give it.
    pub(crate) fn is_open(&self) -> bool {
        !self.alone && (self.overlay.is_some() || self.trackers().next().is_some())
    }

    /// The configured trackers.
    pub(crate) fn trackers(&self) -> impl Iterator<Item = &Responder> {
        self.responders.iter().filter(|responder| responder.plane == Plane::Tracker)
    }

    /// Who is asked: of the nodes near those that there are by now.
    pub(crate) async fn asked(&self) -> Whom {
        let near = match &self.overlay {
            Some(overlay) => Some(overlay.neighbours.all().await.len()).filter(|count| self.lan || *count > 0),
            None => None,
        };
        let named = self.responders.iter().filter(|responder| responder.plane != Plane::Neighbours);
        Whom { places: named.map(Responder::who).collect(), near, unfinished: false }
    }

    /// What was found, and where it was looked for.
    async fn merged(&self, query: Option<&Query>, asked: Asked<Page>, limit: u32) -> Hits {
        Hits { asked: self.asked().await, ..answers::merged(query, asked, limit) }
    }

    /// Which offers match a query, best first.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn search(&self, query: &Query, limit: u32) -> Result<Hits> {
        let (mut asked, _) = self.look_for(query, limit, Enough::Everything).await?;
        if limit > FLOODED {
            self.page_on(query, limit, &mut asked).await;
        }
        Ok(self.merged(Some(query), asked, limit).await)
    }

    /// What is spelled nearly as a query that nothing matches; nothing when its words leave no room for it. `None` when nothing
    /// came and not everyone who was asked again has answered.
    pub(crate) async fn near(&self, query: &Query) -> Option<Vec<FoundHit>> {
        if query.reading().near || !query.may_be_misspelled() {
            return Some(Vec::new());
        }
        let found = self.search(&query.nearly(), NEAR).await.ok()?;
        let answered = found.warnings.is_empty() || !found.hits.is_empty();
        answered.then_some(found.hits)
    }

    /// What a query may mean, best first, and who has not answered yet.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn candidates(&self, query: &Query, limit: u32) -> Result<(Hits, Rest)> {
        // An id is nobody's word: the beginning of one is looked for everywhere.
        let enough = if query.id().is_some() { Enough::Completions } else { Enough::Choice };
        let (asked, rest) = self.look_for(query, limit, enough).await?;
        Ok((self.merged(Some(query), asked, limit).await, rest))
    }

    async fn look_for(&self, query: &Query, limit: u32, enough: Enough) -> Result<(Asked<Page>, Rest)> {
        let words = query.clone();
        let direct = self.begin(move |link, who| search_pages(link, who, words.clone(), limit));
        let looking = self.look(direct, Looked::Names(query.clone()), enough);
        let own = async {
            match &self.itself {
                Some(itself) => Some(itself.search(query, limit).await),
                None => None,
            }
        };
        let (looked, shown, own) = tokio::join!(looking, self.located(query), own);
        let (mut asked, rest) = with_own(looked, own)?;
        asked.answers.extend(shown);
        Ok((asked, rest))
    }

    /// The contents that this home was shown and whose ids begin as the query says, newest last.
    pub(crate) async fn shown(&self, query: &Query) -> Vec<SeenContent> {
        let (Some(_), [prefix]) = (query.id(), query.words()) else { return Vec::new() };
        let (seen, prefix) = (self.seen.clone(), prefix.clone());
        tokio::task::spawn_blocking(move || seen.with_prefix(&prefix)).await.unwrap_or_default()
    }

    /// Who has what this home was shown of that: what is being fetched has no name by which it is found, and a node of an
    /// earlier version knows no beginnings.
    async fn located(&self, query: &Query) -> Vec<(Plane, Page)> {
        let mut locating = JoinSet::new();
        for shown in self.shown(query).await.into_iter().rev().take(SHOWN) {
            let finder = self.clone();
            locating.spawn(async move {
                let direct = finder.begin(move |link, who| locate_page(link, who, shown.id));
                finder.look(direct, Looked::Id(shown.id), Enough::First).await
            });
        }
        let located = locating.join_all().await.into_iter().flatten();
        located.flat_map(|(asked, _)| asked.answers).collect()
    }

    /// Asks those near directly that may have more than they could give over the neighbours.
    async fn page_on(&self, query: &Query, limit: u32, asked: &mut Asked<Page>) {
        let mut paging = JoinSet::new();
        let mut unfinished = answers::unfinished(asked);
        asked.whole &= unfinished.len() <= PAGED_ON;
        unfinished.truncate(PAGED_ON);
        for (plane, provider) in unfinished {
            let (connections, query) = (self.connections.clone(), query.clone());
            paging.spawn(timeout(ANSWER, async move {
                let link = connections.to_node(provider.node, provider.addrs).await.ok()?;
                let who = Who::peer(link.remote().to_string());
                Some((plane, search_pages(link, who, query, limit).await.ok()?))
            }));
        }
        let looked = Looked::Names(query.clone());
        while let Some(joined) = paging.join_next().await {
            match joined {
                Ok(Ok(Some((plane, mut page)))) => {
                    looked.keep_what_answers(&mut page.hits);
                    asked.answers.push((plane, page));
                }
                // What it gave before stays.
                Ok(Ok(None) | Err(_)) | Err(_) => asked.whole = false,
            }
        }
    }

    /// Who offers an id.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn locate(&self, id: ContentId) -> Result<Hits> {
        Ok(self.locate_until(id, Enough::Everything).await?.0)
    }

    /// Who offers an id, as soon as somebody knows, and who has not answered yet: a transfer hears the others.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn locate_first(&self, id: ContentId) -> Result<(Hits, Rest)> {
        self.locate_until(id, Enough::First).await
    }

    async fn locate_until(&self, id: ContentId, enough: Enough) -> Result<(Hits, Rest)> {
        let direct = self.begin(move |link, who| locate_page(link, who, id));
        let looked = self.look(direct, Looked::Id(id), enough).await;
        let (asked, rest) = with_own(looked, self.itself.as_ref().map(|itself| itself.locate(id)))?;
        Ok((self.merged(None, asked, u32::MAX).await, rest))
    }

    async fn look(&self, direct: Asking<Page>, looked: Looked, enough: Enough) -> Result<(Asked<Page>, Rest)> {
        if self.responders.is_empty() && self.overlay.is_none() {
            return Err(Error::NowhereToLook);
        }
        planes::look(direct, (&self.responders, self.own), self.overlay.clone(), looked, enough).await
    }

    /// The neighbours, where they are asked.
    pub(crate) const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Begins to ask every responder at once; each answers with its number, in its time or with an error that says so.
    fn begin<T, F, A>(&self, ask: A) -> Asking<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        A: Fn(Link, Who) -> F + Clone + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let deadline = begun + ANSWER;
        let mut tasks = JoinSet::new();
        for (number, responder) in self.responders.iter().cloned().enumerate() {
            let (connections, own, ask) = (self.connections.clone(), self.own, ask.clone());
            tasks.spawn(async move {
                let connect = || connect(&connections, &responder, own);
                let answer = asked(deadline, connect, |link| ask(link, responder.who())).await;
                let waited = || Duration::from_secs(begun.elapsed().as_secs());
                (number, answer.unwrap_or_else(|| Err(responder.silent(own, waited()))))
            });
        }
        tasks
    }
}

/// What others have answered, with what the node has itself: that is there also when nobody else answers.
fn with_own(looked: Result<(Asked<Page>, Rest)>, own: Option<Page>) -> Result<(Asked<Page>, Rest)> {
    let Some(own) = own.filter(|own| !own.hits.is_empty()) else { return looked };
    let (mut asked, rest) = looked.unwrap_or_else(|error| {
        let warnings = vec![LookNotice::Failed(Box::new(error)).into()];
        (Asked { warnings, ..Asked::default() }, Rest::default())
    });
    asked.answers.push((Plane::Here, own));
    Ok((asked, rest))
}
