//! The node ids that this home has met, so that a person can name one by its first characters.
//! A text file, one id a line, newest last, bounded. Not responsible for addresses: trackers know those.

use std::path::Path;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::model::NodeId;

/// Ids that are kept; the oldest go first.
const KEPT: usize = 4096;

/// The file of met ids. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Met(LineFile<NodeId>);

impl Line for NodeId {
    const FORM: &str = "ID";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Met {
    /// In this home; the file is made when the first id is remembered.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self(LineFile::at(home.join("met")))
    }

    /// All ids, oldest first. A file that cannot be read holds none: it is only a convenience.
    #[must_use]
    pub fn ids(&self) -> Vec<NodeId> {
        self.0.read_what_is_right().unwrap_or_default()
    }

    /// Remembers ids.
    ///
    /// # Errors
    /// When the file cannot be read or replaced.
    pub fn remember(&self, new: impl IntoIterator<Item = NodeId>) -> Result<(), LinesError> {
        let known = self.ids();
        let mut new: Vec<_> = new.into_iter().filter(|id| !known.contains(id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.0.change_what_is_right(|ids| {
            new.retain(|id| !ids.contains(id));
            ids.append(&mut new);
            ids.drain(..ids.len().saturating_sub(KEPT));
            (true, ())
        })
    }

    /// The ids that begin with this prefix.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Vec<NodeId> {
        self.ids().into_iter().filter(|id| id.to_string().starts_with(prefix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_their_first_characters() {
        let dir = tempfile::tempdir().expect("a directory");
        let met = Met::at(dir.path());
        let ids: Vec<_> = (0..9_u8).map(|n| NodeId::of_public_key(&[n])).collect();
        met.remember(ids.clone()).expect("written");
        met.remember(ids[..2].to_vec()).expect("nothing new");
        assert_eq!(met.ids(), ids);
        assert_eq!(met.with_prefix(&ids[3].short()), [ids[3]]);
        assert!(met.with_prefix("00000000").is_empty());
    }

    #[test]
    fn two_that_remember_at_once_lose_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let met = Met::at(dir.path());
        std::thread::scope(|scope| {
            for n in 0..8_u8 {
                let met = &met;
                scope.spawn(move || met.remember([NodeId::of_public_key(&[n])]).expect("written"));
            }
        });
        assert_eq!(met.ids().len(), 8);
    }
}
