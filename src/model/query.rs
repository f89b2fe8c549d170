//! The words of a search, compared without case and accents.

pub mod glob;
pub mod near;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::ContentId;
use crate::model::id::IdPrefix;
use crate::model::text::invisible::is_invisible;
use glob::{Glob, GlobError, MAX_STATES};
use near::{Spelling, words};

/// The most words in one query.
pub const MAX_WORDS: usize = 16;
/// The longest word, in bytes after folding.
pub const MAX_WORD: usize = 255;
/// The most words that are patterns: each is held against each name.
pub const MAX_PATTERNS: usize = 4;
/// The most pieces of letters and digits in words that may be misspelled: each is held against each of a name.
pub const MAX_PIECES: usize = 8;

/// Why words are not a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum QueryError {
    /// No word at all.
    #[error("there is no word to look for")]
    Empty,
    /// More than [`MAX_PATTERNS`] patterns, or of more than [`MAX_STATES`] states together.
    #[error(
        "a search has at most 4 patterns of at most 256 characters together, and braces count for each way to read them"
    )]
    Large,
    /// More than 16 words, or one of more than 255 bytes.
    #[error("a search has at most 16 words of at most 255 bytes")]
    TooLong,
}

/// How words are read, beside being parts of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Words may be patterns.
    pub glob: bool,
    /// One word may be the beginning of an id.
    pub ids: bool,
    /// Words that are nearly theirs are as good.
    pub near: bool,
}

/// Folded words; a path matches when each of them is a substring of the folded path, or is a pattern that matches it.
///
/// A word that is a pattern is looked for as it stands, too: many names have brackets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Query {
    words: Vec<String>,
    /// For each word, what it is as a pattern.
    globs: Vec<Option<Arc<Glob>>>,
    id: Option<IdPrefix>,
    near: Option<Arc<[Vec<Piece>]>>,
}

/// Letters and digits of a word beside each other.
#[derive(Debug)]
struct Piece {
    text: String,
    spelling: Option<Spelling>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        (&self.words, self.reading()) == (&other.words, other.reading())
    }
}

impl Eq for Query {}

impl TryFrom<Vec<String>> for Query {
    type Error = QueryError;

    fn try_from(words: Vec<String>) -> Result<Self, QueryError> {
        Self::parse(&words)
    }
}

impl From<Query> for Vec<String> {
    fn from(query: Query) -> Self {
        query.words
    }
}

impl Query {
    /// Folds the arguments and splits them on white space; patterns and beginnings of ids are such.
    ///
    /// # Errors
    /// When nothing remains, or too much.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Result<Self, QueryError> {
        Self::read(arguments, Reading { glob: true, ids: true, near: false })
    }

    /// The same, where it was said how the words are to be read.
    ///
    /// # Errors
    /// When nothing remains, or too much.
    pub fn read<S: AsRef<str>>(arguments: &[S], reading: Reading) -> Result<Self, QueryError> {
        let mut words = Vec::new();
        for argument in arguments {
            words.extend(fold(argument.as_ref()).split_whitespace().map(str::to_owned));
        }
        if words.is_empty() {
            return Err(QueryError::Empty);
        }
        if words.len() > MAX_WORDS || words.iter().any(|w| w.len() > MAX_WORD) {
            return Err(QueryError::TooLong);
        }
        let globs = if reading.glob { globs(&words)? } else { vec![None; words.len()] };
        let id = if let [word] = words.as_slice() { word.parse().ok().filter(|_| reading.ids) } else { None };
        let query = Self { words, globs, id, near: None };
        Ok(if reading.near { query.nearly() } else { query })
    }

    /// The folded words; at least one.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The words, each with what it is as a pattern.
    pub fn terms(&self) -> impl Iterator<Item = (&str, Option<&Glob>)> {
        self.words.iter().map(String::as_str).zip(self.globs.iter().map(Option::as_deref))
    }

    /// How the words are to be read, as far as it makes a difference.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let glob = self.globs.iter().any(Option::is_some);
        Reading { glob, ids: self.id.is_some(), near: self.near.is_some() }
    }

    /// Whether a folded path holds every word, or nearly.
    #[must_use]
    pub fn matches(&self, folded: &str) -> bool {
        self.spell(folded, |_, _, _, _| ()).is_some()
    }

    /// Whether it is the beginning of this id.
    #[must_use]
    pub fn means(&self, id: Option<ContentId>) -> bool {
        self.id.zip(id).is_some_and(|(prefix, id)| prefix.is_of(id))
    }

    /// The beginning of an id that it may be.
    #[must_use]
    pub const fn id(&self) -> Option<IdPrefix> {
        self.id
    }

    /// The same words, spelled as they are or nearly so; more than [`MAX_PIECES`] only as they are. Patterns are left.
    #[must_use]
    pub fn nearly(&self) -> Self {
        let pieces: usize = self.words.iter().map(|word| words(word).count()).sum();
        let near = self.terms().map(|(word, glob)| {
            let all = words(word).filter(|_| glob.is_none() && pieces <= MAX_PIECES);
            all.map(|text| Piece { text: text.to_owned(), spelling: Spelling::of(text) }).collect()
        });
        Self { near: Some(near.collect::<Vec<_>>().into()), ..self.clone() }
    }

    /// Whether looking for what is nearly it can find more.
    #[must_use]
    pub fn may_be_misspelled(&self) -> bool {
        self.nearly().near.is_some_and(|near| near.iter().flatten().any(|piece| piece.spelling.is_some()))
    }

    /// In how many mistakes its words differ from those of a folded path; none where it does not match.
    #[must_use]
    pub fn mistakes(&self, folded: &str) -> Option<usize> {
        let mut all = 0;
        self.spell(folded, |_, _, mistakes, _| all += mistakes)?;
        Some(all)
    }

    /// Its words as they are spelled in a folded path that matches.
    #[must_use]
    pub fn spelled(&self, folded: &str) -> Option<String> {
        let mut words = self.words.clone();
        self.spell(folded, |place, piece, _, there| words[place] = words[place].replacen(&piece.text, there, 1))?;
        Some(words.join(" "))
    }

    /// Tells for each piece of a word that is not in a folded path as it is, by the word's place, with how many mistakes it
    /// is there, and how it is spelled.
    fn spell<'a>(&'a self, folded: &'a str, mut tell: impl FnMut(usize, &'a Piece, usize, &'a str)) -> Option<()> {
        for (place, (word, glob)) in self.terms().enumerate() {
            if folded.contains(word) || glob.is_some_and(|glob| glob.matches(folded)) {
                continue;
            }
            for piece in self.near.as_ref()?.get(place).filter(|pieces| !pieces.is_empty())? {
                let (mistakes, there) = piece.find_in(folded)?;
                tell(place, piece, mistakes, there);
            }
        }
        Some(())
    }
}

impl Piece {
    /// Where a path has it, and with how many mistakes.
    fn find_in<'a>(&'a self, folded: &'a str) -> Option<(usize, &'a str)> {
        if folded.contains(&self.text) {
            return Some((0, &self.text));
        }
        let spelling = self.spelling.as_ref()?;
        words(folded).filter_map(|word| Some((spelling.mistakes(word)?, word))).min()
    }
}

/// What words are as patterns. Whatever is no pattern is only a word.
fn globs(words: &[String]) -> Result<Vec<Option<Arc<Glob>>>, QueryError> {
    let mut globs = Vec::new();
    for word in words {
        globs.push(match Glob::parse(word) {
            None | Some(Err(GlobError::Malformed)) => None,
            Some(Err(GlobError::TooLarge)) => return Err(QueryError::Large),
            Some(Ok(glob)) => Some(Arc::new(glob)),
        });
    }
    let patterns = || globs.iter().flatten();
    let states: usize = patterns().map(|glob| glob.states()).sum();
    if states > MAX_STATES || patterns().count() > MAX_PATTERNS { Err(QueryError::Large) } else { Ok(globs) }
}

/// NFKD without combining marks and what nobody sees, lower case: the form in which words and paths are compared.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_compared_without_case_and_accents() {
        let query = Query::parse(&["Été  rapport", "PDF"]).expect("words");
        assert_eq!(query.words(), ["ete", "rapport", "pdf"]);
        assert!(query.matches(&fold("archives/RAPPORT d'e\u{301}te\u{301}.pdf")));
        assert!(!query.matches("rapport.pdf"));
        assert_eq!(Query::parse(&["  "]), Err(QueryError::Empty));
        assert_eq!(Query::parse(&["\u{200b}\u{3164}"]), Err(QueryError::Empty));
        assert_eq!(Query::parse(&vec!["a"; 17]), Err(QueryError::TooLong));
    }

    #[test]
    fn words_with_special_characters_are_patterns_and_themselves() {
        let query = |text: &str| Query::parse(&[text]).expect(text);
        let turing = query("turing *.PDF");
        assert!(turing.matches("papers/turing.pdf") && !turing.matches("papers/turing.txt"));
        assert!(query("Show [1080p].mkv").matches("show [1080p].mkv"), "a name with brackets");
        assert!(query("[draft").matches("a [draft] b") && query("what?").matches("what?/a.txt"));
        assert_eq!((turing.reading().glob, query("turing").reading()), (true, Reading::default()));
        assert_eq!(Query::parse(&["?".repeat(255), "a?".to_owned()]), Err(QueryError::Large));
        assert!(Query::parse(&["a*"; MAX_PATTERNS]).is_ok());
        assert_eq!(Query::parse(&["a*"; MAX_PATTERNS + 1]), Err(QueryError::Large));
        assert_eq!(Query::parse(&["*".repeat(1024)]), Err(QueryError::TooLong));
        let as_words = Query::read(&["*.pdf"], Reading::default()).expect("words");
        assert!(!as_words.matches("a.pdf") && as_words.matches("*.pdf"));
    }

    #[test]
    fn one_word_may_be_the_beginning_of_an_id() {
        let id = ContentId::of(b"x");
        for (text, means) in [(&id.to_string()[..8], true), (&id.to_string(), true), (&id.to_string()[..7], false)] {
            assert_eq!(Query::parse(&[text]).expect("a word").means(Some(id)), means, "{text}");
            assert!(!Query::parse(&[text, "x"]).expect("words").means(Some(id)), "{text}");
        }
        assert!(!Query::parse(&["papers"]).expect("a word").reading().ids);
    }

    #[test]
    fn near_words_are_found_and_told_as_they_are_spelled() {
        let near = |text: &str, name: &str| Query::parse(&[text]).expect(text).nearly().spelled(name);
        assert_eq!(near("turinng", "papers/turing.pdf").as_deref(), Some("turing"));
        assert_eq!(near("turinng.pdf 1963", "papers/turing 1963.pdf").as_deref(), Some("turing.pdf 1963"));
        assert_eq!(near("alan turinng", "turing.pdf"), None);
        assert_eq!(near("turinng *.pdf", "turing.pdf").as_deref(), Some("turing *.pdf"));
        assert_eq!(near("turinng *.txt", "turing.pdf"), None);
        assert_eq!((near("cat", "cut"), near("--", "turing"), near("2023", "2024")), (None, None, None));
        let exact = Query::parse(&["turing"]).expect("a word");
        assert!(!exact.matches("turinng") && exact.nearly().matches("turinng"));
        let [no, yes] = ["cat *.pdf", "cat turing"].map(|text| Query::parse(&[text]).expect(text));
        assert!(!no.may_be_misspelled() && yes.may_be_misspelled());
        let pieces = |count| Query::parse(&["turinng ".repeat(count)]).expect("words").nearly();
        assert!(pieces(MAX_PIECES).matches("turing") && !pieces(MAX_PIECES + 1).matches("turing"));
    }

    #[test]
    fn what_nobody_sees_is_not_searched() {
        let typed = Query::parse(&["\u{645}\u{6cc}\u{62e}\u{648}", "pass\u{ad}word"]).expect("words");
        assert!(typed.matches(&fold("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}/pa\u{200b}ss\u{feff}word")));
    }

    proptest! {
        #[test]
        fn any_words_are_read_and_what_matches_is_near(
            typed in proptest::collection::vec("\\PC{0,12}|[ab*?{},\\[\\]!-]{0,12}|[a-d]{4,9}", 0..4),
            name in "\\PC{0,24}|[a-d]{4,9}([ /][a-d]{4,9}){0,2}",
            glob in any::<bool>(),
        ) {
            let Ok(query) = Query::read(&typed, Reading { glob, ids: true, near: false }) else { return Ok(()) };
            let (near, name) = (query.nearly(), fold(&name));
            prop_assert_eq!(near.matches(&name), near.spelled(&name).is_some());
            prop_assert!(!query.matches(&name) || near.mistakes(&name) == Some(0));
            prop_assert!(near.matches(&name) || !query.matches(&name));
            // It is the same at the other side.
            prop_assert_eq!(&Query::read(query.words(), query.reading()).expect("a query"), &query);
            prop_assert_eq!(&Query::read(near.words(), near.reading()).expect("a query"), &near);
        }
    }
}
