//! `qshare limit`: shows and changes the rates to which the running node of the home is limited.

use crate::cli::args::LimitArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::render::human::rate;
use crate::cli::render::json::Line;
use crate::model::Rate;
use crate::node::{ControlError, Error, RateChange, Rates, Remote};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: LimitArgs) -> Result<Exit> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    let Rates { up, down } = remote.limit(RateChange { up: arguments.up, down: arguments.down }).await?;
    let bytes = |limit: Option<Rate>| limit.map(Rate::get);
    context.output.emit(&Line::Limit { up: bytes(up), down: bytes(down) })?;
    let shown = |limit: Option<Rate>| limit.map_or_else(|| "none".to_owned(), |limit| rate(limit.get()));
    context.output.print(&format!("up    {}\ndown  {}\n", shown(up), shown(down)))?;
    Ok(Exit::DONE)
}
