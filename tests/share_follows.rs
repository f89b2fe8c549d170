//! What `share` offers is what lies at the shared paths now, whatever became of the directories that lay there; and a
//! failure to look changes nothing of it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use common::{Lab, Node, Process};

/// The names that a node offers.
fn offered(lab: &Lab, node: &Node) -> BTreeSet<String> {
    let ended = Process::start(lab.qshare().args(["ls", &node.addr])).end();
    let hits = ended.events.iter().filter(|event| event["event"] == "hit");
    hits.flat_map(|hit| hit["names"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned))
        .collect()
}

/// Waits until a node offers these names and no other. Whatever changes that is announced.
fn offers(lab: &Lab, node: &mut Node, names: &[&str]) {
    let expected: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    loop {
        let found = offered(lab, node);
        if found == expected {
            return;
        }
        node.process.event("announced");
    }
}

fn rename(lab: &Lab, from: &str, to: &str) {
    fs::rename(lab.path(from), lab.path(to)).expect("own file");
}

fn link(lab: &Lab, to: &str, name: &str) {
    std::os::unix::fs::symlink(to, lab.path("link")).expect("linked");
    rename(lab, "link", name);
}

/// Each kind at once, for each takes a moment: a deploy by two renames, a build that makes its output anew, a parent that
/// is renamed, a deploy by a link, a file whose directory is swapped, and a directory in a tree that is.
#[test]
fn what_takes_the_place_of_something_shared_is_offered_and_watched() {
    let lab = Lab::new();
    let files =
        ["site/1", "next-site/2", "build/1", "top/pics/1", "next-top/pics/2", "release-1/app/1", "release-2/app/2"];
    let more = ["dir/f.txt", "next-dir/f.txt", "tree/sub/1", "tree/next/2"];
    for name in files.iter().chain(&more) {
        lab.file(name, name.as_bytes());
    }
    link(&lab, "release-1", "current");
    let tracker = lab.tracker();
    let shared = ["site", "build", "top/pics", "current/app", "dir/f.txt", "tree"].map(|name| lab.path(name));
    let shared: Vec<&Path> = shared.iter().map(AsRef::as_ref).collect();
    let mut node = lab.share(&tracker, &shared, &[]);
    let before = ["site", "site/1", "build", "build/1", "pics", "pics/1", "app", "app/1", "f.txt"];
    offers(&lab, &mut node, &[&before[..], &["tree", "tree/sub/1", "tree/next/2"]].concat());
    // The watch begins after the first publication: only what it tells could show this one.
    lab.file("tree/watched", b"");
    offers(&lab, &mut node, &[&before[..], &["tree", "tree/watched", "tree/sub/1", "tree/next/2"]].concat());

    for (from, to) in [("site", "old-site"), ("next-site", "site"), ("top", "old-top"), ("next-top", "top")] {
        rename(&lab, from, to);
    }
    fs::remove_dir_all(lab.path("build")).expect("own files");
    lab.file("build/2", b"build/2");
    link(&lab, "release-2", "current");
    rename(&lab, "dir", "old-dir");
    rename(&lab, "next-dir", "dir");
    rename(&lab, "tree/sub", "tree/old");
    rename(&lab, "tree/next", "tree/sub");
    let after = ["site", "site/2", "build", "build/2", "pics", "pics/2", "app", "app/2", "f.txt"];
    let tree = ["tree", "tree/watched", "tree/sub/2", "tree/old/1"];
    offers(&lab, &mut node, &[&after[..], &tree].concat());

    for name in ["site/3", "build/3", "top/pics/3", "release-2/app/3", "tree/sub/3"] {
        lab.file(name, name.as_bytes());
    }
    let added = ["site/3", "build/3", "pics/3", "app/3", "tree/sub/3"];
    offers(&lab, &mut node, &[&after[..], &tree, &added].concat());
    lab.file("dir/f.txt", b"another");
    let another = blake3::hash(b"another").to_string();
    node.process.event_that("offer", |offer| offer["name"] == "f.txt" && offer["id"] == another);
}

/// Gone is told each time, not only the first.
#[test]
fn what_is_moved_away_is_told_to_be_gone_and_offered_again_when_it_is_back() {
    let lab = Lab::new();
    lab.file("docs/1", b"1");
    let tracker = lab.tracker();
    let mut node = lab.share(&tracker, &[&lab.path("docs")], &[]);
    for turn in 0..2 {
        rename(&lab, "docs", "away");
        let gone = |event: &Value| event["message"].as_str().is_some_and(|text| text.contains("docs is gone"));
        node.process.event_that("warning", gone);
        rename(&lab, "away", "docs");
        node.process.event_that("announced", |event| event["offers"] == 2 + turn && event["hashed"] == 2 + turn);
        lab.file(&format!("docs/{turn}.txt"), b"new");
        node.process.event_that("announced", |event| event["offers"] == 3 + turn && event["hashed"] == 3 + turn);
    }
}

/// Without descriptors a directory cannot be listed, and a file not be read that can be looked at without one.
#[cfg(target_os = "linux")]
#[test]
fn a_passing_lack_of_descriptors_takes_nothing_away_and_keeps_nothing_out() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let lab = Lab::new();
    lab.file("tree/sub/old", b"old");
    let single = lab.file("single.txt", b"old");
    let tracker = lab.tracker();
    let mut node = lab.share(&tracker, &[&lab.path("tree"), &single], &[]);
    lab.file("tree/watched", b"");
    offers(&lab, &mut node, &["single.txt", "tree", "tree/watched", "tree/sub/old"]);
    let begun = node.process.events.len();

    let pid = Pid::from_raw(i32::try_from(node.process.pid()).expect("small"));
    let before =
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), ..getrlimit(Resource::Nofile) }).expect("own child");
    fs::write(&single, "new").expect("own file");
    lab.file("tree/sub/deep/new", b"new");
    let told = |event: &Value, words: [&str; 2]| {
        event["message"].as_str().is_some_and(|text| words.iter().all(|word| text.contains(word)))
    };
    let mut missing =
        vec![["tree", "too many open files"], ["single.txt cannot be read for now", "Too many open files"]];
    while !missing.is_empty() {
        let warning = node.process.event("warning");
        missing.retain(|words| !told(&warning, *words));
    }
    prlimit(pid, Resource::Nofile, before).expect("own child");
    offers(&lab, &mut node, &["single.txt", "tree", "tree/watched", "tree/sub/old", "tree/sub/deep/new"]);
    let since = &node.process.events[begun..];
    let warnings = since.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 2, "each told once: {since:#?}");
    let fewest = since.iter().filter(|event| event["event"] == "announced").filter_map(|e| e["offers"].as_u64()).min();
    assert!(fewest >= Some(4), "all stayed: {since:#?}");
    // And the directory that came meanwhile is watched.
    lab.file("tree/sub/deep/newer", b"newer");
    let last = ["single.txt", "tree", "tree/watched", "tree/sub/old", "tree/sub/deep/new", "tree/sub/deep/newer"];
    offers(&lab, &mut node, &last);
}

/// In a namespace of its own, where a test may mount: what is mounted at a shared path, and beneath one.
#[cfg(target_os = "linux")]
#[test]
fn what_is_mounted_comes_and_goes() {
    let lab = Lab::new();
    for name in ["real/1", "other/1", "tree/1"] {
        lab.file(name, name.as_bytes());
    }
    for name in ["disk", "tree/disk"] {
        lab.dir(name);
    }
    let may = Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user may not mount");
        return;
    }
    let tracker = lab.tracker();
    let share = lab.qshare();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind real disk && mount --bind other tree/disk && exec \"$0\" \"$@\""]);
    command.arg(share.get_program()).args(share.get_args()).current_dir(lab.path(""));
    command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr, "disk", "tree"]);
    command.env("QSHARE_HOME", lab.home());
    let mut node = lab.start(&mut command);
    let pid = node.process.pid().to_string();
    let inside = |command: &str| {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &pid, "-m", "sh", "-c", command]).current_dir(lab.path(""));
        // The shell begins in the old namespace's directory, so mounts are named in full.
        let status = nsenter.env("LAB", lab.path("")).status();
        assert!(status.expect("nsenter is there").success(), "{command}");
    };
    let mounted = ["disk", "disk/1", "tree", "tree/1", "tree/disk/1"];
    offers(&lab, &mut node, &mounted);
    inside("cd $LAB && umount disk tree/disk");
    offers(&lab, &mut node, &["disk", "tree", "tree/1"]);
    inside("cd $LAB && mount --bind real disk && mount --bind other tree/disk");
    offers(&lab, &mut node, &mounted);
    lab.file("real/2", b"2");
    lab.file("other/2", b"2");
    offers(&lab, &mut node, &[&mounted[..], &["disk/2", "tree/disk/2"]].concat());
}

/// Root may read everything, so where root tests, the process is another user's.
#[cfg(target_os = "linux")]
#[test]
fn what_may_not_be_listed_is_never_taken_for_empty_nor_its_ignore_file_for_absent() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let lab = Lab::new();
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(lab.path(name), fs::Permissions::from_mode(mode)).expect("own file");
    };
    for name in ["locked/1", "tree/1", "tree/sub/1", "tree/guarded/secret", "tree/guarded/.qshareignore"] {
        lab.file(name, b"secret\n");
    }
    let as_other = || {
        let mut command = lab.qshare();
        if rustix::process::getuid().is_root() {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    mode("", 0o777);
    if as_other().arg("id").output().is_err() {
        eprintln!("skipped: another user cannot run this binary");
        return;
    }
    for name in ["locked", "tree/guarded/.qshareignore"] {
        mode(name, 0o000);
    }
    let share = ["share", "--listen", "127.0.0.1:0"];
    let refused = Process::start(as_other().args(share).arg(lab.path("locked"))).end().error(1);
    assert!(refused.contains("locked cannot be shared (permission denied): check its permissions"), "{refused}");

    let tracker = lab.tracker();
    let mut node = lab.start(as_other().args(share).args(["--tracker", &tracker.addr]).arg(lab.path("tree")));
    let about = |event: &Value, words: &str| event["message"].as_str().is_some_and(|text| text.contains(words));
    node.process.event_that("warning", |event| about(event, "guarded is left out for now"));
    offers(&lab, &mut node, &["tree", "tree/1", "tree/sub/1"]);
    let ended = lab.get(&tracker, &["tree", "-o", "out/"]);
    ended.done_with_less();
    assert!(ended.events.iter().any(|event| about(event, "tree comes without guarded")), "{ended:#?}");
    mode("tree/sub", 0o000);
    lab.file("tree/2", b"2");
    offers(&lab, &mut node, &["tree", "tree/1", "tree/2", "tree/sub/1"]);
    mode("tree/guarded/.qshareignore", 0o644);
    mode("tree/sub", 0o755);
    lab.file("tree/sub/2", b"2");
    let open = ["tree", "tree/1", "tree/2", "tree/sub/1", "tree/sub/2", "tree/guarded/.qshareignore"];
    offers(&lab, &mut node, &open);
    lab.file("tree/sub/3", b"3");
    offers(&lab, &mut node, &[&open[..], &["tree/sub/3"]].concat());
}
