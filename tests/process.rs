//! The program as a process among others: outputs that are closed, full or never read, signals, and a list that changes
//! under a tracker.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Ended, Lab, Node, Process, heeding, until};
use rustix::process::{Pid, Signal, kill_process};

/// A command that is told to end when the test does.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("it starts"))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("our own child");
    }

    /// How it ends after SIGTERM.
    fn end(mut self) -> Option<i32> {
        assert_eq!(self.0.try_wait().expect("our own child"), None, "it has ended by itself");
        self.signal(Signal::TERM);
        self.0.wait().expect("reaped").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `qshare` in a home of its own, for people.
fn plain(lab: &Lab) -> Command {
    let mut command = heeding(env!("CARGO_BIN_EXE_qshare").as_ref());
    command.current_dir(lab.path("")).env_remove("QSHARE_TRACKER").env_remove("RUST_LOG");
    command.env("QSHARE_HOME", lab.home()).args(["--no-lan", "--no-progress"]);
    command
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("Linux has it")
}

/// A pipe that nobody reads any more.
fn closed() -> std::io::PipeWriter {
    std::io::pipe().expect("a pipe").1
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Every command that goes on until it is stopped.
fn services(lab: &Lab, source: &Node) -> Vec<(&'static str, Vec<String>)> {
    let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let file = lab.file("own/mine.bin", b"mine");
    vec![
        ("share", own(&["share", "--listen", "127.0.0.1:0", &file.to_string_lossy()])),
        ("tracker", own(&["tracker", "--listen", "127.0.0.1:0"])),
        ("bench", own(&["bench", "--listen", "127.0.0.1:0"])),
        ("get --seed", own(&["get", "theirs.bin", "--seed", "--force", "--peer", &source.addr])),
    ]
}

/// Fetches it, as soon as it is offered.
fn gets(lab: &Lab, name: &str, addr: &str) {
    let target = format!("out-{}/", lab.home().file_name().expect("a name").to_string_lossy());
    let get = || Process::start(lab.qshare().args(["get", name, "--peer", addr, "-o", &target])).end();
    until(&format!("{name} is fetched"), || get().code == Some(0));
}

#[test]
fn a_service_whose_output_is_lost_goes_on_and_says_so_once() {
    let lab = Lab::new();
    let source = lab.offering("theirs.bin");
    for json in [false, true] {
        for (name, words) in services(&lab, &source) {
            for (how, says) in [("closed", "has closed it"), ("full", "no space left on device")] {
                let (told, fetched) = (lab.path("told"), lab.path("theirs.bin"));
                let _ = fs::remove_file(&fetched);
                let mut command = plain(&lab);
                command.args(json.then_some("--json")).args(&words);
                match how {
                    "full" => command.stdout(full()),
                    _ => command.stdout(closed()),
                };
                let service = Running::start(command.stderr(File::create(&told).expect("made")));
                until(&format!("{name} tells that its output is {how}"), || text(&told).contains(says));
                if name == "get --seed" {
                    until("it is fetched", || fetched.exists());
                }
                assert_eq!(service.end(), Some(0), "{name} {how}: {}", text(&told));
                assert_eq!(text(&told).matches("this goes on without it").count(), 1, "{name}: {}", text(&told));
            }
        }
    }
}

#[test]
fn what_shares_serves_after_its_output_was_lost_and_when_no_output_is_left() {
    let lab = Lab::new();
    let file = lab.file("own/mine.bin", b"mine");
    // The reader takes the first line, as a script does, and goes.
    let mut share = lab.qshare();
    share.args(["share", "--listen", "127.0.0.1:0"]).arg(&file).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut service = Running::start(&mut share);
    let addr = first_addr(&mut service);
    gets(&lab, "mine.bin", &addr);
    assert_eq!(service.end(), Some(0));

    // Every log line fails too.
    let (mut full_share, mut gone) = (lab.qshare(), lab.qshare());
    full_share.stderr(full());
    gone.stderr(closed());
    for mut command in [full_share, gone] {
        command.env("RUST_LOG", "debug").args(["share", "--listen", "127.0.0.1:0"]).arg(&file);
        let mut service = Running::start(command.stdout(Stdio::piped()));
        let addr = first_addr(&mut service);
        gets(&lab, "mine.bin", &addr);
        assert_eq!(service.end(), Some(0));
    }
}

/// The address of the first line, after which nobody reads on.
fn first_addr(service: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let listening: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    listening["addr"].as_str().expect("text").to_owned()
}

#[test]
fn a_service_that_begins_without_outputs_serves() {
    let lab = Lab::new();
    let source = lab.offering("theirs.bin");
    for (name, words) in services(&lab, &source) {
        let log = lab.path("log");
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" >&- 2>&-", "sh", env!("CARGO_BIN_EXE_qshare"), "--no-lan"]).args(&words);
        command.current_dir(lab.path("")).env("QSHARE_HOME", lab.home()).env_remove("QSHARE_TRACKER");
        let service = Running::start(command.stderr(File::create(&log).expect("made")));
        until(&format!("{name} listens"), || has_udp(service.0.id()));
        if name == "get --seed" {
            until("it is fetched", || lab.path("theirs.bin").exists());
        }
        assert_eq!(service.end(), Some(0), "{name}: {}", text(&log));
    }
}

/// Whether a process has a UDP socket open.
fn has_udp(pid: u32) -> bool {
    let tables = ["udp", "udp6"].map(|table| text(Path::new(&format!("/proc/{pid}/net/{table}"))));
    let inodes: Vec<&str> =
        tables.iter().flat_map(|t| t.lines().skip(1)).filter_map(|l| l.split_whitespace().nth(9)).collect();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| {
        let to = to.to_string_lossy();
        to.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).is_some_and(|inode| inodes.contains(&inode))
    })
}

/// A pipe holds 64 KiB.
#[test]
fn a_service_whose_output_nobody_reads_serves_and_heeds_signals() {
    let lab = Lab::new();
    let dir = lab.dir("many");
    let names: Vec<PathBuf> = (0..400).map(|n| lab.file(&format!("many/{n}-{}.txt", "x".repeat(100)), b"x")).collect();
    let mut command = lab.qshare();
    command.args(["share", "--listen", "127.0.0.1:0"]).args(&names).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut service = Running::start(&mut command);
    let mut stdout = service.0.stdout.take().expect("piped");
    let mut addr = Vec::new();
    while !addr.ends_with(b"\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("a line");
        addr.extend(byte);
    }
    let listening: serde_json::Value = serde_json::from_slice(&addr).expect("JSON");
    until("the pipe is full", || rustix::io::ioctl_fionread(&stdout).expect("a pipe") > 60 << 10);
    gets(
        &lab,
        &names[7].strip_prefix(&dir).expect("below").to_string_lossy(),
        listening["addr"].as_str().expect("text"),
    );
    assert_eq!(service.end(), Some(0));
}

#[test]
fn a_finite_command_fails_when_its_output_is_full_and_ends_quietly_when_it_is_closed() {
    let lab = Lab::new();
    lab.file("a", b"bytes");
    let source = lab.offering("theirs.bin");
    let peer = ["--peer", &source.addr];
    let lines: [&[&str]; 8] = [
        &["--help"],
        &["get", "--help"],
        &["--version"],
        &["id"],
        &["status"],
        &["hash", "a"],
        &["search", "theirs", peer[0], peer[1]],
        &["ls", &source.addr],
    ];
    for line in lines {
        for json in [None, Some("--json")] {
            let output = plain(&lab).args(line).args(json).stdout(full()).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{line:?}: {output:?}");
            assert!(said.contains("no space left on device") && said.contains("free some space"), "{line:?}: {said}");
        }
        let output = plain(&lab).args(line).stdout(closed()).output().expect("it runs");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{line:?}: {output:?}");
    }
    let output =
        plain(&lab).args(["get", "theirs.bin", "-o", "-"]).args(peer).stdout(full()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // What was to be delivered whole was not.
    let output =
        plain(&lab).args(["get", "theirs.bin", "-o", "-"]).args(peer).stdout(closed()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("was closed before all of it"), "{output:?}");
}

/// `env` with a signal at its default or ignored, as `nohup` and shells leave it; `None`, and a word about it, where it
/// cannot do so.
fn env(option: &str) -> Option<Command> {
    let mut check = Command::new("env");
    if !check.args([option, "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: `env {option}` cannot be had here");
        return None;
    }
    let mut command = Command::new("env");
    command.args([option, env!("CARGO_BIN_EXE_qshare"), "--json", "--no-lan"]);
    Some(command)
}

fn share_at(lab: &Lab, mut command: Command, tracker: &Node, file: &Path) -> Node {
    command.current_dir(lab.path("")).env("QSHARE_HOME", lab.home());
    let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(file));
    node.wait_hashed();
    node
}

#[test]
fn a_share_whose_terminal_hangs_up_leaves_the_tracker() {
    let Some(command) = env("--default-signal=HUP") else { return };
    let lab = Lab::new();
    let tracker = lab.tracker();
    let node = share_at(&lab, command, &tracker, &lab.file("shared/left.bin", b"bytes"));
    node.process.signal(Signal::HUP);
    // The shell tells of it too.
    node.process.signal(Signal::HUP);
    let ended = node.process.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    lab.get(&tracker, &["left.bin"]).error(3);
}

#[test]
fn what_is_ignored_from_the_start_stays_ignored() {
    for (option, signal) in [("--ignore-signal=HUP", Signal::HUP), ("--ignore-signal=INT", Signal::INT)] {
        let Some(command) = env(option) else { return };
        let lab = Lab::new();
        let tracker = lab.tracker();
        let node = share_at(&lab, command, &tracker, &lab.file("shared/stays.bin", b"bytes"));
        node.process.signal(signal);
        lab.get(&tracker, &["stays.bin"]).done();
        node.process.signal(Signal::TERM);
        let ended = node.process.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}

#[test]
fn a_get_that_is_hung_up_keeps_its_progress_and_ends_with_129() {
    let Some(mut command) = env("--default-signal=HUP") else { return };
    let lab = Lab::new();
    let tracker = lab.tracker();
    let file = lab.file("shared/far.bin", &common::noise(1, 24 << 20));
    let _provider = lab.share(&tracker, &[&file], &["--limit", "8MiB/s"]);
    command.current_dir(lab.path("")).env("QSHARE_HOME", lab.home());
    let mut get = Process::start(command.args(["get", "far.bin", "--tracker", &tracker.addr]));
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(4 << 20));
    get.signal(Signal::HUP);
    let sentence = get.end().error(129);
    assert!(sentence.contains("again"), "{sentence}");
}

#[test]
fn a_trackers_list_counts_as_it_changes() {
    let lab = Lab::new();
    let (first, second) = (lab.home(), lab.home());
    let id = |home: &Path| {
        let ended = Process::start(lab.qshare_at(home).arg("id")).end();
        ended.event("id")["node"].as_str().expect("text").to_owned()
    };
    let (first_id, second_id) = (id(&first), id(&second));
    let list = lab.file("allowed", format!("{first_id}\n").as_bytes());
    let mut command = lab.qshare();
    let mut tracker = lab.start(command.args(["tracker", "--listen", "127.0.0.1:0", "--allow"]).arg(&list));
    let file = lab.file("shared/x.bin", b"bytes");
    let share = ["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr];
    let mut node = lab.start(lab.qshare_at(&first).args(share).arg(&file));
    node.wait_hashed();
    let search = |home: &Path| -> Ended {
        Process::start(lab.qshare_at(home).args(["search", "x.bin", "--tracker", &tracker.addr])).end()
    };
    assert_eq!(search(&second).event("error")["code"], "forbidden");

    fs::write(&list, format!("{first_id}\n{second_id} # new\n")).expect("written");
    until("who is added is let in", || search(&second).code == Some(0));
    for broken in [None, Some(format!("{first_id}\nnobody\n{second_id}\n"))] {
        match broken {
            None => fs::remove_file(&list).expect("there"),
            Some(text) => fs::write(&list, text).expect("written"),
        }
        let warning = tracker.process.event("warning")["message"].as_str().expect("text").to_owned();
        assert!(warning.contains("stay as they were") || warning.contains("other lines are allowed"), "{warning}");
        assert_eq!(search(&second).code, Some(0), "who was not removed stays");
    }
    fs::write(&list, format!("nobody\n{second_id}\n")).expect("written");
    until("what who was removed had announced is gone", || search(&second).code == Some(3));
    node.process.event_that("warning", |e| e["message"].as_str().is_some_and(|text| text.contains("does not let")));
    // Its node asks for it, and has it itself.
    let own = search(&first);
    assert!(own.event("warning")["message"].as_str().is_some_and(|text| text.contains("does not serve this node")));
    assert_eq!(own.event("hit")["name"], "x.bin");

    fs::write(&list, format!("{first_id}\n{second_id}\n")).expect("written");
    until("it comes back by itself", || search(&second).code == Some(0));
    tracker.process.signal(Signal::TERM);
    let warnings = tracker.process.end().events.iter().filter(|event| event["event"] == "warning").count();
    assert_eq!(warnings, 3, "each told once");
}
