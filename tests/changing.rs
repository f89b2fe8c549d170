//! What a provider does while its files change: touched, linked, written all the time, changed in the middle of a tree.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use common::{Lab, Node, Process, Writer, noise};

const MIB: usize = 1 << 20;
/// Less than the rest of a provider that has been left: who waits for it to be over ends without everything.
const WAIT: [&str; 2] = ["--wait", "20s"];

/// What is done to a file.
type Change<'a> = &'a dyn Fn(&Path);

fn warning_with(events: &[Value], text: &str) -> bool {
    events.iter().any(|e| e["event"] == "warning" && e["message"].as_str().is_some_and(|m| m.contains(text)))
}

/// Shares without waiting for all ids: of a file that keeps changing there is none.
fn sharing(lab: &Lab, tracker: &Node, path: &Path) -> Node {
    lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(path))
}

fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}

#[test]
fn a_file_that_is_written_all_the_time_is_left_out_told_on_both_sides_and_comes_back() {
    let lab = Lab::new();
    for (seed, name, len) in [(1, "old1.gz", 100_000), (2, "old2.gz", 3 * MIB)] {
        lab.file(&format!("logs/{name}"), &noise(seed, len));
    }
    let writer = Writer::of(lab.path("logs/app.log"));
    let tracker = lab.tracker();
    let mut node = sharing(&lab, &tracker, &lab.path("logs"));
    node.process.event_that("warning", |e| message(e).contains("app.log is left out of logs"));
    node.process.event_that("announced", |e| e["hashed"] == 3);

    let only = lab.get(&tracker, &["logs", "--only", "*.gz", "-o", "only/"]);
    only.done();
    assert!(!warning_with(&only.events, "app.log"), "it was not asked for: {only:#?}");
    let all = lab.get(&tracker, &["logs", "-o", "all/"]);
    let first = all.done_with_less()["id"].clone();
    assert!(warning_with(&all.events, "logs comes without app.log"), "{all:#?}");
    for dir in ["only", "all"] {
        assert!(
            lab.path(&format!("{dir}/logs/old1.gz")).exists() && !lab.path(&format!("{dir}/logs/app.log")).exists()
        );
    }
    // Told again by the run that goes on with an earlier one, which has the list already.
    let arguments = ["logs", "-o", "later/"];
    let mut begun = lab.getting(&tracker, &[&arguments[..], &["--limit", "1MiB/s"]].concat());
    begun.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    begun.signal(rustix::process::Signal::INT);
    begun.end().error(130);
    let resumed = lab.get(&tracker, &arguments);
    let done = resumed.done_with_less();
    assert!(done["fetched"].as_u64() < done["bytes"].as_u64(), "{resumed:#?}");
    assert!(warning_with(&resumed.events, "logs comes without app.log"), "{resumed:#?}");
    let one = lab.get(&tracker, &["app.log", "-o", "log"]);
    // Between two writes it may have had an id for a moment: then it is fetched, or it changed meanwhile.
    if one.code != Some(0) {
        assert!(message(one.event("error")).contains("app.log"), "{one:#?}");
    }

    drop(writer);
    node.process.event_that("offer", |e| e["name"] == "logs" && e["id"] != first);
    node.process.event_that("announced", |e| e["offers"] == 4 && e["hashed"] == 4);
    let whole = lab.get(&tracker, &["logs", "-o", "whole/"]);
    whole.done();
    assert!(!warning_with(&whole.events, "app.log"), "{whole:#?}");
    common::assert_same_tree(&lab.path("logs"), &lab.path("whole/logs"));
    // Who has found the earlier one and asks for it now is told what that lacks.
    let first = first.as_str().expect("an id");
    let former = lab.get(&tracker, &[first, "--from", &node.addr, "-o", "former/"]);
    former.done_with_less();
    assert!(warning_with(&former.events, "comes without app.log"), "{former:#?}");
}

#[cfg(unix)]
#[test]
fn a_touch_a_link_or_a_new_mode_in_the_middle_stops_no_transfer() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let bytes = noise(2, 12 * MIB);
    let big = lab.file("shared/big.bin", &bytes);
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&big], &[]);
    let mut get = lab.getting(&tracker, &["big.bin", "--limit", "6MiB/s", WAIT[0], WAIT[1]]);
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    File::options().write(true).open(&big).and_then(|f| f.set_modified(UNIX_EPOCH)).expect("own file");
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(4 << 20));
    fs::hard_link(&big, lab.path("link")).expect("own file");
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(7 << 20));
    fs::set_permissions(&big, fs::Permissions::from_mode(0o640)).expect("own file");
    let ended = get.end();
    ended.done();
    assert!(!warning_with(&ended.events, "provider"), "nobody was left: {ended:#?}");
    assert!(fs::read(lab.path("big.bin")).expect("published") == bytes);
}

#[cfg(unix)]
#[test]
fn a_tree_can_be_had_at_once_after_its_files_were_linked_unlinked_touched_or_given_another_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let paths: Vec<_> = (0..40).map(|i| lab.file(&format!("tree/{i}"), &noise(i, 50_000))).collect();
    let large = lab.file("tree/large", &noise(100, 3 * MIB));
    let all = || paths.iter().chain([&large]);
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    lab.dir("links");
    let link = |path: &Path| lab.path("links").join(path.file_name().expect("has one"));
    let touch = |path: &Path| File::options().write(true).open(path).and_then(|f| f.set_modified(UNIX_EPOCH));
    let changes: [(&str, Change<'_>); 4] = [
        ("linked", &|path| fs::hard_link(path, link(path)).expect("own file")),
        ("unlinked", &|path| fs::remove_file(link(path)).expect("own file")),
        ("mode", &|path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("own file")),
        ("touched", &|path| touch(path).expect("own file")),
    ];
    for (name, change) in changes {
        all().for_each(|path| change(path));
        let out = format!("{name}/");
        let ended = lab.get(&tracker, &["tree", "-o", &out, WAIT[0], WAIT[1]]);
        ended.done();
        assert!(!warning_with(&ended.events, "provider"), "{name}: {ended:#?}");
        common::assert_same_tree(&lab.path("tree"), &lab.path(&format!("{name}/tree")));
    }
}

#[test]
fn when_one_file_of_a_tree_changes_the_others_still_come() {
    let lab = Lab::new();
    let bytes = noise(3, 12 * MIB);
    lab.file("tree/big", &bytes);
    lab.file("tree/small", &noise(4, MIB));
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let mut get = lab.getting(&tracker, &["tree", "-o", "out/", "--limit", "6MiB/s", "--wait", "5s"]);
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    lab.file("tree/small", b"now it is another one");
    let ended = get.end();
    // Whether the small one came before it changed is a matter of luck.
    if ended.code != Some(0) {
        let proven = ended.events.iter().filter_map(|e| e["bytes"].as_u64()).max();
        assert!(proven >= Some(bytes.len() as u64), "the big file came whole: {ended:#?}");
    }
}

/// Also for who begins only then, with the id that it was told before.
#[test]
fn what_is_left_of_a_tree_is_found_by_its_former_id() {
    let lab = Lab::new();
    let big = noise(8, 4 * MIB);
    lab.file("tree/big", &big);
    lab.file("tree/small", &noise(9, MIB));
    let tracker = lab.tracker();
    let node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let looked = || lab.get(&tracker, &["tree", "-n"]).event("done")["id"].as_str().expect("known").to_owned();
    let former = looked();
    lab.file("tree/small", b"now it is another one");
    common::until("the tree has another id", || looked() != former);
    let get = ["--peer", &node.addr, "get", &former, "--only", "big", "-o", "came"];
    let ended = Process::start(lab.qshare().args(get)).end();
    ended.done();
    assert!(fs::read(lab.path("came/big")).expect("published") == big);
    assert!(!lab.path("came/small").exists());
}

#[test]
fn a_file_that_is_moved_within_its_tree_goes_on_being_served() {
    let lab = Lab::new();
    lab.file("tree/a", &noise(5, 8 * MIB));
    lab.file("tree/b", &noise(6, 4 * MIB));
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let mut get = lab.getting(&tracker, &["tree", "-o", "out/", "--limit", "6MiB/s", WAIT[0], WAIT[1]]);
    get.event_that("progress", |e| e["bytes"].as_u64() > Some(0));
    for name in ["a", "b"] {
        fs::rename(lab.path(&format!("tree/{name}")), lab.path(&format!("tree/moved-{name}"))).expect("own file");
    }
    get.end().done();
    for name in ["a", "b"] {
        let (moved, came) = (lab.path(&format!("tree/moved-{name}")), lab.path(&format!("out/tree/{name}")));
        assert!(fs::read(moved).expect("own file") == fs::read(came).expect("published"), "{name}");
    }
}
