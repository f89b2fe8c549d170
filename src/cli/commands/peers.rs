//! `qshare peers`: the nodes that the trackers know.

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::hits;
use crate::cli::render::json::{Known, Line};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let rows = context.look("looking", async |node| Ok(node.peers().await?)).await?;
    context.output.emit_all(rows.iter().map(|row| Line::Peer(Known::of(&row.peer, context.output.names()))))?;
    let none = format!("qshare: no node is known{}", context.looked());
    context.output.table_or(&hits::peers(&rows, &context.output.table_names()), &none)
}
