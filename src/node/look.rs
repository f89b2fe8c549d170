//! From words or an id to one hit with its id and providers: what is meant, and who has it.

use std::collections::HashMap;

use crate::logic::choose::{Choice, choose};
use crate::model::{ContentId, Hit, Query};
use crate::node::error::Error;
use crate::node::find::Finder;
use crate::node::hashed::hashed;
use crate::node::planes::Enough;
use crate::node::report::Report;
use crate::node::size::of_true_size;
use crate::node::types::{FoundHit, GetRequest, Phase, What};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;

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
        None => hashed(finder, hit, request.wait, report).await,
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
