//! When what is shared is published, and who is told then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::IndexState;
use crate::actors::index::waiters::how_far;
use crate::model::Offer;

/// The first publication waits so long for ids: a small tree is then announced once, not first without ids.
pub(super) const FIRST: Duration = Duration::from_millis(100);
/// Between two publications while ids fill in: each is one delta to each tracker.
pub(super) const PUBLISH: Duration = Duration::from_millis(200);
/// The same for each offer: what copying and comparing it costs, some 1 µs, is then a tenth of a core at most.
const PUBLISH_OFFER: Duration = Duration::from_micros(10);

impl IndexState {
    /// At once when nothing more is on its way or somebody waits, else in steps; names do not wait for ids.
    pub(super) fn is_due(&self) -> bool {
        if self.waiters.any(|name| self.catalogue.offer(name).is_some_and(|offer| offer.id.is_some())) {
            return true;
        }
        let quiet = self.tasks == 0 && self.hashing.is_idle();
        quiet || ((!self.is_first || self.tasks == 0) && self.published.elapsed() >= self.interval())
    }

    /// Whether nothing is on its way that would be published.
    pub(in crate::actors::index) fn is_settled(&self) -> bool {
        self.watching.is_idle() && self.tasks == 0 && self.hashing.is_idle() && !self.dirty
    }

    fn interval(&self) -> Duration {
        let offers = u32::try_from(self.catalogue.rows.len()).unwrap_or(u32::MAX);
        if self.is_first { FIRST } else { PUBLISH.saturating_add(PUBLISH_OFFER.saturating_mul(offers)) }
    }

    pub(super) fn publish(&mut self) {
        self.dirty = false;
        (self.published, self.is_first) = (Instant::now(), false);
        self.snapshot.send_replace(Arc::new(self.catalogue.snapshot()));
        self.offers.send_replace(self.catalogue.offers().clone());
        for event in std::mem::take(&mut self.identified) {
            self.outbox.push(event);
        }
        self.forget_later();
    }

    pub(super) fn tell_waiters(&mut self, progress: bool) {
        let (catalogue, hashing) = (&self.catalogue, &self.hashing);
        // An id counts once it is published: whoever is told may ask for it at once.
        let published = self.offers.borrow();
        let is_published = |offer: &Offer| published.get(&offer.name) == Some(offer);
        self.waiters.tell(|name| how_far(catalogue, hashing, name, is_published), progress);
    }
}
