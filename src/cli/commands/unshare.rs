//! `qshare unshare`: ends offers of the running node of the home, and forgets what was kept.

use crate::cli::args::UnshareArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::render::json::Line;
use crate::node::{Error, Node, Remote, Unwanted};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: UnshareArgs) -> Result<Exit> {
    match Remote::find(&context.own_home()?).await? {
        Some(remote) => {
            context.refuse_other_version(&remote)?;
            each(context, &arguments, async |what| remote.unshare(what).await).await
        }
        None => {
            // What is kept is its node's to change, and nothing else offers anything.
            let (node, _events) = Node::start(context.options()).await?;
            let ended = each(context, &arguments, async |what| node.unshare(&what).await).await;
            node.stop().await;
            ended
        }
    }
}

async fn each(
    context: &Context,
    arguments: &UnshareArgs,
    unshare: impl AsyncFn(Unwanted) -> Result<Vec<String>, Error>,
) -> Result<Exit> {
    for text in &arguments.what {
        let path = std::path::absolute(text).unwrap_or_else(|_| text.into());
        for what in unshare(Unwanted { text: text.clone(), path }).await? {
            context.output.emit(&Line::Unshared { what: &what })?;
            let is_configured = context.settings.shares.iter().any(|(name, _)| name.as_str() == what);
            let until = if is_configured {
                ", until the node starts again: it is a [[share]] of the configuration"
            } else {
                ""
            };
            context.output.note(&format!("qshare: {what} is offered no longer{until}"));
        }
    }
    Ok(Exit::DONE)
}
