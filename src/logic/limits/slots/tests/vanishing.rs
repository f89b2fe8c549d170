//! Peers that ask and vanish, again and again under new names: who else waits for them.

use super::*;

/// Ever new names, each of such a network, that ask and vanish: each is recalled once others wait.
fn vanished(slots: &mut Slots, network: impl Fn(u8) -> u8) -> Duration {
    for n in 1..=4 {
        assert_eq!(slots.ask(at(network(n), n), n.into(), START), Admission::Granted);
    }
    for n in 5..=8 {
        assert_eq!(slots.ask(at(network(n), n), n.into(), START), Admission::Queued(None));
    }
    slots.look(unread(ms(200)), ms(200));
    let now = ms(400);
    let recalled = slots.look(unread(now), now).recall;
    assert_eq!(recalled, [4, 3, 2, 1]);
    for ticket in recalled {
        slots.release(ticket, false, now);
    }
    assert_eq!((slots.active(), slots.waiting()), (4, 0));
    now
}

#[test]
fn who_comes_after_many_of_its_network_that_vanished_has_one_slot_after_all_others() {
    let mut slots = Slots::new(Capacity { peers: 4, per_peer: 4, queue: 99, queue_per_peer: 9, ..capacity(4, 0) });
    slots.ask(at(2, 50), 90, START);
    slots.release(90, true, START);
    let now = vanished(&mut slots, |_| 1);
    for (network, n, ticket) in [(1, 9, 20), (1, 10, 21), (2, 50, 22), (2, 50, 23), (2, 50, 24)] {
        assert_eq!(slots.ask(at(network, n), ticket, now), Admission::Queued(None));
    }
    assert_eq!(slots.release(5, false, now), [22], "of another network");
    assert_eq!(slots.release(6, false, now), [23], "who goes on does not wait for those who come so");
    assert_eq!(slots.release(7, false, now), [24]);
    assert_eq!(slots.release(8, false, now), [20], "then those");
    assert_eq!(slots.ask(at(1, 9), 25, now), Admission::Queued(None), "one at a time");
    assert_eq!(slots.release(20, true, now), [25], "until it has taken all of one");
    assert_eq!(slots.release(22, true, now), [21]);
    assert!(slots.release(23, true, now).is_empty());
    assert_eq!(slots.ask(at(1, 9), 26, now), Admission::Granted);
}

#[test]
fn one_that_vanishes_is_held_against_nobody_else() {
    let mut slots = Slots::new(Capacity { peers: 9, ..capacity(1, 0) });
    slots.ask(at(1, 1), 1, START);
    slots.ask(at(2, 50), 2, START);
    slots.look(unread(ms(200)), ms(200));
    assert_eq!(slots.look(unread(ms(400)), ms(400)).recall, [1]);
    assert_eq!(slots.release(1, false, ms(400)), [2]);
    slots.ask(at(2, 51), 3, ms(400));
    slots.ask(at(1, 9), 4, ms(400));
    assert_eq!(slots.release(2, true, ms(400)), [4], "its network was served last longest ago");
}

#[test]
fn who_takes_what_it_asks_for_does_not_wait_for_new_ones_of_every_address() {
    let mut slots = Slots::new(Capacity { peers: 9, ..capacity(1, 0) });
    slots.ask(at(1, 1), 1, START);
    for (network, ticket) in (2..9).zip(2..) {
        slots.ask(at(network, network), ticket, START);
    }
    assert_eq!(slots.release(1, true, START), [2]);
    slots.ask(at(1, 1), 100, START);
    assert_eq!(slots.release(2, false, START), [100], "by turns with all that are new");
    assert_eq!(slots.release(100, true, START), [3]);
    slots.ask(at(1, 1), 101, START);
    assert_eq!(slots.release(3, false, START), [101]);
}

#[test]
fn while_many_new_ones_vanish_who_reads_does_not_wait_for_more_of_them() {
    let mut slots = Slots::new(Capacity { peers: 4, per_peer: 4, queue: 99, queue_per_peer: 9, ..capacity(4, 0) });
    slots.ask(at(99, 99), 90, START);
    slots.release(90, true, START);
    let now = vanished(&mut slots, |n| n);
    for (network, ticket) in [(99, 91), (99, 92), (9, 20), (10, 21), (11, 22)] {
        assert_eq!(slots.ask(at(network, network), ticket, now), Admission::Queued(None));
    }
    assert_eq!(slots.release(5, false, now), [91], "by turns with those who are new");
    assert_eq!(slots.release(6, false, now), [20]);
    assert_eq!(slots.release(7, false, now), [92], "with something on its way, while others have nothing");
}

#[test]
fn while_many_new_ones_vanish_those_that_wait_make_room_for_who_reads() {
    let mut slots = Slots::new(Capacity { peers: 4, per_peer: 4, queue: 4, queue_per_peer: 9, ..capacity(4, 0) });
    slots.ask(at(99, 99), 90, START);
    slots.release(90, true, START);
    let now = vanished(&mut slots, |n| n);
    for (n, ticket) in [(9, 20), (10, 21), (11, 22), (12, 23)] {
        assert_eq!(slots.ask(at(n, n), ticket, now), Admission::Queued(None));
    }
    for (ticket, loser) in [(91, 23), (92, 22), (93, 21), (94, 20)] {
        assert_eq!(slots.ask(at(99, 99), ticket, now), Admission::Queued(Some(loser)), "though it has most");
        assert!(slots.forget(loser, now).is_empty());
    }
    assert_eq!(slots.ask(at(13, 13), 24, now), Admission::Busy);
}

#[test]
fn while_many_new_ones_vanish_one_more_does_not_wait_for_those_that_still_read() {
    let mut slots = Slots::new(Capacity { peers: 4, per_peer: 4, queue: 99, queue_per_peer: 9, ..capacity(4, 0) });
    let before = vanished(&mut slots, |n| n);
    slots.capacity.slots = 24;
    slots
        .held
        .keys()
        .copied()
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|ticket| drop(slots.release(ticket, false, before)));
    for n in 0..12 {
        assert_eq!(slots.ask(at(20 + n, 20 + n), 100 + u64::from(n), before), Admission::Granted);
    }
    let now = before + ms(200);
    slots.look(|ticket| View { sent: ticket * 10_000, ..View::default() }, before + ms(100));
    slots.look(|ticket| View { sent: ticket * 20_000, ..View::default() }, now);
    assert_eq!(
        slots.ask(at(99, 99), 99, now),
        Admission::Granted,
        "twelve read, and four at once are served at other times"
    );
}

#[test]
fn while_many_new_ones_vanish_the_rest_of_the_reserve_is_for_who_reads() {
    let mut slots = Slots::new(Capacity { peers: 99, per_peer: 4, queue: 99, queue_per_peer: 9, ..capacity(4, 8) });
    slots.ask(at(99, 99), 90, START);
    slots.release(90, true, START);
    let new = |slots: &mut Slots, n: u8, now| slots.ask(at(n, n), n.into(), now);
    assert!((1..=12).all(|n| new(&mut slots, n, START) == Admission::Granted));
    assert!((13..=16).all(|n| new(&mut slots, n, START) == Admission::Queued(None)));
    slots.look(unread(ms(200)), ms(200));
    let recalled = slots.look(unread(ms(400)), ms(400)).recall;
    assert_eq!(recalled.len(), 4, "as many as wait");
    recalled.iter().for_each(|ticket| drop(slots.release(*ticket, false, ms(400))));
    assert_eq!((slots.active(), slots.waiting()), (8, 4), "half of the reserve");
    assert_eq!(slots.ask(at(99, 99), 91, ms(400)), Admission::Granted);
    assert_eq!(slots.ask(at(99, 99), 92, ms(400)), Admission::Granted);
    assert_eq!(new(&mut slots, 17, ms(400)), Admission::Queued(None));
}
