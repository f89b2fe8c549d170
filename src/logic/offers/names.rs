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
    #[must_use]
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
#[derive(Debug, Clone, Default)]
pub struct FoldedNames {
    text: String,
    /// Where each line ends in the text, its `\n` included.
    ends: Vec<u32>,
}

impl FoldedNames {
    /// Adds a name as the next line. `None` when the text would pass 4 GiB.
    pub fn push(&mut self, name: &SafePath) -> Option<usize> {
        self.push_folded(&fold(name.as_str()))
    }

    fn push_folded(&mut self, folded: &str) -> Option<usize> {
        let end = u32::try_from(self.text.len() + folded.len() + 1).ok()?;
        self.text.push_str(folded);
        self.text.push('\n');
        self.ends.push(end);
        Some(self.ends.len() - 1)
    }

    /// The folded name of a line.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn line(&self, line: usize) -> &str {
        &self.text[self.start(line)..self.ends[line] as usize - 1]
    }

    /// How many lines.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no line.
    #[must_use]
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

/// A name's place in a [`NameIndex`]; it stays the same until the name is removed, then it may be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(u32);

impl NameKey {
    /// The key as an index: small, so it can index a `Vec`.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names that come and go, with a search. Removed names leave their line behind until half of the text is dead.
#[derive(Debug, Clone, Default)]
pub struct NameIndex {
    names: FoldedNames,
    /// Line to key; none when removed.
    keys: Vec<Option<NameKey>>,
    /// Key to line; none when the key is free.
    lines: Vec<Option<u32>>,
    free: Vec<NameKey>,
}

/// Dead lines below this number are never worth a rebuild.
const FEW: usize = 1024;

impl NameIndex {
    /// Adds a name; the same name can be added more than once, under keys of their own.
    /// `None` when the text is full (4 GiB).
    pub fn insert(&mut self, name: &SafePath) -> Option<NameKey> {
        let line = u32::try_from(self.names.push(name)?).ok()?;
        let key = self.free.pop().unwrap_or_else(|| {
            self.lines.push(None);
            // As many keys as lines at most, and a line's number fits.
            NameKey((self.lines.len() - 1) as u32)
        });
        self.lines[key.index()] = Some(line);
        self.keys.push(Some(key));
        Some(key)
    }

    /// Removes a name. Whether there was one.
    pub fn remove(&mut self, key: NameKey) -> bool {
        let Some(line) = self.lines.get_mut(key.index()).and_then(Option::take) else {
            return false;
        };
        self.keys[line as usize] = None;
        self.free.push(key);
        let dead = self.keys.len() - self.len();
        if dead > FEW && dead > self.keys.len() / 2 {
            self.compact();
        }
        true
    }

    /// How many names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len() - self.free.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The folded form of a name.
    #[must_use]
    pub fn folded(&self, key: NameKey) -> Option<&str> {
        let line = (*self.lines.get(key.index())?)?;
        Some(self.names.line(line as usize))
    }

    /// The keys of the names that hold every word, with their folded form, in order of insertion.
    pub fn search(&self, query: &Query) -> impl Iterator<Item = (NameKey, &str)> {
        let needle = Needle::new(query);
        let mut found = Vec::new();
        for line in self.names.find(&needle) {
            if let Some(key) = self.keys[line] {
                found.push((key, self.names.line(line)));
            }
        }
        found.into_iter()
    }

    fn compact(&mut self) {
        let old = std::mem::take(&mut self.names);
        let keys = std::mem::take(&mut self.keys);
        for (line, key) in keys.into_iter().enumerate() {
            let Some(key) = key else { continue };
            // Never fails: less text than before.
            let line = self.names.push_folded(old.line(line)).and_then(|line| u32::try_from(line).ok());
            self.lines[key.index()] = line;
            self.keys.push(Some(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect(text)
    }

    #[test]
    fn a_name_is_found_once_however_often_it_holds_the_word() {
        let mut index = NameIndex::default();
        let key = index.insert(&path("a/aa/aaa")).expect("room");
        index.insert(&path("b/Éa")).expect("room");
        let query = Query::parse(&["a", "aa"]).expect("words");
        assert_eq!(index.search(&query).collect::<Vec<_>>(), [(key, "a/aa/aaa")]);
        let accented = Query::parse(&["ea"]).expect("words");
        assert_eq!(index.search(&accented).map(|(_, name)| name).collect::<Vec<_>>(), ["b/ea"]);
        assert!(index.remove(key) && !index.remove(key));
        assert_eq!(index.search(&query).count(), 0);
    }

    #[test]
    fn keys_survive_compaction() {
        let mut index = NameIndex::default();
        let keys: Vec<_> = (0..4 * FEW).map(|n| index.insert(&path(&format!("n{n}x"))).expect("room")).collect();
        for key in &keys[..3 * FEW] {
            index.remove(*key);
        }
        assert!(index.keys.len() < 3 * FEW, "compacted");
        assert_eq!(index.folded(keys[3 * FEW]), Some("n3072x"));
        let query = Query::parse(&["n4000x"]).expect("words");
        assert_eq!(index.search(&query).map(|(key, _)| key).collect::<Vec<_>>(), [keys[4000]]);
    }

    proptest! {
        #[test]
        fn finds_what_the_query_matches(
            names in proptest::collection::vec("[ab]{1,3}(/[ab]{1,3}){0,2}", 0..40),
            removed in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
            words in proptest::collection::vec("[ab/]{1,2}", 1..4),
        ) {
            let mut index = NameIndex::default();
            let mut model: Vec<(NameKey, String)> =
                names.into_iter().map(|n| (index.insert(&path(&n)).expect("room"), n)).collect();
            for place in removed {
                if !model.is_empty() {
                    let (key, _) = model.remove(place.index(model.len()));
                    prop_assert!(index.remove(key));
                }
            }
            let query = Query::parse(&words).expect("words");
            let found: Vec<_> = index.search(&query).map(|(key, name)| (key, name.to_owned())).collect();
            let expected: Vec<_> = model.into_iter().filter(|(_, name)| query.matches(name)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
