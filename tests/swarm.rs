//! Many providers and many downloaders. Counts are asserted, never speeds.

mod common;

use std::fs;

use serde_json::Value;

use common::{Ended, Lab, Node, Process, noise};

const MIB: u64 = 1 << 20;

fn given(done: &Value, node: &Node) -> u64 {
    let providers = done["providers"].as_array().expect("a list");
    providers.iter().filter(|p| p["node"] == node.id).map(|p| p["bytes"].as_u64().expect("a number")).sum()
}

fn providers(lab: &Lab, tracker: &Node, count: usize, limit: &str, file: &std::path::Path) -> Vec<Node> {
    (0..count).map(|_| lab.share(tracker, &[file], &["--limit", limit])).collect()
}

#[test]
fn four_equal_providers_give_equal_shares() {
    let lab = Lab::new();
    let bytes = noise(1, 48 * MIB as usize);
    let file = lab.file("shared/four.bin", &bytes);
    let tracker = lab.tracker();
    let providers = providers(&lab, &tracker, 4, "6MiB/s", &file);
    let ended = lab.get(&tracker, &["four.bin"]);
    let done = ended.done();
    assert!(fs::read(lab.path("four.bin")).expect("published") == bytes);
    for provider in &providers {
        let share = given(done, provider) as f64 / bytes.len() as f64;
        assert!((0.15..=0.35).contains(&share), "one gave {share:.2}: {done}");
    }
}

#[test]
fn a_provider_that_is_killed_does_not_stop_the_transfer() {
    let lab = Lab::new();
    let bytes = noise(2, 48 * MIB as usize);
    let file = lab.file("shared/killed.bin", &bytes);
    let tracker = lab.tracker();
    let mut providers = providers(&lab, &tracker, 3, "6MiB/s", &file);
    let mut get = lab.getting(&tracker, &["killed.bin"]);
    let half = bytes.len() as u64 / 2;
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(half));
    providers[0].process.kill();
    let ended = get.end();
    let done = ended.done();
    assert!(fs::read(lab.path("killed.bin")).expect("published") == bytes);
    assert!(given(done, &providers[0]) > 0, "the killed one had given its part: {done}");
    assert!(providers[1..].iter().all(|p| given(done, p) > 0));
}

#[test]
fn a_provider_that_joins_during_the_transfer_is_used() {
    let lab = Lab::new();
    let bytes = noise(3, 32 * MIB as usize);
    let file = lab.file("shared/joined.bin", &bytes);
    let tracker = lab.tracker();
    let first = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let mut get = lab.getting(&tracker, &["joined.bin"]);
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    let second = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let ended = get.end();
    let done = ended.done();
    assert!(given(done, &first) > 0 && given(done, &second) > 0, "{done}");
}

#[test]
fn a_crowd_feeds_itself() {
    let lab = Lab::new();
    let bytes = noise(4, 24 * MIB as usize);
    let file = lab.file("shared/crowd.bin", &bytes);
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let start = |n: usize| lab.getting(&tracker, &["crowd.bin", "--seed", "-o", &format!("{n}/")]);
    let mut crowd: Vec<Process> = (0..6).map(start).collect();
    let done: Vec<Value> = crowd.iter_mut().map(|get| get.event("done")).collect();
    for n in 0..crowd.len() {
        assert!(fs::read(lab.path(&format!("{n}/crowd.bin"))).expect("published") == bytes);
    }
    let sent: u64 = done.iter().map(|done| given(done, &provider)).sum();
    assert!(sent <= 2 * bytes.len() as u64, "the provider sent {:.2} copies", sent as f64 / bytes.len() as f64);
}

#[test]
fn progress_is_told_again_and_again() {
    let lab = Lab::new();
    let file = lab.file("shared/slow.bin", &noise(5, 8 * MIB as usize));
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &["--limit", "1MiB/s"]);
    let mut get = lab.getting(&tracker, &["slow.bin"]);
    // It takes seven seconds, as long as the limit has it and no machine makes it shorter, and is told twice in each.
    get.event_that("progress", |e| e["total"].as_u64() > Some(0) && e["bytes"] == e["total"]);
    let told = get.events.iter().filter(|e| e["event"] == "progress").count();
    assert!(told >= 4, "only {told} progress events");
    get.end().done();
}

/// Others that fetch the same may ask of it what it has, and are not asked themselves.
#[test]
fn who_is_to_fetch_from_one_node_takes_nothing_from_those_whom_it_serves() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let bytes = noise(8, 20 << 20);
    let provider = lab.share(&tracker, &[&lab.file("shared/named.bin", &bytes)], &["--limit", "5MiB/s"]);
    let from = format!("{}@{}", provider.id, provider.addr);
    let (named, open) = (
        lab.getting(&tracker, &["named.bin", "-o", "named/", "--from", &from]),
        lab.getting(&tracker, &["named.bin", "-o", "open/"]),
    );
    let (named, open) = (named.end(), open.end());
    let gave = |ended: &Ended, others: bool| {
        let providers = ended.done()["providers"].as_array().expect("a list");
        let chosen = providers.iter().filter(|one| (one["node"] != *provider.id) == others);
        chosen.filter_map(|one| one["bytes"].as_u64()).sum::<u64>()
    };
    assert!(gave(&open, true) > 0, "they have met: {open:#?}");
    assert_eq!((gave(&named, false), gave(&named, true)), (bytes.len() as u64, 0), "{named:#?}");
}
