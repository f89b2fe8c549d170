//! Which paths of a collection are asked for.
//! Not responsible for what lies at the target: that is compared afterwards.

use std::collections::HashSet;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::model::collection::Entry;
use crate::model::query::fold;
use crate::model::{Collection, SafePath};
use crate::node::types::Pattern;

/// Patterns made ready for many paths.
pub(crate) struct Selection {
    /// All are asked for, where there is none.
    only: Option<GlobSet>,
    without: GlobSet,
}

impl Selection {
    pub(crate) fn of(patterns: &[Pattern]) -> Self {
        let (without, only): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.is_negative());
        Self { only: (!only.is_empty()).then(|| set(&only)), without: set(&without) }
    }

    /// Whether a path is asked for: by any glob, or all when there are none; and left out by none. A glob is tried on the whole
    /// path and on the last component; one that leaves out, on the directories above, too.
    pub(crate) fn takes(&self, path: &SafePath) -> bool {
        let is_in = |set: &GlobSet, path: &str| set.is_match(path) || set.is_match(last(path));
        let asked = self.only.as_ref().is_none_or(|only| is_in(only, path.as_str()));
        asked && !is_in(&self.without, path.as_str()) && !path.above().any(|dir| is_in(&self.without, dir))
    }

    /// The entries that are not asked for. Empty directories come only where no glob says what is to come.
    pub(crate) fn unwanted(&self, collection: &Collection) -> HashSet<SafePath> {
        if self.only.is_none() && self.without.is_empty() {
            return HashSet::new();
        }
        let some = self.only.is_some();
        let entries = collection.entries().iter();
        let left_out = entries.filter(|(path, entry)| (some && *entry == Entry::Directory) || !self.takes(path));
        left_out.map(|(path, _)| path.clone()).collect()
    }
}

fn set(patterns: &[&Pattern]) -> GlobSet {
    let globs = patterns.iter().fold(GlobSetBuilder::new(), |mut all, pattern| {
        all.add(pattern.glob().clone());
        all
    });
    globs.build().unwrap_or_else(|_| GlobSet::empty())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The patterns for what lies beneath a directory of a collection, whose path is given folded; none where there is no such
/// directory. What was asked for besides is looked for in it.
pub(crate) fn beneath(collection: &Collection, folded: &str, patterns: &[Pattern]) -> Option<Vec<Pattern>> {
    let depth = folded.split('/').count();
    let within = |path: &SafePath| fold(path.as_str()).strip_prefix(folded).is_some_and(|rest| rest.starts_with('/'));
    let (path, _) = collection.entries().iter().find(|(path, _)| within(path))?;
    let dir = globset::escape(&path.components().take(depth).collect::<Vec<_>>().join("/"));
    let glob = |text: String| Glob::new(&text).ok().map(Pattern::from);
    let positive = patterns.iter().filter(|pattern| !pattern.is_negative());
    let mut all: Vec<_> = positive.filter_map(|only| glob(format!("{dir}/**/{}", only.glob()))).collect();
    if all.is_empty() {
        all.extend(glob(format!("{dir}/**")));
    }
    all.extend(patterns.iter().filter(|pattern| pattern.is_negative()).cloned());
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContentId;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect("valid")
    }

    fn collection() -> Collection {
        let file = |size| Entry::File { size, id: ContentId::of(b"x"), executable: false };
        let entries = vec![
            (path("B/[c]/e.pdf"), file(2)),
            (path("B/[c]/f.txt"), file(3)),
            (path("B/g.pdf"), file(2)),
            (path("a.pdf"), file(1)),
            (path("e"), Entry::Directory),
        ];
        Collection::new(entries).expect("sound")
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().expect("a pattern")).collect()
    }

    fn left(patterns: &[Pattern]) -> Vec<String> {
        let mut left: Vec<_> =
            Selection::of(patterns).unwanted(&collection()).iter().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn a_glob_matches_names_and_paths() {
        assert_eq!(left(&patterns(&["*.pdf"])), ["B/[c]/f.txt", "e"]);
        assert_eq!(left(&patterns(&["B/*"])), ["a.pdf", "e"]);
        assert_eq!(left(&[]), [""; 0]);
    }

    #[test]
    fn what_is_left_out_is_so_with_all_beneath_it() {
        assert_eq!(left(&patterns(&["!*.pdf"])), ["B/[c]/e.pdf", "B/g.pdf", "a.pdf"]);
        assert_eq!(left(&patterns(&["!B"])), ["B/[c]/e.pdf", "B/[c]/f.txt", "B/g.pdf"]);
        assert_eq!(left(&patterns(&["*.pdf", "![[]c]"])), ["B/[c]/e.pdf", "B/[c]/f.txt", "e"]);
        assert_eq!(left(&patterns(&["!e/"])), ["e"]);
    }

    #[test]
    fn a_directory_of_a_collection_is_asked_for_by_its_path() {
        let of = |dir: &str, given: &[&str]| {
            let patterns = beneath(&collection(), dir, &patterns(given))?;
            let names = collection().entries().iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
            let taken = Selection::of(&patterns);
            Some(names.into_iter().filter(|path| taken.takes(path)).map(|p| p.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(of("b", &[]).expect("there"), ["B/[c]/e.pdf", "B/[c]/f.txt", "B/g.pdf"]);
        assert_eq!(of("b/[c]", &[]).expect("there"), ["B/[c]/e.pdf", "B/[c]/f.txt"]);
        assert_eq!(of("b/[c]", &["*.pdf"]).expect("there"), ["B/[c]/e.pdf"]);
        assert_eq!(of("b", &["!*.pdf"]).expect("there"), ["B/[c]/f.txt"]);
        assert_eq!((of("b/x", &[]), of("a.pdf", &[]), of("e", &[])), (None, None, None));
    }
}
