//! What people stumble over: what they are told where something is not as they think, and what they are not told again and again.

mod common;

use std::net::UdpSocket;
use std::process::Command;

use common::{Ended, Lab, Process, noise};
use rustix::process::Signal;

const MIB: usize = 1 << 20;

fn warnings(ended: &Ended) -> Vec<String> {
    let told = ended.events.iter().filter(|event| event["event"] == "warning");
    told.map(|event| event["message"].as_str().expect("text").to_owned()).collect()
}

/// A file system name space with a resolver that never answers; none, and said, where that cannot be had.
struct Unresolving {
    conf: String,
    _silent: UdpSocket,
}

impl Unresolving {
    fn new(lab: &Lab) -> Option<Self> {
        let silent = UdpSocket::bind("127.53.0.1:53").ok();
        let may = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
        let Some(silent) = silent.filter(|_| may) else {
            eprintln!("skipped: a name server needs root and a free port 53");
            return None;
        };
        let conf = lab.file("resolv.conf", b"nameserver 127.53.0.1\n").display().to_string();
        Some(Self { conf, _silent: silent })
    }

    fn run(&self, lab: &Lab, arguments: &[&str]) -> Ended {
        let mut command = Command::new("unshare");
        let line = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        command.args(["-m", "sh", "-c", line, &self.conf, env!("CARGO_BIN_EXE_qshare"), "--json", "--no-lan"]);
        command.args(arguments).current_dir(lab.path(".")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", lab.home());
        Process::start(&mut command).end()
    }
}

#[test]
fn a_host_that_does_not_resolve_is_not_said_to_be_silent() {
    let lab = Lab::new();
    for command in [&["search", "x"][..], &["get", "x"], &["peers"], &["locate", "x"], &["ls", &"0".repeat(64)]] {
        let ended = Process::start(lab.qshare().args(command).args(["--tracker", "trackr.invalid"])).end();
        let told = ended.events.last().expect("an error")["message"].as_str().expect("text").to_owned();
        assert!(told.contains("trackr.invalid") && told.contains("resolved") && !told.contains("answer"), "{told}");
    }
    let Some(unresolving) = Unresolving::new(&lab) else { return };
    let told = |ended: &Ended| ended.events.iter().map(ToString::to_string).collect::<String>();
    for command in [&["search", "x"][..], &["get", "x"], &["peers"], &["ls", &"0".repeat(64)], &["doctor"]] {
        let ended = unresolving.run(&lab, &[command, &["--tracker", "trackr.example"]].concat());
        let text = told(&ended);
        assert!(text.contains("trackr.example was not resolved in time"), "{ended:#?}");
        assert!(!text.contains("does not answer"), "{ended:#?}");
    }
    // Beside others that know something, too.
    let provider = lab.offering("notes.txt");
    let ended = unresolving.run(&lab, &["search", "notes", "--tracker", "trackr.example", "--peer", &provider.addr]);
    assert_eq!(ended.event("hit")["name"], "notes.txt");
    assert!(warnings(&ended).iter().any(|line| line.contains("trackr.example was not resolved")), "{ended:#?}");
}

#[test]
fn a_transfer_that_is_gone_on_with_begins_where_it_was() {
    let lab = Lab::new();
    let file = lab.file("shared/large.bin", &noise(1, 96 * MIB));
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);
    let mut first = lab.getting(&tracker, &["large.bin", "--limit", "60MiB/s"]);
    first.event_that("progress", |e| e["bytes"].as_u64() >= Some(48 * MIB as u64));
    first.signal(Signal::INT);
    first.end().error(130);
    let mut second = lab.getting(&tracker, &["large.bin", "--limit", "1MiB/s"]);
    second.event_that("phase", |e| e["name"] == "fetching");
    let shown = second.event("progress");
    assert!(shown["bytes"].as_u64() >= Some(48 * MIB as u64), "{shown}");
    second.signal(Signal::INT);
    second.end().error(130);
}

#[test]
fn a_directory_of_which_the_end_is_missing_is_offered() {
    let lab = Lab::new();
    for name in ["turing.pdf", "physics/a.pdf", "physics/b.pdf", "physics/deep/c.pdf"] {
        lab.file(&format!("shared/papers/{name}"), name.as_bytes());
    }
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("shared/papers")], &[]);
    let told = lab.get(&tracker, &["papers/physic"]).error(4);
    assert!(told.contains("; `qshare get papers/physics` takes a whole directory"), "{told}");
    let told = lab.get(&tracker, &["papers/phisics"]).error(3);
    assert!(told.contains("spelled nearly so is `papers/physics` (3 things), so run it again with that"), "{told}");
    let told = lab.get(&tracker, &["turing", "physics"]).error(3);
    assert!(told.contains("give fewer of them: `qshare search turing` and `qshare search physics` show"), "{told}");
    let told = lab.get(&tracker, &["3fd2a9c1", "physics"]).error(3);
    assert!(told.contains("`3fd2a9c1` is looked for as the beginning of an id only beside"), "{told}");
    let told = lab.get(&tracker, &["turing.pdf", "-o", "none/below/x"]).error(1);
    assert!(told.contains("there is no directory `none/below`, nor `none` above it: make it, or end"), "{told}");
    lab.get(&tracker, &["turing.pdf", "-o", "none/below/x/"]).done();
    assert!(lab.path("none/below/x/turing.pdf").exists());
}

#[test]
fn links_that_come_later_are_counted_as_those_at_the_start_are() {
    let lab = Lab::new();
    let tree = lab.file("shared/tree/a.txt", b"a").parent().expect("a directory").to_owned();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, tree.join(name)).expect("own directory");
    link("/nowhere", "first");
    let mut share = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0"]).arg(&tree));
    share.process.event_that("warning", |e| e["message"].as_str().is_some_and(|m| m.starts_with("1 link is left out")));
    share.process.event("offer");
    link("/etc", "second");
    link("/etc/passwd", "third");
    share.process.event_that("warning", |e| e["message"].as_str().is_some_and(|m| m.contains("links are left out")));
}

#[test]
fn the_end_of_what_is_told_twice_as_much_is_calm() {
    let lab = Lab::new();
    let provider = lab.offering("notes.txt");
    for command in [&["get", "notes.txt"][..], &["search", "notes"]] {
        let ended = Process::start(lab.qshare().args(command).args(["-vv", "--peer", &provider.addr])).end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(ended.stderr.contains(" s: looked at "), "{ended:#?}");
        for alarming in ["closed here", "stopping", "is lost", "no neighbour any more", "nobody was dialled"] {
            assert!(!ended.stderr.contains(alarming), "{alarming} in {}", ended.stderr);
        }
    }
}

/// One with friends, beside a node of its own home that looks at fewer places: without them the key makes no difference.
#[test]
fn that_a_command_has_a_key_of_its_own_is_told_where_it_matters() {
    let lab = Lab::new();
    let provider = lab.offering("turing.txt");
    let anna = Process::start(lab.qshare().arg("id")).end().event("id")["node"].as_str().expect("text").to_owned();
    let home = lab.home();
    let mut own = lab.start(
        lab.qshare_at(&home)
            .args(["share", "--only-peers", "--listen", "127.0.0.1:0"])
            .arg(lab.file("own/own.txt", b"own")),
    );
    own.process.event("offer");
    Process::start(lab.qshare_at(&home).args(["friends", "add", "anna", &anna])).end();
    let guest = |words: &[&str], places: &[&str]| {
        let ended = Process::start(lab.qshare_at(&home).args(words).args(places)).end();
        ended.error(3);
        warnings(&ended).iter().any(|line| line.contains("key of its own"))
    };
    let places = ["--peer", &provider.addr];
    assert!(guest(&["search", "nothing-like-it"], &places), "a friend may have it");
    assert!(!guest(&["search", "turinng"], &places), "it is misspelled");
}
