//! Nodes that find each other with nothing configured, on hosts of their own (`tests/lab/hosts.sh`). Needs root and
//! iproute2; says when it skips.
#![cfg(target_os = "linux")]

mod common;

use std::fs;

use common::hosts::Hosts;
use common::{Ended, Lab, Process, noise};

/// Shares on host 1 and fetches on another one, which may be the same; gives the provider's id and how it ended.
fn found(hosts: &Hosts, lab: &Lab, on: u8) -> (String, Ended) {
    let bytes = noise(1, 300_000);
    let file = lab.file("shared/found.bin", &bytes);
    let mut share = lab.start(hosts.near(lab, 1, &lab.home()).arg("share").arg(file));
    share.process.event("offer");
    let ended = Process::start(hosts.near(lab, on, &lab.home()).args(["get", "found.bin", "-o", "out/"])).end();
    assert!(fs::read(lab.path("out/found.bin")).is_ok_and(|there| there == bytes), "{ended:#?}");
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
