//! Many who fetch from one, and what each of them asks for.

use super::*;

/// What QUIC carries on a link of 100 Mbit/s at MTU 1500: 94.7 %.
const NET: u64 = 11_837_500;

#[test]
fn a_fifth_provider_that_is_fifty_times_slower_costs_nothing() {
    let time = |rates: &[u64]| {
        let mut world = swarm(512 * MIB, rates, LAN);
        world.run(Duration::from_secs(60));
        done(&world, 0).as_secs_f64()
    };
    let (four, five) = (time(&[NET; 4]), time(&[NET, NET, NET, NET, NET / 50]));
    let ideal = 512.0 * MIB as f64 / (4.0 * NET as f64);
    assert!(four < ideal * 1.01 && five < four * 1.01, "{four} and {five} against {ideal}");
}

/// Eight that fetch from node 8 at the same time and leave when they are done; the time of the last one against that
/// of one alone, and how many units the source sent.
fn crowd(rate: u64, latency: Duration, greedy: Option<(usize, u32)>) -> (World, f64, u32) {
    let mut world = World::new(file_of(128 * MIB));
    world.leaving = true;
    (0..8).for_each(|n| world.downloader(n, rate, latency));
    world.source(8, NET, latency);
    world.servers.get_mut(&8).expect("the source").greedy = greedy;
    world.run(Duration::from_secs(120));
    let last = (0..8).map(|n| done(&world, n)).max().expect("eight");
    let copies = world.servers[&8].sent.values().sum();
    (world, last.as_secs_f64() / (128.0 * MIB as f64 / NET as f64), copies)
}

#[test]
fn a_crowd_of_eight_gets_it_from_one_source_hardly_later_than_one_alone() {
    let (_, times, copies) = crowd(200_000_000, LAN, None);
    assert!(times < 1.15, "{times} times the time of one alone");
    assert!(copies <= 128 * 5 / 4, "{copies} units sent for 128");
}

#[test]
fn a_crowd_whose_links_are_as_slow_as_the_sources_is_hardly_later() {
    let (_, times, copies) = crowd(NET, LAN, None);
    assert!(times < 1.15, "{times} times the time of one alone");
    assert!(copies <= 128 * 5 / 4, "{copies} units sent for 128");
    let (_, times, _) = crowd(NET, ms(25), None);
    assert!(times < 1.25, "{times} times the time of one alone");
}

/// One of eight flows from a source kept a third of its uplink: what came there first was held up by one link.
#[test]
fn a_greedy_flow_does_not_take_the_sources_uplink_from_the_crowd() {
    let (world, times, _) = crowd(NET, LAN, Some((0, 4)));
    let given: Vec<_> = (0..8).map(|n| world.clients[&n].bytes[&8] / MIB).collect();
    assert!(given.iter().all(|units| (14..=24).contains(units)), "{given:?}");
    assert!(times < 1.15, "{times} times the time of one alone");
}

/// A transfer that knows no list, with provider 1 asked for it and provider 2 beside it; so many fetch from both.
fn listless(fetching: u32) -> (Transfer, RequestId) {
    let (all, none) = (Bitfield::full(64), Bitfield::empty(64));
    let mut transfer = Transfer::new(file_of(64 * MIB), &all, &none, &BTreeSet::new(), Settings::new(1));
    let mut asked = Vec::new();
    for n in 1..3 {
        transfer.handle(Input::Ready { node: node(n), rtt: LAN, network: place(n) }, LAN);
        let event = HaveEvent { complete: true, fetching, ..HaveEvent::default() };
        asked.extend(transfer.handle(Input::Have { node: node(n), event }, LAN));
    }
    let [Order::List { request, file: 0, .. }] = asked[..] else { panic!("only the list: {asked:?}") };
    (transfer, request)
}

#[test]
fn units_are_asked_for_while_the_last_chunk_is_still_on_its_way() {
    let (mut transfer, request) = listless(1);
    let out = transfer.handle(Input::ListKnown { request, file: 0 }, ms(2));
    let asked = fetches(&out);
    assert!(asked.iter().any(|f| f.1 == 1) && asked.iter().any(|f| f.1 == 2), "{out:?}");
    assert!(asked.iter().all(|f| !f.2.contains(&63)) && transfer.picker.state(63) == State::InFlight);
    transfer.handle(Input::Proven { request, units: vec![63] }, ms(90));
    assert!(transfer.has(63));
}

#[test]
fn a_crowd_does_not_fetch_the_last_chunk_from_the_source_one_by_one() {
    let (mut transfer, request) = listless(8);
    let out = transfer.handle(Input::ListKnown { request, file: 0 }, ms(2));
    assert!(out.contains(&Order::Cancel { request }), "{out:?}");
    assert_eq!(transfer.picker.state(63), State::Wanted);
    assert_eq!(fetches(&out).len(), 2, "one choice of each: {out:?}");
}

#[test]
fn a_partial_peer_that_has_nothing_new_steals_nothing_while_there_is_other_work() {
    let (mut transfer, out) = small(64);
    let (request, _, units) = fetches(&out).remove(0);
    transfer.handle(Input::Ready { node: node(2), rtt: LAN, network: place(2) }, ms(10));
    // Four units in six seconds, where the peer would need one for each: three times longer, but not ten times.
    transfer.handle(Input::Bytes { request, bytes: 1_200_000 }, ms(1800));
    let event = HaveEvent { units: vec![(units[0], 1)], fetching: 1, ..HaveEvent::default() };
    let asked = fetches(&transfer.handle(Input::Have { node: node(2), event }, ms(1900)));
    assert!(asked.iter().all(|(_, n, _)| *n != 2), "{asked:?}");
}
