//! `qshare shell`: the same commands from a pipe and from a terminal.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use common::tmux::{Terminal, Tmux, live};
use common::{DEADLINE, Lab, Node, Process, nobody, noise, until};
use serde_json::Value;

const MIB: usize = 1 << 20;

/// Somebody who offers a file and a directory.
fn offering(lab: &Lab) -> Node {
    lab.file("shared/papers/turing-1936.bin", &noise(1, 3 * MIB));
    lab.file("shared/papers/on numbers.txt", b"halting");
    lab.near(&lab.path("shared/papers"), &[], &[])
}

/// A shell whose node is a neighbour of this one.
fn shell(lab: &Lab, home: &Path, peer: &str) -> Command {
    let mut command = lab.qshare_at(home);
    command.args(["shell", "--listen", "127.0.0.1:0", "--peer", peer]);
    command
}

/// A shell that is given lines one by one.
struct Piped {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Piped {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let (to, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| to.send(line).is_ok()));
        Self { input: child.stdin.take(), child, lines }
    }

    fn enter(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open");
        writeln!(input, "{line}").expect("it reads");
    }

    fn event(&self, name: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no {name}"));
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("JSON alone: {line}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Its exit code once there are no more lines.
    fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().expect("it ends").code()
    }
}

/// A script's events and its exit code.
fn script(mut command: Command, lines: &str) -> (Vec<Value>, Option<i32>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON alone: {line}")));
    (events.collect(), output.status.code())
}

fn named<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

#[test]
fn a_script_looks_and_fetches_by_numbers_and_from_a_peer() {
    let lab = Lab::new();
    let peer = offering(&lab);
    let lines = format!(
        "peers\nsearch turing  # by words\nget 1 -o in/\nls {}\nls papers\nget 1,2 from {} -o both/\nqshare get 'on numbers.txt' -o one/\nquit\nget 1\n",
        peer.id, peer.id
    );
    let (events, code) = script(shell(&lab, &lab.home(), &peer.addr), &lines);
    assert_eq!(code, Some(0), "{events:#?}");
    assert!(named(&events, "peer").iter().any(|known| known["node"] == peer.id.as_str()), "{events:#?}");
    assert_eq!(named(&events, "done").len(), 4, "and nothing after `quit`: {events:#?}");
    for path in ["in/turing-1936.bin", "both/turing-1936.bin"] {
        assert!(fs::read(lab.path(path)).expect(path) == noise(1, 3 * MIB), "{path}");
    }
    for path in ["both/on numbers.txt", "one/on numbers.txt"] {
        assert_eq!(fs::read(lab.path(path)).expect(path), b"halting");
    }
}

#[test]
fn the_exit_code_is_that_of_the_last_command() {
    let lab = Lab::new();
    let peer = offering(&lab);
    let home = lab.home();
    for (lines, code, told) in [
        ("search nothing-of-that\n", 3, ""),
        ("search nothing-of-that\nsearch turing\n\n# the end", 0, ""),
        ("serach turing", 2, "`help` lists what there is to type"),
        ("get 'turing\n", 2, "line 1: a quote"),
        ("peers\n\n# a remark\nget 'turing\n", 2, "line 4: a quote"),
        ("peers\nsearch nothing-of-that\n", 3, "line 2: nothing was found"),
        ("tracker --listen 127.0.0.1:0\n", 2, "`tracker` does not run within a shell"),
        ("hash\nsearch turing\nquit\n", 0, "would read what is typed"),
        ("search turing\nget 2\n", 2, "the numbers 1 to 1"),
        ("search turing\r\nquit\r\n", 0, ""),
        ("search turing\nexit 5", 2, "`exit` takes no words"),
        ("", 0, ""),
    ] {
        let (events, ended) = script(shell(&lab, &home, &peer.addr), lines);
        assert_eq!(ended, Some(code), "{lines}: {events:#?}");
        let said = events.iter().any(|event| event["message"].as_str().is_some_and(|text| text.contains(told)));
        assert!(told.is_empty() || said, "{lines}: {events:#?}");
    }
    let (events, ended) = script(shell(&lab, &home, &peer.addr), &format!("get {}\npeers\n", "x".repeat(3 * MIB)));
    assert_eq!(ended, Some(0), "a line that is too long costs itself alone");
    assert_eq!(named(&events, "error").len(), 1, "{events:#?}");
}

#[test]
fn two_shells_have_one_node_and_what_one_shares_lasts_as_long_as_it() {
    let lab = Lab::new();
    let peer = offering(&lab);
    let (home, other) = (lab.home(), lab.home());
    lab.file("mine/notes.txt", b"mine");
    let mut first = Piped::start(shell(&lab, &home, &peer.addr));
    first.enter("share mine/notes.txt");
    let listening = first.event("listening");
    let addr = listening["addr"].as_str().expect("text").to_owned();
    first.event("offer");
    first.enter("search notes");
    assert_eq!(first.event("hit")["plane"], "here");
    first.enter("status");
    let pid = first.event("status")["running"]["pid"].clone();
    assert_eq!(pid, first.child.id());
    let second = || {
        let mut command = lab.qshare_at(&home);
        command.args(["shell", "--peer", &peer.addr]);
        command
    };
    let (events, code) = script(second(), "status\nsearch turing\nget 1 -o second/\n");
    assert_eq!((code, &named(&events, "status")[0]["running"]["pid"]), (Some(0), &pid), "{events:#?}");
    let search = || Process::start(lab.qshare_at(&other).args(["search", "notes", "--peer", &addr])).end();
    assert_eq!(search().event("hit")["name"], "notes.txt");
    // The node goes with the first, and the second has one of its own then.
    let mut staying = Piped::start(second());
    staying.enter("status");
    staying.event("status");
    assert_eq!(first.end(), Some(0));
    assert!(search().code != Some(0));
    staying.enter("status");
    assert_eq!(staying.event("status")["running"]["pid"], staying.child.id());
    assert_eq!(staying.end(), Some(0));
    let (events, code) = script(shell(&lab, &home, &peer.addr), "");
    assert_eq!((code, events.len()), (Some(0), 0));
}

#[test]
fn the_end_of_a_script_waits_for_what_it_left_to_its_node() {
    let lab = Lab::new();
    let peer = offering(&lab);
    let lines = "limit --down 2M\nget turing --detach -o in/\n";
    let (events, code) = script(shell(&lab, &lab.home(), &peer.addr), lines);
    assert_eq!(code, Some(0), "{events:#?}");
    assert!(!named(&events, "job").is_empty(), "{events:#?}");
    assert!(fs::read(lab.path("in/turing-1936.bin")).expect("there") == noise(1, 3 * MIB));
}

/// The shell in a terminal, at its first prompt.
fn typed<'t>(lab: &Lab, tmux: &'t Tmux, home: &Path, peer: &str) -> Terminal<'t> {
    let (program, dir) = (env!("CARGO_BIN_EXE_qshare"), lab.path("."));
    let line = format!(
        "cd {} && env -u QSHARE_TRACKER QSHARE_HOME={} {program} --no-lan shell --listen 127.0.0.1:0 --peer {peer}",
        dir.display(),
        home.display()
    );
    let terminal = tmux.start("shell", (110, 40), &line);
    at_prompt(&terminal, "");
    terminal
}

/// Waits until this, and nothing else, is typed.
fn at_prompt(terminal: &Terminal<'_>, text: &str) -> Vec<String> {
    let line = format!("qshare> {text}");
    let line = line.trim_end();
    terminal.wait(&format!("`{line}`"), |screen| screen.last().is_some_and(|last| last == line))
}

#[test]
fn in_a_terminal_peers_are_listed_and_files_fetched_beside_what_is_typed() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let peer = offering(&lab);
    let home = lab.home();
    let terminal = typed(&lab, &tmux, &home, &peer.addr);
    terminal.enter("peers");
    terminal.wait_for(&peer.id[..8]);
    terminal.type_text("sea");
    terminal.press("Tab");
    at_prompt(&terminal, "search");
    terminal.enter("turing");
    terminal.wait_for("1  papers/turing-1936.bin");
    at_prompt(&terminal, "");
    terminal.enter("limit --down 256k");
    terminal.wait_for("down  256 KiB/s");
    terminal.enter(&format!("get 1 from {} -o in/", peer.id));
    terminal.wait_for("job 1: turing-1936.bin");
    at_prompt(&terminal, "");
    terminal.enter("jobs --watch");
    terminal.wait("a bar", |screen| live(screen).iter().any(|line| line.contains("% of 3.0 MiB")));
    terminal.press("x");
    let screen = at_prompt(&terminal, "");
    assert!(live(&screen).is_empty(), "the key is no text, and nothing is left: {screen:#?}");
    terminal.type_text("not to be run");
    at_prompt(&terminal, "not to be run");
    terminal.interrupt();
    at_prompt(&terminal, "");
    terminal.enter("jobs limit 1 none");
    terminal.enter("limit --down none");
    terminal.wait_for("qshare: job 1: turing-1936.bin is here, 3.0 MiB, in ");
    assert!(fs::read(lab.path("in/turing-1936.bin")).expect("there") == noise(1, 3 * MIB));
    terminal.enter("search turing");
    terminal.enter("quit");
    terminal.wait_for("exit 0");
    let history = home.join("history");
    assert_eq!(fs::metadata(&history).expect("kept").permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&history).expect("text");
    assert!(kept.contains("jobs --watch") && !kept.contains("not to be run"), "{kept}");
}

#[test]
fn an_interrupt_ends_what_runs_and_not_the_shell() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let peer = offering(&lab);
    let terminal = typed(&lab, &tmux, &lab.home(), &peer.addr);
    // It runs until somebody ends it.
    terminal.enter("events");
    terminal.wait_for("qshare> events");
    // What comes while the terminal changes hands may reach nobody; at a prompt it does nothing.
    until("a prompt", || {
        terminal.interrupt();
        sleep(Duration::from_millis(100));
        terminal.screen().last().is_some_and(|line| line == "qshare>")
    });
    terminal.enter("search nothing-of-that");
    terminal.wait_for("nothing");
    at_prompt(&terminal, "");
    terminal.press("C-d");
    terminal.wait_for("exit 3");
}

#[test]
fn what_is_told_meanwhile_leaves_the_typed_line_whole() {
    const COUNT: usize = 200;
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    for n in 0..COUNT {
        lab.file(&format!("mine/ev/ev-{n:03}.txt"), format!("event {n}").as_bytes());
    }
    let (peer, home) = (offering(&lab), lab.home());
    let terminal = typed(&lab, &tmux, &home, &peer.addr);
    terminal.enter("share mine/ev");
    terminal.wait_for("    qshare get ev");
    at_prompt(&terminal, "");
    let status = Process::start(lab.qshare_at(&home).arg("status")).end();
    let addr = status.event("status")["running"]["addrs"][0]["addr"].as_str().expect("an address").to_owned();
    let into = format!("{}/", lab.path("in").display());
    let mut get = lab.qshare();
    get.args(["get", "--all", "ev-*.txt", "--no-share", "--peer", &addr, "--only-peers", "-o", &into]);
    let mut getting = Process::start(&mut get);
    let text = "get a-long-name-that-is-typed-while-others-are-told -o somewhere/else --only '*.pdf'";
    let told = || terminal.all().lines().filter(|line| line.contains("ev-") && line.contains(".txt")).count();
    let (before, after) = text.split_at(text.len() - 20);
    let slowly = |part: &str| {
        for next in part.chars() {
            terminal.type_text(&next.to_string());
            sleep(Duration::from_millis(20));
        }
    };
    slowly(before);
    // The rest while most is told.
    until("half of it", || told() > COUNT / 2 || !getting.is_running());
    slowly(after);
    let ended = getting.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    until("all that were fetched", || told() >= COUNT);
    at_prompt(&terminal, text);
    let all = terminal.all();
    let lines: Vec<&str> = all.lines().filter(|line| line.contains("ev-") && line.contains(".txt")).collect();
    assert!(lines.iter().all(|line| line.starts_with("qshare: ") && !line.contains("qshare>")), "{lines:#?}");
    terminal.interrupt();
    at_prompt(&terminal, "");
    terminal.press("C-d");
    terminal.wait_for("exit 0");
}

#[test]
fn a_shell_says_which_node_it_has() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let (home, peer) = (lab.home(), offering(&lab));
    let to = format!("{}@{}", peer.id, peer.addr);
    let mut put = Process::start(lab.qshare_at(&home).args(["put", "--text", "hello", "--to", &nobody()]));
    // The node of its home runs by then.
    put.event_that("put", |put| put["state"] == "away");
    let first = typed(&lab, &tmux, &home, &peer.addr);
    first.wait_for(&format!("a shell that has taken the node over from process {}, whose command", put.pid()));
    let (program, dir) = (env!("CARGO_BIN_EXE_qshare"), home.display());
    let second = tmux.start("second", (110, 40), &format!("{program} --home {dir} --no-lan shell"));
    second.wait_for("a shell through the running node (process ");
    at_prompt(&second, "");
    put.kill();
    first.enter("quit");
    first.wait_for("exit 0");
    second.enter(&format!("ls {to}"));
    second.wait_for("from now on this shell runs it");
}

#[test]
fn a_tilde_is_the_home_of_the_user() {
    let lab = Lab::new();
    let peer = offering(&lab);
    lab.file("mine/my notes.txt", b"mine");
    let mut command = shell(&lab, &lab.home(), &peer.addr);
    command.env("HOME", lab.path("."));
    let (events, code) = script(command, "hash ~/mine/'my notes.txt'\n");
    assert_eq!(code, Some(0), "{events:#?}");
    assert_eq!(events[0]["id"], blake3::hash(b"mine").to_string().as_str(), "{events:#?}");
}

/// The address of the node that runs in this home, with its id.
fn running(lab: &Lab, home: &Path) -> String {
    let ended = Process::start(lab.qshare_at(home).arg("status")).end();
    let status = ended.event("status");
    let addr = status["running"]["addrs"][0]["addr"].as_str().expect("an address");
    format!("{}@{addr}", status["roles"][0]["node"].as_str().expect("an id"))
}

#[test]
fn what_is_sent_is_left_to_the_node_and_what_comes_is_told_above_what_is_typed() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let (bob, home) = (lab.home(), lab.home());
    for name in ["one.txt", "two.txt", "three.txt"] {
        lab.file(&format!("mine/{name}"), name.as_bytes());
    }
    let node = lab.start(lab.qshare_at(&bob).args(["node", "--listen", "127.0.0.1:0"]));
    let inbox = |words: &[&str]| Process::start(lab.qshare_at(&bob).arg("inbox").args(words)).end().events;
    let offered = |name: &str| inbox(&[]).into_iter().any(|row| row["items"][0]["name"] == name);
    let terminal = typed(&lab, &tmux, &home, &node.addr);
    let put = |name: &str| {
        terminal.enter(&format!("put mine/{name} --to {}@{}", node.id, node.addr));
        until("it waits there", || offered(name));
        at_prompt(&terminal, "");
    };
    put("one.txt");
    terminal.type_text("half a line");
    inbox(&["decline", "all"]);
    terminal.wait_for(" declined\n");
    at_prompt(&terminal, "half a line");
    terminal.interrupt();
    put("two.txt");
    terminal.enter("put");
    terminal.wait("listed", |screen| screen.iter().any(|line| line.contains("two.txt") && line.contains("waiting")));
    terminal.enter("put --cancel 2");
    until("it is withdrawn", || inbox(&[]).iter().any(|row| row["state"] == "withdrawn"));
    at_prompt(&terminal, "");
    terminal.type_text("half a line");
    let own = running(&lab, &home);
    let told = ["--text", "as \u{1b}[31mpromised", "--wait", "1"];
    Process::start(lab.qshare_at(&bob).arg("put").arg(lab.path("mine/three.txt")).args(["--to", &own]).args(told))
        .end();
    terminal.wait_for("offers three.txt (1 file, 9 B): `qshare inbox accept 1`");
    terminal.wait_for("; message:\nas \\u{1b}[31mpromised");
    at_prompt(&terminal, "half a line");
    terminal.interrupt();
    put("three.txt");
    terminal.enter("quit");
    terminal.wait_for("1 transfer goes on with the next node");
    terminal.wait_for("exit 0");
}
