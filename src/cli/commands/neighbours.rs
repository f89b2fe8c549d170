//! `qshare neighbours`: the nodes near this one, and theirs.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::json::{Line, Near};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let rows = context.look("looking", async |node| Ok(node.neighbours().await?)).await?;
    context.output.emit_all(rows.iter().map(|row| Line::Neighbour(Near::of(row, context.output.names()))))?;
    if rows.is_empty() {
        context.output.note(&format!("qshare: nobody is near; looked at {}", context.places()));
        return Ok(Exit::DONE);
    }
    context.output.table(&hits::neighbours(&rows, context.output.names()))?;
    Ok(Exit::DONE)
}
