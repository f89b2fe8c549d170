//! What an offer into an inbox promises: it stays what it was, takes no more than its share, and says why it does not come.

use std::fs;

use qshare::model::ContentId;
use rustix::process::Signal;

use crate::common::own::{self, Ending, Own, Value, list, map, number, tagged, text};
use crate::common::{Lab, Process, noise, until};
use crate::{MIB, Person, putting};

const BAD_REQUEST: u64 = 1;
const BUSY: u64 = 2;
const CANCELLED: u64 = 3;
const FORBIDDEN: u64 = 6;
const TOO_LARGE: u64 = 12;

fn item(content: &[u8], (kind, size, files): (&str, u64, u64)) -> Value {
    let id = own::bytes(ContentId::of(content).as_bytes());
    let sizes = [("kind", text(kind)), ("size", number(size)), ("files", number(files))];
    let [kind, size, files] = sizes;
    map([("name", text("a")), ("id", id), kind, size, files])
}

fn request(put: u8, items: Vec<Value>, receivers: Vec<Value>) -> Vec<u8> {
    let put = [("put", own::bytes([put; 16])), ("items", list(items))];
    let [put, items] = put;
    tagged("Put", map([put, items, ("text", text("")), ("receivers", list(receivers))])).frame()
}

#[test]
fn what_changes_half_way_is_told_at_both_ends_and_ends_there() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "2M"]);
    let file = lab.file("big.bin", &noise(31, 24 * MIB));
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["bytes"].as_u64() > Some(MIB as u64));
    fs::write(&file, noise(32, 24 * MIB)).expect("written");
    let error = put.end().error(1);
    assert!(error.contains("big.bin has changed"), "{error}");
    let offer = bob.waits(&lab, "withdrawn");
    let message = offer["message"].as_str().expect("a sentence");
    assert!(message.contains("has changed at its sender"), "{message}");
    let jobs = bob.run(&lab, &["jobs"]).events;
    assert!(jobs.iter().all(|job| job["state"] != "running" && job["state"] != "waiting"), "{jobs:#?}");
    assert!(!bob.into.join("big.bin").exists());
    assert!(bob.run(&lab, &["inbox", "accept", "1", "--detach"]).error(2).contains("is withdrawn"));
}

#[test]
fn what_is_moved_before_it_was_accepted_is_gone() {
    let lab = Lab::new();
    let (bob, anna) = (Person::new(&lab, "ask", &[]), lab.home());
    let file = lab.file("a.txt", b"here");
    let mut put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    fs::rename(&file, lab.path("b.txt")).expect("moved");
    let error = put.end().error(1);
    assert!(error.contains("a.txt is gone"), "{error}");
    let offer = bob.waits(&lab, "withdrawn");
    assert!(offer["message"].as_str().is_some_and(|message| message.contains("is gone at its sender")), "{offer}");
    // It is there again: it waits again.
    fs::rename(lab.path("b.txt"), &file).expect("moved");
    let put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    let second = || bob.run(&lab, &["inbox", "accept", "2", "--detach"]).code == Some(0);
    until("it waits again", second);
    assert_eq!(put.end().code, Some(0));
    assert_eq!(fs::read(bob.into.join("a.txt")).expect("there"), b"here");
}

#[test]
fn what_is_on_its_way_can_be_declined() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "1M"]);
    let file = lab.file("big.bin", &noise(33, 24 * MIB));
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["bytes"].as_u64() > Some(0));
    assert_eq!(bob.run(&lab, &["inbox", "decline", "1"]).event("inbox")["state"], "declined");
    assert!(put.end().error(1).contains("declined by"));
    assert!(!bob.into.join("big.bin").exists());
}

#[test]
fn what_lies_there_is_neither_compared_nor_given_to_whoever_names_it() {
    let lab = Lab::new();
    let (bob, secret) = (Person::new(&lab, "always", &[]), b"of nobody's business");
    fs::create_dir_all(&bob.into).expect("made");
    fs::write(bob.into.join("a"), secret).expect("written");
    let mallory = Own::new();
    let (link, _) = mallory.dial(&bob.node.addr).expect("let in");
    let talk = mallory.open(&link, &request(1, vec![item(secret, ("file", secret.len() as u64, 1))], Vec::new()));
    // It is to come beside what is there, and nobody gives it.
    let beside = |job: &serde_json::Value| job["output"].as_str().is_some_and(|output| output.ends_with("a (2)"));
    until("it is fetched", || bob.run(&lab, &["jobs"]).events.iter().any(beside));
    assert_eq!(bob.offer(&lab)["state"], "accepted");
    drop(talk);
}

/// A get that ended half way has left a tree where what is sent goes, and its file is sent, and it itself.
#[test]
fn what_other_transfers_have_left_there_is_not_gone_on_with() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "8M"]);
    let (one, two) = (lab.file("album/one.bin", &noise(36, 4 * MIB)), lab.file("album/two.bin", &noise(37, 20 * MIB)));
    let album = two.parent().expect("a directory").to_owned();
    let mut share = Process::start(lab.qshare_at(&anna.home).arg("share").arg(&album));
    let id = share.event("offer")["id"].as_str().expect("an id").to_owned();
    let mut get = lab.qshare();
    get.args(["get", &id, "--from", &anna.at(), "--no-share", "-o"]).arg(bob.into.join("album"));
    fs::create_dir_all(&bob.into).expect("made");
    let mut get = Process::start(&mut get);
    get.event_that("progress", |progress| progress["bytes"].as_u64() > Some(12 * MIB as u64));
    get.kill();
    let left =
        || fs::read_dir(&bob.into).expect("made").map(|entry| entry.expect("listed").file_name()).collect::<Vec<_>>();
    let before = left();
    assert!(!before.is_empty() && !bob.into.join("album").exists(), "{before:?}");
    let sent = || anna.run(&lab, &["status"]).event("status")["running"]["uploaded"].as_u64().expect("told");
    let already = sent();
    anna.run(&lab, &["limit", "--up", "none"]);
    let put = putting(&lab, &anna.home, &[&one, &album], &[&bob], &[]).end();
    assert_eq!(put.code, Some(0), "{put:#?}");
    assert!(fs::read(bob.into.join("one.bin")).expect("there") == noise(36, 4 * MIB));
    assert!(fs::read(bob.into.join("2/album/two.bin")).expect("there") == noise(37, 20 * MIB));
    assert!(sent() - already >= 28 * MIB as u64, "all of both: {} bytes", sent() - already);
    assert!(before.iter().all(|name| left().contains(name)), "it is still there for its own transfer: {:?}", left());
}

#[test]
fn one_put_on_two_streams_of_which_one_is_withdrawn_is_ended_on_the_other() {
    let lab = Lab::new();
    let (bob, anna) = (Person::new(&lab, "ask", &[]), Own::new());
    let (link, _) = anna.dial(&bob.node.addr).expect("let in");
    let asked = request(1, vec![item(b"x", ("file", 1, 1))], Vec::new());
    let mut streams = [anna.open(&link, &asked), anna.open(&link, &asked)];
    let [first, second] = &mut streams;
    anna.runtime.block_on(async {
        for stream in [&mut *first, &mut *second] {
            assert!(matches!(stream.answer().await, Ending::Answer(_)));
            assert_eq!(stream.next().await, Ok(text("Waiting")));
        }
        first.send.reset(u32::try_from(CANCELLED).expect("small").into()).expect("open");
        while second.next().await == Ok(text("Waiting")) {}
    });
    assert_eq!(bob.offer(&lab)["state"], "withdrawn");
    // Whoever means it asks again.
    let mut again = anna.open(&link, &asked);
    assert!(matches!(anna.runtime.block_on(again.answer()), Ending::Answer(_)));
    bob.waits(&lab, "waiting");
}

#[test]
fn a_message_that_was_taken_outlives_its_node() {
    let lab = Lab::new();
    let (mut bob, anna) = (Person::new(&lab, "ask", &[]), lab.home());
    let sent = putting(&lab, &anna, &[], &[&bob], &["--text", "keep this"]).end();
    bob.restart(&lab, &[]);
    assert_eq!(sent.code, Some(0));
    assert_eq!(bob.offer(&lab)["text"], "keep this");
}

#[test]
fn what_is_withdrawn_and_cleared_does_not_come_back() {
    let lab = Lab::new();
    let (bob, anna, file) = (Person::new(&lab, "ask", &[]), lab.home(), lab.file("a.txt", b"a"));
    let put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    put.signal(Signal::INT);
    bob.waits(&lab, "withdrawn");
    bob.run(&lab, &["inbox", "clear"]).event("inbox");
    assert_eq!(put.end().code, Some(130));
    assert_eq!(bob.offer(&lab), serde_json::Value::Null);
}

#[test]
fn what_is_accepted_and_sent_no_longer_says_so_and_can_be_declined() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "1M"]);
    let file = lab.file("big.bin", &noise(35, 24 * MIB));
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["bytes"].as_u64() > Some(0));
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
    let is_told = |offer: &serde_json::Value| {
        offer["message"].as_str().is_some_and(|message| message.contains("is not sent any more"))
    };
    until("it says so", || is_told(&bob.offer(&lab)));
    assert_eq!(bob.offer(&lab)["state"], "accepted", "what has come is kept");
    assert_eq!(bob.run(&lab, &["inbox", "decline", "1"]).event("inbox")["state"], "declined");
}

#[test]
fn what_cannot_be_sent_is_told_before_anybody_is_looked_for() {
    let lab = Lab::new();
    let nobody = Own::new().target;
    let put = |more: &[&str]| Process::start(lab.qshare().args(["put", "--to", &nobody]).args(more)).end();
    let missing = lab.path("nothing").display().to_string();
    assert!(put(&[&missing]).error(1).contains("cannot be shared"));
    let file = lab.file("a.txt", b"a").display().to_string();
    assert!(put(&[&file, "--name", "b.txt"]).error(2).contains("standard input"));
    assert!(put(&["-", "-", "--name", "b.txt"]).error(2).contains("once"));
    assert!(put(&["--text", ""]).error(2).contains("is empty"));
    assert!(put(&[]).error(2).contains("what to send"));
}

#[test]
fn ten_keys_of_one_address_leave_room_for_others_and_nonsense_is_refused() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let (mut taken, mut refused) = (0, Vec::new());
    for _ in 0..4 {
        let own = Own::new();
        let (link, _) = own.dial(&bob.node.addr).expect("let in");
        for put in 0..10 {
            match own.ask(&link, &request(put, vec![item(&[put], ("file", 1, 1))], Vec::new())) {
                Ending::Answer(_) => taken += 1,
                Ending::Refused(code) => refused.push(code),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((taken, refused), (25, vec![BUSY; 15]));
    let own = Own::new();
    let (link, _) = own.dial(&bob.node.addr).expect("let in");
    let file = |files: u64| item(b"x", ("file", 1, files));
    let receiver = |n: u8| map([("node", own::bytes([n; 32])), ("addrs", list([]))]);
    for (what, code) in [
        (request(50, vec![file(1); 65], Vec::new()), BAD_REQUEST),
        (request(51, vec![file(1)], (0..17).map(receiver).collect()), BAD_REQUEST),
        (request(52, vec![file(2)], Vec::new()), BAD_REQUEST),
        (request(53, vec![item(b"x", ("symlink", 1, 1))], Vec::new()), BAD_REQUEST),
        (request(54, vec![item(b"x", ("collection", 1, 1_000_000))], Vec::new()), TOO_LARGE),
        (request(55, vec![item(b"x", ("file", u64::MAX, 1)); 2], Vec::new()), TOO_LARGE),
    ] {
        assert_eq!(own.ask(&link, &what), Ending::Refused(code));
    }
}

/// A node for friends alone, to which a stranger sends something that another stranger is to have, too.
#[test]
fn a_node_for_friends_gives_to_those_whom_a_put_names_that_and_nothing_else() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &["--friends-only"]);
    let (anna, carol, mallory) = (Own::new(), Own::new(), Own::new());
    let content = noise(34, MIB);
    let receivers = vec![map([("node", own::bytes(carol.node)), ("addrs", list([]))])];
    let (link, _) = anna.dial(&bob.node.addr).expect("let in");
    let asked = request(1, vec![item(&content, ("file", MIB as u64, 1))], receivers);
    let talk = anna.open(&link, &asked);
    bob.waits(&lab, "waiting");
    let about = |tag: &str, content: &[u8]| {
        let id = own::bytes(ContentId::of(content).as_bytes());
        tagged(tag, map([("id", id), ("size", number(MIB as u64))])).frame()
    };
    let ask = |who: &Own, what: &[u8]| {
        let (link, _) = who.dial(&bob.node.addr).expect("let in");
        who.ask(&link, what)
    };
    assert_eq!(ask(&carol, &about("Watch", &content)), Ending::Refused(FORBIDDEN), "nobody has accepted it");
    assert_eq!(bob.run(&lab, &["inbox", "accept", "1", "--detach"]).code, Some(0));
    until("she is served", || matches!(ask(&carol, &about("Watch", &content)), Ending::Answer(_)));
    for (who, what) in [
        (&carol, about("Watch", b"another")),
        (&carol, about("Locate", &content)),
        (&carol, tagged("FilesOf", map([])).frame()),
        (&mallory, about("Watch", &content)),
        (&mallory, about("Manifest", &content)),
    ] {
        assert_eq!(ask(who, &what), Ending::Refused(FORBIDDEN));
    }
    drop(talk);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_it_goes_on_when_there_is_room() {
    use crate::common::disk::SmallDisk;
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.dir("small"), 16) else { return };
    disk.fill();
    let start = |home: &std::path::Path| crate::node(&lab, home, &[]);
    let bob = Person::into("always", disk.0.clone(), lab.home(), start);
    let bytes = noise(35, 6 * MIB);
    let file = lab.file("large.bin", &bytes);
    let mut put = putting(&lab, &lab.home(), &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "fetching");
    let is_stuck = || bob.offer(&lab)["stuck"].is_number();
    until("it does not go on", is_stuck);
    let offer = bob.offer(&lab);
    assert_eq!(offer["state"], "accepted");
    assert!(offer["message"].as_str().is_some_and(|why| why.contains("space")), "{offer}");
    disk.empty();
    assert_eq!(bob.run(&lab, &["inbox", "accept", "1", "--detach"]).code, Some(0));
    assert_eq!(put.end().code, Some(0));
    assert!(fs::read(disk.0.join("large.bin")).expect("there") == bytes);
}

#[test]
#[cfg(target_os = "linux")]
fn a_message_that_cannot_be_kept_is_not_told_as_there() {
    use crate::common::disk::SmallDisk;
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.dir("small"), 4) else { return };
    let bob = Person::into("ask", lab.path("in"), disk.0.join("home"), |home| crate::node(&lab, home, &[]));
    disk.fill();
    let message = ["put", "--text", "important", "--to", &bob.at(), "--wait"];
    let put = |wait| Process::start(lab.qshare_at(&lab.home()).args(message).arg(wait));
    put("2").end().error(6);
    assert!(bob.run(&lab, &["inbox"]).events.iter().all(|line| line["event"] != "inbox"), "it is not there");
    let later = put("60");
    disk.empty();
    assert_eq!(later.end().code, Some(0));
    assert_eq!(bob.offer(&lab)["text"], "important");
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_left_to_the_node_is_offered_no_longer() {
    use crate::common::disk::SmallDisk;
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.dir("small"), 4) else { return };
    let anna = Person::into("ask", lab.path("in"), disk.0.join("home"), |home| crate::node(&lab, home, &[]));
    let bob = Person::new(&lab, "ask", &[]);
    disk.fill();
    let file = lab.file("a.txt", b"a").display().to_string();
    let put = anna.run(&lab, &["put", &file, "--to", &bob.at(), "--detach"]);
    assert!(put.error(1).contains("so nothing of it is offered"));
    let stands = || bob.offer(&lab)["state"].clone();
    until("it is withdrawn", || stands().is_null() || stands() == "withdrawn");
}

#[test]
fn who_is_away_is_told_with_when_it_was_seen_last() {
    let lab = Lab::new();
    let mut bob = Person::new(&lab, "always", &[]);
    let (anna, file) = (lab.home(), lab.file("a.txt", b"a"));
    assert_eq!(putting(&lab, &anna, &[&file], &[&bob], &[]).end().code, Some(0));
    bob.node.process.kill();
    three_hours_ago(&anna);
    let mut put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    let away = put.event_that("put", |put| put["state"] == "away");
    assert!(away["message"].as_str().is_some_and(|why| why.starts_with("last seen 3 h")), "{away}");
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
}

#[test]
fn whose_connection_has_just_ended_was_seen_just_now() {
    let lab = Lab::new();
    let mut bob = Person::new(&lab, "ask", &[]);
    let (anna, file) = (lab.home(), lab.file("a.txt", b"a"));
    let mut put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    three_hours_ago(&anna);
    bob.node.process.kill();
    let away = put.event_that("put", |put| put["state"] == "away");
    let why = away["message"].as_str().expect("a sentence");
    assert!(why.starts_with("last seen ") && !why.starts_with("last seen 3 h"), "{away}");
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
}

/// The only node that this home has met was seen then.
fn three_hours_ago(home: &std::path::Path) {
    let met = fs::read_to_string(home.join("met")).expect("kept");
    let (rest, seconds) = met.trim_end().rsplit_once(' ').expect("when");
    let before = seconds.parse::<u64>().expect("seconds") - 3 * 3600;
    fs::write(home.join("met"), format!("{rest} {before}\n")).expect("written");
}
