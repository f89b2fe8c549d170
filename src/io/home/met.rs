//! The node ids that this home has met, so that a person can name one by its first characters.
//! A text file, one id a line, newest last, bounded. Not responsible for addresses: trackers know those.

use std::io;
use std::path::{Path, PathBuf};

use crate::io::home::small;
use crate::model::NodeId;

/// Ids that are kept; the oldest go first.
const KEPT: usize = 4096;
/// Bytes that are read: four times what is kept, at 53 a line.
const MOST: u64 = 1 << 20;

/// The file of met ids.
#[derive(Debug, Clone)]
pub struct Met {
    path: PathBuf,
}

impl Met {
    /// In this home; the file is made when the first id is remembered.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self { path: home.join("met") }
    }

    /// All ids, oldest first. A file that cannot be read holds none: it is only a convenience.
    #[must_use]
    pub fn ids(&self) -> Vec<NodeId> {
        let text = small::text(&self.path, MOST).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Remembers ids.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn remember(&self, new: impl IntoIterator<Item = NodeId>) -> io::Result<()> {
        let before = self.ids();
        let mut ids = before.clone();
        for id in new {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids == before {
            return Ok(());
        }
        let kept = &ids[ids.len().saturating_sub(KEPT)..];
        let text: String = kept.iter().map(|id| format!("{id}\n")).collect();
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
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
}
