//! Neighbours that keep no rules, against real nodes: whatever they send, an honest search finds what it looks for, and
//! only they have to bear it. How long a search takes meanwhile is measured by `benches/flood.rs`.

#![cfg(target_os = "linux")]

mod common;

use std::net::SocketAddr;

use common::flooder::{Flooder, Frames, Silent, frame, query};
use common::{Lab, Node, Process, until};
use qshare::model::{ContentId, Hit, NodeId, QueryId, SafePath};
use qshare::wire::{NeighbourFrame, QueryHits, limits};

/// Ten thousand a second.
const RATE: u64 = 10_000;
/// An address of its own on this machine.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 77];

/// A node between the flooder and a provider.
struct Line {
    lab: Lab,
    middle: Node,
    _provider: Node,
}

impl Line {
    fn new() -> Self {
        let lab = Lab::new();
        let share = |file, peers: &[&str]| {
            let mut command = lab.qshare();
            command.args(["share", "--only-peers", "--listen", "127.0.0.1:0"]).arg(file).args(peers);
            let mut node = lab.start(&mut command);
            node.process.event("offer");
            node
        };
        let provider = share(lab.file("far/needle.bin", b"needle"), &[]);
        let middle = share(lab.file("near/hay.bin", b"hay"), &["--peer", &provider.addr]);
        let line = Self { lab, middle, _provider: provider };
        until("the two are neighbours", || line.finds());
        line
    }

    fn target(&self) -> (SocketAddr, NodeId) {
        (self.middle.addr.parse().expect("an address"), self.middle.id.parse().expect("an id"))
    }

    /// Whether an honest search through the middle finds what the provider has.
    fn finds(&self) -> bool {
        let search = ["search", "needle", "--only-peers", "--peer", &self.middle.addr];
        Process::start(self.lab.qshare().args(search)).end().code == Some(0)
    }

    /// While it is flooded every search finds what it should; in the end the flooder is thrown out and stays out.
    fn survives(&self, frames: Frames) {
        let flooder = Flooder::start(ELSEWHERE, self.target(), RATE, false, frames);
        until("the flooder has begun", || flooder.told().0 > 0);
        for n in 0..5 {
            assert!(self.finds(), "search {n} beside {:?}", flooder.told());
        }
        until("the flooder is not let in again", || flooder.told().2 > 0 && self.finds());
        let (_, joined, _) = flooder.told();
        assert_eq!(joined, 1, "it was a neighbour once");
        assert!(self.finds());
    }
}

#[test]
fn who_asks_ten_thousand_times_a_second_silences_nobody() {
    Line::new().survives(|n| query(n, 7, "needle"));
}

#[test]
fn forged_ttls_cost_only_their_sender() {
    Line::new().survives(|n| query(n, if n % 2 == 0 { 0 } else { 255 }, "needle"));
}

#[test]
fn hits_that_nobody_asked_for_cost_only_their_sender() {
    Line::new().survives(|n| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let names = vec![SafePath::parse("needle.bin").expect("a name")];
        let hit = Hit { names, ..Hit::file(Some(ContentId::of(&id)), 1) };
        frame(&NeighbourFrame::Found(QueryHits { id: QueryId::from_bytes(id), hits: vec![hit], nodes: Vec::new() }))
    });
}

#[test]
fn one_query_over_and_over_is_done_at_once_and_silences_nobody() {
    let line = Line::new();
    let flooder = Flooder::start(ELSEWHERE, line.target(), RATE, false, |_| query(1, 7, "needle"));
    until("the flooder has begun", || flooder.told().0 > 0);
    for n in 0..5 {
        assert!(line.finds(), "search {n} beside {:?}", flooder.told());
    }
}

#[test]
fn an_oversized_or_broken_frame_ends_its_own_stream_only() {
    for broken in [
        (|_| u32::MAX.to_be_bytes().repeat(64)) as Frames,
        |_| {
            let len = u32::try_from(limits::PAGE).expect("small") + 1;
            [&len.to_be_bytes()[..], &[0; 4096]].concat()
        },
        |_| [&4_u32.to_be_bytes()[..], b"\xc1\xc1\xc1\xc1"].concat(),
    ] {
        let line = Line::new();
        let flooder = Flooder::start(ELSEWHERE, line.target(), 100, true, broken);
        until("it has come again and again", || flooder.told().1 > 3);
        assert!(line.finds());
    }
}

#[test]
fn a_flooder_that_comes_back_under_new_ids_silences_nobody() {
    let line = Line::new();
    let flooder = Flooder::start(ELSEWHERE, line.target(), RATE, true, |n| query(n, 7, "needle"));
    until("it has come back", || flooder.told().1 > 2);
    for n in 0..5 {
        assert!(line.finds(), "search {n} beside {:?}", flooder.told());
    }
    assert!(flooder.told().0 > 0);
}

#[test]
fn a_peer_that_lets_everyone_in_and_never_speaks_is_named_and_waited_for_no_longer_than_others() {
    let line = Line::new();
    let silent = Silent::start(ELSEWHERE);
    let addr = silent.addr.to_string();
    let peers = ["--peer", &line.middle.addr, "--peer", &addr];
    let ended = Process::start(line.lab.qshare().args(["search", "needle", "--only-peers"]).args(peers)).end();
    assert_eq!(ended.event("hit")["name"], "needle.bin", "{ended:#?}");
    let warnings: Vec<_> = ended.events.iter().filter(|event| event["event"] == "warning").collect();
    assert!(warnings.len() == 1 && warnings[0]["message"].as_str().is_some_and(|w| w.contains(&addr)), "{warnings:?}");
}
