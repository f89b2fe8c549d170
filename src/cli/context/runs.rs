//! Who runs a command: the running node of the home, or one that is started inside the command for its time.
//! Invariant: it is decided here alone.

use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::node::{Error, Places, Remote};

/// Who runs a command.
#[derive(Debug)]
pub(crate) enum Runs {
    /// A node inside the command, with a key of its own beside the one that runs.
    Guest,
    /// A node inside the command, which has the home for its time.
    Own,
    /// The running node.
    Through(Arc<Remote>),
}

impl Context {
    /// Who runs a finite command now.
    ///
    /// # Errors
    /// When a process has the home and does not answer, or something was given that can only hold for another node.
    pub(crate) async fn who_runs(&self) -> Result<Runs> {
        let Some(remote) = Remote::find(&self.home()).await? else { return Ok(Runs::Own) };
        if !remote.is_same_version() {
            let versions = Error::from(remote.other_version());
            self.output.warn(&format!("{versions}; this command goes on with a key of its own"));
            return Ok(Runs::Guest);
        }
        if let Some(config) = &self.settings.config {
            return Err(Failure::Usage(format!(
                "--config {} cannot hold for the node that runs already (process {}): stop it with `qshare stop`, or do without",
                config.display(),
                remote.running().pid
            )));
        }
        // It cannot look where it does not listen, nor at neighbours that it does not have.
        let (running, near) = (remote.running(), &self.settings.near);
        let wider = (near.lan.is_some() && !running.lan) || (running.only_peers && !near.only_peers);
        if wider {
            tracing::info!(pid = running.pid, "the running node looks at fewer places than this command");
            return Ok(Runs::Guest);
        }
        Ok(Runs::Through(Arc::new(remote)))
    }

    /// Where this command looks.
    pub(crate) fn places_asked(&self) -> Places {
        let settings = &self.settings;
        Places {
            trackers: settings.trackers.clone(),
            peers: settings.peers.clone(),
            near: settings.near.clone(),
            max_files: settings.max_files,
        }
    }

    /// For a command that only the running node can do.
    ///
    /// # Errors
    /// When it has another version.
    pub(crate) fn refuse_other_version(&self, remote: &Remote) -> Result<()> {
        if remote.is_same_version() {
            return Ok(());
        }
        Err(Error::from(remote.other_version()).into())
    }
}
