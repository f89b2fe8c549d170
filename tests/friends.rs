//! Friends: named, dialled first, shown by name, and served alone where a node says so.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ended, Lab, Node, Process, noise, until};
use serde_json::Value;

/// A home with its node id.
struct Person {
    home: PathBuf,
    id: String,
}

impl Person {
    fn new(lab: &Lab) -> Self {
        let home = lab.home();
        let id = Process::start(lab.qshare_at(&home).arg("id")).end().event("id")["node"].as_str().map(str::to_owned);
        Self { home, id: id.expect("text") }
    }

    fn run(&self, lab: &Lab, arguments: &[&str]) -> Ended {
        Process::start(lab.qshare_at(&self.home).args(arguments)).end()
    }

    fn befriend(&self, lab: &Lab, name: &str, who: &str) {
        assert_eq!(self.run(lab, &["friends", "add", name, who]).event("friend")["name"], name);
    }

    fn share(&self, lab: &Lab, path: &Path, more: &[&str]) -> Node {
        let mut command = lab.qshare_at(&self.home);
        let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0"]).args(more).arg(path));
        node.process.event("offer");
        node
    }
}

fn at(node: &Node) -> String {
    format!("{}@{}", node.id, node.addr)
}

fn content(node: &Node) -> String {
    let offer = node.process.events.iter().find(|event| event["event"] == "offer").expect("offered");
    offer["id"].as_str().expect("text").to_owned()
}

#[test]
fn friends_find_by_words_and_fetch_what_strangers_are_refused() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (anna, bob, mallory) = (Person::new(&lab), Person::new(&lab), Person::new(&lab));
    let bytes = noise(1, 2 << 20);
    let file = lab.file("shared/diary.bin", &bytes);
    bob.befriend(&lab, "anna", &anna.id);
    let mut node = bob.share(&lab, &file, &["--friends-only", "--tracker", &tracker.addr]);
    let announced = node.process.first("announced");
    assert_eq!(announced["offers"], 0, "the tracker learns of no name: {announced}");
    anna.befriend(&lab, "bob", &at(&node));

    let hit = anna.run(&lab, &["search", "diary"]);
    assert_eq!(hit.event("hit")["providers"][0]["node"], *node.id, "{hit:#?}");
    assert_eq!(anna.run(&lab, &["ls", "bob"]).event("hit")["name"], "diary.bin");
    let got = anna.run(&lab, &["get", "diary"]);
    assert_eq!(got.done()["providers"][0]["node"], *node.id);
    assert!(fs::read(lab.path("diary.bin")).expect("published") == bytes);
    assert_eq!(anna.run(&lab, &["get", "diary", "--from", "bob", "-o", "again"]).code, Some(0));

    let (place, id) = (at(&node), content(&node));
    for refused in
        [vec!["ls", &place], vec!["get", &id, "--from", &place], vec!["search", "diary", "--peer", &node.addr]]
    {
        let ended = mallory.run(&lab, &refused);
        assert_eq!((ended.code, ended.event("error")["code"].as_str()), (Some(1), Some("forbidden")), "{ended:#?}");
        assert!(ended.error(1).contains("only its friends"), "{ended:#?}");
    }
    mallory.run(&lab, &["search", "diary", "--tracker", &tracker.addr]).error(3);
    mallory.run(&lab, &["locate", &id, "--tracker", &tracker.addr]).error(3);
}

#[test]
fn whom_a_person_has_just_named_the_running_node_knows() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    let his = bob.share(&lab, &lab.file("b/open.txt", b"open"), &[]);
    let _hers = anna.share(&lab, &lab.file("a/hers.txt", b"hers"), &[]);
    anna.befriend(&lab, "bob", &at(&his));
    assert_eq!(anna.run(&lab, &["ls", "bob"]).event("hit")["name"], "open.txt");
}

#[test]
fn a_friend_that_asks_for_a_stranger_is_told_nothing() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    bob.befriend(&lab, "anna", &anna.id);
    let node = bob.share(&lab, &lab.file("b/diary.bin", b"secret"), &["--friends-only"]);
    // Anna's node is a neighbour of Bob's and passes on what strangers look for.
    let other = lab.file("a/hers.bin", b"hers");
    let between = anna.share(&lab, &other, &["--peer", &node.addr]);
    let search = |words: &str| Process::start(lab.qshare().args(["search", words, "--peer", &between.addr])).end();
    // When the stranger sees Bob's node, queries reach it.
    let near = || Process::start(lab.qshare().args(["neighbours", "--peer", &between.addr, "--only-peers"])).end();
    until("the stranger sees Bob's node", || near().events.iter().any(|event| event["node"] == *node.id));
    assert_eq!(search("hers").code, Some(0));
    search("diary").error(3);
    // How much there is is nobody's business either.
    let seen = near();
    let row = seen.events.iter().find(|event| event["node"] == *node.id).expect("seen");
    assert_eq!(row["offers"], 0);
}

#[test]
fn a_friend_without_an_address_is_found_through_the_tracker_and_shown_by_name() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    bob.befriend(&lab, "anna", &anna.id);
    anna.befriend(&lab, "bob", &bob.id);
    let file = lab.file("shared/diary.bin", b"dear diary");
    let mut node = bob.share(&lab, &file, &["--friends-only", "--tracker", &tracker.addr]);
    node.process.first("announced");
    let search = anna.run(&lab, &["search", "diary", "--tracker", &tracker.addr]);
    assert_eq!(search.event("hit")["plane"], "neighbours", "{search:#?}");
    assert_eq!(anna.run(&lab, &["ls", "bob", "--tracker", &tracker.addr]).event("hit")["name"], "diary.bin");
    for command in ["peers", "neighbours"] {
        let ended = anna.run(&lab, &[command, "--tracker", &tracker.addr]);
        let row = ended.events.iter().find(|event| event["node"] == *node.id);
        assert_eq!(row.map(|row| &row["name"]), Some(&Value::from("bob")), "{ended:#?}");
        let text = plain(&lab, &anna, &[command, "--tracker", &tracker.addr]);
        assert!(text.contains(&format!("bob ({})", node.id)), "{text}");
    }
}

/// What a person reads on standard output.
fn plain(lab: &Lab, person: &Person, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
    command.current_dir(lab.path("")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", &person.home);
    let output = command.arg("--no-lan").args(arguments).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn who_becomes_a_friend_is_served_at_once_and_who_is_none_any_more_is_not() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    let mut node = bob.share(&lab, &lab.file("s/diary.bin", b"dear diary"), &["--friends-only"]);
    let place = at(&node);
    anna.run(&lab, &["ls", &place]).error(1);
    bob.befriend(&lab, "anna", &anna.id);
    until("Anna is served", || anna.run(&lab, &["ls", &place]).code == Some(0));
    assert_eq!(bob.run(&lab, &["friends", "remove", "anna"]).event("removed")["name"], "anna");
    until("Anna is not served", || anna.run(&lab, &["ls", &place]).code == Some(1));
    fs::write(bob.home.join("friends"), "nonsense\n").expect("written");
    let warning = node.process.event("warning");
    assert!(warning["message"].as_str().is_some_and(|text| text.contains("line 1")), "{warning}");
    anna.run(&lab, &["ls", &place]).error(1);
}

#[test]
fn a_friends_address_with_another_key_is_one_warning_with_the_name() {
    let lab = Lab::new();
    let (anna, bob, mallory) = (Person::new(&lab), Person::new(&lab), Person::new(&lab));
    let impostor = mallory.share(&lab, &lab.file("m/diary.bin", b"false"), &[]);
    anna.befriend(&lab, "bob", &format!("{}@{}", bob.id, impostor.addr));
    let mut node = anna.share(&lab, &lab.file("a/hers.bin", b"hers"), &[]);
    let warning = node.process.first("warning")["message"].as_str().expect("text").to_owned();
    assert!(warning.contains("bob") && warning.contains(&impostor.id) && warning.contains(&impostor.addr), "{warning}");
    drop(node);
    let ended = anna.run(&lab, &["get", "diary", "--from", "bob"]);
    assert_eq!((ended.code, ended.event("error")["code"].as_str()), (Some(1), Some("key_changed")), "{ended:#?}");
    assert!(!lab.path("diary.bin").exists());
}

#[test]
fn names_are_added_listed_and_removed_and_never_taken_over() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    let add = |name: &str, who: &str| anna.run(&lab, &["friends", "add", name, who]);
    assert_eq!(add("bob", &format!("{}@h:7", bob.id)).event("friend")["addr"], "h:7");
    assert!(add("robert", &bob.id).error(2).contains("bob"), "the node has a name");
    let other = Person::new(&lab);
    assert!(add("bob", &other.id).error(2).contains("friends remove bob"), "the name has a node");
    assert!(add("me", &anna.id).error(2).contains("own node"));
    let list = anna.run(&lab, &["friends", "list"]);
    let friend = list.event("friend");
    assert_eq!((&friend["name"], &friend["node"], &friend["addr"]), (&"bob".into(), &bob.id.into(), &"h:7".into()));
    assert!(anna.run(&lab, &["ls", "robert"]).error(3).contains("friends list"));
    assert_eq!(anna.run(&lab, &["friends", "remove", "bob"]).code, Some(0));
    anna.run(&lab, &["friends", "remove", "bob"]).error(3);
}

#[test]
fn a_friend_is_added_by_the_beginning_of_an_id_and_tells_a_friend_how_much_it_has() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    bob.befriend(&lab, "anna", &anna.id);
    let more = ["--friends-only", "--tracker", &tracker.addr];
    let mut node = bob.share(&lab, &lab.file("shared/diary.bin", b"diary"), &more);
    node.process.first("announced");
    let at_tracker = ["peers", "--tracker", &tracker.addr];
    let short = &bob.id[..8];
    assert!(anna.run(&lab, &["friends", "add", "bob", short]).error(3).contains(short), "it was never shown");
    assert_eq!(anna.run(&lab, &at_tracker).event("peer")["offers"], 0, "nobody is told");
    anna.befriend(&lab, "bob", short);
    assert_eq!(anna.run(&lab, &at_tracker).event("peer")["offers"], 1);
    let near = anna.run(&lab, &["neighbours", "--only-peers", "--peer", &node.addr]);
    assert_eq!((&near.event("neighbour")["offers"], near.code), (&1.into(), Some(0)), "{near:#?}");
    let stranger = Person::new(&lab);
    stranger.befriend(&lab, "bob", &bob.id);
    assert_eq!(stranger.run(&lab, &at_tracker).event("peer")["offers"], 0, "no friend of his");
}

#[test]
fn a_command_beside_a_share_is_known_to_friends_and_so_is_a_get() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    bob.befriend(&lab, "anna", &anna.id);
    let node = bob.share(&lab, &lab.file("b/diary.bin", b"secret"), &["--friends-only"]);
    let _running = anna.share(&lab, &lab.file("a/hers.bin", b"hers"), &[]);
    assert_eq!(anna.run(&lab, &["ls", &at(&node)]).event("hit")["name"], "diary.bin");
    anna.run(&lab, &["get", &content(&node), "--from", &at(&node), "-o", "fetched.bin"]).done();
    assert_eq!(fs::read(lab.path("fetched.bin")).expect("published"), b"secret");
}

#[test]
fn friends_are_known_and_found_by_words_through_a_node_of_their_own() {
    let lab = Lab::new();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    bob.befriend(&lab, "anna", &anna.id);
    let his = bob.share(&lab, &lab.file("b/diary.txt", b"dear diary"), &["--friends-only"]);
    anna.befriend(&lab, "bob", &at(&his));
    let _hers = anna.share(&lab, &lab.file("a/hers.txt", b"hers"), &[]);
    let linked = |status: &Ended| status.event("status")["running"]["friends"][0]["linked"] == true;
    until("the nodes are connected", || linked(&anna.run(&lab, &["status"])));
    assert_eq!(anna.run(&lab, &["search", "diary"]).event("hit")["name"], "diary.txt");
    assert_eq!(anna.run(&lab, &["locate", "diary"]).event("hit")["providers"][0]["node"], *his.id);
    assert_eq!(anna.run(&lab, &["ls", "bob"]).event("hit")["name"], "diary.txt");
    for (number, from) in [&["--from", "bob"][..], &[]].into_iter().enumerate() {
        let into = lab.path(&format!("got{number}.txt"));
        let got = anna.run(&lab, &[&["get", "diary", "-o", into.to_str().expect("text")], from].concat());
        got.done();
        assert_eq!(fs::read(into).expect("published"), b"dear diary");
    }
    assert_eq!(bob.run(&lab, &["stop"]).code, Some(0));
    let seen = his.process.end();
    let takers: Vec<_> = seen.events.iter().filter(|event| event["event"] == "upload").map(|of| &of["node"]).collect();
    assert!(!takers.is_empty() && takers.iter().all(|node| **node == *anna.id), "one home is one node: {takers:?}");
}

/// What a command prints to a pipe.
fn piped(lab: &Lab, who: &Person, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
    command.current_dir(lab.path(".")).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", &who.home).arg("--no-lan");
    let output = command.args(arguments).output().expect("runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn friends_have_whole_ids_where_tables_are_piped() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (anna, bob) = (Person::new(&lab), Person::new(&lab));
    let file = lab.file("shared/of-bob.bin", &noise(3, 1 << 20));
    let node = bob.share(&lab, &file, &["--tracker", &tracker.addr]);
    anna.befriend(&lab, "bob", &at(&node));
    let whole = format!("bob ({})", node.id);
    let at_tracker = ["--tracker", &tracker.addr];
    let content = content(&node);
    // The first look remembers the key of the tracker.
    for looks in [&["peers"][..], &["locate", "of-bob.bin"], &["get", "-n", "of-bob.bin"], &["get", "-n", &content]] {
        let text = piped(&lab, &anna, &[looks, &at_tracker].concat());
        assert!(text.contains(&whole), "{looks:?}: {text}");
    }
    fs::write(anna.home.join("trust"), format!("lab.example:4918 {}\n", node.id)).expect("own home");
    let text = piped(&lab, &anna, &["trust", "list"]);
    assert!(text.contains(&whole), "{text}");
    let reach = ["--peer", &node.addr];
    until("the neighbour is seen", || piped(&lab, &anna, &[&["neighbours"], &reach[..]].concat()).contains(&whole));
}
