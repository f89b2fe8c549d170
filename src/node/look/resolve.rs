//! Waiting until a provider has hashed what has no id yet. Hashing that goes on is news; one that does not is given up like
//! any other wait.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames;
use crate::logic::offers::merge::merge;
use crate::logic::offers::tally::Beyond;
use crate::logic::patience::HashingNews;
use crate::logic::transfer::Why;
use crate::model::{ContentId, FoundHit, Hit, Kind, NodeId, Offer, Provider, SafePath};
use crate::node::error::{Error, Lack, Result};
use crate::node::look::Looking;
use crate::node::look::trials::{Failure, TICK, Trials};
use crate::node::types::Phase;
use crate::wire::{Request, Resolve, ResolveEvent, limits};

/// After so long as many as were asked are asked as well, whoever says to be at work: that is a claim, and those who share it hash
/// it sooner or later anyway.
const WORKING: Duration = Duration::from_secs(1);
/// The same without a word from anybody.
const SILENT: Duration = Duration::from_millis(300);
/// Events of those who are asked that wait to be taken.
const EVENTS: usize = 16;

/// Once one has an id, how long the others have to say whether it is theirs, too (design, section 9, "Which one").
const OTHERS: Duration = Duration::from_millis(300);
/// A small file may grow by so much between its offer and its id.
const GROWN: u64 = 16 << 20;
/// So many others are asked at most.
const ASKED: usize = 16;

impl Looking<'_> {
    /// Has a provider hash it first, and looks for others that have the id already. Those who have not said by then what they
    /// have under the name are still being asked.
    ///
    /// # Errors
    /// When nobody has an id for it, or nobody comes nearer to one for `wait`; when another provider has another id under that
    /// name: one name and size that nobody had hashed may be several contents.
    pub(crate) async fn resolve(self, found: FoundHit, wait: Duration) -> Result<(FoundHit, Resolving)> {
        self.report.phase(Phase::Hashing);
        let FoundHit { hit, plane } = found;
        let name = hit.names.first().ok_or_else(|| Error::NotHashed { name: String::new(), lack: Box::default() })?;
        let resolved = self.first_resolved(&hit, name, wait).await;
        let (provider, offer, id) =
            resolved.map_err(|lack| Error::NotHashed { name: name.to_string(), lack: Box::new(lack) })?;
        let mut rest = Resolving::begin(&self.finder.connections, &hit, name, provider.node);
        let (located, rest_now) = tokio::join!(self.finder.locate_first(id), rest.soon());
        let own = of_offer(&hit, provider, &offer, id);
        let (kind, size) = (own.kind, own.size);
        let located = located.map(|(found, _)| found.hits).unwrap_or_default();
        let located = located.into_iter().filter(|other| (other.hit.kind, other.hit.size) == (kind, size));
        let found = |hit| FoundHit { hit, plane };
        let mut all = merge(None, std::iter::once(found(own)).chain(located).chain(rest_now.into_iter().map(found)));
        let at = all.iter().position(|found| found.hit.id == Some(id)).unwrap_or_default();
        let own = all.remove(at);
        if all.is_empty() {
            return Ok((own, rest));
        }
        let hits = std::iter::once(own).chain(all).map(|found| found.hit).collect();
        Err(Error::Ambiguous { what: name.to_string(), hits, beyond: Beyond::default(), beneath: None })
    }

    /// The first that has an id for it.
    async fn first_resolved(
        self,
        hit: &Hit,
        name: &SafePath,
        wait: Duration,
    ) -> Result<(Provider, Offer, ContentId), Lack> {
        // It may have grown since it was offered, but a claim without bound is no progress.
        let bound = hit.size.saturating_mul(2).saturating_add(GROWN);
        let mut trials = Trials::new(&hit.providers, wait);
        let mut rising = vec![HashingNews::default(); hit.providers.len()];
        let (tell, mut told) = mpsc::channel(EVENTS);
        let mut tasks = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        let (mut last, mut asked) = (Instant::now(), 0);
        loop {
            let pause = if trials.is_working() { WORKING } else { SILENT };
            if !trials.is_asking() || last.elapsed() >= pause {
                for (number, provider) in std::iter::from_fn(|| trials.next()).take(asked.clamp(1, ASKED)) {
                    (last, asked) = (Instant::now(), asked + 1);
                    let what = (name.clone(), hit.kind);
                    tasks.spawn(ask(self.finder.connections.clone(), provider, what, number, tell.clone()));
                }
            }
            tokio::select! {
                _ = ticks.tick() => {
                    trials.tick();
                    while tasks.try_join_next().is_some() {}
                    if let Some(lack) = trials.lack() {
                        return Err(lack);
                    }
                }
                Some((number, told)) = told.recv() => match told {
                    Told::Failed(failure) => trials.failed(number, failure),
                    Told::Hashing(done, total) => {
                        self.report.hashing(done, total, Some(trials.node(number)));
                        let gets_on = rising[number].see((done, total), bound, trials.now());
                        trials.works(number, gets_on);
                    }
                    Told::Resolved(offer, id) => return Ok((trials.provider(number).clone(), offer, id)),
                },
            }
        }
    }
}

/// The hit as one of its providers has hashed it.
fn of_offer(hit: &Hit, provider: Provider, offer: &Offer, id: ContentId) -> Hit {
    let &Offer { kind, size, files, executable, modified, .. } = offer;
    Hit { id: Some(id), kind, size, files, executable, modified, providers: vec![provider], ..hit.clone() }
}

/// Others who offer the same name and size, and are asked what id that has with them.
pub(crate) struct Resolving(JoinSet<Option<Hit>>);

impl Resolving {
    fn begin(connections: &ConnectionsRef, hit: &Hit, name: &SafePath, but: NodeId) -> Self {
        let mut tasks = JoinSet::new();
        for provider in hit.providers.iter().filter(|other| other.node != but).take(ASKED) {
            let (connections, provider, name) = (connections.clone(), provider.clone(), name.clone());
            let hit = hit.clone();
            // Nobody listens to how far it is.
            let (tell, _) = mpsc::channel(EVENTS);
            tasks.spawn(async move {
                let (offer, id) = follow(&connections, &provider, (name, hit.kind), 0, &tell).await.ok()?;
                Some(of_offer(&hit, provider, &offer, id))
            });
        }
        Self(tasks)
    }

    /// What those have who know it by now, or do soon.
    async fn soon(&mut self) -> Vec<Hit> {
        let (deadline, mut known) = (Instant::now() + OTHERS, Vec::new());
        while let Ok(Some(hit)) = timeout_at(deadline, self.next()).await {
            known.push(hit);
        }
        known
    }

    /// What the next one has; `None` when all have said it or cannot.
    pub(crate) async fn next(&mut self) -> Option<Hit> {
        loop {
            if let Ok(Some(hit)) = self.0.join_next().await? {
                return Some(hit);
            }
        }
    }
}

/// What one that is asked tells.
enum Told {
    Failed(Failure),
    Hashing(u64, u64),
    Resolved(Offer, ContentId),
}

async fn ask(
    connections: ConnectionsRef,
    provider: Provider,
    what: (SafePath, Kind),
    number: usize,
    tell: mpsc::Sender<(usize, Told)>,
) {
    let end = match follow(&connections, &provider, what, number, &tell).await {
        Ok((offer, id)) => Told::Resolved(offer, id),
        Err(failure) => Told::Failed(failure),
    };
    // Whoever waited has given up, or has it from another one.
    let _ = tell.send((number, end)).await;
}

/// How far it is, to its end. How long a silence is right is for who is told to say.
async fn follow(
    connections: &ConnectionsRef,
    provider: &Provider,
    (name, kind): (SafePath, Kind),
    number: usize,
    tell: &mpsc::Sender<(usize, Told)>,
) -> Result<(Offer, ContentId), Failure> {
    let link = connections.to_node(provider.node, provider.addrs.clone()).await?;
    let request = Request::Resolve(Resolve { name });
    let ((), _open, mut events) = frames::call(&link, &request, limits::CONTROL).await?;
    loop {
        match frames::receive_known::<ResolveEvent>(&mut events, limits::CONTROL).await?.ok_or(Why::Failing)? {
            ResolveEvent::Done(offer) => {
                let id = offer.id.filter(|_| offer.is_possible()).ok_or(Why::Failing)?;
                // A file does not become a directory by being hashed: another thing has taken its place.
                if offer.kind != kind {
                    return Err(Why::Changed.into());
                }
                return Ok((offer, id));
            }
            ResolveEvent::Failed(refusal) => return Err(refusal.into()),
            ResolveEvent::Hashing(done, total) => {
                // Whoever is not told waits all the same: it ends the task when it has waited enough.
                let _ = tell.send((number, Told::Hashing(done, total))).await;
            }
        }
    }
}
