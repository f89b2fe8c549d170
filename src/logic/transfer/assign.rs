//! Giving work to providers: how much each may owe, in how large pieces, and which units.
//! Partial providers come first, so that a loaded source is asked only for what nobody else has.

use std::time::Duration;

use itertools::Itertools as _;

use crate::logic::picker::{Span, Taker};
use crate::model::NodeId;
use crate::model::units::bitfield::ranges_of;
use crate::wire::limits::{FETCH_RANGES, FETCH_UNITS};

use super::denial::Part;
use super::event::Order;
use super::provider::{Holding, Provider};
use super::request::{Asked, Request};
use super::steal::{IDLE, WITH_WORK};
use super::{RequestId, Transfer};

/// What a provider of unknown rate may owe: enough to find out.
const FIRST_WINDOW: u64 = 4 << 20;
/// For how long, and for how many round trips, the rate is unknown: a connection begins with a few packets a round
/// trip, and whoever asks for what came so far keeps it there.
const FINDING: (Duration, u32) = (Duration::from_secs(2), 16);
/// How long a provider's queue lasts, so that it never runs dry between two of our decisions.
const HORIZON: Duration = Duration::from_millis(500);
/// The same near the end, so that all are done at about the same time.
const SHORT_HORIZON: Duration = Duration::from_millis(100);
/// Pieces of a provider's window, so that one is always on its way while another is being asked for.
const PIECES: u64 = 4;
/// The largest request in bytes, unless a single unit is larger.
const MAX_SPAN: u64 = 4 << 20;
/// Requests to one provider at a time; well below the protocol's stream limit.
const MAX_REQUESTS: usize = 16;
/// Units among which a loaded provider may choose: at most, when they are large and when they are small.
const CHOICE: (usize, usize) = (64, FETCH_RANGES);

impl Transfer {
    pub(super) fn assign(&mut self, now: Duration, out: &mut Vec<Order>) {
        self.ask_lists(now, out);
        while self.round(now, out) {}
    }

    /// Gives at most one request to each provider, so that nobody takes everything; says whether anyone got one.
    fn round(&mut self, now: Duration, out: &mut Vec<Order>) -> bool {
        let load = Load::of(self, now);
        let slow = |p: &Provider| u64::MAX - p.speed.rate(now).unwrap_or(0);
        let key = |p: &Provider| (!p.is_partial(), self.vain.before(p), p.requests.is_empty(), slow(p));
        let ready = self.providers.iter().filter(|(_, p)| p.is_ready(now)).sorted_by_key(|(_, p)| key(p));
        let order: Vec<NodeId> = ready.map(|(node, _)| *node).collect();
        let mut any = false;
        for node in order {
            any |= self.feed(node, &load, now, out);
        }
        any
    }

    fn feed(&mut self, node: NodeId, load: &Load, now: Duration, out: &mut Vec<Order>) -> bool {
        let Some(provider) = self.providers.get(&node) else { return false };
        let starting = provider.requests.is_empty();
        if provider.requests.len() >= MAX_REQUESTS || provider.is_stalled(now) || !self.may_try(provider, now) {
            return false;
        }
        let counts = |p: &Provider| !p.requests.is_empty() && (!p.late || p.network == provider.network);
        if starting && self.providers.values().filter(|p| counts(p)).count() >= self.settings.max_active {
            return false;
        }
        let window = load.window(self, provider, now);
        let piece = load.piece(window);
        let next = piece.min(self.unit);
        let total = self.requests.values().map(Request::outstanding).sum::<u64>();
        if !starting && (self.outstanding_of(provider) + next > window || total + next > load.budget) {
            return false;
        }
        if starting && total > 0 && total + next > load.budget.max(load.floor) {
            return false;
        }
        self.steal(node, WITH_WORK, now, out)
            || self.acquire(node, piece, now, out)
            || (starting && self.picker.wanted() == 0 && self.take_over(node, now, out))
    }

    /// With nothing left to be asked for.
    fn take_over(&mut self, node: NodeId, now: Duration, out: &mut Vec<Order>) -> bool {
        let took = self.steal(node, IDLE, now, out);
        let gave_up = !took && self.displace(node, IDLE, now, out);
        if gave_up {
            // It is for this one, and not for whoever held it.
            self.steal(node, IDLE, now, out);
        }
        took || gave_up
    }

    fn acquire(&mut self, node: NodeId, piece: u64, now: Duration, out: &mut Vec<Order>) -> bool {
        let version = self.picker.version();
        let Some(provider) = self.providers.get(&node) else { return false };
        if provider.starved == Some(version) || self.picker.wanted() == 0 {
            return false;
        }
        let found = if provider.is_crowded() && self.picker.wanted() > 1 {
            self.offer_choice(node, piece, now, out)
        } else {
            self.take_units(node, piece, now, out)
        };
        if let Some(provider) = self.providers.get_mut(&node) {
            provider.starved = (!found).then_some(version);
        }
        found
    }

    /// Exactly these units, in order.
    fn take_units(&mut self, node: NodeId, piece: u64, now: Duration, out: &mut Vec<Order>) -> bool {
        let id = RequestId(self.next_request);
        let span = Span { bytes: piece, units: FETCH_UNITS as usize, ranges: FETCH_RANGES };
        let Self { providers, picker, map, .. } = self;
        let Some(provider) = providers.get(&node) else { return false };
        let rate = provider.speed.rate(now).unwrap_or(0);
        let allowed = |unit: u32| {
            provider.has(unit) && map.place(unit).is_some_and(|p| !provider.denials.blocks(Part::File(p.file)))
        };
        let units = match &provider.holding {
            Some(Holding::Part(field)) => picker.acquire_rarest(id, Some(field), span, allowed),
            _ => picker.acquire_region(id, Taker { node, rate }, span, allowed),
        };
        if units.is_empty() {
            return false;
        }
        let bytes = units.iter().map(|u| self.picker.len(*u)).sum();
        let mut request = Request::new(node, Asked::Units, bytes, now);
        request.pending = units.into_iter().collect();
        self.open(request, now);
        self.order(id, out);
        true
    }

    /// Any few of these units: the provider sends those that it has sent least. Not before the last choice has begun:
    /// a list that waits grows stale.
    fn offer_choice(&mut self, node: NodeId, piece: u64, now: Duration, out: &mut Vec<Order>) -> bool {
        let Some(provider) = self.providers.get(&node) else { return false };
        if provider.requests.iter().filter_map(|id| self.requests.get(id)).any(|r| !r.listed.is_empty()) {
            return false;
        }
        let mean = (self.picker.wanted_bytes() / u64::from(self.picker.wanted().max(1))).max(1);
        let limit = if mean >= 64 << 10 { CHOICE.0 } else { CHOICE.1 };
        let crowded = self.providers.values().filter(|p| p.is_crowded()).count();
        // Each of them shall find something to list, to the very end.
        let count = (self.picker.wanted() as usize).div_ceil(crowded.max(1)).clamp(1, limit);
        let allowed = |unit: u32| !self.listed.contains(&unit) && self.may_bring(provider, unit);
        let listed = self.picker.candidates(count, allowed);
        if listed.is_empty() {
            return false;
        }
        let max = (piece / mean).clamp(1, (listed.len() as u64 / 8).max(1));
        let mut request = Request::new(node, Asked::Choice(u32::try_from(max).unwrap_or(1)), max * mean, now);
        self.listed.extend(&listed);
        request.listed = listed.into_iter().collect();
        let id = self.open(request, now);
        self.order(id, out);
        true
    }

    /// Whether the provider has the unit and has not just denied its file.
    pub(super) fn may_bring(&self, provider: &Provider, unit: u32) -> bool {
        provider.has(unit) && self.map.place(unit).is_some_and(|place| !provider.denials.blocks(Part::File(place.file)))
    }

    pub(super) fn outstanding_of(&self, provider: &Provider) -> u64 {
        provider.requests.iter().filter_map(|id| self.requests.get(id)).map(Request::outstanding).sum()
    }

    /// Enters a request under the next number.
    pub(super) fn open(&mut self, request: Request, now: Duration) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        if let Some(provider) = self.providers.get_mut(&request.node) {
            if provider.requests.is_empty() {
                provider.begin(now);
            }
            provider.requests.insert(id);
        }
        self.requests.insert(id, request);
        id
    }

    /// Says to the outside what a request asks for.
    pub(super) fn order(&self, request: RequestId, out: &mut Vec<Order>) {
        let Some(entered) = self.requests.get(&request) else { return };
        let (units, max) = match entered.asked {
            Asked::Choice(max) => (&entered.listed, max),
            _ => (&entered.pending, u32::try_from(entered.pending.len()).unwrap_or(u32::MAX)),
        };
        out.push(Order::Fetch { request, node: entered.node, units: ranges_of(units.iter().copied()), max });
    }
}

/// How much may be asked for at this moment.
struct Load {
    /// Over all providers.
    budget: u64,
    /// One provider's fair share of it.
    share: u64,
    /// What a provider may always owe.
    floor: u64,
    /// How long the wanted units will last at everybody's rate together.
    lasting: Option<Duration>,
    /// Wanted bytes for each provider.
    fair: u64,
}

impl Load {
    fn of(transfer: &Transfer, now: Duration) -> Self {
        let ready = transfer.providers.values().filter(|p| p.is_ready(now));
        let (count, rate) = ready.fold((0, 0_u64), |(n, r), p| (n + 1, r + p.speed.rate(now).unwrap_or(0)));
        let active = (count as u64).clamp(1, transfer.settings.max_active as u64);
        let floor = 2 * transfer.unit;
        // One stream is enough where a unit takes longer than a second.
        let least = |limit: u64| if limit < transfer.unit { transfer.unit } else { floor };
        let paced = transfer.settings.limit.map_or(u64::MAX, |limit| limit.max(least(limit)));
        let budget = transfer.settings.process_budget.min(paced);
        let wanted = transfer.picker.wanted_bytes();
        let lasting = (rate > 0).then(|| Duration::from_millis(wanted.saturating_mul(1000) / rate));
        let share = (budget / active).clamp(floor.min(budget), transfer.settings.provider_budget.max(floor));
        Self { budget, share, floor, lasting, fair: wanted / (active * PIECES) }
    }

    /// What a provider may owe: its rate times a horizon that shrinks towards the end.
    fn window(&self, transfer: &Transfer, provider: &Provider, now: Duration) -> u64 {
        let Some(rate) = provider.speed.rate(now) else {
            return FIRST_WINDOW.clamp(self.floor.min(self.share), self.share);
        };
        let longest = (4 * provider.rtt).max(HORIZON);
        let shortest = (2 * provider.rtt).max(SHORT_HORIZON).min(longest);
        let horizon = self.lasting.map_or(longest, |left| (left / 2).clamp(shortest, longest));
        let bytes = u128::from(rate) * horizon.as_millis() / 1000;
        let most = self.share.min(transfer.settings.provider_budget.max(self.floor));
        let finding = provider.speed.busy(now) < FINDING.0.max(provider.rtt * FINDING.1);
        let least = if finding && horizon == longest { FIRST_WINDOW.max(self.floor) } else { self.floor };
        u64::try_from(bytes).unwrap_or(most).clamp(least.min(most), most)
    }

    /// How much one request asks for: the smaller, the closer the end.
    fn piece(&self, window: u64) -> u64 {
        (window / PIECES).min(MAX_SPAN).min(self.fair.max(64 << 10))
    }
}
