//! From words or an id to one hit with its id and providers: what is meant, and who has it.

use std::collections::HashMap;

use tokio::time::timeout;

use crate::io::frames;
use crate::logic::choose::{Choice, choose};
use crate::logic::merge::merge;
use crate::model::{ContentId, Hit, Offer, Provider, Query};
use crate::node::error::Error;
use crate::node::find::Finder;
use crate::node::planes::Enough;
use crate::node::report::Report;
use crate::node::size::of_true_size;
use crate::node::types::{FoundHit, GetRequest, Phase, What};
use crate::wire::{Request, Resolve, ResolveEvent, limits};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;
/// A provider that hashes says so at least this often.
const HASHING: std::time::Duration = std::time::Duration::from_secs(10);

/// Finds what the request means; afterwards the hit has an id.
///
/// # Errors
/// When nothing or several things match, or nobody could be asked.
pub(crate) async fn look(finder: &Finder, request: &GetRequest, report: &Report) -> Result<Hit, Error> {
    report.phase(Phase::Looking);
    let hit = match &request.what {
        What::Id(id) => by_id(finder, *id, report).await?,
        What::Words(query) => by_words(finder, query, request.choose, report).await?,
    };
    match hit.id {
        Some(_) => Ok(hit),
        None => hashed(finder, hit, report).await,
    }
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

async fn by_words(finder: &Finder, query: &Query, chosen: Option<ContentId>, report: &Report) -> Result<Hit, Error> {
    let found = finder.search(query, CANDIDATES, Enough::Something).await?;
    found.warnings.into_iter().for_each(|warning| report.warn(warning));
    let planes: HashMap<_, _> = found.hits.iter().map(|found| ((found.hit.id, found.hit.kind), found.plane)).collect();
    let hits: Vec<Hit> = found.hits.into_iter().map(|found| found.hit).collect();
    let tell = |hit: &Hit| planes.get(&(hit.id, hit.kind)).into_iter().for_each(|plane| report.plane(*plane));
    if let Some(id) = chosen
        && let Some(hit) = hits.iter().find(|hit| hit.id == Some(id))
    {
        tell(hit);
        return Ok(hit.clone());
    }
    let what = query.words().join(" ");
    match choose(query, &hits) {
        Choice::Ambiguous(hits) => Err(Error::Ambiguous { what, hits }),
        Choice::Nothing => Err(Error::NotFound { what, asked: finder.asked() }),
        Choice::One(hit) => {
            tell(&hit);
            Ok(of_true_size(&finder.connections, hit, &hits, report).await)
        }
    }
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
            executable: offer.executable,
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
