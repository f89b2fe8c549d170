//! How places that everybody shares are divided by network: one for each first, then a second for each, and so on, so that
//! a party with many identities at one address has no more than its share while others are there.
//! Not responsible for who deserves a place within a network: that is the order in which they are given here.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use itertools::Itertools as _;

use crate::model::address;

/// The network for which a node with these addresses counts: that of the one told first. All those without any are one.
pub fn home(addrs: &[SocketAddr]) -> Option<IpAddr> {
    addrs.first().map(|addr| address::network(addr.ip()))
}

/// Puts the first of each network first, then the second of each, and so on; those of one turn in the order given.
/// `held` says how many places each network has already.
pub fn by_turns<T, N: Hash + Eq>(
    waiting: impl IntoIterator<Item = T>,
    mut held: HashMap<N, usize>,
    network: impl Fn(&T) -> N,
) -> Vec<T> {
    let turn = |one: T| {
        let places = held.entry(network(&one)).or_default();
        *places += 1;
        (*places, one)
    };
    let turns = waiting.into_iter().map(turn).collect_vec();
    turns.into_iter().sorted_by_key(|(turn, _)| *turn).map(|(_, one)| one).collect()
}

/// Who is to give up a place where all are taken, so that one of `network` gets it: the last of those that may go of the
/// network with most places, as long as that one has more than `network` would have. `held` has the network of each place,
/// and who holds it where that one may go.
pub fn who_yields<T: Copy, N: Hash + Eq + Copy>(network: N, held: &[(N, Option<T>)]) -> Option<T> {
    let mut places: HashMap<N, usize> = HashMap::new();
    for (of, _) in held {
        *places.entry(*of).or_default() += 1;
    }
    let of = |network: &N| places.get(network).copied().unwrap_or(0);
    let may_go = held.iter().filter_map(|(network, who)| Some((of(network), (*who)?)));
    may_go.max_by_key(|(places, _)| *places).filter(|(places, _)| *places > of(&network) + 1).map(|(_, who)| who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_one_of_its_network_has_the_first_turn_beside_three_hundred_of_another() {
        let nodes: Vec<(u32, u8)> = (0..300).map(|n| (n, 7)).chain([(300, 9)]).collect();
        let ordered = by_turns(nodes, HashMap::new(), |(_, network)| *network);
        assert_eq!(ordered[..3], [(0, 7), (300, 9), (1, 7)]);
        assert_eq!(ordered.len(), 301);
    }

    #[test]
    fn places_that_are_held_count() {
        let waiting = [(1, 'a'), (2, 'a'), (3, 'b'), (4, 'b'), (5, 'c')];
        let ordered = by_turns(waiting, HashMap::from([('a', 2), ('b', 1)]), |(_, network)| *network);
        assert_eq!(ordered, [(5, 'c'), (3, 'b'), (1, 'a'), (4, 'b'), (2, 'a')]);
    }

    #[test]
    fn a_network_gives_places_up_down_to_its_share() {
        let mut held: Vec<_> = (0..50).map(|n| ('a', Some(n))).collect();
        for given in 0..25 {
            let who = who_yields('b', &held).expect("more than its share");
            held[who] = ('b', Some(who));
            assert_eq!(held.iter().filter(|(network, _)| *network == 'b').count(), given + 1);
        }
        assert_eq!(who_yields('b', &held), None, "each has half");
        assert!(who_yields('c', &held).is_some());
        assert_eq!(who_yields('c', &[('a', None::<u8>), ('a', None)]), None, "those who give stay");
    }

    #[test]
    fn a_node_counts_for_the_address_told_first() {
        let addrs: Vec<SocketAddr> = ["8.8.4.4:1", "10.0.0.1:1"].map(|addr| addr.parse().expect(addr)).into();
        assert_eq!(home(&addrs), Some([8, 8, 4, 0].into()));
        assert_eq!(home(&addrs[1..]), Some([10, 0, 0, 1].into()));
        assert_eq!(home(&[]), None);
    }
}
