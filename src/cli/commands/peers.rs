//! `qshare peers`: the nodes that the trackers know.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::json::{Known, Line};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let rows = context.look("looking", async |node| Ok(node.peers().await?)).await?;
    for row in &rows {
        context.output.emit(&Line::Peer(Known::of(&row.peer, context.output.names())))?;
    }
    if rows.is_empty() {
        context.output.note(&format!("qshare: no node is known; looked at {}", context.places()));
        return Ok(Exit::DONE);
    }
    context.output.table(&hits::peers(&rows, context.output.names()))?;
    Ok(Exit::DONE)
}
