//! Answers of several planes made one list: grouped by (id, kind, size), best first.
//! Invariant: merging what was merged changes nothing. A hit without an id stays one name at one node.

use std::cmp::{Ordering, Reverse};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use itertools::Itertools as _;

use crate::logic::offers::rank::{Rank, of_hit, of_name};
use crate::model::query::fold;
use crate::model::{ContentId, FoundHit, Hit, Kind, Modified, NodeId, Provider, Query, SafePath};
use crate::wire::limits;

/// What makes two hits one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Hashed(ContentId, Kind, u64),
    Unhashed(Option<SafePath>, Kind, u64, Vec<NodeId>),
}

/// Joins the hits that are the same content and sorts them, best first: by the rank of the best name, then more
/// providers, then the shorter name, then bytewise. Names within a hit likewise; without a query in the order
/// in which they came, and the rank is left out. Of several planes on which one was learned the last in their order stays.
pub fn merge(query: Option<&Query>, hits: impl IntoIterator<Item = FoundHit>) -> Vec<FoundHit> {
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for found in hits {
        match groups.entry(key(&found.hit)) {
            Entry::Occupied(mut there) => there.get_mut().join(found),
            Entry::Vacant(place) => {
                place.insert(Group::of(found));
            }
        }
    }
    let ranked = groups.into_values().map(|mut group| (order_names(query, &mut group.found.hit), group.found));
    let ranked = ranked.sorted_by(|(a_rank, a), (b_rank, b)| compare(query, (*a_rank, &a.hit), (*b_rank, &b.hit)));
    ranked.map(|(_, found)| found).collect()
}

fn key(hit: &Hit) -> Key {
    match hit.id {
        Some(id) => Key::Hashed(id, hit.kind, hit.size),
        None => {
            let nodes = hit.providers.iter().map(|p| p.node).sorted_unstable().dedup().collect();
            Key::Unhashed(hit.names.first().cloned(), hit.kind, hit.size, nodes)
        }
    }
}

/// A hit whose names and providers are each there once, with what tells so: joining one more hit takes as long as
/// that hit is, not as long as all before it.
struct Group {
    found: FoundHit,
    names: HashSet<SafePath>,
    places: HashMap<NodeId, usize>,
}

impl Group {
    fn of(first: FoundHit) -> Self {
        let hit = Hit { names: Vec::new(), providers: Vec::new(), ..first.hit };
        let found = FoundHit { hit, plane: first.plane };
        let mut group = Self { found, names: HashSet::new(), places: HashMap::new() };
        group.join(first);
        group
    }

    fn join(&mut self, other: FoundHit) {
        let (FoundHit { hit, plane }, known) = (&mut self.found, &mut self.names);
        *plane = (*plane).max(other.plane);
        hit.files = hit.files.max(other.hit.files);
        hit.locked &= other.hit.locked;
        hit.executable |= other.hit.executable;
        hit.modified = Modified::earlier(hit.modified, other.hit.modified);
        hit.names.extend(other.hit.names.into_iter().filter(|name| known.insert(name.clone())));
        for Provider { node, addrs } in other.hit.providers {
            let place = *self.places.entry(node).or_insert_with(|| {
                hit.providers.push(Provider { node, addrs: Vec::new() });
                hit.providers.len() - 1
            });
            add_addresses(&mut hit.providers[place], addrs);
        }
    }
}

/// Adds a provider, or its addresses to the one that is there.
pub fn add_provider(providers: &mut Vec<Provider>, provider: Provider) {
    match providers.iter_mut().find(|there| there.node == provider.node) {
        Some(there) => add_addresses(there, provider.addrs),
        None => {
            let mut new = Provider { node: provider.node, addrs: Vec::new() };
            add_addresses(&mut new, provider.addrs);
            providers.push(new);
        }
    }
}

fn add_addresses(provider: &mut Provider, addrs: Vec<SocketAddr>) {
    for addr in addrs {
        if provider.addrs.len() < limits::ADDRESSES && !provider.addrs.contains(&addr) {
            provider.addrs.push(addr);
        }
    }
}

/// Puts the best names first; the rank of the best.
fn order_names(query: Option<&Query>, hit: &mut Hit) -> Option<Rank> {
    let best = query.and_then(|query| of_hit(query, hit));
    if let Some(query) = query {
        let of = |name: &SafePath| of_name(query, &fold(name.as_str()), hit.kind);
        // A name that does not match, of what is meant by its id, comes last.
        hit.names.sort_by_cached_key(|name| (of(name).map_or((1, None), |r| (0, Some(r))), length_and_bytes(name)));
    }
    hit.names.truncate(Hit::MAX_NAMES);
    best
}

fn compare(query: Option<&Query>, (a_rank, a): (Option<Rank>, &Hit), (b_rank, b): (Option<Rank>, &Hit)) -> Ordering {
    let best = |hit: &Hit| hit.names.first().map(length_and_bytes);
    let by_rank = if query.is_some() {
        // Without any matching name: last.
        a_rank.is_none().cmp(&b_rank.is_none()).then(a_rank.cmp(&b_rank))
    } else {
        Ordering::Equal
    };
    by_rank
        .then_with(|| Reverse(a.providers.len()).cmp(&Reverse(b.providers.len())))
        .then_with(|| best(a).cmp(&best(b)))
        .then_with(|| (a.id, a.kind, a.size).cmp(&(b.id, b.kind, b.size)))
}

fn length_and_bytes(name: &SafePath) -> (usize, SafePath) {
    (name.as_str().len(), name.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Plane;

    fn merge(query: Option<&Query>, hits: impl IntoIterator<Item = Hit>) -> Vec<Hit> {
        let found = hits.into_iter().map(|hit| FoundHit { hit, plane: Plane::Tracker });
        super::merge(query, found).into_iter().map(|found| found.hit).collect()
    }

    fn hit(id: u8, names: &[&str], nodes: &[u8]) -> Hit {
        let provider = |n: &u8| Provider {
            node: NodeId::from_bytes([*n; 32]),
            addrs: vec![SocketAddr::from(([10, 0, 0, *n], 1))],
        };
        Hit {
            names: names.iter().map(|n| SafePath::parse(n).expect(n)).collect(),
            providers: nodes.iter().map(provider).collect(),
            ..Hit::file((id > 0).then(|| ContentId::from_bytes([id; 32])), 1)
        }
    }

    #[test]
    fn one_content_of_two_trackers_is_one_hit() {
        let query = Query::parse(&["a"]).expect("words");
        let merged = merge(Some(&query), [hit(1, &["ab", "x/a"], &[1, 2]), hit(2, &["a"], &[3]), hit(1, &["a"], &[2])]);
        assert_eq!(merged, [hit(1, &["a", "x/a", "ab"], &[1, 2]), hit(2, &["a"], &[3])]);
    }

    #[test]
    fn the_plane_goes_with_the_content_and_its_size() {
        let (small, large) = (hit(1, &["a"], &[1]), Hit { size: 2, ..hit(1, &["a"], &[2]) });
        let found = |hit: &Hit, plane| FoundHit { hit: hit.clone(), plane };
        let all = [found(&small, Plane::Lan), found(&large, Plane::Neighbours), found(&small, Plane::Peer)];
        let merged = super::merge(None, all);
        assert_eq!(merged, [found(&small, Plane::Peer), found(&large, Plane::Neighbours)]);
    }

    #[test]
    fn more_providers_then_shorter_then_bytewise() {
        let query = Query::parse(&["n"]).expect("words");
        let hits = [hit(1, &["nb"], &[1]), hit(2, &["na"], &[2]), hit(3, &["nab"], &[3]), hit(4, &["nabc"], &[4, 5])];
        let order: Vec<_> = merge(Some(&query), hits).into_iter().map(|h| h.names[0].to_string()).collect();
        assert_eq!(order, ["nabc", "na", "nb", "nab"]);
    }

    #[test]
    fn hits_without_id_stay_apart_by_node() {
        let merged = merge(None, [hit(0, &["a"], &[1]), hit(0, &["a"], &[2]), hit(0, &["a"], &[1])]);
        assert_eq!(merged.len(), 2);
    }

    /// Work that grows with the square of the names, 40,000 × 40,000, would not end.
    #[test]
    fn very_many_names_and_providers_of_one_content_are_joined_in_one_go() {
        let one = |n: u32| {
            let [_, _, high, low] = n.to_be_bytes();
            let mut node = [7; 32];
            node[..2].copy_from_slice(&[high, low]);
            let provider = Provider { node: NodeId::from_bytes(node), addrs: Vec::new() };
            Hit { providers: vec![provider], ..hit(1, &[&format!("copy {n}")], &[]) }
        };
        let merged = merge(None, (0..40_000).chain(0..40_000).map(one));
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].providers.len(), merged[0].names.len()), (40_000, Hit::MAX_NAMES));
    }

    fn any_hit() -> impl Strategy<Value = Hit> {
        let names = proptest::sample::subsequence(vec!["a", "b/a", "ab", "c", "a b", "ba/c"], 1..5);
        let nodes = proptest::collection::vec(1..5_u8, 1..4);
        (0..3_u8, names, nodes).prop_map(|(id, names, nodes)| match id {
            0 => hit(0, &names[..1], &nodes[..1]),
            id => hit(id, &names, &nodes),
        })
    }

    proptest! {
        #[test]
        fn merging_again_changes_nothing(hits in proptest::collection::vec(any_hit(), 0..12), words in any::<bool>()) {
            let query = Query::parse(&["a"]).expect("words");
            let query = words.then_some(&query);
            let once = merge(query, hits.clone());
            prop_assert_eq!(&merge(query, once.clone()), &once);
            let pairs = |hits: &[Hit]| -> BTreeSet<_> {
                hits.iter().flat_map(|h| h.providers.iter().map(|p| (h.id, p.node))).collect()
            };
            prop_assert_eq!(pairs(&once), pairs(&hits));
        }
    }
}
