//! `qshare doctor`: what it says of surroundings that work, and of such that do not.

mod common;

use std::net::UdpSocket;

use common::{Ended, Lab, Process};
use serde_json::Value;

fn checks<'a>(ended: &'a Ended, name: &str) -> Vec<(&'a str, &'a str)> {
    let of = |event: &&Value| event["event"] == "check" && event["name"] == name;
    let text = |event: &'a Value, key: &str| event[key].as_str().expect("text");
    ended.events.iter().filter(of).map(|event| (text(event, "state"), text(event, "message"))).collect()
}

fn one<'a>(ended: &'a Ended, name: &str) -> (&'a str, &'a str) {
    let all = checks(ended, name);
    assert_eq!(all.len(), 1, "{name}: {ended:#?}");
    all[0]
}

#[test]
fn what_works_is_told_with_its_figures() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let peer = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0"]).arg(lab.file("a", b"a")));
    let ended = Process::start(lab.qshare().args(["doctor", "--tracker", &tracker.addr, "--peer", &peer.addr])).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // A machine without a network has a doubtful list of interfaces, and small buffers are the system's.
    for (name, states) in [("home", "ok"), ("port", "ok"), ("interfaces", "ok warning"), ("buffers", "ok warning")] {
        let (state, message) = one(&ended, name);
        assert!(states.contains(state), "{name}: {state}, {message}");
    }
    assert_eq!(one(&ended, "multicast").0, "skipped", "--no-lan");
    assert_eq!(one(&ended, "reachable").0, "ok");
    let paths = checks(&ended, "path");
    assert_eq!(paths.len(), 2);
    for ((state, message), addr) in paths.iter().zip([&tracker.addr, &peer.addr]) {
        let large = message.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).any(|mtu| mtu > 1200);
        assert!(*state == "ok" && message.contains(addr.as_str()) && large, "{message}");
    }
    let clocks = checks(&ended, "clock");
    assert!(clocks.len() == 2 && clocks.iter().all(|(state, _)| *state == "ok"), "{clocks:?}");
    // What the doctor announced is taken back.
    let peers = Process::start(lab.qshare().args(["peers", "--tracker", &tracker.addr])).end();
    assert!(peers.events.iter().all(|event| event["event"] != "peer"), "{peers:#?}");
}

#[test]
fn what_does_not_work_is_told_and_ends_in_failure() {
    let lab = Lab::new();
    let taken = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let addr = taken.local_addr().expect("bound").to_string();
    let home = lab.home();
    std::fs::create_dir_all(&home).expect("made");
    std::fs::write(home.join("config.toml"), format!("node.listen = '{addr}'\n")).expect("written");
    let ended = Process::start(lab.qshare_at(&home).args(["doctor", "--tracker", "127.0.0.1:9"])).end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let (state, message) = one(&ended, "port");
    assert!(state == "failed" && message.contains(&addr), "{message}");
    let (state, message) = one(&ended, "path");
    assert!(state == "failed" && message.contains("127.0.0.1:9"), "{message}");
    assert!(checks(&ended, "reachable").is_empty(), "nobody was there to be asked");
}

#[test]
fn a_busy_home_and_no_tracker_are_said_and_are_no_failure() {
    let lab = Lab::new();
    let home = lab.home();
    let node = lab.start(
        lab.qshare_at(&home).args(["share", "--listen", "127.0.0.1:0", "--friends-only"]).arg(lab.file("a", b"a")),
    );
    let ended = Process::start(lab.qshare_at(&home).args(["doctor", "--peer", &node.addr])).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(one(&ended, "home").1.contains(&node.process.pid().to_string()));
    assert_eq!(one(&ended, "reachable").0, "skipped");
    assert_eq!(one(&ended, "clock").0, "skipped", "a stranger is not told");
}
