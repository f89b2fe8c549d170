//! What is known of one who may have a content: how it failed, and when it is worth asking again.
//! Invariant: a rest grows with each failure in a row; while nobody gives anything, none lasts longer than 5 s.
//! Not responsible for links and addresses: who holds those tells what happened.

use std::time::Duration;

use super::event::Why;
use crate::wire::Code;

/// The rest after a first failure, and the longest one.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The rest of one that said it has not got it, while others give.
const USELESS: Duration = Duration::from_secs(60);
/// The same while nobody gives: at first, and at most.
const SOON: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// What a provider may ask for with Busy.
const BUSY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// One provider's record within one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    failures: u32,
    /// How it last failed, unless it brought something since.
    pub why: Option<Why>,
    /// Whether it will not give it, as far as is known now: it said so, and nothing has spoken against that since.
    pub denied: bool,
    /// Since when it rests, and for how long.
    rest: (Duration, Duration),
}

impl Record {
    /// It failed, or refused.
    pub fn failed(&mut self, why: Why, now: Duration) {
        let why = self.made_of(why);
        let pause = match why {
            Why::Busy(retry) | Why::Hashing(retry) => retry.clamp(BUSY.0, BUSY.1),
            Why::Changed => self.growing(),
            _ if why.denies() => USELESS,
            _ => self.growing(),
        };
        if !why.passes() {
            self.failures = self.failures.saturating_add(1);
        }
        self.why = Some(why);
        self.denied = why.denies();
        self.rest = (now, pause);
    }

    fn growing(&self) -> Duration {
        REST.1.min(REST.0 * 2_u32.pow(self.failures.min(10)))
    }

    /// Whoever has changed its copy says next that there is no such content, or that it hashes: that is the same story.
    const fn made_of(&self, why: Why) -> Why {
        match (self.why, why) {
            (Some(Why::Changed), Why::Gone | Why::Refused(Code::NotFound | Code::SizeDiffers)) => Why::Changed,
            (Some(Why::Changed | Why::Hashing(_)), Why::Busy(retry)) => Why::Hashing(retry),
            _ => why,
        }
    }

    /// It says that it has it, or some of it. No merit yet: else one that never brings anything would be met again and
    /// again without a rest.
    pub const fn granted(&mut self) {
        self.denied = false;
    }

    /// It brought something that was proven.
    pub const fn proven(&mut self) {
        (self.failures, self.why, self.denied) = (0, None, false);
    }

    /// Something new is known of it, or of the time: it may be asked at once.
    pub const fn wake(&mut self) {
        self.rest.1 = Duration::ZERO;
    }

    /// Whether its rest is over. While nobody gives anything (`stuck`) there is nothing to be spared.
    pub fn is_due(&self, now: Duration, stuck: bool) -> bool {
        let (since, pause) = self.rest;
        let waits = matches!(self.why, Some(Why::Busy(_) | Why::Hashing(_)));
        let soon = SOON.1.min(SOON.0 * 2_u32.pow(self.failures.saturating_sub(1).min(10)));
        now >= since + if stuck && !waits { pause.min(soon) } else { pause }
    }

    /// Whether it has not failed since it last brought something.
    pub const fn is_trusted(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// When it is asked again after each of these failures in a row.
    fn pauses(why: &[Why], stuck: bool) -> Vec<u64> {
        let (mut record, mut now) = (Record::default(), ms(0));
        let pause = |why: &Why| {
            record.failed(*why, now);
            let began = now;
            while !record.is_due(now, stuck) {
                now += ms(10);
            }
            u64::try_from((now - began).as_millis()).expect("short")
        };
        why.iter().map(pause).collect()
    }

    #[test]
    fn the_only_provider_is_never_rested_for_long() {
        let missing = Why::Refused(Code::NotFound);
        assert_eq!(pauses(&[missing; 7], true), [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pauses(&[missing; 2], false), [60_000, 60_000], "others give");
        assert!(pauses(&[Why::Lost; 20], true).iter().all(|pause| *pause <= 5000));
        assert!(pauses(&[Why::Unreachable; 20], false).iter().all(|pause| *pause <= 10_000));
        assert_eq!(pauses(&[Why::Refused(Code::Closing)], false), [100], "a node that stops may start again");
    }

    #[test]
    fn busy_is_asked_again_at_its_time_and_is_no_failure() {
        let busy = |n| Why::Busy(ms(n));
        assert_eq!(pauses(&[busy(700), busy(700), busy(1)], true), [700, 700, 50]);
        assert_eq!(pauses(&[busy(30_000)], false), [5000]);
        let mut record = Record::default();
        record.failed(busy(500), ms(0));
        assert!(record.is_trusted() && !record.denied);
    }

    #[test]
    fn what_follows_a_change_is_told_as_the_change() {
        let mut record = Record::default();
        record.failed(Why::Changed, ms(0));
        record.failed(Why::Refused(Code::NotFound), ms(1));
        record.failed(Why::Gone, ms(2));
        assert_eq!((record.why, record.denied), (Some(Why::Changed), true));
        record.failed(Why::Busy(ms(500)), ms(3));
        assert_eq!((record.why, record.denied), (Some(Why::Hashing(ms(500))), false));
        record.proven();
        record.failed(Why::Refused(Code::NotFound), ms(4));
        assert_eq!(record.why, Some(Why::Refused(Code::NotFound)), "that was long ago");
    }

    #[test]
    fn who_cannot_be_reached_has_not_denied_it() {
        let mut record = Record::default();
        record.failed(Why::Gone, ms(0));
        assert!(record.denied);
        record.granted();
        assert!(!record.denied && !record.is_trusted());
        for why in [Why::Unreachable, Why::Lost, Why::Silent, Why::Failing, Why::Refused(Code::Closing)] {
            record.failed(why, ms(1));
            assert!(!record.denied, "{why:?}");
        }
        record.failed(Why::Refused(Code::Forbidden), ms(2));
        assert!(record.denied && !record.is_due(ms(3), true));
        record.wake();
        assert!(record.is_due(ms(3), false));
    }
}
