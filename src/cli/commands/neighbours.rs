//! `qshare neighbours`: the nodes near this one, and theirs.

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::hits;
use crate::cli::render::json::{Line, Near};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let rows = context.look("looking", async |node| Ok(node.neighbours().await?)).await?;
    context.output.emit_all(rows.iter().map(|row| Line::Neighbour(Near::of(row, context.output.names()))))?;
    let none = format!("qshare: nobody is near{}", context.looked());
    context.output.table_or(&hits::neighbours(&rows, &context.output.table_names()), &none)
}
