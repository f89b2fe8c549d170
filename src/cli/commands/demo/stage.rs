//! Where the demo takes place: a temporary directory with homes and files, and the processes that run in it.
//! Invariant: all of it is gone after `clear`, and after a drop at the latest when the system clears its temporary files.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::commands::demo::LIMIT;
use crate::cli::commands::demo::child::{Child, NodeAddr};
use crate::cli::failure::{Failure, Result};
use crate::model::PeerTarget;
use crate::node::Error;

/// Any free port that no other machine can reach.
pub(super) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The directory and the processes.
#[derive(Debug)]
pub(super) struct Stage {
    dir: TempDir,
    target: PathBuf,
    tracker: Option<Child>,
    pub(super) providers: Vec<Provider>,
}

/// A running `qshare share`.
#[derive(Debug)]
pub(super) struct Provider {
    child: Child,
    pub(super) place: NodeAddr,
}

impl Stage {
    /// An empty stage.
    pub(super) fn build() -> Result<Self> {
        let made = tempfile::Builder::new().prefix("qshare-demo-").tempdir();
        let dir = made.map_err(|source| unusable(&std::env::temp_dir(), source))?;
        let target = dir.path().join("fetched");
        std::fs::create_dir(&target).map_err(|source| unusable(&target, source))?;
        Ok(Self { dir, target, tracker: None, providers: Vec::new() })
    }

    /// The directory, without links.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap_or_else(|_| self.dir.path().to_owned())
    }

    /// Into what the downloader fetches.
    pub(super) fn target(&self) -> PathBuf {
        self.target.clone()
    }

    /// Into what a second downloader fetches.
    pub(super) fn again(&self) -> PathBuf {
        self.dir.path().join("fetched again")
    }

    /// The home of someone.
    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join("homes").join(name)
    }

    /// Starts the tracker.
    pub(super) async fn tracker(&mut self) -> Result<NodeAddr> {
        let listen = LOOPBACK.to_string();
        let child = Child::start("the tracker", &self.home("tracker"), &["tracker", "--listen", &listen], None)?;
        let child = self.tracker.insert(child);
        let place = child.listening().await?;
        child.forget_lines();
        Ok(place)
    }

    /// Starts a provider of a directory, and waits until it listens.
    pub(super) async fn provider(&mut self, number: usize, dir: &Path, tracker: &PeerTarget) -> Result<()> {
        let (what, listen, tracker) = (format!("provider {number}"), LOOPBACK.to_string(), tracker.to_string());
        let arguments = ["share", "--no-lan", "--listen", &listen, "--tracker", &tracker, "--limit", LIMIT];
        let mut child = Child::start(&what, &self.home(&format!("provider-{number}")), &arguments, Some(dir))?;
        let place = child.listening().await?;
        self.providers.push(Provider { child, place });
        Ok(())
    }

    /// Kills what still runs and removes the directory.
    pub(super) async fn clear(self) {
        let providers = self.providers.into_iter().map(|provider| provider.child);
        for mut child in providers.chain(self.tracker) {
            child.kill().await;
        }
        let path = self.dir.path().to_owned();
        let removed = tokio::task::spawn_blocking(move || self.dir.close()).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!(path = %path.display(), "the demo's directory could not be removed; remove it by hand");
        }
    }
}

impl Provider {
    /// Waits until the tracker has everything with its id.
    pub(super) async fn announced(&mut self) -> Result<()> {
        loop {
            let event = self.child.event("announced").await?;
            if event["offers"] == event["hashed"] && event["offers"].as_u64() > Some(0) {
                self.child.forget_lines();
                return Ok(());
            }
        }
    }

    /// Kills it.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await;
    }
}

/// A place among the temporary files that cannot be used.
pub(super) fn unusable(dir: &Path, source: io::Error) -> Failure {
    Failure::Node(Error::Temporary { dir: dir.into(), source: source.into() })
}
