//! Processes are killed and restarted; nothing proven is lost and nothing wrong is published.

mod common;

use std::fs;

use rustix::process::Signal;

use common::{Lab, Process, noise};

const MIB: u64 = 1 << 20;

#[test]
fn a_killed_get_goes_on_where_it_was() {
    let lab = Lab::new();
    let bytes = noise(1, 64 * MIB as usize);
    let file = lab.file("shared/resume.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &["--limit", "24MiB/s"]);
    let mut proven = 0;
    for part in [10, 25, 45] {
        let mut get = lab.getting(&tracker, &["resume.bin"]);
        let mark = bytes.len() as u64 * part / 100;
        let progress = get.event_that("progress", |e| e["bytes"].as_u64() >= Some(mark));
        get.kill();
        proven = progress["bytes"].as_u64().expect("a number");
        assert!(!lab.path("resume.bin").exists(), "nothing half-written has the final name");
    }
    let ended = lab.get(&tracker, &["resume.bin"]);
    let fetched = ended.done()["fetched"].as_u64().expect("a number");
    assert!(fs::read(lab.path("resume.bin")).expect("published") == bytes);
    assert!(fetched <= bytes.len() as u64 - proven + 16 * MIB, "{proven} were proven and {fetched} fetched again");
    let left: Vec<_> = fs::read_dir(lab.path("")).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".qshare-")), "{left:?}");
}

#[test]
fn an_interrupted_get_keeps_its_progress_and_says_how_to_go_on() {
    let lab = Lab::new();
    let bytes = noise(2, 24 * MIB as usize);
    let file = lab.file("shared/interrupted.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &["--limit", "8MiB/s"]);
    let mut get = lab.getting(&tracker, &["interrupted.bin"]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(6 * MIB));
    get.signal(Signal::INT);
    let sentence = get.end().error(130);
    assert!(sentence.contains("again"), "{sentence}");
    let fetched = lab.get(&tracker, &["interrupted.bin"]).done()["fetched"].as_u64();
    assert!(fetched <= Some(18 * MIB), "{fetched:?}");
}

#[test]
fn who_gave_before_is_asked_again_when_nobody_else_knows_where_it_is() {
    let lab = Lab::new();
    let bytes = noise(4, 24 * MIB as usize);
    let file = lab.file("shared/again.bin", &bytes);
    let mut tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &["--limit", "12MiB/s"]);
    let id = blake3::hash(&bytes).to_string();
    let mut get = lab.getting(&tracker, &[&id]);
    get.event_that("progress", |event| event["bytes"].as_u64() >= Some(6 * MIB));
    get.kill();
    tracker.process.kill();
    let again = lab.get(&tracker, &[&id]);
    let (done, from) = (again.done(), &again.done()["providers"][0]);
    assert_eq!((&done["name"], &from["node"]), (&"again.bin".into(), &provider.id.as_str().into()));
    assert!(done["fetched"].as_u64() < Some(bytes.len() as u64), "{again:#?}");
    assert!(fs::read(lab.path("again.bin")).expect("published") == bytes);
    let left: Vec<_> = fs::read_dir(lab.path("")).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".qshare-")), "{left:?}");
}

#[test]
fn a_transfer_does_not_notice_that_the_tracker_died_and_search_works_again() {
    let lab = Lab::new();
    let bytes = noise(3, 24 * MIB as usize);
    let file = lab.file("shared/tracker.bin", &bytes);
    let home = lab.home();
    let mut tracker = lab.start(lab.qshare_at(&home).args(["tracker", "--listen", "127.0.0.1:0"]));
    let mut provider = lab.share(&tracker, &[&file], &["--limit", "6MiB/s"]);
    let mut get = lab.getting(&tracker, &["tracker.bin"]);
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    tracker.process.kill();
    let addr = tracker.addr.clone();
    let _again = lab.start(lab.qshare_at(&home).args(["tracker", "--listen", &addr]));
    get.end().done();
    assert!(fs::read(lab.path("tracker.bin")).expect("published") == bytes);
    provider.wait_hashed();
    let found = Process::start(lab.qshare().args(["search", "tracker.bin", "--tracker", &addr])).end();
    assert_eq!((found.code, found.event("hit")["name"].as_str()), (Some(0), Some("tracker.bin")));
}

#[test]
fn a_node_that_stops_cleanly_is_withdrawn_at_once() {
    let lab = Lab::new();
    let file = lab.file("shared/leaving.bin", b"bytes");
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &[]);
    provider.process.signal(Signal::TERM);
    let ended = provider.process.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    lab.get(&tracker, &["leaving.bin"]).error(3);
}

#[test]
fn when_all_providers_vanish_what_was_proven_is_kept() {
    let lab = Lab::new();
    let bytes = noise(4, 24 * MIB as usize);
    let file = lab.file("shared/vanish.bin", &bytes);
    let tracker = lab.tracker();
    let home = lab.home();
    let share = |home: &std::path::Path| {
        let mut command = lab.qshare_at(home);
        command.args(["share", "--listen", "127.0.0.1:0", "--limit", "8MiB/s", "--tracker", &tracker.addr]).arg(&file);
        lab.start(&mut command)
    };
    let mut provider = share(&home);
    provider.wait_hashed();
    let mut get = lab.getting(&tracker, &["vanish.bin", "--wait", "1s"]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(4 * MIB));
    provider.process.kill();
    let sentence = get.end().error(6);
    assert!(sentence.contains("vanish.bin"), "{sentence}");
    let mut provider = share(&home);
    provider.wait_hashed();
    let fetched = lab.get(&tracker, &["vanish.bin"]).done()["fetched"].as_u64().expect("a number");
    assert!(fetched <= 20 * MIB + 16 * MIB && fetched < bytes.len() as u64, "{fetched}");
}

#[test]
fn an_unchanged_tree_is_never_hashed_twice() {
    let lab = Lab::new();
    for n in 0..200 {
        lab.file(&format!("tree/{}/{n}.txt", n % 10), format!("file {n}").as_bytes());
    }
    lab.file("tree/big.bin", &noise(5, 4 * MIB as usize));
    let tracker = lab.tracker();
    let home = lab.home();
    let share = || {
        let mut command = lab.qshare_at(&home);
        command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(lab.path("tree"));
        lab.start(&mut command)
    };
    let mut first = share();
    first.wait_hashed();
    first.process.signal(Signal::TERM);
    assert_eq!(first.process.end().code, Some(0));
    let mut second = share();
    let announced = second.process.event("announced");
    assert_eq!(announced["offers"], 202, "201 files and the directory: {announced}");
    assert_eq!(announced["hashed"], 202, "the first announcement has every id: {announced}");
}

#[test]
fn tracker_share_and_get_live_in_one_home() {
    let lab = Lab::new();
    let bytes = noise(6, MIB as usize);
    let file = lab.file("shared/home.bin", &bytes);
    let home = lab.home();
    let tracker = lab.start(lab.qshare_at(&home).args(["tracker", "--listen", "127.0.0.1:0"]));
    let mut share = lab.qshare_at(&home);
    share.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&file);
    let mut provider = lab.start(&mut share);
    provider.wait_hashed();
    let ended = Process::start(lab.qshare_at(&home).args(["get", "home.bin", "--tracker", &tracker.addr])).end();
    ended.done();
    assert!(fs::read(lab.path("home.bin")).expect("published") == bytes);

    let second = Process::start(lab.qshare_at(&home).args(["share", "--listen", "127.0.0.1:0"]).arg(&file)).end();
    let sentence = second.error(2);
    assert!(sentence.contains(&provider.process.pid().to_string()), "{sentence}");
    let second = Process::start(lab.qshare_at(&home).args(["node", "--listen", "127.0.0.1:0"])).end().error(1);
    assert!(second.contains(&provider.process.pid().to_string()), "{second}");
}

#[test]
fn a_changed_tracker_key_is_refused_and_named() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let other = lab.qshare().arg("id").output().expect("runs");
    let wrong: serde_json::Value = serde_json::from_slice(&other.stdout).expect("JSON");
    let wrong = wrong["node"].as_str().expect("text");
    let target = format!("{wrong}@{}", tracker.addr);
    let sentence = Process::start(lab.qshare().args(["get", "x", "--tracker", &target])).end().error(1);
    assert!(sentence.contains(wrong) && sentence.contains(&tracker.id), "names both: {sentence}");
}
