//! What was fetched goes on being served, and is found like anything that is shared; and what a transfer has put beneath
//! a shared path is offered without being read again.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Ended, Lab, Node, Process, assert_same_tree, noise, until};
use qshare::model::ContentId;
use qshare::node::{self, GetRequest, Home, Lifetime, Listen, Options, Phase, ShareBack, What};
use rustix::process::Signal;
use serde_json::Value;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A tree with what rules would leave out of a share, and a file of several chunks.
fn tree(lab: &Lab) -> std::path::PathBuf {
    lab.file("source/docs/large.bin", &noise(1, 900 * KIB));
    lab.file("source/docs/a/small.txt", b"small");
    lab.file("source/docs/a/again.txt", b"small");
    lab.file("source/docs/empty.txt", b"");
    lab.dir("source/docs/hollow");
    let run = lab.file("source/docs/run", b"#!/bin/sh\n");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).expect("own file");
    lab.path("source/docs")
}

/// A `get --seed` until it serves.
fn seeding(lab: &Lab, arguments: &[&str]) -> Node {
    let mut node = lab.start(lab.qshare().arg("get").args(arguments).arg("--seed"));
    node.process.event_that("phase", |phase| phase["name"] == "seeding");
    node.process.event("done");
    node
}

fn run(lab: &Lab, arguments: &[&str]) -> Ended {
    Process::start(lab.qshare().args(arguments)).end()
}

fn providers(ended: &Ended) -> Vec<String> {
    let hits = ended.events.iter().filter(|event| event["event"] == "hit");
    let all = hits.flat_map(|hit| hit["providers"].as_array().cloned().unwrap_or_default());
    all.filter_map(|provider| provider["node"].as_str().map(str::to_owned)).collect()
}

/// Looks again until what is found is so, and tells how long that took.
#[expect(clippy::disallowed_methods, reason = "a figure that is shown, never judged")]
fn found(lab: &Lab, arguments: &[&str], right: impl Fn(&Ended) -> bool) -> Duration {
    let began = Instant::now();
    until(&format!("{arguments:?}"), || right(&run(lab, arguments)));
    began.elapsed()
}

/// Who gave bytes, with blanks between.
fn gave(ended: &Ended) -> String {
    let all = ended.done()["providers"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|p| p["bytes"].as_u64() > Some(0))
        .filter_map(|p| p["node"].as_str().map(str::to_owned))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_seed_gives_by_words_and_by_id_when_its_source_is_gone() {
    let lab = Lab::new();
    let (tree, tracker) = (tree(&lab), lab.tracker());
    let file = lab.file("one.bin", &noise(2, 3 * MIB));
    let mut source = lab.share(&tracker, &[&tree, &file], &[]);
    let at = ["--tracker", tracker.addr.as_str()];
    let trees = seeding(&lab, &["docs", "-o", "t/", at[0], at[1]]);
    let files = seeding(&lab, &["one.bin", "-o", "f/", at[0], at[1]]);
    let id =
        |name: &str| run(&lab, &["search", name, at[0], at[1]]).event("hit")["id"].as_str().expect("id").to_owned();
    let (tree_id, file_id) = (id("docs"), id("one.bin"));
    source.process.kill();
    for (what, name, seed) in [("docs", "docs", &trees), (&tree_id, "docs", &trees), ("one.bin", "one.bin", &files)] {
        found(&lab, &["search", what_or(what, name), at[0], at[1]], |ended| providers(ended).contains(&seed.id));
    }
    for (n, (what, seed)) in
        [("docs", &trees), (&tree_id, &trees), ("one.bin", &files), (&file_id, &files)].into_iter().enumerate()
    {
        let to = format!("{n}/");
        let ended = run(&lab, &["get", what, "-o", &to, at[0], at[1]]);
        assert_eq!(gave(&ended), seed.id, "{what}: {ended:#?}");
        if seed.id == trees.id {
            assert_same_tree(&tree, &lab.path(&to).join("docs"));
        }
    }
    // A file within the tree is offered on its own, as `share` offers it.
    assert_eq!(gave(&run(&lab, &["get", "docs", "large.bin", "-o", "l/", at[0], at[1]])), trees.id);
}

fn what_or<'a>(what: &'a str, name: &'a str) -> &'a str {
    if what.len() == 64 { name } else { what }
}

#[test]
fn what_is_there_already_is_announced_and_served_too() {
    let lab = Lab::new();
    let (tree, tracker) = (tree(&lab), lab.tracker());
    let mut source = lab.share(&tracker, &[&tree], &[]);
    let at = ["--tracker", tracker.addr.as_str()];
    run(&lab, &["get", "docs", "-o", "t/", at[0], at[1]]).done();
    // Files beside it are not of it.
    lab.file("t/docs/mine.txt", b"mine");
    let seed = seeding(&lab, &["docs", "-o", "t/", at[0], at[1]]);
    source.process.kill();
    let ended = run(&lab, &["get", "docs", "-o", "2/", at[0], at[1]]);
    assert_eq!(gave(&ended), seed.id, "{ended:#?}");
    assert_same_tree(&tree, &lab.path("2/docs"));
    assert_eq!(run(&lab, &["search", "mine.txt", at[0], at[1]]).code, Some(3), "it was not asked for");
}

#[test]
fn a_seed_that_changes_or_goes_is_no_longer_offered_and_is_again_when_it_is_back() {
    let lab = Lab::new();
    let (tree, tracker) = (tree(&lab), lab.tracker());
    let source = lab.share(&tracker, &[&tree], &[]);
    let at = ["--tracker", tracker.addr.as_str()];
    let seed = seeding(&lab, &["docs", "-o", "t/", at[0], at[1]]);
    source.process.signal(Signal::TERM);
    let search = |what: &'static str| ["search", what, at[0], at[1]];
    let of_tree = |ended: &Ended| ended.events.iter().any(|e| e["event"] == "hit" && e["kind"] == "collection");
    found(&lab, &search("docs"), |ended| providers(ended).iter().all(|node| *node == seed.id) && of_tree(ended));
    let large = lab.path("t/docs/large.bin");
    let bytes = fs::read(&large).expect("there");
    fs::write(&large, noise(9, bytes.len())).expect("written");
    found(&lab, &search("docs"), |ended| !of_tree(ended) && ended.code == Some(0));
    found(&lab, &search("large.bin"), |ended| ended.code == Some(3));
    fs::write(&large, bytes).expect("written");
    found(&lab, &search("docs"), of_tree);
    fs::remove_dir_all(lab.path("t")).expect("removed");
    found(&lab, &search("docs"), |ended| ended.code == Some(3));
}

#[test]
fn without_a_tracker_a_seed_is_found_at_itself_and_over_a_neighbour() {
    let lab = Lab::new();
    let (tree, other) = (tree(&lab), lab.file("other.bin", b"other"));
    let between = lab.near(&other, &[], &[]);
    let mut source = lab.near(&tree, &[], &[]);
    let seed = seeding(&lab, &["docs", "-o", "t/", "--peer", &source.addr, "--peer", &between.addr]);
    let id = run(&lab, &["search", "docs", "--peer", &source.addr]).event("hit")["id"].as_str().expect("id").to_owned();
    source.process.kill();
    for (n, what) in ["docs", id.as_str()].into_iter().enumerate() {
        let to = format!("direct-{n}/");
        let ended = run(&lab, &["get", what, "-o", &to, "--peer", &seed.addr]);
        assert_eq!(gave(&ended), seed.id, "{ended:#?}");
        // The seed is not asked itself: a neighbour knows the way.
        let to = format!("over-{n}/");
        until("the seed is a neighbour", || {
            run(&lab, &["get", what, "-o", &to, "--peer", &between.addr]).code == Some(0)
        });
        assert_same_tree(&tree, &lab.path(&to).join("docs"));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o100
}

#[test]
fn a_single_executable_file_stays_executable() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let program = lab.file("shared/program", &noise(3, 700 * KIB));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("own file");
    let mut source = lab.share(&tracker, &[&program], &[]);
    let at = ["--tracker", tracker.addr.as_str()];
    let id = run(&lab, &["search", "program", at[0], at[1]]).event("hit")["id"].as_str().expect("id").to_owned();
    let get = |arguments: &[&str]| {
        let ended = run(&lab, &[&["get"], arguments].concat());
        let path = lab.path(ended.done()["path"].as_str().expect("a path"));
        assert_eq!(mode(&path), 0o100, "{arguments:?}");
    };
    get(&["program", "-o", "1/", at[0], at[1]]);
    get(&[&id, "-o", "2/", at[0], at[1]]);
    get(&[&id, "-o", "3/", "--from", &source.addr]);
    get(&["program", "-o", "4/", "--peer", &source.addr]);
    fs::set_permissions(lab.path("1/program"), fs::Permissions::from_mode(0o644)).expect("own file");
    get(&["program", "-o", "1/", at[0], at[1]]);
    let seed = seeding(&lab, &[&id, "-o", "5/", at[0], at[1]]);
    source.process.kill();
    found(&lab, &["search", "program", at[0], at[1]], |ended| providers(ended).contains(&seed.id));
    get(&["program", "-o", "6/", at[0], at[1]]);
    get(&[&id, "-o", "7/", "--peer", &seed.addr]);
}

#[test]
fn a_tree_that_was_there_gets_the_bits_that_are_part_of_it() {
    let lab = Lab::new();
    let (tree, tracker) = (tree(&lab), lab.tracker());
    let _source = lab.share(&tracker, &[&tree], &[]);
    lab.get(&tracker, &["docs", "-o", "t/"]).done();
    for (name, mode) in [("run", 0o644), ("large.bin", 0o755)] {
        fs::set_permissions(lab.path("t/docs").join(name), fs::Permissions::from_mode(mode)).expect("own file");
    }
    assert_eq!(lab.get(&tracker, &["docs", "-o", "t/"]).done()["fetched"], 0);
    assert_same_tree(&tree, &lab.path("t/docs"));
}

/// A large file at a provider that is slow enough for others to come meanwhile.
fn slow(lab: &Lab, tracker: &Node) -> (std::path::PathBuf, Node) {
    let file = lab.file("shared/big.bin", &noise(4, 6 * MIB));
    let node = lab.share(tracker, &[&file], &["--limit", "1MiB/s"]);
    (file, node)
}

/// A `get` that has begun and is stopped, so that it has not ended before others begin, however slow they are.
fn stopped(lab: &Lab, tracker: &Node, what: &str, to: &str) -> Process {
    lab.dir("out");
    let mut get = lab.getting(tracker, &[what, "-o", to]);
    get.event_that("progress", |progress| progress["bytes"].as_u64() > Some(0));
    get.signal(Signal::STOP);
    get
}

fn waits(process: &mut Process) {
    process.event_that("warning", |w| w["message"].as_str().is_some_and(|text| text.contains("waiting until")));
}

#[test]
fn a_content_that_is_being_fetched_under_another_name_is_waited_for_and_copied() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (file, _node) = slow(&lab, &tracker);
    let first = stopped(&lab, &tracker, "big.bin", "out/one.bin");
    let mut second = lab.getting(&tracker, &["big.bin", "-o", "out/two.bin"]);
    let mut same = lab.getting(&tracker, &["big.bin", "-o", "out/one.bin"]);
    waits(&mut second);
    waits(&mut same);
    let mut third = lab.getting(&tracker, &["big.bin", "-o", "out/three.bin"]);
    waits(&mut third);
    third.signal(Signal::INT);
    let sentence = third.end().error(130);
    assert!(sentence.contains(&format!("process {} goes on fetching the same content", first.pid())), "{sentence}");
    first.signal(Signal::CONT);
    first.end().done();
    for (other, name) in [(second, "two.bin"), (same, "one.bin")] {
        assert_eq!(other.end().done()["fetched"], 0, "{name}");
        assert!(fs::read(lab.path("out").join(name)).expect("there") == fs::read(&file).expect("there"));
    }
    assert_eq!(fs::read_dir(lab.path("out")).expect("there").count(), 2, "nothing else is left");
}

#[test]
fn what_another_transfer_has_begun_is_taken_over_when_that_is_killed() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (file, _node) = slow(&lab, &tracker);
    let mut first = stopped(&lab, &tracker, "big.bin", "out/one.bin");
    let mut second = lab.getting(&tracker, &["big.bin", "-o", "out/two.bin"]);
    waits(&mut second);
    first.kill();
    let ended = second.end();
    let fetched = ended.done()["fetched"].as_u64().expect("a number");
    assert!(fetched < 6 * MIB as u64, "{fetched}");
    assert!(fs::read(lab.path("out/two.bin")).expect("there") == fs::read(&file).expect("there"));
    assert!(!lab.path("out/one.bin").exists());
}

#[test]
fn a_tree_that_is_being_fetched_under_another_name_is_waited_for_and_copied() {
    let lab = Lab::new();
    let (tree, tracker) = (tree(&lab), lab.tracker());
    lab.file("source/docs/more.bin", &noise(5, 3 * MIB));
    let _node = lab.share(&tracker, &[&tree], &["--limit", "1MiB/s"]);
    let first = stopped(&lab, &tracker, "docs", "out/one");
    let mut second = lab.getting(&tracker, &["docs", "-o", "out/two"]);
    waits(&mut second);
    first.signal(Signal::CONT);
    first.end().done();
    assert_eq!(second.end().done()["fetched"], 0);
    assert_same_tree(&tree, &lab.path("out/two"));
}

fn request(id: ContentId, to: std::path::PathBuf, share: ShareBack) -> GetRequest {
    GetRequest::new(What::Id(id)).output(to).share(share).wait(common::DEADLINE)
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_of_one_content_in_one_process_do_not_harm_each_other() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (file, _node) = slow(&lab, &tracker);
    let bytes = fs::read(&file).expect("there");
    let id = ContentId::of(&bytes);
    lab.dir("out");
    let options = Options::new(Home::at(lab.home()))
        .lifetime(Lifetime::Seeding)
        .listen(Listen::At("127.0.0.1:0".parse().expect("an address")))
        .trackers([tracker.addr.parse().expect("a tracker")]);
    let (node, _events) = node::Node::start(options).await.expect("started");
    let get = |name: &str, share| node.get(request(id, lab.path(name), share));
    let first = get("out/one.bin", ShareBack::While);
    first.progress().wait_for(|now| now.phase == Phase::Fetching && now.bytes > 0).await.expect("it runs");
    let second = get("out/two.bin", ShareBack::Seed);
    let other = get("elsewhere.bin", ShareBack::Seed);
    first.finish().await.expect("fetched");
    assert_eq!(second.finish().await.expect("copied").fetched, 0);
    assert!(other.finish().await.expect("fetched").seeding);
    // What has ended, and what goes, takes nothing away from what stays.
    fs::remove_file(lab.path("out/two.bin")).expect("there");
    let at = format!("{}@{}", node.id(), node.addr());
    let again = tokio::task::block_in_place(|| run(&lab, &["get", &id.to_string(), "-o", "again.bin", "--from", &at]));
    assert_eq!(gave(&again), node.id().to_string());
    assert!(fs::read(lab.path("again.bin")).expect("there") == bytes);
    node.stop().await;
}

/// Bytes that a process has read from files.
fn read_by(node: &Node) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", node.process.pid())).expect("Linux tells it");
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a line");
    line.parse().expect("a number")
}

#[test]
fn what_a_get_puts_below_a_shared_path_of_its_home_is_offered_and_not_read_again() {
    let lab = Lab::new();
    let (tree, tracker, home) = (tree(&lab), lab.tracker(), lab.home());
    let bytes = noise(6, 48 * MIB);
    let file = lab.file("source/film.bin", &bytes);
    let _source = lab.share(&tracker, &[&tree, &file], &[]);
    let shared = lab.dir("library");
    lab.file("library/old.txt", b"old");
    let mut share = lab.qshare_at(&home);
    share.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&shared);
    let mut share = lab.start(&mut share);
    share.wait_hashed();
    let before = read_by(&share);
    let get = |what: &str| {
        let mut get = lab.qshare_at(&home);
        get.args(["get", what, "-o", "library/", "--tracker", &tracker.addr]);
        Process::start(&mut get).end().done().clone()
    };
    let has = |name: &str, ended: &Ended| {
        let named = |hit: &&Value| hit["names"].as_array().is_some_and(|names| names.iter().any(|n| *n == name));
        ended.events.iter().filter(named).any(|hit| hit["id"].is_string() && providers(ended).contains(&share.id))
    };
    for (what, name) in [("film.bin", "library/film.bin"), ("docs", "library/docs/large.bin")] {
        get(what);
        let took = found(&lab, &["search", name, "--tracker", &tracker.addr], |ended| has(name, ended));
        eprintln!("{name} was offered {took:?} after its get");
    }
    let read = read_by(&share) - before;
    assert!(read < bytes.len() as u64 / 4, "{read} bytes were read of a file that was proven");
    assert_eq!(fs::read_dir(home.join("node/proven")).expect("made").count(), 0, "what was handed over is taken");
    fs::remove_file(lab.path("library/film.bin")).expect("there");
    let took = found(&lab, &["search", "library/film.bin", "--tracker", &tracker.addr], |ended| ended.code == Some(3));
    eprintln!("it was gone {took:?} after it was deleted");
}

#[test]
fn a_transfer_that_does_not_get_on_is_not_waited_for_longer_than_a_person_waits() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (_file, _node) = slow(&lab, &tracker);
    lab.dir("out");
    let mut first = lab.getting(&tracker, &["big.bin", "-o", "out/one.bin"]);
    first.event_that("progress", |progress| progress["bytes"].as_u64() > Some(0));
    first.signal(Signal::STOP);
    let ended = lab.get(&tracker, &["big.bin", "-o", "out/two.bin", "--wait", "1s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains(&format!("process {}", first.pid())) && sentence.contains("1s"), "{sentence}");
    let phases: Vec<_> = ended.events.iter().filter(|event| event["event"] == "phase").collect();
    assert_eq!(phases.last().map(|phase| &phase["name"]), Some(&"waiting".into()), "{ended:#?}");
    // One that gets on is waited for, however slow it is.
    let mut second = lab.getting(&tracker, &["big.bin", "-o", "out/two.bin", "--wait", "4s"]);
    waits(&mut second);
    first.signal(Signal::CONT);
    first.end().done();
    assert_eq!(second.end().done()["fetched"], 0);
}

#[test]
fn the_executable_bit_comes_from_those_who_only_fetch_it_too() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (file, source) = slow(&lab, &tracker);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("own file");
    drop(source);
    let mut source = lab.share(&tracker, &[&file], &["--limit", "1MiB/s"]);
    let id = source.process.first("offer")["id"].as_str().expect("an id").to_owned();
    for dir in ["a", "b"] {
        lab.dir(dir);
    }
    let mut first = lab.getting(&tracker, &[&id, "-o", "a/one"]);
    first.event_that("progress", |progress| progress["bytes"].as_u64() > Some(0));
    source.process.signal(Signal::TERM);
    assert_eq!(source.process.end().code, Some(0));
    let mut second = lab.getting(&tracker, &[&id, "-o", "b/two"]);
    second.event_that("progress", |progress| progress["bytes"].as_u64() > Some(0));
    // One that copies from another has it, too: it waits for that before there is anybody else.
    let mut third = lab.getting(&tracker, &[&id, "-o", "a/three"]);
    waits(&mut third);
    // The rest comes from one that does not know of it.
    let plain = lab.path("shared/plain.bin");
    fs::copy(&file, &plain).expect("copied");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("own file");
    let _plain = lab.share(&tracker, &[&plain], &[]);
    for (get, name) in [(first, "a/one"), (second, "b/two"), (third, "a/three")] {
        get.end().done();
        assert_eq!(mode(&lab.path(name)) & 0o100, 0o100, "{name}");
    }
}
