//! `qshare bench` between two processes: the rows, one client at a time, and nothing left behind.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Ended, Lab, Node, Process};
use qshare::io::home::identity::{Identity, LongTermKeys};
use qshare::io::net::endpoint::{Endpoint, EndpointOptions};
use qshare::io::net::frames::{self, CallError};
use qshare::model::PeerTarget;
use qshare::node::{self, Error, Home, Lifetime, Listen, Options};
use qshare::wire::{self, BenchEnd, Code, Request, Role, limits};

fn listening(lab: &Lab, tmp: &Path) -> Node {
    lab.start(lab.qshare().env("TMPDIR", tmp).args(["bench", "--listen", "127.0.0.1:0"]))
}

fn bench(lab: &Lab, other: &Node, bytes: &str) -> Command {
    let mut command = lab.qshare();
    command.env("TMPDIR", lab.dir("tmp-client")).args(["bench", &other.addr, "--bytes", bytes]);
    command
}

/// Test and direction of each row, sorted.
fn rows(ended: &Ended) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let rows = ended.events.iter().filter(|event| event["event"] == "bench");
    let mut rows: Vec<_> = rows.map(|row| (text(&row["test"]), text(&row["direction"]))).collect();
    rows.sort();
    rows
}

#[test]
fn two_machines_are_measured_both_ways() {
    let lab = Lab::new();
    let tmp = lab.dir("tmp-server");
    let other = listening(&lab, &tmp);
    let ended = Process::start(&mut bench(&lab, &other, "8MiB")).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let expected = [("file", "download"), ("file", "upload"), ("memory", "download"), ("memory", "upload")];
    assert_eq!(rows(&ended), expected.map(|(test, direction)| (test.to_owned(), direction.to_owned())));
    for row in ended.events.iter().filter(|event| event["event"] == "bench") {
        assert_eq!(row["bytes"], 8 << 20, "{row}");
        let positive = |key: &str| row[key].as_f64().is_some_and(|figure| figure > 0.0);
        for key in ["seconds", "rate", "bits", "cpu_here", "cpu_there", "rtt_us", "sent"] {
            assert!(positive(key), "{key} in {row}");
        }
        for key in ["memory_here", "memory_there"] {
            assert!(positive(key) || cfg!(not(target_os = "linux")), "{key} in {row}");
        }
        assert!(row["mtu"].as_u64() >= Some(1200) && row["lost"].is_u64(), "{row}");
    }
    let end = ended.event("benched");
    assert_eq!((end["node"].as_str(), end["tests"].as_u64()), (Some(other.id.as_str()), Some(4)));
    for tmp in [tmp, lab.path("tmp-client")] {
        assert_eq!(fs::read_dir(&tmp).expect("there").count(), 0, "nothing is left in {}", tmp.display());
    }
    other.process.signal(rustix::process::Signal::TERM);
    assert_eq!(other.process.end().code, Some(0), "the end that was measured ends well");
}

#[test]
fn what_is_no_bench_is_told_so() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let sentence = Process::start(&mut bench(&lab, &tracker, "1MiB")).end().error(2);
    assert!(sentence.contains("is a tracker and not a bench"), "{sentence}");
}

fn options(lab: &Lab) -> Options {
    let listen = Listen::At("127.0.0.1:0".parse().expect("an address"));
    Options::new(Home::at(lab.home())).lifetime(Lifetime::LongRunning).listen(listen)
}

/// A bench of this process in a home of its own.
async fn bench_here(lab: &Lab) -> node::Bench {
    node::Bench::start(&options(lab)).await.expect("started").0
}

/// A node of this process in a home of its own.
async fn node(lab: &Lab) -> node::Node {
    node::Node::start(options(lab)).await.expect("started").0
}

fn target(node: &node::Host) -> PeerTarget {
    format!("{}@{}", node.id(), node.addr()).parse().expect("a target")
}

/// Begins a bench, and comes back when its first bytes have moved.
async fn begin(client: &node::Node, target: &PeerTarget) -> tokio::task::JoinHandle<()> {
    let moved = Arc::new(AtomicU64::new(0));
    let (client, target, counter) = (client.clone(), target.clone(), Arc::clone(&moved));
    let bench = tokio::spawn(async move { drop(client.bench(&target, 64 << 20, &counter).await) });
    while moved.load(Ordering::Relaxed) == 0 {
        assert!(!bench.is_finished(), "it ended before anything moved");
        tokio::task::yield_now().await;
    }
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_at_a_time_is_served_and_one_that_goes_gives_its_turn_back() {
    let lab = Lab::new();
    let (other, first, second) = (bench_here(&lab).await, node(&lab).await, node(&lab).await);
    let target = target(&other);
    let running = begin(&first, &target).await;
    let refused = second.bench(&target, 1 << 20, &AtomicU64::new(0)).await.expect_err("busy");
    let busy =
        |error: &Error| matches!(error, Error::Refused { who, code: Code::Busy } if who.at == target.host_port());
    assert!(busy(&refused), "{refused:?}");
    running.abort();
    first.stop().await;
    // How soon the other end notices is its own affair; until then it is busy.
    let report = loop {
        match second.bench(&target, 1 << 20, &AtomicU64::new(0)).await {
            Ok(report) => break report,
            Err(error) => assert!(busy(&error), "{error:?}"),
        }
    };
    assert_eq!((report.node, report.rows.len()), (other.id(), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_nothing_loses_its_turn() {
    let lab = Lab::new();
    let other = bench_here(&lab).await;
    let (identity, keys) = (Identity::ephemeral().expect("a key"), LongTermKeys::ephemeral().expect("keys"));
    let options = EndpointOptions { listen: Listen::Ephemeral, role: Role::Node };
    let endpoint = Endpoint::bind(Arc::new(identity), keys, options).expect("bound");
    let link = endpoint.dial(&[other.addr()], Some(other.id())).await.expect("dialled");
    let request = |bytes| Request::Bench(wire::Bench { bytes, download: false, file: false });
    let too_large = frames::call::<()>(&link, &request((16 << 30) + 1), limits::CONTROL).await;
    assert!(matches!(too_large, Err(CallError::Refused(refusal)) if refusal.code == Code::TooLarge));
    let ((), _idle, mut from) = frames::call::<()>(&link, &request(1), limits::CONTROL).await.expect("granted");
    frames::receive::<wire::Answer<()>>(&mut from, limits::CONTROL).await.expect("ready");
    let ended = frames::receive::<BenchEnd>(&mut from, limits::CONTROL).await;
    assert_eq!(ended, Err(CallError::Reset(Code::TimedOut)));
    let next = frames::call::<()>(&link, &request(0), limits::CONTROL).await;
    assert!(next.is_ok(), "the turn is free again: {:?}", next.err());
}
