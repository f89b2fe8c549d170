//! What the running node of the home says of itself.

use std::time::Duration;

use crate::cli::render::human::{count, counted, duration, rate};
use crate::cli::render::json::view;
use crate::cli::say::names::Names;
use crate::model::{NodeId, Shown, Size};
use crate::wire::control::{
    Budget, ControlStatus, FriendState, JobState, NeighbourState, OwnAddress, TrackerState, UploadState,
};

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
        addrs: Vec<OwnAddress> = told.addrs,
        /// The trackers that it was given, and those that some of its offers were given.
        trackers: Vec<TrackerState> = told.trackers,
        /// Its neighbours.
        neighbours: Vec<NeighbourState> = told.neighbours,
        /// The friends of the home.
        friends: Vec<FriendState> = told.friends,
        /// Names that it offers to anybody.
        offers: u64 = told.offers,
        /// Names that it offers altogether, to friends alone as well.
        all_offers: u64 = told.all_offers,
        /// What it fetches for commands that have left it.
        jobs: Vec<JobState> = told.jobs,
        /// What is being fetched from it.
        uploads: Vec<UploadState> = told.uploads,
        /// Uploads that are over.
        uploads_ended: u64 = told.uploads_ended,
        /// Bytes of all uploads together.
        uploaded: u64 = told.uploaded,
        /// The memory that its process has, in bytes.
        memory: u64 = told.memory,
        /// What of it is bounded.
        budgets: Vec<Budget> = told.budgets,
        /// Who came to its control socket with another key than this home's.
        refused: u64 = told.refused,
    }
}

impl RunningNode {
    /// For people.
    pub(super) fn lines(&self, names: &Names) -> Vec<(&'static str, String)> {
        let up = duration(Duration::from_secs(self.up_s));
        let mut lines = vec![("running", format!("version {}, for {up}", Shown(&self.version)))];
        lines.extend(self.addrs.iter().map(|of| ("address", format!("{}{}", of.addr, reached(of.answers)))));
        lines.extend(self.trackers.iter().map(|of| {
            // Whoever has nothing to tell it does not go there for that.
            let untold = if self.all_offers == 0 { "told of nothing" } else { "not reached" };
            let offers = of.offers.map_or_else(|| untold.to_owned(), |n| counted(n, "offer"));
            let alone = if of.partly { ", told of no others" } else { "" };
            ("tracker", format!("{}  {offers}{alone}", Shown(&of.tracker)))
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
        lines.extend(self.uploads.iter().map(|of| ("upload", upload(of, names))));
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

fn upload(of: &UploadState, names: &Names) -> String {
    let (name, to) = (Shown(&of.name), names.whole(of.node));
    format!("{name}  {} of {} to {to}, {}", Size(of.bytes), Size(of.size), rate(of.rate))
}

const fn reached(answers: Option<bool>) -> &'static str {
    match answers {
        None => "",
        Some(false) => "  does not answer",
        Some(true) => "  answers",
    }
}
