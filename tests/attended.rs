//! Transfers that the running node carries out for as long as a command lasts: to its standard output, in a dry run, and to be
//! served until it is stopped.

mod common;

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::stage::{MIB, Stage};
use common::{Process, until};
use rustix::process::Signal;
use serde_json::Value;

/// A `get` of the stage's file, in words for people.
fn plain(stage: &Stage, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
    command.env("QSHARE_HOME", &stage.home).env_remove("QSHARE_TRACKER").current_dir(stage.lab.path("."));
    command.args(["get", "big.bin", "--no-lan", "--peer", &stage.giver.1.addr]).args(more);
    command
}

/// The giver's word of who took how much.
fn taken(stage: &mut Stage, of: &str) -> Value {
    let of = of.to_owned();
    stage.giver.1.process.event_that("upload", |upload| upload["state"] == "ended" && upload["node"] == *of)
}

#[test]
fn what_goes_to_standard_output_comes_by_the_node() {
    let mut stage = Stage::new(8 * MIB, "400M");
    let node = stage.node();
    let output = plain(&stage, &["-o", "-"]).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == stage.bytes, "{} bytes", output.stdout.len());
    let upload = taken(&mut stage, &node.id);
    assert_eq!(upload["bytes"], stage.bytes.len(), "the node itself took it: {upload}");
    assert_eq!(stage.job(), Value::Null, "it is no job that stays");
}

#[test]
fn an_output_that_is_closed_ends_it_as_without_a_node() {
    let mut stage = Stage::new(64 * MIB, "20M");
    let ended = |stage: &Stage| {
        let mut get =
            plain(stage, &["-o", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut some = vec![0; 1000];
        get.stdout.take().expect("piped").read_exact(&mut some).expect("some");
        assert!(some == stage.bytes[..1000]);
        let output = get.wait_with_output().expect("ended");
        let told = String::from_utf8_lossy(&output.stderr).lines().last().map(str::to_owned);
        (output.status.code(), told)
    };
    let without = ended(&stage);
    let node = stage.node();
    assert_eq!(ended(&stage), without);
    assert_eq!(without.0, Some(1));
    let upload = taken(&mut stage, &node.id);
    assert!(upload["bytes"].as_u64() < Some(48 * MIB as u64), "the node does not go on: {upload}");
}

#[test]
fn what_goes_to_standard_output_goes_on_after_a_node_that_dies_and_writes_no_byte_twice() {
    let stage = Stage::new(24 * MIB, "8M");
    let mut node = stage.node();
    let mut get = plain(&stage, &["-o", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut stdout = get.stdout.take().expect("piped");
    let mut got = vec![0; MIB];
    stdout.read_exact(&mut got).expect("some");
    node.process.kill();
    stdout.read_to_end(&mut got).expect("its end");
    let output = get.wait_with_output().expect("ended");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("goes on by its own power"), "{told}");
    assert!(got == stage.bytes, "{} bytes", got.len());
}

#[test]
fn what_goes_to_standard_output_outlives_the_get_whose_node_it_went_through_and_has_no_part_in_its_limit() {
    let stage = Stage::new(8 * MIB, "4M");
    // At this rate it would take more than two hours.
    let mut other = plain(&stage, &["--json", "--limit", "1000", "-o", "other.bin"]);
    let mut other = Process::start(&mut other);
    other.event_that("progress", |progress| progress["total"] != 0);
    let mut get = plain(&stage, &["-o", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut stdout = get.stdout.take().expect("piped");
    let mut got = vec![0; 3 * MIB];
    stdout.read_exact(&mut got).expect("more than the other's limit lets through");
    other.signal(Signal::TERM);
    other.end();
    stdout.read_to_end(&mut got).expect("its end");
    let output = get.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(got == stage.bytes, "{} bytes", got.len());
}

#[test]
fn a_dry_run_through_the_node_says_what_one_without_it_says() {
    let stage = Stage::new(8 * MIB, "400M");
    let shown = |more: &[&str]| {
        let output = plain(&stage, more).output().expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let without = [shown(&["-n"]), shown(&["-n", "-o", "new/"]), shown(&["-n", "-o", "-"])];
    assert!(without[1].contains("new/big.bin"), "{}", without[1]);
    let _node = stage.node();
    assert_eq!([shown(&["-n"]), shown(&["-n", "-o", "new/"]), shown(&["-n", "-o", "-"])], without);
    assert!(!stage.lab.path("new").exists() && !stage.lab.path("big.bin").exists());
    assert_eq!(stage.job(), Value::Null);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a rate is about time")]
fn a_seed_is_served_by_the_node_until_its_command_ends() {
    let mut stage = Stage::new(MIB, "400M");
    let node = stage.node();
    let mut seed = stage.getting(&["--seed", "--upload-limit", "256k"]);
    assert_eq!(seed.first("listening")["node"], *node.id);
    seed.event_that("phase", |phase| phase["name"] == "seeding");
    stage.giver.1.process.kill();
    let found = |home: &std::path::Path| {
        Process::start(stage.lab.qshare_at(home).args(["search", "big.bin", "--peer", &node.addr])).end()
    };
    let other = stage.lab.home();
    until("it is offered", || found(&other).code == Some(0));
    let begun = Instant::now();
    let copy = stage.lab.path("copy.bin").display().to_string();
    let got = Process::start(stage.lab.qshare_at(&other).args(["get", "big.bin", "--peer", &node.addr, "-o", &copy]));
    got.end().done();
    assert!(fs::read(&copy).expect("published") == stage.bytes);
    assert!(begun.elapsed() > Duration::from_secs(2), "1 MiB at 256 KiB/s took {:?}", begun.elapsed());
    let upload = seed.event_that("upload", |upload| upload["state"] == "ended");
    assert_eq!((&upload["name"], &upload["bytes"]), (&"big.bin".into(), &MIB.into()));
    seed.signal(Signal::INT);
    assert_eq!(seed.end().code, Some(0));
    until("it is offered no longer", || found(&other).code == Some(3));
    stage.assert_there();
}
