//! Names that must not arrive, and names that must arrive as they are.

mod common;

use std::fs;
use std::sync::Arc;

use serde::Serialize;

use common::scripted::{Content, Guise, Script, Scripted, honest};
use common::{Lab, Process, assert_same_tree};

fn honestly() -> Script {
    Arc::new(|request, content, stream| Box::pin(honest(request, content, stream)))
}

fn line(name: &str) -> String {
    format!("f 1 {} {name}\n", blake3::hash(b"x"))
}

/// Trees whose list belongs to their id, and that must not be written.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let tree = |lines: &[String]| format!("qshare-collection-1\n{}", lines.concat()).into_bytes();
    let long = "n".repeat(256);
    let deep = vec!["d"; 101].join("/");
    let mut trees: Vec<_> = [
        ("absolute", "/tmp/x"),
        ("parent", "../x"),
        ("parent within", "a/../../x"),
        ("dot", "./x"),
        ("empty component", "a//x"),
        ("trailing slash", "a/"),
        ("NUL", "a\0x"),
        ("escape", "a\u{1b}[2Jx"),
        ("bidirectional", "a\u{202e}x"),
        ("long component", &long),
        ("deep", &deep),
    ]
    .into_iter()
    .map(|(what, name)| (what, tree(&[line("a-sound-name"), line(name)])))
    .collect();
    trees.extend([
        ("twice", tree(&[line("a"), line("a")])),
        ("file and directory", tree(&[line("a"), line("a/b")])),
        ("file and empty directory", tree(&[format!("d a\n{}", line("a"))])),
        ("out of order", tree(&[line("b"), line("a")])),
        ("no end", tree(&[line("a").trim_end().to_owned()])),
        ("not UTF-8", [b"qshare-collection-1\nd ".as_slice(), &[0xff, b'\n']].concat()),
        ("more than can be", tree(&[format!("f {} {} a\n", u64::MAX, blake3::hash(b"x"))])),
    ]);
    // Parts are sorted but for the one that must not be: the name is refused, not its place.
    for (_, manifest) in &mut trees[..11] {
        let text = String::from_utf8(manifest.clone()).expect("text");
        let mut lines: Vec<_> = text.lines().skip(1).map(|l| format!("{l}\n")).collect();
        lines.sort_by_key(|l| l.splitn(4, ' ').nth(3).map(ToOwned::to_owned));
        *manifest = tree(&lines);
    }
    trees
}

#[test]
fn a_hostile_tree_is_refused_whole() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    for (n, (what, manifest)) in hostile().into_iter().enumerate() {
        let id = blake3::hash(&manifest).to_string();
        let content = Content::tree(&manifest, &[b"x"]);
        let peer = Scripted::start(&tracker, &Guise::tree("tree"), content, honestly());
        let out = format!("out-{n}/deeper/");
        lab.dir(&out);
        let ended = lab.get(&tracker, &[&id, "-o", &out]);
        let sentence = ended.error(1);
        assert!(sentence.contains(&id), "{what}: {sentence}");
        assert_eq!(ended.event("error")["code"], "protocol", "{what}");
        assert!(!sentence.contains(['\u{1b}', '\u{202e}', '\0']), "{what}: {sentence:?}");
        assert_eq!(fs::read_dir(lab.path(&out)).expect("there").count(), 0, "{what}: nothing is written");
        assert_eq!(fs::read_dir(lab.path(&format!("out-{n}"))).expect("there").count(), 1, "{what}");
        assert_eq!((peer.asked.manifests(), peer.asked.fetches()), (1, 0), "{what}: no byte was asked for");
    }
}

#[derive(Serialize)]
struct RawDelta {
    add: Vec<RawOffer>,
    remove: Vec<String>,
    join: Vec<String>,
    leave: Vec<String>,
}

#[derive(Serialize)]
struct RawOffer {
    name: String,
    size: u64,
    id: Option<String>,
    kind: &'static str,
    files: u32,
}

#[test]
fn a_tracker_takes_no_offer_with_a_hostile_name() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    for name in ["../hostile", "/hostile", "hostile\u{1b}[2J"] {
        let offer = RawOffer { name: name.to_owned(), size: 1, id: None, kind: "file", files: 1 };
        let delta = RawDelta { add: vec![offer], remove: vec![], join: vec![], leave: vec![] };
        let _peer = Scripted::announcing(&tracker, &delta, false, Content::file(b"x"), honestly());
        Process::start(lab.qshare().args(["search", "hostile", "--tracker", &tracker.addr])).end().error(3);
    }
}

#[test]
fn names_that_are_not_portable_arrive_unharmed_where_they_can_exist() {
    let lab = Lab::new();
    let names = [
        "back\\slash",
        "co:lon",
        "CON",
        "nul.txt",
        "trailing.",
        "trailing ",
        "Case",
        "case",
        "caf\u{e9}",
        "cafe\u{301}",
    ];
    for (n, name) in names.iter().enumerate() {
        lab.file(&format!("tree/{name}"), format!("{n}").as_bytes());
    }
    if fs::read_dir(lab.path("tree")).expect("there").count() < names.len() {
        eprintln!("skipped: this file system cannot hold such names");
        return;
    }
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let warned =
        |e: &serde_json::Value| e["event"] == "warning" && e["message"].as_str().is_some_and(|m| m.contains("tree/"));
    let warnings = provider.process.events.iter().filter(|e| warned(e)).count();
    assert_eq!(warnings, 1, "`share` warns once: {:#?}", provider.process.events);
    lab.get(&tracker, &["tree", "-o", "out/"]).done();
    assert_same_tree(&lab.path("tree"), &lab.path("out/tree"));
    provider.process.kill();
}

#[test]
fn what_is_never_valid_is_left_out_by_name() {
    let lab = Lab::new();
    lab.file("tree/sound.txt", b"sound");
    lab.file("tree/new\nline", b"never");
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let warned = provider.process.events.iter().any(|e| e["event"] == "warning" && e.to_string().contains("line"));
    assert!(warned, "{:#?}", provider.process.events);
    lab.get(&tracker, &["tree", "-o", "out/"]).done();
    assert_eq!(fs::read_dir(lab.path("out/tree")).expect("there").count(), 1);
}
