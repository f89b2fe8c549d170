//! The table of slots: turns, shares, and what happens to those who hold slots and do not read.

mod vanishing;

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const START: Duration = Duration::ZERO;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

const fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

/// A node of a network.
fn at(network: u8, n: u8) -> Who {
    Who { peer: node(n), network: address(network), friend: false }
}

/// All of one network, as on one machine.
fn of(n: u8) -> Who {
    at(0, n)
}

fn capacity(slots: usize, reserve: usize) -> Capacity {
    Capacity { slots, reserve, peers: 3, per_peer: 2, queue: 3, queue_per_peer: 2 }
}

fn small() -> Slots {
    Slots::new(capacity(3, 0))
}

fn release(slots: &mut Slots, ticket: Ticket) -> Vec<Ticket> {
    slots.release(ticket, true, START)
}

#[test]
fn a_greedy_peer_leaves_room_for_another() {
    let mut slots = small();
    assert_eq!([1, 2].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Granted; 2]);
    assert_eq!([3, 4].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Queued(None); 2]);
    assert_eq!(slots.ask(of(1), 5, START), Admission::Busy);
    assert_eq!(slots.ask(of(2), 6, START), Admission::Granted);
    assert!(release(&mut slots, 6).is_empty());
    assert_eq!(release(&mut slots, 1), [3]);
}

#[test]
fn a_forgotten_ticket_is_never_granted() {
    let mut slots = small();
    for ticket in 1..=4 {
        slots.ask(of(1), ticket, START);
    }
    assert!(slots.forget(3, START).is_empty());
    assert_eq!(release(&mut slots, 1), [4]);
}

#[test]
fn a_release_that_is_told_twice_frees_one_slot() {
    let mut slots = small();
    for ticket in 1..=2 {
        slots.ask(of(1), ticket, START);
    }
    release(&mut slots, 1);
    release(&mut slots, 1);
    assert_eq!(slots.active(), 1);
}

/// Two peers at once, of which the first would take everything.
fn turns() -> Slots {
    let mut slots = Slots::new(Capacity { peers: 2, ..Capacity::default() });
    assert_eq!([1, 2].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Granted; 2]);
    assert_eq!(slots.ask(of(2), 3, START), Admission::Granted);
    assert_eq!([4, 5].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Granted; 2]);
    for (n, ticket) in [(3, 6), (4, 7), (1, 8), (2, 9)] {
        assert_eq!(slots.ask(of(n), ticket, START), Admission::Queued(None));
    }
    slots
}

#[test]
fn peers_take_turns_while_others_wait() {
    let mut slots = turns();
    assert_eq!(release(&mut slots, 3), [9], "new ones began so far: now one that has taken something");
    for ticket in [1, 2, 4] {
        assert!(release(&mut slots, ticket).is_empty(), "no other peer may begin beside two, nor the same one go on");
    }
    assert_eq!(release(&mut slots, 5), [6], "then a new one");
    assert_eq!(release(&mut slots, 9), [8]);
    assert_eq!(release(&mut slots, 6), [7]);
}

#[test]
fn who_has_waited_too_long_begins_beside_the_others() {
    let mut slots = turns();
    assert_eq!((slots.hurry(7, START), slots.hurry(7, START)), (vec![7], vec![]));
    assert!(slots.hurry(8, START).is_empty(), "the first peer has something on its way");
    assert_eq!(slots.active(), 6);
}

#[test]
fn networks_take_turns_before_peers_do() {
    let mut slots = Slots::new(Capacity { peers: 1, ..Capacity::default() });
    assert_eq!(slots.ask(at(1, 1), 1, START), Admission::Granted);
    for (network, n, ticket) in [(1, 2, 2), (1, 3, 3), (1, 4, 4), (2, 5, 5), (2, 6, 6)] {
        assert_eq!(slots.ask(at(network, n), ticket, START), Admission::Queued(None));
    }
    let mut order = Vec::new();
    let mut next = release(&mut slots, 1);
    while let [ticket] = next[..] {
        order.push(ticket);
        next = release(&mut slots, ticket);
    }
    assert_eq!(order, [5, 2, 6, 3, 4]);
}

#[test]
fn of_a_full_queue_the_greediest_loses_its_last_place() {
    let mut slots = Slots::new(Capacity { queue: 4, queue_per_peer: 4, ..capacity(1, 0) });
    slots.ask(of(1), 1, START);
    for (network, n, ticket) in [(0, 1, 2), (0, 1, 3), (0, 2, 4), (5, 5, 5)] {
        assert_eq!(slots.ask(at(network, n), ticket, START), Admission::Queued(None));
    }
    assert_eq!(slots.ask(of(1), 6, START), Admission::Busy, "it has most itself");
    let loses = |slots: &mut Slots, who, ticket, loser| {
        assert_eq!(slots.ask(who, ticket, START), Admission::Queued(Some(loser)));
        assert!(slots.forget(loser, START).is_empty());
    };
    loses(&mut slots, of(3), 7, 3);
    loses(&mut slots, at(5, 5), 8, 2);
    assert_eq!(slots.ask(at(6, 6), 9, START), Admission::Queued(Some(7)), "of its network the one that came last");
}

#[test]
fn the_reserve_is_for_who_has_none_and_for_friends() {
    let mut slots = Slots::new(Capacity { peers: 9, ..capacity(2, 2) });
    assert_eq!([1, 2].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Granted; 2]);
    assert_eq!(slots.ask(of(2), 3, START), Admission::Granted);
    assert_eq!(slots.ask(of(2), 4, START), Admission::Queued(None));
    let friend = Who { friend: true, ..of(2) };
    assert_eq!(slots.ask(friend, 5, START), Admission::Granted);
    assert_eq!(slots.ask(of(3), 6, START), Admission::Queued(None), "all are taken");
}

/// Nothing has moved since it began.
fn unread(now: Duration) -> impl Fn(Ticket) -> View {
    move |_| View { blocked: Some(now), ..View::default() }
}

#[test]
fn who_does_not_read_is_not_among_those_who_are_served() {
    let mut slots = Slots::new(Capacity { peers: 2, ..Capacity::default() });
    for n in 1..=2 {
        assert_eq!(slots.ask(of(n), n.into(), START), Admission::Granted);
    }
    assert_eq!(slots.ask(of(3), 3, START), Admission::Queued(None));
    assert_eq!(slots.look(unread(ms(200)), ms(200)), Looked::default());
    let looked = slots.look(unread(ms(400)), ms(400));
    assert_eq!(looked, Looked { recall: Vec::new(), granted: vec![3] }, "there are slots enough");
}

#[test]
fn who_does_not_read_gives_its_slots_to_who_waits() {
    let mut slots = Slots::new(Capacity { slots: 4, reserve: 1, ..Capacity::default() });
    for (n, ticket) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        assert_eq!(slots.ask(of(n), ticket, START), Admission::Granted);
    }
    assert_eq!(slots.ask(of(1), 5, START), Admission::Queued(None));
    assert_eq!(slots.ask(of(3), 6, START), Admission::Granted, "of the reserve");
    assert_eq!(slots.ask(of(3), 7, START), Admission::Queued(None));
    let reads =
        |now: Duration| move |ticket| View { blocked: Some(if ticket == 6 { ms(1) } else { now }), ..View::default() };
    assert_eq!(slots.look(reads(ms(200)), ms(200)), Looked::default());
    let recalled = slots.look(reads(ms(400)), ms(400)).recall;
    assert_eq!(recalled.len(), 1, "one waits, and the first peer's own request does not count: it does not read");
    assert!(recalled[0] < 5);
    // The reserve was in use: a second one has to go.
    assert!(slots.release(recalled[0], false, ms(400)).is_empty());
    let second = slots.look(reads(ms(600)), ms(600)).recall;
    assert_eq!(slots.release(second[0], false, ms(600)), [7]);
}

#[test]
fn who_did_not_read_has_one_at_a_time_until_it_has_taken_all_of_one() {
    let mut slots = Slots::new(Capacity { peers: 9, ..capacity(2, 0) });
    assert_eq!([1, 2].map(|ticket| slots.ask(of(1), ticket, START)), [Admission::Granted; 2]);
    slots.ask(of(2), 3, START);
    let recalled = slots.look(unread(ms(400)), ms(400)).recall;
    assert_eq!(recalled.len(), 1);
    let now = ms(500);
    assert_eq!(slots.release(recalled[0], false, now), [3]);
    slots.release(3 - recalled[0], false, now);
    slots.release(3, true, now);
    assert_eq!([4, 5].map(|ticket| slots.ask(of(1), ticket, now)), [Admission::Granted, Admission::Queued(None)]);
    assert_eq!(slots.release(4, true, now), [5]);
    assert_eq!(slots.ask(of(1), 6, now), Admission::Granted);
}

#[test]
fn a_disk_that_is_slow_is_nobodys_fault() {
    let mut slots = Slots::new(capacity(1, 0));
    slots.ask(of(1), 1, START);
    slots.ask(of(2), 2, START);
    for n in 1..200 {
        assert_eq!(slots.look(|_| View::default(), ms(200 * n)), Looked::default());
    }
}

/// On 256 kbit/s, with sixteen streams of which QUIC sends one after the other.
#[test]
fn a_slow_reader_that_moves_keeps_its_streams_for_as_long_as_it_takes() {
    let mut slots = Slots::new(Capacity { slots: 16, reserve: 1, peers: 9, ..Capacity::default() });
    for ticket in 1..=16 {
        assert_eq!(slots.ask(of(1), ticket, START), Admission::Granted);
    }
    let slow = |now: Duration| move |_| View { blocked: Some(now), sent: 32 * now.as_millis() as u64, rtt: ms(300) };
    // While nobody waits, four minutes: the time that the 8 MiB take which QUIC was given at first.
    for n in 1..1200 {
        assert_eq!(slots.look(slow(ms(200 * n)), ms(200 * n)).recall, Vec::<Ticket>::new(), "look {n}");
    }
    // Who comes gets of the reserve, and then some of its slots; one stays.
    let mut now = ms(240_000);
    for n in 2..40_u8 {
        slots.ask(of(n), 1000 + Ticket::from(n), now);
    }
    let mut left = 16;
    for _ in 0..40 {
        now += ms(200);
        let others =
            |ticket| View { blocked: (ticket < 17).then_some(now), sent: 32 * now.as_millis() as u64, rtt: ms(300) };
        let looked = slots.look(others, now);
        for ticket in looked.recall {
            left -= 1;
            slots.release(ticket, false, now);
        }
    }
    assert_eq!(left, 1);
}

#[test]
fn what_is_below_the_floor_goes_though_nobody_waits() {
    for rate in [0, 1, 1024] {
        let mut slots = Slots::new(Capacity::default());
        slots.ask(of(1), 1, START);
        let view = |now: Duration| {
            move |_| View { blocked: Some(now), sent: rate * now.as_millis() as u64 / 1000, rtt: ms(1) }
        };
        let gone = (1..).map(|n| ms(200 * n)).find(|now| !slots.look(view(*now), *now).recall.is_empty());
        assert!(gone.is_some_and(|gone| (ms(10_000)..ms(21_000)).contains(&gone)), "{rate}: {gone:?}");
    }
}

#[test]
fn a_stream_that_is_passed_by_all_others_of_its_peer_is_not_read() {
    let mut slots = Slots::new(Capacity::default());
    slots.ask(of(1), 1, START);
    slots.ask(of(1), 2, START);
    let view = |now: Duration| {
        move |ticket| View {
            blocked: Some(if ticket == 1 { now } else { ms(1) }),
            sent: 10_000 * now.as_millis() as u64,
            rtt: ms(1),
        }
    };
    let gone = (1..).map(|n| ms(200 * n)).find_map(|now| slots.look(view(now), now).recall.first().copied());
    assert_eq!(gone, Some(1));
}

#[test]
fn a_friend_keeps_its_slots_from_those_who_wait() {
    let mut slots = Slots::new(capacity(2, 0));
    let friend = Who { friend: true, ..of(1) };
    slots.ask(friend, 1, START);
    slots.ask(of(2), 2, START);
    slots.ask(of(3), 3, START);
    slots.ask(of(4), 4, START);
    assert_eq!(slots.look(unread(ms(2000)), ms(2000)).recall, [2], "two wait, and the friend keeps its own");
}

#[test]
fn one_network_does_not_keep_all_slots_from_another() {
    let mut slots = Slots::new(Capacity { peers: 99, queue: 99, ..capacity(6, 0) });
    for n in 1..=6 {
        assert_eq!(slots.ask(at(1, n), n.into(), START), Admission::Granted);
    }
    for n in 7..=12 {
        assert_eq!(slots.ask(at(n / 10 + 2, n), n.into(), START), Admission::Queued(None));
    }
    let moving =
        |now: Duration| move |_| View { blocked: Some(ms(1)), sent: 5000 * now.as_millis() as u64, rtt: ms(1) };
    let mut recalled = Vec::new();
    for n in 1..60 {
        let now = ms(200 * n);
        for ticket in slots.look(moving(now), now).recall {
            slots.release(ticket, false, now);
            recalled.push(ticket);
        }
    }
    recalled.sort_unstable();
    assert_eq!(
        (recalled.len(), recalled.iter().all(|ticket| *ticket <= 6)),
        (4, true),
        "two of six stay: {recalled:?}"
    );
}

#[test]
fn new_identities_come_by_turns_with_who_takes_what_it_asks_for() {
    let mut slots = Slots::new(Capacity { queue: 99, ..capacity(1, 0) });
    slots.ask(of(1), 1, START);
    release(&mut slots, 1);
    slots.ask(of(2), 2, START);
    for n in 3..20 {
        slots.ask(of(n), n.into(), START);
    }
    slots.ask(of(1), 100, START);
    assert_eq!(slots.release(2, false, START), [100]);
}

/// Who goes on need not wait for new peers of a network that holds more: they may be one, under ever new names.
#[test]
fn new_identities_of_one_network_do_not_keep_another_network_to_one_slot() {
    let mut slots = Slots::new(Capacity { peers: 2, per_peer: 3, queue: 99, ..capacity(12, 0) });
    for n in 1..4 {
        slots.ask(at(1, n), n.into(), START);
    }
    assert_eq!(
        slots.ask(at(2, 99), 10, START),
        Admission::Granted,
        "beside two peers of a network that has more than its share"
    );
    for n in 4..20 {
        assert_eq!(slots.ask(at(1, n), 100 + u64::from(n), START), Admission::Queued(None));
    }
    assert_eq!(slots.ask(at(2, 99), 11, START), Admission::Granted, "its network holds less");
    assert_eq!(slots.ask(at(2, 99), 12, START), Admission::Queued(None));
    assert_eq!(slots.hurry(104, START), [104, 12], "the other one holds more now");
    assert_eq!(slots.ask(at(3, 50), 13, START), Admission::Queued(None), "each network has one of the two");
    assert!(release(&mut slots, 1).is_empty(), "two are served");
    assert!(slots.release(2, true, START).is_empty(), "and one that was in a hurry");
}

/// Peers that ask on and on and are gone keep every slot that they can have; whoever comes from elsewhere finds some at once.
#[test]
fn the_reserve_stays_for_networks_that_hold_little() {
    let mut slots = Slots::new(Capacity { peers: 99, queue: 99, ..capacity(6, 4) });
    let granted = (1..40).filter(|n| slots.ask(at(1, *n), (*n).into(), START) == Admission::Granted).count();
    assert_eq!(granted, 8, "a new peer has one of half of the reserve");
    assert_eq!([50, 51].map(|ticket| slots.ask(at(2, 99), ticket, START)), [Admission::Granted; 2]);
    assert_eq!(slots.ask(at(3, 98), 52, START), Admission::Queued(None), "all are taken");
}

#[derive(Debug, Clone)]
enum Op {
    Ask(u8, bool),
    Forget(usize),
    Hurry(usize),
    Look(u8),
    Release(usize, bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..6_u8, any::<bool>()).prop_map(|(n, friend)| Op::Ask(n, friend)),
        1 => (0..9_usize).prop_map(Op::Forget),
        1 => (0..9_usize).prop_map(Op::Hurry),
        2 => any::<u8>().prop_map(Op::Look),
        3 => (0..9_usize, any::<bool>()).prop_map(|(n, whole)| Op::Release(n, whole)),
    ]
}

proptest! {
    /// Whatever happens, quotas and shares hold, what is granted is what is held, and nobody waits who may begin.
    #[test]
    fn quotas_hold_and_nobody_waits_beside_a_free_slot(ops in proptest::collection::vec(op(), 0..200)) {
        let mut slots = Slots::new(Capacity { queue: 5, ..capacity(3, 2) });
        let (mut held, mut waiting) = (Vec::<(Ticket, u8)>::new(), Vec::<(Ticket, u8)>::new());
        let mut now = START;
        for (ticket, op) in (0..).zip(ops) {
            let mut granted = Vec::new();
            match op {
                Op::Ask(n, friend) => {
                    // Two networks.
                    let who = Who { friend, ..at(n % 2, n) };
                    match slots.ask(who, ticket, now) {
                        Admission::Busy => {}
                        Admission::Granted => {
                            held.push((ticket, n));
                            granted = slots.settle(now);
                        }
                        Admission::Queued(displaced) => {
                            waiting.push((ticket, n));
                            waiting.retain(|(t, _)| Some(*t) != displaced);
                            granted = displaced.map(|displaced| slots.forget(displaced, now)).unwrap_or_default();
                        }
                    }
                }
                Op::Forget(at) if at < waiting.len() => granted = slots.forget(waiting.remove(at).0, now),
                Op::Hurry(at) if at < waiting.len() => {
                    let ticket = waiting[at].0;
                    granted = slots.hurry(ticket, now);
                }
                Op::Look(still) => {
                    now += ms(300);
                    let view = |ticket: Ticket| View {
                        blocked: (!ticket.is_multiple_of(3)).then_some(if still >> (ticket % 8) & 1 == 1 { now } else { ms(0) }),
                        ..View::default()
                    };
                    let looked = slots.look(view, now);
                    prop_assert!(looked.recall.iter().all(|ticket| held.iter().any(|(t, _)| t == ticket)));
                    granted = looked.granted;
                }
                Op::Release(at, whole) if at < held.len() => granted = slots.release(held.remove(at).0, whole, now),
                _ => {}
            }
            for ticket in granted {
                let at = waiting.iter().position(|(t, _)| *t == ticket).expect("it waited");
                held.push(waiting.remove(at));
            }
            prop_assert!((0..6).all(|n| held.iter().filter(|(_, m)| *m == n).count() <= 2));
            prop_assert_eq!((held.len(), waiting.len()), (slots.active(), slots.waiting()));
            prop_assert!(held.len() <= 5 && waiting.len() <= 5);
            prop_assert_eq!(slots.next(now), None);
        }
    }
}
