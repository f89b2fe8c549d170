//! From words or an id to one hit with its id and providers: what is meant, and who has it.

use tokio::time::timeout;

use crate::io::frames;
use crate::logic::choose::{Choice, choose};
use crate::logic::merge::merge;
use crate::logic::tally::Beyond;
use crate::model::{ContentId, Hit, Offer, Provider, Query};
use crate::node::beside::Beside;
use crate::node::error::Error;
use crate::node::find::Finder;
use crate::node::report::Report;
use crate::node::size::of_true_size;
use crate::node::types::{FoundHit, GetRequest, Phase, Plane, What};
use crate::wire::{Request, Resolve, ResolveEvent, limits};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;
/// A provider that hashes says so at least this often.
const HASHING: std::time::Duration = std::time::Duration::from_secs(10);

/// What a request means.
pub(crate) struct Meant {
    /// It, with its id.
    pub(crate) hit: Hit,
    /// What is to be heard beside the transfer, where words have chosen it.
    pub(crate) beside: Option<Beside>,
}

/// Finds what the request means; afterwards the hit has an id.
///
/// # Errors
/// When nothing or several things match, or nobody could be asked.
pub(crate) async fn look(finder: &Finder, request: &GetRequest, report: &Report) -> Result<Meant, Error> {
    report.phase(Phase::Looking);
    let Meant { mut hit, mut beside } = match &request.what {
        What::Id(id) => Meant { hit: by_id(finder, *id, report).await?, beside: None },
        What::Words(query) => by_words(finder, query, request.choose, report).await?,
    };
    if hit.id.is_none() {
        hit = hashed(finder, hit, report).await?;
        beside.iter_mut().for_each(|beside| beside.hashed(hit.id));
    }
    Ok(Meant { hit, beside })
}

async fn by_id(finder: &Finder, id: ContentId, report: &Report) -> Result<Hit, Error> {
    let found = finder.locate_first(id).await?;
    let best = found.hits.iter().max_by_key(|found| found.hit.providers.len()).cloned();
    let FoundHit { hit: best, plane } =
        best.ok_or_else(|| Error::NotFound { what: id.to_string(), asked: finder.asked() })?;
    report.plane(plane);
    let hits: Vec<Hit> = found.hits.into_iter().map(|found| found.hit).collect();
    Ok(of_true_size(&finder.connections, best, &hits, report).await)
}

async fn by_words(finder: &Finder, query: &Query, chosen: Option<ContentId>, report: &Report) -> Result<Meant, Error> {
    let (found, rest) = finder.candidates(query, CANDIDATES).await?;
    found.warnings.iter().for_each(|warning| report.warn(warning.clone()));
    if let Some(id) = chosen
        && let Some(found) = found.hits.iter().find(|found| found.hit.id == Some(id))
    {
        report.plane(found.plane);
        // A person has seen the rivals.
        return Ok(Meant { hit: found.hit.clone(), beside: None });
    }
    let beyond = Beyond { more: found.more, at_least: found.at_least };
    // The trackers' word goes before that of the network around.
    let known = found.hits.iter().any(|found| found.plane == Plane::Tracker);
    let (heard, around): (Vec<_>, Vec<_>) =
        found.hits.into_iter().partition(|found| !known || found.plane == Plane::Tracker);
    let hits: Vec<Hit> = heard.iter().map(|found| found.hit.clone()).collect();
    let what = query.words().join(" ");
    let hit = match choose(query, &hits) {
        Choice::Ambiguous(hits) => return Err(Error::Ambiguous { what, hits, beyond }),
        Choice::Nothing => return Err(Error::NotFound { what, asked: finder.asked() }),
        Choice::One(hit) => hit,
    };
    let plane = heard.iter().find(|found| found.hit.id == hit.id && found.hit.kind == hit.kind);
    let plane = plane.map_or(Plane::Tracker, |found| found.plane);
    report.plane(plane);
    let hit = of_true_size(&finder.connections, hit, &hits, report).await;
    let overlay = finder.overlay().filter(|_| finder.is_open()).cloned();
    let mut beside = Beside::of(query.clone(), (hit.clone(), plane), rest, overlay);
    around.iter().for_each(|found| beside.compare(found.plane, std::slice::from_ref(&found.hit), report));
    Ok(Meant { hit, beside: Some(beside) })
}

/// Has a provider hash it first, and looks for others that have the id already.
async fn hashed(finder: &Finder, hit: Hit, report: &Report) -> Result<Hit, Error> {
    report.phase(Phase::Hashing);
    let name = hit.names.first().map(ToString::to_string).unwrap_or_default();
    for provider in &hit.providers {
        let Some(offer) = ask_to_hash(finder, provider, &hit, report).await else { continue };
        let own = Hit {
            id: offer.id,
            kind: offer.kind,
            size: offer.size,
            files: offer.files,
            providers: vec![provider.clone()],
            ..hit.clone()
        };
        let Some(id) = offer.id else { continue };
        let others = finder.locate_first(id).await.map(|found| found.hits).unwrap_or_default();
        let same = |other: &Hit| (other.kind, other.size) == (own.kind, own.size);
        let others = others.into_iter().map(|found| found.hit).filter(same);
        return Ok(merge(None, std::iter::once(own.clone()).chain(others)).into_iter().next().unwrap_or(own));
    }
    Err(Error::NotHashed { name })
}

async fn ask_to_hash(finder: &Finder, provider: &Provider, hit: &Hit, report: &Report) -> Option<Offer> {
    let link = finder.connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let request = Request::Resolve(Resolve { name: hit.names.first()?.clone() });
    let ((), _open, mut events) = frames::call(&link, &request, limits::CONTROL).await.ok()?;
    loop {
        match timeout(HASHING, frames::receive(&mut events, limits::CONTROL)).await.ok()?.ok()?? {
            ResolveEvent::Done(offer) => return Some(offer),
            ResolveEvent::Failed(_) => return None,
            ResolveEvent::Hashing(done, total) => report.bytes(done, total),
        }
    }
}
