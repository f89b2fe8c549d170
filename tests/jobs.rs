//! Transfers that the running node of a home carries out for its commands, and goes on with by itself.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::stage::{MIB, Stage, masked};
use common::tmux::{Tmux, live};
use common::{Process, noise, until};
use rustix::process::Signal;
use serde_json::Value;

fn files(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("node/jobs")).expect("kept");
    entries.map(|entry| entry.expect("read").path()).collect()
}

#[test]
fn a_job_goes_on_after_its_node_was_killed_and_little_is_fetched_twice() {
    let stage = Stage::new(48 * MIB, "20M");
    let mut node = stage.node();
    let id = stage.detach(&[]);
    assert_eq!(files(&stage.home).len(), 1, "kept before the command has ended");
    stage.until_has(24 * MIB);
    node.process.kill();
    // What is torn takes nothing with it.
    fs::write(stage.home.join("node/jobs/77"), b"torn").expect("written");
    let mut node = stage.node();
    let warning = node.process.event("warning");
    assert!(warning["message"].as_str().is_some_and(|text| text.contains("jobs/77")), "{warning}");
    stage.until("ended");
    assert_eq!(stage.job()["id"].to_string(), id);
    stage.assert_there();
    let sent = stage.sent();
    assert!(sent <= 64 * MIB as u64, "{sent} bytes of {}", 48 * MIB);
}

#[test]
fn a_job_is_paused_resumed_cancelled_and_tried_again() {
    let stage = Stage::new(8 * MIB, "3M");
    let node = stage.node();
    let id = stage.detach(&[]);
    assert_eq!(stage.run(&["jobs", "pause", &id]).event("job")["state"], "paused");
    assert!(stage.run(&["jobs", "pause", &id]).error(2).contains("is paused"));
    assert!(stage.run(&["jobs", "retry", "99"]).error(3).contains("no job 99"));
    // It stays so.
    node.process.signal(Signal::TERM);
    assert_eq!(node.process.end().code, Some(0));
    let _node = stage.node();
    assert_eq!(stage.job()["state"], "paused");
    stage.run(&["jobs", "resume", "all"]).event("job");
    stage.until("running");
    assert_eq!(stage.run(&["jobs", "cancel", &id]).event("job")["state"], "cancelled");
    assert!(stage.run(&["jobs", "resume", &id]).error(2).contains("is cancelled"));
    stage.run(&["jobs", "retry", &id]).event("job");
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn whoever_follows_the_node_is_told_of_each_change_of_a_job() {
    let stage = Stage::new(8 * MIB, "3M");
    let _node = stage.node();
    let mut events = Process::start(stage.lab.qshare_at(&stage.home).arg("events"));
    events.event("listening");
    let mut told = |id: &str, state: &str| {
        events.event_that("job", |job| job["id"].as_u64() == id.parse().ok() && job["state"] == state);
    };
    let id = stage.detach(&[]);
    told(&id, "running");
    stage.run(&["jobs", "pause", &id]);
    told(&id, "paused");
    stage.run(&["jobs", "resume", &id]);
    told(&id, "running");
    stage.run(&["jobs", "cancel", &id]);
    told(&id, "cancelled");
    // One that a command follows is a job, too.
    let mut get = stage.getting(&[]);
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let followed = (id.parse::<u32>().expect("a number") + 1).to_string();
    told(&followed, "running");
    assert_eq!(get.end().code, Some(0));
    told(&followed, "ended");
}

#[test]
fn what_is_fetched_slowly_keeps_no_answer_of_the_same_peer_waiting() {
    let stage = Stage::new(32 * MIB, "1G");
    let _node = stage.node();
    for number in 0..6 {
        let into = stage.lab.path(&format!("in{number}/"));
        let mut command = stage.lab.qshare_at(&stage.home);
        command.args(["get", "big.bin", "--peer", &stage.giver.1.addr, "--detach", "--limit", "1K", "-o"]).arg(into);
        assert_eq!(Process::start(&mut command).end().code, Some(0));
    }
    until("all of them fetch", || {
        let jobs = stage.run(&["jobs"]).events;
        jobs.iter().filter(|job| job["bytes"].as_u64() > Some(0) || job["rate"].as_u64() > Some(0)).count() == 6
    });
    // Over the same connection.
    let listed = stage.run(&["ls", &stage.giver.1.addr]);
    assert_eq!(listed.event("hit")["name"], "big.bin", "{listed:#?}");
}

/// More commands than a connection has streams for what they fetch, so slowly that none ends; once as many fetch as may.
fn fetching_slowly(stage: &Stage) -> Vec<Process> {
    let slow = |number: i32| {
        let into = stage.lab.path(&format!("in{number}/"));
        let mut command = stage.lab.qshare_at(&stage.home);
        command.args(["get", "big.bin", "--peer", &stage.giver.1.addr, "--limit", "1K", "-o"]).arg(into);
        Process::start(&mut command)
    };
    let slow = (0..26).map(slow).collect();
    until("as many fetch as may", || {
        let jobs = stage.run(&["jobs"]).events;
        jobs.iter().filter(|job| job["bytes"].as_u64() > Some(0) || job["rate"].as_u64() > Some(0)).count() >= 20
    });
    slow
}

#[test]
fn what_many_commands_fetch_slowly_keeps_no_answer_of_the_same_peer_waiting() {
    let stage = Stage::new(32 * MIB, "1G");
    let _node = stage.node();
    let _slow = fetching_slowly(&stage);
    let listed = stage.run(&["ls", &stage.giver.1.addr]);
    assert_eq!(listed.event("hit")["name"], "big.bin", "{listed:#?}");
}

#[test]
fn what_is_not_limited_does_not_wait_for_what_many_commands_fetch_slowly_of_the_same_peer() {
    let stage = Stage::new(32 * MIB, "1G");
    let _node = stage.node();
    let mut sharing = stage.lab.qshare_at(&stage.giver.0);
    let mut sharing = Process::start(sharing.arg("share").arg(stage.lab.file("shared/other.bin", &noise(8, 3 * MIB))));
    sharing.event("offer");
    let _slow = fetching_slowly(&stage);
    let other = stage.run(&["get", "other.bin", "--peer", &stage.giver.1.addr, "--wait", "0", "-o", "other/"]);
    assert_eq!(other.done()["bytes"], 3 * MIB, "{other:#?}");
}

#[test]
fn a_job_waits_for_whoever_comes_back() {
    let mut stage = Stage::new(8 * MIB, "3M");
    let _node = stage.node();
    stage.detach(&["--wait", "0.5"]);
    stage.until_has(1);
    stage.giver.1.process.kill();
    let is_told = |job: &Value| job["state"] == "waiting" && job["message"].is_string() && job["again_s"].is_u64();
    until("it waits, and says why", || is_told(&stage.job()));
    let (giving, addr) = (stage.giver.0.clone(), stage.giver.1.addr.clone());
    let mut command = stage.lab.qshare_at(&giving);
    let _back = stage.lab.start(command.args(["share", "--listen", &addr]).arg(stage.lab.path("shared/big.bin")));
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn a_get_in_the_foreground_is_a_job_that_it_ends_or_leaves() {
    let stage = Stage::new(8 * MIB, "3M");
    let mut node = stage.node();
    let begun = || {
        let mut get = stage.getting(&[]);
        get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
        get
    };
    let get = begun();
    get.signal(Signal::TERM);
    get.end().error(143);
    assert_eq!(stage.job(), Value::Null, "whoever has seen its end needs no list of it");
    let get = begun();
    get.signal(Signal::HUP);
    assert!(get.end().error(129).contains("goes on with it as job"));
    assert_eq!(stage.job()["state"], "running");
    stage.run(&["jobs", "cancel", "all"]).event("job");
    let get = begun();
    node.process.kill();
    let ended = get.end();
    assert!(ended.event("warning")["message"].as_str().is_some_and(|text| text.contains("by its own power")));
    assert_eq!(ended.done()["path"], stage.lab.path("in/big.bin").display().to_string());
    stage.assert_there();
}

#[test]
fn a_get_that_another_command_pauses_or_cancels_says_so() {
    let stage = Stage::new(8 * MIB, "3M");
    let _node = stage.node();
    let mut get = stage.getting(&[]);
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let id = stage.job()["id"].to_string();
    assert_eq!(stage.run(&["jobs", "pause", &id]).event("job")["state"], "paused");
    let why = get.end().error(6);
    assert!(why.contains("paused as job") && why.contains(&format!("`qshare jobs resume {id}`")), "{why}");
    stage.run(&["jobs", "cancel", &id]).event("job");
    let mut get = stage.getting(&[]);
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let running = stage.run(&["jobs"]).events.iter().find(|job| job["state"] == "running").expect("a job").clone();
    stage.run(&["jobs", "cancel", &running["id"].to_string()]);
    assert!(get.end().error(6).contains("cancelled by another command"));
    stage.run(&["jobs", "retry", &id]).event("job");
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn a_get_whose_node_is_stopped_says_so_and_its_job_goes_on_with_the_next() {
    let stage = Stage::new(8 * MIB, "3M");
    let node = stage.node();
    let mut get = stage.getting(&[]);
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let id = stage.job()["id"].to_string();
    stage.run(&["stop"]).event("stopped");
    let why = get.end().error(143);
    assert!(why.contains("another command has stopped") && why.contains(&format!("job {id} goes on")), "{why}");
    node.process.end();
    let partial = || stage.run(&["status"]).event("status")["partials"][0].clone();
    assert_eq!(partial()["job"].to_string(), id, "{}", partial());
    let told = stage.lab.people_at(&stage.home).arg("status").output().expect("run");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&format!("`qshare jobs cancel {id}`")) && !told.contains("rm -rf"), "{told}");
    let _node = stage.node();
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn a_get_whose_own_node_is_stopped_says_who_did_it() {
    let stage = Stage::new(8 * MIB, "3M");
    let mut get = stage.getting(&[]);
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    stage.run(&["stop"]).event("stopped");
    let why = get.end().error(143);
    assert!(why.contains("`qshare stop` has ended this") && why.contains("proven and kept"), "{why}");
}

#[test]
fn what_is_over_leaves_the_list() {
    let stage = Stage::new(4 * MIB, "2M");
    let _node = stage.node();
    let id = stage.detach(&[]);
    assert!(stage.run(&["jobs", "clear", &id]).error(2).contains("is running"));
    stage.until("ended");
    assert_eq!(stage.run(&["jobs", "clear"]).event("job")["id"].to_string(), id);
    assert_eq!((stage.job(), files(&stage.home).len()), (Value::Null, 0));
    let none = stage.run(&["jobs", "clear"]);
    assert_eq!((none.code, none.events.len()), (Some(0), 0), "nothing is left to clear");
}

#[test]
fn two_that_fetch_the_same_to_the_same_place_are_one_job() {
    let stage = Stage::new(16 * MIB, "3M");
    let _node = stage.node();
    let id = stage.detach(&[]);
    let again = stage.getting(&["--detach"]).end();
    assert_eq!(again.event("job")["id"].to_string(), id, "{again:#?}");
    assert!(again.stderr.contains("fetches this already"), "{}", again.stderr);
    let elsewhere = format!("{}/", stage.lab.path("elsewhere").display());
    let get = ["get", "big.bin", "--peer", &stage.giver.1.addr, "--detach", "-o", &elsewhere];
    assert_ne!(stage.run(&get).event("job")["id"].to_string(), id, "another place is another job");
    let all = stage.run(&["jobs"]);
    assert_eq!(all.events.iter().filter(|event| event["event"] == "job").count(), 2, "{:?}", all.events);
}

#[test]
fn a_job_whose_directory_moved_says_so_and_goes_on_when_it_is_back() {
    let stage = Stage::new(8 * MIB, "3M");
    let (there, moved) = (stage.lab.dir("in"), stage.lab.path("moved"));
    let _node = stage.node();
    let id = stage.detach(&[]);
    stage.until_has(1);
    let come = stage.run(&["jobs", "pause", &id]).event("job")["bytes"].as_u64().expect("a number");
    fs::rename(&there, &moved).expect("moved");
    stage.run(&["jobs", "resume", &id]).event("job");
    let is_told = |job: &Value| {
        job["state"] == "waiting" && job["message"].as_str().is_some_and(|why| why.contains("was moved or removed"))
    };
    until("it says so", || is_told(&stage.job()));
    fs::rename(&moved, &there).expect("moved back");
    stage.run(&["jobs", "retry", &id]).event("job");
    stage.until_has(usize::try_from(come).expect("small") + 1);
    // And while it runs.
    fs::rename(&there, &moved).expect("moved");
    until("it says so at its end", || is_told(&stage.job()));
    assert!(fs::read(moved.join("big.bin")).expect("published there") == stage.bytes);
    fs::rename(&moved, &there).expect("moved back");
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn what_is_here_already_is_told_as_without_leaving_it() {
    let stage = Stage::new(4 * MIB, "400M");
    let _node = stage.node();
    stage.getting(&[]).end().done();
    let told = |more: &[&str]| {
        let mut done = stage.getting(more).end().done().clone();
        let times = ["seconds", "waited"];
        times.iter().for_each(|time| done[time] = Value::Null);
        done
    };
    assert_eq!(told(&["--detach"]), told(&[]));
    assert_eq!(stage.job(), Value::Null);
}

#[test]
fn nothing_is_left_to_a_node_that_is_not_there() {
    let stage = Stage::new(MIB, "3M");
    assert!(stage.getting(&["--detach"]).end().error(3).contains("qshare node"));
    assert!(stage.run(&["jobs"]).error(3).contains("no node of this home runs"));
}

#[test]
fn rates_change_while_things_run_and_that_of_a_job_is_kept() {
    let stage = Stage::new(48 * MIB, "400M");
    let node = stage.node();
    let set = stage.run(&["limit", "--down", "256k", "--up", "1M"]);
    assert_eq!((&set.event("limit")["down"], &set.event("limit")["up"]), (&(256 << 10).into(), &(1 << 20).into()));
    let id = stage.detach(&[]);
    stage.until_has(1);
    // Three minutes at this rate.
    assert!(stage.job()["bytes"].as_u64() < Some(24 * MIB as u64));
    assert_eq!(stage.run(&["jobs", "limit", &id, "128k"]).event("job")["limit"], 128 << 10);
    assert_eq!(stage.run(&["limit", "--down", "none"]).event("limit")["down"], Value::Null);
    assert_eq!(stage.run(&["limit"]).event("limit")["up"], 1 << 20, "what is not named stays");
    node.process.signal(Signal::TERM);
    assert_eq!(node.process.end().code, Some(0));
    let _node = stage.node();
    assert_eq!(stage.job()["limit"], 128 << 10, "kept with the job");
    assert_eq!(stage.run(&["limit"]).event("limit")["up"], Value::Null, "that of the node is not");
    stage.until("running");
    // Six minutes at this rate, and no time without one.
    assert!(stage.job()["bytes"].as_u64() < Some(24 * MIB as u64));
    assert_eq!(stage.run(&["jobs", "limit", "all", "unlimited"]).event("job")["limit"], Value::Null);
    stage.until("ended");
    stage.assert_there();
    assert!(stage.run(&["jobs", "limit", &id, "1M"]).error(2).contains("is ended"));
    assert!(stage.run(&["jobs", "limit", "99", "1M"]).error(3).contains("no job 99"));
}

#[test]
fn a_giver_sends_as_fast_as_it_is_told_to_now() {
    let stage = Stage::new(48 * MIB, "400M");
    let limit = |rate| Process::start(stage.lab.qshare_at(&stage.giver.0).args(["limit", "--up", rate])).end();
    limit("256k").event("limit");
    let _node = stage.node();
    stage.detach(&[]);
    stage.until_has(1);
    assert_eq!(limit("none").event("limit")["up"], Value::Null);
    // It would take three minutes.
    stage.until("ended");
    stage.assert_there();
}

#[test]
fn what_a_job_writes_has_the_permissions_of_the_command() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new(MIB, "400M");
    let mode = |name: &str| fs::metadata(stage.lab.path(name)).expect("there").permissions().mode() & 0o777;
    for (node, command, file, dir) in [("077", "022", 0o644, 0o755), ("022", "027", 0o640, 0o750)] {
        let home = stage.lab.home();
        let mut running = stage.lab.qshare_at(&home);
        running.args(["node", "--listen", "127.0.0.1:0", "--peer", &stage.giver.1.addr]);
        let _node = stage.lab.start(&mut masked(node, &running));
        let into = format!("{node}/deep");
        let mut get = stage.lab.qshare_at(&home);
        let output = format!("{}/", stage.lab.path(&into).display());
        get.args(["get", "big.bin", "--peer", &stage.giver.1.addr, "-o", &output]);
        Process::start(&mut masked(command, &get)).end().done();
        assert_eq!((mode(&format!("{into}/big.bin")), mode(&into), mode(node)), (file, dir, dir), "{node} {command}");
    }
}

#[test]
fn watching_ends_with_the_last_job_and_leaves_it_alone_at_a_signal() {
    let stage = Stage::new(8 * MIB, "3M");
    let _node = stage.node();
    let none = stage.run(&["jobs", "--watch"]);
    assert!(none.events.is_empty(), "nothing to watch: {:?}", none.events);
    stage.detach(&[]);
    let watch = || Process::start(stage.lab.qshare_at(&stage.home).args(["jobs", "--watch"]));
    let mut interrupted = watch();
    interrupted.event_that("job", |job| job["state"] == "running");
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.end().code, Some(0));
    assert_eq!(stage.job()["state"], "running");
    let ended = watch().end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last = ended.events.last().expect("lines");
    assert_eq!((&last["event"], &last["state"]), (&"job".into(), &"ended".into()));
    // What was over before is no news for who looks on now, and neither is what another command has ended meanwhile.
    let mut get = Process::start(stage.lab.qshare_at(&stage.home).args([
        "get",
        "big.bin",
        "--peer",
        &stage.giver.1.addr,
        "-o",
        "other.bin",
    ]));
    get.event_that("progress", |progress| progress["fetched"].as_u64() > Some(0));
    let mut people = stage.lab.people_at(&stage.home);
    let mut people =
        people.args(["jobs", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut first = String::new();
    let mut told = BufReader::new(people.stderr.take().expect("piped"));
    while !first.contains("running") {
        assert!(told.read_line(&mut first).expect("a line") > 0, "{first}");
    }
    get.signal(Signal::TERM);
    get.end().error(143);
    let last = people.wait_with_output().expect("ended");
    let last = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(last.is_empty(), "{last}");
    assert!(ended.events.iter().filter(|job| job["state"] == "running").count() > 2, "{:?}", ended.events);
    stage.assert_there();
}

#[test]
fn on_a_terminal_jobs_have_bars_and_in_a_pipe_lines() {
    let stage = Stage::new(32 * MIB, "4M");
    let Some(tmux) = Tmux::new(&stage.lab) else { return };
    let _node = stage.node();
    stage.detach(&[]);
    let home = stage.home.display();
    let watch = format!("env QSHARE_HOME={home} {} jobs --watch", env!("CARGO_BIN_EXE_qshare"));
    let terminal = tmux.start("bars", (80, 20), &watch);
    let screen = terminal.wait("a bar", |screen| live(screen).iter().any(|line| line.contains("% of 32.0 MiB")));
    let live = live(&screen);
    assert!(live[0].contains("1 big.bin") && live[1].contains('['), "{screen:#?}");
    assert!(screen.iter().all(|line| line.chars().count() <= 80), "{screen:#?}");
    terminal.interrupt();
    terminal.wait_for("exit 0");
    let piped = tmux.start("piped", (200, 20), &format!("{watch} 2>&1 | cat"));
    piped.wait_for("job 1: big.bin, running, ");
    piped.wait_for("job 1: big.bin, ended");
    piped.wait_for("100 %");
}

#[test]
fn a_thousand_jobs_are_listed_and_one_that_was_cut_off_costs_only_itself() {
    let stage = Stage::new(MIB, "64k");
    let node = stage.node();
    let id = stage.detach(&[]);
    stage.run(&["jobs", "pause", &id]).event("job");
    node.process.signal(Signal::TERM);
    assert_eq!(node.process.end().code, Some(0));
    let kept = fs::read(&files(&stage.home)[0]).expect("kept");
    let file = |number: usize| stage.home.join(format!("node/jobs/{number}"));
    (1..=1001).for_each(|number| fs::write(file(number), &kept).expect("written"));
    fs::write(file(500), &kept[..kept.len() / 2]).expect("written");
    let mut node = stage.node();
    assert!(node.process.event("warning")["message"].as_str().is_some_and(|text| text.contains("jobs/500")));
    let listed = stage.run(&["jobs"]);
    let ids: Vec<_> = listed.events.iter().filter_map(|job| job["id"].as_u64()).collect();
    let expected: Vec<_> = (1..=1001).filter(|id| *id != 500).collect();
    assert_eq!(ids, expected);
    assert_eq!(fs::read(file(500)).expect("left").len(), kept.len() / 2, "it is left where it is");
    assert!(stage.getting(&["--detach"]).end().error(1).contains("1000 transfers are kept"));
    assert_eq!(stage.run(&["jobs", "cancel", "700"]).event("job")["state"], "cancelled");
    assert_eq!(stage.detach(&[]), "1002", "the place of one that is over");
}

#[test]
fn a_job_that_the_disk_does_not_take_is_told_and_runs() {
    let stage = Stage::new(8 * MIB, "6M");
    let node_dir = stage.lab.dir("full");
    // Room for what a node writes, and none for more.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "none"]).arg(&node_dir).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: nothing may be mounted here");
        return;
    }
    let disk = Mounted(node_dir);
    let stage = Stage { home: disk.0.join("home"), ..stage };
    let mut node = stage.node();
    let full = fs::write(disk.0.join("filler"), vec![1; 1 << 20]).expect_err("full");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    stage.detach(&[]);
    let warning = node.process.event("warning");
    assert!(warning["message"].as_str().is_some_and(|text| text.contains("node/jobs")), "{warning}");
    stage.until("ended");
    stage.assert_there();
    assert_eq!(stage.run(&["stop"]).code, Some(0));
    node.process.end();
}

/// A disk that goes at the end.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
