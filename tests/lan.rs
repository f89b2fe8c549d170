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
use std::time::{Duration, UNIX_EPOCH};

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

#[test]
fn two_who_fetch_at_the_same_time_give_to_each_other_with_nothing_configured() {
    let Some(hosts) = Hosts::up("x") else { return };
    let lab = Lab::new();
    let bytes = noise(2, 24 << 20);
    let mut command = hosts.near(&lab, 1, &lab.home());
    let mut share = lab.start(command.args(["share", "--limit", "6MiB/s"]).arg(lab.file("shared/both.bin", &bytes)));
    share.process.event("offer");
    let get =
        |host| Process::start(hosts.near(&lab, host, &lab.home()).args(["get", "both.bin", "-o", &format!("{host}/")]));
    let (two, three) = (get(2), get(3));
    for (host, ended) in [(2, two.end()), (3, three.end())] {
        let providers = ended.done()["providers"].as_array().expect("a list");
        let others = providers.iter().filter(|provider| provider["node"] != *share.id);
        let from_other: u64 = others.filter_map(|provider| provider["bytes"].as_u64()).sum();
        assert!(from_other >= 4 << 20, "host {host}: {from_other} bytes are from the other who fetches: {ended:#?}");
        assert!(fs::read(lab.path(&format!("{host}/both.bin"))).is_ok_and(|there| there == bytes));
    }
}

#[test]
fn a_command_that_was_killed_does_not_hinder_the_next_one_of_its_home() {
    let Some(hosts) = Hosts::up("y") else { return };
    let lab = Lab::new();
    let (home, bytes) = (lab.home(), noise(3, 16 << 20));
    let mut command = hosts.near(&lab, 1, &lab.home());
    let mut share = lab.start(command.args(["share", "--limit", "8MiB/s"]).arg(lab.file("shared/found.bin", &bytes)));
    share.process.event("offer");
    let run = |arguments: &[&str]| Process::start(hosts.near(&lab, 2, &home).args(arguments));
    for _ in 0..2 {
        let mut get = run(&["get", "found.bin"]);
        get.event_that("progress", |event| event["fetched"].as_u64() > Some(0));
        get.kill();
        assert_eq!(run(&["search", "found"]).end().code, Some(0));
    }
    run(&["get", "found.bin"]).end().done();
    assert!(fs::read(lab.path("found.bin")).is_ok_and(|there| there == bytes));
}

#[test]
fn whoever_looks_right_after_another_is_answered_at_once() {
    let Some(hosts) = Hosts::up("q") else { return };
    let lab = Lab::new();
    let mut share =
        lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.file("shared/found.bin", b"found")));
    share.process.event("offer");
    // Who has answered one question of multicast DNS keeps silent for a second, and nobody knows the other.
    let looks: Vec<_> =
        (0..6).map(|n| Process::start(hosts.near(&lab, 2 + n % 2, &lab.home()).args(["search", "found"]))).collect();
    for look in looks {
        assert_eq!(look.end().event("hit")["plane"], "lan");
    }
}

#[test]
fn a_friend_without_an_address_is_found_and_so_it_is_by_a_command_beside_a_share() {
    let Some(hosts) = Hosts::up("z") else { return };
    let lab = Lab::new();
    let (anna, bob) = (lab.home(), lab.home());
    let id = |home| hosts.run(&lab, 1, home, &["id"]).event("id")["node"].as_str().expect("text").to_owned();
    hosts.run(&lab, 2, &bob, &["friends", "add", "anna", &id(&anna)]);
    hosts.run(&lab, 1, &anna, &["friends", "add", "bob", &id(&bob)]);
    let file = lab.file("shared/diary.bin", b"dear diary");
    let mut share = lab.start(hosts.near(&lab, 1, &anna).args(["share", "--friends-only"]).arg(&file));
    share.process.event("offer");
    // Another one that has the same, and answers sooner or later than she does.
    let mut other = lab.start(hosts.near(&lab, 3, &lab.home()).arg("share").arg(&file));
    let content = other.process.event("offer")["id"].as_str().expect("text").to_owned();
    let run = |arguments: &[&str]| {
        // What is remembered of the last time would be no search.
        let _ = fs::remove_file(bob.join("node/neighbours"));
        Process::start(hosts.near(&lab, 2, &bob).args(arguments)).end()
    };
    for n in 0..3 {
        assert_eq!(run(&["ls", "anna"]).event("hit")["name"], "diary.bin");
        for what in ["diary", &content] {
            let got = run(&["get", what, "--from", "anna", "-o", &format!("{n}-{}/", what.len())]);
            assert_eq!(got.done()["providers"][0]["node"].as_str(), Some(&*share.id));
        }
    }
    drop(other);
    let own = lab.file("own/hers.bin", b"hers");
    let mut beside = lab.start(hosts.near(&lab, 2, &bob).arg("share").arg(own));
    beside.process.event("offer");
    until("the nodes are connected", || is_linked(&run(&["status"])));
    for command in [&["search", "diary"], &["locate", &*content]] {
        assert_eq!(run(command).event("hit")["providers"][0]["node"].as_str(), Some(&*share.id));
    }
    let got = run(&["get", "diary", "-o", "beside/"]);
    assert_eq!(got.done()["providers"][0]["node"].as_str(), Some(&*share.id));
}

#[test]
fn a_strangers_file_is_not_taken_silently_while_a_friend_near_has_not_answered() {
    let Some(hosts) = Hosts::up("f") else { return };
    let lab = Lab::new();
    let (anna, bob) = (lab.home(), lab.home());
    let id = |home| hosts.run(&lab, 1, home, &["id"]).event("id")["node"].as_str().expect("text").to_owned();
    hosts.run(&lab, 2, &bob, &["friends", "add", "anna", &id(&anna)]);
    let share = |on, home: &Path, file: &Path| {
        let mut node = lab.start(hosts.near(&lab, on, home).arg("share").arg(file));
        node.process.event("offer");
        node
    };
    let hers = share(1, &anna, &lab.file("anna/plan.txt", b"hers"));
    let _other = share(3, &lab.home(), &lab.file("other/plan.txt", b"another"));
    let get = |to: &str| {
        // A neighbour that is remembered would be another case than one that is near.
        let _ = fs::remove_file(bob.join("node/neighbours"));
        Process::start(hosts.near(&lab, 2, &bob).args(["get", "plan.txt", "-o", to])).end()
    };
    let silent = |ended: &Ended| {
        let told = |e: &&serde_json::Value| {
            e["event"] == "warning" && e["message"].as_str().is_some_and(|m| m.contains("not answered"))
        };
        ended.events.iter().filter(told).map(|e| e["message"].to_string()).collect::<Vec<_>>()
    };
    let both = get("both");
    assert_eq!((both.code, silent(&both).len()), (Some(4), 0), "{both:#?}");
    hers.process.signal(Signal::STOP);
    let taken = get("taken");
    taken.done();
    assert!(matches!(silent(&taken).as_slice(), [one] if one.contains("anna")), "{taken:#?}");
    fs::remove_file(bob.join("node/neighbours")).expect("remembered");
    let searched = Process::start(hosts.near(&lab, 2, &bob).args(["search", "plan.txt"])).end();
    searched.event("hit");
    let told = silent(&searched);
    assert!(matches!(told.as_slice(), [one] if one.contains("anna") && one.contains("what is shown")), "{searched:#?}");
    drop(hers);
    // Who is not there is not waited for.
    let gone = get("gone");
    gone.done();
    assert_eq!(silent(&gone).len(), 0, "{gone:#?}");
}

/// Responders do not say twice within a second where they are: who asks again at once remembers all that it met.
#[test]
fn one_name_of_a_friend_and_of_a_stranger_stays_a_choice_however_often_it_is_asked_for() {
    let Some(hosts) = Hosts::up("v") else { return };
    let lab = Lab::new();
    let (anna, bob) = (lab.home(), lab.home());
    let id = |home| hosts.run(&lab, 1, home, &["id"]).event("id")["node"].as_str().expect("text").to_owned();
    hosts.run(&lab, 2, &bob, &["friends", "add", "anna", &id(&anna)]);
    hosts.run(&lab, 1, &anna, &["friends", "add", "bob", &id(&bob)]);
    let (hers, his) = (lab.file("1/plan.txt", b"hers"), lab.file("3/plan.txt", b"a stranger's"));
    let mut friend = lab.start(hosts.near(&lab, 1, &anna).args(["share", "--friends-only"]).arg(hers));
    let mut stranger = lab.start(hosts.near(&lab, 3, &lab.home()).arg("share").arg(his));
    friend.process.event("offer");
    stranger.process.event("offer");
    let run = |arguments: &[&str]| Process::start(hosts.near(&lab, 2, &bob).args(arguments)).end();
    // Both have been met once, whoever was heard first.
    until("both are known", || run(&["search", "plan"]).event("summary")["hits"].as_u64() == Some(2));
    for _ in 0..5 {
        run(&["get", "plan.txt"]).error(4);
    }
    assert!(!lab.path("plan.txt").exists());
    // Through a share of the same home it is the same.
    let mut beside = lab.start(hosts.near(&lab, 2, &bob).arg("share").arg(lab.file("2/own.txt", b"own")));
    beside.process.event("offer");
    until("the nodes are connected", || is_linked(&run(&["status"])));
    run(&["get", "plan.txt", "-o", "beside/"]).error(4);
}

/// Whether the running node has a connection to its first friend.
fn is_linked(status: &Ended) -> bool {
    status.event("status")["running"]["friends"][0]["linked"] == true
}

#[test]
fn what_was_met_on_the_local_network_is_not_asked_without_it() {
    let Some(hosts) = Hosts::up("w") else { return };
    let lab = Lab::new();
    let home = lab.home();
    let mut share = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.file("shared/found.bin", b"x")));
    share.process.event("offer");
    let here = || Process::start(hosts.near(&lab, 2, &home).args(["search", "found"])).end();
    assert_eq!(here().event("hit")["name"], "found.bin");
    let without = Process::start(hosts.qshare(&lab, 2, &home).args(["search", "found"])).end();
    assert!(without.error(2).contains("nowhere to look"), "{without:#?}");
    // A node that serves is not found either.
    let mut hidden = lab.start(hosts.qshare(&lab, 2, &home).arg("share").arg(lab.file("2/hidden.bin", b"y")));
    hidden.process.event("offer");
    let third = lab.home();
    let search = |what| Process::start(hosts.near(&lab, 3, &third).args(["search", what])).end();
    assert_eq!(search("found").event("hit")["name"], "found.bin");
    search("hidden").error(3);
    // With it, it is remembered as before.
    drop(hidden);
    assert_eq!(here().event("hit")["name"], "found.bin");
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
fn patterns_and_words_that_are_nearly_spelled_so_find_what_is_near() {
    let Some(hosts) = Hosts::up("g") else { return };
    let lab = Lab::new();
    let names = ["turing.pdf", "physics/a.pdf", "physics/notes.txt"];
    let [old, ..] = names.map(|name| lab.file(&format!("shared/papers/{name}"), name.as_bytes()));
    let changed = UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    fs::File::options().write(true).open(old).and_then(|file| file.set_modified(changed)).expect("a date");
    let mut share = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(lab.path("shared/papers")));
    share.process.event_that("offer", |event| event["name"] == "papers");
    let run = |arguments: &[&str]| Process::start(hosts.near(&lab, 2, &lab.home()).args(arguments)).end();
    let found = run(&["search", "*.pdf"]);
    let mut hits: Vec<_> = found.events.iter().filter(|event| event["event"] == "hit").collect();
    hits.sort_by_key(|hit| hit["name"].to_string());
    let told: Vec<_> = hits.iter().map(|hit| (hit["name"].as_str().expect("text"), hit["plane"].as_str())).collect();
    assert_eq!(told, [("papers/physics/a.pdf", Some("lan")), ("papers/turing.pdf", Some("lan"))], "{found:#?}");
    assert_eq!(hits[1]["modified"], 1_500_000_000, "its date comes along");
    run(&["get", "*.txt", "-o", "one/"]).done();
    assert!(fs::read(lab.path("one/notes.txt")).is_ok_and(|there| there == b"physics/notes.txt"));
    let several = run(&["get", "papers/*/*", "--all", "-o", "all/"]);
    assert!(
        several.code == Some(0) && lab.path("all/a.pdf").exists() && lab.path("all/notes.txt").exists(),
        "{several:#?}"
    );
    let near = run(&["search", "turinng"]);
    assert!(near.error(3).contains("`turing` (1 thing)"), "{near:#?}");
}

#[test]
fn a_seed_is_found_when_its_source_is_gone() {
    let Some(hosts) = Hosts::up("sd") else { return };
    let lab = Lab::new();
    let bytes = noise(1, 300_000);
    let file = lab.file("shared/found.bin", &bytes);
    let mut source = lab.start(hosts.near(&lab, 1, &lab.home()).arg("share").arg(file));
    let id = source.process.event("offer")["id"].as_str().expect("id").to_owned();
    let mut seed = lab.start(hosts.near(&lab, 2, &lab.home()).args(["get", "found.bin", "-o", "seed/", "--seed"]));
    seed.process.event_that("phase", |phase| phase["name"] == "seeding");
    source.process.kill();
    for what in ["found.bin", &id] {
        let to = format!("out-{}/", what.len());
        let get = || Process::start(hosts.near(&lab, 3, &lab.home()).args(["get", what, "-o", &to])).end();
        // Nothing is said on the network of what has only just begun to listen.
        let mut ended = get();
        until("the seed has announced itself", || {
            ended = get();
            ended.code == Some(0)
        });
        assert!(fs::read_dir(lab.path(&to)).is_ok_and(|dir| dir.count() == 1), "{ended:#?}");
    }
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
    // A host without its port, also beside a tracker.
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
