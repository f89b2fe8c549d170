//! Asking a second provider for what a slow one still owes.
//! Invariant: never a third holder; a unit is taken only from one that needs far longer than the thief. Of two holders that
//! both do, the slower one gives way.

use std::time::Duration;

use crate::logic::picker::Hold;
use crate::model::NodeId;

use super::event::Order;
use super::provider::{Provider, STALLED, STEP};
use super::request::{Asked, Request};
use super::{RequestId, Transfer};

/// How long the other one has to need before anything is taken from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margin {
    /// More than so many times the thief's own time.
    times: u32,
    /// And more than this.
    least: Duration,
    /// How many times the age of a request counts that has brought nothing after two round trips.
    mute: u32,
}

/// Before new work: only from one that has stalled, or is ten times slower and not about to be done.
pub(super) const WITH_WORK: Margin = Margin { times: 10, least: STALLED, mute: 1 };
/// With nothing left to be asked for: from whoever needs three times longer.
pub(super) const IDLE: Margin = Margin { times: 3, least: Duration::ZERO, mute: 3 };
/// A flow needs some round trips to find its rate, and may have to wait for its turn first: until then its rate says
/// only how it began.
const SETTLED: Duration = Duration::from_secs(1);
/// The thief's rate while it is not known: it has to show itself first.
const UNKNOWN_RATE: u64 = 1 << 20;

impl Transfer {
    pub(super) fn steal(&mut self, thief: NodeId, margin: Margin, now: Duration, out: &mut Vec<Order>) -> bool {
        let Some(provider) = self.providers.get(&thief) else { return false };
        let Some((victim, left, unit)) = self.slowest(thief, margin, now) else { return false };
        let own = self.time_for(provider, self.picker.len(unit), now);
        if left <= (own * margin.times).max(margin.least) {
            return false;
        }
        let units = self.loot(victim, provider);
        let bytes = units.iter().map(|u| self.picker.len(*u)).sum();
        let id = self.open(Request::new(thief, Asked::Units, bytes, now), now);
        for unit in units {
            if self.picker.hold(unit, id) != Hold::Refused
                && let Some(request) = self.requests.get_mut(&id)
            {
                request.pending.insert(unit);
            }
        }
        self.order(id, out);
        true
    }

    /// Gives up the slower of two requests that hold the same unit, where both need far longer than one that has nothing else
    /// to do: slow ones must not keep a unit to themselves by being two. That one has given something, or was never waited
    /// for and neither of the two sends anything: so those who wait for their turn do not take each other's place for ever.
    pub(super) fn displace(&mut self, thief: NodeId, margin: Margin, now: Duration, out: &mut Vec<Order>) -> bool {
        let slowest = self.slower_of_two(thief, margin, now);
        slowest.into_iter().for_each(|id| self.cancel(id, now, out));
        slowest.is_some()
    }

    fn slower_of_two(&self, thief: NodeId, margin: Margin, now: Duration) -> Option<RequestId> {
        let provider =
            self.providers.get(&thief).filter(|provider| provider.gave || provider.quiet_before.is_zero())?;
        let left = |id: RequestId| {
            let request = self.requests.get(&id).filter(|request| request.node != thief)?;
            Some((self.time_left(request, (provider, margin), now), id))
        };
        let held = self.requests.values().flat_map(|request| &request.pending);
        let pairs = held.filter(|unit| self.may_bring(provider, **unit)).filter_map(|&unit| {
            let [Some(one), Some(other)] = self.picker.holders(unit) else { return None };
            if !provider.gave && !(self.is_still(one, now) && self.is_still(other, now)) {
                return None;
            }
            let (one, other) = (left(one)?, left(other)?);
            let own = self.time_for(provider, self.picker.len(unit), now);
            (one.min(other).0 > (own * margin.times).max(margin.least)).then_some(one.max(other))
        });
        pairs.max().map(|(_, id)| id)
    }

    /// Whether nothing of a request has come, nor anything else from its provider of late.
    fn is_still(&self, id: RequestId, now: Duration) -> bool {
        let of = self.requests.get(&id).and_then(|request| Some((request, self.providers.get(&request.node)?)));
        of.is_some_and(|(request, provider)| {
            let untouched = request.outstanding() == request.expected;
            provider.is_stalled(now) || (untouched && provider.is_still(now))
        })
    }

    /// The request of others that will take longest among those that hold something the thief can bring.
    fn slowest(&self, thief: NodeId, margin: Margin, now: Duration) -> Option<(RequestId, Duration, u32)> {
        let provider = self.providers.get(&thief)?;
        // A second of one network that nobody knows yet would hold it as well as the first.
        let unknown = !provider.gave && self.is_rivalled(provider, now);
        let is_kin = |r: &Request| self.providers.get(&r.node).is_some_and(|p| p.network == provider.network);
        let others = self.requests.iter().filter(|(_, r)| r.node != thief && r.asked.holds());
        let others = others.filter(|(_, r)| !(unknown && is_kin(r)));
        let able = others.filter_map(|(id, r)| {
            let unit = r.pending.iter().rev().find(|u| self.can_steal(provider, **u))?;
            Some((*id, self.time_left(r, (provider, margin), now), *unit))
        });
        able.max_by_key(|(_, left, _)| *left)
    }

    fn can_steal(&self, thief: &Provider, unit: u32) -> bool {
        self.picker.is_shareable(unit) && self.may_bring(thief, unit)
    }

    /// What is taken at once: one unit, or of many small ones the latter half, up to a mebibyte.
    fn loot(&self, victim: RequestId, thief: &Provider) -> Vec<u32> {
        let Some(request) = self.requests.get(&victim) else { return Vec::new() };
        let half = request.pending.len().div_ceil(2).min(256);
        let (mut units, mut bytes) = (Vec::new(), 0);
        for &unit in request.pending.iter().rev().filter(|u| self.can_steal(thief, **u)).take(half) {
            bytes += self.picker.len(unit);
            if bytes > 1 << 20 && !units.is_empty() {
                break;
            }
            units.push(unit);
        }
        units
    }

    /// When the request will be done, as far as can be told: a provider's requests advance side by side.
    /// One of another network does not wait for one that is late with all.
    fn time_left(&self, request: &Request, (thief, margin): (&Provider, Margin), now: Duration) -> Duration {
        let Some(provider) = self.providers.get(&request.node) else { return Duration::MAX };
        if provider.is_stalled(now) || (provider.late && provider.network != thief.network) {
            return Duration::MAX;
        }
        match provider.speed.rate(now).filter(|_| provider.speed.busy(now) >= SETTLED) {
            None if request.received < STEP => now.saturating_sub(request.since + 2 * provider.rtt) * margin.mute,
            None => now.saturating_sub(request.since),
            Some(rate) => duration(self.outstanding_of(provider), rate),
        }
    }

    fn time_for(&self, provider: &Provider, bytes: u64, now: Duration) -> Duration {
        let rate = provider.speed.rate(now).unwrap_or(UNKNOWN_RATE);
        provider.rtt + duration(bytes + self.outstanding_of(provider), rate)
    }
}

impl Asked {
    const fn holds(self) -> bool {
        !matches!(self, Self::List(_))
    }
}

/// How long so many bytes take at so many a second.
pub(super) fn duration(bytes: u64, rate: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / rate.max(1)).min(Duration::from_secs(3600))
}
