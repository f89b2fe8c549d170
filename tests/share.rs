//! What `share` publishes, leaves out, and does when files change under it; and who may announce at all.

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;

use common::{Lab, Node, Process, noise, until};

const MIB: usize = 1 << 20;

fn announced(node: &mut Node, offers: u64) {
    node.process.event_that("announced", |e| e["offers"] == offers && e["hashed"] == offers);
}

fn warning_with(events: &[Value], text: &str) -> bool {
    events.iter().any(|e| e["event"] == "warning" && e["message"].as_str().is_some_and(|m| m.contains(text)))
}

#[test]
fn a_file_that_changes_while_it_is_served_is_taken_from_others_without_blame() {
    let lab = Lab::new();
    let bytes = noise(1, 24 * MIB);
    let changing = lab.file("a/big.bin", &bytes);
    let staying = lab.file("b/big.bin", &bytes);
    let tracker = lab.tracker();
    let mut one = lab.share(&tracker, &[&changing], &["--limit", "4MiB/s"]);
    let two = lab.share(&tracker, &[&staying], &["--limit", "4MiB/s"]);
    let mut get = lab.getting(&tracker, &["big.bin"]);
    let gave = |e: &Value, node: &str| {
        let providers = e["providers"].as_array().into_iter().flatten();
        providers.filter(|p| p["node"] == node).any(|p| p["bytes"].as_u64() > Some(0))
    };
    get.event_that("progress", |e| gave(e, &one.id) && gave(e, &two.id));
    let other = noise(2, 3 * MIB);
    fs::write(&changing, &other).expect("own file");
    announced(&mut one, 1);
    let ended = get.end();
    assert_eq!(ended.done()["id"], blake3::hash(&bytes).to_string());
    assert!(fs::read(lab.path("big.bin")).expect("published") == bytes);
    assert!(!warning_with(&ended.events, "wrong bytes"), "{ended:#?}");
    let id = blake3::hash(&other).to_string();
    lab.get(&tracker, &[&id, "-o", "other.bin"]).done();
    assert!(fs::read(lab.path("other.bin")).expect("published") == other);
}

#[test]
fn a_link_made_to_a_shared_file_elsewhere_does_not_stop_its_transfer() {
    let lab = Lab::new();
    let bytes = noise(3, 2 * MIB);
    let big = lab.file("shared/big.bin", &bytes);
    let small = lab.file("shared/tree/small.bin", b"small");
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&big, &lab.path("shared/tree")], &[]);
    for (file, link) in [(&big, "big.link"), (&small, "small.link")] {
        fs::hard_link(file, lab.path(link)).expect("own file");
    }
    lab.get(&tracker, &["big.bin", "-o", "out/"]).done();
    assert!(fs::read(lab.path("out/big.bin")).expect("published") == bytes);
    lab.get(&tracker, &["tree", "-o", "out/"]).done();
    assert_eq!(fs::read(lab.path("out/tree/small.bin")).expect("published"), b"small");
}

#[test]
fn new_files_are_found_and_deleted_ones_disappear_without_a_restart() {
    let lab = Lab::new();
    lab.file("tree/old.txt", b"old");
    let tracker = lab.tracker();
    let mut node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let first = lab.get(&tracker, &["tree", "-o", "1/"]).done()["id"].clone();
    lab.file("tree/deep/down/brand-new.txt", b"new");
    announced(&mut node, 3);
    lab.get(&tracker, &["brand-new.txt"]).done();
    assert_eq!(fs::read(lab.path("brand-new.txt")).expect("published"), b"new");
    let second = lab.get(&tracker, &["tree", "-o", "2/"]);
    assert_ne!(second.done()["id"], first, "the collection is another one");
    common::assert_same_tree(&lab.path("tree"), &lab.path("2/tree"));
    fs::remove_file(lab.path("tree/old.txt")).expect("there");
    announced(&mut node, 2);
    Process::start(lab.qshare().args(["search", "old.txt", "--tracker", &tracker.addr])).end().error(3);
}

#[test]
fn what_cannot_be_read_is_named_and_skipped() {
    let lab = Lab::new();
    lab.file("tree/good.txt", b"good");
    let status = std::process::Command::new("mkfifo").arg(lab.path("tree/a-pipe")).status();
    assert!(status.expect("mkfifo is there").success());
    std::os::unix::fs::symlink(lab.path("nowhere"), lab.path("tree/dangling")).expect("linked");
    let tracker = lab.tracker();
    let node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    assert!(warning_with(&node.process.events, "a-pipe"), "{:#?}", node.process.events);
    lab.get(&tracker, &["tree", "-o", "out/"]).done();
    assert_eq!(fs::read_dir(lab.path("out/tree")).expect("there").count(), 1);
    let absent = Process::start(lab.qshare().arg("share").arg(lab.path("absent"))).end().error(1);
    assert!(absent.contains("absent"), "{absent}");
}

/// Root reads everything, so the process is one of another user.
#[test]
fn a_file_without_permission_is_named_and_skipped() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    lab.file("tree/good.txt", b"good");
    let locked = lab.file("tree/locked.txt", b"locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("own file");
    if fs::read(&locked).is_ok() {
        eprintln!("skipped: this user reads every file");
        return;
    }
    let tracker = lab.tracker();
    let node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    assert!(warning_with(&node.process.events, "locked.txt"), "{:#?}", node.process.events);
}

#[test]
fn secrets_are_named_and_left_out_unless_they_are_included() {
    let lab = Lab::new();
    lab.file("tree/good.txt", b"good");
    for secret in [".ssh/id_ed25519", ".gnupg/secring.gpg", "project/.git/config", "project/.env"] {
        lab.file(&format!("tree/{secret}"), b"secret");
    }
    let tracker = lab.tracker();
    let mut node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    for named in [".ssh", ".gnupg", ".git/config", ".env"] {
        assert!(warning_with(&node.process.events, named), "{named}: {:#?}", node.process.events);
    }
    lab.get(&tracker, &["tree", "-o", "out/"]).done();
    assert!(lab.path("out/tree/good.txt").exists());
    for secret in [".ssh/id_ed25519", ".gnupg/secring.gpg", "project/.git/config", "project/.env"] {
        assert!(!lab.path("out/tree").join(secret).exists(), "{secret}");
    }
    node.process.kill();
    let _node = lab.share(&tracker, &[&lab.path("tree")], &["--include-secrets"]);
    Process::start(lab.qshare().args(["search", "id_ed25519", "--tracker", &tracker.addr])).end().event("hit");
}

fn id_of(lab: &Lab, home: &Path) -> String {
    let output = lab.qshare_at(home).arg("id").output().expect("runs");
    let line: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    line["node"].as_str().expect("text").to_owned()
}

#[test]
fn a_tracker_with_a_list_lets_in_only_those_on_it() {
    let lab = Lab::new();
    let (friend, stranger) = (lab.home(), lab.home());
    let (friend_id, stranger_id) = (id_of(&lab, &friend), id_of(&lab, &stranger));
    let list = lab.file("allowed", format!("{friend_id} # a friend\n").as_bytes());
    let file = lab.file("shared/x.bin", b"bytes");
    let mut command = lab.qshare();
    let tracker = lab.start(command.args(["tracker", "--listen", "127.0.0.1:0", "--allow"]).arg(list));

    let mut command = lab.qshare_at(&friend);
    let share = ["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr];
    let mut node = lab.start(command.args(share).arg(&file));
    node.wait_hashed();
    let search = ["search", "x.bin", "--tracker", &tracker.addr];
    let ended = Process::start(lab.qshare_at(&stranger).args(search)).end();
    let sentence = ended.error(1);
    assert_eq!(ended.event("error")["code"], "forbidden");
    assert!(sentence.contains(&tracker.addr) && sentence.contains(&stranger_id), "{sentence}");
    let mut node = lab.start(lab.qshare_at(&stranger).args(share).arg(&file));
    node.process.event_that("warning", |e| e["message"].as_str().is_some_and(|m| m.contains(&stranger_id)));
}

/// Root reads everything, so the process is one of another user.
#[test]
fn a_file_whose_permission_is_taken_away_is_told_on_both_sides() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let file = lab.file("shared.bin", &noise(1, 3 * MIB));
    let (tracker, home) = (lab.tracker(), lab.dir("home-of-nobody"));
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    let Some(mut command) = lab.qshare_of_nobody(&home) else { return };
    command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr, "--limit", "1MiB/s"]).arg(&file);
    let mut node = lab.start(&mut command);
    node.wait_hashed();
    let get = ["shared.bin", "--wait", "1h", "-o", "result"];
    let mut getting = lab.getting(&tracker, &get);
    getting.event_that("progress", |event| event["bytes"].as_u64() > Some(0));
    mode(&file, 0o000);
    let sentence = getting.end().error(6);
    assert!(sentence.contains("permission") && sentence.contains("may not read"), "{sentence}");
    let told = |event: &Value| {
        let words = ["is left out until it can be read", "is left out because it cannot be read"];
        event["message"].as_str().is_some_and(|text| words.iter().any(|word| text.contains(word)))
    };
    if !node.process.events.iter().any(told) {
        node.process.event_that("warning", told);
    }
    mode(&file, 0o644);
    until("it is served again", || lab.get(&tracker, &get).code == Some(0));
    node.process.signal(rustix::process::Signal::TERM);
    let ended = node.process.end();
    assert_eq!(ended.events.iter().filter(|event| told(event)).count(), 1, "{ended:#?}");
}
