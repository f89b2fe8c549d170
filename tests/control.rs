//! One running node, many commands: they go through it, and nobody else does.

mod common;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::own::{self, Controlled, Script, bytes, list, map, number, ok, tagged, text};
use common::{Ended, Lab, Node, Process};
use qshare::io::home::HomeLock;
use qshare::io::home::identity::Identity;
use qshare::io::net::endpoint::{Endpoint, OwnerError};
use qshare::node::{Home, Remote};
use rustix::process::Signal;
use serde_json::Value;

/// A `share` of a file, in a home that is known.
fn sharing(lab: &Lab, home: &Path, more: &[&str]) -> Node {
    let file = lab.file("shared/turing.txt", b"1936");
    let mut command = lab.qshare_at(home);
    let mut node = lab.start(command.args(["share", "--listen", "127.0.0.1:0"]).args(more).arg(file));
    node.process.event("offer");
    node
}

fn run(lab: &Lab, home: &Path, arguments: &[&str]) -> Ended {
    Process::start(lab.qshare_at(home).args(arguments)).end()
}

fn whereabouts(home: &Path) -> String {
    fs::read_to_string(home.join("node/control")).expect("a control file")
}

fn socket(home: &Path) -> SocketAddr {
    let text = whereabouts(home);
    let addr = text.lines().find_map(|line| line.strip_prefix("addr ")).expect("an address");
    addr.parse().expect("an address")
}

#[test]
fn commands_go_through_the_running_node() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (home, near) = (lab.home(), lab.home());
    let node = sharing(&lab, &home, &["--tracker", &tracker.addr]);
    let other = sharing(&lab, &near, &["--tracker", &tracker.addr]);
    assert_eq!(fs::metadata(home.join("node/control")).expect("there").permissions().mode() & 0o777, 0o600);
    let status = run(&lab, &home, &["status"]);
    let running = &status.event("status")["running"];
    assert_eq!((&running["node"], &running["pid"]), (&Value::from(&*node.id), &node.process.pid().into()));
    let found = run(&lab, &home, &["search", "turing", "--tracker", &tracker.addr]);
    let providers: Vec<_> = found.event("hit")["providers"].as_array().expect("some").iter().collect();
    assert!(providers.iter().any(|provider| provider["node"] == *other.id), "{providers:?}");
    // The tracker has seen nobody but the two that share.
    let peers = run(&lab, &home, &["peers", "--tracker", &tracker.addr]);
    let seen = peers.events.iter().filter(|event| event["event"] == "peer");
    assert!(seen.clone().all(|peer| peer["node"] == *node.id || peer["node"] == *other.id), "{:?}", peers.events);
    assert_eq!(seen.count(), 2, "{:?}", peers.events);
    for arguments in [&["ls", "turing"][..], &["locate", "turing"]] {
        let ended = run(&lab, &home, &[arguments, &["--tracker", &tracker.addr]].concat());
        assert!(ended.events.iter().any(|event| event["event"] == "hit"), "{arguments:?} {}", ended.stderr);
    }
    // What the node offers itself is found also where nobody else is asked.
    assert!(run(&lab, &home, &["search", "turing"]).event("hit")["id"].is_string());
    let id = &found.event("hit")["id"];
    assert_eq!(&run(&lab, &home, &["ls", &node.id]).event("hit")["id"], id);
}

#[test]
fn a_node_is_stopped_by_a_command_and_its_file_goes() {
    let lab = Lab::new();
    let home = lab.home();
    let node = sharing(&lab, &home, &[]);
    let stopped = run(&lab, &home, &["stop"]);
    assert_eq!(stopped.event("stopped")["node"], *node.id);
    assert_eq!(node.process.end().code, Some(0));
    assert!(!home.join("node/control").exists());
    assert!(run(&lab, &home, &["stop"]).error(3).contains("no node of this home runs"));
    assert!(run(&lab, &home, &["status"]).event("status")["running"].is_null());
}

#[test]
fn a_tracker_that_nothing_is_told_is_not_called_out_of_reach() {
    let lab = Lab::new();
    let (tracker, home) = (lab.tracker(), lab.home());
    let mut node =
        Process::start(lab.qshare_at(&home).args(["node", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]));
    node.event("listening");
    let told = lab.people_at(&home).arg("status").output().expect("it runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = told.lines().find(|line| line.starts_with("tracker")).expect("a tracker");
    assert!(line.ends_with("told of nothing"), "{told}");
}

#[test]
fn what_a_node_reports_is_followed_until_it_ends() {
    let lab = Lab::new();
    let home = lab.home();
    let node = sharing(&lab, &home, &[]);
    let mut events = Process::start(lab.qshare_at(&home).arg("events"));
    assert_eq!(events.first("listening")["node"], *node.id);
    let from = format!("{}@{}", node.id, node.addr);
    let into = lab.path("fetched");
    let get = lab.qshare_at(&lab.home()).args(["get", "turing.txt", "--from", &from, "-o"]).arg(into).spawn();
    assert!(get.expect("started").wait().expect("ended").success());
    assert_eq!(events.event("upload")["name"], "turing.txt");
    run(&lab, &home, &["stop"]).event("stopped");
    assert_eq!(events.end().code, Some(0));
}

#[test]
fn a_command_through_the_node_uses_no_socket_beyond_this_machine() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not here");
        return;
    }
    let lab = Lab::new();
    let tracker = lab.tracker();
    let home = lab.home();
    let _node = sharing(&lab, &home, &["--tracker", &tracker.addr]);
    let trace = lab.path("trace");
    let qshare = lab.qshare_at(&home);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=bind,connect,sendto,sendmsg,sendmmsg", "-o"]).arg(&trace);
    traced.arg(qshare.get_program()).args(qshare.get_args());
    for (key, value) in qshare.get_envs() {
        let _ = value.map(|value| traced.env(key, value));
    }
    let ended = Process::start(traced.args(["search", "turing", "--tracker", &tracker.addr])).end();
    if ended.stderr.contains("PTRACE") {
        eprintln!("skipped: strace may not trace here");
        return;
    }
    ended.event("hit");
    let text = fs::read_to_string(&trace).expect("a trace");
    let inet: Vec<&str> = text.lines().filter(|line| line.contains("AF_INET")).collect();
    assert!(!inet.is_empty(), "the control socket is seen");
    // The QUIC library tries on a socket of its own, through which nothing goes, what the kernel can do.
    let tries = |line: &str| line.contains("bind(") && line.contains("(0)") && line.contains(r#""::""#);
    let near = |line: &str| line.contains("127.0.0.1") || line.contains(r#""::1""#);
    assert!(inet.iter().all(|line| near(line) || tries(line)), "{inet:#?}");
    assert!(inet.iter().any(|line| line.contains("send") && near(line)), "{inet:#?}");
}

#[tokio::test]
async fn another_key_gets_nothing_and_is_counted() {
    let lab = Lab::new();
    let (home, second) = (lab.home(), lab.home());
    let node = sharing(&lab, &home, &[]);
    let stranger = std::sync::Arc::new(Identity::ephemeral().expect("an identity"));
    let refused = Endpoint::dial_owner(stranger, socket(&home)).await;
    assert!(matches!(refused, Err(OwnerError::OtherKey)), "{refused:?}");
    // The second home says that its node is there.
    let other = sharing(&lab, &second, &[]);
    let own = whereabouts(&second);
    fs::write(second.join("node/control"), own.replace(&socket(&second).to_string(), &socket(&home).to_string()))
        .expect("written");
    let asked = run(&lab, &second, &["search", "turing"]);
    assert!(asked.error(1).contains("something else answers"), "{}", asked.stderr);
    let running = Remote::find(&Home::at(home.clone())).await.expect("found").expect("it runs");
    assert_eq!(running.running().node.to_string(), node.id);
    assert!(running.status().await.expect("a status").refused >= 1, "the second is refused by its own end");
    drop(other);
}

#[test]
fn something_else_on_that_port_is_told() {
    let lab = Lab::new();
    let home = lab.home();
    let node = sharing(&lab, &home, &[]);
    let (text, own) = (whereabouts(&home), socket(&home).to_string());
    // What does not answer at all is silent.
    let foreign = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let there = foreign.local_addr().expect("an address").to_string();
    fs::write(home.join("node/control"), text.replace(&own, &there)).expect("written");
    let asked = run(&lab, &home, &["search", "turing"]);
    assert!(asked.error(1).contains(&format!("process {}", node.process.pid())), "{}", asked.stderr);
    // On another host or in another container.
    fs::write(home.join("node/control"), text.replace(&own, &there).replace("boot ", "boot x")).expect("written");
    assert!(run(&lab, &home, &["search", "turing"]).error(1).contains("another host or in another container"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "that it is given its time is what is tested")]
fn a_node_that_hangs_is_told_with_its_process() {
    let lab = Lab::new();
    let home = lab.home();
    let node = sharing(&lab, &home, &[]);
    node.process.signal(Signal::STOP);
    let begun = Instant::now();
    let asked = run(&lab, &home, &["search", "turing"]);
    let message = asked.error(1);
    assert!(message.contains(&format!("process {}", node.process.pid())) && message.contains("does not answer"));
    assert!(begun.elapsed() >= Duration::from_secs(2), "it is given its time");
    node.process.signal(Signal::CONT);
    run(&lab, &home, &["search", "turing"]).event("hit");
}

#[test]
fn what_a_killed_node_leaves_holds_nobody_up() {
    let lab = Lab::new();
    let (tracker, home) = (lab.tracker(), lab.home());
    let mut node = sharing(&lab, &home, &["--tracker", &tracker.addr]);
    node.process.kill();
    assert!(home.join("node/control").exists(), "nobody could remove it");
    run(&lab, &home, &["search", "nothing", "--tracker", &tracker.addr]).error(3);
    assert!(!home.join("node/control").exists(), "whoever had the home next has");
    run(&lab, &home, &["stop"]).error(3);
}

#[test]
fn of_two_that_race_one_has_the_home_and_both_answer() {
    let lab = Lab::new();
    let (tracker, home) = (lab.tracker(), lab.home());
    let file = lab.file("shared/turing.txt", b"1936");
    let _offering = lab.share(&tracker, &[&file], &[]);
    let commands: Vec<_> = (0..4)
        .map(|_| Process::start(lab.qshare_at(&home).args(["search", "turing", "--tracker", &tracker.addr])))
        .collect();
    for command in commands {
        command.end().event("hit");
    }
}

#[test]
fn what_can_hold_for_no_running_node_is_refused() {
    let lab = Lab::new();
    let home = lab.home();
    let _node = sharing(&lab, &home, &[]);
    let config = lab.file("other.toml", b"");
    let asked = Process::start(lab.qshare_at(&home).args(["search", "turing", "--config"]).arg(config)).end();
    assert!(asked.error(2).contains("--config"), "{}", asked.stderr);
}

/// A node of a later version: it knows `Hello`, `Status` and `Stop`, with more in them than we know, and nothing else that is ours.
fn of_later_version(node: [u8; 32], lock: std::sync::Arc<std::sync::Mutex<Option<HomeLock>>>) -> Script {
    let running = move || {
        map([
            ("version", text("9.0.0")),
            ("control", number(77)),
            ("pid", number(std::process::id().into())),
            ("node", bytes(node)),
            ("lan", own::Value::Flag(true)),
            ("only_peers", own::Value::Flag(false)),
            ("mood", text("serene")),
        ])
    };
    let status = move || {
        let none = || list([]);
        let counts = ["up_ms", "offers", "all_offers", "uploads_ended", "uploaded", "memory", "refused"];
        let lists = ["addrs", "trackers", "neighbours", "friends", "jobs", "uploads", "budgets", "plans"];
        let counted = counts.map(|name| (name.to_owned(), number(3)));
        let listed = lists.map(|name| (name.to_owned(), none()));
        let running = [("running".to_owned(), running())];
        own::Value::Map(running.into_iter().chain(counted).chain(listed).collect())
    };
    std::sync::Arc::new(move |request: own::Value, mut talk: own::Talk| {
        let lock = std::sync::Arc::clone(&lock);
        let answer = match request.tag() {
            "Hello" => ok(running()),
            "Status" => ok(status()),
            "Stop" => ok(map([])),
            _ => tagged("Err", map([("code", number(13))])).frame(),
        };
        Box::pin(async move {
            talk.say(&answer).await;
            talk.end();
            if request.tag() == "Stop" {
                let _ = talk.send.stopped().await;
                drop(lock.lock().expect("no panic").take());
            }
        })
    })
}

#[test]
fn a_node_of_another_version_tells_how_it_is_and_ends_and_all_else_goes_on_without_it() {
    let lab = Lab::new();
    let (tracker, home) = (lab.tracker(), lab.home());
    let file = lab.file("shared/turing.txt", b"1936");
    let _offering = lab.share(&tracker, &[&file], &[]);
    let later = Controlled::new(&home, |me| of_later_version(me.node, std::sync::Arc::clone(&me.lock)));
    let status = run(&lab, &home, &["status"]);
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    let running = &status.event("status")["running"];
    assert_eq!((&running["version"], &running["uploaded"]), (&"9.0.0".into(), &3.into()));
    let both = |told: &str| told.contains("9.0.0 (77)") && told.contains(&format!("{} (", env!("CARGO_PKG_VERSION")));
    let at = ["--tracker", &tracker.addr];
    let into = lab.path("got.txt").display().to_string();
    for arguments in [&["search", "turing"][..], &["get", "turing", "-o", &into]] {
        let ended = run(&lab, &home, &[arguments, &at].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?} {}", ended.stderr);
        let warning = ended.event("warning")["message"].as_str().expect("text");
        assert!(both(warning) && warning.contains("a key of its own"), "{arguments:?} {warning}");
    }
    assert_eq!(fs::read(into).expect("published"), b"1936");
    let of_the_node = [
        &["jobs"][..],
        &["jobs", "--watch"],
        &["jobs", "limit", "1", "2M"],
        &["limit"],
        &["events"],
        &["unshare", "x"],
    ];
    for arguments in of_the_node {
        let told = run(&lab, &home, arguments).error(1);
        assert!(both(&told) && told.contains("qshare stop"), "{arguments:?} {told}");
    }
    let stopped = run(&lab, &home, &["stop"]);
    assert_eq!(stopped.event("stopped")["pid"], std::process::id(), "{}", stopped.stderr);
    assert!(later.lock.lock().expect("no panic").is_none());
}

#[test]
fn commands_that_ended_without_a_word_keep_no_other_out() {
    let lab = Lab::new();
    let home = lab.home();
    let _node = sharing(&lab, &home, &[]);
    // More than there were places, each killed with its connection open.
    for _ in 0..80 {
        let mut command = Process::start(lab.qshare_at(&home).arg("events"));
        command.first("listening");
        command.kill();
    }
    run(&lab, &home, &["status"]).event("status");
    run(&lab, &home, &["stop"]).event("stopped");
}
