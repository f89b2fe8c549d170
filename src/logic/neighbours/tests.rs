use std::collections::BTreeSet;

use super::known::LAN_DIALS;
use super::*;
use crate::wire::limits;

const SECOND: Duration = Duration::from_secs(1);

fn node(n: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Each on a /24 of its own.
fn addr(n: usize) -> SocketAddr {
    let [_, _, high, low] = u32::try_from(n).expect("few").to_be_bytes();
    SocketAddr::from(([20, high, low, 1], 4917))
}

fn table(settings: Settings) -> Neighbours {
    let settings = Settings { lasting: true, ..settings };
    Neighbours::new(node(0), settings, Vec::new(), 7)
}

impl Neighbours {
    /// Dials everything that is due, of which those in `up` answer.
    fn settle(&mut self, now: Duration, up: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut dialled = Vec::new();
        loop {
            let dials: Vec<_> = self
                .tick(now)
                .into_iter()
                .filter_map(|output| match output {
                    TableOrder::Dial(node, addrs) => Some((node, addrs[0])),
                    _ => None,
                })
                .collect();
            if dials.is_empty() {
                return dialled;
            }
            for (node, addr) in dials {
                dialled.push(node);
                if up(node) {
                    self.joined(node, addr, Direction::Outbound, now);
                } else {
                    self.failed(node, now);
                }
            }
        }
    }

    fn contains(&self, node: NodeId) -> bool {
        self.table.contains_key(&node)
    }

    fn count(&self, direction: Direction) -> usize {
        self.all().filter(|(_, d, ..)| *d == direction).count()
    }

    /// Lets a node in if there is room.
    fn knock(&mut self, n: usize, addr: SocketAddr) -> Result<(), Code> {
        self.admit(node(n), addr.ip(), false, Duration::ZERO)?;
        self.joined(node(n), addr, Direction::Inbound, Duration::ZERO);
        Ok(())
    }
}

#[test]
fn eight_are_chosen_and_a_lost_one_is_replaced() {
    let mut table = table(Settings::default());
    (1..30).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    table.heard(node(0), &[addr(0)], Source::Lan);
    assert_eq!(table.settle(SECOND, |_| true).len(), OUTBOUND);
    let (lost, ..) = table.all().next().expect("one");
    table.left(lost, SECOND);
    let after = |seconds| SECOND + Duration::from_secs(seconds);
    assert_eq!(table.settle(after(1), |_| false), [lost], "its place is kept for it");
    let replaced = table.settle(after(10), |node| node != lost);
    assert_eq!(table.count(Direction::Outbound), OUTBOUND);
    assert!(replaced.iter().any(|node| *node != lost));
}

#[test]
fn a_neighbour_that_comes_back_has_its_place() {
    let mut table = table(Settings::default());
    (1..30).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    table.settle(SECOND, |_| true);
    let before: BTreeSet<_> = table.all().map(|(node, ..)| node).collect();
    for node in &before {
        table.left(*node, SECOND);
    }
    table.settle(SECOND + Duration::from_secs(2), |_| true);
    assert_eq!(table.all().map(|(node, ..)| node).collect::<BTreeSet<_>>(), before);
}

#[test]
fn the_best_sources_are_dialled_first() {
    let mut table = table(Settings::default());
    (1..300).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    (300..304).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Lan);
    });
    // A friend comes first, whoever tells of it, and whether it is known to be one before or after.
    table.heard(node(400), &[addr(400)], Source::Neighbour);
    table.befriend([node(400), node(401)].into());
    table.heard(node(401), &[addr(401)], Source::Tracker);
    let dialled = table.settle(SECOND, |_| true);
    assert_eq!(dialled[..2].iter().copied().collect::<BTreeSet<_>>(), [node(400), node(401)].into());
    assert_eq!(dialled[2..6].iter().copied().collect::<BTreeSet<_>>(), (300..304).map(node).collect());
}

#[test]
fn who_does_not_answer_is_tried_again_later_and_later() {
    let mut table = table(Settings::default());
    table.heard(node(1), &[addr(1)], Source::Lan);
    let mut tries = 0;
    for second in 0..60 {
        tries += table.settle(Duration::from_secs(second), |_| false).len();
    }
    assert!((8..40).contains(&tries), "{tries}");
}

#[test]
fn one_global_subnet_has_one_place_of_ours_and_two_of_theirs() {
    let mut table = table(Settings::default());
    let near = |n: u8| SocketAddr::from(([20, 1, 1, n], 1));
    (1..9).for_each(|n| {
        table.heard(node(n.into()), &[near(n)], Source::Neighbour);
    });
    assert_eq!(table.settle(SECOND, |_| true).len(), 1);
    let let_in = (20..30).filter(|n| table.knock(*n, near(u8::try_from(*n).expect("small"))).is_ok()).count();
    assert_eq!(let_in, 2);
    // On a private network a subnet is a room.
    let private = |n: u8| SocketAddr::from(([10, 1, 1, n], 1));
    let let_in = (30..50).filter(|n| table.knock(*n, private(u8::try_from(*n).expect("small"))).is_ok()).count();
    assert_eq!(let_in, INBOUND.0 - 2);
    let mut other = self::table(Settings::default());
    assert_eq!((60..80).filter(|n| other.knock(*n, private(1)).is_ok()).count(), OF_ADDRESS);
}

#[test]
fn visitors_take_no_place() {
    let mut table = table(Settings::default());
    for n in 1..40 {
        assert_eq!(table.admit(node(n), addr(n).ip(), true, SECOND), Ok(()));
        table.joined(node(n), addr(n), Direction::Visiting, SECOND);
    }
    assert_eq!(table.knock(50, addr(50)), Ok(()));
    assert_eq!(table.admit(node(1), addr(1).ip(), false, SECOND), Err(Code::Duplicate));
}

#[test]
fn with_only_peers_nobody_is_dialled_or_asked_for() {
    let mut table = table(Settings { only_peers: true, ..Settings::default() });
    table.heard(node(1), &[addr(1)], Source::Lan);
    table.joined(node(2), addr(2), Direction::Given, SECOND);
    assert_eq!(table.tick(SECOND), []);
    assert!((3..40).all(|n| table.knock(n, addr(1)).is_ok()), "whoever dials");
}

#[test]
fn neighbours_are_asked_for_neighbours_while_places_are_free() {
    let mut table = table(Settings::default());
    assert_eq!(table.tick(SECOND), [], "nobody to ask");
    table.joined(node(1), addr(1), Direction::Inbound, SECOND);
    let asked: Vec<_> = (1..200).filter(|s| table.tick(SECOND * *s) == [TableOrder::Discover]).collect();
    assert_eq!(asked, [1, 3, 7, 15, 31, 63, 123, 183]);
    table.discovered();
    let asked: Vec<_> = (243..250).filter(|s| table.tick(SECOND * *s) == [TableOrder::Discover]).collect();
    assert_eq!(asked, [243, 245, 249]);
}

#[test]
fn what_was_dialled_is_remembered_with_two_anchors() {
    let mut before = table(Settings::default());
    (1..200).for_each(|n| {
        before.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    before.settle(SECOND, |node| node > self::node(100));
    // One that was a neighbour, and is none now.
    before.joined(node(501), addr(501), Direction::Outbound, SECOND);
    before.left(node(501), SECOND);
    before.joined(node(500), addr(500), Direction::Inbound, SECOND);
    let remembered = before.remembered();
    assert_eq!(remembered.iter().filter(|one| one.anchor).count(), ANCHORS);
    assert_eq!(remembered.len(), OUTBOUND + 1);
    let remembered = &remembered[..OUTBOUND];
    assert!(remembered.iter().all(|one| before.contains(one.node)), "what it has, before what it had");
    let mut after = Neighbours::new(node(0), Settings { lasting: true, ..Settings::default() }, before.remembered(), 8);
    (600..900).for_each(|n| {
        after.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    let dialled: Vec<_> = after.settle(SECOND, |_| true);
    let anchors: BTreeSet<_> = remembered.iter().filter(|one| one.anchor).map(|one| one.node).collect();
    assert_eq!(dialled[..2].iter().copied().collect::<BTreeSet<_>>(), anchors);
    let all: BTreeSet<_> = remembered.iter().map(|one| one.node).collect();
    assert_eq!(dialled.into_iter().collect::<BTreeSet<_>>(), all, "those that we knew before those that are told");
}

#[test]
fn anchors_are_kept_when_the_network_is_away() {
    let anchor = Remembered { node: node(1), addrs: vec![addr(1)], anchor: true, lan: false };
    let mut table = Neighbours::new(node(0), Settings::default(), vec![anchor.clone()], 7);
    table.settle(SECOND, |_| false);
    assert_eq!(table.remembered(), [anchor]);
}

#[test]
fn who_misbehaves_for_long_is_left_and_shunned() {
    let mut table = table(Settings::default());
    table.joined(node(1), addr(1), Direction::Inbound, SECOND);
    for second in 0..1000_u32 {
        assert!(!table.blamed(node(1), SECOND * second), "one a second is forgiven");
        table.tick(SECOND * second);
    }
    let now = SECOND * 1000;
    assert!((0..FAULTS).any(|_| table.blamed(node(1), now)), "and left when there are many");
    table.left(node(1), now);
    assert_eq!(table.admit(node(1), addr(1).ip(), false, now), Err(Code::Forbidden));
    assert_eq!(table.admit(node(1), addr(1).ip(), false, now + SHUNNED), Ok(()));
}

#[test]
fn what_is_told_is_bounded_and_pushes_out_nothing_that_was_dialled() {
    let mut table = table(Settings::default());
    (1..9).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Lan);
    });
    table.settle(SECOND, |_| true);
    (100..5000).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    assert_eq!(table.remembered().len(), 8);
    (1..9).for_each(|n| table.left(node(n), SECOND));
    assert_eq!(table.remembered().len(), 8);
}

#[test]
fn five_hundred_fakes_push_out_nobody_also_after_a_restart() {
    let settings = Settings { all_global: true, ..Settings::default() };
    let fake = |n: usize| SocketAddr::from(([127, 99, 0, u8::try_from(n % 250 + 1).expect("small")], 1));
    let honest = |n: usize| SocketAddr::from(([127, u8::try_from(n).expect("small"), 0, 1], 1));
    let mut before = table(settings);
    (1..9).for_each(|n| {
        before.heard(node(n), &[honest(n)], Source::Neighbour);
    });
    before.settle(SECOND, |_| true);
    (9..17).for_each(|n| before.knock(n, honest(n)).expect("room"));
    let there: BTreeSet<_> = before.all().map(|(node, ..)| node).collect();
    for n in 1000..1500 {
        let _ = before.knock(n, fake(n));
        before.heard(node(n), &[fake(n)], Source::Neighbour);
    }
    before.settle(SECOND, |_| true);
    assert!(there.iter().all(|node| before.contains(*node)));
    let mut after = Neighbours::new(node(0), settings, before.remembered(), 9);
    for n in 1000..1500 {
        let _ = after.knock(n, fake(n));
        after.heard(node(n), &[fake(n)], Source::Neighbour);
    }
    (9..17).for_each(|n| after.knock(n, honest(n)).expect("there is room for the honest ones"));
    after.settle(SECOND, |_| true);
    assert!((1..9).all(|n| after.contains(node(n))), "all that we chose");
}

/// A dial to a node that dialled us meanwhile is refused: it counted as under way, and its place was lost.
#[test]
fn a_dial_that_crossed_another_one_gives_its_place_back() {
    let mut table = table(Settings::default());
    table.heard(node(1), &[addr(1)], Source::Lan);
    assert_eq!(table.tick(SECOND).len(), 1);
    table.joined(node(1), addr(1), Direction::Inbound, SECOND);
    assert_eq!(table.dialling(), 1);
    table.failed(node(1), SECOND);
    assert_eq!(table.dialling(), 0);
}

#[test]
fn one_address_does_not_take_every_visitors_place() {
    let mut table = table(Settings::default());
    let mut visit = |n: usize, addr: SocketAddr| {
        table.admit(node(n), addr.ip(), true, Duration::ZERO)?;
        table.joined(node(n), addr, Direction::Visiting, Duration::ZERO);
        Ok::<_, Code>(())
    };
    let let_in = (1..100).filter(|n| visit(*n, addr(1)).is_ok()).count();
    assert_eq!(let_in, VISITORS.1);
    assert_eq!(visit(200, addr(2)), Ok(()));
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!((300..400).filter(|n| visit(*n, here).is_ok()).count(), VISITORS.0 - VISITORS.1 - 1);
}

#[test]
fn an_address_that_joins_under_one_id_after_the_other_is_slowed_down() {
    let mut table = table(Settings::default());
    let mut joined = 0;
    for n in 1..=1000 {
        let now = Duration::from_millis(n as u64);
        if table.admit(node(n), addr(1).ip(), false, now).is_ok() {
            joined += 1;
            table.joined(node(n), addr(1), Direction::Inbound, now);
            table.left(node(n), now);
        }
    }
    assert!((JOINS.0..=JOINS.0 + 4).contains(&joined), "{joined} in a second");
}

#[test]
fn a_lan_full_of_silent_nodes_holds_up_nobody_else() {
    let mut table = table(Settings::default());
    (1..300).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Lan);
    });
    (300..400).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Tracker);
    });
    let dialled: Vec<_> = table
        .tick(SECOND)
        .into_iter()
        .filter_map(|output| match output {
            TableOrder::Dial(one, _) => Some(one >= node(300)),
            _ => None,
        })
        .collect();
    assert_eq!(dialled.iter().filter(|told| **told).count(), OUTBOUND / 2, "{dialled:?}");
}

#[test]
fn what_is_remembered_of_another_network_does_not_hold_up_the_lan() {
    let remembered =
        (1..20).map(|n| Remembered { node: node(n), addrs: vec![addr(n)], anchor: n < 3, lan: false }).collect();
    let mut table = Neighbours::new(node(0), Settings::default(), remembered, 7);
    table.tick(SECOND);
    table.heard(node(100), &[addr(100)], Source::Lan);
    assert_eq!(table.settle(SECOND, |_| true), [node(100)]);
    (101..200).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Lan);
    });
    table.settle(2 * SECOND, |_| true);
    assert!(table.count(Direction::Outbound) <= OUTBOUND + LAN_DIALS, "but not everyone there is dialled");
}

#[test]
fn who_invents_nodes_at_its_own_address_holds_up_nobody_elsewhere() {
    for seed in 0..20 {
        let mut table = Neighbours::new(node(0), Settings::default(), Vec::new(), seed);
        let at = |n: usize| SocketAddr::from(([10, 77, 0, 3], 1000 + u16::try_from(n).expect("small")));
        (1..=500).for_each(|n| {
            table.heard(node(n), &[at(n)], Source::Lan);
        });
        table.heard(node(600), &[SocketAddr::from(([10, 77, 0, 1], 4918))], Source::Lan);
        let dialled: Vec<_> = table.tick(SECOND).into_iter().collect();
        let is_honest = |order: &TableOrder| matches!(order, TableOrder::Dial(one, _) if *one == node(600));
        assert!(dialled.len() <= 4 && dialled.iter().any(is_honest), "{dialled:?}");
    }
}

#[test]
fn a_command_that_ends_soon_asks_every_friend_and_a_lasting_node_keeps_to_its_places() {
    for (lasting, count) in [(false, 40), (true, OUTBOUND)] {
        let mut table = Neighbours::new(node(0), Settings { lasting, ..Settings::default() }, Vec::new(), 7);
        table.befriend((1..=40).map(node).collect());
        (1..=60).for_each(|n| {
            table.heard(node(n), &[addr(n)], Source::Tracker);
        });
        let dialled = table.settle(SECOND, |_| true);
        assert_eq!(dialled.iter().filter(|one| **one <= node(40)).count(), count, "lasting: {lasting}");
    }
}

#[test]
fn who_refuses_once_after_a_restart_has_its_place_still() {
    let remembered =
        (1..=OUTBOUND).map(|n| Remembered { node: node(n), addrs: vec![addr(n)], anchor: n < 3, lan: false }).collect();
    let settings = Settings { lasting: true, ..Settings::default() };
    let mut table = Neighbours::new(node(0), settings, remembered, 7);
    (100..200).for_each(|n| {
        table.heard(node(n), &[addr(n)], Source::Neighbour);
    });
    table.settle(Duration::ZERO, |other| other != node(5));
    assert_eq!(table.count(Direction::Outbound), OUTBOUND - 1, "nobody else takes it");
    table.settle(4 * SECOND, |_| true);
    assert_eq!(table.all().map(|(one, ..)| one).collect::<Vec<_>>(), (1..=OUTBOUND).map(node).collect::<Vec<_>>());
}

#[test]
fn who_has_moved_is_dialled_where_it_is_heard_while_the_dial_to_where_it_was_goes_on() {
    let old: Vec<SocketAddr> = (1..=limits::ADDRESSES).map(addr).collect();
    let remembered = Remembered { node: node(1), addrs: old, anchor: true, lan: false };
    let mut table = Neighbours::new(node(0), Settings::default(), vec![remembered], 7);
    assert!(matches!(&table.tick(SECOND)[..], [TableOrder::Dial(one, _)] if *one == node(1)));
    table.heard(node(1), &[addr(50)], Source::Neighbour);
    assert_eq!(table.tick(SECOND), [], "there is no room for what others tell");
    table.heard(node(1), &[addr(60)], Source::Lan);
    let again = table.tick(SECOND);
    assert!(
        matches!(&again[..], [TableOrder::Dial(one, addrs)] if *one == node(1) && addrs[0] == addr(60)),
        "{again:?}"
    );
    table.heard(node(1), &[addr(60)], Source::Lan);
    assert_eq!(table.tick(SECOND), [], "once");
}

#[test]
fn who_announces_ever_other_addresses_makes_nobody_dial_them_all() {
    let mut table = table(Settings::default());
    let mut dials = 0;
    for n in 1..=1000 {
        table.heard(node(1 + n % 2), &[addr(n)], Source::Lan);
        dials += table.tick(SECOND + Duration::from_millis(n as u64)).len();
    }
    assert!(dials <= 40, "{dials} in a second");
}

#[test]
fn what_is_left_of_a_node_gives_way_to_it_but_not_where_both_may_have_asked_at_once() {
    let mut table = table(Settings::default());
    assert!(!table.gives_way(node(1), true, SECOND), "nothing is left");
    for direction in [Direction::Inbound, Direction::Visiting, Direction::Outbound, Direction::Given] {
        table.joined(node(1), addr(1), direction, SECOND);
        let by_it = matches!(direction, Direction::Inbound | Direction::Visiting);
        assert!(table.gives_way(node(1), true, SECOND), "{direction:?}: a command asks only once");
        assert_eq!(table.gives_way(node(1), false, 2 * SECOND), by_it, "{direction:?}");
        assert!(table.gives_way(node(1), false, SECOND + CROSSING), "{direction:?}: it has had our answer for long");
    }
}
