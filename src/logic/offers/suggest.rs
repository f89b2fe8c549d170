//! What may have been meant where nothing matches: the words as names near by spell them, and how many names do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools as _;
use serde::{Deserialize, Serialize};

use crate::model::query::fold;
use crate::model::{FoundHit, Query, SafePath};

/// Suggestions at most, and names of one.
const MOST: (usize, usize) = (3, 3);

/// Words that nearly are those that were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Suggestion {
    /// The words.
    pub words: String,
    /// How many things have them in their names, as far as was heard.
    pub hits: u64,
    /// The first of their names.
    pub names: Vec<SafePath>,
}

/// The words of a query as hits spell them: those with the fewest mistakes first, then those of most hits.
pub fn suggestions(query: &Query, hits: &[FoundHit]) -> Vec<Suggestion> {
    let (near, given) = (query.nearly(), query.words().join(" "));
    let mut all: BTreeMap<String, (usize, Suggestion)> = BTreeMap::new();
    for found in hits {
        // Names come best first; the others of a content count for nothing.
        let Some((name, mistakes, words)) = found.hit.names.iter().find_map(|name| spelled(&near, name)) else {
            continue;
        };
        // To look for the same again would find nothing again; two words that are one are two things that were meant.
        if words == given || words.split(' ').unique().count() < query.words().iter().unique().count() {
            continue;
        }
        let new = || (mistakes, Suggestion { words: words.clone(), hits: 0, names: Vec::new() });
        let (_, suggestion) = all.entry(words.clone()).or_insert_with(new);
        suggestion.hits += 1;
        if suggestion.names.len() < MOST.1 {
            suggestion.names.push(name.clone());
        }
    }
    let best = all.into_values().sorted_by_key(|(mistakes, one)| (*mistakes, Reverse(one.hits), one.words.clone()));
    best.take(MOST.0).map(|(_, suggestion)| suggestion).collect()
}

fn spelled<'n>(near: &Query, name: &'n SafePath) -> Option<(&'n SafePath, usize, String)> {
    let folded = fold(name.as_str());
    Some((name, near.mistakes(&folded)?, near.spelled(&folded)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hit, Plane};

    #[test]
    fn the_nearest_spelling_of_most_hits_goes_first() {
        let found = |name: &str| FoundHit {
            hit: Hit { names: vec![SafePath::parse(name).expect(name)], ..Hit::file(None, 1) },
            plane: Plane::Tracker,
        };
        let names = ["x/Turing 1936.pdf", "turing.pdf", "turning.pdf", "turing.txt", "turing (4)", "other.pdf"];
        let query = Query::parse(&["turinng"]).expect("a word");
        let all = suggestions(&query, &names.map(found));
        let told: Vec<_> = all.iter().map(|one| (one.words.as_str(), one.hits, one.names.len())).collect();
        assert_eq!(told, [("turing", 4, 3), ("turning", 1, 1)]);
        let apart = Query::parse(&["x-turing"]).expect("a word");
        assert_eq!(suggestions(&apart, &[found("x/Turing 1936.pdf")]), [], "its own words");
        let two = Query::parse(&["turing.pdf", "turing2.pdf"]).expect("words");
        assert_eq!(suggestions(&two, &[found("x/turing.pdf"), found("x/turing2.pdf")]), [], "two things");
    }
}
