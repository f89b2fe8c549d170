//! A destination without room: one sentence, and nothing of what was proven is lost. A small tmpfs is mounted for
//! it, which needs root; says when it skips.

mod common;

use std::fs;
use std::path::Path;

use common::disk::SmallDisk;
use common::{Lab, assert_same_tree, noise};

const MIB: usize = 1 << 20;

fn text(path: &Path) -> String {
    format!("{}/", path.display())
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_the_first_byte() {
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.dir("small"), 16) else { return };
    let bytes = noise(1, 12 * MIB);
    let file = lab.file("shared/large.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);
    for room in [6 * MIB, 0] {
        disk.fill();
        disk.give_back(room);
        let ended = lab.get(&tracker, &["large.bin", "-o", &text(&disk.0)]);
        let sentence = ended.error(1);
        assert_eq!(ended.event("error")["code"], "no_space");
        assert!(sentence.contains("small") && sentence.contains("space"), "{sentence}");
        let left: Vec<_> = fs::read_dir(&disk.0).expect("there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["ballast"], "nothing is left behind");
    }
    disk.empty();
    lab.get(&tracker, &["large.bin", "-o", &text(&disk.0)]).done();
    assert!(fs::read(disk.0.join("large.bin")).expect("published") == bytes);
}

#[test]
fn a_disk_that_fills_up_ends_the_transfer_and_keeps_what_was_proven() {
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.dir("small"), 40) else { return };
    for n in 0..60 {
        lab.file(&format!("tree/{n}.bin"), &noise(n, MIB / 2));
    }
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("tree")], &["--limit", "6MiB/s"]);
    let mut get = lab.getting(&tracker, &["tree", "-o", &text(&disk.0)]);
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(8 * MIB as u64));
    disk.fill();
    let ended = get.end();
    let sentence = ended.error(6);
    assert_eq!(ended.event("error")["code"], "no_space");
    assert!(sentence.contains("space") && sentence.contains("are proven and kept"), "{sentence}");
    let proven = ended.events.iter().rev().find(|e| e["event"] == "progress").expect("one")["bytes"].as_u64();
    disk.empty();
    let again = lab.get(&tracker, &["tree", "-o", &text(&disk.0)]);
    let fetched = again.done()["fetched"].as_u64();
    assert!(fetched <= proven.map(|proven| 31 * MIB as u64 - proven), "{fetched:?} after {proven:?}");
    assert_same_tree(&lab.path("tree"), &disk.0.join("tree"));
}
