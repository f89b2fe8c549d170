//! Sending to single nodes: what waits, what is taken by rule, what is declined; and that nobody else learns of it or gets it.

mod common;
#[path = "put/former.rs"]
mod former;
#[cfg(target_os = "linux")]
#[path = "put/nearby.rs"]
mod nearby;
#[path = "put/promises.rs"]
mod promises;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::own::{self, Ending, Own, Talk, map, number, tagged, text};
use common::person::{Person, node, putting};
use common::{Lab, Process, heeding, nobody, noise, until};
use qshare::model::collection::Entry;
use qshare::model::{Collection, ContentId, SafePath};
use rustix::process::{Pid, Signal};

const MIB: usize = 1 << 20;

#[test]
fn a_stranger_waits_and_what_is_accepted_arrives() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let (bytes, anna) = (noise(1, 3 * MIB), lab.home());
    let file = lab.file("thesis.bin", &bytes);
    let mut put = putting(&lab, &anna, &[&file], &[&bob], &["--text", "as \u{1b}[31mpromised"]);
    put.event_that("put", |put| put["state"] == "waiting");
    let offer = bob.waits(&lab, "waiting");
    assert_eq!((&offer["items"][0]["name"], &offer["bytes"]), (&"thesis.bin".into(), &bytes.len().into()));
    assert_eq!(offer["text"], "as \u{1b}[31mpromised");
    assert!(!bob.into.exists(), "nothing is written before it was accepted");
    let shown = Command::new(env!("CARGO_BIN_EXE_qshare")).args(["inbox", "--home"]).arg(&bob.home).output();
    let shown = shown.expect("run");
    assert!(!shown.stderr.contains(&0x1b) && !shown.stdout.contains(&0x1b), "{shown:?}");
    assert_eq!(bob.run(&lab, &["inbox", "accept", "1"]).event("inbox")["state"], "accepted");
    let ended = put.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(fs::read(bob.into.join("thesis.bin")).expect("there") == bytes);
    assert_eq!(bob.waits(&lab, "done")["have"], bytes.len());
    assert!(bob.run(&lab, &["inbox", "accept", "1"]).error(2).contains("is done"));
    bob.run(&lab, &["inbox", "accept", "7"]).error(3);
}

#[test]
fn nobody_else_finds_or_gets_it_while_it_waits_and_when_it_is_there() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let mut anna = Person::new(&lab, "ask", &["--tracker", &tracker.addr]);
    let bob = Person::new(&lab, "ask", &["--tracker", &tracker.addr, "--peer", &anna.node.addr]);
    let mallory = lab.home();
    let dir = lab.file("album/one.bin", &noise(2, MIB)).parent().expect("a directory").to_owned();
    lab.file("album/two.bin", &noise(3, 600_000));
    let mut put = putting(&lab, &anna.home, &[&dir], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    let id = bob.waits(&lab, "waiting")["items"][0]["id"].as_str().expect("an id").to_owned();
    let one = blake3::hash(&noise(2, MIB)).to_string();
    let nobody_else = || {
        let run = |arguments: &[&str]| Process::start(lab.qshare_at(&mallory).args(arguments)).end();
        for place in [["--peer", &anna.node.addr], ["--peer", &bob.node.addr], ["--tracker", &tracker.addr]] {
            for look in [["search", "album"], ["search", "one"], ["locate", &id], ["locate", &one], ["get", &id]] {
                run(&[&look[..], &place[..]].concat()).error(3);
            }
        }
        for person in [&anna, &bob] {
            assert_eq!(run(&["ls", &person.at()]).events.iter().filter(|event| event["event"] == "hit").count(), 0);
            for content in [&id, &one] {
                run(&["get", content, "--from", &person.at(), "-o", "stolen"]).error(3);
            }
        }
        // Not even the owners list it.
        assert!(anna.run(&lab, &["share"]).events.iter().all(|event| event["event"] != "shared"));
    };
    nobody_else();
    bob.run(&lab, &["inbox", "accept", "all"]);
    assert_eq!(put.end().code, Some(0));
    assert!(fs::read(bob.into.join("album/one.bin")).expect("there") == noise(2, MIB));
    nobody_else();
    assert!(!lab.path("stolen").exists());
    assert_eq!(anna.node.process.event("upload")["name"], "album", "its owner knows it by its name");
}

#[test]
fn friends_are_taken_by_rule_and_nothing_is_replaced() {
    let lab = Lab::new();
    let (anna, file) = (lab.home(), lab.file("notes.txt", b"new"));
    let id = Process::start(lab.qshare_at(&anna).arg("id")).end().event("id")["node"].as_str().map(str::to_owned);
    let bob = Person::new(&lab, "friends", &[]);
    bob.run(&lab, &["friends", "add", "anna", &id.expect("an id")]).event("friend");
    fs::create_dir_all(&bob.into).expect("made");
    fs::write(bob.into.join("notes.txt"), "old").expect("written");
    for place in ["notes (2).txt", "notes (3).txt"] {
        fs::write(&file, place).expect("written");
        until("it knows its friend", || {
            putting(&lab, &anna, &[&file], &[&bob], &["--wait", "2"]).end().code == Some(0)
        });
        assert_eq!(fs::read(bob.into.join(place)).expect("there"), place.as_bytes());
    }
    assert_eq!(fs::read(bob.into.join("notes.txt")).expect("there"), b"old");
    // What begins with a dot waits all the same, and so does what a stranger sends.
    let hidden = lab.file(".profile", b"echo");
    assert!(putting(&lab, &anna, &[&hidden], &[&bob], &["--wait", "1"]).end().error(6).contains("nothing moved"));
    assert!(putting(&lab, &lab.home(), &[&file], &[&bob], &["--wait", "1"]).end().error(6).contains("--detach"));
}

#[test]
fn who_declines_is_named_and_who_withdraws_leaves_nothing() {
    let lab = Lab::new();
    let (bob, carol) = (Person::new(&lab, "ask", &[]), Person::new(&lab, "never", &[]));
    let (anna, file) = (lab.home(), lab.file("a.txt", b"a"));
    let error = putting(&lab, &anna, &[&file], &[&carol], &[]).end().error(1);
    assert!(error.contains(&carol.node.id[..8]), "{error}");
    let put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    bob.waits(&lab, "waiting");
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
    bob.waits(&lab, "withdrawn");
    assert!(bob.run(&lab, &["inbox", "accept", "1"]).error(2).contains("withdrawn"));
    let put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    until("it waits again", || bob.run(&lab, &["inbox", "decline", "all"]).events.len() == 1);
    let error = put.end().error(1);
    assert!(error.contains("declined by") && error.contains(&bob.node.id[..8]), "{error}");
}

#[test]
fn a_receiver_that_is_killed_at_half_goes_on() {
    let lab = Lab::new();
    let mut bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "8M"]);
    let bytes = noise(4, 24 * MIB);
    let file = lab.file("big.bin", &bytes);
    let address = bob.node.addr.clone();
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["bytes"].as_u64() > Some(4 << 20));
    bob.node.process.kill();
    bob.node = lab.start(lab.qshare_at(&bob.home).args(["node", "--listen", &address]));
    let ended = put.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(fs::read(bob.into.join("big.bin")).expect("there") == bytes);
    let uploads = anna.run(&lab, &["status"]).events.first().map(|status| status["running"]["uploaded"].clone());
    let sent = uploads.and_then(|sent| sent.as_u64()).unwrap_or_default();
    assert!(sent < 40 << 20, "it goes on where it was: {sent}");
}

#[test]
fn a_sender_that_is_killed_at_half_goes_on_with_what_was_left_to_it() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let mut anna = Person::new(&lab, "ask", &["--limit", "8M"]);
    let bytes = noise(5, 24 * MIB);
    let file = lab.file("big.bin", &bytes);
    let left = putting(&lab, &anna.home, &[&file], &[&bob], &["--detach"]).end();
    assert_eq!(left.code, Some(0), "{left:#?}");
    until("half is there", || bob.offer(&lab)["have"].as_u64() > Some(8 << 20));
    anna.restart(&lab, &[]);
    bob.waits(&lab, "done");
    assert!(fs::read(bob.into.join("big.bin")).expect("there") == bytes);
    until("its end is told", || anna.run(&lab, &["put"]).event("put")["state"] == "done");
    assert_eq!(anna.run(&lab, &["put", "--clear", "all"]).event("put")["number"], 1);
    assert!(anna.run(&lab, &["put"]).events.is_empty());
    assert_eq!(fs::read(anna.home.join("node/puts")).expect("written"), b"");
}

#[test]
fn who_is_away_is_told_and_gets_it_later() {
    let lab = Lab::new();
    let mut bob = Person::new(&lab, "always", &[]);
    let (anna, file) = (lab.home(), lab.file("a.txt", b"later"));
    bob.node.process.kill();
    let error = putting(&lab, &anna, &[&file], &[&bob], &["--wait", "1"]).end();
    assert!(error.error(6).contains(&bob.node.id[..8]));
    let mut put = putting(&lab, &anna, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "away" && put["message"].is_string());
    let address = bob.node.addr.clone();
    bob.node = lab.start(lab.qshare_at(&bob.home).args(["node", "--listen", &address]));
    assert_eq!(put.end().code, Some(0));
    assert_eq!(fs::read(bob.into.join("a.txt")).expect("there"), b"later");
}

#[test]
fn receivers_feed_each_other() {
    let lab = Lab::new();
    let all: Vec<Person> = (0..3).map(|_| Person::new(&lab, "always", &[])).collect();
    let anna = Person::new(&lab, "ask", &["--limit", "10M"]);
    let bytes = noise(6, 30 * MIB);
    let file = lab.file("big.bin", &bytes);
    let to: Vec<&Person> = all.iter().collect();
    let put = putting(&lab, &anna.home, &[&file], &to, &[]);
    let ended = put.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for person in &all {
        assert!(fs::read(person.into.join("big.bin")).expect("there") == bytes);
    }
    let status = anna.run(&lab, &["status"]).events.remove(0);
    let sent = status["running"]["uploaded"].as_u64().expect("told");
    assert!(sent < 2 * bytes.len() as u64, "three copies of {} in {sent} bytes of the sender", bytes.len());
}

#[test]
fn standard_input_and_messages() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = lab.home();
    let mut put = heeding(env!("CARGO_BIN_EXE_qshare").as_ref());
    put.args(["put", "-", "--name", "now.txt", "--no-lan", "--to", &bob.at(), "--home"]).arg(&anna);
    let mut put = put.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    std::io::Write::write_all(&mut put.stdin.take().expect("piped"), b"it is now").expect("written");
    let ended = put.wait_with_output().expect("ended");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(fs::read(bob.into.join("now.txt")).expect("there"), b"it is now");
    assert_eq!(fs::read_dir(anna.join("sent")).expect("made").count(), 0, "no copy stays");
    let mut events = Process::start(lab.qshare_at(&bob.home).arg("events"));
    events.event("listening");
    assert_eq!(putting(&lab, &anna, &[], &[&bob], &["--text", "hello"]).end().code, Some(0));
    assert_eq!(events.event("inbox")["text"], "hello");
    events.signal(Signal::TERM);
}

/// Somebody who says that a directory of two files has ten bytes in one.
#[test]
fn what_is_another_thing_than_was_told_is_given_up_and_nothing_of_it_is_written() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let file = |name: &str, content: &[u8]| {
        let (id, size) = (ContentId::of(content), content.len() as u64);
        (SafePath::parse(name).expect("a name"), Entry::File { size, id, executable: false })
    };
    let tree = Collection::new(vec![file("a", &[1; 6]), file("b", &[2; 4])]).expect("sound");
    let bytes = tree.manifest();
    let own = Own::new();
    let (link, _) = own.dial(&bob.node.addr).expect("let in");
    let (serving, list_of_it) = (link.clone(), bytes.clone());
    own.runtime.spawn(async move {
        while let Ok((send, recv)) = serving.accept_bi().await {
            let mut talk = Talk { link: serving.clone(), send, recv };
            let Ok(request) = talk.next().await else { continue };
            if request.tag() == "Manifest" {
                let head = map([("len", number(list_of_it.len() as u64))]);
                talk.say(&[&tagged("Ok", head).frame()[..], &list_of_it].concat()).await;
            } else {
                talk.say(&tagged("Err", map([("code", number(8)), ("retry_ms", number(0))])).frame()).await;
            }
            talk.end();
        }
    });
    let sizes = [("kind", text("collection")), ("size", number(10)), ("files", number(1))];
    let [kind, size, files] = sizes;
    let id = own::bytes(ContentId::of(&bytes).as_bytes());
    let item = map([("name", text("album")), ("id", id), kind, size, files]);
    let items = own::list([item]);
    let put = map([("put", own::bytes([7; 16])), ("items", items), ("text", text("")), ("receivers", own::list([]))]);
    let mut talk = own.open(&link, &tagged("Put", put).frame());
    own.runtime.block_on(async {
        assert!(matches!(talk.answer().await, Ending::Answer(_)));
        while talk.next().await != Ok(text("Declined")) {}
    });
    assert_eq!(bob.offer(&lab)["state"], "declined");
    assert_eq!(fs::read_dir(&bob.into).expect("made").count(), 0);
}

#[test]
fn who_is_known_is_served_while_an_address_does_not_answer() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let anna = Person::new(&lab, "ask", &[]);
    let (file, away) = (lab.file("a.txt", b"at once"), nobody());
    let mut put = putting(&lab, &lab.home(), &[&file], &[&bob], &["--to", &away]);
    put.event_that("put", |put| put["state"] == "done" && put["node"] == bob.node.id.as_str());
    put.event_that("put", |put| put["state"] == "away" && put["peer"] == away.as_str());
    assert_eq!(fs::read(bob.into.join("a.txt")).expect("there"), b"at once");
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
    // Nothing is left to a node of which nobody knows for whom.
    let left = putting(&lab, &anna.home, &[&file], &[&bob], &["--to", &away, "--detach"]).end();
    let error = left.error(1);
    assert!(error.contains(&away) && error.contains("ID@HOST"), "{error}");
    assert!(anna.run(&lab, &["put"]).events.is_empty());
    assert!(!bob.into.join("a (2).txt").exists(), "nothing was offered");
    putting(&lab, &anna.home, &[&file], &[&bob], &["--to", "no.such.friend.invalid"]).end().error(3);
    // What can never be ends at once.
    let to_itself =
        Process::start(lab.qshare_at(&anna.home).arg("put").arg(&file).args(["--to", &anna.node.addr])).end();
    to_itself.error(2);
}

#[test]
fn what_has_changed_or_is_gone_is_told_and_withdrawn() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let mut anna = Person::new(&lab, "ask", &[]);
    let file = lab.file("a.txt", b"as it was");
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    fs::write(&file, "as it is now").expect("written");
    let error = put.end().error(1);
    assert!(error.contains("has changed"), "{error}");
    bob.waits(&lab, "withdrawn");
    // Left to the node, and gone while that is away.
    let file = lab.file("b.txt", b"here");
    let left = putting(&lab, &anna.home, &[&file], &[&bob], &["--detach"]).end();
    assert_eq!(left.code, Some(0), "{left:#?}");
    assert_eq!(left.events.last().map(|put| put["number"].clone()), Some(1.into()));
    let of_b =
        |state: &str| bob.run(&lab, &["inbox"]).events.iter().any(|row| row["number"] == 2 && row["state"] == state);
    until("it waits", || of_b("waiting"));
    anna.node.process.kill();
    fs::remove_file(&file).expect("removed");
    anna.node = node(&lab, &anna.home, &[]);
    until("it is withdrawn", || of_b("withdrawn"));
    let row = anna.run(&lab, &["put"]).events.remove(0);
    assert_eq!((&row["state"], &row["number"]), (&"gone".into(), &1.into()), "{row}");
    assert!(row["message"].as_str().is_some_and(|message| message.contains("is gone")), "{row}");
    assert!(anna.run(&lab, &["put", "--cancel", "1"]).error(2).contains("--clear 1"));
    anna.run(&lab, &["put", "--clear", "1"]).event("put");
    assert!(anna.run(&lab, &["put"]).events.is_empty());
}

#[test]
fn what_became_of_what_was_left_to_the_node_is_told_and_stays_until_it_is_cleared() {
    let lab = Lab::new();
    let (bob, carol) = (Person::new(&lab, "ask", &[]), Person::new(&lab, "always", &[]));
    let mut anna = Person::new(&lab, "ask", &[]);
    let mut events = Process::start(lab.qshare_at(&anna.home).arg("events"));
    events.event("listening");
    let file = lab.file("a.txt", b"a");
    let left = |more: &[&str]| {
        let left = putting(&lab, &anna.home, &[&file], &[&bob, &carol], &[&["--detach"], more].concat()).end();
        assert_eq!(left.code, Some(0), "{left:#?}");
    };
    left(&[]);
    let of = |who: &Person, state: &'static str| {
        let node = who.node.id.clone();
        move |put: &serde_json::Value| put["node"] == node.as_str() && put["state"] == state
    };
    events.event_that("put", of(&carol, "done"));
    bob.waits(&lab, "waiting");
    assert!(anna.run(&lab, &["put", "--clear", "1"]).error(2).contains("--cancel 1"), "it is still sent");
    bob.run(&lab, &["inbox", "decline", "1"]).event("inbox");
    let told = events.event_that("put", of(&bob, "declined"));
    assert_eq!((&told["number"], &told["total"]), (&1.into(), &1.into()));
    // Nothing moves for as long as it was to be waited.
    left(&["--wait", "1"]);
    events.event_that("put", |put| put["number"] == 2 && of(&bob, "expired")(put));
    // Ended by its person: told as it is then, and in no list.
    left(&[]);
    assert!(anna.run(&lab, &["put", "--cancel", "3"]).events.iter().any(of(&bob, "cancelled")));
    events.event_that("put", |put| put["number"] == 3 && of(&bob, "cancelled")(put));
    until("it is withdrawn", || anna.run(&lab, &["put"]).events.len() == 4);
    events.signal(Signal::TERM);
    anna.restart(&lab, &[]);
    let listed = anna.run(&lab, &["put"]).events;
    let states: Vec<_> = listed.iter().map(|put| (put["number"].as_u64(), put["state"].as_str())).collect();
    let expected = [(1, "declined"), (1, "done"), (2, "expired"), (2, "done")];
    assert_eq!(states, expected.map(|(number, state)| (Some(number), Some(state))));
    anna.run(&lab, &["put", "--clear", "1"]).event("put");
    assert_eq!(anna.run(&lab, &["put", "--clear", "all"]).events.len(), 2);
    anna.run(&lab, &["put", "--clear", "1"]).error(3);
}

/// Sends its standard input, which is open.
fn sending_input(home: &Path, to: &Person, more: &[&str]) -> std::process::Child {
    let mut put = heeding(env!("CARGO_BIN_EXE_qshare").as_ref());
    put.args(["put", "-", "--name", "now.txt", "--no-lan", "--to", &to.at(), "--home"]).arg(home).args(more);
    put.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started")
}

fn copies(home: &Path) -> usize {
    fs::read_dir(home.join("sent")).map_or(0, Iterator::count)
}

#[test]
fn no_copy_of_standard_input_stays_that_nobody_needs() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let home = lab.home();
    // A signal while it is still read.
    let mut put = sending_input(&home, &bob, &[]);
    until("it is begun", || copies(&home) == 1);
    let pid = Pid::from_child(&put);
    rustix::process::kill_process(pid, Signal::INT).expect("sent");
    assert_eq!(put.wait().expect("ended").code(), Some(130));
    assert_eq!(copies(&home), 0);
    // Killed: whoever has the home next removes it, and not that of one that lives.
    let mut killed = sending_input(&home, &bob, &[]);
    until("it is begun", || copies(&home) == 1);
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    let mut alive = sending_input(&home, &bob, &["--wait", "1"]);
    until("both are there", || copies(&home) == 2);
    let mut anna = node(&lab, &home, &[]);
    assert_eq!(copies(&home), 1);
    drop(alive.stdin.take());
    assert_eq!(alive.wait().expect("ended").code(), Some(6));
    until("none is left", || copies(&home) == 0);
    // Left to the node it stays over a restart, until it is over.
    let mut left = sending_input(&home, &bob, &["--detach"]);
    std::io::Write::write_all(&mut left.stdin.take().expect("piped"), b"it is now").expect("written");
    assert_eq!(left.wait().expect("ended").code(), Some(0));
    anna.process.kill();
    anna = node(&lab, &home, &[]);
    assert_eq!(copies(&home), 1);
    until("it waits", || bob.run(&lab, &["inbox", "accept", "all"]).events.iter().any(|row| row["state"] == "done"));
    assert_eq!(fs::read(bob.into.join("now.txt")).expect("there"), b"it is now");
    until("it is over", || copies(&home) == 0);
    drop(anna);
}

#[test]
fn a_terminal_that_hangs_up_leaves_it_to_the_running_node() {
    let lab = Lab::new();
    let (bob, anna) = (Person::new(&lab, "ask", &[]), Person::new(&lab, "ask", &[]));
    let file = lab.file("a.txt", b"a");
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    put.signal(Signal::HUP);
    let ended = put.end();
    assert_eq!(ended.code, Some(129), "{ended:#?}");
    assert!(ended.stderr.contains("goes on with it as number 1"), "{ended:#?}");
    assert_eq!(anna.run(&lab, &["put"]).event("put")["state"], "waiting");
    assert_eq!(bob.run(&lab, &["inbox", "accept", "1"]).code, Some(0));
    assert_eq!(fs::read(bob.into.join("a.txt")).expect("there"), b"a");
}

#[test]
fn what_is_left_out_is_told() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "always", &[]);
    let dir = lab.file("work/notes.txt", b"notes").parent().expect("a directory").to_owned();
    lab.file("work/.env", b"KEY=1");
    let put = putting(&lab, &lab.home(), &[&dir], &[&bob], &[]).end();
    assert_eq!(put.code, Some(0), "{put:#?}");
    let told: Vec<String> = put.events.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains(".env") && told.contains("--include-secrets")), "{told:#?}");
    assert!(!bob.into.join("work/.env").exists());
}

#[test]
fn a_transfer_that_was_cancelled_waits_again() {
    let lab = Lab::new();
    let bob = Person::new(&lab, "ask", &[]);
    let anna = Person::new(&lab, "ask", &["--limit", "1M"]);
    let file = lab.file("big.bin", &noise(7, 24 * MIB));
    let mut put = putting(&lab, &anna.home, &[&file], &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "waiting");
    bob.run(&lab, &["inbox", "accept", "1", "--detach"]).event("inbox");
    put.event_that("put", |put| put["state"] == "fetching");
    until("it has begun", || {
        bob.run(&lab, &["jobs", "cancel", "all"]).code == Some(0) && bob.offer(&lab)["state"] == "waiting"
    });
    put.event_that("put", |put| put["state"] == "waiting");
    put.signal(Signal::INT);
    assert_eq!(put.end().code, Some(130));
    bob.waits(&lab, "withdrawn");
}
