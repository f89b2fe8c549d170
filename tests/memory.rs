//! The peak memory of `share` and `get` does not grow with the file. Linux only: it is read from /proc.
//! `QSHARE_TEST_GIB=10 cargo test --release --test memory` for a file of 10 GiB; it needs that much free disk.
#![cfg(target_os = "linux")]

mod common;

use std::fs;

use common::{Lab, Node};

/// The limit, in KiB.
const MOST: u64 = 150 * 1000;

#[test]
fn the_peak_of_share_and_get_is_below_150_mb() {
    let gib: u64 = std::env::var("QSHARE_TEST_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let lab = Lab::new();
    let path = lab.path("sparse.bin");
    fs::File::create(&path).and_then(|file| file.set_len(gib << 30)).expect("a sparse file");
    let tracker = lab.tracker();
    let provider: Node = lab.share(&tracker, &[&path], &[]);
    let hashing = provider.process.peak();
    let mut get = lab.getting(&tracker, &["sparse.bin", "-o", "out/", "--seed"]);
    let done = get.event("done");
    assert_eq!(done["bytes"].as_u64(), Some(gib << 30));
    let (serving, getting) = (provider.process.peak(), get.peak());
    eprintln!("peak KiB: hashing {hashing}, serving {serving}, getting {getting}");
    assert!(hashing < MOST && serving < MOST && getting < MOST, "{hashing}, {serving}, {getting} KiB");
}
