//! `qshare stop`: ends the running node of the home, whichever version it has.

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::json::Line;
use crate::node::{ControlError, Error, Remote};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    remote.stop().await?;
    let (node, pid) = (remote.running().node, remote.running().pid);
    context.output.emit(&Line::Stopped { node, pid })?;
    context.output.note(&format!("qshare: node {node} (process {pid}) has ended"));
    Ok(())
}
