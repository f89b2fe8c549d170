//! `qshare events`: everything that the running node of the home reports, as the JSON lines of `share`.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::cli::commands::share;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::node::{ControlError, Error, Remote};

/// Events that wait for whoever reads them; of a slower one some are left out.
const WAITING: usize = 1024;

/// Runs the command, until a signal comes, nobody reads, or the node ends.
pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    let (to, events) = mpsc::channel(WAITING);
    context.pass_events(events, share::tell(context));
    let follow = remote.follow(|event| match to.try_send(event) {
        Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(Failure::Closed),
    });
    tokio::select! {
        followed = follow => match followed {
            Ok(()) | Err(Failure::Closed) => Ok(Exit::DONE),
            Err(Failure::Node(Error::Control(ControlError::Lost))) => {
                context.output.note("qshare: the node has ended");
                Ok(Exit::DONE)
            }
            Err(failure) => Err(failure),
        },
        _ = signals.next() => Ok(Exit::DONE),
    }
}
