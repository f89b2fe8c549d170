//! What a tracker has to be told so that it knows what a node shares now, page by page.
//! Invariant: applying all pages to `from` gives `to`, and each page fits its frame.

use std::collections::{BTreeSet, btree_map, btree_set};
use std::iter::Peekable;
use std::sync::Arc;

use crate::logic::offers::page;
use crate::model::{Content, Offer, OfferBook, SafePath};
use crate::wire::{Delta, limits};

/// What a node offers and takes part in at one moment.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// Its offers.
    pub book: Arc<OfferBook>,
    /// Its transfers under way.
    pub parts: Arc<BTreeSet<Content>>,
}

impl Shared {
    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.book.offers.is_empty() && self.parts.is_empty()
    }

    /// Whether both are the same values, not only equal ones.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.book, &other.book) && Arc::ptr_eq(&self.parts, &other.parts)
    }
}

/// The pages from one moment to another.
#[derive(Debug)]
pub struct Changes<'a> {
    from: Peekable<btree_map::Iter<'a, SafePath, Offer>>,
    to: Peekable<btree_map::Iter<'a, SafePath, Offer>>,
    join: btree_set::Difference<'a, Content>,
    leave: btree_set::Difference<'a, Content>,
}

impl<'a> Changes<'a> {
    /// From what the tracker knows to what there is.
    #[must_use]
    pub fn between(from: &'a Shared, to: &'a Shared) -> Self {
        Self {
            from: from.book.offers.iter().peekable(),
            to: to.book.offers.iter().peekable(),
            join: to.parts.difference(&from.parts),
            leave: from.parts.difference(&to.parts),
        }
    }

    fn next_offer(&mut self) -> Option<Change<'a>> {
        loop {
            return match (self.from.peek(), self.to.peek()) {
                (None, None) => None,
                (Some((old, _)), new) if new.is_none_or(|(new, _)| old < new) => {
                    self.from.next().map(|(name, _)| Change::Remove(name))
                }
                (Some((old, before)), Some((new, now))) if old == new => {
                    let changed = (before != now).then_some(Change::Add(now));
                    self.from.next();
                    self.to.next();
                    match changed {
                        None => continue,
                        changed => changed,
                    }
                }
                _ => self.to.next().map(|(_, offer)| Change::Add(offer)),
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
            (
                name.clone(),
                Offer { name, size: *size, id: None, kind: Kind::File, files: 1, locked: false, executable: false },
            )
        };
        let part = |n: &u8| Content { id: ContentId::from_bytes([*n; 32]), kind: Kind::File, size: 1 };
        let book = OfferBook { offers: offers.iter().map(offer).collect() };
        Shared { book: Arc::new(book), parts: Arc::new(parts.iter().map(part).collect()) }
    }

    fn apply(shared: &Shared, pages: impl Iterator<Item = Delta>) -> (OfferBook, BTreeSet<Content>) {
        let (mut book, mut parts) = (OfferBook::clone(&shared.book), BTreeSet::clone(&shared.parts));
        for delta in pages {
            assert!(encode(&delta, limits::PAGE).is_ok());
            delta.remove.iter().for_each(|name| assert!(book.offers.remove(name).is_some()));
            book.offers.extend(delta.add.into_iter().map(|offer| (offer.name.clone(), offer)));
            delta.leave.iter().for_each(|part| assert!(parts.remove(part)));
            parts.extend(delta.join);
        }
        (book, parts)
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
            let (book, after) = apply(&from, pages);
            prop_assert_eq!(&book, to.book.as_ref());
            prop_assert_eq!(&after, to.parts.as_ref());
            prop_assert_eq!(Changes::between(&to, &to.clone()).count(), 0);
        }
    }

    #[test]
    fn long_names_take_several_pages() {
        let prefix = format!("{}/", vec!["n".repeat(254); 15].join("/"));
        let all = (0..255).map(|n| (n, 1)).collect();
        let many: Vec<Shared> = (0..3).map(|n| shared(&all, &BTreeSet::new(), &format!("{n}/{prefix}"))).collect();
        let offers = many.iter().flat_map(|s| s.book.offers.clone()).collect();
        let to = Shared { book: Arc::new(OfferBook { offers }), ..Shared::default() };
        let pages: Vec<_> = Changes::between(&Shared::default(), &to).collect();
        assert_eq!(pages.len(), 4, "about 3 MB");
        assert_eq!(apply(&Shared::default(), pages.into_iter()).0, *to.book);
        assert_eq!(apply(&to, Changes::between(&to, &Shared::default())).0, OfferBook::default());
    }
}
