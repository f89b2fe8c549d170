//! The contents that this home was shown, so that a person can name one by the first characters of its id. A text file, one
//! content a line, newest last, bounded. Not responsible for who has it: an id that is found here is asked for like any other.

use std::collections::HashSet;
use std::path::Path;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::model::id::IdPrefix;
use crate::model::{ContentId, Hit, SafePath};

/// Contents that are kept; the oldest go first.
const KEPT: usize = 4096;

/// The file of them. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Seen(LineFile<SeenContent>);

/// A content that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenContent {
    /// Its id.
    pub id: ContentId,
    /// The last component of its name, for people.
    pub name: SafePath,
}

impl Line for SeenContent {
    const FORM: &str = "ID NAME";

    fn parse(text: &str) -> Option<Self> {
        let (id, name) = text.split_once(' ')?;
        Some(Self { id: id.parse().ok()?, name: SafePath::parse(name).ok()? })
    }

    fn text(&self) -> String {
        format!("{} {}", self.id, self.name)
    }
}

impl SeenContent {
    /// What a hit stands for, once it is hashed.
    pub fn of(hit: &Hit) -> Option<Self> {
        Some(Self { id: hit.id?, name: hit.names.first()?.last() })
    }
}

/// Whether a text may be the beginning of a content id.
pub fn is_prefix(text: &str) -> bool {
    text.len() < ContentId::TEXT_LEN && text.parse::<IdPrefix>().is_ok()
}

impl Seen {
    /// In this home; the file is made when the first content is remembered.
    pub fn at(home: &Path) -> Self {
        Self(LineFile::at(home.join("seen")))
    }

    /// All contents, oldest first. A file that cannot be read holds none: it is only a convenience.
    pub fn contents(&self) -> Vec<SeenContent> {
        self.0.read_what_is_right().unwrap_or_default()
    }

    /// Remembers contents, the best of them last.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn remember(&self, best_first: Vec<SeenContent>) -> Result<(), LinesError> {
        let mut ids = HashSet::new();
        let mut new: Vec<_> = best_first.into_iter().filter(|content| ids.insert(content.id)).take(KEPT).collect();
        new.reverse();
        if new.is_empty() || self.contents().ends_with(&new) {
            return Ok(());
        }
        self.0.change_what_is_right(|known| {
            known.retain(|content| !ids.contains(&content.id));
            known.extend(new);
            known.drain(..known.len().saturating_sub(KEPT));
            (true, ())
        })
    }

    /// Those whose ids begin so, in either case.
    pub fn with_prefix(&self, prefix: &str) -> Vec<SeenContent> {
        let prefix = prefix.to_ascii_lowercase();
        self.contents().into_iter().filter(|content| content.id.to_string().starts_with(&prefix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(n: u32) -> SeenContent {
        let name = SafePath::parse(&format!("a file {n}")).expect("a name");
        SeenContent { id: ContentId::of(&n.to_be_bytes()), name }
    }

    #[test]
    fn contents_are_found_by_the_beginning_of_their_id() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Seen::at(dir.path());
        file.remember((0..9).map(content).collect()).expect("written");
        assert_eq!(file.contents().last(), Some(&content(0)), "the best is the newest");
        let id = content(3).id.to_string();
        assert_eq!(file.with_prefix(&id[..8].to_uppercase()), [content(3)]);
        assert!(is_prefix(&id[..8]) && !is_prefix(&id[..7]) && !is_prefix(&id) && !is_prefix("papers12"));
        file.remember(vec![content(3)]).expect("written");
        assert_eq!((file.contents().len(), file.contents().last().cloned()), (9, Some(content(3))));
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Seen::at(dir.path());
        file.remember(vec![content(0)]).expect("written");
        file.remember((1..=5000).map(content).collect()).expect("written");
        assert_eq!(file.contents().len(), KEPT);
        assert!(file.with_prefix(&content(0).id.to_string()[..8]).is_empty());
        assert_eq!(file.contents().last(), Some(&content(1)));
    }
}
