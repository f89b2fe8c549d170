//! Serves one Watch: what this node has of a content, now and as it grows, and how many fetch it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::actors::serve::Stream;
use crate::actors::uploads::Seat;
use crate::io::frames;
use crate::io::source::Source;
use crate::model::Bitfield;
use crate::model::bitfield::ranges_of;
use crate::wire::{HaveEvent, limits};

/// The least time between two events of one stream: small transfers pass units on at once, a transfer of a
/// million units does not compare its bitfield more often than ten times a second.
fn pause(units: u32) -> Duration {
    if units < 10_000 { Duration::from_millis(5) } else { Duration::from_millis(100) }
}

/// Sends events until the peer stops listening or the source ends.
pub async fn tell_what_is_here(mut stream: Stream, source: Arc<dyn Source>, mut seat: Seat) {
    let mut teller = Teller { told: Bitfield::empty(source.map().units()), source, begun: false };
    let mut growth = teller.source.growth();
    let pause = pause(teller.source.map().units());
    loop {
        let fetching = *seat.fetching.borrow_and_update();
        let next = Instant::now() + pause;
        for event in teller.events(fetching) {
            if frames::send(&mut stream.send, &event, limits::CONTROL).await.is_err() {
                return;
            }
        }
        let stopped = stream.send.stopped();
        tokio::select! {
            _ = stopped => return,
            Ok(()) = seat.fetching.changed() => {}
            grown = changed(&mut growth) => if grown.is_err() {
                stream.finish();
                return;
            },
        }
        sleep_until(next).await;
    }
}

async fn changed(growth: &mut Option<watch::Receiver<u32>>) -> Result<(), watch::error::RecvError> {
    match growth {
        Some(growth) => growth.changed().await,
        None => std::future::pending().await,
    }
}

struct Teller {
    source: Arc<dyn Source>,
    told: Bitfield,
    begun: bool,
}

impl Teller {
    /// What is new since the last call, in frames that fit; always at least one.
    fn events(&mut self, fetching: u32) -> Vec<HaveEvent> {
        let have = self.source.have();
        let new = ranges_of(have.iter().filter(|unit| !self.told.has(*unit)));
        let complete = have.is_full() && (!self.begun || !self.told.is_full());
        self.begun = true;
        self.told = have;
        if complete {
            // A frame of its own says everything: no ranges needed.
            return vec![HaveEvent { complete: true, fetching, ..HaveEvent::default() }];
        }
        let units: Vec<_> = new.into_iter().map(|r| (r.start, r.end - r.start)).collect();
        if units.is_empty() {
            return vec![HaveEvent { fetching, ..HaveEvent::default() }];
        }
        let frames = units.chunks(limits::HAVE_RANGES);
        frames.map(|units| HaveEvent { units: units.to_vec(), fetching, ..HaveEvent::default() }).collect()
    }
}
