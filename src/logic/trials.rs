//! Asking several for the same small thing, one after the other, until one gives it: whom next, and when to give up.
//! Invariant: whoever lied is not asked again; all others are, each after its rest, until the patience is over.
//! Not responsible for asking: who does says how it ended.

use std::time::Duration;

use crate::logic::patience::{Awake, Patience};
use crate::logic::transfer::{Record, Why};

/// When all have said that they have not got it: they are asked again for so long, as one that hashes may say so.
const LAST: Duration = Duration::from_secs(5);
/// Whoever is asked anew and says nothing for so long is silent; what it said before holds until then.
const SILENT: Duration = Duration::from_secs(2);

/// Those who are asked, by number.
#[derive(Debug)]
pub struct Trials {
    awake: Awake,
    patience: Patience,
    tried: Vec<Tried>,
    /// Since when all have denied it.
    denied: Option<Duration>,
}

#[derive(Debug, Default, Clone)]
struct Tried {
    record: Record,
    /// Since when it is being asked.
    asked: Option<Duration>,
    /// How often it was asked.
    times: u32,
    /// It has said that it is at work.
    works: bool,
}

/// It is time to give up: how long nothing came, if that is why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// None when all have denied it.
    pub waited: Option<Duration>,
}

impl Trials {
    /// Of so many, without news for `wait` at most; without patience everybody is asked once.
    pub fn new(count: usize, wait: Duration) -> Self {
        let patience = Patience::new(wait, Duration::ZERO);
        Self { awake: Awake::default(), patience, tried: vec![Tried::default(); count], denied: None }
    }

    /// One more may have it.
    pub fn add(&mut self) {
        self.tried.push(Tried::default());
        self.denied = None;
    }

    /// Time has passed; to be told several times a second. `clock` runs on while the process is stopped.
    pub fn tick(&mut self, clock: Duration) {
        if self.awake.tick(clock) {
            self.tried.iter_mut().for_each(|one| one.record.wake());
        }
    }

    /// The next one to be asked, of those that were asked least often. It counts as asked until it has failed.
    pub fn next(&mut self, clock: Duration) -> Option<usize> {
        let now = self.awake.at(clock);
        let due =
            |one: &Tried| one.asked.is_none() && one.record.why != Some(Why::Lied) && one.record.is_due(now, true);
        let all = self.tried.iter().enumerate().filter(|(_, one)| due(one));
        let (number, _) = all.min_by_key(|(_, one)| one.times)?;
        let one = &mut self.tried[number];
        (one.asked, one.times) = (Some(now), one.times.saturating_add(1));
        Some(number)
    }

    /// How often one was asked.
    pub fn times(&self, number: usize) -> u32 {
        self.tried.get(number).map_or(0, |one| one.times)
    }

    /// The time in which the process could work, when the clock has run for so long.
    pub fn now(&self, clock: Duration) -> Duration {
        self.awake.at(clock)
    }

    /// Whether somebody is being asked.
    pub fn is_asking(&self) -> bool {
        self.tried.iter().any(|one| one.asked.is_some())
    }

    /// One that is asked says that it is at work; whether that is `news` is for the caller to say.
    pub fn works(&mut self, number: usize, news: bool, clock: Duration) {
        if let Some(one) = self.tried.get_mut(number) {
            one.works = true;
            one.record.granted();
        }
        if news {
            self.patience.news(self.awake.at(clock));
        }
    }

    /// Whether one that is asked has said that it is at work.
    pub fn is_working(&self) -> bool {
        self.tried.iter().any(|one| one.works)
    }

    /// One that was asked does not give it.
    pub fn failed(&mut self, number: usize, why: Why, clock: Duration) {
        let now = self.awake.at(clock);
        if let Some(one) = self.tried.get_mut(number) {
            (one.asked, one.works) = (None, false);
            one.record.failed(why, now);
        }
    }

    /// Whether it is time to give up.
    pub fn over(&mut self, clock: Duration) -> Option<Over> {
        let now = self.awake.at(clock);
        let denied = self.tried.iter().all(|one| one.record.denied);
        self.denied = denied.then(|| self.denied.unwrap_or(now));
        match self.denied {
            _ if self.tried.is_empty() => Some(Over { waited: None }),
            Some(since) if now.saturating_sub(since) >= self.last() => Some(Over { waited: None }),
            _ if self.patience.is_over(now) => Some(self.patience.limit).map(|limit| Over {
                // Nothing was waited for where there is no patience.
                waited: Some(limit).filter(|limit| !limit.is_zero()),
            }),
            _ => None,
        }
    }

    /// Liars are not asked again, so there is nothing to wait for when there is nobody else.
    fn last(&self) -> Duration {
        let lied = self.tried.iter().all(|one| one.record.why == Some(Why::Lied));
        if lied { Duration::ZERO } else { LAST.min(self.patience.limit) }
    }

    /// What became of one.
    pub fn why(&self, number: usize, clock: Duration) -> Why {
        let now = self.awake.at(clock);
        let answers = |one: &Tried| one.asked.is_none_or(|since| now.saturating_sub(since) < SILENT);
        match self.tried.get(number) {
            Some(one) if one.works => Why::Hashing(Duration::ZERO),
            Some(one) if answers(one) => one.record.why.unwrap_or(Why::Silent),
            _ => Why::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    const MISSING: Why = Why::Refused(Code::NotFound);

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Everyone who is asked fails so at once; says when it was over, how, and how often somebody was asked.
    fn until_over(trials: &mut Trials, fails: impl Fn(usize) -> Why) -> (Duration, Over, u32) {
        let (mut clock, mut asked) = (ms(0), 0);
        loop {
            if let Some(number) = trials.next(clock) {
                trials.failed(number, fails(number), clock);
                asked += 1;
            } else if let Some(over) = trials.over(clock) {
                return (clock, over, asked);
            } else {
                clock += ms(100);
                trials.tick(clock);
            }
        }
    }

    #[test]
    fn when_all_deny_it_the_end_comes_soon() {
        let mut trials = Trials::new(2, Duration::from_secs(120));
        let (at, over, asked) = until_over(&mut trials, |_| MISSING);
        assert_eq!((at, over), (ms(5000), Over { waited: None }));
        assert!((8..=12).contains(&asked), "{asked}");
        assert_eq!(trials.why(1, at), MISSING);
    }

    #[test]
    fn one_that_may_come_back_is_waited_for() {
        for why in [Why::Busy(ms(500)), Why::Unreachable, Why::Lost] {
            let fails = |number| if number == 0 { MISSING } else { why };
            let (at, over, _) = until_over(&mut Trials::new(2, Duration::from_secs(20)), fails);
            assert_eq!((at, over.waited), (Duration::from_secs(20), Some(Duration::from_secs(20))), "{why:?}");
        }
    }

    #[test]
    fn without_patience_everybody_is_asked_once() {
        let (at, over, asked) = until_over(&mut Trials::new(3, ms(0)), |_| Why::Unreachable);
        assert_eq!((at, over, asked), (ms(0), Over { waited: None }, 3));
        assert_eq!(Trials::new(0, Duration::from_secs(9)).over(ms(0)), Some(Over { waited: None }));
    }

    #[test]
    fn one_that_is_heard_of_later_is_asked_too() {
        let mut trials = Trials::new(1, Duration::from_secs(60));
        assert_eq!(until_over(&mut trials, |_| Why::Lied).2, 1);
        trials.add();
        assert_eq!((trials.next(ms(0)), trials.over(ms(0))), (Some(1), None));
    }

    #[test]
    fn a_liar_is_not_asked_again() {
        let (at, over, asked) = until_over(&mut Trials::new(2, Duration::from_secs(60)), |_| Why::Lied);
        assert_eq!((at, over.waited, asked), (ms(0), None, 2));
    }

    #[test]
    fn what_one_said_holds_while_it_is_asked_anew_until_it_is_silent_for_long() {
        let busy = Why::Busy(ms(200));
        let mut trials = Trials::new(1, Duration::from_secs(2));
        assert_eq!(trials.next(ms(0)), Some(0));
        trials.failed(0, busy, ms(10));
        let mut clock = ms(0);
        while clock < ms(1900) {
            clock += ms(100);
            trials.tick(clock);
        }
        assert_eq!(trials.next(clock), Some(0));
        assert_eq!(trials.why(0, ms(2000)), busy);
        while clock < ms(4000) {
            clock += ms(100);
            trials.tick(clock);
        }
        assert_eq!(trials.why(0, clock), Why::Silent);
    }

    #[test]
    fn whoever_works_is_waited_for_while_it_gets_on_and_a_stop_does_not_count() {
        let mut trials = Trials::new(1, Duration::from_secs(5));
        let mut clock = ms(0);
        assert_eq!(trials.next(clock), Some(0));
        assert_eq!(trials.why(0, clock), Why::Silent);
        for _ in 0..100 {
            clock += ms(100);
            trials.tick(clock);
            trials.works(0, true, clock);
            assert_eq!(trials.over(clock), None);
        }
        clock += Duration::from_secs(3600);
        trials.tick(clock);
        assert_eq!(trials.over(clock), None, "it was stopped");
        for _ in 0..40 {
            clock += ms(100);
            trials.tick(clock);
            trials.works(0, false, clock);
        }
        assert_eq!(trials.over(clock), Some(Over { waited: Some(Duration::from_secs(5)) }));
        assert_eq!(trials.why(0, clock), Why::Hashing(ms(0)));
    }
}
