//! What commands offer through the running node of their home: with them, for good, for friends alone, and no longer.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Ended, Lab, Node, Process, noise, until};
use rustix::process::Signal;
use serde_json::Value;

/// A home whose node shares one file, and somebody who fetches from it.
struct Stage {
    lab: Lab,
    home: PathBuf,
    node: Node,
    guest: PathBuf,
}

impl Stage {
    fn new(more: &[&str]) -> Self {
        let lab = Lab::new();
        let (home, guest) = (lab.home(), lab.home());
        let node = sharing(&lab, &home, more);
        Self { lab, home, node, guest }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Process::start(self.lab.qshare_at(&self.home).args(arguments)).end()
    }

    /// A `share` of something through the node, once it has its id.
    fn share(&self, path: &Path, more: &[&str]) -> (Process, String) {
        let mut share = Process::start(self.lab.qshare_at(&self.home).arg("share").args(more).arg(path));
        let id = share.first("offer")["id"].as_str().expect("an id").to_owned();
        (share, id)
    }

    fn from(&self) -> String {
        format!("{}@{}", self.node.id, self.node.addr)
    }

    /// Somebody fetches something from the node.
    fn get(&self, who: &Path, what: &str) -> Ended {
        let into = self.lab.home().join("got/");
        let mut get = self.lab.qshare_at(who);
        Process::start(get.args(["get", what, "--from", &self.from(), "-o"]).arg(into)).end()
    }

    /// What the node offers now.
    fn offers(&self) -> Vec<Value> {
        let listed = self.run(&["share"]);
        assert_eq!(listed.code, Some(0), "{listed:#?}");
        listed.events.into_iter().filter(|event| event["event"] == "shared").collect()
    }

    fn offer(&self, name: &str) -> Value {
        self.offers().into_iter().find(|offer| offer["name"] == name).unwrap_or_default()
    }
}

fn sharing(lab: &Lab, home: &Path, more: &[&str]) -> Node {
    let file = lab.file("first/first.txt", b"first");
    let mut node = lab.start(lab.qshare_at(home).args(["share", "--listen", "127.0.0.1:0"]).args(more).arg(file));
    node.process.event("offer");
    node
}

#[test]
fn what_a_command_offers_goes_with_it_and_the_node_stays() {
    let stage = Stage::new(&[]);
    let (mut share, id) = stage.share(&stage.lab.file("second.txt", b"second"), &[]);
    assert_eq!(share.first("listening")["node"], *stage.node.id);
    stage.get(&stage.guest, &id).done();
    let upload = share.event_that("upload", |upload| upload["state"] == "begun");
    assert_eq!(upload["name"], "second.txt");
    share.event_that("upload", |upload| upload["state"] == "ended");
    stage.get(&stage.guest, "first").done();
    share.signal(Signal::TERM);
    let ended = share.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let others = ended.events.iter().filter(|event| event["event"] == "upload" && event["name"] != "second.txt");
    assert_eq!(others.count(), 0, "{:?}", ended.events);
    // When the command has ended nobody gets it any more.
    stage.get(&stage.guest, &id).error(3);
    stage.get(&stage.guest, "first").done();
    // The same with a command that had no time to say so.
    let (mut share, _) = stage.share(&stage.lab.file("second.txt", b"second"), &[]);
    share.kill();
    until("it is offered no longer", || stage.offer("second.txt").is_null());
}

#[test]
fn what_is_kept_is_offered_again_until_it_is_unshared() {
    let mut stage = Stage::new(&[]);
    let kept = stage.lab.file("kept/notes.txt", b"notes").parent().expect("a directory").to_owned();
    let path = kept.display().to_string();
    assert_eq!(stage.run(&["share", "--keep", &path]).code, Some(0));
    until("it is hashed", || stage.offer("kept")["id"].is_string());
    assert_eq!(stage.offer("kept")["kept"], true);
    assert_eq!(stage.offer("first.txt")["kept"], false);
    stage.run(&["stop"]).event("stopped");
    stage.node = stage.lab.start(stage.lab.qshare_at(&stage.home).args(["node", "--listen", "127.0.0.1:0"]));
    stage.node.process.event("offer");
    stage.get(&stage.guest, "kept").done();
    until("that is counted", || stage.offer("kept")["fetched"].as_u64() > Some(0));
    assert!(stage.offer("kept")["last"].is_string());
    // By its path, its name, and its id.
    for by in ["path", "name", "id"] {
        let id = stage.offer("kept")["id"].as_str().expect("an id").to_owned();
        let what = match by {
            "path" => path.clone(),
            "name" => "kept".to_owned(),
            _ => id[..8].to_owned(),
        };
        assert_eq!(stage.run(&["unshare", &what]).event("unshared")["what"], "kept", "{by}");
        stage.get(&stage.guest, &id).error(3);
        assert!(stage.run(&["unshare", &what]).error(3).contains("`qshare share` lists"), "{by}");
        assert_eq!(stage.run(&["share", "--keep", &path]).code, Some(0));
        until("it is hashed again", || stage.offer("kept")["id"].is_string());
    }
    stage.run(&["stop"]).event("stopped");
    assert_eq!(stage.run(&["unshare", &path]).event("unshared")["what"], *path);
    assert!(stage.run(&["share"]).error(2).contains("nothing to share"));
}

#[test]
fn what_is_for_friends_alone_is_so_beside_what_is_for_everybody() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (friend, home) = (lab.home(), lab.home());
    let id = Process::start(lab.qshare_at(&friend).arg("id")).end().event("id")["node"].clone();
    let add = ["friends", "add", "anna", id.as_str().expect("an id")];
    Process::start(lab.qshare_at(&home).args(add)).end().event("friend");
    let node = sharing(&lab, &home, &["--tracker", &tracker.addr]);
    let stage = Stage { guest: lab.home(), lab, home, node };
    let diary = stage.lab.file("diary/monday.txt", b"dear diary").parent().expect("a directory").to_owned();
    let (_share, id) = stage.share(&diary, &["--friends-only", "--tracker", &tracker.addr]);
    stage.get(&friend, &id).done();
    stage.get(&friend, "diary").done();
    let peer = ["--peer", &stage.node.addr, "--tracker", &tracker.addr];
    let search =
        |who: &Path, words: &str| Process::start(stage.lab.qshare_at(who).args(["search", words]).args(peer)).end();
    search(&friend, "monday").event("hit");
    search(&stage.guest, "monday").error(3);
    search(&stage.guest, "first").event("hit");
    stage.get(&stage.guest, &id).error(3);
    stage.get(&stage.guest, "first").done();
    let ls = Process::start(stage.lab.qshare_at(&stage.guest).args(["ls", &stage.from()])).end();
    let names: Vec<_> = ls.events.iter().filter(|event| event["event"] == "hit").map(|hit| &hit["name"]).collect();
    assert_eq!(names, ["first.txt"]);
    assert_eq!(stage.offer("diary")["friends_only"], true);
    // What is offered cannot change its audience unnoticed.
    let other = stage.run(&["share", &diary.display().to_string(), "--tracker", &tracker.addr]);
    assert!(other.error(2).contains("qshare unshare diary"), "{}", other.stderr);
}

#[test]
fn an_offer_for_everybody_is_that_on_a_node_that_began_for_friends() {
    let stage = Stage::new(&["--friends-only"]);
    assert!(stage.get(&stage.guest, "first").error(1).contains("only its friends"));
    let (_share, id) = stage.share(&stage.lab.file("open.txt", b"open"), &[]);
    stage.get(&stage.guest, &id).done();
    stage.get(&stage.guest, "first").error(3);
}

#[test]
fn what_belongs_to_the_node_is_refused_for_an_offer() {
    let stage = Stage::new(&[]);
    let file = stage.lab.file("second.txt", b"second").display().to_string();
    for option in [&["--listen", "127.0.0.1:0"][..], &["--only-peers"]] {
        let refused = stage.run(&[&["share", &file], option].concat());
        let why = refused.error(2);
        assert!(why.contains(option[0]) && why.contains("qshare stop"), "{why}");
    }
    stage.lab.file("x/second.txt", b"another");
    let _share = stage.share(Path::new(&file), &[]);
    let taken = stage.run(&["share", &stage.lab.path("x/second.txt").display().to_string()]);
    assert!(taken.error(2).contains("would be offered as second.txt"), "{}", taken.stderr);
    let missing = stage.run(&["share", &stage.lab.path("nothing").display().to_string()]);
    assert!(missing.error(1).contains("cannot be shared"), "{}", missing.stderr);
}

#[test]
fn a_share_whose_node_ends_takes_its_place() {
    let mut stage = Stage::new(&[]);
    let (mut share, id) = stage.share(&stage.lab.file("second.txt", b"second"), &[]);
    stage.node.process.kill();
    let begun = share.event_that("listening", |line| line["addr"] != *stage.node.addr);
    assert_eq!(begun["node"], *stage.node.id, "it is the same home");
    stage.node.addr = begun["addr"].as_str().expect("an address").to_owned();
    share.event("offer");
    stage.get(&stage.guest, &id).done();
}

#[test]
fn a_share_whose_node_is_stopped_ends_with_it_and_says_so() {
    let stage = Stage::new(&[]);
    let (share, _) = stage.share(&stage.lab.file("second.txt", b"second"), &[]);
    let third = stage.lab.file("third.txt", b"third");
    let mut people = stage.lab.people_at(&stage.home);
    let people = people.arg("share").arg(third).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    until("it is offered there", || !stage.offer("third.txt").is_null());
    stage.run(&["stop"]).event("stopped");
    assert_eq!(share.end().code, Some(0));
    let told = people.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && said.contains("`qshare stop` has ended the node"), "{said}");
    assert!(stage.run(&["status"]).event("status")["running"].is_null(), "nobody takes its place");
}

#[test]
fn a_signal_that_comes_while_the_home_changes_hands_is_heeded() {
    for pause in [0, 5, 10, 20, 40] {
        let stage = Stage::new(&[]);
        let shares = ["second.txt", "third.txt"].map(|name| stage.share(&stage.lab.file(name, name.as_bytes()), &[]).0);
        stage.node.process.signal(Signal::TERM);
        // So that it comes before, while and after they look for another node.
        std::thread::sleep(Duration::from_millis(pause));
        shares.iter().for_each(|share| share.signal(Signal::TERM));
        for share in shares {
            assert_eq!(share.end().code, Some(0), "{pause} ms");
        }
    }
}

#[test]
fn a_share_takes_the_home_from_a_get_which_goes_on_through_it() {
    let lab = Lab::new();
    let (home, content) = (lab.home(), noise(7, 12 << 20));
    let (source, target) = (lab.file("source/big.bin", &content), lab.path("big.bin"));
    let mut slow = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0", "--limit", "4M"]).arg(source));
    let id = slow.process.event("offer")["id"].as_str().expect("an id").to_owned();
    let from = format!("{}@{}", slow.id, slow.addr);
    let mut get = lab.qshare_at(&home);
    let mut get = Process::start(get.args(["get", &id, "--from", &from, "-o"]).arg(&target));
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let node = sharing(&lab, &home, &[]);
    let ended = get.end();
    assert_eq!(ended.done()["path"], target.display().to_string(), "{}", ended.stderr);
    assert!(fs::read(&target).expect("published") == content);
    slow.process.signal(Signal::TERM);
    let seen = slow.process.end();
    let takers: Vec<_> = seen.events.iter().filter(|event| event["event"] == "upload").map(|of| &of["node"]).collect();
    assert!(!takers.is_empty() && takers.iter().all(|taker| **taker == *node.id), "one home is one node: {takers:?}");
}

#[test]
fn what_was_for_everybody_is_not_had_from_what_is_for_friends_alone() {
    let stage = Stage::new(&[]);
    let old = |name: &str| stage.offer(name)["id"].as_str().unwrap_or_default().to_owned();
    // The same directory, first for everybody, then changed, then for friends alone.
    let one = stage.lab.file("one/a.txt", b"a").parent().expect("a directory").to_owned();
    let (public, id) = stage.share(&one, &[]);
    stage.lab.file("one/b.txt", b"b");
    until("it has changed", || ![String::new(), id.clone()].contains(&old("one")));
    drop(public);
    stage.run(&["unshare", "one"]).event("unshared");
    let _friends = stage.share(&one, &["--friends-only"]);
    stage.get(&stage.guest, &id).error(3);
    // A copy for friends alone, which changes while the other is for everybody.
    let (two, copy) = (stage.lab.file("x/two/a.txt", b"two"), stage.lab.file("y/copy/a.txt", b"two"));
    let (two, copy) = (two.parent().expect("a directory"), copy.parent().expect("a directory"));
    let (_public, id) = stage.share(two, &[]);
    let (_friends, same) = stage.share(copy, &["--friends-only"]);
    assert_eq!(id, same);
    stage.lab.file("y/copy/b.txt", b"b");
    until("it has changed", || ![String::new(), id.clone()].contains(&old("copy")));
    stage.get(&stage.guest, &id).done();
    stage.run(&["unshare", "two"]).event("unshared");
    stage.get(&stage.guest, &id).error(3);
}

#[test]
fn what_is_unshared_ends_in_mid_transfer_and_the_command_with_it() {
    let stage = Stage::new(&[]);
    let (mut share, id) = stage.share(&stage.lab.file("big.bin", &noise(8, 24 << 20)), &[]);
    stage.run(&["limit", "--up", "2M"]).event("limit");
    let mut get = stage.lab.qshare_at(&stage.guest);
    let into = stage.lab.path("big-here.bin");
    let mut get = Process::start(get.args(["get", &id, "--wait", "1", "--from", &stage.from(), "-o"]).arg(&into));
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    stage.run(&["unshare", "big.bin"]).event("unshared");
    let ended = get.end();
    assert!(ended.code != Some(0) && !into.exists(), "{ended:#?}");
    let done = share.event_that("upload", |upload| upload["state"] == "ended");
    assert!(done["bytes"].as_u64() < Some(16 << 20), "{done}");
    assert_eq!(share.end().code, Some(0), "nothing is left to share");
}

#[test]
fn what_is_offered_already_is_not_silently_offered_otherwise() {
    let stage = Stage::new(&[]);
    let dir = stage.lab.file("dir/a.txt", b"a").parent().expect("a directory").display().to_string();
    stage.lab.file("dir/b.key2", b"b");
    assert_eq!(stage.run(&["share", "--keep", &dir]).event("shared")["name"], "dir");
    let other = stage.run(&["share", "--keep", &dir, "--exclude", "*.key2"]).error(2);
    assert!(other.contains("qshare unshare dir"), "{other}");
    let inner = stage.lab.file("dir/inner/diary.txt", b"dear").parent().expect("a directory").display().to_string();
    let crossing = stage.run(&["share", "--keep", "--friends-only", &inner]);
    let warning = crossing.event("warning")["message"].as_str().expect("text").to_owned();
    assert!(warning.contains("offered as dir as well"), "{warning}");
    // Without a node it is listed, not offered.
    stage.run(&["stop"]).event("stopped");
    let kept = stage.run(&["share"]);
    assert_eq!(kept.events.iter().filter(|line| line["event"] == "shared").count(), 2, "{kept:#?}");
}

/// Whether a search for this at a tracker ends with this code.
fn found(lab: &Lab, tracker: &Node, words: &str, code: i32) -> bool {
    let search = Process::start(lab.qshare().args(["search", words, "--tracker", &tracker.addr])).end();
    search.code == Some(code)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a rate is about time")]
fn an_offer_has_a_rate_and_trackers_of_its_own() {
    let (first, second) = (Lab::new(), Lab::new());
    let (tracker, further) = (first.tracker(), second.tracker());
    let mut stage = Stage::new(&["--tracker", &tracker.addr]);
    let big = stage.lab.file("big.bin", &noise(9, 5 << 20));
    let terms = ["--limit", "1M", "--tracker", &further.addr];
    let (mut share, id) = stage.share(&big, &terms);
    let told = share.event_that("announced", |told| told["tracker"] == *further.addr && told["hashed"] == 1);
    assert_eq!(told["offers"], 1, "of nothing else");
    assert!(found(&stage.lab, &further, "big", 0) && found(&stage.lab, &further, "first", 3));
    let status = stage.run(&["status"]).event("status")["running"]["trackers"].clone();
    let told = |at: &str| status.as_array().and_then(|all| all.iter().find(|told| told["tracker"] == at)).cloned();
    let (all, some) = (told(&tracker.addr).expect("it is told of all"), told(&further.addr).expect("and it of some"));
    assert_eq!((&all["partly"], &some["partly"], &some["offers"]), (&false.into(), &true.into(), &1.into()));
    assert!(found(&stage.lab, &tracker, "first", 0));
    assert_eq!(
        (&stage.offer("big.bin")["limit"], &stage.offer("first.txt")["limit"]),
        (&(1 << 20).into(), &Value::Null)
    );
    let begun = Instant::now();
    stage.get(&stage.guest, &id).done();
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?} for 5 MiB at 1 MiB/s", begun.elapsed());
    // At another rate it would be another offer.
    let path = big.display().to_string();
    assert!(stage.run(&["share", &path]).error(2).contains("qshare unshare big.bin"));
    share.signal(Signal::TERM);
    assert_eq!(share.end().code, Some(0));
    until("it is announced no longer", || found(&stage.lab, &further, "big", 3));
    // Kept, it has both at the next start.
    stage.run(&[&["share", "--keep", &path], &terms[..]].concat()).event("shared");
    until("it is announced", || found(&stage.lab, &further, "big", 0));
    stage.run(&["stop"]).event("stopped");
    until("it has gone", || found(&stage.lab, &further, "big", 3));
    stage.node = stage.lab.start(stage.lab.qshare_at(&stage.home).args(["node", "--listen", "127.0.0.1:0"]));
    until("it is announced again", || found(&stage.lab, &further, "big", 0));
    assert_eq!(stage.offer("big.bin")["limit"], 1 << 20);
    // A command that runs the node itself offers it as that is wanted now, and keeps what it was to be.
    stage.run(&["stop"]).event("stopped");
    stage.node = sharing(&stage.lab, &stage.home, &[&path, "--limit", "2M"]);
    assert!(
        stage.node.process.events.iter().all(|event| event["event"] != "warning"),
        "{:?}",
        stage.node.process.events
    );
    assert_eq!((&stage.offer("big.bin")["kept"], &stage.offer("big.bin")["limit"]), (&true.into(), &(2 << 20).into()));
    assert_eq!(stage.run(&["limit"]).event("limit")["up"], Value::Null, "what comes later has its own");
    stage.run(&["unshare", "big.bin"]).event("unshared");
    until("it is unshared there, too", || found(&stage.lab, &further, "big", 3));
}

#[test]
fn a_peer_of_an_offer_becomes_a_neighbour_of_the_node() {
    let stage = Stage::new(&["--only-peers"]);
    let other = stage.lab.offering("near.txt");
    let file = stage.lab.file("second.txt", b"second");
    let (_share, _) = stage.share(&file, &["--only-peers", "--peer", &other.addr]);
    let near = || stage.run(&["neighbours"]).events.iter().any(|line| line["node"] == *other.id);
    until("it is a neighbour", near);
}
