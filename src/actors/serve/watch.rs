//! Serves one Watch: what this node has of a content, now and as it grows, and how many fetch it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::actors::serve::Stream;
use crate::actors::shelf::Changes;
use crate::actors::uploads::{Crowd, Seat};
use crate::io::net::frames;
use crate::io::share::source::Source;
use crate::model::Bitfield;
use crate::model::units::bitfield::ranges_of;
use crate::wire::{Code, HaveEvent, limits};

/// The least time between two events of one stream: small transfers pass units on at once, a transfer of a
/// million units does not compare its bitfield more often than ten times a second.
fn pause(units: u32) -> Duration {
    if units < 10_000 { Duration::from_millis(5) } else { Duration::from_millis(100) }
}

/// The least time between two events that only say how many fetch it, and between two looks at it: over all streams, and
/// whatever crowd comes and goes, a thousand a second.
fn rest(crowd: Crowd) -> Duration {
    Duration::from_millis(crowd.streams.into())
}

/// What is remembered about one who watches, in bytes: a bit for each unit that it was told of, and one for each that it
/// was told has changed.
pub const fn remembered(units: u32) -> usize {
    units as usize / 4
}

/// Sends events until the peer stops listening, the source ends or nothing of it is there any more.
pub async fn tell_what_is_here(mut stream: Stream, source: Arc<dyn Source>, mut changes: Changes, mut seat: Seat) {
    let units = source.map().units();
    let (told, lost) = (Bitfield::empty(units), Bitfield::empty(units));
    let mut teller = Teller { told, lost, source, fetching: None };
    let mut growth = teller.source.growth();
    let pause = pause(units);
    loop {
        let crowd = *seat.fetching.borrow_and_update();
        let (fetching, next, recount) = (crowd.nodes, Instant::now() + pause, Instant::now() + rest(crowd));
        let executable = teller.source.executable();
        for event in teller.events(fetching).into_iter().map(|event| HaveEvent { executable, ..event }) {
            let sent = frames::send(&mut stream.send, &event, limits::CONTROL).await;
            if sent.is_err() {
                return stream.end(sent);
            }
        }
        // A transfer grows; what is shared may change.
        let is_shared = growth.is_none();
        let stopped = stream.send.stopped();
        tokio::select! {
            _ = stopped => return,
            Ok(()) = recounted(&mut seat.fetching, recount) => {}
            grown = changed(&mut growth) => if grown.is_err() {
                stream.finish();
                return;
            },
            source = changes.next(), if is_shared => match source {
                Ok(source) => {
                    growth = source.growth();
                    teller.source = source;
                }
                Err(code) => return end(stream, &teller, code).await,
            },
        }
        sleep_until(next).await;
    }
}

/// Nothing is there any more.
async fn end(mut stream: Stream, teller: &Teller, code: Code) {
    let changed = if code == Code::Changed { vec![(0, teller.told.len())] } else { Vec::new() };
    let event = HaveEvent { gone: true, changed, ..HaveEvent::default() };
    let sent = frames::send(&mut stream.send, &event, limits::CONTROL).await;
    stream.end(sent);
}

/// Resolves when another number of nodes fetch it.
async fn recounted(count: &mut watch::Receiver<Crowd>, at_first: Instant) -> Result<(), watch::error::RecvError> {
    sleep_until(at_first).await;
    count.changed().await
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
    /// Units that were told as changed.
    lost: Bitfield,
    /// How many were told to fetch it last; none before the first event.
    fetching: Option<u32>,
}

impl Teller {
    /// What is new since the last call, in frames that fit; the first call always has one.
    fn events(&mut self, fetching: u32) -> Vec<HaveEvent> {
        let have = self.source.have();
        let lost: Vec<u32> = self.source.lost().into_iter().flatten().filter(|unit| self.lost.set(*unit)).collect();
        let complete = have.is_full() && (self.fetching.is_none() || !self.told.is_full());
        let units = ranges(have.iter().filter(|unit| !self.told.has(*unit)));
        let before = self.fetching.replace(fetching);
        self.told = have;
        if complete {
            // A frame of its own says everything: no ranges needed.
            return vec![HaveEvent { complete: true, fetching, ..HaveEvent::default() }];
        }
        let here = units.chunks(limits::HAVE_RANGES);
        let here = here.map(|units| HaveEvent { units: units.to_vec(), fetching, ..HaveEvent::default() });
        let lost = ranges(lost);
        let lost = lost.chunks(limits::HAVE_RANGES);
        let lost = lost.map(|changed| HaveEvent { changed: changed.to_vec(), fetching, ..HaveEvent::default() });
        let events: Vec<HaveEvent> = here.chain(lost).collect();
        if events.is_empty() && before != Some(fetching) {
            return vec![HaveEvent { fetching, ..HaveEvent::default() }];
        }
        events
    }
}

fn ranges(units: impl IntoIterator<Item = u32>) -> Vec<(u32, u32)> {
    ranges_of(units).into_iter().map(|r| (r.start, r.end - r.start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::share::source::tests::Drawn;
    use crate::model::ContentId;

    /// Eight units, as they are drawn.
    fn source(picture: &str) -> Arc<dyn Source> {
        Drawn::of(ContentId::of(b"drawn"), 8 << 18, picture)
    }

    #[test]
    fn what_goes_is_told_once_and_what_stays_is_not_told_again() {
        let (told, lost) = (Bitfield::empty(8), Bitfield::empty(8));
        let mut teller = Teller { told, lost, source: source("########"), fetching: None };
        let complete = HaveEvent { complete: true, fetching: 1, ..HaveEvent::default() };
        assert_eq!(teller.events(1), [complete]);
        assert_eq!(teller.events(1), []);
        assert_eq!(teller.events(2), [HaveEvent { fetching: 2, ..HaveEvent::default() }]);
        teller.source = source("###xx###");
        assert_eq!(teller.events(2), [HaveEvent { changed: vec![(3, 2)], fetching: 2, ..HaveEvent::default() }]);
        assert_eq!(teller.events(2), []);
        teller.source = source("###xxxxx");
        assert_eq!(teller.events(2), [HaveEvent { changed: vec![(5, 3)], fetching: 2, ..HaveEvent::default() }]);
    }

    #[test]
    fn who_comes_late_is_told_what_is_left_and_what_is_not() {
        let (told, lost) = (Bitfield::empty(8), Bitfield::empty(8));
        let mut teller = Teller { told, lost, source: source("###xxxxx"), fetching: None };
        let left = HaveEvent { units: vec![(0, 3)], fetching: 1, ..HaveEvent::default() };
        let gone = HaveEvent { changed: vec![(3, 5)], fetching: 1, ..HaveEvent::default() };
        assert_eq!(teller.events(1), [left, gone]);
    }

    #[tokio::test]
    async fn a_crowd_that_comes_and_goes_is_recounted_at_its_pace() {
        let hundred = Crowd { nodes: 2, streams: 100 };
        let (counts, mut seen) = watch::channel(hundred);
        let crowd = tokio::spawn(async move {
            while counts.send(hundred).is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let begun = Instant::now();
        for _ in 0..3 {
            let fetching = *seen.borrow_and_update();
            recounted(&mut seen, Instant::now() + rest(fetching)).await.expect("it goes on");
        }
        assert!(begun.elapsed() >= Duration::from_millis(300));
        drop(seen);
        crowd.await.expect("ended");
    }
}
