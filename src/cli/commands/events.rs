//! `qshare events`: everything that the running node of the home reports, as the JSON lines of `share`.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::cli::commands::share;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::json::Line;
use crate::cli::render::stdout;
use crate::cli::signals::Signals;
use crate::node::{ControlError, Error, Remote};

/// Events that wait for whoever reads them; of a slower one some are left out.
const WAITING: usize = 1024;

/// Runs the command, until a signal comes, nobody reads, or the node ends.
pub(crate) async fn run(context: &Context) -> Result<Exit> {
    let mut signals = context.signals()?;
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    let mut followed = remote.follow().await?;
    let addr = remote.status().await?.addrs.first().map(|own| own.addr);
    if let Some(addr) = addr {
        context.output.emit(&Line::Listening { addr, node: remote.running().node })?;
    }
    let (to, events) = mpsc::channel(WAITING);
    context.pass_events(events, share::tell(context));
    let follow = async {
        loop {
            if let Err(TrySendError::Closed(_)) = to.try_send(followed.next().await?) {
                return Err(Failure::Closed);
            }
        }
    };
    until_stopped(context, &mut signals, follow).await
}

/// Follows the running node like this until a signal comes, nobody reads, or the node ends.
pub(crate) async fn until_stopped(
    context: &Context,
    signals: &mut Signals,
    follow: impl Future<Output = Result<Exit>>,
) -> Result<Exit> {
    tokio::select! {
        followed = follow => match followed {
            Err(Failure::Node(Error::Control(ControlError::Lost | ControlError::Stopped { .. }))) => {
                context.output.note("qshare: the node has ended");
                Ok(Exit::DONE)
            }
            followed => followed,
        },
        () = stdout::unread() => Err(Failure::Closed),
        _ = signals.next() => Ok(Exit::DONE),
    }
}
