//! Providers that send a byte now and then: what is waited for must move, or it is asked for elsewhere, or the wait ends.

mod common;

use std::fs;

use qshare::model::{ContentId, Offer, SafePath};
use qshare::wire::Delta;

use common::scripted::{Content, Guise, Script, Scripted};
use common::trickling::{
    answers_trickle, events_trickle, lists_trickle, manifests_great, manifests_never, manifests_trickle,
    resolves_at_once, resolves_rise, resolves_trickle, units_break_off, units_trickle,
};
use common::{Lab, Node, noise};

const MIB: usize = 1 << 20;
/// With nobody else the wait ends, and says who it was.
fn ends_alone(script: impl FnOnce(&[u8]) -> Script) {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(1, 4 * MIB), lab.tracker());
    let slow = Scripted::start(&tracker, &Guise::file("slow.bin"), Content::file(&bytes), script(&bytes));
    let ended = lab.get(&tracker, &["slow.bin", "--wait", "5s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains(&slow.node.short()), "{sentence}: {ended:#?}");
    assert!(!lab.path("slow.bin").exists());
    eprintln!("{sentence}");
}

#[test]
fn units_that_trickle_end_with_the_wait() {
    ends_alone(|_| units_trickle());
}

#[test]
fn lists_that_trickle_end_with_the_wait() {
    ends_alone(lists_trickle);
}

#[test]
fn answers_that_trickle_end_with_the_wait() {
    ends_alone(|_| answers_trickle());
}

#[test]
fn events_that_trickle_end_with_the_wait() {
    ends_alone(|_| events_trickle());
}

#[test]
fn units_that_are_always_broken_off_end_with_the_wait() {
    ends_alone(|_| units_break_off());
}

/// Beside an honest one it holds nothing up: at this rate its part would take a day.
fn is_taken_over(script: impl FnOnce(&[u8]) -> Script) {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(2, 8 * MIB + 5), lab.tracker());
    let file = lab.file("shared/both.bin", &bytes);
    let honest = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let slow = Scripted::start(&tracker, &Guise::file("both.bin"), Content::file(&bytes), script(&bytes));
    let ended = lab.get(&tracker, &["both.bin"]);
    assert!(fs::read(lab.path("both.bin")).expect("published") == bytes);
    let given = ended.done()["providers"].as_array().expect("a list");
    assert!(given.iter().any(|provider| provider["node"] == honest.id.as_str()), "{given:?}");
    let asked = slow.asked.fetches() + slow.asked.lists() + slow.asked.watches();
    assert!(asked > 0, "it was asked");
}

#[test]
fn units_that_trickle_are_taken_over() {
    is_taken_over(|_| units_trickle());
}

#[test]
fn lists_that_trickle_are_taken_over() {
    is_taken_over(lists_trickle);
}

#[test]
fn events_that_trickle_hold_nothing_up() {
    is_taken_over(|_| events_trickle());
}

/// A tree of one file, as a provider lists it.
fn tree(bytes: &[u8]) -> Content {
    let manifest = format!("qshare-collection-1\nf {} {} file.bin\n", bytes.len(), ContentId::of(bytes));
    Content::tree(manifest.as_bytes(), &[bytes])
}

#[test]
fn lists_of_collections_that_trickle_end_with_the_wait() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(3, MIB), lab.tracker());
    let slow = Scripted::start(&tracker, &Guise::tree("slow"), tree(&bytes), manifests_trickle());
    let ended = lab.get(&tracker, &["slow", "--wait", "5s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains(&slow.node.short()), "{sentence}: {ended:#?}");
    assert!(slow.asked.manifests() > 0 && !lab.path("slow").exists());
    eprintln!("{sentence}");
}

#[test]
fn lists_of_collections_that_trickle_are_taken_over() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(4, MIB), lab.tracker());
    let file = lab.file("shared/both/file.bin", &bytes);
    let share = lab.share(&tracker, &[file.parent().expect("a directory")], &[]);
    let slow = Scripted::start(&tracker, &Guise::tree("both"), tree(&bytes), manifests_trickle());
    let ended = lab.get(&tracker, &["both", "-o", "out"]);
    ended.done();
    assert!(fs::read(lab.path("out/file.bin")).expect("published") == bytes);
    eprintln!("the liar was asked {} times; {}", slow.asked.manifests(), share.id);
}

#[test]
fn lists_of_collections_that_many_never_send_hold_nothing_up() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(6, MIB), lab.tracker());
    let file = lab.file("shared/both/file.bin", &bytes);
    let _share = lab.share(&tracker, &[file.parent().expect("a directory")], &[]);
    // Of what is in it they give all.
    let silent = |_| Scripted::start(&tracker, &Guise::tree("both"), tree(&bytes), manifests_never());
    let silent: Vec<_> = (0..24).map(silent).collect();
    let ended = lab.get(&tracker, &["both", "-o", "out"]);
    ended.done();
    assert!(fs::read(lab.path("out/file.bin")).expect("published") == bytes);
    let asked = |liar: &Scripted| liar.asked.manifests();
    assert!(silent.iter().all(|liar| asked(liar) <= 1), "{:?}", silent.iter().map(asked).collect::<Vec<_>>());
}

#[test]
fn lists_of_collections_that_many_never_send_end_with_the_wait() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(7, MIB), lab.tracker());
    let silent = |_| Scripted::start(&tracker, &Guise::tree("slow"), tree(&bytes), manifests_never());
    let silent: Vec<_> = (0..12).map(silent).collect();
    let sentence = lab.get(&tracker, &["slow", "--wait", "2s"]).error(6);
    assert!(sentence.contains("came for 2s"), "{sentence}");
    let asked = |liar: &Scripted| liar.asked.manifests();
    assert!(silent.iter().all(|liar| asked(liar) <= 1), "{:?}", silent.iter().map(asked).collect::<Vec<_>>());
}

#[test]
fn great_lists_of_many_keep_no_smaller_one_waiting() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    // Its list is longer than what is received of all at once.
    let names: Vec<_> = (0..9000).map(|number| format!("{number:0>120}")).collect();
    names.iter().for_each(|name| drop(lab.file(&format!("shared/both/{name}"), b"")));
    let lines = names.iter().map(|name| format!("f 0 {} {name}\n", ContentId::of(b"")));
    let manifest = format!("qshare-collection-1\n{}", lines.collect::<String>());
    let great =
        |_| Scripted::start(&tracker, &Guise::tree("both"), Content::tree(manifest.as_bytes(), &[]), manifests_great());
    let great: Vec<_> = (0..8).map(great).collect();
    let _share = lab.share(&tracker, &[&lab.path("shared/both")], &[]);
    lab.get(&tracker, &["both", "-o", "out"]).done();
    assert_eq!(fs::read_dir(lab.path("out")).expect("published").count(), names.len());
    eprintln!("asked: {:?}", great.iter().map(|liar| liar.asked.manifests()).collect::<Vec<_>>());
}

/// Something that its provider has not hashed yet.
fn unhashed(tracker: &Node, name: &str, size: usize, script: Script) -> Scripted {
    let name = SafePath::parse(name).expect("a name");
    let offer = Offer::file(name, size as u64, None);
    let delta = Delta { add: vec![offer], ..Delta::default() };
    Scripted::announcing(tracker, &delta, false, Content::file(&noise(8, size)), script)
}

#[test]
fn hashing_that_trickles_ends_with_the_wait() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let slow = unhashed(&tracker, "slow.bin", MIB, resolves_trickle());
    let ended = lab.get(&tracker, &["slow.bin", "--wait", "5s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains(&slow.node.short()), "{sentence}: {ended:#?}");
    assert!(slow.asked.all() > 0);
    eprintln!("{sentence}");
}

#[test]
fn hashing_that_trickles_holds_nothing_up() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(5, MIB), lab.tracker());
    let file = lab.file("shared/both.bin", &bytes);
    let share = lab.share(&tracker, &[&file], &[]);
    let _slow = unhashed(&tracker, "both.bin", bytes.len(), resolves_trickle());
    let ended = lab.get(&tracker, &["both.bin"]);
    assert!(fs::read(lab.path("both.bin")).expect("published") == bytes);
    assert_eq!(ended.done()["providers"][0]["node"].as_str(), Some(&*share.id));
}

#[test]
fn hashing_that_rises_at_many_holds_nothing_up() {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(8, MIB), lab.tracker());
    let rising = |_| unhashed(&tracker, "both.bin", bytes.len(), resolves_rise());
    let rising: Vec<_> = (0..12).map(rising).collect();
    let honest = unhashed(&tracker, "both.bin", bytes.len(), resolves_at_once("both.bin", &bytes));
    let ended = lab.get(&tracker, &["both.bin"]);
    assert!(fs::read(lab.path("both.bin")).expect("published") == bytes);
    assert_eq!(ended.done()["providers"][0]["node"].as_str(), Some(&*honest.node.to_string()));
    assert!(rising.iter().all(|liar| liar.asked.all() <= 2), "each is asked once, and once more what it has");
}

#[test]
fn hashing_that_rises_for_ever_ends() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let rising = |_| unhashed(&tracker, "slow.bin", 10, resolves_rise());
    let rising: Vec<_> = (0..3).map(rising).collect();
    let sentence = lab.get(&tracker, &["slow.bin", "--wait", "2s"]).error(6);
    assert!(rising.iter().any(|liar| sentence.contains(&liar.node.short())), "{sentence}");
}
