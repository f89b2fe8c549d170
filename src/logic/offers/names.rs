//! Finding the names that match a query, by scanning one text of folded names.
//! Invariant: every name is one line of the text, in the order of insertion; a line never holds `\n` inside.
//! Not responsible for ranking.

use memchr::memmem;

use crate::model::query::glob::Glob;
use crate::model::query::{Reading, fold};
use crate::model::{Query, SafePath};

/// A query made ready to scan many texts.
#[derive(Debug)]
pub struct Needle<'q> {
    query: &'q Query,
    /// What every line that matches has; without it each line is looked at.
    longest: Option<memmem::Finder<'q>>,
    /// Words that are no patterns.
    others: Vec<memmem::Finder<'q>>,
}

impl<'q> Needle<'q> {
    /// Looks for the longest word first, or what is longer of a pattern: it is the rarest.
    pub fn new(query: &'q Query) -> Self {
        let near = query.reading().near;
        let literal = |(word, glob): (&'q str, Option<&'q Glob>)| glob.map_or(Some(word), Glob::literal);
        let literals = query.terms().filter_map(literal).filter(|_| !near);
        let longest = literals.max_by_key(|text| text.len());
        let words = query.terms().filter(|(_, glob)| glob.is_none() && !near).map(|(word, _)| word);
        let words = words.filter(|word| Some(*word) != longest);
        let finder = |text: &'q str| memmem::Finder::new(text.as_bytes());
        Self { query, longest: longest.map(finder), others: words.map(finder).collect() }
    }

    fn matches(&self, line: &str) -> bool {
        let Reading { glob, near, .. } = self.query.reading();
        self.others.iter().all(|word| word.find(line.as_bytes()).is_some())
            && (!(glob || near) || self.query.matches(line))
    }
}

/// Folded names, one a line; grows at the end only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoldedNames {
    text: String,
    /// Where each line ends in the text, its `\n` included.
    ends: Vec<u32>,
}

impl FoldedNames {
    /// Adds a name as the next line. `None` when the text would pass 4 GiB.
    pub fn push(&mut self, name: &SafePath) -> Option<usize> {
        let folded = fold(name.as_str());
        let end = u32::try_from(self.text.len() + folded.len() + 1).ok()?;
        self.text.push_str(&folded);
        self.text.push('\n');
        self.ends.push(end);
        Some(self.ends.len() - 1)
    }

    /// The folded name of a line.
    ///
    /// # Panics
    /// When there is no such line.
    pub fn line(&self, line: usize) -> &str {
        &self.text[self.start(line)..self.ends[line] as usize - 1]
    }

    /// Gives back the memory that growing left over.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The lines that match, in order.
    pub fn find<'a>(&'a self, needle: &'a Needle<'a>) -> impl Iterator<Item = usize> + 'a {
        let mut line = 0;
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let rest = self.text.as_bytes().get(from..)?;
                let at = from + needle.longest.as_ref().map_or(Some(0), |longest| longest.find(rest))?;
                line += self.ends[line..].partition_point(|end| *end as usize <= at);
                from = *self.ends.get(line)? as usize;
                if needle.matches(self.line(line)) {
                    return Some(line);
                }
            }
        })
    }

    fn start(&self, line: usize) -> usize {
        line.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect(text)
    }

    fn found(names: &FoldedNames, query: &Query) -> Vec<String> {
        let needle = Needle::new(query);
        names.find(&needle).map(|line| names.line(line).to_owned()).collect()
    }

    #[test]
    fn a_name_is_found_once_however_often_it_holds_the_word() {
        let mut names = FoldedNames::default();
        ["a/aa/aaa", "b/Éa"].iter().for_each(|name| assert!(names.push(&path(name)).is_some()));
        let query = |words: &[&str]| Query::parse(words).expect("words");
        assert_eq!(found(&names, &query(&["a", "aa"])), ["a/aa/aaa"]);
        assert_eq!(found(&names, &query(&["ea"])), ["b/ea"]);
        assert_eq!(found(&names, &query(&["?a", "b"])), ["b/ea"]);
    }

    proptest! {
        #[test]
        fn finds_what_the_query_matches(
            all in proptest::collection::vec("[ab]{1,6}(/[ab]{1,6}){0,2}", 0..40),
            words in proptest::collection::vec("[ab/]{1,2}|[ab*?]{1,4}|[ab]{4,5}", 1..4),
            near in any::<bool>(),
        ) {
            let mut names = FoldedNames::default();
            all.iter().for_each(|name| assert!(names.push(&path(name)).is_some()));
            let query = Query::parse(&words).expect("words");
            let query = if near { query.nearly() } else { query };
            let expected: Vec<_> = all.into_iter().filter(|name| query.matches(name)).collect();
            prop_assert_eq!(found(&names, &query), expected);
        }
    }
}
