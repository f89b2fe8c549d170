//! Reading a snapshot by words and by id. A search holds at most 40 bytes per matching offer and one page of hits;
//! how many searches run at once is the caller's to bound.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::logic::addresses::AskerView;
use crate::logic::directory::snapshot::{Listing, Snapshot};
use crate::logic::offers::names::Needle;
use crate::logic::offers::page::{self, Page};
use crate::logic::offers::rank::{Rank, rank};
use crate::model::{ContentId, Hit, Kind, NodeId, Offer, Provider, Query, SafePath};
use crate::wire::{HitPage, limits};

/// A matching offer: whose and which.
#[derive(Debug, Clone, Copy)]
struct Match {
    /// The beginning of the id: equal for equal ids. Zero without an id.
    prefix: u64,
    rank: Rank,
    node: u32,
    segment: u32,
    place: u16,
}

/// Consecutive matches of one content.
#[derive(Debug, Clone, Copy)]
struct Group {
    first: u32,
    len: u32,
    providers: u32,
    /// Which of them has the best name.
    best: u32,
}

/// The nodes of a snapshot by number.
struct Reader<'s> {
    nodes: Vec<(NodeId, &'s Listing)>,
    asker: AskerView,
    rng: StdRng,
}

impl Snapshot {
    /// The best hits for a query after `skip` better ones. Of more providers than travel a random choice is told.
    #[must_use]
    pub fn search(&self, query: &Query, limit: u32, skip: u32, asker: AskerView, seed: u64) -> HitPage {
        let mut reader = self.reader(asker, seed);
        let mut matches = reader.matches(query);
        matches.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| reader.key(a).cmp(&reader.key(b))));
        let mut groups = reader.groups(&matches);
        let total = groups.len();
        let (skip, limit) = (skip as usize, limit.min(limits::HITS) as usize);
        let end = skip.saturating_add(limit).min(total);
        if end < total && end > 0 {
            groups.select_nth_unstable_by(end - 1, |a, b| reader.order(&matches, a).cmp(&reader.order(&matches, b)));
            groups.truncate(end);
        }
        groups.sort_unstable_by(|a, b| reader.order(&matches, a).cmp(&reader.order(&matches, b)));
        let mut hits = Page::default();
        for group in groups.get(skip..end).unwrap_or_default() {
            let hit = reader.hit(&matches[group.first as usize..][..group.len as usize]);
            if !hits.add(page::of_hit(&hit), || hit) {
                break;
            }
        }
        let more = total.saturating_sub(skip.saturating_add(hits.items.len())) as u64;
        HitPage { hits: hits.items, more }
    }

    /// Who offers an id or takes part in its transfer: a hit for each kind and size that is claimed, that of most
    /// providers first. Names by how many nodes use them; none when only transfers under way have it.
    #[must_use]
    pub fn locate(&self, id: ContentId, asker: AskerView, seed: u64) -> HitPage {
        let mut reader = self.reader(asker, seed);
        let mut found: BTreeMap<(Kind, u64), Located<'_>> = BTreeMap::new();
        for (number, (_, listing)) in reader.nodes.iter().enumerate() {
            for offer in listing.offers.of_id(id) {
                found.entry((offer.kind, offer.size)).or_default().add(number, offer);
            }
            for part in listing.parts_of(id) {
                found.entry((part.kind, part.size)).or_default().nodes.insert(number);
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(key, located)| (Reverse(located.nodes.len()), *key));
        let total = found.len();
        let mut hits = Page::default();
        for ((kind, size), located) in found.into_iter().take(limits::HITS as usize) {
            let hit = reader.located(id, kind, size, located);
            if !hits.add(page::of_hit(&hit), || hit) {
                break;
            }
        }
        let more = (total - hits.items.len()) as u64;
        HitPage { hits: hits.items, more }
    }

    fn reader(&self, asker: AskerView, seed: u64) -> Reader<'_> {
        let nodes = self.nodes.iter().map(|(node, listing)| (*node, &**listing)).collect();
        Reader { nodes, asker, rng: StdRng::seed_from_u64(seed) }
    }
}

impl<'s> Reader<'s> {
    fn matches(&self, query: &Query) -> Vec<Match> {
        let needle = Needle::new(query);
        let mut matches = Vec::new();
        for (node, (_, listing)) in (0..).zip(&self.nodes) {
            for (segment, offers) in (0..).zip(listing.offers.segments()) {
                for (place, folded) in offers.find(&needle) {
                    let offer = &offers.offers()[place];
                    let Some(rank) = rank(query, folded, offer.kind) else { continue };
                    let prefix = offer.id.map_or(0, |id| prefix(&id));
                    // A segment has at most 1024 places.
                    matches.push(Match { prefix, rank, node, segment, place: place as u16 });
                }
            }
        }
        matches
    }

    fn offer(&self, at: &Match) -> &'s Offer {
        &self.nodes[at.node as usize].1.offers.segments()[at.segment as usize].offers()[usize::from(at.place)]
    }

    /// What makes two matches one hit (the content; or, without an id, the place), then the node.
    fn key(&self, at: &Match) -> (Option<ContentId>, Kind, u64, u32, u32, u16) {
        let offer = self.offer(at);
        (offer.id, offer.kind, offer.size, at.node, at.segment, at.place)
    }

    fn same(&self, a: &Match, b: &Match) -> bool {
        let (a, b) = (self.key(a), self.key(b));
        a.0.is_some() && (a.0, a.1, a.2) == (b.0, b.1, b.2)
    }

    fn groups(&self, matches: &[Match]) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut first = 0;
        for run in matches.chunk_by(|a, b| self.same(a, b)) {
            let providers = run.chunk_by(|a, b| a.node == b.node).count() as u32;
            let best = (first..).zip(run).min_by_key(|(_, m)| (m.rank, by_length(&self.offer(m).name)));
            if let Some((best, _)) = best {
                groups.push(Group { first, len: run.len() as u32, providers, best });
            }
            first += run.len() as u32;
        }
        groups
    }

    fn order(&self, matches: &[Match], group: &Group) -> impl Ord + use<'s> {
        let best = &matches[group.best as usize];
        let offer = self.offer(best);
        let tie = (offer.id, offer.kind, offer.size, best.node);
        (best.rank, Reverse(group.providers), by_length(&offer.name), tie)
    }

    fn hit(&mut self, matches: &[Match]) -> Hit {
        let offer = self.offer(&matches[0]);
        let mut names: Vec<_> = matches.iter().map(|m| (m.rank, by_length(&self.offer(m).name))).collect();
        names.sort_unstable();
        names.dedup();
        let names = names.into_iter().take(Hit::MAX_NAMES);
        let names = names.map(|(_, (_, name))| name.clone()).collect();
        let locked = matches.iter().all(|m| self.offer(m).locked);
        let executable = matches.iter().any(|m| self.offer(m).executable);
        let nodes: Vec<_> = matches.chunk_by(|a, b| a.node == b.node).map(|run| run[0].node as usize).collect();
        let providers = self.providers(&nodes);
        Hit {
            id: offer.id,
            kind: offer.kind,
            size: offer.size,
            files: offer.files,
            locked,
            executable,
            names,
            providers,
        }
    }

    fn located(&mut self, id: ContentId, kind: Kind, size: u64, located: Located<'_>) -> Hit {
        let mut names: Vec<_> = located.names.into_iter().map(|(n, count)| (Reverse(count), by_length(n))).collect();
        names.sort_unstable();
        let names = names.into_iter().take(Hit::MAX_NAMES);
        let names = names.map(|(_, (_, name))| name.clone()).collect();
        let nodes: Vec<_> = located.nodes.into_iter().collect();
        let providers = self.providers(&nodes);
        let files = located.files.unwrap_or_else(|| u32::from(kind == Kind::File));
        Hit {
            id: Some(id),
            kind,
            size,
            files,
            locked: located.locked,
            executable: located.executable,
            names,
            providers,
        }
    }

    fn providers(&mut self, nodes: &[usize]) -> Vec<Provider> {
        let count = nodes.len().min(Hit::MAX_PROVIDERS);
        let mut chosen = rand::seq::index::sample(&mut self.rng, nodes.len(), count).into_vec();
        chosen.sort_unstable();
        let provider = |i: usize| {
            let (node, listing) = self.nodes[nodes[i]];
            listing.provider(node, self.asker)
        };
        chosen.into_iter().map(provider).collect()
    }
}

/// What is known of one (id, kind, size).
#[derive(Debug, Default)]
struct Located<'s> {
    names: BTreeMap<&'s SafePath, u32>,
    nodes: BTreeSet<usize>,
    files: Option<u32>,
    locked: bool,
    executable: bool,
}

impl<'s> Located<'s> {
    fn add(&mut self, node: usize, offer: &'s Offer) {
        *self.names.entry(&offer.name).or_default() += 1;
        self.nodes.insert(node);
        self.locked = offer.locked && (self.locked || self.files.is_none());
        self.executable |= offer.executable;
        self.files.get_or_insert(offer.files);
    }
}

fn prefix(id: &ContentId) -> u64 {
    id.as_bytes().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

fn by_length(name: &SafePath) -> (usize, &SafePath) {
    (name.as_str().len(), name)
}
