//! Providers that are silent, slow or of no use, and when they are left.

use super::*;

#[test]
fn who_has_another_size_is_left_at_once() {
    let (mut transfer, out) = small(64);
    let request = fetches(&out)[0].0;
    let out = transfer.handle(Input::Ended { request, end: End::Refused(Code::SizeDiffers) }, ms(10));
    assert_eq!(out.last(), Some(&Order::Leave { node: node(1), why: Why::Refused(Code::SizeDiffers) }));
    assert_eq!(out.iter().filter(|o| matches!(o, Order::Cancel { .. })).count(), 4);
}

#[test]
fn a_silent_provider_is_doubted_after_two_seconds_and_left_after_ten() {
    let (mut transfer, first) = small(64);
    let all = fetches(&meet(&mut transfer, 2, ms(1)));
    assert_eq!(all.len(), 4);
    let doubted: Vec<u32> = fetches(&first).into_iter().flat_map(|f| f.2).collect();
    let (mut now, mut asked) = (ms(1), Vec::new());
    while now < ms(4000) {
        now += ms(100);
        let alive = transfer.requests.iter().find(|(_, r)| r.node == node(2)).map(|(id, r)| (*id, r.pending.clone()));
        let (request, units) = alive.expect("never idle");
        let out = transfer.handle(Input::Proven { request, units: units.into_iter().collect() }, now);
        transfer.handle(Input::Ended { request, end: End::Finished }, now);
        let again = fetches(&out).into_iter().filter(|f| f.2.iter().any(|u| doubted.contains(u)));
        asked.extend(again.map(|_| now));
    }
    assert!(asked.first().is_some_and(|at| (ms(2000)..ms(2300)).contains(at)), "{asked:?}");
    let out = transfer.handle(Input::Tick, ms(10_001));
    assert!(out.contains(&Order::Leave { node: node(1), why: Why::Silent }), "{out:?}");
}

#[test]
fn whom_this_side_holds_up_is_not_silent() {
    let (mut transfer, _) = small(64);
    for now in (1..300).map(|n| ms(100 * n)) {
        transfer.handle(Input::Held { node: node(1), time: ms(100) }, now);
        assert_eq!(transfer.handle(Input::Tick, now), []);
    }
    assert!(!transfer.is_silent(ms(30_000)));
    assert!(transfer.handle(Input::Tick, ms(40_000)).contains(&Order::Leave { node: node(1), why: Why::Silent }));
}

/// A byte every 300 ms for 11 s; what is done, and when.
fn crawl(transfer: &mut Transfer, honest: Option<usize>) -> Vec<(Duration, Order)> {
    let mut all = Vec::new();
    for now in (1..37).map(|n| ms(300 * n)) {
        let requests: Vec<_> = transfer.requests.iter().map(|(id, r)| (*id, r.node, r.pending.clone())).collect();
        for (request, of, pending) in requests {
            let proven = Input::Proven { request, units: pending.into_iter().collect() };
            let inputs = if honest.is_some_and(|honest| of == node(honest)) {
                vec![proven, Input::Ended { request, end: End::Finished }]
            } else {
                vec![Input::Bytes { request, bytes: 1 }]
            };
            for input in inputs {
                all.extend(transfer.handle(input, now).into_iter().map(|output| (now, output)));
            }
        }
        all.extend(transfer.handle(Input::Tick, now).into_iter().map(|output| (now, output)));
    }
    all
}

#[test]
fn a_provider_that_crawls_is_doubted_after_two_seconds_and_left_for_others_after_ten() {
    let (mut transfer, first) = small(500);
    meet(&mut transfer, 2, ms(1));
    let doubted: Vec<u32> = fetches(&first).into_iter().flat_map(|f| f.2).collect();
    let happened = crawl(&mut transfer, Some(2));
    let again = happened.iter().find(|(_, output)| {
        fetches(std::slice::from_ref(output))
            .iter()
            .any(|(_, n, units)| *n == 2 && units.iter().any(|u| doubted.contains(u)))
    });
    assert!(again.is_some_and(|(at, _)| (ms(900)..ms(2800)).contains(at)), "{again:?}");
    let left: Vec<_> = happened.iter().filter(|(_, output)| matches!(output, Order::Leave { .. })).collect();
    assert!(matches!(left[..], [(_, Order::Leave { why: Why::Crawling, .. })]), "{left:?}");
    assert!(left[0].0 >= ms(9900), "{left:?}");
}

#[test]
fn who_never_tells_what_it_has_is_left() {
    let (mut transfer, _) = small(64);
    transfer.handle(Input::Ready { node: node(2), rtt: LAN, network: place(2) }, ms(100));
    assert!(!transfer.handle(Input::Tick, ms(10_000)).contains(&Order::Leave { node: node(2), why: Why::Silent }));
    assert!(transfer.handle(Input::Tick, ms(10_100)).contains(&Order::Leave { node: node(2), why: Why::Silent }));
}

#[test]
fn who_breaks_off_what_it_was_asked_for_again_and_again_is_left() {
    let (mut transfer, mut out) = small(64);
    let mut now = ms(0);
    for _ in 0..3 {
        let (request, ..) = fetches(&out).remove(0);
        out = transfer.handle(Input::Ended { request, end: End::Reset(Code::Cancelled) }, now);
        now += ms(1000);
        out.extend(transfer.handle(Input::Tick, now));
    }
    assert!(out.contains(&Order::Leave { node: node(1), why: Why::Failing }), "{out:?}");
}

#[test]
fn the_only_provider_may_crawl() {
    let (mut transfer, _) = small(64);
    let happened = crawl(&mut transfer, None);
    assert!(happened.iter().all(|(_, output)| !matches!(output, Order::Leave { .. })), "{happened:?}");
    assert!(transfer.is_silent(ms(10_800)), "others are looked for");
}

/// Nothing can be asked for before them: those of whoever sends them slowly are asked of another, too.
#[test]
fn lists_that_crawl_are_soon_asked_for_elsewhere() {
    for (map, lists) in [(file_of(64 * MIB), 1), (tree(20, MIB), lists::AHEAD)] {
        let (all, none) = (Bitfield::full(map.units()), Bitfield::empty(map.units()));
        let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), Settings::new(1));
        let asked = |out: &[Order], of| {
            out.iter().filter(|output| matches!(output, Order::List { node, .. } if *node == self::node(of))).count()
        };
        assert_eq!(asked(&meet(&mut transfer, 1, LAN), 1), lists);
        assert_eq!(asked(&meet(&mut transfer, 2, LAN), 2), 0);
        assert_eq!(asked(&transfer.handle(Input::Tick, ms(12)), 2), 0, "they are not late");
        assert_eq!(asked(&transfer.handle(Input::Tick, ms(200)), 2), lists);
        let more = transfer.handle(Input::Tick, ms(1000));
        assert_eq!((asked(&more, 1), asked(&more, 2)), (0, 0), "two are enough");
    }
}

/// Found with a hostile peer: who had sent the list, and then nothing, and a second one kept the units for five seconds.
#[test]
fn two_that_send_nothing_more_do_not_keep_a_unit_from_a_third() {
    for elsewhere in [false, true] {
        let (mut transfer, first) = small(2);
        let (request, _, units) = fetches(&first).remove(0);
        transfer.handle(Input::Proven { request, units }, ms(10));
        transfer.handle(Input::Ended { request, end: End::Finished }, ms(10));
        meet_in(&mut transfer, 2, place(if elsewhere { 2 } else { 1 }), ms(10));
        let tick = |transfer: &mut Transfer, at| fetches(&transfer.handle(Input::Tick, ms(at)));
        let second: Vec<_> = (1..15).flat_map(|n| tick(&mut transfer, 100 * n)).collect();
        assert!(second.iter().any(|(_, of, units)| *of == 2 && units == &[1]), "{second:?}");
        let mut third = vec![fetches(&meet_in(&mut transfer, 3, place(if elsewhere { 3 } else { 1 }), ms(1450)))];
        third.extend((15..21).map(|n| tick(&mut transfer, 100 * n)));
        let is_asked = |out: &Vec<_>| out.iter().any(|(_, of, units): &(_, _, Vec<_>)| *of == 3 && units == &[1]);
        assert!(third.iter().any(is_asked), "elsewhere: {elsewhere}, {third:?}");
    }
}

/// The same with what has to come first.
#[test]
fn a_list_is_asked_of_a_third_of_one_network_where_two_send_nothing() {
    let (all, none) = (Bitfield::full(4), Bitfield::empty(4));
    let mut transfer = Transfer::new(file_of(4 * MIB), &all, &none, &BTreeSet::new(), Settings::new(1));
    (1..=4).for_each(|n| drop(meet_in(&mut transfer, n, place(1), LAN)));
    let lists = |out: Vec<Order>| out.iter().filter(|order| matches!(order, Order::List { .. })).count();
    let asked: Vec<_> = [12, 70, 130, 200, 250, 310].map(|at| lists(transfer.handle(Input::Tick, ms(at)))).into();
    assert_eq!(asked, [0, 1, 0, 1, 0, 1], "one after the other");
}
