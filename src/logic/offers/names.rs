//! Finding the names that hold all words of a query, by scanning one text of folded names.
//! Invariant: every name is one line of the text, in the order of insertion; a line never holds `\n` inside.
//! Not responsible for ranking.

use memchr::memmem;

use crate::model::query::fold;
use crate::model::{Query, SafePath};

/// A query made ready to scan many texts.
#[derive(Debug)]
pub struct Needle<'q> {
    longest: memmem::Finder<'q>,
    others: Vec<memmem::Finder<'q>>,
}

impl<'q> Needle<'q> {
    /// Looks for the longest word first: it is the rarest.
    pub fn new(query: &'q Query) -> Self {
        let mut words: Vec<&str> = query.words().iter().map(String::as_str).collect();
        words.sort_by_key(|w| std::cmp::Reverse(w.len()));
        let mut finders = words.into_iter().map(|w| memmem::Finder::new(w.as_bytes()));
        let longest = finders.next().unwrap_or_else(|| memmem::Finder::new(b""));
        Self { longest, others: finders.collect() }
    }

    fn others_match(&self, line: &[u8]) -> bool {
        self.others.iter().all(|word| word.find(line).is_some())
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

    /// How many lines.
    #[cfg(feature = "lab")]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no line.
    #[cfg(feature = "lab")]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives back the memory that growing left over.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The lines that hold every word, in order.
    pub fn find<'a>(&'a self, needle: &'a Needle<'a>) -> impl Iterator<Item = usize> + 'a {
        let mut line = 0;
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let at = from + needle.longest.find(self.text.as_bytes().get(from..)?)?;
                line += self.ends[line..].partition_point(|end| *end as usize <= at);
                from = *self.ends.get(line)? as usize;
                if needle.others_match(self.line(line).as_bytes()) {
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

    fn found(names: &FoldedNames, words: &[impl AsRef<str>]) -> Vec<String> {
        let query = Query::parse(words).expect("words");
        let needle = Needle::new(&query);
        names.find(&needle).map(|line| names.line(line).to_owned()).collect()
    }

    #[test]
    fn a_name_is_found_once_however_often_it_holds_the_word() {
        let mut names = FoldedNames::default();
        ["a/aa/aaa", "b/Éa"].iter().for_each(|name| assert!(names.push(&path(name)).is_some()));
        assert_eq!(found(&names, &["a", "aa"]), ["a/aa/aaa"]);
        assert_eq!(found(&names, &["ea"]), ["b/ea"]);
    }

    proptest! {
        #[test]
        fn finds_what_the_query_matches(
            all in proptest::collection::vec("[ab]{1,3}(/[ab]{1,3}){0,2}", 0..40),
            words in proptest::collection::vec("[ab/]{1,2}", 1..4),
        ) {
            let mut names = FoldedNames::default();
            all.iter().for_each(|name| assert!(names.push(&path(name)).is_some()));
            let query = Query::parse(&words).expect("words");
            let expected: Vec<_> = all.into_iter().filter(|name| query.matches(name)).collect();
            prop_assert_eq!(found(&names, &words), expected);
        }
    }
}
