//! What the running node of the home says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::cli::render::human::{count, counted, duration, rate};
use crate::cli::say::names::Names;
use crate::model::{NodeId, Shown, Size};
use crate::wire::control::{ControlStatus, UploadState};

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RunningNode {
    /// The version of its program.
    version: String,
    /// Its process.
    pid: u32,
    /// Its node id.
    node: NodeId,
    /// For how many seconds it has run.
    up_s: u64,
    /// Its addresses, the likeliest first.
    addrs: Vec<OwnAddress>,
    /// The trackers that it was given.
    trackers: Vec<Tracker>,
    /// Its neighbours.
    neighbours: Vec<Neighbour>,
    /// The friends of the home.
    friends: Vec<Friend>,
    /// Names that it offers to anybody.
    offers: u64,
    /// Names that it offers altogether, to friends alone as well.
    all_offers: u64,
    /// What it fetches for commands that have left it.
    jobs: Vec<Job>,
    /// What is being fetched from it.
    uploads: Vec<Upload>,
    /// Uploads that are over.
    uploads_ended: u64,
    /// Bytes of all uploads together.
    uploaded: u64,
    /// The memory that its process has, in bytes.
    memory: u64,
    /// What of it is bounded.
    budgets: Vec<Budget>,
    /// Who came to its control socket with another key than this home's.
    refused: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct OwnAddress {
    /// Which.
    addr: SocketAddr,
    /// Whether a tracker has reached it there; null where no tracker has said anything.
    answers: Option<bool>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Tracker {
    /// As it was given.
    tracker: String,
    /// How many offers it holds of this node; null where it is not reached.
    offers: Option<u64>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Neighbour {
    /// Who.
    node: NodeId,
    /// From where.
    addr: SocketAddr,
    /// How many offers it says to have.
    offers: u64,
    /// The round trip in microseconds.
    rtt_us: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Friend {
    /// Its name.
    name: String,
    /// Who.
    node: NodeId,
    /// Whether there is a connection.
    linked: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Job {
    /// Tells it from the others of the home.
    id: u64,
    /// What.
    name: String,
    /// How it is.
    state: String,
    /// Proven bytes.
    have: u64,
    /// Bytes altogether.
    total: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Upload {
    /// Who fetches.
    node: NodeId,
    /// What; its id where it has no name.
    name: String,
    /// Bytes that went out.
    bytes: u64,
    /// The content's bytes in all.
    size: u64,
    /// Bytes a second, lately.
    rate: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Budget {
    /// What.
    name: String,
    /// How much is in use.
    used: u64,
    /// How much there is.
    of: u64,
}

impl RunningNode {
    pub(super) fn of(told: ControlStatus) -> Self {
        let running = told.running;
        Self {
            version: running.version,
            pid: running.pid,
            node: running.node,
            up_s: told.up_ms / 1000,
            addrs: told.addrs.into_iter().map(|of| OwnAddress { addr: of.addr, answers: of.answers }).collect(),
            trackers: told.trackers.into_iter().map(|of| Tracker { tracker: of.tracker, offers: of.offers }).collect(),
            neighbours: told
                .neighbours
                .into_iter()
                .map(|of| Neighbour { node: of.node, addr: of.addr, offers: of.offers, rtt_us: of.rtt_us })
                .collect(),
            friends: told
                .friends
                .into_iter()
                .map(|of| Friend { name: of.name, node: of.node, linked: of.linked })
                .collect(),
            offers: told.offers,
            all_offers: told.all_offers,
            jobs: told
                .jobs
                .into_iter()
                .map(|of| Job { id: of.id, name: of.name, state: of.state, have: of.have, total: of.total })
                .collect(),
            uploads: told.uploads.into_iter().map(Upload::of).collect(),
            uploads_ended: told.uploads_ended,
            uploaded: told.uploaded,
            memory: told.memory,
            budgets: told.budgets.into_iter().map(|of| Budget { name: of.name, used: of.used, of: of.of }).collect(),
            refused: told.refused,
        }
    }

    /// For people.
    pub(super) fn lines(&self, names: &Names) -> Vec<(&'static str, String)> {
        let up = duration(Duration::from_secs(self.up_s));
        let mut lines = vec![("running", format!("version {}, for {up}", Shown(&self.version)))];
        lines.extend(self.addrs.iter().map(|of| ("address", format!("{}{}", of.addr, reached(of.answers)))));
        lines.extend(self.trackers.iter().map(|of| {
            let offers = of.offers.map_or_else(|| "not reached".to_owned(), |n| counted(n, "offer"));
            ("tracker", format!("{}  {offers}", Shown(&of.tracker)))
        }));
        lines.extend(self.neighbours.iter().map(|of| {
            let rtt = Duration::from_micros(of.rtt_us).as_secs_f64() * 1e3;
            ("near", format!("{}  {}  {}, {rtt:.1} ms", names.whole(of.node), of.addr, counted(of.offers, "offer")))
        }));
        lines.extend(self.friends.iter().map(|of| {
            let state = if of.linked { "connected" } else { "not connected" };
            ("friend", format!("{}  {state}", Shown(&of.name)))
        }));
        lines.push(("offers", self.offers()));
        lines.extend(self.jobs.iter().map(|of| {
            let (name, have, total) = (Shown(&of.name), Size(of.have), Size(of.total));
            ("job", format!("{}  {name}  {}  {have} of {total}", of.id, Shown(&of.state)))
        }));
        lines.extend(self.uploads.iter().map(|of| ("upload", of.line(names))));
        lines.push(("uploads", format!("{} over, {} in all", count(self.uploads_ended), Size(self.uploaded))));
        lines.push(("memory", Size(self.memory).to_string()));
        let (used, unused): (Vec<_>, Vec<_>) = self.budgets.iter().partition(|of| of.used > 0);
        let budget = |of: &Budget| format!("{}  {} of {}", Shown(&of.name), count(of.used), count(of.of));
        lines.extend(used.into_iter().map(|of| ("budget", budget(of))));
        lines.push(("budgets", format!("{} more, of which nothing is in use", count(unused.len() as u64))));
        if self.refused > 0 {
            lines.push(("refused", format!("{} at the control socket, with another key", count(self.refused))));
        }
        lines
    }

    fn offers(&self) -> String {
        match self.all_offers.saturating_sub(self.offers) {
            0 => count(self.offers),
            friends => format!("{}, {} of them for friends alone", count(self.all_offers), count(friends)),
        }
    }
}

impl Upload {
    fn of(told: UploadState) -> Self {
        let UploadState { node, name, bytes, size, rate } = told;
        Self { node, name, bytes, size, rate }
    }

    fn line(&self, names: &Names) -> String {
        let (name, to) = (Shown(&self.name), names.whole(self.node));
        format!("{name}  {} of {} to {to}, {}", Size(self.bytes), Size(self.size), rate(self.rate))
    }
}

const fn reached(answers: Option<bool>) -> &'static str {
    match answers {
        None => "",
        Some(false) => "  does not answer",
        Some(true) => "  answers",
    }
}
