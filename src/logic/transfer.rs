//! The state machine of one transfer: whom to ask for which units, and what to make of what happens.
//! Invariants: outstanding bytes stay within the budgets; only proven units count as there.
//! Not responsible for bytes, streams, disks or clocks: the download actor does what the outputs say.

mod assign;
mod denial;
mod ends;
mod event;
pub mod files;
mod lists;
mod networks;
mod outlook;
mod provider;
mod record;
mod request;
pub mod speed;
mod steal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::logic::picker::{Hold, Picker, State};
use crate::model::{Bitfield, NodeId, UnitMap};
use crate::wire::HaveEvent;

pub use crate::logic::picker::RequestId;
pub use event::{End, Fault, Input, Order, Settings, Why};
pub(crate) use lists::patience;
pub use record::Record;

use lists::Lists;
use networks::Vain;
use provider::{Holding, Provider, SILENT};
use request::{Asked, Request};

/// How often a provider may claim each unit: an honest one does so once for each of its Watch streams.
const REPEATS: u64 = 4;

/// One transfer.
#[derive(Debug, Clone)]
pub struct Transfer {
    map: Arc<UnitMap>,
    settings: Settings,
    picker: Picker,
    providers: BTreeMap<NodeId, Provider>,
    requests: BTreeMap<RequestId, Request>,
    next_request: u64,
    lists: Lists,
    /// Units of an earlier run that are still to be hashed again.
    unverified: Bitfield,
    barred: HashSet<NodeId>,
    vain: Vain,
    /// Units among which some provider may choose: not listed to a second one.
    listed: HashSet<u32>,
    /// The largest unit in bytes.
    unit: u64,
    proven_bytes: u64,
    /// Of what is unverified.
    claimed_bytes: u64,
    complete: bool,
}

/// A provider, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderView {
    /// Which.
    pub node: NodeId,
    /// Bytes that came from it.
    pub bytes: u64,
    /// Bytes per second lately.
    pub rate: u64,
    /// Whether it is asked for something now.
    pub active: bool,
    /// Why nothing comes, if it asked to be left alone for a while or is silent.
    pub pausing: Option<Why>,
}

impl Transfer {
    /// A transfer that wants the units of `wanted`, of which an earlier run claims `have` and the chunk lists of
    /// `lists_known` (indexes of files). What is claimed counts once an `Input::Verified` says so.
    pub fn new(
        map: Arc<UnitMap>,
        wanted: &Bitfield,
        have: &Bitfield,
        lists_known: &BTreeSet<usize>,
        settings: Settings,
    ) -> Self {
        let mut picker = Picker::new(Arc::clone(&map), settings.seed);
        if settings.scatter {
            picker.begin_anywhere();
        }
        let (mut unverified, mut claimed_bytes) = (Bitfield::empty(map.units()), 0);
        let mut lists = Lists::default();
        let mut unit = 0;
        for (index, file) in map.files().iter().enumerate() {
            unit = unit.max(file.layout.chunk_size().min(file.layout.size()));
            let blocked = file.layout.needs_list() && !lists_known.contains(&index);
            for u in file.units().filter(|u| wanted.has(*u)) {
                let state = match (have.has(u), blocked) {
                    (true, _) => State::Have,
                    (_, true) => State::Blocked,
                    _ => State::Wanted,
                };
                picker.set(u, state);
                if state == State::Have {
                    unverified.set(u);
                    claimed_bytes += map.len(u);
                }
            }
            if blocked && file.units().any(|u| picker.state(u) == State::Blocked) {
                lists.need(index);
            }
        }
        Self {
            map,
            settings,
            picker,
            providers: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            lists,
            unverified,
            barred: HashSet::new(),
            vain: Vain::default(),
            listed: HashSet::new(),
            unit: unit.max(1),
            proven_bytes: 0,
            claimed_bytes,
            complete: false,
        }
    }

    /// The transfer is limited to another rate from now on.
    pub const fn set_limit(&mut self, limit: Option<u64>) {
        self.settings.limit = limit;
    }

    /// Tells what happened; says what is to be done.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<Order> {
        let mut out = Vec::new();
        self.take_in(input, now, &mut out);
        if self.complete {
            return out;
        }
        if self.picker.missing() == 0 && self.unverified.count() == 0 {
            self.complete = true;
            let all: Vec<_> = self.requests.keys().copied().collect();
            all.into_iter().for_each(|request| self.cancel(request, now, &mut out));
            out.push(Order::Complete);
            return out;
        }
        self.assign(now, &mut out);
        out
    }

    /// Bytes of wanted units that are proven, those of earlier runs included once they are verified.
    pub const fn proven_bytes(&self) -> u64 {
        self.proven_bytes
    }

    /// Bytes of wanted units that earlier runs proved and that are still to be verified.
    pub const fn claimed_bytes(&self) -> u64 {
        self.claimed_bytes
    }

    /// Whether the unit is there and proven.
    pub fn has(&self, unit: u32) -> bool {
        self.picker.state(unit) == State::Have && !self.unverified.has(unit)
    }

    /// The connected providers.
    pub fn providers(&self, now: Duration) -> Vec<ProviderView> {
        let view = |(node, p): (&NodeId, &Provider)| ProviderView {
            node: *node,
            bytes: p.speed.total,
            rate: if p.requests.is_empty() { 0 } else { p.speed.rate(now).unwrap_or(0) },
            active: !p.requests.is_empty(),
            pausing: p.pausing(now).or_else(|| self.has_only_a_part(p).then_some(Why::Partial)),
        };
        self.providers.iter().map(view).collect()
    }

    fn take_in(&mut self, input: Input, now: Duration, out: &mut Vec<Order>) {
        match input {
            Input::Bytes { request, bytes } => self.count(request, bytes, 0, now),
            Input::Claimed { units } => self.on_claimed(&units),
            Input::Ended { request, end } => self.on_end(request, end, now, out),
            Input::Fault { request, unit, fault: Fault::Changed } => self.on_changed(request, unit, now, out),
            Input::Fault { request, fault: Fault::Lie, .. } => self.on_lie(request, now, out),
            Input::Fault { request, unit, fault: Fault::Missing } => self.on_missing(request, unit, now, out),
            Input::Have { node, event } => self.on_have(node, &event, now, out),
            Input::Held { node, time } => {
                if let Some(provider) = self.providers.get_mut(&node) {
                    provider.held(time, now);
                }
            }
            Input::ListKnown { request, file } => self.on_list(request, file, now, out),
            Input::Lost { node } => drop(self.remove(node, now, out)),
            Input::Proven { request, units } => self.on_proven(request, &units, now, out),
            Input::Ready { node, rtt, network } => self.on_ready(node, rtt, network, now),
            Input::Started { request, unit } => self.on_started(request, unit, now, out),
            Input::Tick => self.on_tick(now, out),
            Input::Unproven { unit } => {
                if self.unverified.clear(unit) {
                    self.claimed_bytes -= self.picker.len(unit);
                    self.picker.set(unit, State::Wanted);
                }
            }
            Input::Verified { units } => {
                for unit in units {
                    if self.unverified.clear(unit) {
                        self.claimed_bytes -= self.picker.len(unit);
                        self.proven_bytes += self.picker.len(unit);
                    }
                }
            }
        }
    }

    /// Only units that nobody could be asked for yet.
    fn on_claimed(&mut self, units: &[u32]) {
        for &unit in units {
            if self.picker.state(unit) == State::Blocked {
                self.picker.set(unit, State::Have);
                self.unverified.set(unit);
                self.claimed_bytes += self.picker.len(unit);
            }
        }
    }

    fn on_ready(&mut self, node: NodeId, rtt: Duration, network: IpAddr, now: Duration) {
        if !self.barred.contains(&node) {
            let provider = self.providers.entry(node).or_insert_with(|| Provider::new(rtt, network, now));
            (provider.rtt, provider.network) = (rtt, network);
        }
    }

    fn on_have(&mut self, node: NodeId, event: &HaveEvent, now: Duration, out: &mut Vec<Order>) {
        if event.gone {
            let why = if event.changed.is_empty() { Why::Gone } else { Why::Changed };
            return self.leave(node, why, now, out);
        }
        self.spoil_units(node, &event.changed, now, out);
        let total = self.map.units();
        let Some(provider) = self.providers.get_mut(&node) else { return };
        provider.fetching = event.fetching;
        provider.starved = None;
        if event.complete {
            if let Some(Holding::Part(had)) = provider.holding.replace(Holding::All) {
                self.picker.shrink(had.iter());
            }
            return;
        }
        if let Some(Holding::All) = provider.holding {
            return;
        }
        let holding = provider.holding.get_or_insert_with(|| Holding::Part(Bitfield::empty(total)));
        let Holding::Part(field) = holding else { return };
        provider.claimed += event.units.iter().map(|&(_, count)| u64::from(count)).sum::<u64>();
        if provider.claimed > REPEATS * u64::from(total) {
            return self.leave(node, Why::Failing, now, out);
        }
        let claimed = event.units.iter().flat_map(|&(first, count)| first..first.saturating_add(count).min(total));
        let new: Vec<u32> = claimed.filter(|unit| field.set(*unit)).collect();
        self.picker.spread(new.into_iter());
    }

    fn on_proven(&mut self, request: RequestId, units: &[u32], now: Duration, out: &mut Vec<Order>) {
        let bytes = units.iter().map(|u| self.picker.len(*u)).sum();
        self.count(request, 0, bytes, now);
        if let Some(provider) = self.requests.get(&request).and_then(|r| self.providers.get_mut(&r.node)) {
            self.vain.gave(provider);
            provider.strikes = 0;
            provider.why_paused = None;
            for &unit in units {
                if let Some(place) = self.map.place(unit) {
                    provider.denials.forgive(unit, place.file);
                }
            }
        }
        for &unit in units {
            self.settle(unit, Some(request), now, out);
        }
    }

    /// A unit is there: whoever else was asked for it need not send it any more.
    fn settle(&mut self, unit: u32, by: Option<RequestId>, now: Duration, out: &mut Vec<Order>) {
        if matches!(self.picker.state(unit), State::Have | State::Unwanted) {
            return;
        }
        let mut touched = self.picker.complete(unit);
        self.proven_bytes += self.picker.len(unit);
        if self.listed.remove(&unit) {
            touched.extend(self.requests.iter().filter(|(_, r)| r.listed.contains(&unit)).map(|(id, _)| *id));
        }
        touched.extend(by);
        for id in touched {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            request.pending.remove(&unit);
            request.listed.remove(&unit);
            if request.is_pointless() && by != Some(id) {
                self.cancel(id, now, out);
            }
        }
    }

    /// The provider has chosen: the unit is in flight, and the others of its list are free when it has chosen all.
    fn on_started(&mut self, id: RequestId, unit: u32, now: Duration, out: &mut Vec<Order>) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Asked::Choice(left) = request.asked else { return };
        if !request.listed.remove(&unit) {
            return;
        }
        self.listed.remove(&unit);
        request.asked = Asked::Choice(left.saturating_sub(1));
        if self.picker.hold(unit, id) != Hold::Refused {
            request.pending.insert(unit);
        }
        if left <= 1 {
            self.unlist(id);
        }
        if self.requests.get(&id).is_some_and(Request::is_pointless) {
            self.cancel(id, now, out);
        }
    }

    /// Nothing of the request's list may be chosen any more, or it is no longer counted on.
    fn unlist(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        for unit in std::mem::take(&mut request.listed) {
            self.listed.remove(&unit);
        }
        self.hungry();
    }

    /// Whoever found nothing to do may look again.
    fn hungry(&mut self) {
        self.providers.values_mut().for_each(|p| p.starved = None);
    }

    fn on_tick(&mut self, now: Duration, out: &mut Vec<Order>) {
        let stalled = self.providers.iter().filter(|(_, p)| p.is_stalled(now));
        let stalled: Vec<_> = stalled.map(|(node, p)| (*node, p.quiet(now), p.slow(now))).collect();
        for (node, quiet, slow) in stalled {
            if quiet >= SILENT {
                self.leave(node, Why::Silent, now, out);
            } else if slow >= SILENT && self.is_dispensable(node, now) {
                self.leave(node, Why::Crawling, now, out);
            } else {
                self.doubt(node);
            }
        }
        self.providers.values_mut().for_each(|p| p.denials.expire(now));
        self.note_late(now, out);
        self.hurry_lists(now);
        self.hungry();
    }

    /// Whether others that do not stall can bring whatever a provider was asked for.
    fn is_dispensable(&self, node: NodeId, now: Duration) -> bool {
        let others =
            || self.providers.iter().filter(|(other, p)| **other != node && p.is_ready(now) && !p.is_stalled(now));
        let Some(provider) = self.providers.get(&node) else { return false };
        provider.requests.iter().filter_map(|id| self.requests.get(id)).all(|request| {
            let mut units = request.pending.iter().chain(&request.listed);
            match request.asked {
                Asked::List(file) => others().any(|(_, other)| self.lists_of(other, file)),
                _ => units.all(|unit| others().any(|(_, other)| self.may_bring(other, *unit))),
            }
        })
    }

    /// A provider has stalled: what it was to choose from or to list is asked for elsewhere too.
    fn doubt(&mut self, node: NodeId) {
        let ids: Vec<_> = self.providers.get(&node).map_or_else(Vec::new, |p| p.requests.iter().copied().collect());
        for id in ids {
            let Some(request) = self.requests.get(&id) else { continue };
            match request.asked {
                Asked::Choice(_) => self.listed.retain(|unit| !request.listed.contains(unit)),
                Asked::List(file) => self.lists.need(file),
                Asked::Units => {}
            }
        }
    }

    fn count(&mut self, id: RequestId, received: u64, proven: u64, now: Duration) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let news = request.see(received, proven);
        if let Some(provider) = self.providers.get_mut(&request.node) {
            provider.gave(news, proven > 0, now);
        }
    }
}
