//! A command of this very program in a process of its own, followed by the JSON lines that it prints.
//! Invariant: it is killed when this is dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdout, Command};

use crate::cli::failure::{Failure, Result};
use crate::model::{NodeId, Shown};

/// Who and where a long-running command is.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeAddr {
    pub(super) node: NodeId,
    pub(super) addr: SocketAddr,
}

/// A running command.
#[derive(Debug)]
pub(super) struct Child {
    what: String,
    process: Process,
    /// None once nobody waits for a line any more.
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Child {
    /// Starts `qshare` in this home; `what` it is for sentences.
    pub(super) fn start(what: &str, home: &Path, arguments: &[&str], path: Option<&Path>) -> Result<Self> {
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let mut command = Command::new(program);
        command.arg("--json").arg("--home").arg(home).args(arguments);
        if let Some(path) = path {
            command.arg("--").arg(path);
        }
        command.env_remove("QSHARE_HOME").env_remove("QSHARE_TRACKER");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("{what} cannot be started"))?;
        let lines = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        Ok(Self { what: what.to_owned(), process, lines })
    }

    /// The next event of this name.
    pub(super) async fn event(&mut self, name: &str) -> Result<Value> {
        let mut cause = "it gave no reason".to_owned();
        while let Some(lines) = &mut self.lines {
            let Some(line) = lines.next_line().await.context("the output of a process cannot be read")? else { break };
            let event: Value = serde_json::from_str(&line).context("a process wrote something else than JSON")?;
            match event["event"].as_str() {
                Some("error") => event["message"].as_str().unwrap_or_default().clone_into(&mut cause),
                Some(found) if found == name => return Ok(event),
                _ => {}
            }
        }
        Err(Failure::Other(anyhow::anyhow!("{} ended too early: {}", self.what, Shown(&cause))))
    }

    /// Where it listens: its first line.
    pub(super) async fn listening(&mut self) -> Result<NodeAddr> {
        let event = self.event("listening").await?;
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let node = text("node").parse().context("a process has no node id")?;
        let addr = text("addr").parse().context("a process has no address")?;
        Ok(NodeAddr { node, addr })
    }

    /// Reads and forgets all further lines, so that it never waits for a reader.
    pub(super) fn forget_lines(&mut self) {
        if let Some(mut lines) = self.lines.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
    }

    /// Kills it (SIGKILL where there is such a thing) and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        // Gone already: what was wanted.
        let _ = self.process.kill().await;
    }
}
