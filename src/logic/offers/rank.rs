//! How well a name answers a query (design, section 9, "Words").
//! What is compared after the rank (providers, length, bytes) is in [`crate::logic::offers::merge`].

use crate::model::query::fold;
use crate::model::{Hit, Kind, Offer, Query};

/// How well a name answers a query; the smallest is the best.
///
/// Compared in this order: the exact last component (or the exact whole name), a collection before a file, where
/// the worst of the words was found, where all of them were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    inexact: bool,
    kind: Kind,
    worst: MatchKind,
    sum: u8,
}

impl Rank {
    /// Of what is meant by its id.
    const fn of_meant(kind: Kind) -> Self {
        Self { inexact: false, kind, worst: MatchKind::Word, sum: 0 }
    }

    /// The words are the whole last component, or the whole name.
    pub const fn is_exact(self) -> bool {
        !self.inexact
    }
}

/// Where a word was found, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MatchKind {
    /// A whole word in the last component.
    Word,
    /// The last component begins with it.
    Prefix,
    /// Within the last component.
    Substring,
    /// Only above the last component.
    Parent,
}

/// The rank of an offer with this folded name; `None` when neither that matches nor its id is meant.
pub fn rank(query: &Query, folded_name: &str, offer: &Offer) -> Option<Rank> {
    if query.means(offer.id) { Some(Rank::of_meant(offer.kind)) } else { of_name(query, folded_name, offer.kind) }
}

/// The rank of a hit whose names are these: that of the best of them, if any matches or its id is meant.
pub fn of_hit(query: &Query, hit: &Hit) -> Option<Rank> {
    if query.means(hit.id) {
        return Some(Rank::of_meant(hit.kind));
    }
    hit.names.iter().filter_map(|name| of_name(query, &fold(name.as_str()), hit.kind)).min()
}

/// The rank of a folded name; `None` when it does not match.
pub fn of_name(query: &Query, folded_name: &str, kind: Kind) -> Option<Rank> {
    let last = folded_name.rfind('/').map_or(0, |slash| slash + 1);
    let mut rank = Rank { inexact: !exact(query, folded_name, last), kind, worst: MatchKind::Word, sum: 0 };
    if query.reading().near {
        // Fewer mistakes go first, whatever the words' places are.
        rank.sum = u8::try_from(query.mistakes(folded_name)?).unwrap_or(u8::MAX);
        return Some(rank);
    }
    for (word, glob) in query.terms() {
        let place = match place(word, folded_name, last) {
            None if glob?.matches(folded_name) => MatchKind::Word,
            place => place?,
        };
        rank.worst = rank.worst.max(place);
        // At most 16 words of at most 3 each.
        rank.sum += place as u8;
    }
    Some(rank)
}

fn exact(query: &Query, name: &str, last: usize) -> bool {
    // Most begin with something else.
    let begins = |text: &str| query.words().first().is_some_and(|word| text.trim_start().starts_with(word));
    let same = |text: &str| begins(text) && text.split_whitespace().eq(query.words());
    same(&name[last..]) || (last > 0 && same(name))
}

/// Only what reaches into the last component is looked at closely: a name can be 4 KiB of the same letter.
fn place(word: &str, name: &str, last: usize) -> Option<MatchKind> {
    let near = (last + 1).saturating_sub(word.len());
    let near = (0..=near).rev().find(|at| name.is_char_boundary(*at))?;
    let mut best = None;
    for (at, _) in name[near..].match_indices(word) {
        let found = place_at(name, near + at, near + at + word.len(), last);
        if found == MatchKind::Word {
            return Some(found);
        }
        best = Some(best.map_or(found, |place: MatchKind| place.min(found)));
    }
    best.or_else(|| name[..last].contains(word).then_some(MatchKind::Parent))
}

fn place_at(name: &str, start: usize, end: usize, last: usize) -> MatchKind {
    let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    if end <= last {
        MatchKind::Parent
    } else if apart(name[..start].chars().next_back()) && apart(name[end..].chars().next()) {
        MatchKind::Word
    } else if start == 0 || name.as_bytes()[start - 1] == b'/' {
        MatchKind::Prefix
    } else {
        MatchKind::Substring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str, name: &str, kind: Kind) -> Option<Rank> {
        of_name(&Query::parse(&[words]).expect("words"), &fold(name), kind)
    }

    #[test]
    fn names_are_ranked_as_the_design_orders_them() {
        let table = [
            ("report", Kind::Collection),
            ("archive/Report", Kind::File),
            ("unreported", Kind::Collection),
            ("my report.txt", Kind::File),
            ("reporting.txt", Kind::File),
            ("unreported.txt", Kind::File),
            ("report/x.txt", Kind::File),
        ];
        let ranks: Vec<_> = table.iter().map(|(name, kind)| of("report", name, *kind).expect(name)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(of("report", "rapport.txt", Kind::File), None);
    }

    #[test]
    fn exact_is_the_whole_name_or_its_last_component() {
        for (words, name) in
            [("docs/a.txt", "Docs/A.txt"), ("a.txt", "docs/a.txt"), ("annual report.pdf", "x/Annual  Report.pdf")]
        {
            assert!(of(words, name, Kind::File).expect(name).is_exact(), "{words}");
        }
        for (words, name) in [("docs", "docs/a.txt"), ("b/a.txt", "docs/b/a.txt"), ("report annual", "annual report")] {
            assert!(!of(words, name, Kind::File).expect(name).is_exact(), "{words}");
        }
    }

    #[test]
    fn every_word_counts() {
        let both = of("docs a.txt", "docs/a.txt", Kind::File);
        let worse = of("docs a.txt", "docs/ba.txt", Kind::File);
        assert!(both < worse);
        assert_eq!(of("docs b.txt", "docs/a.txt", Kind::File), None);
    }
}
