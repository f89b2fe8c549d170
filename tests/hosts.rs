//! Several hosts with addresses of their own, as network namespaces (`tests/lab/hosts.sh`): which addresses are
//! published, and what becomes of trust when a tracker's key changes. Needs root and iproute2; says when it skips.

mod common;

use std::fs;
use std::path::Path;

use common::hosts::Hosts;
use common::{Lab, Node, noise};

/// What these tests start on hosts.
trait Start {
    /// A tracker on host 1, with the address at which the others reach it.
    fn tracker(&self, lab: &Lab, home: &Path, listen: &str) -> (Node, String);
    /// A node that shares, hashed.
    fn share(&self, lab: &Lab, host: u8, tracker: &str, path: &Path) -> Node;
}

impl Start for Hosts {
    fn tracker(&self, lab: &Lab, home: &Path, listen: &str) -> (Node, String) {
        let node = lab.start(self.qshare(lab, 1, home).args(["tracker", "--listen", listen]));
        let port = node.addr.rsplit(':').next().expect("a port").to_owned();
        (node, format!("10.66.0.1:{port}"))
    }

    fn share(&self, lab: &Lab, host: u8, tracker: &str, path: &Path) -> Node {
        let mut command = self.qshare(lab, host, &lab.home());
        command.args(["share", "--listen", "[::]:0", "--tracker", tracker]).arg(path);
        let mut node = lab.start(&mut command);
        node.wait_hashed();
        node
    }
}

#[test]
fn the_real_addresses_are_published_and_a_file_crosses_hosts() {
    let Some(hosts) = Hosts::up("a") else { return };
    let lab = Lab::new();
    let bytes = noise(1, 3 << 20);
    let file = lab.file("shared/far.bin", &bytes);
    let (_tracker, at) = hosts.tracker(&lab, &lab.home(), "[::]:0");
    let provider = hosts.share(&lab, 2, &at, &file);
    let id = blake3::hash(&bytes).to_string();
    let located = hosts.run(&lab, 3, &lab.home(), &["locate", &id, "--tracker", &at]);
    let told = located.event("hit")["providers"][0]["addr"].as_str().expect("an address").to_owned();
    assert!(told.starts_with("10.66.0.2:"), "{located:#?}");
    let ended = hosts.run(&lab, 3, &lab.home(), &["get", "far.bin", "--tracker", &at]);
    let from = &ended.done()["providers"][0];
    assert_eq!((from["node"].as_str(), from["addr"].as_str()), (Some(provider.id.as_str()), Some(told.as_str())));
    assert!(fs::read(lab.path("far.bin")).expect("published") == bytes);
}

#[test]
fn who_shares_on_the_trackers_own_host_is_reached_from_others() {
    let Some(hosts) = Hosts::up("b") else { return };
    let lab = Lab::new();
    let bytes = noise(2, 1 << 20);
    let file = lab.file("shared/near.bin", &bytes);
    let (tracker, at) = hosts.tracker(&lab, &lab.home(), "[::]:0");
    assert!(tracker.addr.starts_with("127.0.0.1:"), "{}", tracker.addr);
    let _provider = hosts.share(&lab, 1, &tracker.addr, &file);
    let ended = hosts.run(&lab, 3, &lab.home(), &["get", "near.bin", "--tracker", &at]);
    let addr = ended.done()["providers"][0]["addr"].as_str().expect("an address");
    assert!(addr.starts_with("10.66.0.1:"), "{ended:#?}");
    // On the same host the loopback address is told, or a real one: either works.
    hosts.run(&lab, 1, &lab.home(), &["get", "near.bin", "-o", "2/", "--tracker", &tracker.addr]).done();
}

/// With no address of its own but loopback, the sharing node is told to others at the tracker's address.
#[test]
fn a_loopback_address_is_told_to_others_as_the_address_of_the_tracker() {
    let Some(hosts) = Hosts::up("c") else { return };
    let lab = Lab::new();
    let file = lab.file("shared/loop.bin", &noise(3, 1 << 20));
    let (tracker, at) = hosts.tracker(&lab, &lab.home(), "[::]:0");
    let mut command = hosts.qshare(&lab, 1, &lab.home());
    command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&file);
    let mut provider = lab.start(&mut command);
    provider.wait_hashed();
    let port = provider.addr.rsplit(':').next().expect("a port");
    let addr = |host, at: &str| {
        let found = hosts.run(&lab, host, &lab.home(), &["search", "loop.bin", "--tracker", at]);
        found.event("hit")["providers"][0]["addr"].as_str().expect("an address").to_owned()
    };
    assert_eq!(addr(3, &at), format!("10.66.0.1:{port}"));
    assert_eq!(addr(1, &tracker.addr), format!("127.0.0.1:{port}"));
}

#[test]
fn a_tracker_with_another_key_is_refused_until_it_is_forgotten() {
    let Some(hosts) = Hosts::up("d") else { return };
    let lab = Lab::new();
    let home = lab.home();
    let (mut first, at) = hosts.tracker(&lab, &lab.home(), "10.66.0.1:0");
    hosts.run(&lab, 3, &home, &["search", "x", "--tracker", &at]).error(3);
    let listed = hosts.run(&lab, 3, &home, &["trust", "list"]);
    assert!(listed.events.iter().any(|e| e.to_string().contains(&first.id)), "{listed:#?}");
    first.process.kill();
    let (second, again) = hosts.tracker(&lab, &lab.home(), &at);
    assert_eq!(again, at);

    let sentence = hosts.run(&lab, 3, &home, &["search", "x", "--tracker", &at]).error(1);
    assert!(sentence.contains(&first.id) && sentence.contains(&second.id), "names both: {sentence}");
    assert!(sentence.contains(&format!("qshare trust forget {at}")), "{sentence}");
    let file = lab.file("x.bin", b"bytes");
    let mut command = hosts.qshare(&lab, 2, &home);
    let mut share = lab.start(command.args(["share", "--listen", "[::]:0", "--tracker", &at]).arg(file));
    share.process.event_that("warning", |e| e["message"].as_str().is_some_and(|m| m.contains("trust forget")));
    drop(share);

    assert_eq!(hosts.run(&lab, 3, &home, &["trust", "forget", &at]).code, Some(0));
    hosts.run(&lab, 3, &home, &["search", "x", "--tracker", &at]).error(3);
    hosts.run(&lab, 3, &home, &["trust", "forget", "10.66.0.9:1"]).error(3);
}

/// A node that starts before the tracker of its machine does not take the port at which that is looked for.
#[test]
fn a_host_is_named_without_ports_whoever_starts_first() {
    let Some(hosts) = Hosts::up("e") else { return };
    let lab = Lab::new();
    let file = lab.file("shared/x.bin", &noise(4, 1 << 20));
    let mut share = lab.start(hosts.qshare(&lab, 1, &lab.home()).args(["share", "--tracker", "10.66.0.1"]).arg(&file));
    let tracker = lab.start(hosts.qshare(&lab, 1, &lab.home()).arg("tracker"));
    let port = |node: &Node| node.addr.rsplit(':').next().expect("a port").to_owned();
    assert_eq!((port(&share), port(&tracker)), ("4918".to_owned(), "4917".to_owned()));
    share.wait_hashed();
    let run = |line: &[&str]| hosts.run(&lab, 2, &lab.home(), line);
    assert_eq!(run(&["ls", "10.66.0.1"]).event("hit")["name"], "x.bin");
    run(&["get", "x.bin", "--tracker", "10.66.0.1", "-o", "a/"]).done();
    run(&["get", "x.bin", "--from", "10.66.0.1", "-o", "b/"]).done();
    // A second one is told that it has another port.
    let second = lab.file("shared/y.bin", b"y");
    let mut second = lab.start(hosts.qshare(&lab, 1, &lab.home()).arg("share").arg(second));
    assert_eq!(port(&second), "4919");
    second.process.event_that("warning", |e| e["message"].as_str().is_some_and(|m| m.contains("UDP port 4918")));
}

#[test]
fn the_doctor_sees_an_interface_that_is_down() {
    let Some(hosts) = Hosts::up("k") else { return };
    let lab = Lab::new();
    for (turn, state) in [("up", "ok"), ("down", "warning")] {
        hosts.program(2, &format!("ip link set eth0 {turn}"));
        let ended = hosts.run(&lab, 2, &lab.home(), &["doctor"]);
        let seen = ended.events.iter().find(|event| event["name"] == "interfaces").expect("looked at");
        assert_eq!(seen["state"], state, "{turn}: {ended:#?}");
    }
}
