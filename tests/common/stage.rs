//! A home whose node runs, and somebody who gives slowly.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Ended, Lab, Node, Process, noise, until};

/// Bytes of a mebibyte.
pub const MIB: usize = 1 << 20;

/// A home whose node runs, and somebody who gives slowly.
pub struct Stage {
    pub lab: Lab,
    pub home: PathBuf,
    pub giver: (PathBuf, Node),
    pub bytes: Vec<u8>,
}

impl Stage {
    pub fn new(size: usize, limit: &str) -> Self {
        let lab = Lab::new();
        let bytes = noise(7, size);
        let file = lab.file("shared/big.bin", &bytes);
        let (home, giving) = (lab.home(), lab.home());
        let mut command = lab.qshare_at(&giving);
        let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0", "--limit", limit]).arg(&file));
        node.process.event("offer");
        Self { lab, home, giver: (giving, node), bytes }
    }

    pub fn node(&self) -> Node {
        let mut command = self.lab.qshare_at(&self.home);
        self.lab.start(command.args(["node", "--listen", "127.0.0.1:0", "--peer", &self.giver.1.addr]))
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Process::start(self.lab.qshare_at(&self.home).args(arguments)).end()
    }

    pub fn getting(&self, more: &[&str]) -> Process {
        let into = format!("{}/", self.lab.path("in").display());
        let mut command = self.lab.qshare_at(&self.home);
        Process::start(command.args(["get", "big.bin", "--peer", &self.giver.1.addr, "-o", &into]).args(more))
    }

    /// Leaves a transfer to the node, and gives its number.
    pub fn detach(&self, more: &[&str]) -> String {
        let ended = self.getting(&[&["--detach"], more].concat()).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.event("job")["id"].to_string()
    }

    pub fn job(&self) -> Value {
        let ended = self.run(&["jobs"]);
        ended.events.iter().find(|event| event["event"] == "job").cloned().unwrap_or_default()
    }

    pub fn until(&self, state: &str) {
        until(state, || self.job()["state"] == state);
    }

    pub fn until_has(&self, bytes: usize) {
        until("so much", || self.job()["bytes"].as_u64() >= Some(bytes as u64));
    }

    pub fn assert_there(&self) {
        assert!(fs::read(self.lab.path("in/big.bin")).expect("published") == self.bytes);
    }

    /// Bytes that the giver has sent.
    pub fn sent(&self) -> u64 {
        let ended = Process::start(self.lab.qshare_at(&self.giver.0).arg("status")).end();
        ended.event("status")["running"]["uploaded"].as_u64().expect("a number")
    }
}

/// The same command, by a shell that has this umask.
pub fn masked(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    shell
}
