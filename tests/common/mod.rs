//! A lab for tests that drive the built binary as a user would: real processes, real QUIC, port 0, own homes.
//! Nothing here waits for time to pass: every wait is for an event that the process prints, with a deadline that
//! only a hang can reach.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the lab")]
#![allow(clippy::disallowed_methods, reason = "a deadline against hangs")]

pub mod claims;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod flooder;
#[cfg(target_os = "linux")]
pub mod hosts;
#[cfg(target_os = "linux")]
pub mod multicast;
pub mod own;
pub mod person;
pub mod raw;
pub mod readers;
pub mod scripted;
#[cfg(target_os = "linux")]
pub mod stage;
pub mod stall;
#[cfg(unix)]
pub mod tmux;
pub mod trickling;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qshare::model::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A hang, not a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A directory with homes and files, gone at the end.
pub struct Lab {
    dir: TempDir,
    homes: std::cell::Cell<u32>,
    program: PathBuf,
}

impl Lab {
    pub fn new() -> Self {
        Self::of(env!("CARGO_BIN_EXE_qshare").into())
    }

    /// A lab of another program than the one that was built with the tests.
    pub fn of(program: PathBuf) -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory"), homes: std::cell::Cell::new(0), program }
    }

    /// A path in the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory in the lab, made.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("made");
        path
    }

    /// Writes a file, with its directories.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("made");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A home that no other process of the lab uses.
    pub fn home(&self) -> PathBuf {
        self.homes.set(self.homes.get() + 1);
        self.path(&format!("home-{}", self.homes.get()))
    }

    /// `qshare` in a home of its own, in the lab's directory.
    pub fn qshare(&self) -> Command {
        self.qshare_at(&self.home())
    }

    /// `qshare` in this home.
    pub fn qshare_at(&self, home: &Path) -> Command {
        let mut command = self.people_at(home);
        command.arg("--json");
        command
    }

    /// The same with words for people.
    pub fn people_at(&self, home: &Path) -> Command {
        let mut command = heeding(&self.program);
        command.current_dir(self.dir.path()).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", home);
        // Tests that run at the same time on one machine are one network.
        command.arg("--no-lan");
        command
    }

    /// `qshare` in this home as a user who may not read everything: another one than root. `None`, and said, where that
    /// cannot be.
    #[cfg(unix)]
    pub fn qshare_of_nobody(&self, home: &Path) -> Option<Command> {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let program = &self.program;
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).expect("own directory");
            chown(home, Some(65_534), Some(65_534)).expect("root may");
            command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        }
        let mut probe = Command::new(command.get_program());
        probe.args(command.get_args()).arg("--version");
        if !probe.output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: another user cannot run the program here");
            return None;
        }
        command.current_dir(self.dir.path()).env_remove("QSHARE_TRACKER").env("QSHARE_HOME", home);
        command.args(["--json", "--no-lan"]);
        Some(command)
    }

    /// A tracker on a loopback port, up.
    pub fn tracker(&self) -> Node {
        self.start(self.qshare().args(["tracker", "--listen", "127.0.0.1:0"]))
    }

    /// Shares paths at a tracker, and waits until the tracker has every id.
    pub fn share(&self, tracker: &Node, paths: &[&Path], more: &[&str]) -> Node {
        let mut command = self.qshare();
        command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).args(more).args(paths);
        let mut node = self.start(&mut command);
        node.wait_hashed();
        node
    }

    /// Offers a file that holds its own name, without a tracker.
    pub fn offering(&self, name: &str) -> Node {
        self.near(&self.file(&format!("shared/{name}"), name.as_bytes()), &[], &[])
    }

    /// Shares a path without a tracker, as a neighbour of these.
    pub fn near(&self, path: &Path, peers: &[&Node], more: &[&str]) -> Node {
        let mut command = self.qshare();
        command.args(["share", "--listen", "127.0.0.1:0"]).args(more).arg(path).args(at_peers(peers));
        let mut node = self.start(&mut command);
        node.process.event("offer");
        node
    }

    /// Starts a long-running command and waits until it listens.
    pub fn start(&self, command: &mut Command) -> Node {
        let mut process = Process::start(command);
        let listening = process.event("listening");
        let text = |key: &str| listening[key].as_str().expect("text").to_owned();
        Node { addr: text("addr"), id: text("node"), process }
    }

    /// Runs `qshare get` at a tracker to its end.
    pub fn get(&self, tracker: &Node, arguments: &[&str]) -> Ended {
        self.getting(tracker, arguments).end()
    }

    /// Starts `qshare get` at a tracker.
    pub fn getting(&self, tracker: &Node, arguments: &[&str]) -> Process {
        Process::start(self.qshare().args(["get", "--tracker", &tracker.addr]).args(arguments))
    }
}

/// `qshare`, heeding all signals: a shell without job control has what it runs in the background ignore SIGINT, and
/// `nohup` SIGHUP, which is passed on from the tests to what they start.
pub fn heeding(program: &Path) -> Command {
    let ignored = [Signal::HUP, Signal::INT].map(|signal| qshare::io::ignored::is_ignored(signal.as_raw()));
    if !ignored.contains(&true) {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT").arg(program);
    command
}

/// Names these as peers.
pub fn at_peers<'n>(peers: &[&'n Node]) -> impl Iterator<Item = &'n str> {
    let addrs: Vec<_> = peers.iter().map(|peer| peer.addr.as_str()).collect();
    addrs.into_iter().flat_map(|addr| ["--peer", addr])
}

/// A file system that is unmounted at the end.
pub struct Mounted(pub PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Appends to a file all the time until it is dropped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begins; makes the file.
    pub fn of(path: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut file = fs::File::options().append(true).create(true).open(path).expect("own file");
            while !stopped.load(Ordering::Relaxed) {
                file.write_all(b"another line\n").expect("own file");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Waits until something holds that no event tells of.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address at which nobody answers.
pub fn nobody() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").to_string()
}

/// The most memory that a process has had, in KiB, while it runs (Linux: from /proc).
pub fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// A long-running command.
pub struct Node {
    pub process: Process,
    pub addr: String,
    pub id: String,
}

impl Node {
    /// Where it is and who.
    pub fn target(&self) -> (SocketAddr, NodeId) {
        (self.addr.parse().expect("an address"), self.id.parse().expect("an id"))
    }

    /// Waits until a tracker has every offer with its id.
    pub fn wait_hashed(&mut self) -> Value {
        self.process.event_that("announced", |e| e["offers"] == e["hashed"] && e["offers"].as_u64() > Some(0))
    }
}

/// A running command that prints JSON lines.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    /// Disconnected once all of it was read.
    stderr_read: Receiver<()>,
    pub events: Vec<Value>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    pub events: Vec<Value>,
    pub stderr: String,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (kept, mut pipe) = (Arc::clone(&stderr), child.stderr.take().expect("piped"));
        let (reading, stderr_read) = channel();
        std::thread::spawn(move || {
            let _reading: Sender<()> = reading;
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = pipe.read(&mut buffer) {
                kept.lock().expect("no panic").push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        });
        Self { child, lines, stderr, stderr_read, events: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The most memory that it has had, in KiB.
    pub fn peak(&self) -> u64 {
        peak(self.pid()).expect("it runs, and Linux tells it")
    }

    /// Waits for its end; how it ended, and the most KiB that it held.
    pub fn held(mut self) -> (Ended, u64) {
        let mut most = 0;
        while self.is_running() {
            most = most.max(peak(self.pid()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        (self.end(), most)
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic").clone()
    }

    /// The next event of this name; those before it are kept in `events`.
    pub fn event(&mut self, name: &str) -> Value {
        self.event_that(name, |_| true)
    }

    /// The first event of this name, whether it has come already or not.
    pub fn first(&mut self, name: &str) -> Value {
        let come = self.events.iter().find(|event| event["event"] == name).cloned();
        come.unwrap_or_else(|| self.event(name))
    }

    /// The next event of this name for which the condition holds.
    pub fn event_that(&mut self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.next_that(name, |event| event["event"] == name && condition(event))
    }

    /// The next event of any name for which the condition holds; `name` is for the report.
    pub fn next_that(&mut self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no event `{name}` in time\n{}", self.report()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without `{name}`\n{}", self.report()),
            };
            let event = self.keep(&line);
            if condition(&event) {
                return event;
            }
        }
    }

    fn keep(&mut self, line: &str) -> Value {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON on stdout: {line}"));
        self.events.push(event.clone());
        event
    }

    fn report(&self) -> String {
        let last: Vec<_> = self.events.iter().rev().take(5).map(Value::to_string).collect();
        format!("last events (newest first): {last:#?}\nstderr: {}", self.stderr())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("our own child");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("reaped");
    }

    /// Waits for the end and keeps everything printed.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => drop(self.keep(&line)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("did not end in time\n{}", self.report()),
            }
        }
        let code = self.child.wait().expect("reaped").code();
        // What it said last is still in the pipe.
        let read = self.stderr_read.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        assert_eq!(read, Err(RecvTimeoutError::Disconnected), "its standard error does not end\n{}", self.report());
        Ended { code, events: std::mem::take(&mut self.events), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The one event of this name.
    pub fn event(&self, name: &str) -> &Value {
        self.events.iter().find(|e| e["event"] == name).unwrap_or_else(|| panic!("no `{name}` in {self:#?}"))
    }

    /// Expects exit code 0 and gives the `done` event.
    pub fn done(&self) -> &Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.event("done")
    }

    /// Expects that it came without files that its provider leaves out.
    pub fn done_with_less(&self) -> &Value {
        assert_eq!(self.code, Some(6), "{self:#?}");
        self.event("done")
    }

    /// Expects this exit code and gives the error's sentence.
    pub fn error(&self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.event("error")["message"].as_str().expect("text").to_owned()
    }
}

/// Bytes that do not repeat, the same for the same seed (xorshift64*, Vigna 2016).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Panics unless both trees hold the same files, directories, bytes and executable bits.
pub fn assert_same_tree(left: &Path, right: &Path) {
    assert_eq!(tree(left), tree(right), "{} and {} differ", left.display(), right.display());
}

fn tree(root: &Path) -> Vec<(PathBuf, Option<(blake3::Hash, bool)>)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("readable") {
            let path = entry.expect("entry").path();
            let relative = path.strip_prefix(root).expect("below").to_owned();
            let meta = fs::symlink_metadata(&path).expect("there");
            if meta.is_dir() {
                found.push((relative, None));
                open.push(path);
            } else {
                let executable = meta.permissions().mode() & 0o100 != 0;
                found.push((relative, Some((blake3::hash(&fs::read(&path).expect("readable")), executable))));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}
