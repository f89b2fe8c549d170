//! What is attacked, and how an honest peer fares there.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::attackers::Target;
use crate::common::hosts::Hosts;
use crate::common::{Lab, Node, Process, noise, peak};
use crate::now;

const MIB: usize = 1 << 20;
/// A tick of the clock that the kernel tells processor time in (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// What there is to be attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A tracker, and a share of some files.
    Plain,
    /// The same with names as long as names may be, so that a page of hits is as long as a page may be.
    LongNames,
    /// What is fetched are trees.
    Trees,
    /// Hosts that find each other on their network alone.
    Lan,
}

/// A tracker, a node that shares at it, and an honest peer.
pub(crate) struct Ground {
    lab: Lab,
    place: Place,
    hosts: Option<Hosts>,
    tracker: Node,
    share: Node,
    honest: PathBuf,
    gets: Cell<u32>,
}

/// How long each honest command took, and the most KiB that a `get` held.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    took: [Option<Duration>; 4],
    pub(crate) peak: u64,
}

/// Some samples.
pub(crate) struct Trial {
    samples: Vec<Sample>,
    pub(crate) peak: u64,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    rss: u64,
    peak: u64,
    descriptors: usize,
}

/// Of the tracker and of the share.
pub(crate) struct States([State; 2]);

impl Ground {
    /// `None`, and a word about it, where it cannot be had.
    pub(crate) fn new(program: PathBuf, place: Place) -> Option<Self> {
        let lab = Lab::of(program);
        for (name, len) in [("small", MIB), ("large", 16 * MIB)] {
            lab.file(&format!("shared/{name}.bin"), &noise(len as u64, len));
            lab.file(&format!("shared/tree-{name}/one.bin"), &noise(len as u64 + 1, len - 5000));
            lab.file(&format!("shared/tree-{name}/two.bin"), &noise(len as u64 + 2, 5000));
        }
        lab.file("shared/much.bin", &noise(7, 64 * MIB));
        let deep = vec!["d".repeat(240); 15].join("/");
        for n in (0..90_u32).take_while(|_| place == Place::LongNames) {
            lab.file(&format!("shared/{deep}/{n}-{}", "f".repeat(200)), &n.to_be_bytes());
        }
        let hosts = if place == Place::Lan { Some(Hosts::up("a")?) } else { None };
        let home = lab.home();
        let command =
            |home: &Path| hosts.as_ref().map_or_else(|| lab.qshare_at(home), |hosts| hosts.near(&lab, 1, home));
        let listen = if hosts.is_some() { "10.66.0.1:0" } else { "127.0.0.1:0" };
        let tracker = lab.start(command(&lab.home()).args(["tracker", "--listen", listen]));
        let mut share = command(&home);
        let roots = fs::read_dir(lab.path("shared")).expect("made").map(|entry| entry.expect("readable").path());
        share.arg("share").args(roots);
        if hosts.is_none() {
            share.args(["--listen", listen, "--tracker", &tracker.addr]);
        }
        let mut share = lab.start(&mut share);
        if hosts.is_none() {
            share.wait_hashed();
        } else {
            share.process.event_that("offer", |offer| offer["name"] == "much.bin");
        }
        let honest = lab.home();
        Some(Self { place, hosts, tracker, share, honest, gets: Cell::new(0), lab })
    }

    /// What an attacker has to know.
    pub(crate) fn target(&self) -> Target {
        Target { tracker: self.tracker.target(), share: self.share.target(), shared: self.lab.path("shared") }
    }

    /// A program where attackers are.
    pub(crate) fn attacker(&self, program: &Path) -> Command {
        let Some(hosts) = &self.hosts else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &hosts.name(3)]).arg(program);
        command
    }

    fn qshare(&self) -> Command {
        match &self.hosts {
            Some(hosts) => hosts.near(&self.lab, 2, &self.honest),
            None => self.lab.qshare_at(&self.honest),
        }
    }

    /// An honest search at the tracker and one at the sharing node, a `get` of 1 MiB and one of 16 MiB.
    pub(crate) fn sample(&self, more: &[String]) -> Sample {
        let tracker = ["--tracker", &self.tracker.addr];
        let at: &[&str] = if self.hosts.is_some() { &[] } else { &tracker };
        let (kind, of) = if self.place == Place::Trees { ("tree-", "") } else { ("", ".bin") };
        let names = ["small", "large"].map(|name| format!("{kind}{name}{of}"));
        let port = self.share.addr.rsplit(':').next().expect("a port");
        let peer = if self.hosts.is_some() { format!("10.66.0.1:{port}") } else { self.share.addr.clone() };
        let searches = [
            self.timed(self.qshare().args(["search", &names[0]]).args(at).args(more)),
            self.timed(self.qshare().args(["search", &names[0], "--only-peers", "--peer", &peer])),
        ];
        let gets = names.each_ref().map(|name| {
            self.gets.set(self.gets.get() + 1);
            let out = format!("out-{}/", self.gets.get());
            let got = self.timed(self.qshare().args(["get", name, "-o", &out]).args(at).args(more));
            // Nothing is there when it failed.
            let _ = fs::remove_dir_all(self.lab.path(&out));
            got
        });
        let peak = gets.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
        Sample { took: [searches[0].0, searches[1].0, gets[0].0, gets[1].0], peak }
    }

    /// How long it takes, if it succeeds, and the most KiB that it holds.
    fn timed(&self, command: &mut Command) -> (Option<Duration>, u64) {
        let begun = now();
        let (ended, peak) = Process::start(command).held();
        let took = begun.elapsed();
        if ended.code != Some(0) {
            let last = ended.events.last();
            crate::say(&format!("failed after {took:?}, {:?}: {:?}: {last:?}\n", ended.code, command.get_args()));
        }
        ((ended.code == Some(0)).then_some(took), peak)
    }

    /// What the attacked hold.
    pub(crate) fn states(&self) -> States {
        States([&self.tracker, &self.share].map(|node| State::of(node.process.pid())))
    }

    /// Processor seconds that the attacked have used.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.tracker.process.pid()) + cpu(self.share.process.pid())
    }
}

/// Processor seconds that a process has used.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // Behind the name, which may hold anything.
    let fields = stat.rsplit(") ").next().expect("always").split(' ');
    let ticks: u32 = fields.skip(11).take(2).map(|field| field.parse::<u32>().expect("a number")).sum();
    f64::from(ticks) / TICKS
}

impl State {
    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
        let rss = rss.trim().trim_end_matches(" kB").parse().expect("a number");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("ours").count();
        Self { rss, peak: peak(pid).expect("it runs"), descriptors }
    }

    /// From before an attack to after it.
    pub(crate) fn left(before: &States, after: &States) -> String {
        let each = before.0.iter().zip(&after.0).map(|(before, after)| {
            let (from, to) = (megabytes(before.rss), megabytes(after.rss));
            format!("{from} → {to}, {} → {}", before.descriptors, after.descriptors)
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

impl States {
    pub(crate) fn peaks(&self) -> String {
        self.0.map(|state| megabytes(state.peak).to_string()).join(", ")
    }
}

/// 10^6 bytes.
pub(crate) fn megabytes(kib: u64) -> u64 {
    (kib * 1024).div_ceil(1_000_000)
}

impl Trial {
    pub(crate) fn of(samples: impl IntoIterator<Item = Sample>) -> Self {
        let samples: Vec<_> = samples.into_iter().collect();
        let peak = samples.iter().map(|sample| sample.peak).max().unwrap_or(0);
        Self { samples, peak }
    }

    /// The median of each command; none when one of them has failed.
    fn medians(&self) -> [Option<Duration>; 4] {
        std::array::from_fn(|n| {
            let took: Option<Vec<_>> = self.samples.iter().map(|sample| sample.took[n]).collect();
            took.map(|mut took| {
                took.sort();
                took[took.len() / 2]
            })
        })
    }

    /// How many times as long as the other.
    pub(crate) fn over(&self, alone: &Self) -> String {
        let pairs = self.medians().into_iter().zip(alone.medians());
        let ratio = |(this, alone): (Option<Duration>, Option<Duration>)| match (this, alone) {
            (Some(this), Some(alone)) => format!("{:.2}", this.as_secs_f64() / alone.as_secs_f64()),
            _ => "failed".to_owned(),
        };
        pairs.map(ratio).collect::<Vec<_>>().join(", ")
    }

    /// The geometric mean of how many times as long as the other each command takes.
    pub(crate) fn all_over(&self, alone: &Self) -> String {
        let pairs = self.medians().into_iter().zip(alone.medians());
        let logs: Option<Vec<f64>> =
            pairs.map(|(this, alone)| Some((this?.as_secs_f64() / alone?.as_secs_f64()).ln())).collect();
        let mean = |logs: Vec<f64>| (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        logs.map_or_else(|| "failed".to_owned(), |logs| format!("{:.2}", mean(logs)))
    }

    /// The medians.
    pub(crate) fn millis(&self) -> String {
        let millis =
            |took: Option<Duration>| took.map_or_else(|| "failed".to_owned(), |took| took.as_millis().to_string());
        self.medians().map(millis).join(", ")
    }
}
