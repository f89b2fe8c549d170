//! `qshare demo` on a small tree: it ends well, says what it verified, and leaves nothing behind.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::{Lab, Process, noise};
use rustix::process::Signal;

const MIB: usize = 1 << 20;

/// A tree of a few MiB with everything that a tree can have.
fn tree(lab: &Lab) -> std::path::PathBuf {
    lab.file("a tree/large.bin", &noise(1, 5 * MIB));
    for n in 0..20 {
        lab.file(&format!("a tree/small/{n}.bin"), &noise(n, 3000 * n as usize));
    }
    lab.file("a tree/empty.txt", b"");
    lab.dir("a tree/empty directory");
    let script = lab.file("a tree/run", b"#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("own file");
    lab.path("a tree")
}

#[test]
fn a_small_tree_is_fetched_and_verified() {
    let lab = Lab::new();
    let (tree, tmp) = (tree(&lab), lab.dir("tmp"));
    let ended = Process::start(lab.qshare().env("TMPDIR", &tmp).arg("demo").arg(&tree)).end();
    let done = ended.done();
    assert_eq!(done["name"], "a tree");
    let verified = ended.event("verified");
    let counts = ["files", "directories", "executables"].map(|key| verified[key].as_u64().expect("a number"));
    assert_eq!(counts, [23, 2, 1], "{verified}");
    assert_eq!(verified["bytes"], done["bytes"]);
    let hit = ended.event("hit");
    assert_eq!((hit["name"].as_str(), hit["kind"].as_str()), (Some("a tree"), Some("collection")));
    assert_eq!(hit["providers"].as_array().map(Vec::len), Some(3), "{hit}");
    let steps = ended.events.iter().filter(|event| event["event"] == "step").count();
    assert_eq!(steps, 7, "{ended:#?}");
    assert_eq!(fs::read_dir(&tmp).expect("there").count(), 0, "nothing is left in the temporary directory");
    assert!(!lab.path("home-1").exists(), "the user's home is not used");
}

#[test]
fn an_empty_tree_works_and_says_that_nobody_was_killed() {
    let lab = Lab::new();
    let empty = lab.dir("empty");
    let ended = Process::start(lab.qshare().arg("demo").arg(&empty)).end();
    assert_eq!(ended.done()["fetched"], 0);
    let verified = ended.event("verified");
    assert_eq!((verified["files"].as_u64(), verified["killed"].as_bool()), (Some(0), Some(false)));
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let lab = Lab::new();
    let (tree, tmp) = (tree(&lab), lab.dir("tmp"));
    let mut demo = Process::start(lab.qshare().env("TMPDIR", &tmp).arg("demo").arg(&tree));
    demo.event_that("step", |step| step["number"] == 2);
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code, Some(130));
    assert_eq!(fs::read_dir(&tmp).expect("there").count(), 0, "nothing is left in the temporary directory");
}

#[test]
fn what_is_no_directory_is_refused() {
    let lab = Lab::new();
    let file = lab.file("file", b"x");
    let sentence = Process::start(lab.qshare().arg("demo").arg(&file)).end().error(2);
    assert!(sentence.contains("is not a directory"), "{sentence}");
    let sentence = Process::start(lab.qshare().arg("demo").arg(lab.path("absent"))).end().error(1);
    assert!(sentence.contains("absent") && sentence.contains("cannot be read"), "{sentence}");
}
