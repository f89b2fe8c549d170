//! Many identities at few addresses that give nothing, beside one elsewhere that does.

use super::*;

/// The one that gives.
const HONEST: usize = 0;
/// As many as a get links beside it.
const LIARS: usize = 49;

/// What liars do with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Hang,
    Refuse,
}

/// Nodes in the order in which they were asked for anything, lists first, and when all was there.
struct Race {
    asked: Vec<usize>,
    done: Duration,
}

fn who(order: &Order) -> Option<(RequestId, NodeId, Option<usize>, Vec<u32>)> {
    match order {
        Order::List { request, node, file } => Some((*request, *node, Some(*file), Vec::new())),
        Order::Fetch { request, node, units, max } => {
            Some((*request, *node, None, units.iter().cloned().flatten().take(*max as usize).collect()))
        }
        _ => None,
    }
}

/// Liars in so many networks, all met before the honest one, which answers each request a millisecond later; ticks come
/// ten times a second. `fetching` is what all say of how many fetch from them.
fn race(lie: Lie, networks: usize, mebibytes: u32, fetching: u32) -> Race {
    let map = file_of(u64::from(mebibytes) * MIB);
    let total = map.units();
    let (all, none) = (Bitfield::full(total), Bitfield::empty(total));
    let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), Settings::new(1));
    let event = HaveEvent { complete: true, fetching, ..HaveEvent::default() };
    let mut asked = Vec::new();
    let mut waiting: Vec<(Duration, Order)> = Vec::new();
    let mut now = LAN;
    let order = (1..=LIARS).chain([HONEST]);
    let homes = order.map(|n| (n, if n == HONEST { [9, 9, 9, 0] } else { [8, 8, (n % networks) as u8, 0] }));
    for (n, home) in homes {
        transfer.handle(Input::Ready { node: node(n), rtt: LAN, network: home.into() }, now);
        let out = transfer.handle(Input::Have { node: node(n), event: event.clone() }, now);
        waiting.extend(out.into_iter().map(|order| (now, order)));
    }
    loop {
        for (since, order) in std::mem::take(&mut waiting) {
            if order == Order::Complete {
                return Race { asked, done: since };
            }
            let Some((request, of, list, units)) = who(&order) else { continue };
            asked.push(usize::from(of.as_bytes()[0]));
            let honest = of == node(HONEST);
            let inputs = match list {
                Some(file) if honest => {
                    let last = Input::Proven { request, units: vec![total - 1] };
                    vec![Input::ListKnown { request, file }, last, Input::Ended { request, end: End::Finished }]
                }
                None if honest => {
                    let started = units.iter().map(|unit| Input::Started { request, unit: *unit });
                    let proven = Input::Proven { request, units: units.clone() };
                    started.chain([proven, Input::Ended { request, end: End::Finished }]).collect()
                }
                _ if lie == Lie::Refuse => vec![Input::Ended { request, end: End::Refused(Code::NotFound) }],
                _ => Vec::new(),
            };
            for input in inputs {
                let out = transfer.handle(input, since + LAN);
                waiting.extend(out.into_iter().map(|order| (since + LAN, order)));
            }
        }
        if waiting.is_empty() {
            now += ms(100);
            assert!(now < Duration::from_secs(60), "{asked:?}");
            waiting.extend(transfer.handle(Input::Tick, now).into_iter().map(|order| (now, order)));
        }
    }
}

#[test]
fn who_refuses_at_one_address_costs_two_requests() {
    for (mebibytes, fetching) in [(1, 1), (4, 1), (64, 1), (64, 9)] {
        let Race { asked, done } = race(Lie::Refuse, 1, mebibytes, fetching);
        assert!(asked[..2].contains(&HONEST), "{mebibytes} {fetching}: {asked:?}");
        assert!(done < ms(500), "{mebibytes} {fetching}: {done:?}");
    }
}

#[test]
fn who_hangs_at_one_address_keeps_a_small_transfer_waiting_as_long_as_one_would() {
    for (mebibytes, fetching) in [(1, 1), (4, 1), (16, 1), (16, 9)] {
        let Race { asked, done } = race(Lie::Hang, 1, mebibytes, fetching);
        assert!(asked[..2].contains(&HONEST), "{mebibytes} {fetching}: {asked:?}");
        // The list is late after 104 ms, then the first units of one liar.
        assert!(done < ms(700), "{mebibytes} {fetching}: {done:?}, asked {asked:?}");
    }
}

#[test]
fn who_hangs_at_three_addresses_holds_up_no_list_and_no_unit_for_long() {
    for (mebibytes, fetching) in [(1, 1), (16, 1), (16, 9)] {
        let Race { asked, done } = race(Lie::Hang, 3, mebibytes, fetching);
        assert!(asked[..4].contains(&HONEST), "{mebibytes} {fetching}: {asked:?}");
        assert!(done < ms(1500), "{mebibytes} {fetching}: {done:?}, asked {asked:?}");
    }
}

/// A crowd behind one address is as good as any other once it has given something.
#[test]
fn one_network_that_gives_is_asked_by_more_and_more_of_it() {
    let (all, none) = (Bitfield::full(64), Bitfield::empty(64));
    let mut transfer = Transfer::new(file_of(64 * MIB), &all, &none, &BTreeSet::from([0]), Settings::new(1));
    let mut out = Vec::new();
    for n in 0..7 {
        let home = if n == HONEST { [9, 9, 9, 0] } else { [8, 8, 4, 0] };
        transfer.handle(Input::Ready { node: node(n), rtt: LAN, network: home.into() }, LAN);
        let event = HaveEvent { complete: true, fetching: 1, ..HaveEvent::default() };
        out.extend(transfer.handle(Input::Have { node: node(n), event }, LAN));
    }
    let of = |out: &[Order]| fetches(out).into_iter().map(|f| f.1).collect::<BTreeSet<_>>();
    assert_eq!(of(&out), BTreeSet::from([0, 1]), "one of each network");
    let (request, _, units) = fetches(&out).into_iter().find(|f| f.1 == 1).expect("asked");
    let out = transfer.handle(Input::Proven { request, units }, ms(20));
    let new: BTreeSet<_> = of(&out).into_iter().filter(|n| *n > 1).collect();
    assert_eq!(new.len(), 2, "two more that are not known yet: {out:?}");
}
