//! Whether the rest may still come from those who are connected, and what they deny of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::logic::picker::State;
use crate::model::NodeId;

use super::Transfer;
use super::event::Fault;
use super::provider::Provider;

impl Transfer {
    /// Whether some connected provider may still bring something that is missing and that it has not denied: whoever has
    /// a part may get more.
    pub fn has_hope(&self) -> bool {
        self.unverified.count() > 0 || self.providers.values().any(|provider| self.may_help(provider))
    }

    /// Whether nobody who is connected sends anything: each is silent, or has only a part and nothing of it is missing.
    pub fn is_silent(&self, now: Duration) -> bool {
        self.providers.values().all(|provider| provider.is_stalled(now) || self.has_only_a_part(provider))
    }

    /// Whatever could be asked for was asked for: who has a part and owes nothing has nothing that is missing.
    pub(super) fn has_only_a_part(&self, provider: &Provider) -> bool {
        provider.is_partial() && provider.requests.is_empty() && self.picker.missing() > 0
    }

    /// Whether somebody could be asked for what others still owe, as soon as these are late: all else was asked for.
    pub fn somebody_idles(&self, now: Duration) -> bool {
        let idles = |p: &Provider| p.is_ready(now) && p.requests.is_empty() && !p.is_partial();
        !self.requests.is_empty() && self.picker.wanted() == 0 && self.providers.values().any(idles)
    }

    fn may_help(&self, provider: &Provider) -> bool {
        let denials = &provider.denials;
        denials.is_empty() || self.missing().any(|(unit, file)| denials.fault(unit, file).is_none())
    }

    /// Files of the unit map of which something is missing that a provider denied, with what was wrong.
    pub fn denied(&self) -> BTreeMap<usize, Fault> {
        let mut denied = BTreeMap::new();
        let denying = self.providers.values().filter(|provider| !provider.denials.is_empty());
        for provider in denying {
            for (unit, file) in self.missing() {
                if let Some(fault) = provider.denials.fault(unit, file) {
                    denied.entry(file).or_insert(fault);
                }
            }
        }
        denied
    }

    /// Connected providers that denied something, with one thing that was wrong.
    pub fn denying(&self) -> BTreeMap<NodeId, Fault> {
        let first = |provider: &Provider| self.missing().find_map(|(unit, file)| provider.denials.fault(unit, file));
        let denying = self.providers.iter().filter(|(_, provider)| !provider.denials.is_empty());
        denying.filter_map(|(node, provider)| Some((*node, first(provider)?))).collect()
    }

    /// Units that are not there, with the index of their file.
    fn missing(&self) -> impl Iterator<Item = (u32, usize)> {
        let missing = |unit: &u32| !matches!(self.picker.state(*unit), State::Have | State::Unwanted);
        let place = |unit: u32| Some((unit, self.map.place(unit)?.file));
        (0..self.map.units()).filter(missing).filter_map(place)
    }
}
