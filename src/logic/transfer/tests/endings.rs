//! What providers deny, and whether there is hope.

use super::*;

/// A tree of files of one unit each, with provider 1 complete.
fn tree_of(files: usize) -> (Transfer, Vec<Order>) {
    let map = tree(files, 1000);
    let units = map.units();
    let (all, none) = (Bitfield::full(units), Bitfield::empty(units));
    let settings = Settings { scatter: false, ..Settings::new(1) };
    let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), settings);
    let out = meet(&mut transfer, 1, LAN);
    (transfer, out)
}

/// Everything that is asked for now fails so, again and again until `end`; says when units were asked for.
fn failing(transfer: &mut Transfer, mut out: Vec<Order>, fault: Fault, end: Duration) -> Vec<Duration> {
    let (mut now, mut asked) = (LAN, Vec::new());
    while now < end {
        let fetched = fetches(&out);
        out.clear();
        asked.extend(fetched.iter().map(|_| now));
        for (request, _, units) in fetched {
            for unit in units {
                out.extend(transfer.handle(Input::Fault { request, unit: Some(unit), fault }, now));
            }
            out.extend(transfer.handle(Input::Ended { request, end: End::Finished }, now));
        }
        now += ms(100);
        out.extend(transfer.handle(Input::Tick, now));
    }
    asked
}

#[test]
fn a_file_that_was_only_touched_comes_after_all() {
    let (mut transfer, out) = tree_of(1);
    assert!(transfer.has_hope());
    // Alone it is the whole content: the provider is left and met again.
    let (request, _, units) = fetches(&out).remove(0);
    let fault = Input::Fault { request, unit: units.first().copied(), fault: Fault::Changed };
    let out = transfer.handle(fault, ms(10));
    assert_eq!(out.last(), Some(&Order::Leave { node: node(1), why: Why::Changed }));

    let (mut transfer, out) = tree_of(2);
    let (request, _, units) = fetches(&out).remove(0);
    assert_eq!(units, [0, 1]);
    let out = transfer.handle(Input::Fault { request, unit: Some(0), fault: Fault::Changed }, ms(10));
    let (other, _, rest) = fetches(&out).remove(0);
    assert_eq!(rest, [1], "the other file is asked for at once");
    transfer.handle(Input::Proven { request: other, units: rest }, ms(20));
    assert_eq!(transfer.denied(), BTreeMap::from([(0, Fault::Changed)]));
    assert!(!transfer.has_hope(), "nobody else has it");
    assert_eq!(fetches(&transfer.handle(Input::Tick, ms(400))), []);
    let (again, _, units) = fetches(&transfer.handle(Input::Tick, ms(600))).remove(0);
    assert_eq!(units, [0], "half a second later");
    let out = transfer.handle(Input::Proven { request: again, units }, ms(700));
    assert_eq!(out.last(), Some(&Order::Complete));
    assert!(transfer.denied().is_empty());
}

#[test]
fn what_stays_denied_is_asked_for_less_and_less_often() {
    for fault in [Fault::Changed, Fault::Missing] {
        let (mut transfer, out) = tree_of(3);
        let asked = failing(&mut transfer, out, fault, Duration::from_secs(60));
        assert!(!transfer.has_hope());
        assert_eq!(transfer.denied().len(), 3, "{fault:?}");
        assert_eq!(transfer.denying(), BTreeMap::from([(node(1), fault)]));
        let last: Vec<_> = asked.windows(2).rev().map(|pair| pair[1] - pair[0]).filter(|gap| *gap > ms(100)).collect();
        assert!(last[0] <= ms(5200) && last[0] >= ms(4800), "{last:?}");
        assert!(asked.len() < 3 * 20, "{} times", asked.len());
    }
}

#[test]
fn a_second_provider_is_hope() {
    let (mut transfer, out) = tree_of(3);
    failing(&mut transfer, out, Fault::Missing, Duration::from_secs(2));
    assert!(!transfer.has_hope());
    let now = Duration::from_secs(3);
    let out = meet(&mut transfer, 2, now);
    assert!(transfer.has_hope());
    let (request, from, units) = fetches(&out).remove(0);
    assert_eq!((from, units.len()), (2, 3));
    assert_eq!(transfer.handle(Input::Proven { request, units }, now).last(), Some(&Order::Complete));
}

#[test]
fn whoever_has_only_a_part_may_get_more() {
    let (mut transfer, _) = small(8);
    transfer.handle(Input::Lost { node: node(1) }, ms(10));
    assert!(!transfer.has_hope());
    transfer.handle(Input::Ready { node: node(2), rtt: LAN, network: place(2) }, ms(20));
    assert!(transfer.has_hope(), "it has not said yet what it has");
    let event = HaveEvent { units: vec![(3, 1)], fetching: 1, ..HaveEvent::default() };
    let (request, _, units) = fetches(&transfer.handle(Input::Have { node: node(2), event }, ms(30))).remove(0);
    assert!(transfer.has_hope() && !transfer.is_silent(ms(40)));
    transfer.handle(Input::Proven { request, units }, ms(50));
    assert!(!transfer.is_silent(ms(60)), "its stream is not over");
    transfer.handle(Input::Ended { request, end: End::Finished }, ms(70));
    assert!(transfer.has_hope() && transfer.is_silent(ms(80)), "it has nothing else, and may get more");
    assert_eq!(transfer.providers(ms(80))[0].pausing, Some(Why::Partial));
}

/// A tree of which a file has changed is served as what remains of it.
#[test]
fn what_remains_of_a_tree_may_deny_the_rest_too() {
    let map = tree(2, 1000);
    let (all, none) = (Bitfield::full(2), Bitfield::empty(2));
    let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), Settings::new(1));
    transfer.handle(Input::Ready { node: node(1), rtt: LAN, network: place(1) }, LAN);
    let event = HaveEvent { units: vec![(0, 2)], fetching: 1, ..HaveEvent::default() };
    let first = fetches(&transfer.handle(Input::Have { node: node(1), event }, LAN));
    let mut out = Vec::new();
    for (request, _, units) in first {
        for unit in units {
            let fault = Input::Fault { request, unit: Some(unit), fault: Fault::Changed };
            let proven = Input::Proven { request, units: vec![unit] };
            out.extend(transfer.handle(if unit == 0 { fault } else { proven }, ms(10)));
        }
    }
    for (request, _, units) in fetches(&out) {
        transfer.handle(Input::Proven { request, units }, ms(20));
    }
    assert!(!transfer.has_hope(), "what is missing was denied");
    assert_eq!(transfer.denied(), BTreeMap::from([(0, Fault::Changed)]));
}

#[test]
fn a_refusal_because_of_a_change_is_of_the_whole_and_a_reset_of_one_file() {
    let (mut transfer, out) = tree_of(2);
    let request = fetches(&out)[0].0;
    let out = transfer.handle(Input::Ended { request, end: End::Reset(Code::Changed) }, ms(10));
    assert!(!out.iter().any(|o| matches!(o, Order::Leave { .. })), "{out:?}");
    assert_eq!(transfer.denied(), BTreeMap::from([(0, Fault::Changed)]));
    let request = fetches(&out)[0].0;
    let out = transfer.handle(Input::Ended { request, end: End::Refused(Code::Changed) }, ms(20));
    assert_eq!(out.last(), Some(&Order::Leave { node: node(1), why: Why::Changed }));
}

#[test]
fn one_that_is_busy_says_so_until_it_gives() {
    let (mut transfer, out) = small(64);
    for (request, ..) in fetches(&out) {
        transfer.handle(Input::Ended { request, end: End::Busy { retry: ms(1000) } }, ms(10));
    }
    let pausing = |transfer: &Transfer, at| transfer.providers(at)[0].pausing;
    assert_eq!(pausing(&transfer, ms(20)), Some(Why::Busy(ms(1000))));
    assert!(transfer.has_hope());
    let (request, _, units) = fetches(&transfer.handle(Input::Tick, ms(1010))).remove(0);
    assert_eq!(pausing(&transfer, ms(1050)), Some(Why::Busy(ms(1000))), "asked anew, it has said nothing else yet");
    assert_eq!(pausing(&transfer, ms(3100)), Some(Why::Silent));
    transfer.handle(Input::Proven { request, units }, ms(1100));
    assert_eq!(pausing(&transfer, ms(1100)), None);
    // Broken off in the middle: it hashes again, and says so until it gives.
    let request = *transfer.requests.keys().next().expect("asked again");
    transfer.handle(Input::Ended { request, end: End::Reset(Code::Busy) }, ms(1200));
    assert_eq!(pausing(&transfer, ms(1210)), Some(Why::Hashing(ms(300))));
    let request = *transfer.requests.keys().next().expect("several were under way");
    transfer.handle(Input::Ended { request, end: End::Busy { retry: ms(700) } }, ms(1220));
    assert_eq!(pausing(&transfer, ms(1230)), Some(Why::Hashing(ms(700))));
}

#[test]
fn one_that_is_silent_says_so_before_it_is_left() {
    let (mut transfer, _) = small(64);
    assert!(!transfer.is_silent(ms(1900)));
    assert!(transfer.is_silent(ms(2100)) && transfer.has_hope(), "it may go on");
    assert_eq!(transfer.providers(ms(2100))[0].pausing, Some(Why::Silent));
    meet(&mut transfer, 2, ms(2100));
    assert!(!transfer.is_silent(ms(2200)), "another one is not");
}

#[test]
fn every_cause_has_its_own_word() {
    let all = [
        Why::Busy(LAN),
        Why::Changed,
        Why::Failing,
        Why::Gone,
        Why::Hashing(LAN),
        Why::Lied,
        Why::Lost,
        Why::Partial,
        Why::Refused(Code::Closing),
        Why::Refused(Code::Forbidden),
        Why::Refused(Code::SizeDiffers),
        Why::Silent,
        Why::Unreachable,
    ];
    let words: BTreeSet<_> = all.iter().map(|why| why.word()).collect();
    assert_eq!(words.len(), all.len());
    let said: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), all.len());
    // Only who says that it will not give it counts as one who will not.
    let denying = all.iter().filter(|why| why.denies()).map(|why| why.word()).collect::<Vec<_>>();
    assert_eq!(denying, ["changed", "gone", "lied", "forbidden", "size_differs"]);
}

#[test]
fn who_owes_the_first_byte_is_not_waited_for_once_another_could_have_brought_all() {
    let (mut transfer, out) = tree_of(4);
    assert_eq!(fetches(&out).len(), 1);
    assert_eq!(fetches(&meet(&mut transfer, 2, LAN)), [], "it may still come");
    assert!(transfer.somebody_idles(LAN));
    let soon = 4 * LAN;
    assert_eq!(fetches(&transfer.handle(Input::Tick, soon)), []);
    let taken = fetches(&transfer.handle(Input::Tick, soon + ms(2)));
    assert!(taken.iter().all(|(_, by, _)| *by == 2) && taken.len() == 1, "{taken:?}");
    assert!(!transfer.somebody_idles(soon + ms(2)));
}
