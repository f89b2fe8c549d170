//! When a look is over: who was asked and is silent, who knows something since when, and how long the others are given.
//! Invariant: where something has to be chosen, the first answer never ends the look while others may still answer.
//! Not responsible for asking, nor for which of the hits is meant. Times are since the look began.

use std::time::Duration;

/// How long the nodes near this one may take altogether.
const NEAR: Duration = Duration::from_secs(2);
/// After the first hit near, how long the others near have (design, section 9, "Which one").
const OTHERS: Duration = Duration::from_millis(300);
/// The same while a friend near is silent, who may have the very thing under that name; and so much longer may those near
/// take altogether.
pub const FRIENDS: Duration = Duration::from_secs(1);
/// How long they have with a hit: so late a first one leaves the others what is left of it.
const ALTOGETHER: Duration = Duration::from_secs(1);
/// When the trackers know something, how long the neighbours have to add to it.
const BESIDE: Duration = Duration::from_millis(600);
/// When somebody near knows something, how long a tracker that is silent is waited for; when trackers or others do, a peer that
/// was named.
const SILENT: Duration = Duration::from_millis(700);
/// What is to be chosen is looked for near when the trackers have been silent for so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// What is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// What one thing of that name is: where a tracker knows it, the word of all who were named; or else that of everyone near.
    Choice,
    /// Which ids begin as was given: who was named is waited for as long as it may take, and whoever is near as for everything.
    Completions,
    /// What every plane knows.
    Everything,
    /// One provider.
    First,
}

/// Who is asked directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A node.
    Peer,
    /// A tracker.
    Tracker,
}

/// The neighbours and the local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Near {
    Asked { since: Duration },
    Over { whole: bool },
    Waiting,
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// What is enough.
    pub enough: Enough,
    /// How many of them are silent.
    trackers: usize,
    peers: usize,
    near: Near,
    /// When those near were asked.
    near_since: Duration,
    patience: Duration,
    /// Since when a tracker knows something.
    tracker_hit: Option<Duration>,
    /// Since when somebody near does: a peer, a neighbour, a node of the local network.
    hit: Option<Duration>,
    /// A friend near has not answered yet, and may.
    friends: bool,
}

impl Look {
    /// So many are asked directly, and the nodes near unless there is no way to them.
    pub const fn new(enough: Enough, trackers: usize, peers: usize, near: bool) -> Self {
        let patience = if matches!(enough, Enough::Choice) && trackers > 0 { PATIENCE } else { Duration::ZERO };
        let near = if near { Near::Waiting } else { Near::Over { whole: true } };
        let near_since = Duration::ZERO;
        Self { enough, trackers, peers, near, near_since, patience, tracker_hit: None, hit: None, friends: false }
    }

    /// One of those asked directly has answered, with a hit or without, or has failed.
    pub fn answered(&mut self, who: Asked, hit: bool, now: Duration) {
        match who {
            Asked::Peer => self.peers = self.peers.saturating_sub(1),
            Asked::Tracker => self.trackers = self.trackers.saturating_sub(1),
        }
        match who {
            Asked::Tracker if hit => self.tracker_hit = self.tracker_hit.or(Some(now)),
            Asked::Peer if hit => self.hit = self.hit.or(Some(now)),
            Asked::Peer | Asked::Tracker => {}
        }
    }

    /// Nobody is left who could answer directly.
    pub const fn none_left(&mut self) {
        (self.trackers, self.peers) = (0, 0);
    }

    /// A hit came from the nodes near.
    pub fn found(&mut self, now: Duration) {
        self.hit = self.hit.or(Some(now));
    }

    /// Whether a friend near is silent.
    pub const fn awaits_friends(&mut self, silent: bool) {
        self.friends = silent;
    }

    /// The nodes near have answered; all of them, or some were given up.
    pub const fn near_over(&mut self, whole: bool) {
        self.near = Near::Over { whole };
    }

    /// Whether the nodes near are to be asked now; once.
    pub fn begins_near(&mut self, now: Duration) -> bool {
        let begins = self.near == Near::Waiting
            && !self.is_over(now)
            && (now >= self.patience || (self.trackers == 0 && self.tracker_hit.is_none()));
        if begins {
            (self.near, self.near_since) = (Near::Asked { since: now }, now);
        }
        begins
    }

    /// Whether the nodes near have had their time; the look may go on for the others.
    pub fn gives_up_near(&self, now: Duration) -> bool {
        self.near_until().is_some_and(|until| now >= until)
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Duration) -> bool {
        if self.directly() == 0 && matches!(self.near, Near::Over { .. }) {
            return true;
        }
        match self.enough {
            Enough::Choice if self.directly() == 0 && self.tracker_hit.is_some() => true,
            Enough::Choice | Enough::Completions | Enough::Everything => self.until().is_some_and(|until| now >= until),
            Enough::First => self.tracker_hit.is_some() || self.hit.is_some(),
        }
    }

    /// Whether everyone who was asked has answered; of a choice that is theirs, all who were named.
    pub fn is_whole(&self) -> bool {
        if self.enough == Enough::Choice && self.tracker_hit.is_some() {
            return self.directly() == 0;
        }
        self.directly() == 0 && self.near == Near::Over { whole: true }
    }

    /// When something is to be decided though nobody answers.
    pub fn wake(&self) -> Option<Duration> {
        let begin = (self.near == Near::Waiting).then_some(self.patience);
        [begin, self.near_until(), self.until()].into_iter().flatten().min()
    }

    const fn directly(&self) -> usize {
        self.trackers + self.peers
    }

    /// When the look ends, whoever is silent.
    fn until(&self) -> Option<Duration> {
        if let (Enough::Choice, Some(since), 0) = (self.enough, self.tracker_hit, self.trackers) {
            // The peers who were named have a word, too.
            return Some(since + SILENT);
        }
        // Who was asked directly and is slow is waited for as long as it may take only where nobody knows anything.
        let slow = self.tracker_hit.or(self.hit).filter(|_| self.directly() > 0).map(|hit| hit.max(NEAR));
        self.hit.and_then(|hit| self.others(hit)).or(slow)
    }

    /// How long the others are waited for after a hit near.
    fn others(&self, hit: Duration) -> Option<Duration> {
        match self.enough {
            Enough::Choice if self.friends => Some(hit + FRIENDS),
            Enough::Completions | Enough::First => None,
            Enough::Choice | Enough::Everything if self.trackers > 0 => Some(hit + SILENT),
            Enough::Choice | Enough::Everything if self.peers > 0 => Some(self.others_until(hit, SILENT)),
            Enough::Choice => Some(self.others_until(hit, OTHERS)),
            Enough::Everything => None,
        }
    }

    /// How long the others near are waited for after the first hit. Who is first heard later than all have altogether is
    /// not heard alone for that: nothing could be chosen before.
    fn others_until(&self, hit: Duration, others: Duration) -> Duration {
        let altogether = self.near_since + ALTOGETHER;
        if hit < altogether { altogether.min(hit + others) } else { hit + others }
    }

    fn near_until(&self) -> Option<Duration> {
        let Near::Asked { since } = self.near else { return None };
        let mut until = since + if self.friends { NEAR + FRIENDS } else { NEAR };
        if matches!(self.enough, Enough::Completions | Enough::Everything) {
            until = self.hit.map_or(until, |hit| until.min(self.others_until(hit, OTHERS)));
            if self.directly() == 0 && self.tracker_hit.is_some() {
                until = until.min(BESIDE);
            }
        }
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn begun(enough: Enough, trackers: usize, peers: usize) -> Look {
        let mut look = Look::new(enough, trackers, peers, true);
        assert_eq!(look.begins_near(Duration::ZERO), look.patience.is_zero());
        look
    }

    #[test]
    fn the_first_answer_near_does_not_end_a_choice() {
        let mut look = begun(Enough::Choice, 0, 0);
        look.found(ms(20));
        assert!(!look.is_over(ms(319)) && look.is_over(ms(320)));
        assert_eq!(look.wake(), Some(ms(320)));
        look.found(ms(200));
        assert!(look.is_over(ms(320)), "the others have their time from the first one on");
        assert!(!look.is_whole());
        look.near_over(true);
        assert!(look.is_over(ms(201)) && look.is_whole(), "all have answered");
    }

    #[test]
    fn a_peer_that_answers_is_one_of_those_near() {
        let mut look = begun(Enough::Choice, 0, 2);
        look.answered(Asked::Peer, true, ms(5));
        look.near_over(true);
        assert!(!look.is_over(ms(704)) && look.is_over(ms(705)), "the other peer may know a rival");
        look.answered(Asked::Peer, false, ms(100));
        assert!(look.is_over(ms(100)));
    }

    #[test]
    fn the_word_of_those_who_were_named_goes_first_and_nothing_near_is_asked() {
        let mut look = begun(Enough::Choice, 2, 1);
        look.answered(Asked::Tracker, true, ms(3));
        assert!(!look.is_over(ms(4)), "the other tracker has a word, too");
        look.answered(Asked::Tracker, false, ms(5));
        assert!(!look.is_over(ms(5)) && !look.is_whole(), "and so has the peer");
        assert!(!look.is_over(ms(702)) && look.is_over(ms(703)), "which may be gone");
        look.answered(Asked::Peer, false, ms(8));
        assert!(look.is_over(ms(8)) && look.is_whole() && !look.begins_near(ms(8)));
    }

    #[test]
    fn trackers_that_know_nothing_or_are_silent_are_not_waited_for_before_others_are_asked() {
        let mut look = begun(Enough::Choice, 1, 0);
        assert_eq!(look.wake(), Some(PATIENCE));
        assert!(look.begins_near(PATIENCE) && !look.begins_near(PATIENCE));
        look.found(ms(400));
        assert!(!look.is_over(ms(1099)) && look.is_over(ms(1100)), "a silent tracker has 0.7 s");
        let mut look = begun(Enough::Choice, 1, 0);
        look.answered(Asked::Tracker, false, ms(3));
        assert!(look.begins_near(ms(3)));
        look.found(ms(10));
        assert!(look.is_over(ms(310)));
    }

    #[test]
    fn a_late_first_hit_does_not_make_a_look_longer_than_a_second() {
        for (hit, end) in [(600, 900), (700, 1000), (900, 1000), (999, 1000), (1000, 1300), (1500, 1800)] {
            let mut look = begun(Enough::Choice, 0, 0);
            look.found(ms(hit));
            assert!(!look.is_over(ms(end - 1)) && look.is_over(ms(end)), "first hit at {hit} ms");
            assert_eq!(look.wake(), Some(ms(end)));
            let mut look = begun(Enough::Everything, 0, 0);
            look.found(ms(hit));
            assert!(!look.gives_up_near(ms(end - 1)) && look.gives_up_near(ms(end)), "first hit at {hit} ms");
        }
        // A given peer that is silent, too.
        let mut look = begun(Enough::Everything, 0, 1);
        look.found(ms(900));
        look.near_over(true);
        assert!(!look.is_over(ms(999)) && look.is_over(ms(1000)));
        // The second begins when those near are asked.
        let mut look = begun(Enough::Choice, 1, 0);
        assert!(look.begins_near(PATIENCE));
        look.answered(Asked::Tracker, false, ms(400));
        look.found(ms(1200));
        assert!(!look.is_over(ms(1299)) && look.is_over(ms(1300)));
    }

    #[test]
    fn a_friend_that_is_silent_has_a_second_after_the_first_hit_and_one_that_answers_costs_nothing() {
        for (trackers, others) in [(0, 320), (1, 720)] {
            let mut look = begun(Enough::Choice, trackers, 0);
            look.begins_near(PATIENCE);
            look.awaits_friends(true);
            look.found(ms(20));
            assert!(!look.is_over(ms(1019)) && look.is_over(ms(1020)), "with {trackers} trackers");
            assert_eq!(look.wake(), Some(ms(1020)));
            look.awaits_friends(false);
            assert!(!look.is_over(ms(others - 1)) && look.is_over(ms(others)), "with {trackers} trackers");
        }
        // Where nothing is found, the others are asked once more when it has not answered.
        let mut look = begun(Enough::Choice, 0, 0);
        look.awaits_friends(true);
        assert!(!look.gives_up_near(ms(2999)) && look.gives_up_near(ms(3000)));
        // Who is known to be gone is not waited for.
        look.near_over(false);
        assert!(look.is_over(ms(100)));
    }

    #[test]
    fn who_finds_nothing_listens_to_the_end() {
        for enough in [Enough::Choice, Enough::Everything, Enough::First] {
            let mut look = begun(enough, 0, 0);
            assert!(!look.is_over(ms(1999)) && !look.gives_up_near(ms(1999)) && look.gives_up_near(ms(2000)));
            look.near_over(false);
            assert!(look.is_over(ms(2000)) && !look.is_whole());
        }
    }

    #[test]
    fn who_is_slow_is_waited_for_where_nobody_knows_anything() {
        for enough in [Enough::Choice, Enough::Everything] {
            let mut look = begun(enough, 2, 0);
            look.begins_near(PATIENCE);
            look.near_over(true);
            assert!(!look.is_over(ms(9000)));
            look.answered(Asked::Tracker, true, ms(9000));
            assert!(look.is_over(ms(9000)), "and with that the other one is not");
            let mut look = begun(enough, 2, 0);
            look.answered(Asked::Tracker, true, ms(30));
            assert!(!look.is_over(ms(1999)) && look.is_over(ms(2000)));
        }
    }

    #[test]
    fn the_beginning_of_an_id_waits_for_everyone_who_was_named() {
        for (trackers, peers) in [(1, 1), (2, 0), (0, 2)] {
            let mut look = begun(Enough::Completions, trackers, peers);
            let (first, second) = if trackers > 0 {
                (Asked::Tracker, if peers > 0 { Asked::Peer } else { Asked::Tracker })
            } else {
                (Asked::Peer, Asked::Peer)
            };
            look.answered(first, true, ms(5));
            look.near_over(true);
            assert!(!look.is_over(ms(1999)) && look.is_over(ms(2000)), "{trackers} trackers, {peers} peers");
            look.answered(second, true, ms(900));
            assert!(look.is_over(ms(900)));
        }
        let mut look = begun(Enough::Completions, 0, 0);
        look.found(ms(20));
        assert!(!look.gives_up_near(ms(319)) && look.gives_up_near(ms(320)), "those near as ever");
    }

    #[test]
    fn everything_waits_for_whoever_may_add_to_it_and_the_first_for_nobody() {
        let mut look = begun(Enough::Everything, 1, 0);
        look.answered(Asked::Tracker, true, ms(4));
        assert!(!look.is_over(ms(599)) && !look.gives_up_near(ms(599)) && look.gives_up_near(ms(600)));
        look.near_over(true);
        assert!(look.is_over(ms(10)), "all have answered");
        let mut look = begun(Enough::Everything, 1, 0);
        look.found(ms(50));
        assert!(look.gives_up_near(ms(350)) && !look.is_over(ms(749)) && look.is_over(ms(750)));
        let mut look = begun(Enough::Everything, 0, 0);
        look.found(ms(1050));
        assert!(!look.gives_up_near(ms(1349)), "who is heard late is not heard alone");
        let mut look = begun(Enough::First, 1, 1);
        look.found(ms(50));
        assert!(look.is_over(ms(50)));
    }
}
