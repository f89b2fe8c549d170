//! Peers that ask for uploads and do not take them, against a real share: whatever they do, an honest get beside them takes
//! about as long as alone, memory stays bounded, and when they are gone everything is free again.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "two runs of the same are compared")]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::raw::{Windows, newcomer};
use common::readers::{self, Readers, Taking, What};
use common::{Lab, Node, noise, until};
use qshare::model::Layout;
use rustix::process::Signal;

const MIB: usize = 1 << 20;
/// The most memory of a share, in KiB.
const MOST: u64 = 256 * 1000;
/// What a slow machine may take longer, whatever the ratio.
const SLACK: Duration = Duration::from_secs(4);

/// A share with something that many want and something that one wants.
struct Shop {
    lab: Lab,
    tracker: Node,
    share: Node,
    wanted: Vec<u8>,
    what: What,
    alone: Duration,
}

impl Shop {
    fn open() -> Self {
        Self::open_with(&[])
    }

    fn open_with(options: &[&str]) -> Self {
        let lab = Lab::new();
        let (wanted, much) = (noise(1, 16 * MIB), noise(2, 64 * MIB));
        let files = [lab.file("shared/wanted.bin", &wanted), lab.file("shared/much.bin", &much)];
        let small = lab.file("shared/small.txt", b"small");
        let tracker = lab.tracker();
        let mut command = lab.qshare();
        command
            .args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr])
            .args(options)
            .args(&files)
            .arg(&small);
        let mut share = lab.start(command.env("RUST_LOG", "qshare::actors::uploads=debug"));
        share.wait_hashed();
        let size = u32::try_from(much.len()).expect("small");
        let units = Layout::of(size.into()).expect("small").chunks();
        let what = What { id: *blake3::hash(&much).as_bytes(), size, units };
        let mut shop = Self { lab, tracker, share, wanted, what, alone: Duration::ZERO };
        shop.alone = shop.get();
        shop
    }

    /// How long an honest get of 16 MiB takes.
    fn get(&self) -> Duration {
        let begun = Instant::now();
        let ended = self.lab.get(&self.tracker, &["wanted.bin"]);
        let took = begun.elapsed();
        ended.done();
        let path = self.lab.path("wanted.bin");
        assert!(fs::read(&path).expect("published") == self.wanted);
        fs::remove_file(path).expect("there");
        took
    }

    fn readers(&self, many: (u8, usize), from: fn(u8) -> [u8; 4], taking: Taking) -> Readers {
        let target = (self.share.addr.parse().expect("an address"), self.share.id.parse().expect("an id"));
        let readers = Readers::start(target, self.what, many, from, taking);
        until("they have asked", || readers.asked() >= u64::from(many.0) * many.1 as u64 / 2);
        readers
    }

    /// An honest get beside such peers, twice: as they come, when they may take what they can like anybody else, and when
    /// they have been there for a while.
    fn stands(&self, many: (u8, usize), from: fn(u8) -> [u8; 4], taking: Taking) {
        let readers = self.readers(many, from, taking);
        for n in 0..2 {
            let beside = self.get();
            eprintln!("{many:?} {taking:?}: {beside:?}, alone {:?}, asked {}", self.alone, readers.asked());
            assert!(n == 0 || beside <= 2 * self.alone + SLACK, "it took {beside:?}, alone {:?}", self.alone);
        }
        let peak = self.share.process.peak();
        assert!(peak < MOST, "{peak} KiB");
        drop(readers);
        let after = self.get();
        assert!(after <= 2 * self.alone + SLACK, "{after:?} when they are gone");
        eprintln!("peak {peak} KiB, after {after:?}");
    }

    /// One that asks for everything eight times, and is gone after so long; how many bytes came to it.
    fn asked_by_one_that_vanishes(&self, after: Duration) -> u64 {
        vanish(self.share.addr.parse().expect("an address"), self.what, after)
    }

    /// When the last peer's connection has died, nobody holds or waits for a slot.
    fn is_free_again(&self) {
        until("no upload is under way", || {
            let log = self.share.process.stderr();
            // What an upload was is told later, when its peer has asked for nothing more.
            let last = log.lines().rfind(|line| line.contains("upload is under way"));
            last.is_some_and(|line| line.contains("no upload is under way"))
        });
        let status = fs::read_to_string(format!("/proc/{}/status", self.share.process.pid())).expect("it runs");
        eprintln!("{:?}", status.lines().find(|line| line.starts_with("VmRSS")));
        let after = self.get();
        assert!(after <= 2 * self.alone + SLACK, "{after:?} when they are forgotten");
    }
}

/// A node that asks for everything eight times, and is gone after so long without a packet that says so; how many bytes
/// came to it.
fn vanish(addr: SocketAddr, what: What, after: Duration) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let gone = runtime.block_on(async {
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 9], 0).into()).expect("bound");
        let connecting = endpoint.connect_with(newcomer(Windows::Open), addr, "x").expect("valid");
        // Not let in: there are too many like it.
        let link = connecting.await.ok()?;
        let (before, mut open) = (link.stats().frame_tx.stream, Vec::new());
        for _ in 0..8 {
            let (mut send, recv) = link.open_bi().await.ok()?;
            send.write_all(&readers::fetch(what)).await.ok()?;
            open.push((send, recv));
        }
        while link.stats().frame_tx.stream < before + 8 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(after).await;
        Some((endpoint, link, open))
    });
    // What would send the last packets goes first.
    drop(runtime);
    gone.map_or(0, |(_, link, _)| link.stats().udp_rx.bytes)
}

fn here(_: u8) -> [u8; 4] {
    [127, 0, 0, 77]
}

fn everywhere(n: u8) -> [u8; 4] {
    [127, 0, 1, n + 1]
}

#[test]
fn who_reads_nothing_starves_nobody() {
    let shop = Shop::open();
    shop.stands((4, 12), here, Taking::Nothing);
    shop.stands((48, 12), here, Taking::Nothing);
    shop.stands((48, 12), everywhere, Taking::Nothing);
    shop.is_free_again();
}

#[test]
fn who_reads_a_little_starves_nobody() {
    let shop = Shop::open();
    shop.stands((24, 12), here, Taking::Head);
    shop.stands((24, 12), here, Taking::Some(300_000));
    shop.stands((24, 12), here, Taking::Slowly(1));
    shop.stands((24, 12), here, Taking::Slowly(1024));
    shop.is_free_again();
}

#[test]
fn who_asks_and_goes_again_and_again_leaves_nothing_taken() {
    let shop = Shop::open();
    shop.stands((12, 12), here, Taking::Gone(0));
    shop.stands((12, 12), here, Taking::Gone(30));
    shop.stands((12, 12), everywhere, Taking::Gone(300));
    shop.stands((12, 12), here, Taking::Stopped);
    shop.is_free_again();
}

/// What was written for it lay in buffers of this side.
#[test]
fn who_vanishes_has_not_taken_what_was_on_its_way() {
    let mut shop = Shop::open();
    let honest = shop.share.process.event_that("upload", |event| event["state"] == "ended");
    assert_eq!(honest["bytes"].as_u64(), Some(shop.wanted.len() as u64), "{honest}");
    let begun = |shop: &Shop| shop.share.process.stderr().matches("an upload is under way").count();
    let before = begun(&shop);
    let came = shop.asked_by_one_that_vanishes(Duration::ZERO);
    until("it has asked", || begun(&shop) > before);
    until("no upload is under way", || {
        let log = shop.share.process.stderr();
        log.lines().rfind(|line| line.contains("upload is under way")).is_some_and(|line| line.contains("no upload"))
    });
    shop.share.process.signal(Signal::INT);
    let ended = shop.share.process.end();
    let told = ended.events.iter().filter(|event| event["event"] == "upload" && event["node"] != honest["node"]);
    let told: u64 = told.filter_map(|event| event["bytes"].as_u64()).max().unwrap_or(0);
    eprintln!("{came} bytes came, {told} are told of");
    assert!(told <= came, "{told} bytes are told of, {came} came");
}

/// What is limited is not spent on those who are gone: what is small comes as soon as the way is free.
#[test]
fn who_vanishes_uses_up_no_limit() {
    let shop = Shop::open_with(&["--limit", "4MiB/s"]);
    let get = || {
        let begun = Instant::now();
        shop.lab.get(&shop.tracker, &["small.txt"]).done();
        fs::remove_file(shop.lab.path("small.txt")).expect("there");
        begun.elapsed()
    };
    let (addr, over, came) = (shop.share.addr.parse().expect("an address"), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    vanish(addr, shop.what, Duration::from_millis(20));
                    came.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until("they come and go", || came.load(Ordering::Relaxed) > 100);
        let beside: Vec<_> = (0..3).map(|_| get()).collect();
        over.store(true, Ordering::Relaxed);
        eprintln!("beside {} that were gone: {beside:?}, then {:?}", came.load(Ordering::Relaxed), get());
        assert!(beside.iter().all(|took| *took < 2 * SLACK), "{beside:?}");
    });
}
