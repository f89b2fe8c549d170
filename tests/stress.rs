//! Disks that stall, sockets without what makes them fast, a file that changes under its only provider: a transfer goes
//! on or ends with one clear error. Disks and filters need root; each test says when it skips.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a disk that stalls for some time is about time")]

mod common;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::stall::{Disk, Held, Refused};
use common::{Lab, Process, noise};

const MIB: u64 = 1 << 20;
/// How long a disk stalls: more than a silent provider is waited for.
const STALL: Duration = Duration::from_secs(12);
/// The most memory, in KiB.
const MOST: u64 = 150 * 1000;

/// A file with holes, so that it is quickly made, and noise in every chunk.
fn large(path: PathBuf, size: u64) -> PathBuf {
    let file = fs::File::create(&path).expect("made");
    file.set_len(size).expect("sparse");
    for place in (0..size).step_by(MIB as usize) {
        file.write_all_at(&noise(place, 4096), place).expect("written");
    }
    file.sync_all().expect("synced");
    path
}

fn assert_same(left: &Path, right: &Path) {
    assert!(fs::read(left).expect("there") == fs::read(right).expect("published"), "{} differs", right.display());
}

/// Reads events for as long as the stall is; the bytes proven at its end.
fn endure(get: &mut Process) -> u64 {
    let began = Instant::now();
    loop {
        let progress = get.event("progress");
        if began.elapsed() >= STALL {
            return progress["bytes"].as_u64().expect("a number");
        }
    }
}

fn no_warning(events: &[serde_json::Value]) {
    let warnings: Vec<_> = events.iter().filter(|e| e["event"] == "warning").collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[test]
fn a_destination_that_stalls_holds_the_stream_back_and_memory_stays_flat() {
    let lab = Lab::new();
    let Some(disk) = Disk::mount(&lab, 400) else { return };
    let size = 256 * MIB;
    let file = large(lab.path("stalling.bin"), size);
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &["--limit", "64MiB/s"]);
    let target = format!("{}/", disk.path().display());
    let mut get = lab.getting(&tracker, &["stalling.bin", "-o", &target]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(32 * MIB));
    let Some(frozen) = disk.freeze() else { return };
    let proven = endure(&mut get);
    assert!(proven < size, "the disk did not stall: {proven}");
    let (getting, giving) = (get.peak(), provider.process.peak());
    drop(frozen);
    let ended = get.end();
    ended.done();
    no_warning(&ended.events);
    assert_same(&file, &disk.path().join("stalling.bin"));
    eprintln!("peak KiB while the disk stalled: get {getting}, share {giving}");
    assert!(getting < MOST && giving < MOST, "get {getting}, share {giving} KiB");
}

#[test]
fn a_providers_disk_that_stalls_is_waited_for() {
    let lab = Lab::new();
    let Some(disk) = Disk::mount(&lab, 400) else { return };
    let size = 128 * MIB;
    let file = large(disk.path().join("slow.bin"), size);
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &["--limit", "32MiB/s"]);
    let handle = fs::File::open(&file).expect("there");
    rustix::fs::fadvise(&handle, 0, None, rustix::fs::Advice::DontNeed).expect("taken");
    let mut get = lab.getting(&tracker, &["slow.bin"]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(16 * MIB));
    let Some(held) = Held::reads(provider.process.pid(), &disk) else { return };
    let proven = endure(&mut get);
    assert!(proven < size, "the disk did not stall: {proven}");
    let (getting, giving) = (get.peak(), provider.process.peak());
    drop(held);
    let ended = get.end();
    ended.done();
    no_warning(&ended.events);
    assert_same(&file, &lab.path("slow.bin"));
    assert!(getting < MOST && giving < MOST, "get {getting}, share {giving} KiB");
}

#[test]
fn sockets_without_offload_move_a_file_all_the_same() {
    let lab = Lab::new();
    let refused = Refused::Offload;
    let (Some(mut share), Some(mut get)) = (refused.qshare(&lab), refused.qshare(&lab)) else { return };
    let bytes = noise(1, 16 * MIB as usize);
    let file = lab.file("shared/plain.bin", &bytes);
    let tracker = lab.tracker();
    share.args(["--json", "share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&file);
    let mut provider = lab.start(&mut share);
    provider.wait_hashed();
    Process::start(get.args(["--json", "get", "plain.bin", "--tracker", &tracker.addr])).end().done();
    assert!(fs::read(lab.path("plain.bin")).expect("published") == bytes);
}

#[test]
fn buffers_that_do_not_grow_are_told_once_with_the_setting() {
    let lab = Lab::new();
    let (Some(mut json), Some(mut plain)) = (Refused::Buffers.qshare(&lab), Refused::Buffers.qshare(&lab)) else {
        return;
    };
    let bytes = noise(2, 16 * MIB as usize);
    let file = lab.file("shared/narrow.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);
    let ended = Process::start(json.args(["--json", "get", "narrow.bin", "-o", "1", "--tracker", &tracker.addr])).end();
    ended.done();
    let arguments = ["get", "narrow.bin", "-o", "2", "--no-progress", "--tracker", &tracker.addr];
    let output = plain.args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).expect("text");
    for sysctl in ["net.core.rmem_max", "net.core.wmem_max"] {
        let told = ended.events.iter().filter(|e| e["event"] == "warning" && e["message"].to_string().contains(sysctl));
        assert_eq!(told.count(), 1, "{sysctl}: {ended:#?}");
        let lines: Vec<_> = stderr.lines().filter(|line| line.contains(sysctl)).collect();
        assert!(matches!(lines[..], [line] if line.starts_with("qshare: warning: ")), "{sysctl}: {stderr}");
    }
    assert!(fs::read(lab.path("1")).expect("published") == bytes);
    assert!(fs::read(lab.path("2")).expect("published") == bytes);
}

#[test]
fn a_file_that_changes_under_its_only_provider_ends_the_transfer_with_one_error() {
    let lab = Lab::new();
    // Both before it begins: they are slower to make than to fetch where there is little time.
    let (file, other) = (lab.file("shared/moving.bin", &noise(3, 24 * MIB as usize)), noise(4, 24 * MIB as usize));
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &["--limit", "8MiB/s"]);
    let mut get = lab.getting(&tracker, &["moving.bin", "--wait", "1s"]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(4 * MIB));
    fs::write(&file, other).expect("overwritten");
    let ended = get.end();
    let sentence = ended.error(6);
    assert!(sentence.contains("moving.bin"), "{sentence}");
    assert_eq!(ended.events.iter().filter(|e| e["event"] == "error").count(), 1, "{ended:#?}");
    assert!(!lab.path("moving.bin").exists(), "nothing half-old has the final name");
}
