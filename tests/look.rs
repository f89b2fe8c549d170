//! What a look says and when it ends: rivals of one name, where a named peer is looked for, what a dry run tells, counts.

#![allow(clippy::disallowed_methods, reason = "how long a look lasts is measured")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::own::{self, Own, Script, hit, list, map, number, ok, tagged, welcome};
use common::{Ended, Lab, Node, Process, at_peers, noise, until};
use rustix::process::Signal;
use serde_json::Value;

/// Bytes of one chunk of a small file.
const CHUNK: u64 = 256 << 10;

fn start(lab: &Lab, peers: &[&Node], arguments: &[&str]) -> Process {
    let mut command = lab.qshare();
    // Who has answered is told there.
    command.env("RUST_LOG", "qshare=debug").args(arguments).args(at_peers(peers));
    Process::start(&mut command)
}

fn run(lab: &Lab, peers: &[&Node], arguments: &[&str]) -> Ended {
    start(lab, peers, arguments).end()
}

fn hits(ended: &Ended) -> Vec<&Value> {
    ended.events.iter().filter(|event| event["event"] == "hit").collect()
}

fn id(node: &Node) -> String {
    let offer = node.process.events.iter().find(|event| event["event"] == "offer").expect("offered");
    offer["id"].as_str().expect("text").to_owned()
}

/// Two nodes that share one name with other bytes; the second is a neighbour of the first.
fn rivals(lab: &Lab) -> [Node; 2] {
    let one = lab.near(&lab.file("one/same.bin", &noise(1, 40_000)), &[], &["--only-peers"]);
    let other = lab.near(&lab.file("other/same.bin", &noise(2, 50_000)), &[&one], &["--only-peers"]);
    until("each is found through the other", || {
        [&one, &other].iter().all(|node| hits(&run(lab, &[node], &["search", "same", "--only-peers"])).len() == 2)
    });
    [one, other]
}

#[track_caller]
fn ambiguous(ended: &Ended, nodes: &[Node; 2]) {
    assert!(ended.error(4).contains("2 different things"), "{ended:#?}");
    for node in nodes {
        assert!(hits(ended).iter().any(|hit| hit["id"] == id(node)), "{ended:#?}");
    }
}

#[test]
fn one_name_of_two_contents_is_never_picked_without_a_word() {
    let lab = Lab::new();
    let nodes = rivals(&lab);
    let [one, other] = &nodes;
    let get = ["get", "same.bin", "--only-peers"];
    // As neighbours, and as given peers in either order.
    for peers in [vec![one], vec![other], vec![one, other], vec![other, one]] {
        ambiguous(&run(&lab, &peers, &get), &nodes);
    }
    // The first answer does not end the look while another one is slow.
    for (slow, peers) in [(one, [one, other]), (other, [one, other]), (one, [other, one])] {
        slow.process.signal(Signal::STOP);
        let getting = start(&lab, &peers, &get);
        until("the first has answered", || getting.stderr().contains("looked"));
        slow.process.signal(Signal::CONT);
        ambiguous(&getting.end(), &nodes);
    }
    assert!(!lab.path("same.bin").exists(), "nothing has the name");
    // Who says which one is not asked.
    let from = format!("{}@{}", other.id, other.addr);
    run(&lab, &[], &["get", "same.bin", "--from", &from, "-o", "from/"]).done();
    assert!(fs::read(lab.path("from/same.bin")).expect("fetched") == noise(2, 50_000));
    run(&lab, &[one], &["get", &id(other), "-o", "by-id/", "--only-peers"]).done();
}

/// Where nobody has hashed it yet, one name and one size may be two contents all the same.
#[test]
fn one_name_and_size_that_nobody_has_hashed_is_not_picked_without_a_word() {
    const SIZE: u64 = 2 << 30;
    let lab = Lab::new();
    let path = |name: &str, last: u8| {
        let path = lab.file(name, &[]);
        let file = fs::File::options().write(true).open(&path).expect("made");
        std::os::unix::fs::FileExt::write_at(&file, &[last], SIZE - 1).expect("a sparse file");
        path
    };
    let paths = [path("one/disk.img", 1), path("other/disk.img", 2)];
    let share = |path| lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0", "--only-peers"]).arg(path));
    let [mut one, mut other] = paths.map(share);
    until("its name is known", || {
        [&one, &other].iter().all(|node| !hits(&run(&lab, &[node], &["search", "disk.img", "--only-peers"])).is_empty())
    });
    let mut getting = start(&lab, &[&one, &other], &["get", "disk.img", "--only-peers", "--limit", "1MiB/s"]);
    // Whose is told depends on who has hashed first; that there are two is told in any case.
    let told = getting.next_that("a word about both", |event| {
        let names_another = event["message"].as_str().is_some_and(|text| text.contains("names another thing"));
        event["event"] == "error" || (event["event"] == "warning" && names_another)
    });
    if told["event"] == "error" {
        let ended = getting.end();
        assert!(ended.error(4).contains("matches 2 different things"), "{ended:#?}");
    } else {
        for node in [&mut one, &mut other] {
            let id = node.process.first("offer")["id"].as_str().map(str::to_owned).expect("hashed");
            assert!(told["message"].as_str().is_some_and(|text| text.contains(&id)), "{told}");
        }
    }
}

#[test]
fn a_trackers_word_goes_first_and_a_rival_around_is_a_warning_with_both_ids() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let _known = lab.share(&tracker, &[&lab.file("one/same.bin", &noise(1, 1 << 20))], &["--limit", "400KiB/s"]);
    let around = lab.near(&lab.file("other/same.bin", &noise(2, 50_000)), &[], &["--only-peers"]);
    // Who was named is believed like the tracker; a neighbour of it is not.
    let named = lab.near(&lab.file("hub/x.bin", b"x"), &[&around], &["--only-peers"]);
    until("the rival is found through it", || !hits(&run(&lab, &[&named], &["search", "same.bin"])).is_empty());
    let search = run(&lab, &[], &["search", "same.bin", "--tracker", &tracker.addr]);
    let known = hits(&search)[0]["id"].as_str().map(str::to_owned).expect("hashed");
    for dry in [&[][..], &["-n"]] {
        let get = ["get", "same.bin", "--tracker", &tracker.addr, "-o", "out/"];
        let ended = run(&lab, &[&named], &[&get[..], dry].concat());
        let done = ended.done();
        assert_eq!((done["id"].as_str(), done["plane"].as_str()), (Some(&*known), Some("tracker")));
        let warnings: Vec<_> = ended.events.iter().filter(|event| event["event"] == "warning").collect();
        let says = |text: &str| {
            let about = |warning: &&&Value| warning["message"].as_str().is_some_and(|message| message.contains(text));
            warnings.iter().filter(about).count()
        };
        assert_eq!((says(&known), says(&id(&around))), (1, 1), "{dry:?}: once, with both: {warnings:#?}");
    }
}

/// A home with a friend, or with another id that it has met.
fn home(lab: &Lab, friend: Option<&str>) -> std::path::PathBuf {
    let home = lab.home();
    if let Some(friend) = friend {
        Process::start(lab.qshare_at(&home).args(["friends", "add", "anna", friend])).end().event("friend");
    }
    home
}

#[test]
fn a_named_peer_is_asked_itself_however_it_is_named_and_wherever_it_is_known() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let file = lab.file("shared/wanted.bin", b"wanted");
    let at_tracker = ["--tracker", &tracker.addr];
    // A neighbour that tells whom else it knows.
    let mut command = lab.qshare();
    command.args(["share", "--listen", "127.0.0.1:0"]).arg(lab.file("hub/wanted.bin", b"not this one"));
    let mut hub = lab.start(&mut command);
    hub.process.event("offer");
    let mut command = lab.qshare();
    command.args(["share", "--listen", "127.0.0.1:0", "--peer", &hub.addr]).args(at_tracker).arg(&file);
    let mut node = lab.start(&mut command);
    node.wait_hashed();
    let by_hub = ["--peer", &hub.addr, "--only-peers"];
    until("they are neighbours", || run(&lab, &[&hub], &["search", "wanted", "--only-peers"]).events.len() >= 3);
    let (place, prefix) = (format!("{}@{}", node.id, node.addr), &node.id[..8]);
    let (no_friend, known, unknown) = (home(&lab, None), home(&lab, Some(&place)), home(&lab, Some(&node.id)));
    // A prefix is of an id that the home has met.
    Process::start(lab.qshare_at(&no_friend).args(["search", "wanted"]).args(at_tracker)).end().event("hit");
    let nowhere: &[&str] = &[];
    let cases: [(&Path, &str, &[&str]); 13] = [
        (&no_friend, &place, nowhere),
        (&no_friend, &place, &at_tracker),
        (&no_friend, &node.addr, nowhere),
        (&no_friend, &node.addr, &at_tracker),
        (&no_friend, &node.id, &at_tracker),
        (&no_friend, &node.id, &by_hub),
        (&no_friend, prefix, &at_tracker),
        (&no_friend, prefix, &by_hub),
        (&no_friend, &node.id, &["--peer", &node.addr]),
        (&known, "anna", nowhere),
        (&known, "anna", &at_tracker),
        (&unknown, "anna", &at_tracker),
        (&unknown, "anna", &by_hub),
    ];
    for (n, (home, peer, places)) in cases.into_iter().enumerate() {
        let ls = Process::start(lab.qshare_at(home).args(["ls", peer]).args(places)).end();
        assert_eq!(hits(&ls).len(), 1, "ls {peer} {places:?}: {ls:#?}");
        let out = format!("out-{n}/");
        let get = ["get", "wanted.bin", "--from", peer, "-o", &out];
        let got = Process::start(lab.qshare_at(home).args(get).args(places)).end();
        assert_eq!(got.done()["providers"][0]["node"], *node.id, "--from {peer} {places:?}: {got:#?}");
        assert_eq!(fs::read(lab.path(&out).join("wanted.bin")).expect("fetched"), b"wanted");
    }
    // Whoever was met is found again where it was, though nobody knows it.
    for (n, first) in [["ls", &node.addr], ["get", "wanted.bin"]].into_iter().enumerate() {
        let met = home(&lab, None);
        let from: &[&str] = if n == 0 { &[] } else { &["--from", &node.addr, "-o", "met-by-get/"] };
        assert_eq!(Process::start(lab.qshare_at(&met).args(first).args(from)).end().code, Some(0));
        for peer in [prefix, &node.id] {
            let out = format!("met-{n}-{peer}/");
            let got = Process::start(lab.qshare_at(&met).args(["get", "wanted.bin", "--from", peer, "-o", &out])).end();
            assert_eq!(got.done()["providers"][0]["node"], *node.id, "--from {peer} after {first:?}: {got:#?}");
        }
    }
    let nobody = Process::start(lab.qshare().args(["get", "wanted", "--from", &hub.id]).args(at_tracker)).end();
    assert!(nobody.error(3).contains(&hub.id), "the tracker does not know the hub");
}

/// What a dry run says of each file.
fn states(done: &Value) -> Vec<(&str, &str, &str)> {
    let plan = done["plan"].as_array().expect("a dry run");
    plan.iter()
        .map(|file| {
            let text = |key: &str| file[key].as_str().unwrap_or_default();
            (text("name"), text("state"), text("path"))
        })
        .collect()
}

#[test]
fn a_dry_run_says_what_would_come_to_where_and_from_whom_and_touches_nothing() {
    let lab = Lab::new();
    // Its chunks come side by side: the first is there long before the last.
    let big = noise(3, 6 << 20);
    for (name, bytes) in [("a.txt", &b"one"[..]), ("b/c.txt", b"three"), ("b/same.txt", b"one"), ("d.bin", &big)] {
        lab.file(&format!("tree/{name}"), bytes);
    }
    let tracker = lab.tracker();
    let node = lab.share(&tracker, &[&lab.path("tree")], &["--limit", "1MiB/s"]);
    let dry = |more: &[&str]| lab.get(&tracker, &[&["tree", "-n"], more].concat());

    let ended = dry(&["-o", "out/"]);
    let done = ended.done();
    assert_eq!(
        states(done),
        [
            ("a.txt", "new", "out/tree/a.txt"),
            ("b/c.txt", "new", "out/tree/b/c.txt"),
            ("b/same.txt", "new", "out/tree/b/same.txt"),
            ("d.bin", "new", "out/tree/d.bin")
        ]
    );
    let numbers = |done: &Value| ["to_come", "kept", "in_the_way"].map(|key| done[key].as_u64().expect("a number"));
    assert_eq!(numbers(done), [8 + big.len() as u64, 0, 0], "one content comes once");
    assert_eq!((&done["path"], &done["providers"][0]["node"]), (&"out/tree".into(), &node.id.as_str().into()));
    assert!(!lab.path("out").exists(), "nothing is made");

    // Here already, in the way, and behind something that is never replaced.
    lab.file("out/tree/a.txt", b"one");
    lab.file("out/tree/d.bin", b"other");
    lab.file("out/tree/b", b"a file");
    let ended = dry(&["-o", "out/"]);
    let state =
        |ended: &Ended| states(ended.event("done")).iter().map(|(_, state, _)| (*state).to_owned()).collect::<Vec<_>>();
    assert_eq!(state(&ended), ["here", "blocked", "blocked", "differs"]);
    assert_eq!((numbers(ended.event("done")), ended.code), ([0, 0, 3], Some(1)), "as the get would end");
    let forced = dry(&["-o", "out/", "--force", "--only", "*.bin"]);
    assert_eq!((state(&forced), numbers(forced.done())), (vec!["differs".to_owned()], [big.len() as u64, 0, 0]));
    assert_eq!(fs::read(lab.path("out/tree/d.bin")).expect("there"), b"other");
    assert_eq!(fs::read_dir(lab.path("out")).expect("there").count(), 1, "nothing stays beside it");

    // One file: under another name, to standard output, into a directory that is missing.
    let file = lab.get(&tracker, &["d.bin", "-n", "-o", "other-name"]);
    assert_eq!(states(file.done()), [("d.bin", "new", "other-name")]);
    let none = lab.get(&tracker, &["d.bin", "-n", "-o", "missing/file"]);
    assert_eq!(states(none.done()), [("d.bin", "new", "missing/file")]);
    assert!(none.event("warning")["message"].as_str().is_some_and(|text| text.contains("missing")), "{none:#?}");
    assert!(!lab.path("missing").exists() && !lab.path("other-name").exists());

    // What an earlier run left counts, and stays.
    let mut getting = lab.getting(&tracker, &["tree", "-o", "later/"]);
    getting.event_that("progress", |event| event["bytes"].as_u64() > Some(CHUNK));
    getting.signal(Signal::INT);
    assert_eq!(getting.end().code, Some(130));
    let names = || {
        let entries = fs::read_dir(lab.path("later")).expect("there").flatten();
        let mut names: Vec<_> = entries.map(|e| (e.file_name(), e.metadata().expect("there").len())).collect();
        names.sort();
        names
    };
    let before = names();
    let resumed = dry(&["-o", "later/"]);
    let [to_come, kept, _] = numbers(resumed.done());
    assert!(kept >= CHUNK && to_come + kept == 8 + big.len() as u64, "{resumed:#?}");
    assert_eq!(names(), before, "the partial is as it was");
}

#[test]
fn counts_over_neighbours_say_when_they_are_lower_bounds_and_more_is_paged_on() {
    let lab = Lab::new();
    for n in 0..300 {
        lab.file(&format!("many/match-{n:03}.txt"), format!("{n}").as_bytes());
    }
    let hub = lab.near(&lab.file("hub/hub.bin", b"hub"), &[], &["--only-peers"]);
    let many = lab.near(&lab.path("many"), &[&hub], &["--only-peers"]);
    let search = |more: &[&str]| run(&lab, &[&hub], &[&["search", "match", "--only-peers"], more].concat());
    until("the directory is hashed and near", || search(&[]).code == Some(0));
    until("all of it", || hits(&search(&["--limit-hits", "400"])).len() == 300);
    let summary = |ended: &Ended| {
        let summary = ended.event("summary");
        (summary["hits"].as_u64(), summary["more"].as_u64(), summary["at_least"].as_bool())
    };
    assert_eq!(summary(&search(&[])), (Some(50), Some(50), Some(true)), "an answer holds a hundred");
    assert_eq!(summary(&search(&["--limit-hits", "400"])), (Some(300), Some(0), Some(false)));
    assert_eq!(summary(&search(&["--limit-hits", "250"])), (Some(250), Some(50), Some(false)));
    assert!(run(&lab, &[&hub], &["get", "match", "--only-peers"]).error(4).contains("at least 100 different"));
    // Asked itself, a node tells how many it has.
    let direct = run(&lab, &[&many], &["search", "match", "--only-peers"]);
    assert_eq!(summary(&direct), (Some(50), Some(250), Some(false)));
    assert!(run(&lab, &[&many], &["get", "match", "--only-peers"]).error(4).contains("at least 200 different"));
}

/// A peer that answers searches, and others, as this says: first how often a search has come, then the request's name.
fn answering(how: fn(usize, &str) -> Answer) -> Own {
    let (own, asked) = (Own::new(), Arc::new(AtomicUsize::new(0)));
    let script: Script = Arc::new(move |request, mut talk| {
        let count = asked.fetch_add(usize::from(request.tag() == "Search"), Ordering::Relaxed);
        Box::pin(async move {
            let found = || ok(map([("hits", list([hit("slow.bin", [5; 32], Vec::new())])), ("more", number(0))]));
            match how(count, request.tag()) {
                Answer::Found(after) => {
                    tokio::time::sleep(after).await;
                    talk.say(&found()).await;
                }
                Answer::GivesWay => talk.link.close(5_u32.into(), b""),
                Answer::Nothing => std::future::pending().await,
                Answer::Now => talk.say(&ok(map([("unix_ms", number(1))]))).await,
                Answer::Unsupported => talk.say(&tagged("Err", map([("code", number(13))])).frame()).await,
            }
            talk.end();
        })
    });
    own.serve(&welcome(5, "node", own.addr), script);
    own
}

enum Answer {
    Found(Duration),
    GivesWay,
    Nothing,
    Now,
    Unsupported,
}

#[test]
fn who_has_much_to_do_and_is_there_is_waited_for_and_who_is_not_is_left() {
    const SLOW: Duration = Duration::from_secs(4);
    let lab = Lab::new();
    let busy = answering(|_, name| match name {
        "Clock" => Answer::Now,
        "Search" => Answer::Found(SLOW),
        _ => Answer::Unsupported,
    });
    let line = ["search", "slow", "--only-peers", "--peer"];
    let begun = Instant::now();
    let ended = Process::start(lab.qshare().args(line).arg(&busy.target)).end();
    assert_eq!((ended.code, hits(&ended).len()), (Some(0), 1), "{ended:#?}");
    assert!(begun.elapsed() >= SLOW);
    let silent = answering(|_, name| if name == "Join" { Answer::Unsupported } else { Answer::Nothing });
    let ended = Process::start(lab.qshare().args(line).arg(&silent.target)).end();
    assert!(ended.error(1).contains("does not answer"), "{ended:#?}");
}

#[test]
fn a_question_whose_connection_gave_way_to_another_is_asked_again_over_that() {
    let lab = Lab::new();
    let moving = answering(|count, name| match (name, count) {
        ("Search", 0) => Answer::GivesWay,
        ("Search", _) => Answer::Found(Duration::ZERO),
        _ => Answer::Unsupported,
    });
    let line = ["search", "slow", "--only-peers", "--peer", &moving.target];
    let ended = Process::start(lab.qshare().args(line)).end();
    assert_eq!((ended.code, hits(&ended).len()), (Some(0), 1), "{ended:#?}");
}

/// A peer that says of itself that it has one byte; what it does with a request, of which it has had so many for the id before.
fn having(byte: u8, how: fn(usize, &str) -> Having) -> Own {
    let (own, located) = (Own::new(), Arc::new(AtomicUsize::new(0)));
    let id = *blake3::hash(&[byte]).as_bytes();
    let script: Script = Arc::new(move |request, mut talk| {
        let count = located.fetch_add(usize::from(request.tag() == "Locate"), Ordering::Relaxed);
        Box::pin(async move {
            let page = |hits| ok(map([("hits", list(hits)), ("more", number(0))]));
            let told = map([("complete", own::Value::Flag(true)), ("fetching", number(1)), ("units", list([]))]);
            match how(count, request.tag()) {
                Having::Gives => talk.say(&[&ok(own::Value::Nil)[..], &[0, 0, 0, 0, 0, byte]].concat()).await,
                Having::Has(after) => {
                    tokio::time::sleep(after).await;
                    talk.say(&page(vec![hit("one.bin", id, Vec::new())])).await;
                }
                Having::HasNot => talk.say(&page(Vec::new())).await,
                Having::Nothing => std::future::pending().await,
                Having::Tells => {
                    talk.say(&[ok(own::Value::Nil), told.frame()].concat()).await;
                    std::future::pending::<()>().await;
                }
                Having::Unsupported => talk.say(&tagged("Err", map([("code", number(13))])).frame()).await,
            }
            talk.end();
        })
    });
    own.serve(&welcome(7, "node", own.addr), script);
    own
}

enum Having {
    Gives,
    Has(Duration),
    HasNot,
    Nothing,
    Tells,
    Unsupported,
}

/// Found with a hostile peer: who answered first had a transfer by id to itself until somebody was looked for again.
#[test]
fn who_answers_a_moment_later_joins_what_the_first_answer_began() {
    let lab = Lab::new();
    let silent = having(7, |_, name| match name {
        "Locate" => Having::Has(Duration::ZERO),
        "Watch" => Having::Tells,
        "Fetch" => Having::Nothing,
        _ => Having::Unsupported,
    });
    // It says so once only: nothing that is looked for later finds it.
    let honest = having(7, |located, name| match name {
        "Locate" if located == 0 => Having::Has(Duration::from_millis(300)),
        "Locate" => Having::HasNot,
        "Watch" => Having::Tells,
        "Fetch" => Having::Gives,
        _ => Having::Unsupported,
    });
    let id = blake3::hash(&[7]).to_string();
    let line = ["get", &id, "--only-peers", "--wait", "5", "-o", "one.bin", "--peer", &silent.target, "--peer"];
    let ended = Process::start(lab.qshare().args(line).arg(&honest.target)).end();
    let gave = |one: &&Value| one["bytes"] == 1;
    let by = ended.done()["providers"].as_array().and_then(|all| all.iter().find(gave)).map(|one| &one["addr"]);
    assert_eq!(by, Some(&honest.addr.to_string().into()), "{ended:#?}");
    assert_eq!(fs::read(lab.path("one.bin")).expect("there"), [7]);
}
