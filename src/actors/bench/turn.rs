//! Whose turn it is at a bench. Invariant: one test at a time; who had the last one goes first for [`KEPT`], so that
//! the tests of one client are not mixed with those of another, and who asks no more holds nobody up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::io::net::link::Link;

/// How long a turn is kept for the next test of the same client.
const KEPT: Duration = Duration::from_secs(5);

/// The one turn.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<Option<Holder>>);

#[derive(Debug)]
struct Holder {
    link: Link,
    /// None while a test runs.
    idle: Option<Instant>,
}

impl Holder {
    fn keeps(&self, asker: &Link) -> bool {
        match self.idle {
            None => true,
            Some(_) if self.link.is_same(asker) || self.link.is_closed() => false,
            Some(since) => since.elapsed() < KEPT,
        }
    }
}

impl Turn {
    /// Takes the turn for one test; none while it is another's.
    pub(super) fn take(&self, link: &Link) -> Option<Taken<'_>> {
        let mut holder = self.lock();
        if holder.as_ref().is_some_and(|holder| holder.keeps(link)) {
            return None;
        }
        *holder = Some(Holder { link: link.clone(), idle: None });
        Some(Taken(self))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test runs until this is dropped, also when its task is aborted because the client is gone.
#[derive(Debug)]
pub(super) struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(holder) = self.0.lock().as_mut() {
            holder.idle = Some(Instant::now());
        }
    }
}
