//! `qshare locate`: who offers an id.

use crate::cli::args::LocateArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::json::{Found, Line};
use crate::cli::say;
use crate::node::{Holder, Node};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LocateArgs) -> Result<Exit, Failure> {
    let look = async |node: Node| {
        let found = node.locate(arguments.id).await?;
        let mut holders = Vec::new();
        for found in &found.hits {
            let has = node.holdings(&found.hit).await;
            let of = |(provider, has)| Holder::new(provider, has);
            holders.push(found.hit.providers.iter().zip(has).map(of).collect::<Vec<_>>());
        }
        Ok((found, holders, node.is_guest_beside()))
    };
    let (found, holders, guest) = context.look("looking", look).await?;
    context.notice_all(&found.warnings);
    for (hit, holders) in found.hits.iter().zip(&holders) {
        context.output.emit(&Line::Hit(Found::of(&hit.hit, holders, Some(hit.plane))))?;
    }
    context.output.emit(&Line::Summary { hits: found.hits.len() as u64, beyond: found.beyond })?;
    if found.hits.is_empty() {
        let failure = Failure::Nothing(say::nothing(&arguments.id.to_string(), context.places()));
        context.warn_guest(guest, &failure);
        return Err(failure);
    }
    for (hit, holders) in found.hits.iter().zip(&holders) {
        let table = hits::holders(holders, hit.hit.size, context.output.names()).render(context.output.width());
        context.output.print(&format!("{}, {}\n{table}", hits::headline(&hit.hit), say::found(hit.plane)))?;
    }
    context.warn_guest_hits(guest, "content");
    Ok(Exit::DONE)
}
