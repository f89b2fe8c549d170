//! What long-running commands have in common: they serve until a signal comes or the node fails.
//! Invariant: neither an output that nobody reads nor one that cannot be written holds up the node or a signal, so what
//! the node reports is told on a thread of its own.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::signals::Signals;
use crate::node::{Event, Host};

/// How long the last words may take whoever reads them.
const LAST: Duration = Duration::from_millis(500);

/// Tells something at the end of a service; no longer than a moment, where nobody reads it.
pub(crate) async fn tell_last(tell: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    match timeout(LAST, spawn_blocking(tell)).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Serves, and tells what the node reports with `tell`.
pub(crate) async fn serve(
    host: &Host,
    mut events: mpsc::Receiver<Event>,
    signals: &mut Signals,
    mut tell: impl FnMut(Event) -> Result<()> + Send + 'static,
) -> Result<Exit> {
    let telling = spawn_blocking(move || {
        while let Some(event) = events.blocking_recv() {
            tell(event)?;
        }
        Ok(())
    });
    tokio::select! {
        _ = signals.next() => Ok(Exit::DONE),
        ended = host.ended() => ended.map(|()| Exit::DONE).map_err(Failure::from),
        Ok(Err(failure)) = telling => Err(failure),
    }
}
