//! Search without a tracker, over neighbours: real nodes in a line, in a mesh, beside a tracker that dies, and a
//! transfer that is found and fed over them alone.

mod common;

use std::fs;
use std::time::Duration;

use common::{DEADLINE, Ended, Lab, Node, Process, noise};
use qshare::model::{PeerTarget, Query};
use qshare::node::{self, Counts, Event, Home, Lifetime, Listen, Near, Options, SurveyOptions};

fn run(lab: &Lab, peer: &Node, arguments: &[&str]) -> Ended {
    Process::start(lab.qshare().args(arguments).args(["--peer", &peer.addr])).end()
}

/// Runs it again and again until it ends so: the nodes are still making friends.
fn until(lab: &Lab, peer: &Node, arguments: &[&str], right: impl Fn(&Ended) -> bool) -> Ended {
    let mut last = None;
    common::until(&format!("{arguments:?} ends so"), || right(last.insert(run(lab, peer, arguments))));
    last.expect("it ran")
}

#[test]
fn a_line_of_six_is_searched_to_its_end_with_five_links_and_not_with_four() {
    let lab = Lab::new();
    let bytes = noise(1, 3 << 20);
    let only = ["--only-peers"];
    let far = lab.near(&lab.file("far/needle.bin", &bytes), &[], &only);
    let mut line = vec![far];
    for n in 2..6 {
        let other = lab.file(&format!("{n}/other{n}.bin"), b"other");
        let next = lab.near(&other, &[line.last().expect("one")], &only);
        line.push(next);
    }
    let near = line.last().expect("one");
    let search = |ttl| ["search", "needle", "--only-peers", "--ttl", ttl];
    let found = until(&lab, near, &search("5"), |ended| ended.code == Some(0));
    let hit = found.event("hit");
    assert_eq!((hit["providers"][0]["node"].as_str(), hit["plane"].as_str()), (Some(&*line[0].id), Some("neighbours")));
    assert_eq!(hit["providers"][0]["addr"].as_str(), Some(&*line[0].addr), "where its neighbour dialled it");
    run(&lab, near, &search("4")).error(3);
    let got = run(&lab, near, &["get", "needle.bin", "--only-peers", "--ttl", "5"]);
    assert_eq!(got.done()["providers"][0]["node"].as_str(), Some(&*line[0].id), "directly from the provider");
    assert!(fs::read(lab.path("needle.bin")).expect("published") == bytes);
}

#[test]
fn when_the_tracker_dies_the_neighbours_go_on() {
    let lab = Lab::new();
    let mut tracker = lab.tracker();
    let file = lab.file("shared/kept.bin", &noise(2, 300_000));
    let provider = lab.share(&tracker, &[&file], &[]);
    let search = ["search", "kept", "--tracker", &tracker.addr];
    let both = until(&lab, &provider, &search, |ended| ended.code == Some(0));
    assert_eq!(both.events.iter().filter(|event| event["event"] == "hit").count(), 1, "once: {both:#?}");
    assert_eq!(both.event("hit")["providers"].as_array().map(Vec::len), Some(1), "{both:#?}");
    tracker.process.kill();
    let without = run(&lab, &provider, &search);
    assert_eq!(without.code, Some(0), "{without:#?}");
    let warned = without.event("warning")["message"].as_str().expect("text").to_owned();
    assert!(warned.contains(&tracker.addr), "{warned}");
}

#[test]
fn what_one_tracker_knows_is_kept_when_another_is_silent() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&lab.file("one/kept-one.bin", b"one")], &[]);
    let near = lab.near(&lab.file("two/kept-two.bin", b"two"), &[], &[]);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let silent = silent.local_addr().expect("bound").to_string();
    let search = ["search", "kept", "--only-peers", "--tracker", &tracker.addr, "--tracker", &silent];
    let ended = run(&lab, &near, &search);
    let provides = |hit: &&serde_json::Value| hit["event"] == "hit" && hit["providers"][0]["node"] == *provider.id;
    assert!(ended.events.iter().any(|event| provides(&event)), "{ended:#?}");
    assert_eq!(ended.events.iter().filter(|event| event["event"] == "hit").count(), 2, "{ended:#?}");
    let warned: Vec<_> = ended.events.iter().filter(|event| event["event"] == "warning").collect();
    let names = |addr: &str| warned.iter().any(|warning| warning["message"].as_str().is_some_and(|w| w.contains(addr)));
    assert!(names(&silent) && !names(&tracker.addr) && !names(&near.addr), "{warned:?}");
}

#[test]
fn a_transfer_found_by_neighbours_alone_takes_in_one_who_comes_later() {
    let lab = Lab::new();
    let bytes = noise(3, 24 << 20);
    let file = lab.file("first/two.bin", &bytes);
    let slow = ["--limit", "4MiB/s"];
    let hub = lab.near(&lab.file("hub/hub.bin", b"hub"), &[], &[]);
    let first = lab.near(&file, &[&hub], &slow);
    until(&lab, &hub, &["search", "two.bin"], |ended| ended.code == Some(0));
    let mut get = Process::start(lab.qshare().args(["get", "two.bin", "--peer", &hub.addr]));
    get.event_that("progress", |event| event["bytes"].as_u64() > Some(0));
    let copy = lab.file("second/copy.bin", &bytes);
    let second = lab.near(&copy, &[&hub], &slow);
    let ended = get.end();
    let providers = ended.done()["providers"].as_array().expect("a list");
    let gave = |node: &Node| providers.iter().any(|p| p["node"] == *node.id && p["bytes"].as_u64() > Some(0));
    assert!(gave(&first) && gave(&second), "{ended:#?}");
    assert!(fs::read(lab.path("two.bin")).expect("published") == bytes);
}

#[test]
fn the_neighbourhood_shows_who_is_near_and_who_tells_of_whom() {
    let lab = Lab::new();
    let far = lab.near(&lab.file("a/a.bin", b"a"), &[], &[]);
    let near = lab.near(&lab.file("b/b.bin", b"b"), &[&far], &[]);
    let both = |ended: &Ended| ended.events.iter().filter(|event| event["event"] == "neighbour").count() == 2;
    let ended = until(&lab, &near, &["neighbours", "--only-peers"], both);
    let of = |id: &str| ended.events.iter().find(|event| event["node"] == id).expect("shown").clone();
    assert_eq!((of(&near.id)["direction"].as_str(), of(&near.id)["by"].as_str()), (Some("given"), None));
    assert!(of(&near.id)["rtt_us"].as_u64() > Some(0));
    assert_eq!((of(&far.id)["direction"].as_str(), of(&far.id)["by"].as_str()), (None, Some(&*near.id)));
    assert_eq!(of(&far.id)["addr"].as_str(), Some(&*far.addr));
}

#[test]
fn a_peer_that_is_not_there_is_one_warning_and_nothing_to_look_at_is_an_error() {
    let lab = Lab::new();
    let gone = "127.0.0.1:9";
    let ended = Process::start(lab.qshare().args(["search", "x", "--peer", gone])).end();
    assert!(ended.error(1).contains(gone), "{ended:#?}");
    let sentence = Process::start(lab.qshare().args(["search", "x"])).end().error(2);
    assert!(sentence.contains("--tracker") && sentence.contains("--no-lan"), "{sentence}");
}

/// A node of this process, a neighbour of these, whose own searches go so far.
async fn node(lab: &Lab, peers: Vec<PeerTarget>, ttl: u8) -> node::Node {
    node::Node::start(options(lab, peers, ttl)).await.expect("started").0
}

fn options(lab: &Lab, peers: Vec<PeerTarget>, ttl: u8) -> Options {
    Options::new(Home::at(lab.home()))
        .lifetime(Lifetime::LongRunning)
        .listen(Listen::At("127.0.0.1:0".parse().expect("an address")))
        .peers(peers)
        .near(Near { lan: None, only_peers: true, ttl: Some(ttl), all_global: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_mesh_of_real_nodes_each_handles_a_query_once() {
    const NODES: usize = 30;
    let lab = Lab::new();
    let mut nodes: Vec<node::Node> = Vec::new();
    for _ in 0..NODES {
        let peers = nodes.iter().map(target).collect();
        nodes.push(node(&lab, peers, 2).await);
    }
    acquainted(&nodes, |_| NODES - 1).await;
    let before = counts(&nodes).await;
    let query = Query::parse(&["nothing"]).expect("words");
    nodes[0].search(&query, 10).await.expect("searched");
    let after = handled_by_all(&nodes, &before).await;
    let handled: Vec<u64> = before.iter().zip(&after).map(|(b, a)| a.handled - b.handled).collect();
    assert_eq!(handled[0], 0, "who asks does not answer itself");
    assert_eq!(handled[1..], [1; NODES - 1]);
    let sent: u64 = before.iter().zip(&after).map(|(b, a)| a.sent - b.sent).sum();
    assert!((29..=29 + 29 * 28).contains(&sent), "to each neighbour but the one that asked: {sent}");
    eprintln!("a full mesh of {NODES}: {sent} queries sent for one search");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_line_of_real_nodes_each_handles_a_query_once_as_far_as_it_goes() {
    for (ttl, reached) in [(5, [1, 1, 1, 1, 1, 0]), (4, [0, 1, 1, 1, 1, 0])] {
        let lab = Lab::new();
        let (first, mut events) = node::Node::start(options(&lab, Vec::new(), ttl)).await.expect("started");
        let plan = node::survey(&[lab.file("needle.bin", b"needle")], &SurveyOptions::default()).expect("a plan");
        first.share(plan);
        while !matches!(events.recv().await.expect("it runs"), Event::Offer { .. }) {}
        let mut nodes = vec![first];
        while nodes.len() < reached.len() {
            let peers = nodes.last().map(target).into_iter().collect();
            nodes.push(node(&lab, peers, ttl).await);
        }
        let last = nodes.len() - 1;
        acquainted(&nodes, |n| if n == 0 || n == last { 1 } else { 2 }).await;
        let query = Query::parse(&["needle"]).expect("words");
        let before = counts(&nodes).await;
        let found = nodes[last].search(&query, 10).await.expect("searched");
        let handled: Vec<u64> = before.iter().zip(&counts(&nodes).await).map(|(b, a)| a.handled - b.handled).collect();
        assert_eq!((handled.as_slice(), found.hits.len()), (&reached[..], usize::from(ttl == 5)), "TTL {ttl}");
    }
}

/// Waits until each node has so many neighbours.
async fn acquainted(nodes: &[node::Node], count: impl Fn(usize) -> usize) {
    let met = async {
        for (n, node) in nodes.iter().enumerate() {
            while node.neighbours().await.expect("a node").iter().filter(|row| row.direct.is_some()).count() < count(n)
            {
                // Each look is a query of its own: without a pace the nodes would take this one for greedy.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::time::timeout(DEADLINE, met).await.expect("all are neighbours");
}

async fn counts(nodes: &[node::Node]) -> Vec<Counts> {
    let mut all = Vec::new();
    for node in nodes {
        all.push(node.flooded().await);
    }
    all
}

/// The counts once each node but the first has handled a query more: a search does not wait for the slowest.
async fn handled_by_all(nodes: &[node::Node], before: &[Counts]) -> Vec<Counts> {
    let handled = async {
        loop {
            let after = counts(nodes).await;
            if before.iter().zip(&after).skip(1).all(|(b, a)| a.handled > b.handled) {
                return after;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, handled).await.expect("all have handled it")
}

fn target(node: &node::Node) -> PeerTarget {
    format!("{}@{}", node.id(), node.addr()).parse().expect("a target")
}
