//! That nobody else learns of what is sent where all are on one local network. Needs root and iproute2; says when it skips.

use std::fs;

use crate::common::hosts::Hosts;
use crate::common::{Lab, Process, noise, until};
use crate::{MIB, Person};

#[test]
fn on_a_local_network_nobody_else_finds_lists_or_gets_it() {
    let Some(hosts) = Hosts::up("p") else { return };
    let lab = Lab::new();
    let started = |host: u8| {
        Person::with(&lab, "ask", |home| {
            let mut command = hosts.near(&lab, host, home);
            command.args(["node", "--listen", "[::]:0"]);
            lab.start(&mut command)
        })
    };
    let (anna, bob, mallory) = (started(1), started(2), lab.home());
    let run = |host: u8, home: &std::path::Path, arguments: &[&str]| {
        Process::start(hosts.near(&lab, host, home).args(arguments)).end()
    };
    // What both offer to everybody is found by the fourth: so would be what is sent.
    for (host, person, name) in [(1, &anna, "lantern.txt"), (2, &bob, "harbour.txt")] {
        let file = lab.file(&format!("open/{name}"), name.as_bytes());
        let shared = run(host, &person.home, &["share", "--keep", file.to_str().expect("text")]);
        assert_eq!(shared.code, Some(0), "{shared:#?}");
        until(name, || run(3, &mallory, &["search", name]).code == Some(0));
    }
    let bytes = noise(21, MIB);
    let file = lab.file("sent/quartz.bin", &bytes);
    let port = bob.node.addr.rsplit(':').next().expect("a port").to_owned();
    let to = format!("{}@10.66.0.2:{port}", bob.node.id);
    let mut command = hosts.near(&lab, 1, &anna.home);
    let mut put = Process::start(command.arg("put").arg(&file).args(["--to", &to]));
    put.event_that("put", |put| put["state"] == "waiting");
    let id = blake3::hash(&bytes).to_string();
    let nobody_else = || {
        for look in [["search", "quartz"], ["search", "quartz.bin"], ["locate", &id], ["get", &id], ["get", "quartz"]] {
            run(3, &mallory, &look).error(3);
        }
        for (person, name) in [(&anna, "lantern.txt"), (&bob, "harbour.txt")] {
            let listed = run(3, &mallory, &["ls", &person.node.id]);
            let names: Vec<_> = listed.events.iter().filter(|event| event["event"] == "hit").collect();
            assert_eq!((names.len(), &names[0]["name"]), (1, &name.into()), "{listed:#?}");
            run(3, &mallory, &["get", &id, "--from", &person.node.id, "-o", "stolen"]).error(3);
        }
    };
    nobody_else();
    assert_eq!(run(2, &bob.home, &["inbox", "accept", "1", "--detach"]).code, Some(0));
    let ended = put.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(fs::read(bob.into.join("quartz.bin")).expect("there") == bytes);
    nobody_else();
    assert!(!lab.path("stolen").exists());
}
