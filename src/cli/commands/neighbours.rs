//! `qshare neighbours`: the nodes near this one, and theirs.

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::hits;
use crate::cli::render::json::{Line, Near};
use crate::node::Error;

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let rows =
        context.look("looking", async |node| Ok(node.neighbours().await?)).await.map_err(|failure| match failure {
            Failure::Node(Error::NowhereToLook) if !context.settings.trackers.is_empty() => Failure::Usage(
                "a tracker is nobody's neighbour: name a peer with --peer HOST, or do without --no-lan".to_owned(),
            ),
            failure => failure,
        })?;
    context.output.emit_all(rows.iter().map(|row| Line::Neighbour(Near::of(row, context.output.names()))))?;
    let none = format!("qshare: nobody is near{}", context.looked());
    context.output.table_or(&hits::neighbours(&rows, &context.output.table_names()), &none)
}
