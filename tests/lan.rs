//! Nodes that find each other with nothing configured, on hosts of their own (`tests/lab/hosts.sh`). Needs root and
//! iproute2, and for one test iptables; says when it skips.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::hosts::Hosts;
use common::multicast::{broken, fakes, send, strangers};
use common::{Ended, Lab, Node, Process, noise, peak, until};
use rustix::process::Signal;

/// Shares on host 1 and fetches on another one, which may be the same; gives the provider's id and how it ended.
fn found(hosts: &Hosts, lab: &Lab, on: u8) -> (String, Ended) {
    let bytes = noise(1, 300_000);
    let file = lab.file("shared/found.bin", &bytes);
    let mut share = lab.start(hosts.near(lab, 1, &lab.home()).arg("share").arg(file));
    share.process.event("offer");
    let ended = Process::start(hosts.near(lab, on, &lab.home()).args(["get", "found.bin", "-o", "out/"])).end();
    assert!(fs::read(lab.path("out/found.bin")).is_ok_and(|there| there == bytes), "{ended:#?}");
    assert_eq!(ended.done()["plane"].as_str(), Some("lan"));
    let plane = Process::start(hosts.near(lab, on, &lab.home()).args(["search", "found"])).end();
    assert_eq!(plane.event("hit")["plane"].as_str(), Some("lan"), "{plane:#?}");
    (share.id.clone(), ended)
}

fn from(ended: &Ended) -> (String, String) {
    let provider = &ended.done()["providers"][0];
    let text = |key: &str| provider[key].as_str().expect("text").to_owned();
    (text("node"), text("addr"))
}

#[test]
fn two_hosts_with_nothing_configured_find_each_other() {
    let Some(hosts) = Hosts::up("l") else { return };
    let lab = Lab::new();
    let (id, ended) = found(&hosts, &lab, 2);
    let (node, addr) = from(&ended);
    assert_eq!(node, id);
    assert!(addr.starts_with("10.66.0.1:") || addr.starts_with("[f"), "{addr}");
    let none = Process::start(hosts.qshare(&lab, 2, &lab.home()).args(["search", "found"])).end();
    assert!(none.error(2).contains("--no-lan"), "{none:#?}");
}

#[test]
fn link_local_addresses_of_ipv6_suffice() {
    let Some(hosts) = Hosts::up("m") else { return };
    for host in [1, 2] {
        hosts.only_link_local(host);
    }
    let lab = Lab::new();
    let (id, ended) = found(&hosts, &lab, 2);
    let (node, addr) = from(&ended);
    assert_eq!(node, id);
    assert!(addr.starts_with("[fe80:"), "{addr}");
}

#[test]
fn two_nodes_of_one_host_find_each_other() {
    let Some(hosts) = Hosts::up("n") else { return };
    let lab = Lab::new();
    let (id, ended) = found(&hosts, &lab, 1);
    assert_eq!(from(&ended).0, id);
}

#[test]
fn who_has_moved_to_other_addresses_is_found_there() {
    let Some(hosts) = Hosts::up("r") else { return };
    let lab = Lab::new();
    let (theirs, ours) = (lab.home(), lab.home());
    let file = lab.file("shared/found.bin", b"found");
    let get = |to: &str| Process::start(hosts.near(&lab, 2, &ours).args(["get", "found.bin", "-o", to])).end();
    let share = || {
        let mut share = lab.start(hosts.near(&lab, 1, &theirs).arg("share").arg(&file));
        share.process.event("offer");
        share
    };
    let first = share();
    get("before/").done();
    first.process.signal(Signal::TERM);
    first.process.end();
    for host in [1, 2] {
        hosts.only_link_local(host);
    }
    let _again = share();
    get("after/").done();
}

#[test]
fn two_contents_of_one_name_stop_a_get_and_a_trackers_word_goes_before_the_network() {
    let Some(hosts) = Hosts::up("u") else { return };
    let lab = Lab::new();
    let file = |host: u8, len| lab.file(&format!("on-{host}/same.bin"), &noise(host.into(), len));
    let share = |host: u8, file: &Path, more: &[&str]| {
        let mut node = lab.start(hosts.near(&lab, host, &lab.home()).arg("share").args(more).arg(file));
        let id = node.process.event("offer")["id"].as_str().expect("text").to_owned();
        (node, id)
    };
    let mut tracker = lab.start(hosts.qshare(&lab, 1, &lab.home()).args(["tracker", "--listen", "10.66.0.1:0"]));
    let at = ["--tracker", &tracker.addr.clone()];
    let slow = ["--limit", "500KiB/s", at[0], at[1]];
    let ((mut known, first), (_around, second)) = (share(1, &file(1, 2 << 20), &slow), share(2, &file(2, 9000), &[]));
    known.wait_hashed();
    let near = |arguments: &[&str]| Process::start(hosts.near(&lab, 3, &lab.home()).args(arguments)).end();
    let both = |ended: &Ended| {
        let has = |id: &str| ended.events.iter().any(|event| event["event"] == "hit" && event["id"] == id);
        has(&first) && has(&second)
    };
    until("both are announced", || both(&near(&["search", "same.bin"])));
    let ended = near(&["get", "same.bin"]);
    assert!(ended.error(4).contains("2 different things") && both(&ended), "{ended:#?}");
    let ended = near(&["get", "same.bin", at[0], at[1]]);
    assert_eq!((&ended.done()["id"], &ended.done()["plane"]), (&first.as_str().into(), &"tracker".into()));
    let names = |id: &str| ended.event("warning")["message"].as_str().is_some_and(|text| text.contains(id));
    assert!(names(&first) && names(&second), "{ended:#?}");
    tracker.process.kill();
}

#[test]
fn a_named_node_is_asked_itself_wherever_on_the_network_it_is() {
    let Some(hosts) = Hosts::up("v") else { return };
    let lab = Lab::new();
    let mut share = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.file("a/found.bin", b"found")));
    share.process.event("offer");
    let home = lab.home();
    let run = |arguments: &[&str]| Process::start(hosts.near(&lab, 2, &home).args(arguments)).end();
    run(&["friends", "add", "anna", &share.id]).event("friend");
    for (n, peer) in [&*share.id, "anna", &share.id[..8]].into_iter().enumerate() {
        let got = run(&["get", "found.bin", "--from", peer, "-o", &format!("out-{n}/")]);
        assert_eq!(from(&got).0, share.id, "--from {peer}");
        assert_eq!(run(&["ls", peer]).event("hit")["name"], "found.bin", "ls {peer}");
    }
    // A host without its port: the first one that a node tries, or the next, beside a tracker.
    let mut tracker = lab.start(hosts.qshare(&lab, 3, &lab.home()).arg("tracker"));
    let mut beside = lab.start(hosts.qshare(&lab, 3, &lab.home()).arg("share").arg(lab.file("b/found.bin", b"found")));
    beside.process.event("offer");
    for (host, node) in [("10.66.0.1", &share), ("10.66.0.3", &beside)] {
        let ls = hosts.run(&lab, 2, &lab.home(), &["ls", host]);
        assert_eq!(ls.event("hit")["name"], "found.bin", "ls {host}: {ls:#?}");
        let got = hosts.run(&lab, 2, &lab.home(), &["get", "found.bin", "--from", host, "-o", &format!("{host}/")]);
        assert_eq!(from(&got).0, node.id, "--from {host}");
    }
    tracker.process.kill();
}

/// Shares on host 1, and misuses multicast on host 3 while something is done ([`send`]).
fn beside<T>(
    hosts: &Hosts,
    lab: &Lab,
    packets: impl Iterator<Item = Vec<u8>> + Send + 'static,
    work: impl FnOnce(&mut Node) -> T,
) -> (T, Node) {
    let file = lab.file("shared/found.bin", b"found");
    let mut share = lab.start(hosts.near(lab, 1, &lab.home()).arg("share").arg(file));
    share.process.event("offer");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let sending = hosts.on(3, move || send(Ipv4Addr::new(10, 66, 0, 3), &stopping, packets));
    let done = work(&mut share);
    stop.store(true, Ordering::Relaxed);
    assert!(sending.join().expect("no panic") > 0);
    (done, share)
}

fn search(hosts: &Hosts, lab: &Lab) -> Ended {
    Process::start(hosts.near(lab, 2, &lab.home()).args(["search", "found"])).end()
}

#[test]
fn broken_multicast_packets_harm_nobody() {
    let Some(hosts) = Hosts::up("o") else { return };
    let lab = Lab::new();
    let (ended, share) = beside(&hosts, &lab, (0..).map(broken), |_| search(&hosts, &lab));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    share.process.signal(Signal::TERM);
    let ended = share.process.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.events.iter().all(|event| event["event"] != "warning"), "{ended:#?}");
}

/// The process that listens for `share`, while there is one.
fn listener(share: &Node) -> Option<u32> {
    let children = fs::read_dir(format!("/proc/{}/task", share.process.pid())).expect("it runs");
    children.flatten().find_map(|task| fs::read_to_string(task.path().join("children")).ok()?.trim().parse().ok())
}

/// A flood of what is not there ([`send`]).
fn flooded(name: &str, packets: impl Iterator<Item = Vec<u8>> + Send + 'static) {
    const MOST: u64 = 160 << 10;
    let Some(hosts) = Hosts::up(name) else { return };
    let lab = Lab::new();
    let ((), share) = beside(&hosts, &lab, packets, |share| {
        let mut most = 0;
        until("the listener is ended, while the flood goes on", || {
            let listener = listener(share);
            most = most.max(listener.and_then(peak).unwrap_or(0));
            listener.is_none()
        });
        assert!((1..MOST).contains(&most), "the listener took {most} KiB");
        let warning = share.process.first("warning")["message"].as_str().expect("text").to_owned();
        assert!(warning.contains("floods"), "{warning}");
        // Who knows where it is finds it meanwhile.
        let peer = share.addr.replace("127.0.0.1", "10.66.0.1");
        let ls = hosts.run(&lab, 2, &lab.home(), &["ls", &peer]);
        assert_eq!(ls.event("hit")["name"], "found.bin");
    });
    until("it is found again when the flood is over", || search(&hosts, &lab).code == Some(0));
    let most = share.process.peak();
    assert!(most < MOST, "the node took {most} KiB");
    share.process.signal(Signal::TERM);
    let warnings = share.process.end().events.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 1, "told once");
}

#[test]
fn a_flood_of_announcements_is_bounded_told_once_and_got_over() {
    flooded("p", (0..).map(fakes));
}

#[test]
fn a_flood_that_is_faster_than_it_is_read_is_bounded_by_the_limits_of_a_process() {
    // To make one takes longer than to read it.
    let prepared: Vec<Vec<u8>> = (0..20_000).map(strangers).collect();
    flooded("s", prepared.into_iter().cycle());
}

#[test]
fn the_process_that_listens_ends_with_its_node() {
    let Some(hosts) = Hosts::up("t") else { return };
    let lab = Lab::new();
    let mut share = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.file("found.bin", b"found")));
    share.process.event("offer");
    let listener = listener(&share).expect("it listens");
    share.process.signal(Signal::KILL);
    share.process.end();
    // Its parent is whoever adopts it: a zombie has no memory.
    until("it ends", || peak(listener).is_none());
}

#[test]
fn a_host_without_multicast_is_told_by_the_doctor_and_works_otherwise() {
    if Command::new("iptables").arg("--version").output().is_err() {
        eprintln!("skipped: iptables is not installed");
        return;
    }
    let Some(hosts) = Hosts::up("q") else { return };
    let lab = Lab::new();
    // Without the flag alone multicast works still.
    for device in ["eth0", "lo"] {
        hosts.program(2, &format!("ip link set {device} multicast off"));
    }
    for filter in ["iptables", "ip6tables"] {
        hosts.program(2, &format!("{filter} -A OUTPUT -p udp --dport 5353 -j DROP"));
    }
    let mut share = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.file("found.bin", b"found")));
    share.process.event("offer");
    let peer = share.addr.replace("127.0.0.1", "10.66.0.1");
    let ended = Process::start(hosts.near(&lab, 2, &lab.home()).args(["search", "found", "--peer", &peer])).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for (host, state, says) in [(1, "ok", "eth0"), (2, "failed", "5353")] {
        let doctor = Process::start(hosts.near(&lab, host, &lab.home()).arg("doctor")).end();
        let heard = doctor.events.iter().find(|event| event["name"] == "multicast").expect("looked at");
        assert_eq!(heard["state"], state, "host {host}: {heard}");
        assert!(heard["message"].as_str().is_some_and(|text| text.contains(says)), "host {host}: {heard}");
    }
}
