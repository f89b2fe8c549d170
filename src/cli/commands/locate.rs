//! `qshare locate`: who offers an id, or what words name.

use crate::cli::args::LocateArgs;
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::named;
use crate::cli::render::hits;
use crate::cli::render::json::{Found, Line};
use crate::cli::say;
use crate::logic::offers::choose::closest;
use crate::model::{ContentId, FoundHit, Hit, Query, Shown};
use crate::node::{Hits, Holder, Node};

/// The most things of one name whose providers are shown; they are asked one by one.
const MOST: usize = 20;
/// Hits among which the words choose.
const CANDIDATES: u32 = 200;

/// Whom to look for.
enum Sought {
    Ids(Vec<ContentId>),
    Words(Query),
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LocateArgs) -> Result<Exit, Failure> {
    let sought = match context.ids_of(&arguments.words)? {
        Some(ids) => Sought::Ids(ids),
        None => Sought::Words(named::query(&arguments.words)?),
    };
    let what = arguments.words.join(" ");
    let look = async |node: Node| {
        let found = sought.find(&node).await?;
        let mut holders = Vec::new();
        for found in found.hits.iter().take(MOST) {
            let has = node.holdings(&found.hit).await;
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
        let table = hits::holders(holders, hit.size, context.output.names()).render(context.output.width());
        let id = hit.id.filter(|_| matches!(sought, Sought::Words(_))).map(|id| format!("{id}\n")).unwrap_or_default();
        let apart = if number == 0 { "" } else { "\n" };
        context.output.print(&format!("{apart}{}, {}\n{id}{table}", hits::headline(hit), say::found(*plane)))?;
    }
    context.warn_guest_hits(guest, "content");
    Ok(Exit::DONE)
}

impl Sought {
    /// Everything of it, best first.
    async fn find(&self, node: &Node) -> Result<Hits, Failure> {
        match self {
            Self::Ids(ids) => {
                let mut all = Hits::default();
                for id in ids {
                    let found = node.locate(*id).await?;
                    all.hits.extend(found.hits);
                    all.warnings.extend(found.warnings);
                    (all.beyond, all.asked) = (found.beyond, found.asked);
                }
                Ok(all)
            }
            Self::Words(query) => {
                let found = node.search(query, CANDIDATES).await?;
                Ok(Hits { hits: closest(query, found.hits), ..found })
            }
        }
    }
}
