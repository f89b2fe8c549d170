//! Which of the hits is meant (design, section 9, "Which one").
//! A rival id of equal standing is never left out silently; asking the person is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;

use crate::logic::offers::merge::add_provider;
use crate::logic::offers::rank::{Rank, of_hit, of_name};
use crate::model::query::fold;
use crate::model::{ContentId, FoundHit, Hit, Kind, NodeId, Query, SafePath};

/// What words mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Several ids: those of exactly that name where there are any, else all that match.
    Ambiguous(Vec<FoundHit>),
    /// No hit.
    Nothing,
    /// One content. Its id is none while nobody has hashed it: then each of its providers is to be asked for its
    /// own id, and they may differ.
    One(FoundHit),
}

/// Chooses among merged hits, best first.
///
/// Hits of one (id, kind) are one, the size with most providers stands for it. A hit without an id counts as the
/// hashed one of the same name, size and kind; without such a one, all of that name, size and kind are one.
pub fn choose(query: &Query, hits: &[FoundHit]) -> Choice {
    let candidates = candidates(hits);
    let (exact, partial): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|found| is_exact(query, &found.hit));
    match (exact.as_slice(), partial.as_slice()) {
        ([], []) => Choice::Nothing,
        ([one], _) | ([], [one]) => Choice::One(one.clone()),
        ([], _) => Choice::Ambiguous(partial),
        _ => Choice::Ambiguous(exact),
    }
}

/// The hits that are of exactly the name that the words are; all where none is.
pub fn closest(query: &Query, hits: Vec<FoundHit>) -> Vec<FoundHit> {
    let (exact, partial): (Vec<_>, Vec<_>) = hits.into_iter().partition(|found| is_exact(query, &found.hit));
    if exact.is_empty() { partial } else { exact }
}

/// A hit once under each of its names that words match; under its first where none does, as of one that is meant by its id.
pub fn by_names(query: &Query, found: &FoundHit) -> Vec<FoundHit> {
    let matching = found.hit.names.iter().filter(|name| of_name(query, &fold(name.as_str()), found.hit.kind).is_some());
    let under =
        |name: &SafePath| FoundHit { hit: Hit { names: vec![name.clone()], ..found.hit.clone() }, ..found.clone() };
    let all: Vec<_> = matching.map(under).collect();
    if all.is_empty() { vec![found.clone()] } else { all }
}

/// The names of a hit that words mean: those that they are exactly where there are any, else all that match. Of those that end alike
/// one: where they are fetched to one directory they are one file.
pub fn names_meant(query: &Query, hit: &Hit) -> Vec<SafePath> {
    let ranked = |name: &SafePath| Some((of_name(query, &fold(name.as_str()), hit.kind)?, name.clone()));
    let ranked: Vec<_> = hit.names.iter().filter_map(ranked).collect();
    let is_exact = ranked.iter().any(|(rank, _)| rank.is_exact());
    let meant = ranked.into_iter().filter(|(rank, _)| rank.is_exact() || !is_exact).map(|(_, name)| name);
    meant.unique_by(SafePath::last).collect()
}

/// The folded path that the words are, where they name a directory of something that is shared: some names begin with it, and
/// none is it.
pub fn directory(query: &Query, hits: &[FoundHit]) -> Option<String> {
    let path = query.words().join(" ");
    let mut names = hits.iter().flat_map(|found| &found.hit.names);
    let is_one = path.contains('/') && names.any(|name| is_below(name.as_str(), &path));
    (is_one && !hits.iter().any(|found| is_exact(query, &found.hit))).then_some(path)
}

fn is_below(name: &str, path: &str) -> bool {
    fold(name).strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// Those of the collections that have the directory of this folded path: somebody who offers one is among those who offer what is
/// in it. All of them where nobody is.
pub fn having(path: &str, inside: &[FoundHit], collections: Vec<FoundHit>) -> Vec<FoundHit> {
    let inside = inside.iter().filter(|found| found.hit.names.iter().any(|name| is_below(name.as_str(), path)));
    let nodes: BTreeSet<NodeId> = inside.flat_map(|found| &found.hit.providers).map(|one| one.node).collect();
    let (have, others): (Vec<_>, Vec<_>) = collections.into_iter().partition(|found| {
        let all = &found.hit.providers;
        // Of many not all travel with a hit.
        all.len() >= Hit::MAX_PROVIDERS || all.iter().any(|one| nodes.contains(&one.node))
    });
    if have.is_empty() { others } else { have }
}

/// How the directory of this folded path is spelled below the collection `name`.
pub fn spelled(path: &str, name: &str, inside: &[FoundHit]) -> Option<String> {
    let mut names = inside.iter().flat_map(|found| &found.hit.names);
    let one = names.find(|one| is_below(one.as_str(), path))?;
    let depth = |path: &str| path.split('/').count();
    let parts: Vec<_> = one.components().take(depth(path)).skip(depth(name)).collect();
    Some(parts.join("/"))
}

/// Those of the hits that have as good a right to the words as the chosen one, and another id.
pub fn rivals<'h>(query: &Query, chosen: &Hit, hits: impl IntoIterator<Item = &'h Hit>) -> Vec<&'h Hit> {
    let least = is_exact(query, chosen);
    let other = |hit: &&Hit| hit.id.is_some() && (hit.id, hit.kind) != (chosen.id, chosen.kind);
    hits.into_iter().filter(|hit| other(hit) && (is_exact(query, hit) || (!least && matches(query, hit)))).collect()
}

fn matches(query: &Query, hit: &Hit) -> bool {
    of_hit(query, hit).is_some()
}

fn is_exact(query: &Query, hit: &Hit) -> bool {
    of_hit(query, hit).is_some_and(Rank::is_exact)
}

fn candidates(hits: &[FoundHit]) -> Vec<FoundHit> {
    let mut candidates: Vec<FoundHit> = Vec::new();
    let mut hashed: BTreeMap<(ContentId, Kind), usize> = BTreeMap::new();
    for found in hits {
        let Some(id) = found.hit.id else { continue };
        let place = *hashed.entry((id, found.hit.kind)).or_insert(candidates.len());
        match candidates.get_mut(place) {
            None => candidates.push(found.clone()),
            Some(there) if there.hit.providers.len() < found.hit.providers.len() => *there = found.clone(),
            Some(_) => {}
        }
    }
    let named = |there: &Hit, hit: &Hit| {
        (there.size, there.kind) == (hit.size, hit.kind) && hit.names.iter().any(|name| there.names.contains(name))
    };
    for found in hits.iter().filter(|found| found.hit.id.is_none()) {
        match candidates.iter_mut().find(|there| named(&there.hit, &found.hit)) {
            None => candidates.push(found.clone()),
            Some(there) if there.hit.id.is_none() => {
                found.hit.providers.iter().for_each(|p| add_provider(&mut there.hit.providers, p.clone()));
            }
            Some(_) => {}
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Plane, Provider};

    fn hit(id: u8, kind: Kind, names: &[&str], nodes: &[u8]) -> Hit {
        Hit {
            kind,
            names: names.iter().map(|n| SafePath::parse(n).expect(n)).collect(),
            providers: nodes.iter().map(|n| Provider { node: NodeId::from_bytes([*n; 32]), addrs: vec![] }).collect(),
            ..Hit::file((id > 0).then(|| ContentId::from_bytes([id; 32])), 7)
        }
    }

    /// What is chosen, or all among which a person has to choose.
    fn chosen(words: &str, hits: &[Hit]) -> Result<Hit, Vec<Hit>> {
        let found: Vec<_> = hits.iter().map(|hit| FoundHit { hit: hit.clone(), plane: Plane::Lan }).collect();
        match choose(&Query::parse(&[words]).expect("words"), &found) {
            Choice::Ambiguous(all) => Err(all.into_iter().map(|found| found.hit).collect()),
            Choice::Nothing => Err(Vec::new()),
            Choice::One(found) => Ok(found.hit),
        }
    }

    #[test]
    fn a_shared_directory_is_chosen_by_its_name() {
        let docs = hit(1, Kind::Collection, &["docs"], &[1]);
        let files =
            [docs.clone(), hit(2, Kind::File, &["docs/a.txt"], &[1]), hit(3, Kind::File, &["docs/b.txt"], &[1])];
        assert_eq!(chosen("docs", &files), Ok(docs));
        assert_eq!(chosen("a.txt", &files[1..]), Ok(files[1].clone()));
        assert_eq!(chosen("docs", &files[1..]), Err(files[1..].to_vec()));
        assert_eq!(chosen("docs", &[]), Err(vec![]));
    }

    #[test]
    fn of_one_content_every_name_that_matches_is_meant() {
        let hit = hit(1, Kind::File, &["d/a.log", "d/b.log", "e/b.log", "d/notes"], &[1]);
        let meant = |words: &str| {
            let names = names_meant(&Query::parse(&[words]).expect("words"), &hit);
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(meant("*.log"), ["d/a.log", "d/b.log"]);
        assert_eq!(meant("b.log"), ["d/b.log"]);
        assert_eq!(meant("notes"), ["d/notes"]);
        assert_eq!(meant("d"), ["d/a.log", "d/b.log", "d/notes"]);
    }

    #[test]
    fn rivals_of_an_exact_name_alone_are_listed() {
        let a = hit(1, Kind::File, &["x/report.pdf"], &[1, 2]);
        let fake = hit(2, Kind::File, &["report.pdf"], &[3]);
        let other = hit(3, Kind::File, &["old-report.pdf"], &[4]);
        let choice = chosen("report.pdf", &[other, a.clone(), fake.clone()]);
        assert_eq!(choice, Err(vec![a, fake]));
    }

    #[test]
    fn a_directory_is_one_that_names_begin_with_and_none_is() {
        let of = |words: &str, names: &[&str]| {
            let hits: Vec<_> = names
                .iter()
                .map(|name| FoundHit { hit: hit(1, Kind::File, &[name], &[1]), plane: Plane::Lan })
                .collect();
            directory(&Query::parse(&[words]).expect("words"), &hits)
        };
        let files = ["My Papers/Physics/a.pdf", "x/papers/physics/b"];
        assert_eq!(of("my papers/physics", &files).as_deref(), Some("my papers/physics"));
        assert_eq!((of("papers/physics", &files), of("my papers", &files)), (None, None));
        assert_eq!(of("my papers/phys", &files), None);
        assert_eq!(of("d/e", &["d/e/f", "c/d/e"]), Some("d/e".to_owned()));
        assert_eq!(of("d/e", &["d/e/f", "d/e"]), None, "something has this very name");
    }

    #[test]
    fn of_two_collections_of_a_name_the_one_that_has_the_directory_is_meant() {
        let found = |hit| FoundHit { hit, plane: Plane::Lan };
        let all = || [[1u8], [2]].map(|by| found(hit(by[0], Kind::Collection, &["papers"], &by))).to_vec();
        let file = |by: &[u8]| found(hit(9, Kind::File, &["Papers/Physics/a.pdf"], by));
        let having = |inside: &[FoundHit]| {
            let ids = having("papers/physics", inside, all()).into_iter().filter_map(|found| found.hit.id);
            ids.collect::<Vec<_>>()
        };
        let id = |n| ContentId::from_bytes([n; 32]);
        assert_eq!(having(&[file(&[2])]), [id(2)]);
        assert_eq!(having(&[file(&[1, 2])]), [id(1), id(2)]);
        assert_eq!(having(&[file(&[3])]), [id(1), id(2)], "nobody of them");
        assert_eq!(having(&[found(hit(9, Kind::File, &["papers/maths/a.pdf"], &[2]))]), [id(1), id(2)]);
        assert_eq!(spelled("papers/physics", "papers", &[file(&[1])]).as_deref(), Some("Physics"));
    }

    #[test]
    fn a_rival_has_another_id_and_as_good_a_name() {
        let of = |words: &str, chosen: &Hit, hits: &[Hit]| {
            let query = Query::parse(&[words]).expect("words");
            rivals(&query, chosen, hits).into_iter().filter_map(|hit| hit.id).collect::<Vec<_>>()
        };
        let chosen = hit(1, Kind::File, &["report.pdf"], &[1]);
        let others = [
            hit(1, Kind::File, &["report.pdf"], &[2]),
            hit(2, Kind::File, &["x/report.pdf"], &[2]),
            hit(3, Kind::File, &["old-report.pdf"], &[3]),
            hit(0, Kind::File, &["report.pdf"], &[4]),
        ];
        assert_eq!(of("report.pdf", &chosen, &others), [ContentId::from_bytes([2; 32])]);
        assert_eq!(of("report", &chosen, &others), [2, 3].map(|id| ContentId::from_bytes([id; 32])));
        assert!(of("other", &chosen, &others).is_empty(), "what a liar adds");
    }

    #[test]
    fn one_id_under_many_names_is_one() {
        let a = hit(1, Kind::File, &["one.iso"], &[1, 2]);
        let other_size = Hit { size: 8, ..hit(1, Kind::File, &["two.iso"], &[3]) };
        assert_eq!(chosen("iso", &[other_size, a.clone()]), Ok(a));
    }

    #[test]
    fn what_is_not_hashed_counts_as_the_hashed_one_of_its_name_and_size() {
        let a = hit(1, Kind::File, &["x/a", "b"], &[1]);
        assert_eq!(chosen("a", &[hit(0, Kind::File, &["x/a"], &[2]), a.clone()]), Ok(a.clone()));
        let different = Hit { size: 8, ..hit(0, Kind::File, &["x/a"], &[2]) };
        assert_eq!(chosen("a", &[a.clone(), different.clone()]), Err(vec![a, different]));
    }

    #[test]
    fn what_nobody_has_hashed_is_one_by_name_and_size() {
        let (a, b) = (hit(0, Kind::File, &["x/a"], &[1]), hit(0, Kind::File, &["x/a"], &[2]));
        assert_eq!(chosen("a", &[a, b]), Ok(hit(0, Kind::File, &["x/a"], &[1, 2])));
    }
}
