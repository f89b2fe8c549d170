//! The node: wires and supervises the actors; the handle that the command line, tests and other programs use.
//! Nothing here prints or knows a terminal.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, watch};

use crate::io::receive::landing::Landing;
use crate::model::{Collection, ContentId, Hit, Kind, NodeId, Offer, PeerTarget, Query, RateLimit, SafePath};

mod allowed;
mod arrivals;
mod bench;
mod control;
mod doctor;
pub mod error;
mod following;
mod get;
mod host;
mod inner;
mod look;
mod report;
mod start;
mod tracker;
pub mod types;

pub use crate::actors::directory::Census;
pub use crate::actors::index::SharedRoot;
pub use crate::io::home::Home;
pub use crate::io::net::endpoint::Listen;
pub use crate::io::share::scan::{RootSummary, ScannedRoot, SharePlan, SurveyOptions};
pub use crate::logic::directory::Quotas as DirectoryQuotas;
pub use crate::logic::explain::{Cause, Share};
pub use crate::logic::flood::Counts;
pub use crate::logic::limits::inbox::{Accept, Entry, Loss, Rules, Standing};
pub use crate::logic::limits::jobs::{JobError, JobId, JobOrder, JobState};
pub use crate::logic::neighbours::Direction;
pub use crate::logic::offers::suggest::Suggestion;
pub use crate::logic::offers::tally::Beyond;
pub use crate::logic::transfer::Why;
pub use crate::logic::transfer::files::FileCount;
pub use crate::logic::uploads::{Past, Upload, UploadEvent, Uploads};
pub use crate::model::Plane;
pub use crate::model::collection::manifest::MAX_FILES;
pub use bench::{BENCH_TESTS, Bench, BenchReport, BenchRow, MAX_BENCH_BYTES};
pub use control::{Asker, Fetched, Followed, Heard, KeptJob, Put, Remote, SharedRow, Sharing, kept_in};
pub use doctor::{Check, Examination, Seen, SeenAt, Verdict};
pub use error::{ControlError, Error, ErrorCode, Fault, Lack, Named, Silence, Who, Whom, shown};
pub use get::Transfer;
pub use host::Host;
pub(crate) use inner::met;
pub use inner::orders::JobWish;
pub use inner::shares::{OfferRow, Offered, ShareWish, Unwanted};
pub use tracker::{Tracker, TrackerOptions};
pub use types::*;

use get::manifest::{Listed, Proven};
use inner::Inner;
use look::ask::{Responder, all_offers, connect};
use look::claims::claims;
use look::own::OwnOffers;
use look::{Looking, Meant};
use report::Report;

/// A running node; cheap to clone. Dropping the last handle ends it at once; [`Node::stop`] ends it cleanly.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// The names and paths of a list for `share --list`, as they are there. Blocks on the file system.
///
/// # Errors
/// When it cannot be read, or a line of it is none.
pub fn listed_in(list: &Path) -> Result<Vec<(SafePath, PathBuf)>, Error> {
    Ok(crate::io::share::scan::read_list(list)?)
}

/// Looks at everything that is to be shared, before anything is published. Blocks on the file system.
///
/// # Errors
/// When a path is missing, names collide, or something takes `--all`.
pub fn survey(paths: &[PathBuf], options: &SurveyOptions) -> Result<SharePlan, Error> {
    Ok(crate::io::share::scan::survey(paths, options)?)
}

impl Deref for Node {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.inner.host
    }
}

impl Node {
    /// Starts a node and gives what it reports.
    ///
    /// # Errors
    /// When the home is locked or cannot be used, or the port cannot be had.
    pub async fn start(options: Options) -> Result<(Self, mpsc::Receiver<Event>), Error> {
        let (inner, events) = start::start(options).await?;
        let node = Self { inner: Arc::new(inner) };
        control::jobs::start(&node).await;
        inner::inbox::start(&node.inner).await;
        node.inner.run(Inner::see_friends(Arc::downgrade(&node.inner)));
        if node.guest.is_none() {
            inner::puts::left::sweep(&node.home).await;
        }
        if node.inner.jobs.get().is_some() {
            inner::puts::left::restore(&node.inner).await;
        }
        let events = control::listen(&node, events);
        Ok((node, events))
    }

    /// Offers what was surveyed.
    pub fn share(&self, plan: SharePlan) {
        drop(self.inner.index.share(plan));
    }

    /// Keeps what was wanted to be offered for the next start, if that is wanted.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn keep(&self, wish: &ShareWish) -> Result<(), Error> {
        self.inner.shares.keep(wish).await
    }

    /// Offers again what is kept, path by path; what of it cannot be offered stays kept.
    pub async fn share_kept(&self) -> Vec<(PathBuf, Result<Offered, Error>)> {
        self.inner.shares.offer_kept().await
    }

    /// What is offered, and kept for that.
    pub async fn shared(&self) -> Vec<OfferRow> {
        self.inner.shares.all().await
    }

    /// Offers something no longer, nor at the next start; what it was.
    ///
    /// # Errors
    /// When nothing is offered so, or that cannot be written down.
    pub async fn unshare(&self, what: &Unwanted) -> Result<Vec<String>, Error> {
        self.inner.shares.unshare(what).await
    }

    /// Which offers match the words, best first.
    ///
    /// # Errors
    /// When there is nobody to ask, or nobody could be asked.
    pub async fn search(&self, query: &Query, limit: u32) -> Result<Hits, Error> {
        Ok(self.met(self.inner.finder.search(query, limit).await?).await)
    }

    /// Who offers an id.
    ///
    /// # Errors
    /// When there is nobody to ask, or nobody could be asked.
    pub async fn locate(&self, id: ContentId) -> Result<Hits, Error> {
        Ok(self.met(self.inner.finder.locate(id).await?).await)
    }

    /// The same hits, whose providers are remembered for people.
    async fn met(&self, hits: Hits) -> Hits {
        let providers = hits.hits.iter().flat_map(|found| &found.hit.providers);
        self.inner.meet(providers.map(|provider| provider.node).collect()).await;
        hits
    }

    /// What each provider of a hit has of it, in their order; unknown of those that do not answer.
    pub async fn holdings(&self, hit: &Hit) -> Vec<Has> {
        let finder = &self.inner.finder;
        let Some(content) = hit.content() else { return vec![Has::Unknown; hit.providers.len()] };
        let mut all = finder.holdings(content, None, &hit.providers).await;
        let own = finder.itself().is_some_and(|itself| !itself.locate(content.id).hits.is_empty());
        for (has, _) in all.iter_mut().zip(&hit.providers).filter(|(_, provider)| own && provider.node == finder.own) {
            *has = Has::Whole;
        }
        all
    }

    /// All offers of a peer, and where they were learned: from itself; where it is known only by its id, from a tracker, or
    /// from itself wherever it is known to be.
    ///
    /// # Errors
    /// When it is unknown, or nobody could be asked.
    pub async fn list(&self, peer: &PeerRef) -> Result<(Vec<Offer>, Plane), Error> {
        let finder = &self.inner.finder;
        let mut failed = None;
        let node = match self.inner.resolved(peer).await? {
            Resolved::Target(target) => {
                return Ok((self.list_at(&Responder::of(target), None).await?, Plane::Peer));
            }
            Resolved::Node { node, .. } if node == finder.own && finder.itself().is_some() => {
                return Ok((finder.itself().map(OwnOffers::all).unwrap_or_default(), Plane::Peer));
            }
            Resolved::Node { node, at } => {
                if let Some(responder) = at.map(Responder::of) {
                    match self.list_at(&responder, None).await {
                        Ok(offers) => return Ok((offers, Plane::Peer)),
                        Err(error) => drop(failed.get_or_insert(error)),
                    }
                }
                node
            }
        };
        for responder in finder.trackers() {
            match self.list_at(responder, Some(node)).await {
                Ok(offers) if !offers.is_empty() => return Ok((offers, Plane::Tracker)),
                Ok(_) => {}
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        match finder.reach(node, None).await {
            Ok(link) => Ok((self.list_at(&Responder::at(link), None).await?, Plane::Peer)),
            Err(error) => Err(failed.or(error).unwrap_or_else(|| Error::UnknownPeer { peer: peer.to_string() })),
        }
    }

    /// Offers of the node that is asked, or of one that a tracker knows.
    async fn list_at(&self, responder: &Responder, node: Option<NodeId>) -> Result<Vec<Offer>, Error> {
        let finder = &self.inner.finder;
        let link = connect(&finder.connections, responder, finder.own).await?;
        if responder.plane == Plane::Peer {
            self.inner.meet(vec![link.peer()]).await;
        }
        all_offers(&link, &responder.who(), node).await
    }

    /// What a collection holds.
    ///
    /// # Errors
    /// When nobody has it, or it is a file.
    pub async fn manifest(&self, id: ContentId) -> Result<Collection, Error> {
        let finder = &self.inner.finder;
        let found = finder.locate(id).await?;
        let Some(first) = found.hits.first() else {
            return Err(Error::NotFound { what: id.to_string(), asked: found.asked, near: Vec::new() });
        };
        let tree = claims(first, &found.hits).into_iter().find(|claim| claim.hit.kind == Kind::Collection);
        let hit = tree.ok_or(Error::NotACollection { id })?.hit;
        self.list_of(id, &hit).await?.map_err(|_| Error::NotACollection { id })
    }

    /// That nothing was found for what a person typed, with what is spelled nearly so, which is looked for now.
    pub async fn not_found(&self, what: &str, query: &Query) -> Error {
        look::not_found(&self.inner.finder, what.to_owned(), query).await
    }

    /// That the beginning of an id means what was found, as a `get` takes it.
    ///
    /// # Errors
    /// When this home was shown another content that begins so and that nobody has now.
    pub async fn is_as_shown(&self, query: &Query, found: &FoundHit) -> Result<(), Error> {
        look::as_shown(&self.inner.finder, query, found.clone()).await.map(drop)
    }

    /// What words mean, as a `get` takes them, and what it holds.
    ///
    /// # Errors
    /// When nothing or several things match, or nobody could be asked.
    pub async fn meant(&self, query: &Query) -> Result<Listing, Error> {
        let (request, report) = (GetRequest::new(What::Words(query.clone())), Report::new());
        let meant = Looking { finder: &self.inner.finder, report: &report }.look(&request).await;
        let notices = report.notices().borrow().clone();
        notices.into_iter().for_each(|notice| self.inner.warn(notice));
        let Meant { hit, beneath, .. } = meant?;
        let plane = report.now().plane;
        let Some(id) = hit.id.filter(|_| hit.kind == Kind::Collection) else {
            return Ok(Listing { hit, plane, entries: Vec::new() });
        };
        let collection = match self.list_of(id, &hit).await? {
            Ok(collection) => collection,
            Err(hit) => return Ok(Listing { hit, plane, entries: Vec::new() }),
        };
        let patterns = beneath.and_then(|dir| get::selection::beneath(&collection, &dir, &[])).unwrap_or_default();
        let selection = get::selection::Selection::of(&patterns);
        let entries = collection.entries().iter().filter(|(path, _)| selection.takes(path));
        Ok(Listing { plane, entries: entries.cloned().collect(), hit })
    }

    /// Whether somebody is known by what a person gave: a friend's name, an id, its beginning.
    #[must_use]
    pub fn knows(&self, peer: &PeerRef) -> bool {
        self.inner.resolve_peer(peer).is_ok()
    }

    /// What a collection holds, from those who have it; what it is in truth where that is a file.
    async fn list_of(&self, id: ContentId, hit: &Hit) -> Result<Result<Collection, Hit>, Error> {
        let (finder, report) = (&self.inner.finder, Report::new());
        if let Some(own) = finder.itself().and_then(|itself| itself.manifest(id, finder.max_files)) {
            return Ok(Ok(own));
        }
        let mut liars = Vec::new();
        // Nobody waits for a list to be shown: everyone is asked once.
        let listed = Listed { finder, id, providers: &hit.providers, report: &report };
        let proven = listed.fetch(Duration::ZERO, &mut liars).await;
        liars.into_iter().for_each(|node| self.inner.warn(LookNotice::WrongList { node, id }));
        Ok(match proven? {
            Proven::Tree(fetched) => Ok(fetched.collection),
            Proven::File(file) => Err(file),
        })
    }

    /// All nodes that the trackers and peers know.
    ///
    /// # Errors
    /// When there is nobody to ask, or nobody could be asked.
    pub async fn peers(&self) -> Result<Vec<PeerRow>, Error> {
        let (mut rows, warnings) = self.inner.finder.peers().await?;
        self.inner.ask_friends(rows.iter_mut().map(|row| &mut row.peer).collect()).await;
        warnings.into_iter().for_each(|warning| self.inner.warn(warning));
        self.inner.meet(rows.iter().map(|row| row.peer.node).collect()).await;
        Ok(rows)
    }

    /// The nodes near this one: its neighbours, then those that they tell of.
    ///
    /// # Errors
    /// When there is no way to any.
    pub async fn neighbours(&self) -> Result<Vec<NearRow>, Error> {
        let finder = &self.inner.finder;
        let overlay = finder.overlay().ok_or(Error::NowhereToLook)?;
        let mut rows = overlay.near(finder.own).await;
        self.inner.ask_friends(rows.iter_mut().map(|row| &mut row.peer).collect()).await;
        self.inner.meet(rows.iter().map(|row| row.peer.node).collect()).await;
        Ok(rows)
    }

    /// Looks at this node's surroundings, and tells what works as soon as it is known.
    pub async fn examine(&self, of: &Examination, tell: mpsc::Sender<Check>) {
        doctor::examine(&self.inner, of, tell).await;
    }

    /// How many queries of neighbours have gone through this node.
    pub async fn flooded(&self) -> Counts {
        self.inner.neighbours.counts().await
    }

    /// What is being fetched from this node, and what was, at this moment; nothing once it was stopped.
    pub async fn count_uploads(&self) -> Uploads {
        self.inner.uploads.view().await.unwrap_or_default()
    }

    /// What is being fetched from this node, and what was; sampled some times a second while something is.
    #[must_use]
    pub fn uploads(&self) -> watch::Receiver<Uploads> {
        self.inner.uploads.shown()
    }

    /// A page of the transfers that it keeps for commands, those after this one.
    ///
    /// # Errors
    /// When it keeps none, or ends.
    pub async fn jobs(&self, after: Option<JobId>) -> Result<Vec<JobRow>, Error> {
        self.inner.jobs()?.rows(after).await
    }

    /// Carries out an order for one of them, or for all that it fits; and says for which.
    ///
    /// # Errors
    /// When there is no such job, or the order does not fit it.
    pub async fn order_jobs(&self, id: Option<JobId>, order: JobOrder) -> Result<Vec<JobId>, Error> {
        self.inner.jobs()?.order(id, order).await
    }

    /// What other nodes offer to its person, by their numbers.
    ///
    /// # Errors
    /// When it takes nothing.
    pub async fn inbox(&self) -> Result<Vec<InboxRow>, Error> {
        self.inner.inbox.rows().await
    }

    /// What it sends for commands that have left it, and what became of what is over.
    pub async fn puts(&self) -> Vec<PutRow> {
        self.inner.puts.rows().await
    }

    /// Ends one of these, or all; which.
    ///
    /// # Errors
    /// When there is none of this number, or it is over.
    pub async fn cancel_put(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        self.inner.puts.cancel(number).await
    }

    /// Takes one that is over off the list, or all that are; which.
    ///
    /// # Errors
    /// When there is none of this number, it is not over, or the list cannot be written.
    pub async fn clear_puts(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        self.inner.puts.clear(number).await
    }

    /// Sends something to single nodes; it goes on until its end is awaited or its handle is dropped.
    #[must_use]
    pub fn put(&self, wish: PutWish) -> Put {
        Put::here(Arc::clone(&self.inner), wish)
    }

    /// Fetches one of them that waits, or all, into a directory; which.
    ///
    /// # Errors
    /// When it does not wait, or cannot be put there.
    pub async fn accept_offer(
        &self,
        number: Option<u32>,
        into: Option<(PathBuf, Landing)>,
    ) -> Result<Vec<InboxRow>, Error> {
        self.inner.inbox.accept(number, into).await
    }

    /// Drops one of them that is over, or all that are; which.
    ///
    /// # Errors
    /// When it is not over.
    pub async fn clear_offers(&self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        self.inner.inbox.clear(number).await
    }

    /// Declines one of them that waits or is fetched, or all that wait; which. What had come of it unfinished is removed.
    ///
    /// # Errors
    /// When it neither waits nor is fetched.
    pub async fn decline_offer(&self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        self.inner.inbox.decline(number, self.inner.jobs.get()).await
    }

    /// Changes the rates to which all its uploads and downloads are limited, and says what they are then.
    #[must_use]
    pub fn limit(&self, change: RateChange) -> Rates {
        self.inner.rates.change(change)
    }

    /// Limits one of the transfers that it keeps to another rate, or all that are not over; and says which.
    ///
    /// # Errors
    /// When there is no such job, or it is over.
    pub async fn limit_jobs(&self, id: Option<JobId>, limit: RateLimit) -> Result<Vec<JobId>, Error> {
        self.inner.jobs()?.limit(id, limit).await
    }

    /// Begins to fetch; the transfer goes on until its end is awaited or its handle is dropped.
    #[must_use]
    pub fn get(&self, request: GetRequest) -> Transfer {
        Transfer::begin(Arc::clone(&self.inner), request, None)
    }

    /// The same of one file, whose bytes are written to a stream in order, and nowhere else.
    #[must_use]
    pub fn get_to(&self, request: GetRequest, to: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Transfer {
        Transfer::begin(Arc::clone(&self.inner), request.output(None), Some(Box::new(to)))
    }

    /// Measures throughput to a bench that listens, with this many bytes for each of [`BENCH_TESTS`] tests, and
    /// counts them in `moved` as they move.
    ///
    /// # Errors
    /// When it cannot be reached, is busy, or the stream fails.
    pub async fn bench(&self, target: &PeerTarget, bytes: u64, moved: &AtomicU64) -> Result<BenchReport, Error> {
        bench::measure(self, target, bytes, moved).await
    }

    /// Withdraws from the trackers, closes all connections and stops the actors.
    pub async fn stop(&self) {
        self.inner.stop().await;
    }
}

/// A peer, as far as it could be told from what was given.
pub(crate) enum Resolved {
    /// A node, and where a friend is.
    Node {
        node: NodeId,
        at: Option<PeerTarget>,
    },
    Target(PeerTarget),
}
