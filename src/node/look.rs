//! From words or an id to one hit with its id and providers: what is meant, and who has it.

mod answers;
pub(super) mod ask;
pub(super) mod find;
pub(super) mod late;
pub(super) mod near;
pub(super) mod planes;
pub(super) mod reach;
pub(super) mod resolve;
pub(super) mod size;
pub(super) mod trials;

use crate::logic::offers::choose::{Choice, choose};
use crate::model::{ContentId, FoundHit, Hit, Plane, Query};
use crate::node::error::Error;
use crate::node::look::find::Finder;
use crate::node::look::late::LateAnswers;
use crate::node::look::resolve::resolve;
use crate::node::look::size::of_true_size;
use crate::node::report::Report;
use crate::node::types::{GetRequest, Phase, What};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;

/// What a request means.
pub(crate) struct Meant {
    /// It, with its id.
    pub(crate) hit: Hit,
    /// What is to be heard beside the transfer, where words have chosen it.
    pub(crate) late: Option<LateAnswers>,
}

/// Finds what the request means; afterwards the hit has an id.
///
/// # Errors
/// When nothing or several things match, or nobody could be asked.
pub(crate) async fn look(finder: &Finder, request: &GetRequest, report: &Report) -> Result<Meant, Error> {
    report.phase(Phase::Looking);
    let (mut found, mut late) = match &request.what {
        What::Id(id) => (by_id(finder, *id, request.dry_run, report).await?, None),
        What::Words(query) => by_words(finder, query, request.choose, report).await?,
    };
    if found.hit.id.is_none() {
        let (with_id, others) = resolve(finder, found, request.wait, report).await?;
        found = with_id;
        late = late.map(|late| late.resolved(found.hit.id, others));
    }
    Ok(Meant { hit: found.hit, late })
}

async fn by_id(finder: &Finder, id: ContentId, all: bool, report: &Report) -> Result<FoundHit, Error> {
    // A transfer follows those who have not answered; who only wants to know who has it waits for them.
    let found = if all { finder.locate(id).await? } else { finder.locate_first(id).await? };
    let Some(best) = found.hits.iter().max_by_key(|found| found.hit.providers.len()).cloned() else {
        found.warnings.into_iter().for_each(|notice| report.warn(notice));
        return Err(Error::NotFound { what: id.to_string(), asked: finder.asked() });
    };
    let best = of_true_size(&finder.connections, best, &found.hits, report).await;
    report.plane(best.plane);
    Ok(best)
}

async fn by_words(
    finder: &Finder,
    query: &Query,
    chosen: Option<ContentId>,
    report: &Report,
) -> Result<(FoundHit, Option<LateAnswers>), Error> {
    let (found, rest) = finder.candidates(query, CANDIDATES).await?;
    found.warnings.into_iter().for_each(|notice| report.warn(notice));
    if let Some(found) = found.hits.iter().find(|found| chosen.is_some() && found.hit.id == chosen) {
        report.plane(found.plane);
        // A person has seen the rivals.
        return Ok((found.clone(), None));
    }
    // The trackers' word goes before that of the network around.
    let known = found.hits.iter().any(|found| found.plane == Plane::Tracker);
    let (heard, around): (Vec<_>, Vec<_>) =
        found.hits.into_iter().partition(|found| !known || found.plane == Plane::Tracker);
    let what = query.words().join(" ");
    let found = match choose(query, &heard) {
        Choice::Ambiguous(all) => {
            let hits = all.into_iter().map(|found| found.hit).collect();
            return Err(Error::Ambiguous { what, hits, beyond: found.beyond });
        }
        Choice::Nothing => return Err(Error::NotFound { what, asked: finder.asked() }),
        Choice::One(found) => of_true_size(&finder.connections, found, &heard, report).await,
    };
    report.plane(found.plane);
    let overlay = finder.overlay().filter(|_| finder.is_open()).cloned();
    let mut late = LateAnswers::of(query.clone(), found.clone(), rest, overlay);
    around.iter().for_each(|found| late.compare(found.plane, std::slice::from_ref(&found.hit), report));
    Ok((found, Some(late)))
}
