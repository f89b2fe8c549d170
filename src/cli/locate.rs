//! `qshare locate`: who offers an id.

use crate::cli::args::LocateArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::json::Line;
use crate::node::{Error, Node};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LocateArgs) -> Result<Exit, Failure> {
    let look = async |node: Node| Ok((node.locate(arguments.id).await?, node.is_guest_beside()));
    let (found, guest) = context.look("looking", look).await?;
    context.warn_all(&found.warnings);
    for hit in &found.hits {
        context.output.emit(&Line::hit(&hit.hit, Some(hit.plane)))?;
    }
    context.output.emit(&Line::Summary {
        hits: found.hits.len() as u64,
        more: found.more,
        at_least: found.at_least,
    })?;
    if found.hits.is_empty() {
        let failure = Error::NotFound { what: arguments.id.to_string(), asked: context.places() }.into();
        context.warn_guest(guest, &failure);
        return Err(failure);
    }
    for hit in &found.hits {
        let table = hits::providers(&hit.hit.providers, context.output.names()).render(context.output.width());
        context.output.print(&format!("{}, {}\n{table}", hits::headline(&hit.hit), hit.plane.found()))?;
    }
    Ok(Exit::DONE)
}
