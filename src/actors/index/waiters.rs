//! Who waits for the id of an offer, and what they are told.
//! Invariant: a bounded number waits, each with a bounded channel; each is told exactly one end.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::actors::index::catalogue::Catalogue;
use crate::actors::index::hashing::Hashing;
use crate::model::{Offer, SafePath};
use crate::wire::ResolveEvent;
use crate::wire::code::{Code, Refusal};

/// The most that wait at once.
const MOST: usize = 1024;
/// When one too many is to ask again.
const RETRY_MS: u32 = 1000;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waiter>);

#[derive(Debug)]
struct Waiter {
    name: SafePath,
    tell: mpsc::Sender<ResolveEvent>,
}

impl Waiters {
    /// Adds one, or refuses it. Whether it waits now.
    pub(super) fn add(&mut self, name: SafePath, tell: mpsc::Sender<ResolveEvent>) -> bool {
        if self.0.len() >= MOST {
            // Those who asked and went away leave no later than they are in the way.
            self.0.retain(|waiter| !waiter.tell.is_closed());
        }
        if self.0.len() < MOST {
            self.0.push(Waiter { name, tell });
            return true;
        }
        // Nothing was sent on this channel yet, so there is room; if not, its end says the same.
        let _ = tell.try_send(ResolveEvent::Failed(Refusal { code: Code::Busy, retry_ms: RETRY_MS }));
        false
    }

    /// Tells each what `of` says about its offer. Those who were told an end leave; so do those who went away.
    pub(super) fn tell(&mut self, of: impl Fn(&SafePath) -> ResolveEvent, progress: bool) {
        self.0.retain(|waiter| {
            let event = of(&waiter.name);
            let is_end = !matches!(event, ResolveEvent::Hashing(..));
            if !is_end && !progress {
                return !waiter.tell.is_closed();
            }
            match waiter.tell.try_send(event) {
                Ok(()) => !is_end,
                // A missed step does not matter; an end is told again at the next tick.
                Err(TrySendError::Full(_)) => true,
                Err(TrySendError::Closed(_)) => false,
            }
        });
    }

    /// Whether somebody waits for an offer of which this is true.
    pub(super) fn any(&self, is: impl Fn(&SafePath) -> bool) -> bool {
        self.0.iter().any(|waiter| is(&waiter.name))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How far an offer is: its end is told only once `is_published`, for whoever is told may ask for it at once.
pub(super) fn how_far(
    catalogue: &Catalogue,
    hashing: &Hashing,
    name: &SafePath,
    is_published: impl Fn(&Offer) -> bool,
) -> ResolveEvent {
    let Some(offer) = catalogue.offer(name) else {
        return ResolveEvent::Failed(Refusal::from(Code::NotFound));
    };
    if offer.id.is_some() && is_published(&offer) {
        return ResolveEvent::Done(offer);
    }
    if catalogue.is_unsettled(name) {
        return ResolveEvent::Failed(Refusal::from(Code::Changed));
    }
    let tree = catalogue.tree_named(name);
    let done = match tree {
        None => hashing.running(|n| n == name),
        Some(key) => {
            let count = catalogue.roots[key].count;
            let running = hashing.running(|n| catalogue.rows.get(n).is_some_and(|row| row.root == key));
            count.bytes.saturating_sub(count.missing_bytes).saturating_add(running)
        }
    };
    ResolveEvent::Hashing(done.min(offer.size), offer.size)
}
