//! `qshare search`: names that hold all the words, or match a pattern.

use crate::cli::args::SearchArgs;
use crate::cli::context::Context;
use crate::cli::context::within::Numbered;
use crate::cli::failure::{Failure, Result};
use crate::cli::named;
use crate::cli::render::hits;
use crate::cli::render::human::counted;
use crate::cli::render::json::Line;
use crate::logic::offers::choose::by_names;
use crate::node::Asker;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: SearchArgs) -> Result<()> {
    let query = named::query(&arguments.words)?;
    let limit = arguments.limit_hits.unwrap_or(context.settings.limit_hits);
    let what = arguments.words.join(" ");
    let look = async |node: Asker| {
        let found = node.search(&query, limit).await?;
        let failure = if found.hits.is_empty() { Some(node.not_found(&what, &query).await) } else { None };
        Ok((found, failure, node.is_guest_beside()))
    };
    let (found, failure, guest) = context.look("looking", look).await?;
    context.notice_all(&found.warnings);
    context.output.emit_all(found.hits.iter().map(|found| Line::hit(&found.hit, Some(found.plane))))?;
    context.output.emit(&Line::Summary { hits: found.hits.len() as u64, beyond: found.beyond })?;
    if let Some(failure) = failure.map(Failure::from) {
        context.warn_guest(guest, &failure);
        return Err(failure);
    }
    context.remember(found.hits.iter().map(|found| &found.hit)).await;
    // For people each file that they may look for is a line, also where two have the same content.
    let mut lines: Vec<_> = found.hits.iter().flat_map(|found| by_names(&query, found)).collect();
    let over = lines.len().saturating_sub(limit as usize);
    lines.truncate(limit as usize);
    let table = hits::found(&lines, &context.output.table_names());
    context.output.table(&context.numbered(table, lines.iter().map(|line| Numbered::of(&line.hit))))?;
    let givers: Vec<_> = found.hits.iter().flat_map(|found| &found.hit.providers).map(|one| one.node).collect();
    context.warn_guest_hits(guest, "name", &givers);
    let more = found.beyond.more + over as u64;
    if more > 0 {
        let least = if found.beyond.at_least { "at least " } else { "" };
        let more = counted(more, "more hit");
        context.output.remark(&format!("qshare: {least}{more}; give more words, or ask for more with --limit-hits"));
    }
    Ok(())
}
