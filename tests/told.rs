//! What is told while something happens, where no terminal is: events, lines, and with `-v` in words what happens.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Lab, Process, heeding, noise};
use rustix::process::{Pid, Signal, kill_process};

const MIB: usize = 1 << 20;

fn own_id(lab: &Lab, home: &Path) -> String {
    let id = Process::start(lab.qshare_at(home).arg("id")).end().event("id")["node"].clone();
    id.as_str().expect("text").to_owned()
}

/// The program as a person starts it, its outputs into files.
fn plain(lab: &Lab, home: &Path, name: &str) -> Command {
    let mut command = heeding(Path::new(env!("CARGO_BIN_EXE_qshare")));
    let file = |of: &str| Stdio::from(std::fs::File::create(lab.path(&format!("{name}.{of}"))).expect("made"));
    command.current_dir(lab.path(".")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", home).arg("--no-lan");
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    command
}

fn read(lab: &Lab, name: &str) -> String {
    std::fs::read_to_string(lab.path(name)).expect("written")
}

#[test]
fn who_fetches_is_told_by_events() {
    let lab = Lab::new();
    let (anna, home) = (lab.home(), lab.home());
    let id = own_id(&lab, &anna);
    Process::start(lab.qshare_at(&home).args(["friends", "add", "anna", &id])).end();
    let bytes = noise(1, 5 * MIB);
    let tree = lab.file("shared/tree/big.bin", &bytes).parent().expect("a directory").to_owned();
    lab.file("shared/tree/small.txt", b"small");
    let mut command = lab.qshare_at(&home);
    let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0"]).arg(&tree));
    node.process.event("offer");
    let get = |home: &Path, more: &[&str]| {
        let ended = Process::start(lab.qshare_at(home).args(["get", "tree", "--peer", &node.addr]).args(more)).end();
        ended.done().clone()
    };
    let done = get(&anna, &["-o", "whole"]);
    let stranger = lab.home();
    get(&stranger, &["-o", "part", "--only", "small.txt"]);
    for (state, friend, bytes, whole) in [
        ("begun", Some("anna"), None, false),
        ("ended", Some("anna"), Some(5 * MIB as u64 + 5), true),
        ("ended", None, Some(5), false),
    ] {
        let event = node
            .process
            .events
            .iter()
            .find(|e| e["event"] == "upload" && e["state"] == state && e["friend"].as_str() == friend);
        let event = match event {
            Some(event) => event.clone(),
            None => node.process.event_that("upload", |e| e["state"] == state && e["friend"].as_str() == friend),
        };
        assert_eq!((event["name"].as_str(), event["id"].as_str()), (Some("tree"), done["id"].as_str()), "{event}");
        assert_eq!(
            (event["size"].as_u64(), event["whole"].as_bool()),
            (Some(5 * MIB as u64 + 5), Some(whole)),
            "{event}"
        );
        assert!(bytes.is_none() || event["bytes"].as_u64() == bytes, "{event}");
        assert!(event["seconds"].is_f64() && event["addr"].as_str().is_some_and(|addr| addr.starts_with("127.0.0.1:")));
        assert_eq!(event["node"].as_str() == Some(&*id), friend.is_some(), "{event}");
    }
    node.process.signal(Signal::INT);
    assert_eq!(node.process.end().code, Some(0));
}

#[test]
fn who_fetches_is_told_in_lines_and_the_line_to_paste_once() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let file = lab.file("shared/notes.bin", &noise(2, 3 * MIB));
    let home = lab.home();
    let mut share = plain(&lab, &home, "share");
    share.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&file);
    let mut share = share.spawn().expect("starts");
    common::until("it is offered", || read(&lab, "share.out").contains("qshare get notes.bin\n    qshare get "));
    common::until("the tracker has it", || read(&lab, "share.err").contains("qshare: announced to "));
    let first = lab.get(&tracker, &["notes.bin", "-o", "first"]).done()["id"].clone();
    common::until("a line for it", || read(&lab, "share.err").contains(" took notes.bin: 3.0 MiB in "));
    std::fs::write(&file, noise(3, 2 * MIB)).expect("own file");
    // The new one is fetched by its words once the tracker has it.
    common::until("the new one", || {
        let ended = lab.get(&tracker, &["notes.bin", "-o", "next", "--force"]);
        ended.code == Some(0) && ended.done()["id"] != first
    });
    kill_process(Pid::from_child(&share), Signal::INT).expect("our own child");
    assert!(share.wait().expect("reaped").success());
    let (out, err) = (read(&lab, "share.out"), read(&lab, "share.err"));
    assert_eq!(out.matches("qshare get notes.bin").count(), 1, "{out}");
    assert!(
        err.lines().last().is_some_and(|line| line.starts_with("qshare: sent ") && line.contains(" uploads to ")),
        "{err}"
    );
    let now = "notes.bin has changed, and the id above is that of what it was; to get what it is now:\n    qshare get notes.bin --from ";
    assert_eq!(err.matches(now).count(), 1, "{err}");
    assert!(!err.contains('\u{1b}'), "{err}");
}

#[test]
fn a_tracker_says_at_its_end_how_much_there_was() {
    let lab = Lab::new();
    let home = lab.home();
    let mut tracker = plain(&lab, &home, "tracker");
    let mut tracker = tracker.args(["tracker", "--listen", "127.0.0.1:0"]).spawn().expect("starts");
    common::until("it listens", || read(&lab, "tracker.out").ends_with('\n'));
    let target = read(&lab, "tracker.out").trim_end().to_owned();
    let file = lab.file("shared/notes.bin", b"notes");
    let mut node = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0", "--tracker", &target]).arg(file));
    node.wait_hashed();
    Process::start(lab.qshare().args(["search", "notes", "--tracker", &target])).end().event("hit");
    kill_process(Pid::from_child(&tracker), Signal::INT).expect("our own child");
    assert!(tracker.wait().expect("reaped").success());
    let err = read(&lab, "tracker.err");
    assert!(err.ends_with("qshare: 1 node, 1 offer, 1 search answered\n"), "{err}");
}

#[test]
fn verbose_says_in_words_what_happens() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let file = lab.file("shared/notes.bin", &noise(4, 3 * MIB));
    let node = lab.share(&tracker, &[&file], &[]);
    let told = |flag: &[&str], out: &str| {
        let ended = lab.get(&tracker, &[&["notes.bin", "-o", out], flag].concat());
        ended.done();
        ended.stderr
    };
    let short = &node.id[..8];
    assert_eq!(told(&[], "a"), "");
    let once = told(&["-v"], "b");
    for said in [
        format!(" s: connected to {short} at {}\n", node.addr),
        format!(" s: looked at tracker {}: 1 hit\n", tracker.addr),
        " s: now fetching\n".to_owned(),
    ] {
        assert!(once.contains(&said), "{said} in {once}");
    }
    let twice = told(&["-vv"], "c");
    assert!(!once.contains("asked") && twice.contains(&format!(" s: asked {short} for units ")), "{twice}");
    assert!(!once.contains("congestion") && !twice.contains("congestion"), "{twice}");
    assert!(told(&["-vvv"], "d").contains(" DEBUG "), "the log itself");
    let missing = lab.get(&tracker, &["nothing-like-this", "-v"]);
    assert!(missing.stderr.contains(&format!(" s: looked at tracker {}: 0 hits\n", tracker.addr)), "{missing:#?}");
}
