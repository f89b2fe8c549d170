//! Which chunk lists are needed before units can be asked for, and who was asked for them.
//! Invariant: at most two requests for one list at a time, and at most [`AHEAD`] lists under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::logic::picker::State;
use crate::model::NodeId;
use crate::model::chunk_list::CV_LEN;

use super::event::Output;
use super::provider::{Holding, Provider};
use super::request::{Asked, Request};
use super::{RequestId, Transfer};

/// Lists asked for at the same time: enough to hide a round trip, few enough to leave the streams to units.
const AHEAD: usize = 8;

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
    pub(super) fn ask_lists(&mut self, now: Duration, out: &mut Vec<Output>) {
        while self.lists.asked.len() < AHEAD {
            let Some((file, node)) = self.next_list(now) else { return };
            self.lists.needed.remove(&file);
            let layout = self.map.files()[file].layout;
            let last = layout.size() - u64::from(layout.chunks() - 1) * layout.chunk_size();
            let expected = u64::from(layout.chunks()) * CV_LEN as u64 + last;
            let request = self.open(Request::new(node, Asked::List(file), expected, now), now);
            self.lists.asked.entry(file).or_default().insert(request);
            out.push(Output::List { request, node, file });
        }
    }

    fn next_list(&self, now: Duration) -> Option<(usize, NodeId)> {
        self.lists.needed.iter().take(64).find_map(|&file| Some((file, self.lister(file, now)?)))
    }

    fn lister(&self, file: usize, now: Duration) -> Option<NodeId> {
        let asked = self.lists.asked.get(&file);
        let is_asked = |p: &Provider| asked.is_some_and(|ids| ids.iter().any(|id| p.requests.contains(id)));
        let able = self.providers.iter().filter(|(_, p)| {
            p.is_ready(now) && !p.is_stalled(now) && !p.spoilt.contains(&file) && !is_asked(p) && self.lists_of(p, file)
        });
        // Not all lists to one provider: how many it already owes counts against its rate.
        let merit = |p: &Provider| p.speed.rate(now).unwrap_or(1 << 20) / (1 + self.lists_asked(p));
        able.max_by_key(|(_, p)| (!p.is_partial(), merit(p))).map(|(node, _)| *node)
    }

    fn lists_of(&self, provider: &Provider, file: usize) -> bool {
        match &provider.holding {
            None => false,
            Some(Holding::All) => true,
            Some(Holding::Part(field)) => {
                !provider.no_list.contains(&file) && self.map.files()[file].units().any(|u| field.has(u))
            }
        }
    }

    fn lists_asked(&self, provider: &Provider) -> u64 {
        let is_list = |id: &&RequestId| self.requests.get(id).is_some_and(|r| matches!(r.asked, Asked::List(_)));
        provider.requests.iter().filter(is_list).count() as u64
    }

    /// The file's units can be proven now, and its last chunk is.
    pub(super) fn on_list(&mut self, request: RequestId, file: usize, now: Duration, out: &mut Vec<Output>) {
        if let Some(found) = self.requests.get_mut(&request) {
            let missing = found.outstanding();
            self.count(request, missing, 0, now);
        }
        let Some(units) = self.map.files().get(file).map(|f| f.units()) else { return };
        let others = self.lists.proven(file);
        others.into_iter().filter(|id| *id != request).for_each(|id| self.cancel(id, now, out));
        for unit in units.clone() {
            if self.picker.state(unit) == State::Blocked {
                self.picker.set(unit, State::Wanted);
            }
        }
        if let Some(last) = units.last() {
            self.settle(last, Some(request), now, out);
        }
        self.close(request, now);
        self.hungry();
    }
}
