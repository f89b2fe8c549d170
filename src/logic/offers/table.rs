//! The offers of one node, in name order, as immutable segments: clones share them.
//! Invariant: segments are in name order, none is empty, none holds more than `SEGMENT` offers; the totals are
//! the sums over the segments. A change rebuilds only the segments it touches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::logic::offers::amount::Amount;
use crate::logic::offers::names::{FoldedNames, Needle};
use crate::logic::offers::page::{self, Page};
use crate::model::id::IdPrefix;
use crate::model::{ContentId, Kind, Offer, SafePath};
use crate::wire::OfferPage;

/// Offers in one segment at most: small enough to rebuild for one change, large enough to scan fast.
const SEGMENT: usize = 1024;
/// Bytes of names after which a segment is full before that: with names of 4 KiB it would be 4 MiB for each change.
const SEGMENT_NAMES: usize = 128 << 10;

/// Whether quotas spare an offer as long as they can: a collection, or a name at the top.
fn is_top(offer: &Offer) -> bool {
    offer.kind == Kind::Collection || !offer.name.as_str().contains('/')
}

/// The offers of one node. Cloning shares the segments, and shared ones are equal without a look into them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferTable {
    segments: Vec<Arc<Segment>>,
    all: Amount,
    /// Of those that quotas do not spare.
    ordinary: Amount,
}

/// Some offers, consecutive by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    offers: Vec<Offer>,
    folded: FoldedNames,
    /// Indexes of the offers that have an id, by id.
    by_id: Box<[u16]>,
    all: Amount,
    ordinary: Amount,
}

impl OfferTable {
    /// How many offers and bytes.
    pub const fn all(&self) -> Amount {
        self.all
    }

    /// Whether there is no offer.
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The segments, in name order.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The offer of a name.
    pub fn get(&self, name: &SafePath) -> Option<&Offer> {
        let place = self.segments.partition_point(|s| s.offers[0].name <= *name).checked_sub(1)?;
        let offers = &self.segments[place].offers;
        offers.binary_search_by(|offer| offer.name.cmp(name)).ok().map(|at| &offers[at])
    }

    /// All offers, in name order.
    pub fn iter(&self) -> Offers<'_> {
        Offers { segments: self.segments.iter(), offers: [].iter() }
    }

    /// The offers after a name, of those that are shown, as many as a page holds.
    pub fn page(&self, after: Option<&SafePath>, shows: impl Fn(&Offer) -> bool) -> OfferPage {
        let mut offers = Page::default();
        let mut shown = self.after(after).filter(|offer| shows(offer));
        let more = shown.any(|offer| !offers.add(page::of_offer(offer), || offer.clone()));
        OfferPage { offers: offers.items, more }
    }

    /// Offers after a name, in name order.
    pub fn after<'a>(&'a self, name: Option<&'a SafePath>) -> impl Iterator<Item = &'a Offer> {
        let before = move |offer: &Offer| name.is_some_and(|name| offer.name <= *name);
        let first = self.segments.partition_point(|s| s.offers.last().is_some_and(before));
        let offers = self.segments[first..].iter().flat_map(|s| &s.offers);
        offers.skip_while(move |offer| before(offer))
    }

    /// Those of the offers that are shown, in a table of their own.
    #[must_use]
    pub fn only(&self, shows: impl Fn(&Offer) -> bool) -> Self {
        let mut table = Self::default();
        for segment in &self.segments {
            if segment.offers.iter().all(&shows) {
                table.keep(Arc::clone(segment));
            } else if segment.offers.iter().any(&shows) {
                let shown = segment.offers.iter().filter(|offer| shows(offer)).cloned();
                table.keep(Arc::new(Segment::new(shown.collect())));
            }
        }
        table
    }

    /// The offers of an id.
    pub fn of_id(&self, id: ContentId) -> impl Iterator<Item = &Offer> {
        self.segments.iter().flat_map(move |s| s.of_id(id))
    }

    /// Removes and adds (an added offer replaces that of its name), and tells what was dropped or replaced.
    pub fn change(&mut self, remove: Vec<SafePath>, add: Vec<Offer>, dropped: &mut impl FnMut(&Offer)) {
        let mut changes: BTreeMap<SafePath, Option<Offer>> = remove.into_iter().map(|name| (name, None)).collect();
        changes.extend(add.into_iter().map(|offer| (offer.name.clone(), Some(offer))));
        self.apply(changes, dropped);
    }

    /// Puts offers, or nothing, in the place of what has these names, which are in order and each there once.
    pub fn apply(
        &mut self,
        changes: impl IntoIterator<Item = (SafePath, Option<Offer>)>,
        dropped: &mut impl FnMut(&Offer),
    ) {
        let mut changes = changes.into_iter().peekable();
        let old = std::mem::take(&mut self.segments);
        let bounds: Vec<SafePath> = old.iter().skip(1).map(|s| s.offers[0].name.clone()).collect();
        for (place, segment) in old.into_iter().enumerate() {
            let mut next = || changes.next_if(|(name, _)| bounds.get(place).is_none_or(|bound| name < bound));
            let here: Vec<_> = std::iter::from_fn(&mut next).collect();
            if here.is_empty() {
                self.segments.push(segment);
                continue;
            }
            self.forget(&segment);
            let offers = merged(unshared(segment), here, dropped);
            self.push(offers);
        }
        while changes.peek().is_some() {
            let offers = changes.by_ref().filter_map(|(_, new)| new).take(SEGMENT).collect();
            self.push(offers);
        }
    }

    /// Drops at least `want` offers or bytes from the end of the name order, ordinary ones first, tops only when
    /// nothing ordinary is left. Tells and sums what was dropped.
    pub fn cut(&mut self, want: Amount, dropped: &mut impl FnMut(&Offer)) -> Amount {
        let mut cut = self.cut_some(want, false, dropped);
        let mut rest = want;
        rest.subtract(cut);
        if !rest.is_none() {
            cut.add(self.cut_some(rest, true, dropped));
        }
        cut
    }

    fn cut_some(&mut self, want: Amount, tops: bool, dropped: &mut impl FnMut(&Offer)) -> Amount {
        let mut cut = Amount::default();
        let done = |cut: Amount| cut.names >= want.names && cut.bytes >= want.bytes;
        for place in (0..self.segments.len()).rev() {
            if done(cut) {
                break;
            }
            let segment = Arc::clone(&self.segments[place]);
            let mut keep = Vec::new();
            for (line, offer) in segment.offers.iter().enumerate().rev() {
                if done(cut) || (is_top(offer) && !tops) {
                    keep.push(offer.clone());
                } else {
                    cut.add(Amount::of(offer, segment.folded.line(line)));
                    dropped(offer);
                }
            }
            if keep.len() < segment.offers.len() {
                keep.reverse();
                self.replace(place, keep);
            }
        }
        self.segments.retain(|s| !s.offers.is_empty());
        cut
    }

    /// Puts fewer offers in the place of a segment; it may be empty then.
    fn replace(&mut self, place: usize, offers: Vec<Offer>) {
        let old = Arc::clone(&self.segments[place]);
        self.forget(&old);
        let new = Arc::new(Segment::new(offers));
        self.remember(&new);
        self.segments[place] = new;
    }

    /// Adds offers, which follow all others by name, in even segments; joins them to a small last one.
    fn push(&mut self, mut offers: Vec<Offer>) {
        if offers.is_empty() {
            return;
        }
        let added = names_of(&offers);
        let fits = |last: &Segment| {
            last.offers.len() + offers.len() <= SEGMENT / 2 && names_of(&last.offers) + added <= SEGMENT_NAMES / 2
        };
        if let Some(last) = self.segments.pop_if(|last| fits(last)) {
            self.forget(&last);
            let mut joined = unshared(last);
            joined.append(&mut offers);
            offers = joined;
        }
        let each = offers.len().div_ceil(offers.len().div_ceil(SEGMENT));
        let mut offers = offers.into_iter().peekable();
        while offers.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            // One name is never too long for a segment.
            let fits = |offer: &Offer, bytes| bytes == 0 || bytes + offer.name.as_str().len() <= SEGMENT_NAMES;
            while some.len() < each
                && let Some(offer) = offers.next_if(|offer| fits(offer, bytes))
            {
                bytes += offer.name.as_str().len();
                some.push(offer);
            }
            self.keep(Arc::new(Segment::new(some)));
        }
    }

    /// Adds a segment, which follows all others by name.
    fn keep(&mut self, segment: Arc<Segment>) {
        self.remember(&segment);
        self.segments.push(segment);
    }

    fn remember(&mut self, segment: &Segment) {
        self.all.add(segment.all);
        self.ordinary.add(segment.ordinary);
    }

    fn forget(&mut self, segment: &Segment) {
        self.all.subtract(segment.all);
        self.ordinary.subtract(segment.ordinary);
    }
}

impl FromIterator<Offer> for OfferTable {
    fn from_iter<T: IntoIterator<Item = Offer>>(offers: T) -> Self {
        let mut table = Self::default();
        table.change(Vec::new(), offers.into_iter().collect(), &mut |_| {});
        table
    }
}

/// All offers of a table, in name order.
#[derive(Debug)]
pub struct Offers<'a> {
    segments: std::slice::Iter<'a, Arc<Segment>>,
    offers: std::slice::Iter<'a, Offer>,
}

impl<'a> Iterator for Offers<'a> {
    type Item = &'a Offer;

    fn next(&mut self) -> Option<&'a Offer> {
        loop {
            match self.offers.next() {
                None => self.offers = self.segments.next()?.offers.iter(),
                offer => return offer,
            }
        }
    }
}

impl Segment {
    fn new(mut offers: Vec<Offer>) -> Self {
        offers.shrink_to_fit();
        let mut folded = FoldedNames::default();
        let (mut all, mut ordinary) = (Amount::default(), Amount::default());
        for (line, offer) in offers.iter().enumerate() {
            // At most 1024 names of at most 4 KiB, folded at most some times longer: never 4 GiB.
            folded.push(&offer.name);
            let amount = Amount::of(offer, folded.line(line));
            all.add(amount);
            if !is_top(offer) {
                ordinary.add(amount);
            }
        }
        folded.shrink();
        // At most SEGMENT offers, so an index fits.
        let mut by_id: Vec<u16> = (0..offers.len() as u16).filter(|i| offers[usize::from(*i)].id.is_some()).collect();
        by_id.sort_by_key(|i| offers[usize::from(*i)].id);
        Self { offers, folded, by_id: by_id.into(), all, ordinary }
    }

    /// The offers, in name order.
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The places of the offers whose ids begin so, with their folded names.
    pub fn of_prefix(&self, prefix: IdPrefix) -> impl Iterator<Item = (usize, &str)> {
        let id = |place: &u16| self.offers[usize::from(*place)].id;
        let first = self.by_id.partition_point(|place| id(place) < Some(prefix.first()));
        let begins = move |place: &&u16| id(place).is_some_and(|id| prefix.is_of(id));
        let places = self.by_id[first..].iter().take_while(begins).map(|place| usize::from(*place));
        places.map(|place| (place, self.folded.line(place)))
    }

    /// The places of the offers whose names match, with their folded names.
    pub fn find<'a>(&'a self, needle: &'a Needle<'a>) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        self.folded.find(needle).map(|line| (line, self.folded.line(line)))
    }

    fn of_id(&self, id: ContentId) -> impl Iterator<Item = &Offer> {
        let offer = |i: &u16| &self.offers[usize::from(*i)];
        let first = self.by_id.partition_point(|i| offer(i).id < Some(id));
        self.by_id[first..].iter().map(offer).take_while(move |offer| offer.id == Some(id))
    }
}

fn names_of(offers: &[Offer]) -> usize {
    offers.iter().map(|offer| offer.name.as_str().len()).sum()
}

fn unshared(segment: Arc<Segment>) -> Vec<Offer> {
    Arc::try_unwrap(segment).map_or_else(|shared| shared.offers.clone(), |own| own.offers)
}

fn merged(offers: Vec<Offer>, changes: Vec<(SafePath, Option<Offer>)>, dropped: &mut impl FnMut(&Offer)) -> Vec<Offer> {
    let mut result = Vec::with_capacity(offers.len() + changes.len());
    let mut changes = changes.into_iter().peekable();
    for offer in offers {
        while let Some((_, new)) = changes.next_if(|(name, _)| *name < offer.name) {
            result.extend(new);
        }
        match changes.next_if(|(name, _)| *name == offer.name) {
            Some((_, new)) => {
                dropped(&offer);
                result.extend(new);
            }
            None => result.push(offer),
        }
    }
    result.extend(changes.filter_map(|(_, new)| new));
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(name: &str, size: u64) -> Offer {
        let id = (size > 0).then(|| ContentId::from_bytes([size as u8; 32]));
        Offer::file(SafePath::parse(name).expect(name), size, id)
    }

    fn check(table: &OfferTable, model: &BTreeMap<SafePath, Offer>) {
        assert!(table.after(None).eq(model.values()));
        let mut all = Amount::default();
        model.values().for_each(|o| all.add(Amount::of(o, o.name.as_str())));
        assert_eq!(table.all(), all);
        assert!(table.segments.iter().all(|s| (1..=SEGMENT).contains(&s.offers.len())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn is_a_map_by_name(
            batches in proptest::collection::vec((0..3000_u32, 0..1500_u32, 1..7_u32, any::<bool>(), 1..9_u64), 1..8),
            cut in 0..900_u64,
        ) {
            let (mut table, mut model) = (OfferTable::default(), BTreeMap::new());
            for (start, len, step, remove, size) in batches {
                let names = (0..len).map(|n| format!("{}d/{:04}", if n % 5 == 0 { "" } else { "x/" }, (start + n * step) % 4000));
                let offers: Vec<_> = names.map(|name| offer(&name, size)).collect();
                let held = table.clone();
                let before = model.clone();
                if remove {
                    offers.iter().for_each(|o| { model.remove(&o.name); });
                    table.change(offers.into_iter().map(|o| o.name).collect(), vec![], &mut |_| {});
                } else {
                    model.extend(offers.iter().map(|o| (o.name.clone(), o.clone())));
                    table.change(vec![], offers, &mut |_| {});
                }
                check(&table, &model);
                check(&held, &before);
            }
            let id = ContentId::from_bytes([3; 32]);
            prop_assert!(table.of_id(id).eq(model.values().filter(|o| o.id == Some(id))));
            let mut shown = model.clone();
            shown.retain(|_, offer| offer.size % 2 == 0);
            check(&table.only(|offer| offer.size % 2 == 0), &shown);
            prop_assert_eq!(&table.only(|_| true), &table);
            let cut = table.cut(Amount { names: cut, bytes: 0 }, &mut |o| { model.remove(&o.name); });
            prop_assert!(cut.names <= 900);
            check(&table, &model);
        }
    }

    #[test]
    fn long_names_make_short_segments() {
        let long = vec!["n".repeat(240); 16].join("/");
        let mut table = OfferTable::default();
        let offers: Vec<_> = (0..500).map(|n| offer(&format!("{n:03}/{long}"), 1)).collect();
        table.change(vec![], offers.clone(), &mut |_| {});
        table.change(vec![], offers, &mut |_| {});
        assert!(table.segments.iter().all(|s| names_of(&s.offers) <= SEGMENT_NAMES), "{}", table.segments.len());
        assert_eq!(table.all().names, 500);
    }

    #[test]
    fn ordinary_names_are_cut_from_the_end_and_before_tops() {
        let mut table = OfferTable::default();
        let names = ["a/1", "a/2", "b", "c/1", "z"];
        table.change(vec![], names.iter().map(|n| offer(n, 1)).collect(), &mut |_| {});
        let mut dropped = Vec::new();
        for _ in 0..2 {
            table.cut(Amount { names: 2, bytes: 0 }, &mut |o| dropped.push(o.name.to_string()));
        }
        assert_eq!(dropped, ["c/1", "a/2", "a/1", "z"]);
    }
}
