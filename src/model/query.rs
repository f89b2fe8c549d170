//! The words of a search, compared without case and accents.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::text::invisible::is_invisible;

/// The most words in one query.
pub const MAX_WORDS: usize = 16;
/// The longest word, in bytes after folding.
pub const MAX_WORD: usize = 255;

/// Why words are not a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum QueryError {
    /// No word at all.
    #[error("there is no word to look for")]
    Empty,
    /// More than 16 words, or one of more than 255 bytes.
    #[error("a search has at most 16 words of at most 255 bytes")]
    TooLong,
}

/// Folded words; a path matches when each of them is a substring of the folded path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Query(Vec<String>);

impl TryFrom<Vec<String>> for Query {
    type Error = QueryError;

    fn try_from(words: Vec<String>) -> Result<Self, QueryError> {
        Self::parse(&words)
    }
}

impl Query {
    /// Splits the arguments on white space and folds them.
    ///
    /// # Errors
    /// When nothing remains, or too much.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Result<Self, QueryError> {
        let mut words = Vec::new();
        for argument in arguments {
            words.extend(argument.as_ref().split_whitespace().map(fold).filter(|w| !w.is_empty()));
        }
        if words.is_empty() {
            return Err(QueryError::Empty);
        }
        if words.len() > MAX_WORDS || words.iter().any(|w| w.len() > MAX_WORD) {
            return Err(QueryError::TooLong);
        }
        Ok(Self(words))
    }

    /// The folded words; at least one.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Whether a folded path holds every word.
    #[must_use]
    pub fn matches(&self, folded: &str) -> bool {
        self.0.iter().all(|w| folded.contains(w.as_str()))
    }
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
    fn what_nobody_sees_is_not_searched() {
        let typed = Query::parse(&["\u{645}\u{6cc}\u{62e}\u{648}", "pass\u{ad}word"]).expect("words");
        assert!(typed.matches(&fold("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}/pa\u{200b}ss\u{feff}word")));
    }
}
