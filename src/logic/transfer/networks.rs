//! Providers by their networks: while some network has proven nothing, few of it are tried at a time and others of other
//! networks come first, so that many identities at one address hold up no more than one would. Where all providers are of
//! one network nothing of this counts.
//! Invariant: of a network that has others beside it, at most one more than have brought something are asked for their
//! first units at a time; those that are late do not count.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::logic::picker::RequestId;
use crate::model::NodeId;

use super::Transfer;
use super::event::Order;
use super::provider::Provider;
use super::request::Asked;

/// Whoever was asked and has given nothing for so long and [`ROUNDS`] is late with all.
const LATE: Duration = Duration::from_millis(100);
/// Round trips that its first byte may take besides.
const ROUNDS: u32 = 4;

/// How many of each network were left without having brought anything, since one of it last did.
#[derive(Debug, Clone, Default)]
pub(super) struct Vain(BTreeMap<IpAddr, u32>);

impl Vain {
    pub(super) fn left(&mut self, provider: &Provider) {
        if !provider.gave {
            *self.0.entry(provider.network).or_default() += 1;
        }
    }

    pub(super) fn gave(&mut self, provider: &mut Provider) {
        provider.gave = true;
        self.0.remove(&provider.network);
    }

    /// How many before this one were in vain; who has brought something stands for itself.
    pub(super) fn before(&self, provider: &Provider) -> u32 {
        self.0.get(&provider.network).copied().filter(|_| !provider.gave).unwrap_or(0)
    }
}

impl Provider {
    /// Nothing has come for so long that the first byte of what it was asked for would be there.
    pub(super) fn is_still(&self, now: Duration) -> bool {
        self.quiet(now) >= LATE + ROUNDS * self.rtt
    }

    /// It was asked long enough ago, and nothing at all has come from it so far.
    fn is_mute(&self, now: Duration) -> bool {
        !self.requests.is_empty() && !self.gave && self.speed.total == 0 && self.is_still(now)
    }

    fn is_tried(&self) -> bool {
        !self.gave && !self.requests.is_empty()
    }
}

impl Transfer {
    /// Whether one of another network is there that may bring something.
    pub(super) fn is_rivalled(&self, provider: &Provider, now: Duration) -> bool {
        let useful = |p: &Provider| p.is_ready(now) && !p.late && !p.is_stalled(now) && !self.has_only_a_part(p);
        self.providers.values().any(|other| other.network != provider.network && useful(other))
    }

    /// Whether it may be asked for units, as far as its network goes.
    pub(super) fn may_try(&self, provider: &Provider, now: Duration) -> bool {
        let of_it = || self.providers.values().filter(|other| other.network == provider.network);
        let few = || of_it().filter(|p| p.is_tried() && !p.late).count() <= of_it().filter(|p| p.gave).count();
        let first = provider.requests.is_empty() && !provider.gave;
        let yields = provider.late || (first && !few());
        !yields || !self.is_rivalled(provider, now)
    }

    /// How many of its network were tried in vain, or are being tried now; the fewer, the sooner it is its turn.
    pub(super) fn tries(&self, provider: &Provider) -> usize {
        if provider.gave {
            return 0;
        }
        let tried = self.providers.values().filter(|other| other.network == provider.network && other.is_tried());
        tried.count() + self.vain.before(provider) as usize
    }

    /// Notes who is late, and keeps nothing back for them while others are there.
    pub(super) fn note_late(&mut self, now: Duration, out: &mut Vec<Order>) {
        self.providers.values_mut().for_each(|provider| provider.late = provider.is_mute(now));
        let late = self.providers.iter().filter(|(_, p)| p.late && self.is_rivalled(p, now));
        let late: Vec<NodeId> = late.map(|(node, _)| *node).collect();
        for node in late {
            self.offer_elsewhere(node);
            self.unblock(node, now, out);
        }
    }

    /// What it may choose from is listed to others, too.
    fn offer_elsewhere(&mut self, node: NodeId) {
        let Self { requests, listed, .. } = self;
        let choices = requests.values().filter(|r| r.node == node && matches!(r.asked, Asked::Choice(_)));
        choices.for_each(|request| listed.retain(|unit| !request.listed.contains(unit)));
    }

    /// A unit has two holders at most: where both are late, one of them is enough to wait for.
    fn unblock(&mut self, node: NodeId, now: Duration, out: &mut Vec<Order>) {
        let of_late = |id: RequestId| {
            let provider = self.requests.get(&id).and_then(|request| self.providers.get(&request.node));
            provider.is_some_and(|provider| provider.late)
        };
        let blocks = |id: RequestId, unit: u32| match self.picker.holders(unit) {
            [Some(first), Some(second)] => second == id && of_late(first),
            _ => false,
        };
        let own = self.requests.iter().filter(|(_, request)| request.node == node);
        let blocking = own.filter(|(id, request)| request.pending.iter().any(|unit| blocks(**id, *unit)));
        let blocking: Vec<_> = blocking.map(|(id, _)| *id).collect();
        blocking.into_iter().for_each(|id| self.cancel(id, now, out));
    }
}
