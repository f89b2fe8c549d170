//! People who send to each other: a home each, whose node runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Ended, Lab, Node, Process, until};

/// Somebody with a home, whose node runs.
pub struct Person {
    pub home: PathBuf,
    pub node: Node,
    /// Where what is sent goes.
    pub into: PathBuf,
}

impl Person {
    pub fn new(lab: &Lab, accept: &str, more: &[&str]) -> Self {
        Self::with(lab, accept, |home| node(lab, home, more))
    }

    pub fn with(lab: &Lab, accept: &str, start: impl FnOnce(&Path) -> Node) -> Self {
        let home = lab.home();
        Self::into(accept, home.join("in"), home, start)
    }

    pub fn into(accept: &str, into: PathBuf, home: PathBuf, start: impl FnOnce(&Path) -> Node) -> Self {
        fs::create_dir_all(&home).expect("made");
        let config = format!("[inbox]\naccept = '{accept}'\ndir = '{}'\n", into.display());
        fs::write(home.join("config.toml"), config).expect("written");
        let node = start(&home);
        Self { home, node, into }
    }

    pub fn run(&self, lab: &Lab, arguments: &[&str]) -> Ended {
        Process::start(lab.qshare_at(&self.home).args(arguments)).end()
    }

    pub fn at(&self) -> String {
        format!("{}@{}", self.node.id, self.node.addr)
    }

    /// The only offer in the inbox, as it stands.
    pub fn offer(&self, lab: &Lab) -> Value {
        self.run(lab, &["inbox"]).events.into_iter().find(|event| event["event"] == "inbox").unwrap_or_default()
    }

    pub fn waits(&self, lab: &Lab, state: &str) -> Value {
        until(state, || self.offer(lab)["state"] == state);
        self.offer(lab)
    }

    pub fn restart(&mut self, lab: &Lab, more: &[&str]) {
        self.node.process.kill();
        self.node = node(lab, &self.home, more);
    }
}

pub fn node(lab: &Lab, home: &Path, more: &[&str]) -> Node {
    lab.start(lab.qshare_at(home).args(["node", "--listen", "127.0.0.1:0"]).args(more))
}

/// Begins to send.
pub fn putting(lab: &Lab, home: &Path, what: &[&Path], to: &[&Person], more: &[&str]) -> Process {
    let mut command = lab.qshare_at(home);
    command.arg("put").args(what);
    for person in to {
        command.args(["--to", &person.at()]);
    }
    Process::start(command.args(more))
}
