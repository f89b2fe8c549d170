//! Which chunk lists are needed before units can be asked for, and who was asked for them.
//! Invariant: at most two requests for one list at a time, or one for each of [`ASKED`] networks, or as many while nobody who
//! was asked sends anything; at most [`AHEAD`] lists under way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::logic::picker::{Hold, State};
use crate::model::NodeId;
use crate::model::units::chunk_list::CV_LEN;

use super::denial::Part;
use super::event::Order;
use super::provider::{Holding, Provider};
use super::request::{Asked, Request};
use super::steal::duration;
use super::{RequestId, Transfer};

/// Lists asked for at the same time: enough to hide a round trip, few enough to leave the streams to units.
pub(super) const AHEAD: usize = 8;
/// Nothing of a file can be asked for before its list: one that has not come after so long, or after [`ROUNDS`], is
/// asked of a second provider as well. That costs a thirtieth of the file where the line is slow.
const LATE: Duration = Duration::from_millis(5);
/// Round trips that a list may take, where these are longer.
const ROUNDS: u32 = 2;
/// And the time that all takes that its provider owes, at so many bytes per second, up to [`LATEST`].
const LINE: u64 = 20_000_000;
const LATEST: Duration = Duration::from_millis(100);
/// Networks of which a late list is asked, one after the other; or providers that send nothing at all.
const ASKED: usize = 8;
/// Of so many chunks at most, half a megabyte: a longer list may take its time, as its file does.
const SHORT: u32 = 16 << 10;
/// A last chunk of so many bytes is worth a cancelled stream; most of a smaller one is on its way already.
const WORTH_SHARING: u64 = 256 << 10;

/// After how long what is to come first is late, from one this far away that owes so many bytes.
pub(crate) fn patience(rtt: Duration, owed: u64) -> Duration {
    LATE.max(ROUNDS * rtt) + duration(owed, LINE).min(LATEST)
}

/// The lists that are still to come.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    needed: BTreeSet<usize>,
    asked: BTreeMap<usize, BTreeSet<RequestId>>,
}

impl Lists {
    /// The list is to be asked for (again).
    pub(super) fn need(&mut self, file: usize) {
        if self.asked.get(&file).is_none_or(|ids| ids.len() < 2) {
            self.needed.insert(file);
        }
    }

    /// A request for it ended without it, unless it was proven before.
    pub(super) fn ended(&mut self, file: usize, id: RequestId) {
        if let Some(ids) = self.asked.get_mut(&file) {
            ids.remove(&id);
            if ids.is_empty() {
                self.asked.remove(&file);
                self.needed.insert(file);
            }
        }
    }

    fn proven(&mut self, file: usize) -> BTreeSet<RequestId> {
        self.needed.remove(&file);
        self.asked.remove(&file).unwrap_or_default()
    }
}

impl Transfer {
    /// Asks for needed lists: the fastest complete provider first, then partial ones that have a unit of the file.
    pub(super) fn ask_lists(&mut self, now: Duration, out: &mut Vec<Order>) {
        while let Some((file, node)) = self.next_list(now) {
            self.lists.needed.remove(&file);
            let expected = self.list_bytes(file);
            let request = self.open(Request::new(node, Asked::List(file), expected, now), now);
            self.lists.asked.entry(file).or_default().insert(request);
            out.push(Order::List { request, node, file });
        }
    }

    /// Short lists that are late are asked for once more.
    pub(super) fn hurry_lists(&mut self, now: Duration) {
        let is_late = |id: &RequestId| {
            let request = self.requests.get(id)?;
            let provider = self.providers.get(&request.node)?;
            Some(now >= request.since + patience(provider.rtt, self.outstanding_of(provider)))
        };
        let all_late = |ids: &BTreeSet<RequestId>| ids.iter().all(|id| is_late(id).unwrap_or(true));
        let is_short = |file: usize| self.map.files()[file].layout.chunks() <= SHORT;
        let asked = self.lists.asked.iter();
        let late: Vec<_> =
            asked.filter(|(file, ids)| is_short(**file) && all_late(ids)).map(|(file, _)| *file).collect();
        for file in late {
            self.lists.need(file);
            let elsewhere = self.lists.asked.get(&file).is_some_and(|ids| (2..ASKED).contains(&ids.len()));
            if elsewhere && self.lister(file, now).is_some() {
                self.lists.needed.insert(file);
            }
        }
    }

    fn next_list(&self, now: Duration) -> Option<(usize, NodeId)> {
        let Lists { needed, asked } = &self.lists;
        let may = |file: &&usize| asked.len() < AHEAD || asked.contains_key(*file);
        needed.iter().filter(may).take(64).find_map(|&file| Some((file, self.lister(file, now)?)))
    }

    fn lister(&self, file: usize, now: Duration) -> Option<NodeId> {
        let asked = self.lists.asked.get(&file);
        let is_asked = |p: &Provider| asked.is_some_and(|ids| ids.iter().any(|id| p.requests.contains(id)));
        let those = || self.providers.values().filter(|p| is_asked(p));
        let networks: BTreeSet<IpAddr> = those().map(|p| p.network).collect();
        let is_new = |p: &Provider| !networks.contains(&p.network);
        let full = asked.is_some_and(|ids| ids.len() >= 2) && !those().all(|p| p.late || p.is_stalled(now));
        let able = self.providers.iter().filter(|(_, p)| {
            let able = p.is_ready(now) && !p.is_stalled(now) && !p.denials.blocks(Part::File(file));
            able && !is_asked(p) && self.lists_of(p, file) && (is_new(p) || !full)
        });
        // Not all lists to one provider: how many it already owes counts against its rate.
        let merit = |p: &Provider| p.speed.rate(now).unwrap_or(1 << 20) / (1 + self.lists_asked(p));
        able.max_by_key(|(_, p)| (is_new(p), !p.is_partial(), Reverse(self.tries(p)), merit(p))).map(|(node, _)| *node)
    }

    pub(super) fn lists_of(&self, provider: &Provider, file: usize) -> bool {
        match &provider.holding {
            None => false,
            Some(Holding::All) => true,
            Some(Holding::Part(field)) => {
                !provider.no_list.contains(&file) && self.map.files()[file].units().any(|u| field.has(u))
            }
        }
    }

    /// What comes with a file's list: it, and the last chunk.
    pub(crate) fn list_bytes(&self, file: usize) -> u64 {
        let layout = self.map.files()[file].layout;
        let last = layout.size() - u64::from(layout.chunks() - 1) * layout.chunk_size();
        u64::from(layout.chunks()) * CV_LEN as u64 + last
    }

    fn lists_asked(&self, provider: &Provider) -> u64 {
        let is_list = |id: &&RequestId| self.requests.get(id).is_some_and(|r| matches!(r.asked, Asked::List(_)));
        provider.requests.iter().filter(is_list).count() as u64
    }

    /// The file's units can be proven now. Its last chunk is on its way as a unit like any other; a source that many
    /// fetch from sends it to each of them, unless they leave it to be chosen.
    pub(super) fn on_list(&mut self, id: RequestId, file: usize, now: Duration, out: &mut Vec<Order>) {
        let Some(units) = self.map.files().get(file).map(|f| f.units()) else { return };
        let others = self.lists.proven(file);
        others.into_iter().filter(|other| *other != id).for_each(|other| self.cancel(other, now, out));
        for unit in units.clone() {
            if self.picker.state(unit) == State::Blocked {
                self.picker.set(unit, State::Wanted);
            }
        }
        if let (Some(request), Some(last)) = (self.requests.get_mut(&id), units.last()) {
            let provider = self.providers.get(&request.node);
            let shared = provider.is_some_and(Provider::is_crowded) && self.picker.len(last) >= WORTH_SHARING;
            request.asked = Asked::Units;
            if shared || self.picker.hold(last, id) == Hold::Refused {
                self.cancel(id, now, out);
            } else {
                request.pending.insert(last);
            }
        }
        self.hungry();
    }
}
