//! What the running node of the home says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::render::human::{count, counted, duration, rate};
use crate::cli::render::json::{all, view};
use crate::cli::say::names::Names;
use crate::model::{NodeId, Shown, Size};
use crate::wire::control::{self, ControlStatus, FriendState, JobState, NeighbourState, TrackerState, UploadState};

view! {
    RunningNode(told: ControlStatus) {
        /// The version of its program.
        version: String = told.running.version,
        /// Its process.
        pid: u32 = told.running.pid,
        /// Its node id.
        node: NodeId = told.running.node,
        /// For how many seconds it has run.
        up_s: u64 = told.up_ms / 1000,
        /// Its addresses, the likeliest first.
        addrs: Vec<OwnAddress> = all(&told.addrs, OwnAddress::of),
        /// The trackers that it was given.
        trackers: Vec<Tracker> = all(&told.trackers, Tracker::of),
        /// Its neighbours.
        neighbours: Vec<Neighbour> = all(&told.neighbours, Neighbour::of),
        /// The friends of the home.
        friends: Vec<Friend> = all(&told.friends, Friend::of),
        /// Names that it offers to anybody.
        offers: u64 = told.offers,
        /// Names that it offers altogether, to friends alone as well.
        all_offers: u64 = told.all_offers,
        /// What it fetches for commands that have left it.
        jobs: Vec<Job> = all(&told.jobs, Job::of),
        /// What is being fetched from it.
        uploads: Vec<Upload> = all(&told.uploads, Upload::of),
        /// Uploads that are over.
        uploads_ended: u64 = told.uploads_ended,
        /// Bytes of all uploads together.
        uploaded: u64 = told.uploaded,
        /// The memory that its process has, in bytes.
        memory: u64 = told.memory,
        /// What of it is bounded.
        budgets: Vec<Budget> = all(&told.budgets, Budget::of),
        /// Who came to its control socket with another key than this home's.
        refused: u64 = told.refused,
    }
}

view! {
    OwnAddress(of: &control::OwnAddress) {
        /// Which.
        addr: SocketAddr = of.addr,
        /// Whether a tracker has reached it there; null where no tracker has said anything.
        answers: Option<bool> = of.answers,
    }
}

view! {
    Tracker(of: &TrackerState) {
        /// As it was given.
        tracker: String = of.tracker.clone(),
        /// How many offers it holds of this node; null where it is not reached.
        offers: Option<u64> = of.offers,
    }
}

view! {
    Neighbour(of: &NeighbourState) {
        /// Who.
        node: NodeId = of.node,
        /// From where.
        addr: SocketAddr = of.addr,
        /// How many offers it says to have.
        offers: u64 = of.offers,
        /// The round trip in microseconds.
        rtt_us: u64 = of.rtt_us,
    }
}

view! {
    Friend(of: &FriendState) {
        /// Its name.
        name: String = of.name.clone(),
        /// Who.
        node: NodeId = of.node,
        /// Whether there is a connection.
        linked: bool = of.linked,
    }
}

view! {
    Job(of: &JobState) {
        /// Tells it from the others of the home.
        id: u64 = of.id,
        /// What.
        name: String = of.name.clone(),
        /// How it is.
        state: String = of.state.clone(),
        /// Proven bytes.
        have: u64 = of.have,
        /// Bytes altogether.
        total: u64 = of.total,
    }
}

view! {
    Upload(of: &UploadState) {
        /// Who fetches.
        node: NodeId = of.node,
        /// What; its id where it has no name.
        name: String = of.name.clone(),
        /// Bytes that went out.
        bytes: u64 = of.bytes,
        /// The content's bytes in all.
        size: u64 = of.size,
        /// Bytes a second, lately.
        rate: u64 = of.rate,
    }
}

view! {
    Budget(of: &control::Budget) {
        /// What.
        name: String = of.name.clone(),
        /// How much is in use.
        used: u64 = of.used,
        /// How much there is.
        of: u64 = of.of,
    }
}

impl RunningNode {
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
