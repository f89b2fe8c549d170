//! Providers that send a byte now and then: what is waited for must move, or it is asked for elsewhere, or the wait ends.

mod common;

use std::fs;

use common::scripted::{Content, Guise, Script, Scripted};
use common::trickling::{answers_trickle, events_trickle, lists_trickle, units_break_off, units_trickle};
use common::{Lab, noise};

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
