mod changed;
mod crowd;
mod endings;
mod simulation;
mod slow;
mod sybils;

use proptest::prelude::*;

use self::simulation::*;
use super::*;
use crate::model::{ContentId, SafePath};
use crate::wire::Code;

/// 100 Mbit/s.
const RATE: u64 = 12_500_000;
const LAN: Duration = ms(1);

/// One downloader and sources of these rates; the downloader is number 0.
fn swarm(bytes: u64, rates: &[u64], latency: Duration) -> World {
    let mut world = World::new(file_of(bytes));
    world.downloader(0, 500_000_000, latency);
    for (n, rate) in rates.iter().enumerate() {
        world.source(n + 1, *rate, latency);
    }
    world
}

fn done(world: &World, n: usize) -> Duration {
    world.clients[&n].done.unwrap_or_else(|| panic!("{n} is not done: {:?}", world.clients[&n].left))
}

#[test]
fn four_equal_providers_are_busy_to_the_end() {
    for latency in [LAN, ms(25)] {
        let mut world = swarm(512 * MIB, &[RATE; 4], latency);
        world.run(Duration::from_secs(60));
        let ideal = Duration::from_secs_f64(512.0 * MIB as f64 / (4.0 * RATE as f64));
        assert!(done(&world, 0) < ideal + ms(250), "{:?} against {ideal:?}", done(&world, 0));
        let client = &world.clients[&0];
        assert!(within(&client.shares(), 22..28), "{:?}", client.shares());
        let first = client.last.values().min().expect("four");
        assert!(done(&world, 0) - *first < ms(300), "a tail of {:?}", done(&world, 0) - *first);
        let copies: u32 = world.servers.values().flat_map(|s| s.sent.values()).sum();
        assert!(copies < 512 + 16, "{copies} units sent for 512");
    }
}

#[test]
fn a_provider_that_dies_half_way_leaves_no_gap() {
    let mut world = swarm(256 * MIB, &[RATE; 4], LAN);
    world.kill_at(3, ms(2500));
    world.run(Duration::from_secs(60));
    let ideal = 256.0 * MIB as f64 / (3.5 * RATE as f64);
    assert!(done(&world, 0).as_secs_f64() < ideal + 1.5, "{:?} against {ideal}", done(&world, 0));
    assert!(world.clients[&0].longest_gap < ms(1000), "{:?}", world.clients[&0].longest_gap);
}

#[test]
fn the_only_provider_dies_and_the_transfer_waits_without_a_byte_lost() {
    let mut world = swarm(64 * MIB, &[RATE], LAN);
    world.kill_at(1, ms(2000));
    world.run(Duration::from_secs(30));
    let client = &world.clients[&0];
    assert_eq!(client.left, [(1, Why::Silent)]);
    assert!(client.done.is_none() && client.transfer.proven_bytes() > 15 * MIB);
}

#[test]
fn a_slow_fifth_provider_does_not_slow_the_end() {
    let mut world = swarm(256 * MIB, &[RATE, RATE, RATE, RATE, 100_000], LAN);
    world.run(Duration::from_secs(60));
    let ideal = Duration::from_secs_f64(256.0 * MIB as f64 / (4.0 * RATE as f64));
    assert!(done(&world, 0) < ideal + ms(700), "{:?} against {ideal:?}", done(&world, 0));
    let one_byte_a_second = &mut swarm(64 * MIB, &[RATE, 20_000], LAN);
    one_byte_a_second.run(Duration::from_secs(60));
    assert!(done(one_byte_a_second, 0) < Duration::from_secs(7));
}

/// Each above the rate of who is left, and together the two holders that a unit may have.
#[test]
fn slow_ones_do_not_keep_the_last_unit_by_being_two() {
    for others in [2, 3, 5] {
        let mut rates = vec![RATE];
        rates.extend(vec![1300; others]);
        let mut world = swarm(16 * MIB, &rates, LAN);
        world.run(Duration::from_secs(60));
        assert!(done(&world, 0) < Duration::from_secs(4), "{others}: {:?}", done(&world, 0));
    }
}

#[test]
fn providers_of_different_rates_are_used_by_their_rates() {
    let mut world = swarm(512 * MIB, &[4 * RATE, 2 * RATE, RATE], ms(10));
    world.run(Duration::from_secs(60));
    let shares = world.clients[&0].shares();
    assert!(
        within(&shares[..1], 53..61) && within(&shares[1..2], 25..32) && within(&shares[2..], 11..17),
        "{shares:?}"
    );
}

#[test]
fn a_liar_is_barred_and_the_rest_goes_on() {
    let mut world = swarm(64 * MIB, &[RATE; 4], LAN);
    world.servers.get_mut(&2).expect("there").lies = true;
    world.run(Duration::from_secs(60));
    assert_eq!(world.clients[&0].barred, [2]);
    assert!(done(&world, 0) < Duration::from_secs(4));
}

fn tree(files: usize, size: u64) -> Arc<UnitMap> {
    let entry = |n: usize| {
        let path = SafePath::parse(&format!("f{n}")).expect("valid");
        let id = ContentId::of(&n.to_be_bytes());
        (path, crate::model::collection::Entry::File { size, id, executable: false })
    };
    let collection = crate::model::Collection::new((0..files).map(entry).collect()).expect("sound");
    Arc::new(UnitMap::of_collection(&collection).expect("small"))
}

#[test]
fn many_small_files_travel_many_to_a_request() {
    let mut world = World::new(tree(20_000, 1000));
    world.downloader(0, RATE, ms(5));
    (1..3).for_each(|n| world.source(n, RATE, ms(5)));
    world.run(Duration::from_secs(60));
    assert!(done(&world, 0) < Duration::from_secs(2), "{:?}", done(&world, 0));
    assert!(world.clients[&0].transfer.next_request < 200, "{}", world.clients[&0].transfer.next_request);
}

#[test]
fn files_of_several_chunks_wait_for_their_lists_only() {
    let mut world = World::new(tree(200, 700_000));
    world.downloader(0, RATE, ms(5));
    (1..3).for_each(|n| world.source(n, RATE, ms(5)));
    world.run(Duration::from_secs(60));
    assert!(done(&world, 0) < Duration::from_secs(7), "{:?}", done(&world, 0));
}

/// A transfer of `units` mebibytes whose list is known, with provider 1 complete.
fn small(units: u32) -> (Transfer, Vec<Order>) {
    let map = file_of(u64::from(units) * MIB);
    let (all, none) = (Bitfield::full(units), Bitfield::empty(units));
    let settings = Settings { scatter: false, ..Settings::new(1) };
    let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::from([0]), settings);
    let out = meet(&mut transfer, 1, LAN);
    (transfer, out)
}

fn meet(transfer: &mut Transfer, n: usize, now: Duration) -> Vec<Order> {
    meet_in(transfer, n, place(n), now)
}

fn meet_in(transfer: &mut Transfer, n: usize, network: IpAddr, now: Duration) -> Vec<Order> {
    assert_eq!(transfer.handle(Input::Ready { node: node(n), rtt: LAN, network }, now), []);
    let event = HaveEvent { complete: true, fetching: 1, ..HaveEvent::default() };
    transfer.handle(Input::Have { node: node(n), event }, now)
}

fn fetches(out: &[Order]) -> Vec<(RequestId, usize, Vec<u32>)> {
    let fetch = |o: &Order| match o {
        Order::Fetch { request, node, units, .. } => {
            Some((*request, usize::from(node.as_bytes()[0]), units.iter().cloned().flatten().collect()))
        }
        _ => None,
    };
    out.iter().filter_map(fetch).collect()
}

#[test]
fn four_requests_are_on_their_way_to_a_provider_of_unknown_rate() {
    let (_, out) = small(64);
    let units: Vec<_> = fetches(&out).into_iter().map(|(_, _, units)| units).collect();
    assert_eq!(units, [[0], [1], [2], [3]]);
}

/// A new connection brings a few packets a round trip; asked for half a second of that it would never bring more.
#[test]
fn a_provider_whose_connection_is_new_is_asked_for_as_much_as_at_first() {
    let (mut transfer, out) = small(64);
    let (request, units) = fetches(&out).into_iter().map(|f| (f.0, f.2)).next().expect("four");
    let next = fetches(&transfer.handle(Input::Proven { request, units }, ms(1200)));
    assert_eq!(next.len(), 1, "four again, at 0.9 MB/s");
    // Later its rate is known.
    let (request, units) = fetches(&out).into_iter().map(|f| (f.0, f.2)).nth(1).expect("four");
    assert_eq!(fetches(&transfer.handle(Input::Proven { request, units }, ms(2400))), []);
}

#[test]
fn busy_is_asked_again_after_its_time() {
    let (mut transfer, out) = small(64);
    for (request, ..) in fetches(&out) {
        let end = End::Busy { retry: ms(1000) };
        assert_eq!(transfer.handle(Input::Ended { request, end }, ms(10)), []);
    }
    assert_eq!(transfer.handle(Input::Tick, ms(1000)), []);
    assert_eq!(fetches(&transfer.handle(Input::Tick, ms(1010))).len(), 4);
}

#[test]
fn a_changed_file_is_not_asked_from_that_provider_again() {
    let map = tree(10, 1000);
    let units = map.units();
    let (all, none) = (Bitfield::full(units), Bitfield::empty(units));
    let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), Settings::new(1));
    let out = meet(&mut transfer, 1, LAN);
    let (request, _, asked) = fetches(&out).remove(0);
    let fault = Input::Fault { request, unit: Some(asked[0]), fault: Fault::Changed };
    let again = fetches(&transfer.handle(fault, ms(10)));
    assert!(again.iter().all(|(_, _, units)| !units.contains(&asked[0])), "{again:?}");
    assert_eq!(transfer.picker.state(asked[0]), State::Wanted);
}

#[test]
fn claims_of_an_earlier_run_count_once_they_are_verified() {
    let map = file_of(64 * MIB);
    let (all, have) = (Bitfield::full(64), Bitfield::full(64));
    let mut transfer = Transfer::new(map, &all, &have, &BTreeSet::from([0]), Settings::new(1));
    assert_eq!(transfer.handle(Input::Tick, ms(0)), []);
    let here = |transfer: &Transfer| (transfer.proven_bytes() / MIB, transfer.claimed_bytes() / MIB);
    assert_eq!(here(&transfer), (0, 64));
    assert_eq!(transfer.handle(Input::Unproven { unit: 9 }, ms(1)), []);
    assert_eq!(here(&transfer), (0, 63));
    assert_eq!(transfer.handle(Input::Verified { units: 0..64 }, ms(2)), []);
    assert_eq!(here(&transfer), (63, 0));
    let out = fetches(&meet(&mut transfer, 1, ms(3)));
    assert_eq!(out[0].2, [9]);
    let out = transfer.handle(Input::Proven { request: out[0].0, units: vec![9] }, ms(4));
    assert_eq!(out.last(), Some(&Order::Complete));
}

#[test]
fn units_that_are_elsewhere_on_the_disk_are_asked_for_only_if_they_do_not_prove() {
    let map = file_of(64 * MIB);
    let all = Bitfield::full(64);
    let mut transfer = Transfer::new(map, &all, &Bitfield::empty(64), &BTreeSet::new(), Settings::new(1));
    let out = meet(&mut transfer, 1, ms(0));
    let list = out.iter().find_map(|o| if let Order::List { request, .. } = o { Some(*request) } else { None });
    let list = list.expect("its list is asked for first");
    assert_eq!(transfer.handle(Input::Claimed { units: (0..60).collect() }, ms(1)), []);
    let asked = |out: &[Order]| -> Vec<u32> { fetches(out).into_iter().flat_map(|(_, _, units)| units).collect() };
    let out = fetches(&transfer.handle(Input::ListKnown { request: list, file: 0 }, ms(2)));
    assert_eq!(out.iter().flat_map(|(_, _, units)| units.clone()).collect::<Vec<_>>(), [60, 61, 62]);
    // What can be asked for already is not claimed any more.
    transfer.handle(Input::Claimed { units: vec![60] }, ms(2));
    assert_eq!(transfer.handle(Input::Verified { units: 0..59 }, ms(3)), []);
    assert_eq!(transfer.proven_bytes(), 59 * MIB);
    let mut again = asked(&transfer.handle(Input::Unproven { unit: 59 }, ms(4)));
    for (request, _, units) in out {
        again.extend(asked(&transfer.handle(Input::Proven { request, units }, ms(5))));
    }
    assert_eq!(again.iter().filter(|unit| **unit < 60).collect::<Vec<_>>(), [&59]);
}

#[test]
fn nothing_to_fetch_is_complete_at_once() {
    let map = file_of(0);
    let mut transfer = Transfer::new(map, &Bitfield::empty(0), &Bitfield::empty(0), &BTreeSet::new(), Settings::new(1));
    assert_eq!(transfer.handle(Input::Tick, ms(0)), [Order::Complete]);
}

#[derive(Debug, Clone)]
enum Op {
    Bytes(usize, u64),
    End(usize, u8),
    Fault(usize, u8),
    Have(u8, u32, u32, u32),
    Lost(u8),
    Proven(usize),
    Ready(u8),
    Started(usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let which = 0_usize..40;
    prop_oneof![
        (which.clone(), 0_u64..2_000_000).prop_map(|(r, b)| Op::Bytes(r, b)),
        (which.clone(), 0_u8..6).prop_map(|(r, e)| Op::End(r, e)),
        (which.clone(), 0_u8..3).prop_map(|(r, f)| Op::Fault(r, f)),
        (0_u8..5, 0_u32..70, 0_u32..40, 0_u32..4).prop_map(|(n, f, c, k)| Op::Have(n, f, c, k)),
        (0_u8..5).prop_map(Op::Lost),
        which.clone().prop_map(Op::Proven),
        (0_u8..5).prop_map(Op::Ready),
        which.prop_map(Op::Started),
        (0_u64..3000).prop_map(Op::Wait),
    ]
}

fn input(transfer: &Transfer, op: &Op) -> Input {
    let nth = |n: usize| {
        let ids: Vec<_> = transfer.requests.keys().copied().collect();
        if ids.is_empty() { RequestId(n as u64) } else { ids[n % ids.len()] }
    };
    let unit = |id: RequestId| transfer.requests.get(&id).and_then(|r| r.pending.first().copied());
    match *op {
        Op::Bytes(n, bytes) => Input::Bytes { request: nth(n), bytes },
        Op::End(n, e) => {
            let busy = End::Busy { retry: ms(500) };
            let ends = [
                busy,
                End::Finished,
                End::Lost,
                End::Refused(Code::Internal),
                End::Reset(Code::Changed),
                End::TimedOut,
            ];
            Input::Ended { request: nth(n), end: ends[usize::from(e)] }
        }
        Op::Fault(n, f) => {
            let fault = [Fault::Changed, Fault::Missing, Fault::Missing][usize::from(f)];
            Input::Fault { request: nth(n), unit: unit(nth(n)), fault }
        }
        Op::Have(n, first, count, kind) => {
            let event =
                HaveEvent { units: vec![(first, count)], complete: kind == 0, fetching: kind, ..HaveEvent::default() };
            Input::Have { node: node(n.into()), event }
        }
        Op::Lost(n) => Input::Lost { node: node(n.into()) },
        Op::Proven(n) => match transfer.requests.get(&nth(n)).map(|r| r.asked) {
            Some(Asked::List(file)) => Input::ListKnown { request: nth(n), file },
            _ => Input::Proven { request: nth(n), units: unit(nth(n)).into_iter().collect() },
        },
        Op::Ready(n) => Input::Ready { node: node(n.into()), rtt: LAN, network: place(n.into()) },
        Op::Started(n) => {
            let listed = transfer.requests.get(&nth(n)).and_then(|r| r.listed.last().copied());
            Input::Started { request: nth(n), unit: listed.unwrap_or(0) }
        }
        Op::Wait(_) => Input::Tick,
    }
}

fn check(transfer: &Transfer) {
    let total: u64 = transfer.requests.values().map(Request::outstanding).sum();
    assert!(total <= transfer.settings.process_budget + 5 * 2 * MIB, "{total} outstanding");
    let mut held: BTreeMap<u32, u32> = BTreeMap::new();
    for request in transfer.requests.values() {
        assert!(transfer.providers.contains_key(&request.node));
        request.pending.iter().for_each(|u| *held.entry(*u).or_default() += 1);
    }
    for unit in 0..transfer.map.units() {
        let holders = held.get(&unit).copied().unwrap_or(0);
        assert!(holders <= 2);
        assert_eq!(holders > 0, transfer.picker.state(unit) == State::InFlight, "unit {unit}");
    }
    for provider in transfer.providers.values() {
        assert!(provider.requests.iter().all(|id| transfer.requests.contains_key(id)));
        assert!(provider.requests.len() <= 16 + 8, "within the stream limit");
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_books_agree(ops in prop::collection::vec(op(), 1..150)) {
        let map = file_of(70 * MIB);
        let (all, none) = (Bitfield::full(70), Bitfield::empty(70));
        let mut transfer = Transfer::new(map, &all, &none, &BTreeSet::new(), Settings::new(3));
        let mut now = Duration::ZERO;
        for op in ops {
            if let Op::Wait(n) = op {
                now += ms(n);
            }
            transfer.handle(input(&transfer, &op), now);
            check(&transfer);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_swarm_that_has_everything_ends(
        rates in prop::collection::vec(50_000_u64..50_000_000, 1..8), size in 1_u64..60, latency in 0_u64..150
    ) {
        let mut world = swarm(size * MIB + 77, &rates, ms(latency));
        world.run(Duration::from_secs(3600));
        let together = (size * MIB) as f64 / rates.iter().sum::<u64>() as f64;
        prop_assert!(done(&world, 0).as_secs_f64() < together * 3.0 + 12.0);
    }
}
