//! The inbox in people's hands: to wait for what was accepted, to read, to clear, to decline what runs; and what a sender is told meanwhile.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::person::{Person, node, putting};
#[cfg(unix)]
use common::tmux::Tmux;
use common::{Ended, Lab, Process, noise, until};
use qshare::model::NodeId;
use rustix::process::Signal;

const MIB: usize = 1 << 20;

/// What a command writes for people, and its exit code.
fn shown(home: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
    let output = command.arg("--home").arg(home).args(arguments).stdin(Stdio::null()).output().expect("run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Names of what a person's directory holds.
fn there(person: &Person) -> Vec<String> {
    let all = fs::read_dir(&person.into).into_iter().flatten();
    all.map(|entry| entry.expect("listed").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_list_that_cannot_be_read_is_told_with_what_to_do() {
    let lab = Lab::new();
    let home = lab.home();
    fs::create_dir_all(home.join("node")).expect("made");
    fs::write(home.join("node/inbox"), "no list at all").expect("written");
    let mut node = node(&lab, &home, &[]);
    let warning = node.process.first("warning")["message"].as_str().expect("a sentence").to_owned();
    assert!(
        warning.contains("node/inbox cannot be read") && warning.contains("put a sound copy in its place"),
        "{warning}"
    );
}

#[test]
fn accept_waits_until_it_is_there() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let bytes = noise(1, MIB);
    let put = putting(&lab, &lab.home(), &[&lab.file("a.bin", &bytes)], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    let (out, err, code) = shown(&bob.home, &["inbox", "accept", "1"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with(&format!("{}: 1.0 MiB from ", bob.into.join("a.bin").display())), "{out}");
    assert!(fs::read(bob.into.join("a.bin")).expect("there") == bytes);
    assert_eq!(put.end().code, Some(0));
}

#[test]
fn a_signal_at_accept_keeps_what_has_come_and_decline_removes_it() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "2M"]);
    let mut put = putting(&lab, &anna.home, &[&lab.file("big.bin", &noise(2, 24 * MIB))], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    let accept = Process::start(lab.qshare_at(&bob.home).args(["inbox", "accept", "1"]));
    put.event_that("put", |put| put["bytes"].as_u64() > Some(0));
    accept.signal(Signal::INT);
    let ended: Ended = accept.end();
    assert_eq!(ended.code, Some(130));
    assert!(ended.stderr.contains("what has come of it is kept"), "{}", ended.stderr);
    bob.waits(&lab, "waiting");
    let is_part = |name: &String| name.ends_with(".part");
    assert!(there(&bob).iter().any(is_part), "{:?}", there(&bob));
    // What runs is declined by its number.
    bob.run(&lab, &["inbox", "accept", "1", "--detach"]).event("inbox");
    put.event_that("put", |put| put["state"] == "fetching");
    assert_eq!(bob.run(&lab, &["inbox", "decline", "1"]).event("inbox")["state"], "declined");
    assert!(put.end().error(1).contains("declined"));
    until("nothing is left", || there(&bob).is_empty());
    until("and no job", || bob.run(&lab, &["jobs"]).events.iter().all(|job| job["state"] == "cancelled"));
}

#[test]
fn messages_are_a_line_each_and_read_whole() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = lab.home();
    let long = format!("first \u{1b}[31m line\n{}\nthe end", "word ".repeat(40));
    assert_eq!(putting(&lab, &anna, &[], &[&bob], &["--text", &long]).end().code, Some(0));
    let (out, err, _) = shown(&bob.home, &["inbox"]);
    assert!(out.contains("unread") && !out.contains("the end") && !err.contains("the end"), "{out}{err}");
    let (out, err, code) = shown(&bob.home, &["inbox", "read", "1"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, format!("first \\u{{1b}}[31m line\n{}\nthe end\n", "word ".repeat(40)));
    assert!(shown(&bob.home, &["inbox"]).0.contains("  read"));
    assert!(shown(&bob.home, &["inbox", "read", "7"]).1.contains("no number 7"));
}

#[test]
fn what_is_over_is_cleared_and_what_waits_stays() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = lab.home();
    let (one, two) = (lab.file("one.txt", b"1"), lab.file("two.txt", b"2"));
    let put = putting(&lab, &anna, &[&one], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    bob.run(&lab, &["inbox", "decline", "1"]).event("inbox");
    put.end().error(1);
    let waiting = putting(&lab, &anna, &[&two], &[&bob], &[]);
    until("the other waits", || bob.run(&lab, &["inbox"]).events.len() == 2);
    assert!(bob.run(&lab, &["inbox", "clear", "2"]).error(2).contains("is waiting"));
    assert_eq!(bob.run(&lab, &["inbox", "clear"]).event("inbox")["number"], 1);
    assert_eq!(bob.offer(&lab)["number"], 2);
    waiting.signal(Signal::INT);
    waiting.end();
}

#[test]
fn watch_tells_what_waits_once_and_then_what_is_new() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = lab.home();
    let put = putting(&lab, &anna, &[&lab.file("old.txt", b"1")], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    bob.run(&lab, &["inbox", "decline", "1"]).event("inbox");
    put.end().error(1);
    let put = putting(&lab, &anna, &[&lab.file("now.txt", b"2")], &[&bob], &[]);
    until("it waits", || bob.run(&lab, &["inbox"]).events.len() == 2);
    let mut watch = Process::start(lab.qshare_at(&bob.home).args(["inbox", "watch"]));
    let first = watch.event("inbox");
    assert_eq!((&first["number"], &first["state"]), (&2.into(), &"waiting".into()), "what is over is not told");
    bob.run(&lab, &["inbox", "accept", "2"]).event("inbox");
    let told = watch.event_that("inbox", |row| row["state"] == "done");
    assert_eq!(told["number"], 2);
    assert_eq!(put.end().code, Some(0));
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().code, Some(0));
}

#[test]
fn a_node_that_is_named_twice_is_one_receiver() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = lab.home();
    let node: NodeId = bob.node.id.parse().expect("an id");
    fs::create_dir_all(&anna).expect("made");
    fs::write(anna.join("friends"), format!("bob {node} {}\n", bob.node.addr)).expect("written");
    let short = &bob.node.id[..8];
    let put = putting(
        &lab,
        &anna,
        &[&lab.file("a.txt", b"a")],
        &[&bob],
        &["--to", "bob", "--to", &bob.node.id, "--to", short, "--to", &bob.node.addr],
    );
    let ended = put.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let done = ended.events.iter().filter(|event| event["event"] == "put" && event["state"] == "done").count();
    assert_eq!(done, 1, "{ended:#?}");
    // By its address alone it is known once it has answered.
    let address = bob.node.addr.as_str();
    let (_, err, code) =
        shown(&anna, &["put", "--text", "hi", "--to", "bob", "--to", address, "--no-lan", "--wait", "20"]);
    assert_eq!((code, err.matches("has all of it").count()), (Some(0), 1), "{err}");
}

#[test]
fn what_was_accepted_into_a_directory_goes_on_there() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "2M"]);
    let elsewhere = lab.path("elsewhere");
    let mut put = putting(&lab, &anna.home, &[&lab.file("big.bin", &noise(4, 6 * MIB))], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    let into = elsewhere.to_str().expect("text");
    let accept = Process::start(lab.qshare_at(&bob.home).args(["inbox", "accept", "1", "-o", into]));
    put.event_that("put", |put| put["bytes"].as_u64() > Some(0));
    accept.signal(Signal::INT);
    assert_eq!(accept.end().code, Some(130));
    bob.waits(&lab, "waiting");
    assert_eq!(bob.run(&lab, &["inbox", "accept", "1"]).code, Some(0));
    assert_eq!(put.end().code, Some(0));
    assert!(fs::read(elsewhere.join("big.bin")).expect("there") == noise(4, 6 * MIB));
    assert!(there(&bob).is_empty());
}

#[test]
fn a_sender_that_was_killed_is_away_and_then_does_not_send_it_any_more() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = lab.home();
    let mut put = putting(&lab, &anna, &[&lab.file("a.bin", b"a")], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    put.kill();
    let mut accept = Process::start(lab.qshare_at(&bob.home).args(["inbox", "accept", "1"]));
    let says = |what: &'static str| {
        move |row: &serde_json::Value| row["message"].as_str().is_some_and(|why| why.contains(what))
    };
    accept.event_that("inbox", says("is away: it goes on when it is back"));
    assert!(says("is away")(&bob.offer(&lab)));
    // It is there again, and knows nothing of it.
    let anna = node(&lab, &anna, &["--peer", &bob.node.addr]);
    accept.event_that("inbox", says("is not sent any more"));
    assert_eq!(accept.end().code, Some(1));
    // Also while it is tried again.
    bob.run(&lab, &["jobs", "retry", "all"]);
    for _ in 0..5 {
        assert!(says("is not sent any more")(&bob.offer(&lab)), "it stays so");
        assert!(shown(&bob.home, &["inbox"]).0.contains("stuck"));
    }
    drop(anna);
}

#[test]
fn who_sends_is_told_why_it_waits_and_that_a_transfer_stands() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "2M"]);
    let file = lab.file("big.bin", &noise(3, 24 * MIB));
    let (_, err, code) =
        shown(&anna.home, &["put", &file.to_string_lossy(), "--to", &bob.at(), "--wait", "1", "--no-lan"]);
    let who = &bob.node.id[..8];
    assert_eq!(code, Some(6), "{err}");
    assert!(err.contains(&format!("waits for {who} to accept")), "{err}");
    assert!(err.contains(&format!("{who} (has not accepted) does not have all of it")), "{err}");
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    bob.run(&lab, &["inbox", "accept", "all", "--detach"]).event("inbox");
    put.event_that("put", |put| put["bytes"].as_u64() > Some(0));
    bob.run(&lab, &["jobs", "pause", "all"]);
    put.event_that("put", |put| {
        put["message"].as_str().is_some_and(|why| why.contains("nothing of it has come there"))
    });
    put.signal(Signal::INT);
    put.end();
}

#[cfg(unix)]
#[test]
fn a_desktop_is_told_that_something_waits_and_nothing_that_comes_from_elsewhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let (program, told) = (lab.file("bin/notify-send", b""), lab.path("told"));
    fs::write(
        &program,
        format!("#!/bin/sh\nfor word; do echo \"$word\" >> '{0}.new'; done\nmv '{0}.new' '{0}'\n", told.display()),
    )
    .expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("may run");
    let (home, anna) = (lab.home(), lab.home());
    let mut command = lab.qshare_at(&home);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", lab.path("bin").display()));
    let bob = lab.start(command.args(["node", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()));
    let file = lab.file("--icon=evil.txt", b"x");
    let to = format!("{}@{}", bob.id, bob.addr);
    let mut put =
        Process::start(lab.qshare_at(&anna).arg("put").arg(&file).args(["--to", &to, "--text=--hint \u{1b}[31m"]));
    put.event_that("put", |put| put["state"] == "waiting");
    until("it is told", || told.exists());
    let words = fs::read_to_string(&told).expect("text");
    assert_eq!(words, "-a\nqshare\n-t\n10000\nqshare\nSomething waits in the inbox\n");
    put.signal(Signal::INT);
    put.end();
}

#[cfg(unix)]
#[test]
fn on_a_narrow_terminal_an_offer_is_a_line() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let bob = Person::new(&lab, "ask", &[]);
    let anna = Person::new(&lab, "ask", &[]);
    let file = lab.file("a-rather-long-name-of-a-file-that-somebody-sent.txt", b"x");
    let left = putting(&lab, &anna.home, &[&file], &[&bob], &["--detach", "--text", "as promised"]).end();
    assert_eq!(left.code, Some(0), "{left:#?}");
    bob.waits(&lab, "waiting");
    let program = env!("CARGO_BIN_EXE_qshare");
    for width in [40, 50] {
        for (home, command, row) in [(&bob.home, "inbox", "waiting"), (&anna.home, "put", "waiting")] {
            let line = format!("QSHARE_HOME={} {program} --no-lan {command}; echo the end", home.display());
            let terminal = tmux.start(&format!("{command}-{width}"), (width, 30), &line);
            let screen = terminal.wait("the end", |screen| screen.iter().any(|line| line == "the end"));
            assert!(screen.iter().any(|line| line.starts_with("1  ") && line.ends_with(row)), "{screen:#?}");
        }
    }
}
