//! A rate limit that tasks wait at: with what has come, in the order in which they come; with what is to go to others, by
//! turns of these. It may be changed while they wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::logic::limits::bucket::TokenBucket;
use crate::logic::limits::line::{Line, Ticket};
use crate::logic::limits::shares::Who;
use crate::model::Rate;

/// A shared token bucket with a clock, perhaps beneath one of all; cheap to clone. Without a rate nobody waits.
#[derive(Debug, Clone)]
pub struct Throttle {
    own: Arc<Limit>,
    all: Option<Arc<Limit>>,
}

#[derive(Debug)]
struct Limit {
    /// Bytes a second; 0 where there is no limit.
    rate: AtomicU64,
    queue: Mutex<Queue>,
    /// The rate, or who is first in the line.
    changed: Notify,
    started: Instant,
}

#[derive(Debug)]
struct Queue {
    bucket: Option<TokenBucket>,
    line: Line,
}

/// A place in a limit's line; given up when dropped.
struct Place<'a> {
    limit: &'a Limit,
    ticket: Ticket,
    bytes: u64,
}

/// What becomes of a place.
enum Turn {
    Come,
    /// The first one's, after so long.
    In(Duration),
    OfOthers,
}

impl Throttle {
    /// Limits to `rate`, or not at all.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        Self { own: Arc::new(Limit::new(rate)), all: None }
    }

    /// The same beneath the own limit of `all`: whoever passes here passes there, too.
    #[must_use]
    pub fn beneath(self, all: &Self) -> Self {
        Self { all: Some(Arc::clone(&all.own)), ..self }
    }

    /// Limits to another rate from now on, also those who wait.
    pub fn set(&self, rate: Option<Rate>) {
        self.own.set(rate);
    }

    /// Its own rate.
    pub fn own_rate(&self) -> Option<Rate> {
        self.own.rate()
    }

    /// The rate that there can be, with that of all.
    pub fn rate(&self) -> Option<Rate> {
        self.limits().filter_map(Limit::rate).min()
    }

    /// Waits until these bytes may go to a peer: who would have had them first if all were served at once goes first, and
    /// who gives up has spent nothing. They go at once when all that went before is paid, and are paid by those after them.
    pub async fn turn(&self, who: Who, bytes: u64) {
        for limit in self.limits() {
            limit.turn(who, bytes).await;
        }
    }

    /// Waits until these bytes are paid, which have come. Who came first goes first.
    pub async fn pass(&self, bytes: u64) {
        for limit in self.limits() {
            limit.pass(bytes).await;
        }
    }

    /// How many bytes to pass at a time: what goes in a quarter of a second, so that nobody waits long behind
    /// one step, and who is on the other side does not take a step for silence; everything when there is no limit.
    pub fn step(&self) -> u64 {
        self.rate().map_or(u64::MAX, |rate| (rate.get() / 4).max(1 << 10))
    }

    fn limits(&self) -> impl Iterator<Item = &Limit> {
        std::iter::once(&self.own).chain(&self.all).map(AsRef::as_ref)
    }
}

impl Limit {
    fn new(rate: Option<Rate>) -> Self {
        let queue = Mutex::new(Queue { bucket: rate.map(TokenBucket::new), line: Line::default() });
        let rate = AtomicU64::new(rate.map_or(0, Rate::get));
        Self { rate, queue, changed: Notify::new(), started: Instant::now() }
    }

    fn rate(&self) -> Option<Rate> {
        Rate::bytes_per_second(self.rate.load(Ordering::Relaxed))
    }

    fn set(&self, rate: Option<Rate>) {
        self.queue().bucket = rate.map(TokenBucket::new);
        self.rate.store(rate.map_or(0, Rate::get), Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, who: Who, bytes: u64) {
        if self.rate().is_none() {
            return;
        }
        let ticket = self.queue().line.join(who, bytes);
        let place = Place { limit: self, ticket, bytes };
        // Who came before everybody else makes them look again.
        self.changed.notify_waiters();
        loop {
            // Before the look: a change after it is not missed.
            let changed = self.changed.notified();
            match place.look() {
                Turn::Come => return,
                Turn::In(wait) => tokio::select! {
                    () = changed => {}
                    () = sleep(wait) => {}
                },
                Turn::OfOthers => changed.await,
            }
        }
    }

    async fn pass(&self, bytes: u64) {
        while self.rate().is_some() {
            // Before the look: a change after it is not missed.
            let changed = self.changed.notified();
            let wait = {
                let bucket = &mut self.queue().bucket;
                bucket.as_mut().map(|bucket| bucket.take(bytes, self.started.elapsed())).unwrap_or_default()
            };
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = sleep(wait) => return,
            }
        }
    }
}

impl Place<'_> {
    /// Takes the bytes when their turn has come.
    fn look(&self) -> Turn {
        let mut queue = self.limit.queue();
        let (now, is_first) = (self.limit.started.elapsed(), queue.line.first() == Some(self.ticket));
        let Some(bucket) = &mut queue.bucket else { return Turn::Come };
        if !is_first {
            return Turn::OfOthers;
        }
        let wait = bucket.due(now);
        if !wait.is_zero() {
            return Turn::In(wait);
        }
        // They go at once: whoever is next waits for them.
        let _ = bucket.take(self.bytes, now);
        queue.line.serve(self.ticket);
        Turn::Come
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limit.queue().line.leave(self.ticket);
        self.limit.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate(bytes: u64) -> Option<Rate> {
        Rate::bytes_per_second(bytes)
    }

    #[tokio::test]
    async fn who_waits_goes_on_at_the_new_rate() {
        let throttle = Throttle::new(rate(1 << 20));
        let waits = throttle.clone();
        // Seventeen minutes.
        let waiting = tokio::spawn(async move { waits.pass(1 << 30).await });
        tokio::task::yield_now().await;
        throttle.set(rate(1 << 40));
        waiting.await.expect("passed");
        throttle.set(rate(1));
        let waits = throttle.clone();
        let waiting = tokio::spawn(async move { waits.pass(1 << 30).await });
        tokio::task::yield_now().await;
        throttle.set(None);
        waiting.await.expect("passed");
        assert_eq!((throttle.step(), throttle.rate()), (u64::MAX, None));
    }

    #[tokio::test]
    async fn whoever_passes_beneath_passes_above_too() {
        let all = Throttle::new(None);
        let (one, other) = (Throttle::new(rate(4 << 20)).beneath(&all), Throttle::new(None).beneath(&all));
        assert_eq!((one.rate(), other.rate()), (rate(4 << 20), None));
        all.set(rate(1 << 20));
        assert_eq!((one.rate(), one.own_rate(), other.step()), (rate(1 << 20), rate(4 << 20), 256 << 10));
        let begun = Instant::now();
        tokio::join!(one.pass(128 << 10), other.pass(256 << 10));
        assert!(begun.elapsed() >= Duration::from_millis(300), "both together have that of all");
    }
}
