//! Paths that carry large packets, small ones, or suddenly smaller ones (`tests/lab/hosts.sh`). Needs root and
//! iproute2; says when it skips. How fast paths with delay and loss are is measured by `benches/paths/run`.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Lab, Node, Process, noise};

/// A QUIC packet's headers of IPv4 and UDP.
const HEADERS: u64 = 28;
/// What an Ethernet frame adds.
const FRAME: u64 = 14;

/// Two hosts, one packet at a time through a switch; gone at the end.
struct Wire {
    prefix: String,
}

impl Wire {
    /// `None`, and a word about it, where namespaces cannot be made.
    fn up(name: &str) -> Option<Self> {
        let wire = Self { prefix: format!("qp{}{name}", std::process::id()) };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/hosts.sh");
        if let Err(cause) = run(Command::new("bash").arg(script).args(["up", &wire.prefix, "2"])) {
            eprintln!("skipped: network namespaces cannot be made here ({cause})");
            return None;
        }
        for host in ["1", "2"] {
            // A batch that crosses the switch as one would not be measured against its port's size.
            wire.set(host, "eth0", &["gso_max_segs", "1"]);
        }
        Some(wire)
    }

    fn set(&self, of: &str, device: &str, what: &[&str]) {
        let namespace = format!("{}{of}", self.prefix);
        run(Command::new("ip").args(["-n", &namespace, "link", "set", device]).args(what)).expect("set");
    }

    /// What hosts and switch take.
    fn mtu(&self, hosts: &str, switch: &str) {
        for n in ["1", "2"] {
            self.set(n, "eth0", &["mtu", hosts]);
            self.set("switch", &format!("p{n}"), &["mtu", switch]);
        }
        self.set("switch", "br0", &["mtu", switch]);
    }

    fn qshare(&self, lab: &Lab, host: u8) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{host}", self.prefix), env!("CARGO_BIN_EXE_qshare"), "--json"]);
        command.current_dir(lab.path("")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", lab.home());
        command
    }

    /// The mean length of the packets that host 2 received while something ran.
    fn received_while<T>(&self, what: impl FnOnce() -> T) -> (T, u64) {
        let count = |name: &str| {
            let file = format!("/sys/class/net/eth0/statistics/rx_{name}");
            let command = &mut Command::new("ip");
            let text = run(command.args(["netns", "exec", &format!("{}2", self.prefix), "cat", &file]));
            text.expect("counted").trim().parse::<u64>().expect("a number")
        };
        let (packets, bytes) = (count("packets"), count("bytes"));
        let value = what();
        (value, (count("bytes") - bytes) / (count("packets") - packets))
    }

    /// The MTU at the end of a bench between the two.
    fn found(&self, lab: &Lab) -> u64 {
        let server = lab.start(self.qshare(lab, 1).args(["bench", "--listen", "10.66.0.1:0"]));
        let ended = Process::start(self.qshare(lab, 2).args(["bench", &at(&server), "--bytes", "8MiB"])).end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let last = ended.events.iter().rfind(|e| e["event"] == "bench").expect("a row");
        last["mtu"].as_u64().expect("a number")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/hosts.sh");
        // Namespaces that were never made cannot be removed.
        let _ = run(Command::new("bash").arg(script).args(["down", &self.prefix]));
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Where host 1's node is reached.
fn at(node: &Node) -> String {
    format!("10.66.0.1:{}", node.addr.rsplit(':').next().expect("a port"))
}

#[test]
fn the_mtu_climbs_to_what_the_path_carries() {
    let Some(wire) = Wire::up("a") else { return };
    let lab = Lab::new();
    // The last is a black hole from the beginning: nobody tells the hosts that the switch takes less.
    for (hosts, switch, carried) in [("1500", "1500", 1500), ("9000", "9000", 8980), ("9000", "1500", 1500)] {
        wire.mtu(hosts, switch);
        let found = wire.found(&lab);
        let most = carried - HEADERS;
        // The search ends when a step is shorter than 20 bytes.
        assert!(found <= most && found + 40 > most, "{found} of {most} with hosts of {hosts}, a switch of {switch}");
    }
}

/// Fetches through a path of 9000 that takes 1400 from the middle on.
fn shrinks(name: &str, shrink: impl FnOnce(&Wire)) {
    let Some(wire) = Wire::up(name) else { return };
    wire.mtu("9000", "9000");
    let lab = Lab::new();
    let bytes = noise(1, 24 << 20);
    let file = lab.file("shared/wide.bin", &bytes);
    let node = lab.start(wire.qshare(&lab, 1).args(["tracker", "--listen", "10.66.0.1:0"]));
    let tracker = at(&node);
    let mut share = wire.qshare(&lab, 1);
    share.args(["share", "--listen", "10.66.0.1:0", "--limit", "12MiB/s", "--tracker", &tracker]).arg(file);
    let mut share = lab.start(&mut share);
    share.wait_hashed();
    let mut get = Process::start(wire.qshare(&lab, 2).args(["get", "wide.bin", "--tracker", &tracker, "-o", "out/"]));
    let ((), before) = wire.received_while(|| {
        get.event_that("progress", |e| e["bytes"].as_u64() >= Some(6 << 20));
    });
    shrink(&wire);
    let (ended, after) = wire.received_while(|| get.end());
    ended.done();
    assert!(fs::read(lab.path("out/wide.bin")).expect("published") == bytes);
    assert!(before > 4000, "packets of {before} bytes before");
    assert!(after <= 1400 + FRAME, "packets of {after} bytes after");
}

#[test]
fn a_transfer_goes_on_when_a_switch_drops_large_packets_from_now_on() {
    shrinks("b", |wire| wire.set("switch", "p2", &["mtu", "1400"]));
}

#[test]
fn a_transfer_goes_on_when_the_senders_own_interface_shrinks() {
    shrinks("c", |wire| wire.set("1", "eth0", &["mtu", "1400"]));
}
