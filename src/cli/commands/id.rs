//! `qshare id`: this home's node id; made at first use.

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::json::Line;
use crate::io::home::identity::Identity;
use crate::wire::Role;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<()> {
    let dir = context.own_home()?.role_dir(Role::Node);
    let identity = Identity::load_or_create(&dir).map_err(anyhow::Error::from)?;
    context.output.emit(&Line::Id { node: identity.node_id() })?;
    context.output.print(&format!("{}\n", identity.node_id()))
}
