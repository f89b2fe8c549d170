//! Stories on virtual time.

use super::*;

const PACE: Pace = Pace {
    longest: Duration::from_secs(1),
    check: Duration::from_secs(2),
    poll: Duration::from_secs(30),
    whole: Duration::from_secs(300),
    sweep: Duration::from_secs(150),
};
const IDLE: Facts = Facts { idle: true, awaited: false, waiting: false, former: false, offers: 10 };
const BUSY: Facts = Facts { idle: false, ..IDLE };

/// A machine, and what others know.
struct Story {
    machine: Publication,
    now: Duration,
    facts: Facts,
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Story {
    fn begin() -> Self {
        Self { machine: Publication::new(PACE), now: Duration::ZERO, facts: IDLE }
    }

    fn tell(&mut self, input: Input) -> Vec<PublicationOrder> {
        self.machine.handle(input, self.now)
    }

    /// What is due now.
    fn settle(&mut self) -> Vec<PublicationOrder> {
        self.tell(Input::Settle(self.facts))
    }

    /// All that is done until a moment, and when, in ms.
    fn until(&mut self, end: Duration) -> Vec<(u64, PublicationOrder)> {
        let mut done = Vec::new();
        loop {
            let now = u64::try_from(self.now.as_millis()).expect("soon");
            done.extend(self.settle().into_iter().map(|output| (now, output)));
            let at = self.machine.wake().filter(|at| *at <= end);
            let Some(at) = at else { break };
            assert!(at > self.now, "what is due is done");
            self.now = at;
        }
        self.now = end;
        done.retain(|(_, output)| *output != PublicationOrder::Progress);
        done
    }

    fn trouble(&mut self, unseen: bool) -> Vec<PublicationOrder> {
        self.tell(Input::Seen { root: 0, cost: Duration::ZERO, unseen })
    }
}

fn added(root: Root) -> Input {
    Input::Added { root, unseen: false }
}

#[test]
fn a_small_tree_is_published_once_with_its_ids() {
    let mut story = Story::begin();
    story.tell(added(0));
    story.tell(Input::TaskBegun);
    story.facts = BUSY;
    assert_eq!(story.until(ms(50)), []);
    story.tell(Input::TaskEnded);
    story.tell(Input::Hashed);
    assert_eq!(story.until(ms(60)), [], "names wait for ids, for a moment");
    story.tell(Input::Changed);
    story.facts = IDLE;
    assert_eq!(story.settle(), [PublicationOrder::AllHashed, PublicationOrder::Publish]);
    assert!(story.machine.is_settled());
    assert_eq!(story.until(ms(5000)), [(1000, PublicationOrder::Watch(0))]);
    assert_eq!(story.machine.wake(), None, "nothing more is due, ever");
}

#[test]
fn names_do_not_wait_for_ids_and_ids_come_in_steps_that_grow_with_the_offers() {
    let mut story = Story::begin();
    (story.facts, story.facts.offers) = (BUSY, 100_000);
    story.now = ms(500);
    story.tell(added(0));
    assert_eq!(story.until(ms(599)), []);
    assert_eq!(story.until(ms(620)), [(600, PublicationOrder::Publish)]);
    story.tell(Input::Changed);
    let watched = (1500, PublicationOrder::Watch(0));
    // 200 ms and 10 µs for each offer, looked for each 200 ms.
    assert_eq!(story.until(ms(1799)), [watched]);
    let published = story.until(ms(2100));
    assert!(matches!(published[..], [(1800..=2000, PublicationOrder::Publish)]), "{published:?}");
    story.tell(Input::Changed);
    story.facts.awaited = true;
    assert_eq!(story.settle(), [PublicationOrder::Publish], "somebody waits for it");
}

#[test]
fn the_first_publication_waits_for_what_is_looked_up_however_long_that_takes() {
    let mut story = Story::begin();
    story.tell(added(0));
    story.tell(Input::TaskBegun);
    assert_eq!(story.until(ms(30_000)), [], "nor is it watched before");
    story.tell(Input::TaskEnded);
    assert_eq!(story.settle(), [PublicationOrder::Publish, PublicationOrder::Watch(0)]);
}

#[test]
fn who_waits_is_shown_progress_as_long_as_there_is_any() {
    let mut story = Story::begin();
    story.tell(added(0));
    story.facts = Facts { waiting: true, ..BUSY };
    let mut shown = 0;
    for _ in 0..10 {
        story.settle();
        story.now = story.machine.wake().expect("something is due");
        shown += story.settle().iter().filter(|output| **output == PublicationOrder::Progress).count();
    }
    assert!(shown >= 9 && story.now <= ms(2100), "{shown} until {:?}", story.now);
    story.facts = IDLE;
    story.now = ms(2200);
    assert!(story.settle().contains(&PublicationOrder::AllHashed), "hashing was seen, so its end is told");
    story.until(ms(9000));
    assert_eq!(story.machine.wake(), None);
}

#[test]
fn one_look_at_a_time_and_the_rest_after_it() {
    let mut story = Story::begin();
    story.tell(Input::Look(vec![2, 1]));
    assert_eq!(story.settle(), [PublicationOrder::Look(vec![1, 2])]);
    story.tell(Input::Look(vec![3, 1]));
    story.tell(Input::Look(vec![1]));
    assert_eq!(story.settle(), []);
    assert!(!story.machine.is_settled());
    story.tell(Input::Looked);
    assert_eq!(story.settle(), [PublicationOrder::Look(vec![1, 3])]);
    story.tell(Input::Looked);
    assert!(story.settle().is_empty() && story.machine.is_settled());
}

#[test]
fn peers_have_everything_looked_at_once_a_second_at_most() {
    let mut story = Story::begin();
    let mut looks = 0;
    for _ in 0..100 {
        story.tell(Input::LookEverywhere(2));
        looks += story.settle().len();
        story.tell(Input::Looked);
        story.now += ms(30);
    }
    assert_eq!(looks, 3);
}

#[test]
fn what_cannot_be_looked_at_is_told_once_and_tried_more_and_more_rarely() {
    let mut story = Story::begin();
    assert_eq!(story.trouble(true), [PublicationOrder::Unseen(0)]);
    let mut at = Vec::new();
    for _ in 0..6 {
        let due = story.machine.wake().expect("it is tried again");
        at.push((due - story.now).as_secs());
        story.now = due;
        assert_eq!(story.settle(), [PublicationOrder::Read(0), PublicationOrder::Look(vec![0])]);
        story.tell(Input::Looked);
        assert_eq!(story.trouble(true), []);
    }
    assert_eq!(at, [2, 4, 8, 16, 30, 30]);
    assert!(story.machine.recovering().is_empty());
    assert_eq!(story.trouble(false), [PublicationOrder::WatchAgain(0)]);
    story.until(story.now + ms(60_000));
    assert_eq!(story.machine.recovering(), [0]);
    story.tell(Input::Whole(0));
    assert_eq!(
        (story.machine.recovering(), story.trouble(true)),
        (vec![], vec![PublicationOrder::Unseen(0)]),
        "told anew"
    );
}

#[test]
fn trying_takes_less_than_a_hundredth_of_a_core() {
    let mut story = Story::begin();
    story.tell(Input::Seen { root: 0, cost: Duration::from_secs(1), unseen: true });
    assert_eq!(story.machine.wake(), Some(Duration::from_secs(100)));
}

#[test]
fn what_cannot_be_read_is_read_again_and_not_looked_for() {
    let mut story = Story::begin();
    let mut at = Vec::new();
    for _ in 0..9 {
        story.tell(Input::Unreadable(0));
        story.tell(Input::Unreadable(0));
        let begun = story.now;
        story.settle();
        story.now = story.machine.wake().filter(|at| *at > begun).expect("it is tried again");
        if story.settle().contains(&PublicationOrder::Read(0)) {
            at.push((story.now - begun).as_secs());
        }
    }
    assert_eq!(at, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

#[test]
fn what_keeps_changing_is_looked_at_again_in_a_while() {
    let mut story = Story::begin();
    story.tell(Input::Restless(1));
    story.now = ms(1500);
    story.tell(Input::Restless(2));
    assert_eq!(story.until(ms(9000)), [(2000, PublicationOrder::Look(vec![1, 2]))]);
}

#[test]
fn former_trees_are_looked_through_as_long_as_there_are_any() {
    let mut story = Story::begin();
    story.facts.former = true;
    let swept = |n: u64| (n * 150_000, PublicationOrder::Sweep);
    assert_eq!(story.until(ms(310_000)), [swept(1), swept(2)]);
    story.facts.former = false;
    assert_eq!(story.until(ms(900_000)), [swept(3)]);
}

#[test]
fn a_root_that_is_there_later_is_watched_later() {
    let mut story = Story::begin();
    story.tell(added(0));
    assert_eq!(story.until(ms(5000)), [(0, PublicationOrder::Publish), (1000, PublicationOrder::Watch(0))]);
    story.tell(Input::New(1));
    story.now = ms(5500);
    story.tell(Input::New(2));
    assert_eq!(story.until(ms(9000)), [(6000, PublicationOrder::Watch(1)), (6000, PublicationOrder::Watch(2))]);
}

#[test]
fn a_root_that_is_shared_no_longer_is_left_alone() {
    let mut story = Story::begin();
    story.tell(Input::Added { root: 0, unseen: true });
    story.tell(Input::Added { root: 1, unseen: false });
    story.tell(Input::Unreadable(0));
    story.tell(Input::Restless(0));
    story.tell(Input::Look(vec![0]));
    story.tell(Input::Removed(0));
    let done: Vec<_> = story.until(ms(60_000)).into_iter().map(|(_, order)| order).collect();
    assert_eq!(done, [PublicationOrder::Publish, PublicationOrder::Watch(1)]);
}
