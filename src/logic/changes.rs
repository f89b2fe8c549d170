//! What a tracker has to be told so that it knows what a node shares now, page by page.
//! Invariant: applying all pages to `from` gives `to`, and each page fits its frame.

use std::collections::{BTreeSet, btree_set};
use std::iter::Peekable;
use std::sync::Arc;

use crate::logic::offers::page;
use crate::logic::offers::table::{OfferTable, Offers};
use crate::model::{Content, Offer, SafePath};
use crate::wire::{Delta, limits};

/// What a node offers and takes part in at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Its offers.
    pub offers: Arc<OfferTable>,
    /// Its transfers under way.
    pub parts: Arc<BTreeSet<Content>>,
}

impl Shared {
    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty() && self.parts.is_empty()
    }
}

/// The pages from one moment to another.
#[derive(Debug)]
pub struct Changes<'a> {
    from: Peekable<Offers<'a>>,
    to: Peekable<Offers<'a>>,
    join: btree_set::Difference<'a, Content>,
    leave: btree_set::Difference<'a, Content>,
}

impl<'a> Changes<'a> {
    /// From what the tracker knows to what there is.
    pub fn between(from: &'a Shared, to: &'a Shared) -> Self {
        Self {
            from: from.offers.iter().peekable(),
            to: to.offers.iter().peekable(),
            join: to.parts.difference(&from.parts),
            leave: from.parts.difference(&to.parts),
        }
    }

    fn next_offer(&mut self) -> Option<Change<'a>> {
        loop {
            return match (self.from.peek(), self.to.peek()) {
                (None, None) => None,
                (Some(old), new) if new.is_none_or(|new| old.name < new.name) => {
                    self.from.next().map(|old| Change::Remove(&old.name))
                }
                (Some(old), Some(new)) if old.name == new.name => {
                    let changed = (old != new).then_some(Change::Add(new));
                    self.from.next();
                    self.to.next();
                    match changed {
                        None => continue,
                        changed => changed,
                    }
                }
                _ => self.to.next().map(Change::Add),
            };
        }
    }
}

enum Change<'a> {
    Add(&'a Offer),
    Remove(&'a SafePath),
}

/// The largest offer: a page is closed when another one might not fit.
const ENTRY: usize = 8 << 10;

impl Iterator for Changes<'_> {
    type Item = Delta;

    fn next(&mut self) -> Option<Delta> {
        let mut delta = Delta::default();
        let mut size = 0;
        let full = |size: usize| size + ENTRY > limits::PAGE_FILL;
        while !full(size) {
            match (self.leave.next(), self.join.next()) {
                (None, None) => break,
                (leave, join) => {
                    delta.leave.extend(leave);
                    delta.join.extend(join);
                    size += 2 * page::of_part();
                }
            }
        }
        while !full(size) {
            match self.next_offer() {
                None => break,
                Some(Change::Add(offer)) => {
                    size += page::of_offer(offer);
                    delta.add.push(offer.clone());
                }
                Some(Change::Remove(name)) => {
                    size += page::of_name(name);
                    delta.remove.push(name.clone());
                }
            }
        }
        (size > 0).then_some(delta)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Content, ContentId, Kind};
    use crate::wire::encode;

    fn shared(offers: &BTreeMap<u8, u64>, parts: &BTreeSet<u8>, prefix: &str) -> Shared {
        let offer = |(n, size): (&u8, &u64)| {
            let name = SafePath::parse(&format!("{prefix}{n}")).expect("name");
            Offer::file(name, *size, None)
        };
        let part = |n: &u8| Content { id: ContentId::from_bytes([*n; 32]), kind: Kind::File, size: 1 };
        let offers = offers.iter().map(offer).collect();
        Shared { offers: Arc::new(offers), parts: Arc::new(parts.iter().map(part).collect()) }
    }

    fn apply(shared: &Shared, pages: impl Iterator<Item = Delta>) -> (Vec<Offer>, BTreeSet<Content>) {
        let mut offers: BTreeMap<_, _> =
            shared.offers.iter().map(|offer| (offer.name.clone(), offer.clone())).collect();
        let mut parts = BTreeSet::clone(&shared.parts);
        for delta in pages {
            assert!(encode(&delta, limits::PAGE).is_ok());
            delta.remove.iter().for_each(|name| assert!(offers.remove(name).is_some()));
            offers.extend(delta.add.into_iter().map(|offer| (offer.name.clone(), offer)));
            delta.leave.iter().for_each(|part| assert!(parts.remove(part)));
            parts.extend(delta.join);
        }
        (offers.into_values().collect(), parts)
    }

    proptest! {
        #[test]
        fn the_pages_lead_from_one_to_the_other(
            from in proptest::collection::btree_map(0..20_u8, 0..3_u64, 0..15),
            to in proptest::collection::btree_map(0..20_u8, 0..3_u64, 0..15),
            parts in proptest::collection::vec(proptest::collection::btree_set(0..9_u8, 0..6), 2),
        ) {
            let (from, to) = (shared(&from, &parts[0], "n"), shared(&to, &parts[1], "n"));
            let pages = Changes::between(&from, &to);
            let (offers, after) = apply(&from, pages);
            prop_assert!(offers.iter().eq(to.offers.iter()));
            prop_assert_eq!(&after, to.parts.as_ref());
            prop_assert_eq!(Changes::between(&to, &to.clone()).count(), 0);
        }
    }

    #[test]
    fn long_names_take_several_pages() {
        let prefix = format!("{}/", vec!["n".repeat(254); 15].join("/"));
        let all = (0..255).map(|n| (n, 1)).collect();
        let many: Vec<Shared> = (0..3).map(|n| shared(&all, &BTreeSet::new(), &format!("{n}/{prefix}"))).collect();
        let offers = many.iter().flat_map(|s| s.offers.iter().cloned()).collect();
        let to = Shared { offers: Arc::new(offers), ..Shared::default() };
        let pages: Vec<_> = Changes::between(&Shared::default(), &to).collect();
        assert_eq!(pages.len(), 4, "about 3 MB");
        assert!(apply(&Shared::default(), pages.into_iter()).0.iter().eq(to.offers.iter()));
        assert_eq!(apply(&to, Changes::between(&to, &Shared::default())).0, []);
    }
}
