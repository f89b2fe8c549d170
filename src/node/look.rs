//! From words or an id to one hit with its id and providers: what is meant, and who has it.

pub(super) mod beside;
pub(super) mod find;
pub(super) mod hashed;
pub(super) mod near;
pub(super) mod planes;
pub(super) mod reach;
pub(super) mod size;
pub(super) mod trials;

use crate::logic::offers::choose::{Choice, choose};
use crate::logic::offers::tally::Beyond;
use crate::model::{ContentId, Hit, Plane, Query};
use crate::node::error::Error;
use crate::node::look::beside::Beside;
use crate::node::look::find::Finder;
use crate::node::look::hashed::hashed;
use crate::node::look::size::of_true_size;
use crate::node::report::Report;
use crate::node::types::{FoundHit, GetRequest, Phase, What};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;

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
        What::Id(id) => Meant { hit: by_id(finder, *id, request.dry_run, report).await?, beside: None },
        What::Words(query) => by_words(finder, query, request.choose, report).await?,
    };
    if hit.id.is_none() {
        let (with_id, others) = hashed(finder, hit, request.wait, report).await?;
        hit = with_id;
        beside = beside.map(|beside| beside.hashed(hit.id, others));
    }
    Ok(Meant { hit, beside })
}

async fn by_id(finder: &Finder, id: ContentId, all: bool, report: &Report) -> Result<Hit, Error> {
    // A transfer follows those who have not answered; who only wants to know who has it waits for them.
    let found = if all { finder.locate(id).await? } else { finder.locate_first(id).await? };
    let best = found.hits.iter().max_by_key(|found| found.hit.providers.len()).cloned();
    if best.is_none() {
        found.warnings.iter().cloned().for_each(|notice| report.warn(notice));
    }
    let FoundHit { hit: best, plane } =
        best.ok_or_else(|| Error::NotFound { what: id.to_string(), asked: finder.asked() })?;
    report.plane(plane);
    let hits: Vec<Hit> = found.hits.into_iter().map(|found| found.hit).collect();
    Ok(of_true_size(&finder.connections, best, &hits, report).await)
}

async fn by_words(finder: &Finder, query: &Query, chosen: Option<ContentId>, report: &Report) -> Result<Meant, Error> {
    let (found, rest) = finder.candidates(query, CANDIDATES).await?;
    found.warnings.iter().cloned().for_each(|notice| report.warn(notice));
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
    let plane = heard.iter().find(|found| found.hit.is_same_content(&hit));
    let plane = plane.map_or(Plane::Tracker, |found| found.plane);
    report.plane(plane);
    let hit = of_true_size(&finder.connections, hit, &hits, report).await;
    let overlay = finder.overlay().filter(|_| finder.is_open()).cloned();
    let mut beside = Beside::of(query.clone(), (hit.clone(), plane), rest, overlay);
    around.iter().for_each(|found| beside.compare(found.plane, std::slice::from_ref(&found.hit), report));
    Ok(Meant { hit, beside: Some(beside) })
}
