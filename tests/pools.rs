//! What everybody shares, against those who come first and take all of it: whatever they hold, an honest search and get
//! beside them are done, and memory stays within its bound. All attackers have one address, this machine's, and an
//! identity for each connection; they write their own bytes.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "how long an honest peer waits is the point")]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::raw::{Crowd, STREAMS, Windows, about, announce, claimed, search, storms};
use common::{Lab, Node, Process, noise, until};

/// The most memory of `share` and `tracker`, in KiB: 256 MB.
const MOST: u64 = 250_000;
/// What may come on top of twice the time alone: the machine has other things to do.
const SLACK: Duration = Duration::from_secs(4);
const SIZE: u64 = 4 << 20;

/// One attack at a time: each is beside an honest peer, and not beside the others.
static TURN: Mutex<()> = Mutex::new(());

/// A tracker, a node that shares at it, and how long an honest peer takes.
struct Ground {
    lab: Lab,
    tracker: Node,
    share: Node,
    content: [u8; 32],
    alone: Duration,
    gets: std::cell::Cell<u32>,
    _turn: MutexGuard<'static, ()>,
}

impl Ground {
    /// With `more` files whose names are as long as names may be, so that a page of hits is as long as a page may be.
    fn new(more: usize) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Lab::new();
        let bytes = noise(1, SIZE as usize);
        lab.file("shared/needle.bin", &bytes);
        let deep = vec!["d".repeat(240); 15].join("/");
        for n in 0..more {
            lab.file(&format!("shared/{deep}/{n}-{}", "f".repeat(200)), &n.to_be_bytes());
        }
        let tracker = lab.tracker();
        let share = lab.share(&tracker, &[&lab.path("shared")], &[]);
        let (content, alone) = (*blake3::hash(&bytes).as_bytes(), Duration::ZERO);
        let mut ground = Self { lab, tracker, share, content, alone, gets: 0.into(), _turn: turn };
        ground.alone = ground.honest();
        ground
    }

    /// An honest search and get at the tracker, and a search at the sharing node itself; how long they take.
    fn honest(&self) -> Duration {
        let begun = Instant::now();
        self.gets.set(self.gets.get() + 1);
        let out = format!("out-{}/", self.gets.get());
        let found =
            Process::start(self.lab.qshare().args(["search", "needle.bin", "--tracker", &self.tracker.addr])).end();
        assert!(found.code == Some(0), "{found:#?}");
        let peer = ["search", "needle.bin", "--only-peers", "--peer", &self.share.addr];
        let found = Process::start(self.lab.qshare().args(peer)).end();
        assert!(found.code == Some(0), "{found:#?}");
        let got = self.lab.get(&self.tracker, &["needle.bin", "-o", &out]);
        assert_eq!(got.done()["bytes"].as_u64(), Some(SIZE));
        begun.elapsed()
    }

    /// An honest peer is served beside the attack, and the attacked have not grown beyond their bound.
    fn stands(&self, what: &str) {
        let beside = self.honest();
        let (tracker, share) = (self.tracker.process.peak(), self.share.process.peak());
        eprintln!("{what}: alone {:?}, beside {beside:?}; peak KiB: tracker {tracker}, share {share}", self.alone);
        assert!(beside < 2 * self.alone + SLACK, "{what}: alone {:?}, beside {beside:?}", self.alone);
        assert!(tracker < MOST && share < MOST, "{what}: {tracker} and {share} KiB");
    }

    /// So many peers at the tracker, and at the sharing node.
    fn crowds(&self, count: usize, windows: Windows) -> [Crowd; 2] {
        [&self.tracker, &self.share].map(|node| Crowd::at(&node.addr, count, windows))
    }
}

#[test]
fn requests_that_are_not_whole_keep_nobody_out() {
    let ground = Ground::new(0);
    let (half, prefix, some) = (&[0, 0][..], &[0, 0, 1, 0][..], &[0, 0, 255, 255, 0x81][..]);
    let large = [&[0, 0, 255, 255][..], &[0x81; 5000]].concat();
    for (what, bytes) in [("half a length", half), ("a length", prefix), ("5 bytes", some), ("5000 bytes", &large)] {
        let crowds = ground.crowds(32, Windows::Open);
        // Not more than the window holds, or writing would wait until the requests are given up.
        let streams = STREAMS.min((96 << 10) / bytes.len());
        let open = crowds.each_ref().map(|crowd| crowd.write(streams, bytes));
        ground.stands(what);
        drop(open);
    }
}

#[test]
fn streams_that_stay_keep_nobody_out() {
    let ground = Ground::new(0);
    let crowds = ground.crowds(256, Windows::Open);
    let asked = ["Follow", "Watch"].map(|what| about(what, &ground.content, SIZE));
    let mut open = [crowds[0].write(STREAMS, &asked[0]), crowds[1].write(STREAMS, &asked[1])];
    crowds.iter().zip(&mut open).for_each(|(crowd, open)| crowd.answered(open));
    ground.stands("256 connections × 64 Follow and Watch");
    drop(open);
}

#[test]
fn answers_that_nobody_reads_fill_no_memory_and_keep_nobody_out() {
    let ground = Ground::new(90);
    let peaks = || [&ground.tracker, &ground.share].map(|node| node.process.peak());
    let before = peaks();
    for windows in [Windows::Closed, Windows::Narrow] {
        let crowds = ground.crowds(32, windows);
        let open = crowds.each_ref().map(|crowd| crowd.write(STREAMS, &search("f")));
        // A page is 350 KB; all of them are 700 MB.
        until("answers wait", || peaks().iter().zip(before).all(|(now, before)| *now > before + (16 << 10)));
        // While the first of them are made all processors are at it; afterwards it is as if there were no attack.
        let begun = Instant::now();
        until("honest searches are answered at once", || {
            let asked = Instant::now();
            let tracker = ["search", "needle.bin", "--tracker", &ground.tracker.addr];
            let peer = ["search", "needle.bin", "--only-peers", "--peer", &ground.share.addr];
            let find = |search: &[&str]| Process::start(ground.lab.qshare().args(search)).end().code == Some(0);
            find(&tracker) && find(&peer) && asked.elapsed() < 2 * ground.alone + SLACK / 4
        });
        eprintln!("at the beginning searches were slow for {:?}", begun.elapsed());
        for _ in 0..2 {
            ground.stands(&format!("2048 searches, windows {windows:?}"));
        }
        drop(open);
    }
}

#[test]
fn announcements_that_do_not_come_keep_no_other_out() {
    let ground = Ground::new(0);
    for (what, bytes) in [("a head", announce()), ("1 byte of a page", claimed(1)), ("5000 of a page", claimed(5000))] {
        let crowd = Crowd::at(&ground.tracker.addr, 40, Windows::Open);
        let open = crowd.write(STREAMS, &bytes);
        let begun = Instant::now();
        let fresh = ground.lab.file("fresh/new.bin", what.as_bytes());
        let mut share = ground.lab.share(&ground.tracker, &[&fresh], &[]);
        let search = ["search", "new.bin", "--tracker", &ground.tracker.addr];
        until("the new offer is found", || Process::start(ground.lab.qshare().args(search)).end().code == Some(0));
        eprintln!("{what}: a new offer was found after {:?}", begun.elapsed());
        assert!(begun.elapsed() < 2 * ground.alone + SLACK, "{what}: after {:?}", begun.elapsed());
        ground.stands(what);
        share.process.kill();
        drop(open);
    }
}

#[test]
fn storms_of_streams_and_connections_keep_nobody_out() {
    let ground = Ground::new(0);
    for (what, bytes, ends) in storms(&ground.content, SIZE) {
        let crowds = ground.crowds(8, Windows::Open);
        crowds.iter().for_each(|crowd| crowd.storm(bytes.clone(), ends));
        ground.stands(what);
    }
    let crowds = ground.crowds(1, Windows::Open);
    crowds[0].come_and_go(&ground.tracker.addr);
    crowds[1].come_and_go(&ground.share.addr);
    ground.stands("connections that come and go");
}
