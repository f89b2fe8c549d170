//! Answers to words and ids from the offers of any number of nodes: grouped by content, ranked, as many as a page holds.
//! A search holds 20 bytes per matching offer, as many again to spare, and one page of hits; how many run at once is the
//! caller's to bound.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;

use crate::logic::offers::names::Needle;
use crate::logic::offers::page::{self, Page};
use crate::logic::offers::rank::{Rank, rank};
use crate::logic::offers::table::{OfferTable, Segment};
use crate::model::{Content, ContentId, Hit, Kind, Modified, Offer, Provider, Query, SafePath};
use crate::wire::{HitPage, limits};

/// Segments in which what is near is looked for, each of at most 1024 names: as many as a tracker holds by itself. The worst
/// words take a processor's second for them.
const NEAR_SEGMENTS: usize = 512;

/// Which of all hits are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How many at most.
    pub limit: u32,
    /// After so many better ones.
    pub skip: u32,
}

/// A matching offer: whose and which.
#[derive(Debug, Clone, Copy)]
struct Match {
    /// The beginning of the id: equal for equal ids. Zero without an id.
    prefix: u32,
    rank: Rank,
    node: u32,
    segment: u32,
    place: u16,
    /// Of the name, in bytes: at most 4096.
    length: u16,
}

/// Consecutive matches of one content.
#[derive(Debug, Clone, Copy)]
struct Group<'m> {
    matches: &'m [Match],
    providers: usize,
    /// That of the best name.
    best: &'m Match,
}

/// The offers of some nodes, by number, which of them are there for who asks, and who of the nodes that offer a content
/// are told of.
#[derive(Debug)]
pub struct Search<'s, S, P> {
    tables: Vec<&'s OfferTable>,
    shows: S,
    providers: P,
}

impl<'s, S: Fn(&Offer) -> bool, P: FnMut(&[usize]) -> Vec<Provider>> Search<'s, S, P> {
    /// Reads what `shows` of these tables; `providers` tells which of the nodes with these numbers go with a hit, in order.
    pub const fn new(tables: Vec<&'s OfferTable>, shows: S, providers: P) -> Self {
        Self { tables, shows, providers }
    }

    /// The best hits for a query after `skip` better ones; `None` when it is not to go on to its end.
    pub fn words(
        &mut self,
        query: &Query,
        Window { limit, skip }: Window,
        going: &dyn Fn() -> bool,
    ) -> Option<HitPage> {
        let mut matches = self.matches(query, going)?;
        matches.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| self.key(a).cmp(&self.key(b))));
        let (skip, limit) = (skip as usize, limit.min(limits::HITS) as usize);
        let mut total = 0_usize;
        let groups = matches.chunk_by(|a, b| self.same(a, b)).filter_map(|run| self.group(run)).inspect(|_| total += 1);
        let best = groups.k_smallest_by(skip.saturating_add(limit), |a, b| self.order(a, b)).skip(skip);
        let hits = page_of(best.map(|group| self.hit(group.matches)));
        Some(HitPage { more: total.saturating_sub(skip.saturating_add(hits.len())) as u64, hits })
    }

    /// Who offers an id, or takes part in its transfer (`under_way`, by the number of the node): a hit for each kind and
    /// size that is claimed, that of most providers first. Names by how many nodes use them; none when only transfers
    /// under way have it.
    pub fn id(&mut self, id: ContentId, under_way: impl IntoIterator<Item = (usize, Content)>) -> HitPage {
        let mut found: BTreeMap<(Kind, u64), Located<'_>> = BTreeMap::new();
        for (number, table) in self.tables.iter().enumerate() {
            for offer in table.of_id(id).filter(|offer| (self.shows)(offer)) {
                found.entry((offer.kind, offer.size)).or_default().add(number, offer);
            }
        }
        for (number, part) in under_way {
            found.entry((part.kind, part.size)).or_default().nodes.insert(number);
        }
        let total = found.len();
        let found = found.into_iter().sorted_by_key(|(key, located)| (Reverse(located.nodes.len()), *key));
        let found = found.take(limits::HITS as usize);
        let hits = page_of(found.map(|((kind, size), located)| self.located(id, kind, size, located)));
        HitPage { more: (total - hits.len()) as u64, hits }
    }

    /// Asks after each segment whether to go on: it has at most 1024 names.
    fn matches(&self, query: &Query, going: &dyn Fn() -> bool) -> Option<Vec<Match>> {
        let needle = Needle::new(query);
        let mut matches = Vec::new();
        for (node, (segment, offers)) in self.segments(query.reading().near) {
            let named = offers.find(&needle);
            let meant = query.id().into_iter().flat_map(|prefix| offers.of_prefix(prefix));
            for (place, folded) in named.chain(meant.filter(|(_, folded)| !query.matches(folded))) {
                let offer = &offers.offers()[place];
                let rank = rank(query, folded, offer).filter(|_| (self.shows)(offer));
                let Some(rank) = rank else { continue };
                let prefix = offer.id.map_or(0, |id| prefix(&id));
                // A segment has at most 1024 places.
                let (place, length) = (place as u16, offer.name.as_str().len() as u16);
                matches.push(Match { prefix, rank, node, segment, place, length });
            }
            if !going() {
                return None;
            }
        }
        Some(matches)
    }

    /// The segments by the numbers of their nodes; not all of very many, where only what is near is looked for.
    fn segments(&self, near: bool) -> impl Iterator<Item = (u32, (u32, &'s Segment))> {
        let of =
            |(node, table): (u32, &&'s OfferTable)| (0..).zip(table.segments()).map(move |(n, s)| (node, (n, &**s)));
        (0..).zip(&self.tables).flat_map(of).take(if near { NEAR_SEGMENTS } else { usize::MAX })
    }

    fn offer(&self, at: &Match) -> &'s Offer {
        &self.tables[at.node as usize].segments()[at.segment as usize].offers()[usize::from(at.place)]
    }

    /// What makes two matches one hit (the content; or, without an id, the place), then the node.
    fn key(&self, at: &Match) -> (Option<ContentId>, Kind, u64, u32, u32, u16) {
        let offer = self.offer(at);
        (offer.id, offer.kind, offer.size, at.node, at.segment, at.place)
    }

    fn same(&self, a: &Match, b: &Match) -> bool {
        // Offers are looked at only where they may be the same: a query may match all there are.
        a.prefix == b.prefix && {
            let (a, b) = (self.offer(a), self.offer(b));
            a.id.is_some() && (a.id, a.kind, a.size) == (b.id, b.kind, b.size)
        }
    }

    fn group<'m>(&self, matches: &'m [Match]) -> Option<Group<'m>> {
        let providers = matches.chunk_by(|a, b| a.node == b.node).count();
        let best = matches.iter().min_by(|a, b| a.rank.cmp(&b.rank).then_with(|| self.by_name(a, b)))?;
        Some(Group { matches, providers, best })
    }

    /// The best first.
    fn order(
        &self,
        Group { best: a, providers: of_a, .. }: &Group<'_>,
        Group { best: b, providers: of_b, .. }: &Group<'_>,
    ) -> Ordering {
        let tie = |at: &Match| (self.offer(at).id, self.offer(at).kind, self.offer(at).size, at.node);
        let known = a.rank.cmp(&b.rank).then_with(|| of_b.cmp(of_a));
        known.then_with(|| self.by_name(a, b)).then_with(|| tie(a).cmp(&tie(b)))
    }

    /// The shortest first.
    fn by_name(&self, a: &Match, b: &Match) -> Ordering {
        a.length.cmp(&b.length).then_with(|| self.offer(a).name.cmp(&self.offer(b).name))
    }

    fn hit(&mut self, matches: &[Match]) -> Hit {
        let &Offer { id, kind, size, files, .. } = self.offer(&matches[0]);
        let names = matches.iter().map(|m| (m.rank, by_length(&self.offer(m).name))).sorted_unstable().dedup();
        let names = names.take(Hit::MAX_NAMES).map(|(_, (_, name))| name.clone()).collect();
        let locked = matches.iter().all(|m| self.offer(m).locked);
        let executable = matches.iter().any(|m| self.offer(m).executable);
        let modified = matches.iter().filter_map(|m| self.offer(m).modified).min();
        let nodes: Vec<_> = matches.chunk_by(|a, b| a.node == b.node).map(|run| run[0].node as usize).collect();
        let providers = (self.providers)(&nodes);
        Hit { id, kind, size, files, locked, executable, modified, names, providers }
    }

    fn located(&mut self, id: ContentId, kind: Kind, size: u64, located: Located<'_>) -> Hit {
        let Located { names, nodes, files, locked, executable, modified } = located;
        let names = names.into_iter().map(|(n, count)| (Reverse(count), by_length(n))).sorted_unstable();
        let names = names.take(Hit::MAX_NAMES).map(|(_, (_, name))| name.clone()).collect();
        let nodes: Vec<_> = nodes.into_iter().collect();
        let providers = (self.providers)(&nodes);
        let (id, files) = (Some(id), files.unwrap_or_else(|| u32::from(kind == Kind::File)));
        Hit { id, kind, size, files, locked, executable, modified, names, providers }
    }
}

/// As many as a page holds.
fn page_of(hits: impl Iterator<Item = Hit>) -> Vec<Hit> {
    let mut page = Page::default();
    for hit in hits {
        if !page.add(page::of_hit(&hit), || hit) {
            break;
        }
    }
    page.items
}

/// What is known of one (id, kind, size).
#[derive(Debug, Default)]
struct Located<'s> {
    names: BTreeMap<&'s SafePath, u32>,
    nodes: BTreeSet<usize>,
    files: Option<u32>,
    locked: bool,
    executable: bool,
    modified: Option<Modified>,
}

impl<'s> Located<'s> {
    fn add(&mut self, node: usize, offer: &'s Offer) {
        *self.names.entry(&offer.name).or_default() += 1;
        self.nodes.insert(node);
        self.locked = offer.locked && (self.locked || self.files.is_none());
        self.executable |= offer.executable;
        self.modified = Modified::earlier(self.modified, offer.modified);
        self.files.get_or_insert(offer.files);
    }
}

fn prefix(id: &ContentId) -> u32 {
    id.as_bytes().iter().take(4).fold(0, |n, byte| n << 8 | u32::from(*byte))
}

fn by_length(name: &SafePath) -> (usize, &SafePath) {
    (name.as_str().len(), name)
}
