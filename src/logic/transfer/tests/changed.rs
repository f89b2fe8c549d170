//! What a provider says has changed there.

use super::*;

#[test]
fn what_a_provider_says_has_changed_is_not_asked_of_it() {
    let (all, none) = (Bitfield::full(4), Bitfield::empty(4));
    let mut transfer = Transfer::new(tree(4, 1000), &all, &none, &BTreeSet::new(), Settings::new(1));
    transfer.handle(Input::Ready { node: node(1), rtt: LAN, network: place(1) }, LAN);
    let event = HaveEvent { units: vec![(0, 4)], changed: vec![(2, 1)], fetching: 1, ..HaveEvent::default() };
    let asked = fetches(&transfer.handle(Input::Have { node: node(1), event }, LAN));
    let mut units: Vec<u32> = asked.iter().flat_map(|(_, _, units)| units.clone()).collect();
    units.sort_unstable();
    assert_eq!(units, [0, 1, 3]);
    // Nonsense hurts nobody.
    let event = HaveEvent { changed: vec![(u32::MAX, u32::MAX), (9, 1), (3, 0)], fetching: 1, ..HaveEvent::default() };
    assert_eq!(transfer.handle(Input::Have { node: node(1), event }, LAN), []);
}

#[test]
fn a_provider_of_which_everything_has_changed_is_left_for_that_reason() {
    for (changed, why) in [(vec![(0, 4)], Why::Changed), (vec![], Why::Gone)] {
        let (mut transfer, _) = small(4);
        let event = HaveEvent { gone: true, changed, ..HaveEvent::default() };
        let out = transfer.handle(Input::Have { node: node(1), event }, LAN);
        assert!(out.contains(&Order::Leave { node: node(1), why }), "{out:?}");
    }
}
