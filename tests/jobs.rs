//! Transfers that the running node of a home carries out for its commands, and goes on with by itself.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Ended, Lab, Node, Process, noise, until};
use rustix::process::Signal;
use serde_json::Value;

const MIB: usize = 1 << 20;

/// A home whose node runs, and somebody who gives slowly.
struct Stage {
    lab: Lab,
    home: PathBuf,
    giver: (PathBuf, Node),
    bytes: Vec<u8>,
}

impl Stage {
    fn new(size: usize, limit: &str) -> Self {
        let lab = Lab::new();
        let bytes = noise(7, size);
        let file = lab.file("shared/big.bin", &bytes);
        let (home, giving) = (lab.home(), lab.home());
        let mut command = lab.qshare_at(&giving);
        let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0", "--limit", limit]).arg(&file));
        node.process.event("offer");
        Self { lab, home, giver: (giving, node), bytes }
    }

    fn node(&self) -> Node {
        let mut command = self.lab.qshare_at(&self.home);
        self.lab.start(command.args(["node", "--listen", "127.0.0.1:0", "--peer", &self.giver.1.addr]))
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Process::start(self.lab.qshare_at(&self.home).args(arguments)).end()
    }

    fn getting(&self, more: &[&str]) -> Process {
        let into = format!("{}/", self.lab.path("in").display());
        let mut command = self.lab.qshare_at(&self.home);
        Process::start(command.args(["get", "big.bin", "--peer", &self.giver.1.addr, "-o", &into]).args(more))
    }

    /// Leaves a transfer to the node, and gives its number.
    fn detach(&self, more: &[&str]) -> String {
        let ended = self.getting(&[&["--detach"], more].concat()).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.event("job")["id"].to_string()
    }

    fn job(&self) -> Value {
        let ended = self.run(&["jobs"]);
        ended.events.iter().find(|event| event["event"] == "job").cloned().unwrap_or_default()
    }

    fn until(&self, state: &str) {
        until(state, || self.job()["state"] == state);
    }

    fn until_has(&self, bytes: usize) {
        until("so much", || self.job()["bytes"].as_u64() >= Some(bytes as u64));
    }

    fn assert_there(&self) {
        assert!(fs::read(self.lab.path("in/big.bin")).expect("published") == self.bytes);
    }

    /// Bytes that the giver has sent.
    fn sent(&self) -> u64 {
        let ended = Process::start(self.lab.qshare_at(&self.giver.0).arg("status")).end();
        ended.event("status")["running"]["uploaded"].as_u64().expect("a number")
    }
}

fn files(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("node/jobs")).expect("kept");
    entries.map(|entry| entry.expect("read").path()).collect()
}

#[test]
fn a_job_goes_on_after_its_node_was_killed_and_little_is_fetched_twice() {
    let stage = Stage::new(48 * MIB, "20M");
    let mut node = stage.node();
    let id = stage.detach(&[]);
    assert_eq!(files(&stage.home).len(), 1, "kept before the command has ended");
    stage.until_has(24 * MIB);
    node.process.kill();
    // What is torn takes nothing with it.
    fs::write(stage.home.join("node/jobs/77"), b"torn").expect("written");
    let mut node = stage.node();
    let warning = node.process.event("warning");
    assert!(warning["message"].as_str().is_some_and(|text| text.contains("jobs/77")), "{warning}");
    stage.until("ended");
    assert_eq!(stage.job()["id"].to_string(), id);
    stage.assert_there();
    let sent = stage.sent();
    assert!(sent <= 64 * MIB as u64, "{sent} bytes of {}", 48 * MIB);
}

#[test]
fn a_job_is_paused_resumed_cancelled_and_tried_again() {
    let stage = Stage::new(8 * MIB, "3M");
    let node = stage.node();
    let id = stage.detach(&[]);
    assert_eq!(stage.run(&["jobs", "pause", &id]).event("job")["state"], "paused");
    assert!(stage.run(&["jobs", "pause", &id]).error(2).contains("is paused"));
    assert!(stage.run(&["jobs", "retry", "99"]).error(3).contains("no job 99"));
    // It stays so.
    node.process.signal(Signal::TERM);
    assert_eq!(node.process.end().code, Some(0));
    let _node = stage.node();
    assert_eq!(stage.job()["state"], "paused");
    stage.run(&["jobs", "resume", "all"]).event("job");
    stage.until("running");
    assert_eq!(stage.run(&["jobs", "cancel", &id]).event("job")["state"], "cancelled");
    assert!(stage.run(&["jobs", "resume", &id]).error(2).contains("is cancelled"));
    stage.run(&["jobs", "retry", &id]).event("job");
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn a_job_waits_for_whoever_comes_back() {
    let mut stage = Stage::new(8 * MIB, "3M");
    let _node = stage.node();
    stage.detach(&["--wait", "0.5"]);
    stage.until_has(1);
    stage.giver.1.process.kill();
    stage.until("failed");
    let job = stage.job();
    assert!(job["message"].is_string() && job["again_s"].is_u64(), "{job}");
    let (giving, addr) = (stage.giver.0.clone(), stage.giver.1.addr.clone());
    let mut command = stage.lab.qshare_at(&giving);
    let _back = stage.lab.start(command.args(["share", "--listen", &addr]).arg(stage.lab.path("shared/big.bin")));
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn a_get_in_the_foreground_is_a_job_that_it_ends_or_leaves() {
    let stage = Stage::new(8 * MIB, "3M");
    let mut node = stage.node();
    let begun = || {
        let mut get = stage.getting(&[]);
        get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
        get
    };
    let get = begun();
    get.signal(Signal::TERM);
    get.end().error(143);
    assert_eq!(stage.job(), Value::Null, "whoever has seen its end needs no list of it");
    let get = begun();
    get.signal(Signal::HUP);
    assert!(get.end().error(129).contains("goes on with it as job"));
    assert_eq!(stage.job()["state"], "running");
    stage.run(&["jobs", "cancel", "all"]).event("job");
    let get = begun();
    node.process.kill();
    let ended = get.end();
    assert!(ended.event("warning")["message"].as_str().is_some_and(|text| text.contains("by its own power")));
    assert_eq!(ended.done()["path"], stage.lab.path("in/big.bin").display().to_string());
    stage.assert_there();
}

#[test]
fn nothing_is_left_to_a_node_that_is_not_there() {
    let stage = Stage::new(MIB, "3M");
    assert!(stage.getting(&["--detach"]).end().error(3).contains("qshare node"));
    assert!(stage.run(&["jobs"]).error(3).contains("no node of this home runs"));
}
