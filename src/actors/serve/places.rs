//! The pools that requests go through, and what each of their places stands for.
//! All are divided so that the connections that one address may have, this machine's 1024 too, cannot keep a newcomer out:
//! beyond a network's share its peers have half of the reserve, `modest` each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::actors::limits::gauges::Gauges;
use crate::actors::limits::pool::{Pool, Taken};
use crate::actors::limits::reads::{Going, LANES, Lane, Reads, Turn};
use crate::logic::limits::shares::{Limits, Who};
use crate::model::NodeId;
use crate::wire::{Code, limits};

/// Of a request, in bytes, what is received without a place: most requests are smaller.
pub(super) const SMALL: usize = 4 << 10;
/// While others wait for room for their answers, one of which nothing is taken for so long gives way.
pub(super) const STALLED: Duration = Duration::from_secs(1);

/// So long one has no room that gave way so: as long as a frame may pause.
const PENANCE: Duration = Duration::from_secs(10);
/// Peers of which that is remembered.
const REMEMBERED: usize = 4096;

/// Requests that are answered. A getter has 16 at one provider, over 8 connections; who keeps no rules has 64 on each.
/// Of the reserve the 1024 connections of this machine have two each.
const REQUESTS: Limits = Limits { all: 8192, network: 2048, peer: 128, reserve: 4096, modest: 2 };
/// Streams of events, in units of [`UNIT`]: 64 MiB. Of the reserve the 1024 connections of this machine have two each.
const LASTING: Limits = Limits { all: 16_384, network: 8192, peer: 256, reserve: 4096, modest: 2 };
/// What a stream of events takes at most in memory, in bytes, when there is little to remember for it.
const UNIT: usize = 4 << 10;
/// Requests longer than [`SMALL`], in KiB: the longest is 64.
const BYTES: Limits = Limits { all: 8192, network: 4096, peer: 512, reserve: 2048, modest: 64 };
/// Answers on their way, in KiB: a page is at most 1024.
const PAGES: Limits = Limits { all: 32 << 10, network: 20 << 10, peer: 4 << 10, reserve: 8 << 10, modest: 1024 };

/// Room for requests, over all links; cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    requests: Pool,
    lasting: Pool,
    pub(super) bytes: Pool,
}

impl Default for Places {
    fn default() -> Self {
        Self { requests: Pool::new(REQUESTS), lasting: Pool::new(LASTING), bytes: Pool::new(BYTES) }
    }
}

impl Places {
    /// Has its owner see how much of it is in use.
    pub fn show(&self, gauges: &mut Gauges) {
        gauges.pool("requests answered", &self.requests);
        gauges.pool("requests longer than 4 KiB, in KiB", &self.bytes);
        gauges.pool("streams of events, in units of 4 KiB", &self.lasting);
    }

    /// A place for a whole request, which waits for its turn.
    pub(super) async fn place(&self, who: Who, large: Option<Taken>) -> RequestPlace {
        let request = self.requests.take(who, 1).await;
        RequestPlace { who, lasting: self.lasting.clone(), taken: request, large }
    }
}

/// The place of one request.
#[derive(Debug)]
pub(super) struct RequestPlace {
    who: Who,
    lasting: Pool,
    taken: Taken,
    /// Of a long request.
    large: Option<Taken>,
}

impl RequestPlace {
    /// Changes it for one among those that stay.
    pub(super) fn stay(&mut self, units: usize) -> Result<(), Code> {
        self.taken = self.lasting.try_take(self.who, units).ok_or(Code::Busy)?;
        self.large = None;
        Ok(())
    }
}

/// What a stream of events counts for that remembers so many bytes about its peer.
pub const fn lasting_units(remembered: usize) -> usize {
    1 + remembered / UNIT
}

/// At least so many KiB.
pub const fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1 << 10)
}

/// How long what a peer has room for may take to be acknowledged while others wait: 256 KiB/s (2 Mbit/s).
pub(super) const fn settling(len: usize) -> Duration {
    Duration::from_millis(STALLED.as_millis() as u64 + (len / 262) as u64)
}

/// Room for answers on their way; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pages {
    pool: Pool,
    /// Until when those have no room that did not take their last answer while others waited.
    stalled: Arc<Mutex<HashMap<NodeId, Instant>>>,
}

/// Room for one answer.
#[derive(Debug)]
#[must_use]
pub struct Room {
    taken: Taken,
    who: Who,
    pages: Pages,
}

impl Default for Pages {
    fn default() -> Self {
        Self { pool: Pool::new(PAGES), stalled: Arc::default() }
    }
}

impl Pages {
    /// Has its owner see how much of it is in use.
    pub fn show(&self, gauges: &mut Gauges) {
        gauges.pool("answers on their way, in KiB", &self.pool);
    }

    /// Room for one page, before it is made.
    async fn room(&self, who: Who) -> Room {
        self.room_for(who, limits::PAGE).await
    }

    /// An answer, made in the lane that it needs, with the room for it.
    pub(super) async fn made<F>(&self, reads: &Reads, who: Who, make: F) -> Result<(Box<[u8]>, Room), Code>
    where
        F: Fn(Going<'_>) -> Option<Result<Box<[u8]>, Code>> + Clone + Send + 'static,
    {
        for lane in LANES {
            let (turn, room) = self.turn(reads, who, lane).await;
            if let Some(answer) = turn.run(make.clone()).await {
                return Ok((answer?, room));
            }
        }
        Err(Code::Internal)
    }

    /// A turn, and the room for what is made in it: those who wait for their turn hold none, or dear questions would fill it. But
    /// where there is none at its turn others have that, and the next one is waited for with the room, or several would pass one
    /// room on to each other and none would have both.
    async fn turn(&self, reads: &Reads, who: Who, lane: Lane) -> (Turn, Room) {
        let turn = reads.turn(who, lane).await;
        if self.until(who).is_none()
            && let Some(taken) = self.pool.try_take(who, kib(limits::PAGE))
        {
            return (turn, Room { taken, who, pages: self.clone() });
        }
        drop(turn);
        let room = self.room(who).await;
        (reads.turn(who, lane).await, room)
    }

    /// Room for an answer of a known length.
    pub async fn room_for(&self, who: Who, len: usize) -> Room {
        loop {
            if let Some(until) = self.until(who) {
                sleep_until(until).await;
            }
            let taken = self.pool.take(who, kib(len)).await;
            // It may have been blamed for another answer while this one waited.
            if self.until(who).is_none() {
                return Room { taken, who, pages: self.clone() };
            }
        }
    }

    /// Until when it has to wait.
    fn until(&self, who: Who) -> Option<Instant> {
        let until = self.stalled().get(&who.peer).copied();
        until.filter(|until| *until > Instant::now())
    }

    fn stalled(&self) -> MutexGuard<'_, HashMap<NodeId, Instant>> {
        self.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Keeps only what so many bytes need.
    pub(super) fn shrink(&mut self, len: usize) {
        self.taken.shrink(kib(len));
    }

    /// Resolves when others have waited for all of this time.
    pub(super) async fn pressed(&self, patience: Duration) {
        self.taken.pressed(patience).await;
    }

    /// Its peer has not taken the answer: it has none for a while, or making answers for it would be all that is done.
    pub(super) fn blame(&self) {
        let mut stalled = self.pages.stalled();
        if stalled.len() >= REMEMBERED {
            let now = Instant::now();
            stalled.retain(|_, until| *until > now);
        }
        if stalled.len() < REMEMBERED {
            stalled.insert(self.who.peer, Instant::now() + PENANCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::io::net::gate::PER_LOOPBACK;

    fn who(peer: usize) -> Who {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&peer.to_be_bytes());
        Who { peer: NodeId::from_bytes(id), network: IpAddr::from([127, 0, 0, 1]), friend: false }
    }

    /// All connections that this machine may have, each another peer, take what they can: the last has a place.
    #[test]
    fn the_last_of_all_local_peers_has_its_place() {
        for limits in [REQUESTS, LASTING] {
            let pool = Pool::new(limits);
            let mut held = Vec::new();
            for peer in 0..PER_LOOPBACK - 1 {
                held.extend((0..limits.peer).map_while(|_| pool.try_take(who(peer), 1)));
            }
            assert!(pool.try_take(who(PER_LOOPBACK), 1).is_some(), "{limits:?}");
            let elsewhere = Who { network: IpAddr::from([10, 0, 0, 1]), ..who(PER_LOOPBACK + 1) };
            assert!(pool.try_take(elsewhere, 1).is_some(), "{limits:?}");
        }
    }

    /// All room of a peer but for one answer is taken, and many of its questions want that.
    #[tokio::test(flavor = "multi_thread")]
    async fn many_questions_of_one_peer_are_answered_with_room_for_one() {
        let (pages, reads) = (Pages::default(), Reads::default());
        let mut held = Vec::new();
        for _ in 0..PAGES.peer / kib(limits::PAGE) {
            held.push(pages.room(who(1)).await);
        }
        let question = || {
            let (pages, reads) = (pages.clone(), reads.clone());
            tokio::spawn(async move {
                let made = pages.made(&reads, who(1), |_| Some(Ok(vec![7].into()))).await;
                made.map(|(answer, _room)| answer)
            })
        };
        let questions: Vec<_> = (0..32).map(|_| question()).collect();
        assert!(pages.made(&reads, who(2), |_| Some(Ok([].into()))).await.is_ok(), "another peer has room");
        drop(held.pop());
        for question in questions {
            assert_eq!(question.await.expect("no panic").as_deref(), Ok(&[7][..]));
        }
    }

    #[tokio::test]
    async fn streams_that_stay_make_room_for_requests_until_too_many_do() {
        let places = Places::default();
        let mut first = places.place(who(1), None).await;
        assert_eq!(first.stay(LASTING.peer), Ok(()));
        let mut second = places.place(who(1), None).await;
        assert_eq!(second.stay(1), Err(Code::Busy));
        drop(first);
        assert_eq!(second.stay(1), Ok(()));
    }
}
