mod simulation;

use super::*;
use crate::model::address::Teller;
use crate::model::{Provider, SafePath};
use crate::wire::Names;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn id(n: u8) -> QueryId {
    QueryId::from_bytes([n; 16])
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 4917))
}

fn words() -> Sought {
    Sought::Words(vec!["a".to_owned()])
}

fn query(n: u8, ttl: u8) -> FloodQuery {
    FloodQuery { id: id(n), ttl, what: words() }
}

fn hit(providers: &[u8]) -> Hit {
    let providers = providers.iter().map(|n| Provider { node: node(*n), addrs: vec![addr(*n)] }).collect();
    let names = vec![SafePath::parse("a").expect("a name")];
    Hit { names, providers, ..Hit::file(None, 1) }
}

fn found(n: u8, hits: Vec<Hit>) -> NeighbourFrame {
    NeighbourFrame::Found(QueryHits { id: id(n), hits, nodes: Vec::new() })
}

/// Node 0 with neighbours, each reached at its address.
fn flood(neighbours: &[u8]) -> Flood {
    let mut flood = Flood::new(node(0));
    for n in neighbours {
        let ends = Teller { remote: addr(*n).ip(), local: Some(addr(0).ip()) };
        flood.handle(Input::Joined { node: node(*n), ends, visiting: false }, Duration::ZERO);
        flood.handle(Input::Reached(node(*n), vec![addr(*n)]), Duration::ZERO);
    }
    flood
}

impl Flood {
    fn told(&mut self, from: u8, frame: NeighbourFrame) -> Vec<FloodOrder> {
        self.handle(Input::Frame { from: node(from), frame }, Duration::ZERO)
    }

    fn answers(&mut self, n: u8, hits: Vec<Hit>) -> Vec<FloodOrder> {
        self.handle(Input::Answered { id: id(n), hits, nodes: Vec::new() }, Duration::ZERO)
    }
}

fn to(n: u8, frame: NeighbourFrame) -> FloodOrder {
    FloodOrder::Send(node(n), frame)
}

/// Found where two nodes had dialled each other: a friend was said not to have answered a question that was lost with the
/// connection that gave way.
#[test]
fn what_was_asked_over_a_connection_that_gives_way_is_asked_and_answered_again_over_the_other() {
    let mut flood = flood(&[1, 2]);
    let ends = Teller { remote: addr(1).ip(), local: Some(addr(0).ip()) };
    let joined = |node| Input::Joined { node, ends, visiting: false };
    let asked = |n| to(n, NeighbourFrame::Query(query(9, 3)));
    let ask = Input::Ask { query: query(9, 3), hold: Duration::ZERO };
    assert_eq!(flood.handle(ask, Duration::ZERO), [asked(1), asked(2)]);
    assert_eq!(flood.told(2, NeighbourFrame::Done(id(9))), []);
    assert_eq!(flood.handle(Input::Moved(node(1)), Duration::from_millis(50)), []);
    assert_eq!(flood.handle(joined(node(1)), Duration::from_millis(100)), [asked(1)], "once more");
    // Its time begins anew: 150 ms a link.
    assert_eq!(flood.handle(Input::Tick, Duration::from_millis(500)), []);
    let over = FloodOrder::Over { id: id(9), silent: Vec::new() };
    assert_eq!(flood.told(1, NeighbourFrame::Done(id(9))), [over], "nobody was silent");
    // Who does not come again is given up when its time is over.
    flood.handle(Input::Ask { query: query(8, 3), hold: Duration::ZERO }, Duration::ZERO);
    flood.handle(Input::Moved(node(1)), Duration::ZERO);
    flood.told(2, NeighbourFrame::Done(id(8)));
    let over = FloodOrder::Over { id: id(8), silent: vec![node(1)] };
    assert_eq!(flood.handle(Input::Tick, Duration::from_secs(9)), [over]);
    // The other side of it: what is asked again by who was not answered is answered to it.
    assert!(matches!(flood.told(2, NeighbourFrame::Query(query(7, 1)))[..], [FloodOrder::Answer { .. }]));
    flood.handle(Input::Moved(node(2)), Duration::ZERO);
    flood.handle(joined(node(2)), Duration::ZERO);
    let aside = FloodOrder::Aside { id: id(7), from: node(2), what: words() };
    assert_eq!(flood.told(2, NeighbourFrame::Query(query(7, 1))), [aside]);
}

#[test]
fn a_query_goes_on_to_all_but_the_asker_with_one_link_less() {
    let mut flood = flood(&[1, 2, 3]);
    let answer = FloodOrder::Answer { id: id(9), from: node(1), what: words() };
    let on = |n| to(n, NeighbourFrame::Query(query(9, 4)));
    assert_eq!(flood.told(1, NeighbourFrame::Query(query(9, 5))), [answer, on(2), on(3)]);
    assert_eq!(flood.told(3, NeighbourFrame::Query(query(9, 3))), [to(3, NeighbourFrame::Done(id(9)))]);
    assert_eq!(flood.counts(), Counts { handled: 1, duplicates: 1, sent: 2, unknown: 0 });
}

#[test]
fn the_last_link_is_not_forwarded_and_none_is_not_handled() {
    let mut flood = flood(&[1, 2]);
    assert_eq!(
        flood.told(1, NeighbourFrame::Query(query(9, 1))),
        [FloodOrder::Answer { id: id(9), from: node(1), what: words() }]
    );
    assert_eq!(flood.answers(9, Vec::new()), [to(1, NeighbourFrame::Done(id(9)))]);
    let out = flood.told(1, NeighbourFrame::Query(query(8, 0)));
    assert_eq!(out, [FloodOrder::Blame(node(1), Fault::Ttl), to(1, NeighbourFrame::Done(id(8)))]);
}

#[test]
fn a_forged_ttl_is_clamped() {
    let mut flood = flood(&[1, 2]);
    let out = flood.told(1, NeighbourFrame::Query(query(9, 255)));
    assert!(out.contains(&to(2, NeighbourFrame::Query(query(9, limits::TTL - 1)))));
    assert!(out.contains(&FloodOrder::Blame(node(1), Fault::Ttl)));
}

#[test]
fn words_that_are_no_query_are_done_at_once() {
    let mut flood = flood(&[1, 2]);
    let (none, long) = (Vec::new(), vec!["a".repeat(1 << 20)]);
    let names = Names { words: vec!["?".repeat(200); 2], glob: true, ids: false, near: false };
    let words = [none, long, vec!["a".to_owned(); 17]].map(Sought::Words);
    for (n, what) in words.into_iter().chain([Sought::Names(names)]).enumerate() {
        let id = id(u8::try_from(n).expect("few"));
        let query = FloodQuery { id, ttl: 3, what };
        let out = flood.told(1, NeighbourFrame::Query(query));
        assert_eq!(out, [FloodOrder::Blame(node(1), Fault::Malformed), to(1, NeighbourFrame::Done(id))]);
    }
}

#[test]
fn what_only_a_later_version_knows_is_counted_and_not_passed_on() {
    let mut flood = flood(&[1, 2]);
    let query = |n, ttl| NeighbourFrame::Query(FloodQuery { id: id(n), ttl, what: Sought::Unknown });
    assert_eq!(flood.told(1, query(9, 3)), [to(1, NeighbourFrame::Done(id(9)))]);
    let out = flood.told(1, query(8, 0));
    assert_eq!(out, [FloodOrder::Blame(node(1), Fault::Ttl), to(1, NeighbourFrame::Done(id(8)))]);
    assert_eq!(flood.handle(Input::Unknown, Duration::ZERO), []);
    assert_eq!(flood.counts(), Counts { unknown: 3, ..Counts::default() });
}

#[test]
fn done_goes_up_when_the_own_answer_and_all_branches_are_done() {
    let mut flood = flood(&[1, 2, 3]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    assert_eq!(flood.told(2, NeighbourFrame::Done(id(9))), []);
    assert_eq!(flood.answers(9, vec![hit(&[])]), [to(1, found(9, vec![hit(&[])]))]);
    assert_eq!(flood.told(3, NeighbourFrame::Done(id(9))), [to(1, NeighbourFrame::Done(id(9)))]);
    assert!(flood.wake().is_none() && flood.queries.is_empty());
}

#[test]
fn the_first_neighbour_fills_in_where_a_provider_is() {
    let mut flood = flood(&[1, 2]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    assert_eq!(flood.told(2, found(9, vec![hit(&[])])), [to(1, found(9, vec![hit(&[2])]))]);
    assert_eq!(flood.told(2, found(9, vec![hit(&[7])])), [to(1, found(9, vec![hit(&[7])]))]);
}

#[test]
fn a_provider_that_nobody_can_dial_is_told_to_its_own_neighbours_only() {
    let mut flood = flood(&[1]);
    let ends = Teller { remote: addr(2).ip(), local: None };
    flood.handle(Input::Joined { node: node(2), ends, visiting: false }, Duration::ZERO);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    assert_eq!(flood.told(2, found(9, vec![hit(&[])])), []);
    flood.handle(Input::Ask { query: query(8, 2), hold: Duration::ZERO }, Duration::ZERO);
    let mut own = hit(&[2]);
    own.providers[0].addrs.clear();
    let own = QueryHits { id: id(8), hits: vec![own], nodes: Vec::new() };
    assert_eq!(flood.told(2, found(8, vec![hit(&[])])), [FloodOrder::Found(node(2), own)]);
}

#[test]
fn loopback_addresses_of_far_neighbours_are_not_ours() {
    let mut flood = flood(&[1, 2]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    let mut near = hit(&[7]);
    near.providers[0].addrs = vec![SocketAddr::from(([127, 0, 0, 1], 1))];
    assert_eq!(flood.told(2, found(9, vec![near])), []);
}

#[test]
fn what_a_neighbour_tells_of_nodes_is_dialled_in_no_special_range() {
    let mut flood = flood(&[1]);
    let query = FloodQuery { id: id(9), ttl: 2, what: Sought::Nodes };
    flood.handle(Input::Ask { query, hold: Duration::ZERO }, Duration::ZERO);
    let seen = |n: u8, addrs: &[&str]| {
        let addrs = addrs.iter().map(|addr| addr.parse().expect("an address")).collect();
        Seen { node: node(n), addrs, offers: 1, by: node(1) }
    };
    let special = [
        "127.0.0.1:22",
        "[::1]:22",
        "[::ffff:127.0.0.1]:22",
        "0.0.0.0:1",
        "0.1.2.3:1",
        "224.0.0.251:5353",
        "240.0.0.1:1",
        "255.255.255.255:1",
        "169.254.169.254:80",
        "[ff02::1]:1",
        "[fe80::1]:1",
        "[::]:1",
        "10.0.0.9:0",
    ];
    let mut nodes: Vec<Seen> = special.iter().map(|addr| seen(7, &[addr])).collect();
    nodes.push(seen(8, &["127.0.0.1:22", "10.0.0.9:4917"]));
    let told = QueryHits { id: id(9), hits: Vec::new(), nodes };
    let kept = QueryHits { id: id(9), hits: Vec::new(), nodes: vec![seen(8, &["10.0.0.9:4917"])] };
    assert_eq!(flood.told(1, NeighbourFrame::Found(told)), [FloodOrder::Found(node(1), kept)]);
}

#[test]
fn what_nobody_asked_is_dropped_and_blamed_and_what_is_late_only_dropped() {
    let mut flood = flood(&[1, 2]);
    let blame = FloodOrder::Blame(node(2), Fault::Unsolicited);
    assert_eq!(flood.told(2, found(9, vec![hit(&[7])])), std::slice::from_ref(&blame));
    assert_eq!(flood.told(2, NeighbourFrame::Done(id(9))), [blame]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    flood.told(2, NeighbourFrame::Done(id(9)));
    assert_eq!(flood.told(2, found(9, vec![hit(&[7])])), []);
    assert_eq!(flood.told(1, found(9, vec![hit(&[7])])), [], "who asked answers itself");
}

#[test]
fn a_branch_that_is_silent_is_given_up_after_150_ms_for_each_link() {
    let mut flood = flood(&[1]);
    flood.handle(Input::Ask { query: query(9, 5), hold: Duration::ZERO }, Duration::ZERO);
    assert_eq!(flood.wake(), Some(Duration::from_millis(750)));
    assert_eq!(flood.handle(Input::Tick, Duration::from_millis(749)), []);
    let over = FloodOrder::Over { id: id(9), silent: vec![node(1)] };
    assert_eq!(flood.handle(Input::Tick, Duration::from_millis(750)), [over]);
    assert_eq!(flood.wake(), None);
}

#[test]
fn a_friend_is_given_a_second_more_where_something_is_chosen_and_only_once() {
    let mut flood = flood(&[1, 2]);
    flood.handle(Input::Friends([node(1)].into()), Duration::ZERO);
    let asked = |n: u8| Input::Ask {
        query: FloodQuery { what: Sought::Words(vec!["w".into()]), ..query(n, 2) },
        hold: Duration::ZERO,
    };
    let ms = Duration::from_millis;
    flood.handle(asked(9), Duration::ZERO);
    assert_eq!((flood.wake(), flood.is_silent(id(9), node(1))), (Some(ms(300)), Some(true)));
    assert_eq!(flood.handle(Input::Tick, ms(300)), []);
    assert_eq!((flood.wake(), flood.is_silent(id(9), node(2))), (Some(ms(1300)), Some(false)));
    let over = FloodOrder::Over { id: id(9), silent: vec![node(1), node(2)] };
    assert_eq!(flood.handle(Input::Tick, ms(1300)), [over]);
    flood.handle(asked(8), ms(1300));
    flood.handle(Input::Frame { from: node(2), frame: NeighbourFrame::Done(id(8)) }, ms(1400));
    assert_eq!((flood.wake(), flood.is_silent(id(8), node(2))), (Some(ms(1600)), None));
    // What is known by its id has nothing to be chosen.
    flood.told(1, NeighbourFrame::Done(id(8)));
    let query = FloodQuery { what: Sought::Content(crate::model::ContentId::of(b"x")), ..query(7, 2) };
    flood.handle(Input::Ask { query, hold: Duration::ZERO }, ms(2000));
    assert_eq!(flood.wake(), Some(ms(2300)));
}

#[test]
fn who_leaves_three_queries_unanswered_rests_until_it_answers_late() {
    let mut flood = flood(&[1]);
    let asked = |flood: &mut Flood, n: u8, at: u64| {
        let at = Duration::from_secs(at);
        let out = flood.handle(Input::Ask { query: query(n, 5), hold: Duration::ZERO }, at);
        flood.handle(Input::Tick, at + Duration::from_millis(750));
        out.iter().any(|output| matches!(output, FloodOrder::Send(..)))
    };
    assert_eq!([1, 2, 3, 4].map(|n| asked(&mut flood, n, u64::from(n))), [true, true, true, false]);
    assert_eq!(
        flood.handle(Input::Frame { from: node(1), frame: NeighbourFrame::Done(id(3)) }, Duration::from_secs(5)),
        []
    );
    assert!(asked(&mut flood, 5, 5), "it is slow and not silent");
}

#[test]
fn a_search_of_a_node_without_neighbours_is_over_at_once() {
    let over = FloodOrder::Over { id: id(9), silent: Vec::new() };
    assert_eq!(flood(&[]).handle(Input::Ask { query: query(9, 5), hold: Duration::ZERO }, Duration::ZERO), [over]);
}

#[test]
fn a_neighbour_that_leaves_closes_its_branches_and_its_queries() {
    let mut flood = flood(&[1, 2]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    flood.told(2, NeighbourFrame::Query(query(8, 3)));
    flood.answers(9, Vec::new());
    let out = flood.handle(Input::Left(node(2)), Duration::ZERO);
    assert_eq!(out, [to(1, NeighbourFrame::Done(id(9)))]);
    assert!(flood.queries.is_empty() && flood.ends.is_empty());
    assert_eq!(flood.told(2, NeighbourFrame::Query(query(7, 3))), [], "no longer a neighbour");
}

#[test]
fn visitors_ask_and_are_not_asked() {
    let mut flood = flood(&[1]);
    let ends = Teller { remote: addr(5).ip(), local: None };
    flood.handle(Input::Joined { node: node(5), ends, visiting: true }, Duration::ZERO);
    let out = flood.told(5, NeighbourFrame::Query(query(9, 2)));
    assert_eq!(out[1..], [to(1, NeighbourFrame::Query(query(9, 1)))]);
    let out = flood.told(1, NeighbourFrame::Query(query(8, 2)));
    assert_eq!(out, [FloodOrder::Answer { id: id(8), from: node(1), what: words() }]);
}

#[test]
fn one_greedy_neighbour_leaves_room_for_the_others_and_for_us() {
    let mut flood = flood(&[1, 2, 3]);
    let sent = |out: &[FloodOrder]| {
        out.iter().any(|o| matches!(o, FloodOrder::Send(to, NeighbourFrame::Query(_)) if *to == node(3)))
    };
    let mut greedy = 0;
    for n in 0..200_u8 {
        let out = flood.told(1, NeighbourFrame::Query(query(n, 2)));
        greedy += u32::from(sent(&out));
        flood.answers(n, Vec::new());
        flood.told(2, NeighbourFrame::Done(id(n)));
        flood.told(3, NeighbourFrame::Done(id(n)));
    }
    assert_eq!(greedy, neighbour::CREDIT);
    assert!(sent(&flood.told(2, NeighbourFrame::Query(query(201, 2)))), "an honest one");
    assert!(sent(&flood.handle(Input::Ask { query: query(202, 2), hold: Duration::ZERO }, Duration::ZERO)), "our own");
}

/// A hit with an id, of one provider.
fn known(n: u32, provider: u8) -> Hit {
    Hit { id: Some(crate::model::ContentId::of(&n.to_be_bytes())), ..hit(&[provider]) }
}

/// How many hits are sent back.
fn sent_back(out: &[FloodOrder]) -> usize {
    let found = |order: &FloodOrder| match order {
        FloodOrder::Send(_, NeighbourFrame::Found(found)) => found.hits.len(),
        _ => 0,
    };
    out.iter().map(found).sum()
}

/// Found with two hundred copies of one lie from each of some neighbours: they took all places of the query.
#[test]
fn copies_of_one_content_take_one_place() {
    let mut flood = flood(&[1, 2, 3, 4, 5]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    let mut copies = 0;
    for liar in 2..5 {
        assert_eq!(
            sent_back(&flood.told(liar, found(9, vec![known(7, liar); 200]))),
            1,
            "a frame tells of a thing once"
        );
        copies += (0..500).map(|_| sent_back(&flood.told(liar, found(9, vec![known(7, liar)])))).sum::<usize>();
    }
    assert!(copies <= 300, "{copies}");
    assert_eq!(sent_back(&flood.told(5, found(9, vec![known(8, 5)]))), 1, "the honest one");
    assert_eq!(sent_back(&flood.told(5, found(9, vec![known(7, 5)]))), 1, "and what others tell, too");
}

#[test]
fn many_lies_of_some_leave_the_others_their_share_and_are_passed_on_when_that_is_free() {
    let mut flood = flood(&[1, 2, 3, 4, 5]);
    flood.told(1, NeighbourFrame::Query(query(9, 3)));
    let mut passed = 0;
    for liar in [2, 3, 4_u8] {
        let lies = (0..100).map(|n| known(1000 * u32::from(liar) + n, liar)).collect();
        let of_it = sent_back(&flood.told(liar, found(9, lies)));
        assert_eq!(of_it, 75, "a quarter of 300");
        passed += of_it;
    }
    assert_eq!(sent_back(&flood.told(5, found(9, (0..50).map(|n| known(n, 5)).collect()))), 50, "the honest one");
    let rest = sent_back(&flood.told(5, NeighbourFrame::Done(id(9))));
    assert_eq!(passed + 50 + rest, 300, "what it has left is the others'");
    assert_eq!(sent_back(&flood.told(2, found(9, vec![known(9999, 2)]))), 0);
}

#[test]
fn who_has_brought_as_much_as_is_passed_on_may_have_left_out_something() {
    let mut flood = flood(&[1]);
    flood.handle(Input::Ask { query: query(9, 3), hold: Duration::ZERO }, Duration::ZERO);
    let count = |out: &[FloodOrder]| match out {
        [FloodOrder::Found(_, found)] => found.hits.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&flood.told(1, found(9, (0..299).map(|n| known(n, 2)).collect()))), 299);
    assert!(!flood.is_full(id(9), node(1)));
    assert_eq!(count(&flood.told(1, found(9, (299..350).map(|n| known(n, 2)).collect()))), 51);
    assert!(flood.is_full(id(9), node(1)));
    assert_eq!(count(&flood.told(1, found(9, (350..600).map(|n| known(n, 2)).collect()))), 50, "no branch brings more");
}

#[test]
fn a_search_is_held_for_neighbours_to_come_and_they_are_asked_too() {
    let mut flood = flood(&[1]);
    let hold = Duration::from_secs(1);
    flood.handle(Input::Ask { query: query(9, 2), hold }, Duration::ZERO);
    assert_eq!(flood.told(1, NeighbourFrame::Done(id(9))), []);
    let newcomer = Input::Joined { node: node(2), ends: Teller { remote: addr(2).ip(), local: None }, visiting: false };
    assert_eq!(flood.handle(newcomer, Duration::ZERO), [to(2, NeighbourFrame::Query(query(9, 2)))]);
    assert_eq!(flood.told(2, NeighbourFrame::Done(id(9))), []);
    let over = FloodOrder::Over { id: id(9), silent: Vec::new() };
    assert_eq!(flood.handle(Input::Tick, hold), [over]);
    flood.handle(Input::Ask { query: query(8, 2), hold }, Duration::ZERO);
    flood.told(1, NeighbourFrame::Done(id(8)));
    flood.told(2, NeighbourFrame::Done(id(8)));
    let over = FloodOrder::Over { id: id(8), silent: Vec::new() };
    assert_eq!(flood.handle(Input::Settled, Duration::ZERO), [over]);
}

#[test]
fn neighbours_on_loopback_are_told_to_far_askers_at_our_own_address_and_link_local_ones_not_at_all() {
    let mut flood = flood(&[1]);
    let seen = |text: &str| Seen { node: node(7), addrs: vec![text.parse().expect(text)], offers: 0, by: node(0) };
    flood.told(1, NeighbourFrame::Query(FloodQuery { id: id(9), ttl: 1, what: Sought::Nodes }));
    let nodes = vec![seen("127.0.0.1:7"), seen("[fe80::1]:7"), seen("10.0.0.7:7")];
    let out = flood.handle(Input::Answered { id: id(9), hits: Vec::new(), nodes }, Duration::ZERO);
    let told = QueryHits { id: id(9), hits: Vec::new(), nodes: vec![seen("10.0.0.0:7"), seen("10.0.0.7:7")] };
    assert_eq!(out, [to(1, NeighbourFrame::Found(told)), to(1, NeighbourFrame::Done(id(9)))]);
}

#[test]
fn who_never_answers_is_not_waited_for_again_and_again() {
    let mut flood = flood(&[1, 2]);
    let mut now = Duration::ZERO;
    let mut asked = Vec::new();
    for n in 1..=40 {
        let out = flood.handle(Input::Ask { query: query(n, 2), hold: Duration::ZERO }, now);
        let sent = |node: u8| out.contains(&to(node, NeighbourFrame::Query(query(n, 2))));
        assert!(sent(1), "who answers is always asked");
        asked.push(sent(2));
        let done = flood.handle(Input::Frame { from: node(1), frame: NeighbourFrame::Done(id(n)) }, now);
        assert_eq!(done.is_empty(), sent(2), "and nobody else is waited for");
        flood.handle(Input::Tick, now + 2 * PER_LINK);
        now += Duration::from_secs(1);
    }
    assert_eq!(asked[..4], [true, true, true, false]);
    assert_eq!(asked.iter().filter(|asked| **asked).count(), 4, "tried once more after a while: {asked:?}");
}

#[test]
fn a_command_is_asked_while_it_has_something_to_give_and_passes_nothing_on() {
    let mut flood = flood(&[1]);
    let ends = Teller { remote: addr(5).ip(), local: Some(addr(0).ip()) };
    flood.handle(Input::Joined { node: node(5), ends, visiting: true }, Duration::ZERO);
    let mut asked = |n: u8, addrs: Vec<SocketAddr>| {
        flood.handle(Input::Reached(node(5), addrs), Duration::ZERO);
        let out = flood.told(1, NeighbourFrame::Query(query(n, 4)));
        assert_eq!(flood.reached().filter(|(visitor, _)| *visitor == node(5)).count(), 0, "nobody is told of it");
        out.contains(&to(5, NeighbourFrame::Query(query(n, 1))))
    };
    assert_eq!([asked(6, Vec::new()), asked(7, vec![addr(5)]), asked(8, Vec::new())], [false, true, false]);
    let vouched = to(1, found(7, vec![hit(&[5])]));
    assert_eq!(flood.told(5, found(7, vec![hit(&[])])), [], "where it was is not known any more");
    flood.handle(Input::Reached(node(5), vec![addr(5)]), Duration::ZERO);
    assert_eq!(flood.told(5, found(7, vec![hit(&[])])), [vouched], "and now it is");
}

#[test]
fn who_may_be_told_is_told_though_the_query_came_from_another_first() {
    let mut flood = flood(&[1, 2]);
    flood.told(1, NeighbourFrame::Query(query(9, 1)));
    assert_eq!(flood.handle(Input::Withheld(id(9)), Duration::ZERO), [to(1, NeighbourFrame::Done(id(9)))]);
    // The asker itself, over its own connection, later than the neighbour that forwarded it.
    let aside = FloodOrder::Aside { id: id(9), from: node(2), what: words() };
    assert_eq!(flood.told(2, NeighbourFrame::Query(query(9, 2))), [aside]);
    let told = flood.handle(Input::Aside { id: id(9), from: node(2), hits: vec![hit(&[])] }, Duration::ZERO);
    assert_eq!(told, [to(2, found(9, vec![hit(&[])])), to(2, NeighbourFrame::Done(id(9)))]);
    // What was answered is not answered again.
    flood.told(1, NeighbourFrame::Query(query(8, 1)));
    flood.answers(8, vec![hit(&[])]);
    assert_eq!(flood.told(2, NeighbourFrame::Query(query(8, 1))), [to(2, NeighbourFrame::Done(id(8)))]);
}
