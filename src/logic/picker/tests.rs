use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::ContentId;

const MIB: u64 = 1 << 20;

fn picker(units: u32, seed: u64) -> Picker {
    let map = UnitMap::of_file(ContentId::of(b"x"), u64::from(units) * MIB).expect("small");
    assert_eq!(map.units(), units, "64 units or more, so that a unit is 1 MiB");
    let mut picker = Picker::new(Arc::new(map), seed);
    (0..units).for_each(|u| picker.set(u, State::Wanted));
    picker
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

const fn span(units: usize) -> Span {
    Span { bytes: u64::MAX, units, ranges: 256 }
}

/// The first units as a picture: `*` have, `>` in flight, `.` wanted, `x` unwanted, `b` blocked.
fn drawn(picker: &Picker, count: u32) -> String {
    (0..count)
        .map(|u| match picker.state(u) {
            State::Blocked => 'b',
            State::Have => '*',
            State::InFlight => '>',
            State::Unwanted => 'x',
            State::Wanted => '.',
        })
        .collect()
}

#[test]
fn a_region_is_read_in_order_around_what_is_there() {
    let mut picker = picker(64, 1);
    picker.set(2, State::Have);
    picker.set(5, State::Unwanted);
    picker.set(6, State::Blocked);
    assert_eq!(picker.acquire_region(RequestId(1), Taker { node: node(1), rate: 0 }, span(4), |_| true), [0, 1, 3, 4]);
    assert_eq!(drawn(&picker, 10), ">>*>>xb...");
    assert_eq!(picker.complete(0), [RequestId(1)]);
    picker.release(1, RequestId(1));
    assert_eq!(drawn(&picker, 10), "*.*>>xb...");
}

#[test]
fn two_providers_begin_in_different_halves_and_meet() {
    let mut picker = picker(64, 1);
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..17_u64 {
        for who in 0..2_u8 {
            let units = picker.acquire_region(RequestId(round), Taker { node: node(who), rate: 0 }, span(2), |_| true);
            taken[usize::from(who)].extend(units);
        }
    }
    assert_eq!(taken[0][..32], (0..32).collect::<Vec<_>>());
    assert_eq!(taken[1][..31], (33..64).collect::<Vec<_>>());
    assert_eq!(picker.wanted(), 0);
}

#[test]
fn spans_end_at_bytes_and_ranges_but_hold_at_least_one() {
    let mut picker = picker(64, 1);
    let small = Span { bytes: 3 * MIB, units: 99, ranges: 9 };
    assert_eq!(picker.acquire_region(RequestId(1), Taker { node: node(1), rate: 0 }, small, |_| true), [0, 1, 2]);
    let tiny = Span { bytes: 1, units: 99, ranges: 9 };
    assert_eq!(picker.acquire_region(RequestId(1), Taker { node: node(1), rate: 0 }, tiny, |_| true), [3]);
    let odd = |u: u32| u % 2 == 1;
    let two = Span { bytes: u64::MAX, units: 99, ranges: 2 };
    assert_eq!(picker.acquire_region(RequestId(1), Taker { node: node(1), rate: 0 }, two, odd), [5, 7]);
}

#[test]
fn the_rarest_go_first_and_ties_differ_by_seed() {
    let mut first = picker(64, 1);
    first.spread((0..64).filter(|u| ![7, 9].contains(u)));
    let mut rare = first.acquire_rarest(RequestId(1), None, span(2), |_| true);
    rare.sort_unstable();
    assert_eq!(rare, [7, 9]);
    let orders: Vec<_> = (0..4).map(|seed| picker(64, seed).candidates(8, |_| true)).collect();
    assert!(orders.windows(2).all(|pair| pair[0] != pair[1]), "{orders:?}");
}

#[test]
fn only_what_no_partial_provider_has_is_listed_while_there_is_such() {
    let mut picker = picker(64, 1);
    picker.spread(0..60);
    let mut listed = picker.candidates(64, |_| true);
    listed.sort_unstable();
    assert_eq!(listed, [60, 61, 62, 63]);
    assert_eq!(drawn(&picker, 4), "....");
    picker.spread(60..64);
    assert_eq!(picker.candidates(64, |_| true).len(), 64);
}

#[test]
fn partial_providers_are_asked_for_what_they_have() {
    let mut picker = picker(64, 3);
    let mut has = Bitfield::empty(64);
    has.set_range(30..34);
    picker.spread(has.iter());
    assert_eq!(picker.acquire_rarest(RequestId(1), Some(&has), span(9), |_| true), [30, 31, 32, 33]);
    assert_eq!(picker.acquire_rarest(RequestId(1), Some(&has), span(9), |_| true), [0_u32; 0]);
}

#[test]
fn a_unit_has_at_most_two_holders() {
    let mut picker = picker(64, 1);
    assert_eq!(picker.hold(0, RequestId(1)), Hold::Taken);
    assert_eq!(picker.hold(0, RequestId(1)), Hold::Refused);
    assert_eq!(picker.hold(0, RequestId(2)), Hold::Shared);
    assert_eq!(picker.hold(0, RequestId(3)), Hold::Refused);
    picker.release(0, RequestId(1));
    assert_eq!(drawn(&picker, 2), ">.");
    assert_eq!(picker.complete(0), [RequestId(2)]);
    assert_eq!(picker.hold(0, RequestId(4)), Hold::Refused);
}

#[test]
fn a_long_row_is_picked_by_samples_to_its_end() {
    let mut picker = picker(14_000, 7);
    let mut count = 0;
    loop {
        let units = picker.acquire_rarest(RequestId(count), None, span(64), |_| true);
        if units.is_empty() {
            break;
        }
        count += 1;
        units.into_iter().for_each(|u| drop(picker.complete(u)));
    }
    assert_eq!((picker.missing(), count), (0, 14_000_u64.div_ceil(64)));
}

#[derive(Debug, Clone)]
enum Op {
    Complete(u32),
    Forget(u8),
    Hold(u32, u64),
    Rarest(u64, usize),
    Region(u64, u8, usize),
    Release(u32, u64),
    Set(u32, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let unit = 0_u32..70;
    prop_oneof![
        unit.clone().prop_map(Op::Complete),
        (0_u8..4).prop_map(Op::Forget),
        (unit.clone(), 0_u64..8).prop_map(|(u, r)| Op::Hold(u, r)),
        (0_u64..8, 1_usize..9).prop_map(|(r, n)| Op::Rarest(r, n)),
        (0_u64..8, 0_u8..4, 1_usize..9).prop_map(|(r, n, c)| Op::Region(r, n, c)),
        (unit.clone(), 0_u64..8).prop_map(|(u, r)| Op::Release(u, r)),
        (unit, 0_u8..4).prop_map(|(u, s)| Op::Set(u, s)),
    ]
}

/// Who holds what, kept beside the picker.
type Holders = BTreeMap<u32, Vec<RequestId>>;

fn apply(picker: &mut Picker, holders: &mut Holders, op: Op) {
    match op {
        Op::Complete(unit) => {
            let held = holders.remove(&unit).unwrap_or_default();
            assert_eq!(picker.complete(unit), held);
        }
        Op::Forget(n) => picker.forget(node(n)),
        Op::Hold(unit, r) => match picker.hold(unit, RequestId(r)) {
            Hold::Refused => {}
            Hold::Shared | Hold::Taken => holders.entry(unit).or_default().push(RequestId(r)),
        },
        Op::Rarest(r, count) => {
            for unit in picker.acquire_rarest(RequestId(r), None, span(count), |_| true) {
                assert_eq!(holders.insert(unit, vec![RequestId(r)]), None);
            }
        }
        Op::Region(r, n, count) => {
            for unit in picker.acquire_region(RequestId(r), Taker { node: node(n), rate: 1 }, span(count), |_| true) {
                assert_eq!(holders.insert(unit, vec![RequestId(r)]), None);
            }
        }
        Op::Release(unit, r) => {
            picker.release(unit, RequestId(r));
            if let Some(held) = holders.get_mut(&unit) {
                held.retain(|h| *h != RequestId(r));
                if held.is_empty() {
                    holders.remove(&unit);
                }
            }
        }
        Op::Set(unit, s) => {
            picker.set(unit, [State::Blocked, State::Have, State::Unwanted, State::Wanted][usize::from(s)]);
        }
    }
}

proptest! {
    #[test]
    fn every_unit_is_in_exactly_one_state(ops in prop::collection::vec(op(), 1..200)) {
        let (mut picker, mut holders) = (picker(64, 5), Holders::new());
        for op in ops {
            apply(&mut picker, &mut holders, op);
            let count = |state| (0..64).filter(|u| picker.state(*u) == state).count();
            prop_assert_eq!(count(State::InFlight), holders.len());
            prop_assert_eq!(picker.flights.len(), holders.len());
            prop_assert_eq!(count(State::Wanted), picker.wanted() as usize);
            prop_assert_eq!(picker.wanted_bytes(), u64::from(picker.wanted()) * MIB);
            let gone = count(State::Have) + count(State::Unwanted);
            prop_assert_eq!(picker.missing() as usize, 64 - gone);
            for (unit, held) in &holders {
                prop_assert_eq!(picker.state(*unit), State::InFlight);
                prop_assert!((1..=2).contains(&held.len()));
                prop_assert_eq!(picker.is_shareable(*unit), held.len() == 1);
            }
        }
    }
}
