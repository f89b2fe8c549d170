//! Questions that are dear to answer: an honest one of the same address is answered beside them, and who is gone is worked for no
//! more.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "how long a process works is measured")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::own::{Own, Value, address, bytes, list, map, number, tagged, text, welcome};
use common::raw::{Crowd, Windows, search};
use common::{Lab, Node, Process, until};

/// Names at the tracker; each has an `e`.
const NAMES: u64 = 60_000;
const PAGE: u64 = 3000;

/// A tracker that knows many names, and who told it of them.
struct Ground {
    lab: Lab,
    tracker: Node,
    _teller: Own,
}

fn offer(n: u64) -> Value {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&(n + 1).to_be_bytes());
    let name = if n == 0 { "honest-needle".to_owned() } else { format!("elements of geometry, book {n}, edition e") };
    map([("name", text(&name)), ("size", number(1)), ("id", bytes(id)), ("kind", text("file")), ("files", number(1))])
}

impl Ground {
    fn new() -> Self {
        let lab = Lab::new();
        let (tracker, teller) = (lab.tracker(), Own::new());
        teller.serve(&welcome(5, "node", teller.addr), std::sync::Arc::new(|_, _| Box::pin(std::future::ready(()))));
        let (link, _) = teller.dial(&tracker.addr).expect("let in");
        let head = [("epoch", number(1)), ("seq", number(1)), ("full", Value::Flag(true))];
        let [epoch, seq, full] = head;
        let to = list([address(teller.addr)]);
        let head = map([epoch, seq, full, ("candidates", to), ("port", number(teller.addr.port().into()))]);
        let mut talk = teller.open(&link, &tagged("Announce", head).frame());
        for first in (0..NAMES).step_by(usize::try_from(PAGE).expect("small")) {
            let none = || list([]);
            let add = list((first..first + PAGE).map(offer));
            let page = map([("add", add), ("remove", none()), ("join", none()), ("leave", none())]);
            teller.runtime.block_on(talk.say(&page.frame()));
        }
        talk.end();
        let answer = teller.runtime.block_on(talk.answer());
        assert!(matches!(&answer, common::own::Ending::Answer(told) if told.get("taken") == Some(&number(NAMES))));
        std::mem::forget(link);
        Self { lab, tracker, _teller: teller }
    }

    /// Processor time that the tracker has used.
    fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.tracker.process.pid())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|n| fields[*n].parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How long it takes until the tracker has nothing to do.
    fn idle_after(&self) -> Duration {
        let (begun, mut last) = (Instant::now(), (self.worked(), Instant::now()));
        until("it has nothing to do", || {
            let now = self.worked();
            if now > last.0 + Duration::from_millis(20) {
                last = (now, Instant::now());
            }
            last.1.elapsed() > Duration::from_secs(1)
        });
        last.1 - begun
    }
}

#[test]
fn a_cheap_question_does_not_wait_behind_dear_ones_of_its_address() {
    let ground = Ground::new();
    let crowd = Crowd::at(&ground.tracker.addr, 48, Windows::Open);
    let before = ground.worked();
    let open = crowd.write(1, &search("e"));
    until("they are at it", || ground.worked() > before + Duration::from_millis(20));
    let asked = Instant::now();
    let line = ["search", "honest-needle", "--tracker", &ground.tracker.addr];
    let ended = Process::start(ground.lab.qshare().args(line)).end();
    eprintln!("beside 48 dear ones an answer took {:?}", asked.elapsed());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    drop(open);
}

#[test]
fn who_is_gone_is_worked_for_no_more() {
    let ground = Ground::new();
    // Many seconds of work.
    let dear = search("e");
    let crowd = Crowd::at(&ground.tracker.addr, 48, Windows::Open);
    drop(crowd.write(16, &dear));
    let given_up = ground.idle_after();
    let open = crowd.write(16, &dear);
    crowd.vanish(open);
    let vanished = ground.idle_after();
    eprintln!("idle {given_up:?} after all was given up, {vanished:?} after all had vanished");
    assert!(given_up < Duration::from_secs(8), "{given_up:?}");
    assert!(vanished < Duration::from_secs(14), "{vanished:?}");
}
