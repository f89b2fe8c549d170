//! All answers to one look made one list, and how many more hits there are as far as those who answered have told.

use std::collections::{BTreeMap, HashSet};

use crate::actors::shelf::FLOODED;
use crate::logic::offers::merge::merge;
use crate::logic::offers::tally::{Told, beyond};
use crate::model::{FoundHit, Hit, NodeId, Plane, Provider, Query};
use crate::node::look::ask::{Asked, Page};
use crate::node::types::{Hits, LookNotice, Notice};
use crate::wire::limits;

/// The most that one hit takes of a page: an answer that has less room left than this may have been cut short.
const HIT_BYTES: usize = 64 << 10;

pub(crate) fn merged(query: Option<&Query>, asked: Asked<Page>, limit: u32) -> Hits {
    let told = told(&asked);
    let whole = asked.whole && asked.warnings.is_empty() && !asked.cut;
    let (mut all, mut warnings) = (Vec::new(), asked.warnings);
    for (plane, Page { mut hits, .. }) in asked.answers {
        hits.retain(|hit| {
            warnings.extend(impossible(hit));
            hit.is_possible()
        });
        all.extend(hits.into_iter().map(|hit| FoundHit { hit, plane }));
    }
    let mut hits = merge(query, all);
    let all = hits.len();
    hits.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let beyond = beyond(&told, all as u64, hits.len() as u64, whole);
    Hits { hits, beyond, warnings, ..Hits::default() }
}

/// A hit that nobody can have, and the first who is said to.
fn impossible(hit: &Hit) -> Option<Notice> {
    let id = hit.id.filter(|_| !hit.is_possible())?;
    let node = hit.providers.first().map(|provider| provider.node);
    Some(LookNotice::Impossible { node, id, size: hit.size }.into())
}

/// What came over the neighbours, hit by hit.
fn near(answers: &[(Plane, Page)]) -> impl Iterator<Item = (Plane, &Hit)> {
    let pages = answers.iter().filter(|(_, page)| page.more.is_none());
    pages.flat_map(|(plane, page)| page.hits.iter().map(|hit| (*plane, hit)))
}

/// Who answered directly and is a node: what it gave over the neighbours is a part of that.
fn direct(answers: &[(Plane, Page)]) -> HashSet<NodeId> {
    let pages = answers.iter().filter(|(plane, page)| page.more.is_some() && *plane != Plane::Tracker);
    pages.flat_map(|(_, page)| &page.hits).flat_map(|hit| &hit.providers).map(|provider| provider.node).collect()
}

/// What came of one node over the neighbours.
#[derive(Default)]
struct Given<'a> {
    hits: u64,
    bytes: usize,
    provider: Option<(Plane, &'a Provider)>,
}

impl Given<'_> {
    /// As much as an answer to a neighbour's query may hold.
    const fn is_full(&self) -> bool {
        self.hits >= FLOODED as u64 || self.bytes + HIT_BYTES > limits::PAGE_FILL
    }
}

fn by_node(answers: &[(Plane, Page)]) -> BTreeMap<NodeId, Given<'_>> {
    let mut nodes: BTreeMap<NodeId, Given<'_>> = BTreeMap::new();
    for (plane, hit) in near(answers) {
        for provider in &hit.providers {
            let given = nodes.entry(provider.node).or_default();
            given.hits += 1;
            given.bytes += hit.names.iter().map(|name| name.as_str().len()).sum::<usize>();
            given.provider.get_or_insert((plane, provider));
        }
    }
    nodes
}

fn told(asked: &Asked<Page>) -> Vec<Told> {
    let (answers, cut) = (&asked.answers, asked.cut);
    let direct = direct(answers);
    let told = |page: &Page| page.more.map(|more| Told { given: page.hits.len() as u64, more: Some(more) });
    let near = by_node(answers).into_iter().filter(|(node, _)| !direct.contains(node));
    let near = near.map(|(_, given)| Told { given: given.hits, more: (!given.is_full() && !cut).then_some(0) });
    answers.iter().filter_map(|(_, page)| told(page)).chain(near).collect()
}

/// Who has perhaps more than it could give over the neighbours, and on which plane it was found.
pub(crate) fn unfinished(asked: &Asked<Page>) -> Vec<(Plane, Provider)> {
    let direct = direct(&asked.answers);
    let nodes = by_node(&asked.answers).into_iter().filter(|(node, _)| !direct.contains(node));
    let full = nodes.filter(|(_, given)| asked.cut || given.is_full());
    full.filter_map(|(_, given)| given.provider.map(|(plane, provider)| (plane, provider.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, SafePath};

    fn page(node: u8, count: u32, more: Option<u64>) -> Page {
        let provider = Provider { node: NodeId::from_bytes([node; 32]), addrs: Vec::new() };
        let hit = |n: u32| Hit {
            names: vec![SafePath::parse(&format!("a{n}")).expect("a name")],
            providers: vec![provider.clone()],
            ..Hit::file(Some(ContentId::of(&n.to_be_bytes())), 1)
        };
        Page { hits: (0..count).map(hit).collect(), more }
    }

    fn found(answers: Vec<(Plane, Page)>) -> (usize, u64, bool) {
        told_of(answers, false)
    }

    fn told_of(answers: Vec<(Plane, Page)>, cut: bool) -> (usize, u64, bool) {
        let asked = Asked { answers, cut, ..Asked::default() };
        let found = merged(None, asked, 50);
        (found.hits.len(), found.beyond.more, found.beyond.at_least)
    }

    #[test]
    fn an_answer_over_neighbours_that_is_full_is_a_lower_bound() {
        assert_eq!(found(vec![(Plane::Lan, page(1, 60, None))]), (50, 10, false));
        assert_eq!(found(vec![(Plane::Lan, page(1, FLOODED, None))]), (50, 50, true));
        let twice = vec![(Plane::Lan, page(1, 99, None)), (Plane::Neighbours, page(2, 99, None))];
        assert_eq!(found(twice), (50, 49, false), "the same, told by two");
        let many = (1..4).map(|node| (Plane::Neighbours, page(node, 70, None))).collect();
        assert_eq!(told_of(many, true), (50, 20, true), "a neighbour may have left out some");
    }

    #[test]
    fn who_answers_directly_is_counted_by_its_own_word() {
        let both = vec![(Plane::Peer, page(1, 50, Some(250))), (Plane::Neighbours, page(1, FLOODED, None))];
        assert_eq!(unfinished(&Asked { answers: both.clone(), ..Asked::default() }), []);
        assert_eq!(found(both), (50, 250, false));
        let near = vec![(Plane::Neighbours, page(1, FLOODED, None)), (Plane::Lan, page(2, 3, None))];
        let nodes: Vec<u8> = unfinished(&Asked { answers: near, ..Asked::default() })
            .iter()
            .map(|(_, provider)| provider.node.as_bytes()[0])
            .collect();
        assert_eq!(nodes, [1]);
    }
}
