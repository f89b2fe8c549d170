//! `qshare locate`: who offers an id, or what words name.

use crate::cli::args::LocateArgs;
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::named;
use crate::cli::render::hits;
use crate::cli::render::json::{Found, Line};
use crate::cli::say;
use crate::logic::offers::choose::closest;
use crate::model::{FoundHit, Hit, Shown};
use crate::node::{Asker, Hits, Holder, What};

/// The most things of one name whose providers are shown; they are asked one by one.
const MOST: usize = 20;
/// Hits among which the words choose.
const CANDIDATES: u32 = 200;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LocateArgs) -> Result<()> {
    let sought = match context.ids_of(&arguments.words)? {
        Some(all) => all,
        None => vec![What::Words(named::query(&arguments.words)?)],
    };
    let what = arguments.words.join(" ");
    let look = async |node: Asker| {
        let found = find(&node, &sought).await?;
        if let (true, [What::Words(query)]) = (found.hits.is_empty(), sought.as_slice()) {
            return Err(node.not_found(&what, query).await.into());
        }
        let mut holders = Vec::new();
        for found in found.hits.iter().take(MOST) {
            let has = node.holdings(&found.hit).await?;
            let of = |(provider, has)| Holder::new(provider, has);
            holders.push(found.hit.providers.iter().zip(has).map(of).collect::<Vec<_>>());
        }
        Ok((found, holders, node.is_guest_beside()))
    };
    let (found, holders, guest) = context.look("looking", look).await?;
    context.notice_all(&found.warnings);
    context.remember(found.hits.iter().map(|found| &found.hit)).await;
    if found.hits.len() > MOST {
        let hits: Vec<Hit> = found.hits.into_iter().map(|found| found.hit).collect();
        choose::list(context, &hits, found.beyond, false)?;
        let (what, count) = (Shown(&what), hits.len());
        return Err(Failure::Ambiguous(format!("`{what}` matches {count} things: give more words, or an id")));
    }
    for (hit, holders) in found.hits.iter().zip(&holders) {
        context.output.emit(&Line::Hit(Found::of(&hit.hit, holders, Some(hit.plane))))?;
    }
    context.output.emit(&Line::Summary { hits: found.hits.len() as u64, beyond: found.beyond })?;
    if found.hits.is_empty() {
        let failure = Failure::Nothing(say::nothing(&what, &found.asked));
        context.warn_guest(guest, &failure);
        return Err(failure);
    }
    for (number, (FoundHit { hit, plane }, holders)) in found.hits.iter().zip(&holders).enumerate() {
        let table = hits::holders(holders, hit.size, &context.output.table_names()).render(context.output.width());
        let id = hit.id.filter(|id| !sought.contains(&What::Id(*id))).map(|id| format!("{id}\n")).unwrap_or_default();
        let apart = if number == 0 { "" } else { "\n" };
        context.output.print(&format!("{apart}{}, {}\n{id}{table}", hits::headline(hit), say::found(*plane)))?;
    }
    let givers: Vec<_> = found.hits.iter().flat_map(|found| &found.hit.providers).map(|one| one.node).collect();
    context.warn_guest_hits(guest, "content", &givers);
    Ok(())
}

/// Everything that is meant, best first.
async fn find(node: &Asker, sought: &[What]) -> Result<Hits> {
    let mut all = Hits::default();
    for what in sought {
        let found = match what {
            What::Id(id) => node.locate(*id).await?,
            What::Words(query) => {
                let found = node.search(query, CANDIDATES).await?;
                let hits = closest(query, found.hits);
                if let [one] = hits.as_slice() {
                    node.is_as_shown(query, one).await?;
                }
                Hits { hits, ..found }
            }
        };
        all.hits.extend(found.hits);
        all.warnings.extend(found.warnings);
        (all.beyond, all.asked) = (found.beyond, found.asked);
    }
    Ok(all)
}
