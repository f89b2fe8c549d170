//! Stories of one directory; the model test is beside them.

use std::collections::BTreeSet;

use super::*;
use crate::model::{ContentId, Kind, Query, SafePath};
use crate::wire::{encode, limits};

mod against_model;

const LEASE: Duration = Duration::from_secs(60);

fn node(n: u16) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Each node at an address of its own.
fn who(n: u16) -> Who {
    Who { peer: node(n), network: addr(n as u8).ip(), friend: false }
}

fn content(n: u8) -> ContentId {
    ContentId::from_bytes([n; 32])
}

fn offer(name: &str, id: u8) -> Offer {
    Offer::file(SafePath::parse(name).expect(name), 5, (id > 0).then(|| content(id)))
}

fn part(id: u8) -> Content {
    Content { id: content(id), kind: Kind::File, size: 5 }
}

fn head(epoch: u64, seq: u64, full: bool) -> Announce {
    Announce { epoch: Epoch(epoch), seq, full, candidates: vec![], port: 1 }
}

fn announcement(n: u16, epoch: u64, seq: u64) -> AnnouncementId {
    AnnouncementId { node: node(n), epoch: Epoch(epoch), seq }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn words(text: &str) -> Query {
    Query::parse(&[text]).expect("words")
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 4917))
}

/// A node that announces all its offers at once and is reached.
fn announced(directory: &mut Directory, n: u16, add: Vec<Offer>) -> Tally {
    announced_from(directory, who(n), n, add)
}

/// As [`announced`], by somebody of a network.
fn announced_from(directory: &mut Directory, who: Who, n: u16, add: Vec<Offer>) -> Tally {
    directory.announce(who, &head(1, 1, true), at(0)).expect("begins");
    for offers in add.chunks(5000) {
        let delta = Delta { add: offers.to_vec(), ..Delta::default() };
        directory.apply(announcement(n, 1, 1), delta, at(0)).expect("applies");
    }
    let tally = directory.complete(announcement(n, 1, 1), at(0)).expect("completes");
    directory.publish(node(n), Epoch(1), vec![addr(n as u8)]);
    tally
}

fn names(directory: &Directory, query: &str) -> Vec<String> {
    let page = directory
        .snapshot()
        .search(&words(query), Window { limit: 50, skip: 0 }, (AskerView::default(), 0), &|| true)
        .expect("whole");
    page.hits.iter().map(|hit| hit.names[0].to_string()).collect()
}

fn tree(prefix: &str, count: usize) -> Vec<Offer> {
    (0..count).map(|n| offer(&format!("{prefix}/{n:06}"), 0)).collect()
}

#[test]
fn the_same_content_of_two_nodes_is_one_hit_with_all_names() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("x/report.pdf", 1), offer("other", 1)]);
    announced(&mut directory, 2, vec![offer("my-report.pdf", 1), offer("report.pdf", 2)]);
    let page = directory
        .snapshot()
        .search(&words("report"), Window { limit: 50, skip: 0 }, (AskerView::default(), 0), &|| true)
        .expect("whole");
    assert_eq!((page.hits.len(), page.more), (2, 0));
    assert_eq!(page.hits[0].id, Some(content(1)), "more providers");
    assert_eq!(page.hits[0].names.iter().map(SafePath::as_str).collect::<Vec<_>>(), ["x/report.pdf", "my-report.pdf"]);
    assert_eq!(page.hits[0].providers.iter().map(|p| p.node).collect::<Vec<_>>(), [node(1), node(2)]);
    assert_eq!(page.hits[0].providers[1].addrs, [addr(2)]);
}

#[test]
fn what_is_nearly_spelled_so_is_found_only_where_it_is_asked_for() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("x/turing.pdf", 1), offer("turinng", 2), offer("tunning", 3)]);
    assert_eq!(names(&directory, "turinng"), ["turinng"]);
    let near = words("turinng").nearly();
    let page = directory
        .snapshot()
        .search(&near, Window { limit: 50, skip: 0 }, (AskerView::default(), 0), &|| true)
        .expect("whole");
    let found: Vec<_> = page.hits.iter().map(|hit| hit.names[0].as_str()).collect();
    assert_eq!(found, ["turinng", "x/turing.pdf"], "the fewest mistakes first");
}

#[test]
fn a_late_withdrawal_of_the_former_epoch_ends_nothing() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("old", 1)]);
    directory.announce(who(1), &head(2, 1, true), at(1)).expect("begins");
    assert_eq!(names(&directory, "old"), [""; 0]);
    let delta = Delta { add: vec![offer("new", 1)], ..Delta::default() };
    assert_eq!(directory.apply(announcement(1, 1, 1), delta.clone(), at(1)), Err(Code::Cancelled));
    directory.apply(announcement(1, 2, 1), delta, at(1)).expect("applies");
    directory.complete(announcement(1, 2, 1), at(1)).expect("completes");
    assert!(!directory.withdraw(node(1), Epoch(1)));
    assert_eq!(names(&directory, "new"), ["new"]);
    assert!(directory.withdraw(node(1), Epoch(2)));
    assert_eq!(names(&directory, "new"), [""; 0]);
}

#[test]
fn an_announcement_that_broke_off_is_not_known() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("a", 1)]);
    assert!(directory.renew(announcement(1, 1, 1), at(2)).known);
    assert!(!directory.renew(announcement(1, 1, 2), at(2)).known, "a gap");
    assert_eq!(directory.announce(who(1), &head(1, 3, false), at(2)), Err(Code::NotFound), "a gap");
    directory.announce(who(1), &head(1, 2, false), at(2)).expect("begins");
    assert!(!directory.renew(announcement(1, 1, 1), at(2)).known, "open");
    assert_eq!(directory.announce(who(1), &head(1, 2, false), at(2)), Err(Code::NotFound), "open");
    directory.announce(who(1), &head(1, 3, true), at(2)).expect("in full");
    assert_eq!(directory.complete(announcement(1, 1, 2), at(2)), Err(Code::Cancelled));
    directory.complete(announcement(1, 1, 3), at(2)).expect("completes");
    let renewed = directory.renew(announcement(1, 1, 3), at(2));
    assert_eq!(
        (renewed.known, renewed.reachable, renewed.held),
        (true, vec![addr(1)], Some(0)),
        "the address outlives a gap"
    );
}

#[test]
fn silent_nodes_are_forgotten() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("a1", 1)]);
    announced(&mut directory, 2, vec![offer("a2", 2)]);
    assert!(directory.renew(announcement(2, 1, 1), at(20)).known);
    assert_eq!(directory.expire(LEASE - Duration::from_nanos(1)), 0);
    assert_eq!(directory.expire(LEASE), 1);
    assert_eq!(names(&directory, "a"), ["a2"]);
    assert!(!directory.renew(announcement(1, 1, 1), at(61)).known);
    assert_eq!(directory.networks.total.offers.names, 1);
}

#[test]
fn transfers_under_way_are_located_and_followed() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![offer("a", 1)]);
    let (id, first) = directory.follow(part(1), node(3), AskerView::default()).expect("follows");
    assert_eq!(first.joined.iter().map(|p| p.node).collect::<Vec<_>>(), [node(1)]);
    directory.announce(who(2), &head(1, 1, true), at(0)).expect("begins");
    let delta = Delta { join: vec![part(1)], ..Delta::default() };
    directory.apply(announcement(2, 1, 1), delta, at(0)).expect("applies");
    assert!(directory.take_events().is_empty(), "not before it was dialled back");
    directory.publish(node(2), Epoch(1), vec![addr(2)]);
    assert_eq!(directory.take_events()[&id].joined[0].addrs, [addr(2)]);
    let located = directory.snapshot().locate(content(1), AskerView::default(), 0).hits;
    assert_eq!((located.len(), located[0].providers.len(), located[0].names.len()), (1, 2, 1));

    directory.withdraw(node(1), Epoch(1));
    directory.publish(node(2), Epoch(1), vec![addr(9)]);
    let event = &directory.take_events()[&id];
    assert_eq!((event.left.as_slice(), event.joined[0].addrs.as_slice()), ([node(1)].as_slice(), [addr(9)].as_slice()));
    let located = directory.snapshot().locate(content(1), AskerView::default(), 0).hits;
    assert!(located[0].names.is_empty() && located[0].providers.len() == 1);
    directory.unfollow(id);
    directory.withdraw(node(2), Epoch(1));
    assert!(directory.take_events().is_empty());
}

#[test]
fn a_follower_of_a_crowd_is_told_of_fifty_and_of_another_when_one_leaves() {
    let mut directory = Directory::new(Quotas::default(), 1);
    for n in 0..80 {
        announced(&mut directory, n, vec![offer("a", 1)]);
    }
    let (id, first) = directory.follow(part(1), node(100), AskerView::default()).expect("follows");
    assert_eq!(first.joined.len(), 50);
    let told: BTreeSet<_> = first.joined.iter().map(|p| p.node).collect();
    directory.withdraw(first.joined[7].node, Epoch(1));
    let event = directory.take_events().remove(&id).expect("event");
    assert_eq!(event.left, [first.joined[7].node]);
    assert!(event.joined.len() == 1 && !told.contains(&event.joined[0].node));
    let located = directory.snapshot().locate(content(1), AskerView::default(), 7).hits;
    assert_eq!(located[0].providers.len(), 50);
}

/// Three hundred identities at one address, and one node elsewhere that is announced last.
#[test]
fn many_of_one_address_hide_nobody() {
    for honest in [0, 150, 300] {
        let mut directory = Directory::new(Quotas::default(), 1);
        let at = |directory: &mut Directory, n: u16, ip: [u8; 4]| {
            announced(directory, n, vec![offer("a", 1)]);
            directory.publish(node(n), Epoch(1), vec![SocketAddr::from((ip, 5000 + n))]);
        };
        (0..301).filter(|n| *n != honest).for_each(|n| at(&mut directory, n, [8, 8, 4, n as u8]));
        let (id, first) = directory.follow(part(1), node(999), AskerView::default()).expect("follows");
        assert_eq!(first.joined.len(), 50);
        at(&mut directory, honest, [9, 9, 9, 9]);
        let event = directory.take_events().remove(&id).expect("told");
        assert_eq!(event.joined.iter().map(|p| p.node).collect::<Vec<_>>(), [node(honest)]);
        assert_eq!(event.left.len(), 1, "its place");
        let has = |providers: &[crate::model::Provider]| {
            providers.len() == 50 && providers.iter().any(|p| p.node == node(honest))
        };
        let (_, later) = directory.follow(part(1), node(998), AskerView::default()).expect("follows");
        assert!(has(&later.joined));
        for seed in 0..5 {
            let shown = directory.snapshot();
            assert!(has(&shown.locate(content(1), AskerView::default(), seed).hits[0].providers));
            let within = Window { limit: 50, skip: 0 };
            assert!(has(&shown
                .search(&words("a"), within, (AskerView::default(), seed), &|| true)
                .expect("whole")
                .hits[0]
                .providers));
        }
        // A place that becomes free goes to the network of which fewest were told.
        directory.withdraw(node(honest), Epoch(1));
        let event = directory.take_events().remove(&id).expect("told");
        assert_eq!((event.left, event.joined.len()), (vec![node(honest)], 1));
    }
}

#[test]
fn the_same_id_in_two_sizes_is_two_hits() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, vec![Offer { size: 6, ..offer("a", 1) }]);
    announced(&mut directory, 2, vec![offer("a", 1)]);
    announced(&mut directory, 3, vec![offer("b", 1)]);
    let located = directory.snapshot().locate(content(1), AskerView::default(), 0).hits;
    assert_eq!(located.iter().map(|hit| (hit.size, hit.providers.len())).collect::<Vec<_>>(), [(5, 2), (6, 1)]);
}

#[test]
fn the_biggest_user_is_cut_first_and_tops_are_spared() {
    let quotas = Quotas { names: 3000, names_per_node: 2500, ..Quotas::default() };
    let mut directory = Directory::new(quotas, 1);
    let mut big = tree("big", 2800);
    big.push(offer("zz-top", 1));
    big.push(Offer { kind: Kind::Collection, ..offer("x/zz-collection", 1) });
    let tally = announced(&mut directory, 1, big);
    assert_eq!((tally.taken, tally.refused), (2500, 302), "one node's quota");
    let tally = announced(&mut directory, 2, tree("small", 1000));
    assert_eq!((tally.taken, tally.refused), (1000, 0), "the big one gave way");
    assert_eq!(directory.networks.total.offers.names, 3000);
    assert_eq!(names(&directory, "zz").len(), 2);
    let tally = announced(&mut directory, 3, tree("third", 2000));
    assert_eq!(tally.taken + tally.refused, 2000);
    assert!((744..=1256).contains(&tally.taken), "about equal shares: {tally:?}");
    let peers = directory.snapshot().peers(None, AskerView::default()).peers;
    assert!(peers.iter().all(|p| (744..=1256).contains(&p.offers)), "{peers:?}");
}

#[test]
fn a_flood_of_top_names_cuts_its_own_node() {
    let quotas = Quotas { names: 2000, ..Quotas::default() };
    let mut directory = Directory::new(quotas, 1);
    announced(&mut directory, 1, tree("honest", 600));
    let tops = (0..5000).map(|n| offer(&format!("top{n}"), 0)).collect();
    assert_eq!(announced(&mut directory, 2, tops).taken, 1400);
    assert_eq!(directory.snapshot().peers(None, AskerView::default()).peers[0].offers, 600);
}

#[test]
fn bytes_have_a_quota_of_their_own() {
    let quotas = Quotas { bytes: 1 << 20, ..Quotas::default() };
    let mut directory = Directory::new(quotas, 1);
    let long = "n".repeat(200);
    let offers = (0..10_000).map(|n| offer(&format!("{long}/{n}"), 0)).collect();
    let tally = announced(&mut directory, 1, offers);
    assert!((1500..2100).contains(&tally.taken) && tally.taken + tally.refused == 10_000, "{tally:?}");
    assert!(directory.networks.total.offers.bytes <= 1 << 20);
}

#[test]
fn pages_fit_their_frames_and_leave_nothing_out() {
    let mut directory = Directory::new(Quotas::default(), 1);
    let long = vec!["n".repeat(250); 15].join("/");
    let offers: Vec<_> = (0..300).map(|n| offer(&format!("{long}/{n}"), 1 + (n % 50) as u8)).collect();
    // One has all of them, and all have what is under its first 50 names.
    for n in 0..52 {
        let taken = if n == 1 { 300 } else { 50 };
        announced(&mut directory, n, offers[..taken].to_vec());
    }
    let snapshot = directory.snapshot();
    let mut seen = 0;
    loop {
        let page = snapshot
            .search(&words("n"), Window { limit: 500, skip: seen }, (AskerView::default(), 1), &|| true)
            .expect("whole");
        assert!(encode(&page, limits::PAGE).is_ok() && !page.hits.is_empty());
        seen += page.hits.len() as u32;
        assert_eq!(u64::from(seen) + page.more, 50);
        if page.more == 0 {
            break;
        }
    }
    let mut listed: Vec<Offer> = Vec::new();
    loop {
        let page = snapshot.files_of(node(1), listed.last().map(|o| &o.name)).expect("known");
        assert!(encode(&page, limits::PAGE).is_ok());
        listed.extend(page.offers);
        if !page.more {
            break;
        }
    }
    assert_eq!(listed.len(), 300);
    assert!(snapshot.files_of(node(999), None).is_none());
    let page = snapshot.peers(Some(node(49)), AskerView::default());
    assert_eq!((page.peers.len(), page.more), (2, false));
}

#[test]
fn a_census_names_some_of_those_who_cannot_be_dialled() {
    let mut directory = Directory::new(Quotas::default(), 1);
    for n in 1..=10 {
        announced(&mut directory, n, vec![offer("a", 1), offer("b", 2)]);
        directory.publish(node(n), Epoch(1), Vec::new());
    }
    announced(&mut directory, 11, vec![offer("c", 1)]);
    directory.announce(who(12), &head(1, 1, true), at(0)).expect("begins");
    let census = directory.snapshot().census();
    assert_eq!((census.nodes, census.offers, census.unreached.len(), census.more), (12, 21, 8, 2));
    assert!(!census.unreached.contains(&node(11)), "it was reached");
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut directory = Directory::new(Quotas::default(), 1);
    announced(&mut directory, 1, tree("a", 3000));
    let before = directory.snapshot();
    directory.withdraw(node(1), Epoch(1));
    assert_eq!(
        before
            .search(&words("a/0"), Window { limit: 1, skip: 0 }, (AskerView::default(), 0), &|| true)
            .expect("whole")
            .more,
        2999
    );
    assert_eq!(names(&directory, "a"), [""; 0]);
}

#[test]
fn nodes_and_followers_are_limited() {
    let quotas = Quotas { nodes: 1, follows: 1, parts_per_node: 1, ..Quotas::default() };
    let mut directory = Directory::new(quotas, 1);
    announced(&mut directory, 1, vec![]);
    assert_eq!(directory.announce(who(2), &head(1, 1, true), at(0)), Err(Code::Busy));
    directory.announce(who(1), &head(1, 2, false), at(0)).expect("begins");
    let delta = Delta { join: vec![part(1), part(2)], ..Delta::default() };
    directory.apply(announcement(1, 1, 2), delta, at(0)).expect("applies");
    assert_eq!(directory.snapshot().locate(content(2), AskerView::default(), 0).hits.len(), 0);
    assert!(directory.follow(part(1), node(9), AskerView::default()).is_ok());
    assert!(directory.follow(part(1), node(9), AskerView::default()).is_err());
}

/// One of many identities of one address.
fn sybil(n: u16) -> Who {
    Who { peer: node(n), network: [203, 0, 113, 0].into(), friend: false }
}

#[test]
fn identities_of_one_address_cut_each_other() {
    let mut directory = Directory::new(Quotas { names: 10_000, ..Quotas::default() }, 1);
    announced(&mut directory, 1, tree("honest", 3000));
    for n in 2..32 {
        announced_from(&mut directory, sybil(n), n, tree("evil", 3500));
        let held = directory.renew(announcement(1, 1, 1), at(0)).held;
        let all = (3000 + 3500 * u64::from(n - 1)).min(10_000);
        assert_eq!((held, directory.networks.total.offers.names), (Some(3000), all), "{n} of them");
    }
    // Another honest one, whose network holds less than theirs, is taken as well.
    let tally = announced(&mut directory, 200, tree("late", 2500));
    assert_eq!((tally.taken, tally.refused), (2500, 0));
    assert_eq!(directory.renew(announcement(1, 1, 1), at(0)).held, Some(3000));
}

#[test]
fn memory_is_divided_by_networks_too() {
    let mut directory = Directory::new(Quotas { bytes: 1 << 20, ..Quotas::default() }, 1);
    announced(&mut directory, 1, tree("honest", 1000));
    let long = "n".repeat(200);
    for n in 2..30 {
        let offers = (0..1000).map(|n| offer(&format!("{long}/{n}"), 0)).collect();
        announced_from(&mut directory, sybil(n), n, offers);
    }
    assert_eq!(directory.renew(announcement(1, 1, 1), at(0)).held, Some(1000));
    // Nodes that hold nothing but their places: they take those from each other, not from others their names.
    for n in 100..1000 {
        announced_from(&mut directory, sybil(n), n, vec![]);
    }
    assert_eq!(directory.renew(announcement(1, 1, 1), at(0)).held, Some(1000));
    let used = directory.networks.total.offers.bytes + networks::NODE * directory.snapshot().census().nodes;
    assert!(used <= 1 << 20, "{used}");
}

#[test]
fn who_was_cut_learns_it_with_how_much_room_there_is() {
    let mut directory = Directory::new(Quotas { names: 6000, names_per_node: 5000, ..Quotas::default() }, 1);
    announced(&mut directory, 1, tree("first", 5500));
    let renewed = |directory: &mut Directory, n| {
        let Renewed { known, held, room, .. } = directory.renew(announcement(n, 1, 1), at(1));
        (known, held, room)
    };
    assert_eq!(renewed(&mut directory, 1), (true, Some(5000), 0), "it has all that one may have");
    announced(&mut directory, 2, tree("second", 2000));
    assert_eq!(renewed(&mut directory, 1), (true, Some(4000), 0));
    assert_eq!(renewed(&mut directory, 2), (true, Some(2000), 1000), "half of what another has more");
    directory.withdraw(node(2), Epoch(1));
    assert_eq!(renewed(&mut directory, 1), (true, Some(4000), 1000));
    // Announced again, but not in full: what is there stays there.
    directory.announce(who(1), &head(1, 2, false), at(2)).expect("begins");
    assert_eq!(names(&directory, "first").len(), 50);
    let delta = Delta { add: tree("first", 5000), ..Delta::default() };
    directory.apply(announcement(1, 1, 2), delta, at(2)).expect("applies");
    assert_eq!(directory.complete(announcement(1, 1, 2), at(2)).map(|tally| tally.taken), Ok(5000));
    assert_eq!(directory.renew(announcement(9, 1, 1), at(2)).held, None);
}

#[test]
fn places_and_parts_of_nodes_are_divided_by_networks() {
    let mut directory = Directory::new(Quotas { nodes: 10, bytes: 1 << 20, ..Quotas::default() }, 1);
    for n in 2..12 {
        directory.announce(sybil(n), &head(1, 1, true), at(u64::from(n))).expect("begins");
        let join = (0..=255).map(part).collect();
        directory.apply(announcement(n, 1, 1), Delta { join, ..Delta::default() }, at(u64::from(n))).expect("applies");
        directory.complete(announcement(n, 1, 1), at(u64::from(n))).expect("completes");
    }
    assert_eq!(directory.announce(sybil(12), &head(1, 1, true), at(20)), Err(Code::Busy));
    directory.announce(who(1), &head(1, 1, true), at(20)).expect("a place of theirs");
    assert!(!directory.renew(announcement(2, 1, 1), at(20)).known, "the one that was not heard of for longest");
    assert_eq!(directory.snapshot().census().nodes, 10);
    let join = (0..=255).map(part).collect();
    directory.apply(announcement(1, 1, 1), Delta { join, ..Delta::default() }, at(20)).expect("applies");
    let all = (1 << 20) / 4 / 112;
    let parts: Vec<_> = (1..12).map(|n| directory.snapshot.nodes.get(&node(n)).map_or(0, |l| l.parts.len())).collect();
    assert!(parts[1..].iter().sum::<usize>() <= all / 2 + 1, "{parts:?} of {all}");
    assert!(parts[0] >= all / 2 / 8, "{parts:?} of {all}");
}
