//! How long an honest search takes beside a neighbour that asks 10,000 times a second, as a ratio to the same search
//! without it. Four ends: who asks, a node with many names in the middle, the provider behind it, and the flooder.

#[path = "../tests/common/flooder.rs"]
#[allow(dead_code, unreachable_pub, reason = "tests use more of it")]
mod flooder;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flooder::{Flooder, Frames, query};
use qshare::model::{NodeId, Query};
use qshare::node::{Home, Lifetime, Listen, Near, Node, Options};

/// Names in the middle.
const NAMES: usize = 50_000;
/// Searches of a round, and between two of them: fewer than a neighbour may ask.
const SEARCHES: (usize, Duration) = (60, Duration::from_millis(100));
/// An address of its own on this machine.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 77];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let provider = Process::share(dir.path(), "needle", 1, None);
    let middle = Process::share(dir.path(), "hay", NAMES, Some(&provider.addr));
    let asker = runtime.block_on(node(dir.path(), &middle.addr));
    let median = || runtime.block_on(median_search(&asker));
    median();
    let floods: [(&str, bool, Frames); 3] = [
        ("words that match nothing", false, |n| query(n, 7, "nothing")),
        ("one letter, that matches everything", false, |n| query(n, 7, "h")),
        ("the same, under a new id whenever it is thrown out", true, |n| query(n, 7, "h")),
    ];
    for (what, rotates, frames) in floods {
        let alone = median();
        let flooder = Flooder::start(ELSEWHERE, middle.target(), 10_000, rotates, frames);
        let beside = median();
        let (sent, joined, refused) = flooder.told();
        drop(flooder);
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        let line = format!(
            "{what}: {beside:.1?} beside it, {alone:.1?} without, {ratio:.2} times; {sent} queries got through, it was a \
             neighbour {joined} times and refused {refused} times\n"
        );
        std::io::stdout().write_all(line.as_bytes()).expect("written");
    }
    runtime.block_on(asker.stop());
}

/// How long it takes until a search is over, which finds one provider.
async fn median_search(asker: &Node) -> Duration {
    let words = Query::parse(&["needle"]).expect("words");
    let mut took = Vec::new();
    for _ in 0..SEARCHES.0 {
        let begun = now();
        let found = asker.search(&words, 10).await.expect("searched");
        took.push(begun.elapsed());
        assert_eq!(found.hits.len(), 1, "found beside whatever goes on");
        tokio::time::sleep(SEARCHES.1).await;
    }
    took.sort();
    took[took.len() / 2]
}

async fn node(dir: &Path, peer: &str) -> Node {
    let options = Options::new(Home::at(dir.join("asker")))
        .lifetime(Lifetime::LongRunning)
        .listen(Listen::At("127.0.0.1:0".parse().expect("an address")))
        .peers([peer.parse().expect("a target")])
        .near(Near { lan: None, only_peers: true, ttl: Some(2), all_global: false });
    Node::start(options).await.expect("started").0
}

/// A sharing process, ended when dropped.
struct Process {
    child: Child,
    addr: String,
    id: String,
}

impl Process {
    /// Shares one file under so many names.
    fn share(dir: &Path, name: &str, names: usize, peer: Option<&str>) -> Self {
        let (file, list) = (dir.join(format!("{name}.bin")), dir.join(format!("{name}.list")));
        std::fs::write(&file, name).expect("written");
        let lines: String = (0..names).map(|n| format!("{name}-{n}.bin\t{}\n", file.display())).collect();
        std::fs::write(&list, lines).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
        command.args(["--json", "-q", "--no-lan", "share", "--only-peers", "--listen", "127.0.0.1:0", "--list"]);
        command.arg(list).env("QSHARE_HOME", dir.join(name)).args(peer.map(|peer| format!("--peer={peer}")));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let listening: serde_json::Value =
            lines.find_map(|line| serde_json::from_str(&line).ok()).expect("a first line");
        let text = |key: &str| listening[key].as_str().expect("text").to_owned();
        let (addr, id) = (text("addr"), text("node"));
        assert!(lines.by_ref().any(|line| line.contains("\"offer\"")), "hashed");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr, id }
    }

    fn target(&self) -> (SocketAddr, NodeId) {
        (self.addr.parse().expect("an address"), self.id.parse().expect("an id"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}
