//! The file of a tracker's allowed nodes: one node id a line, and what follows a `#` is a remark. People write it.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::io::home::lines::{LinesError, Stamp, stamp};
use crate::io::home::small;
use crate::model::NodeId;

/// Bytes that such a file may have: a quarter of a million ids.
const MOST: u64 = 16 << 20;

/// Such a file.
#[derive(Debug, Clone)]
pub struct AllowFile {
    path: PathBuf,
}

impl AllowFile {
    /// At a path.
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The stamp of this moment.
    pub fn stamp(&self) -> Stamp {
        stamp(&self.path)
    }

    /// All that are allowed. Blocks on the disk.
    ///
    /// # Errors
    /// When the file is missing, or cannot be read or understood.
    pub fn read(&self) -> Result<HashSet<NodeId>, LinesError> {
        let (nodes, wrong) = self.read_good()?;
        wrong.map_or(Ok(nodes), Err)
    }

    /// All that are allowed by lines that can be understood, and what is wrong with the first that cannot. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// When the file is missing or cannot be read.
    pub fn read_good(&self) -> Result<(HashSet<NodeId>, Option<LinesError>), LinesError> {
        let unreadable = |cause: std::io::Error| LinesError::Io { path: self.path.clone(), cause: cause.into() };
        let text = small::text(&self.path, MOST).map_err(unreadable)?;
        let (mut nodes, mut first) = (HashSet::new(), None);
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong =
                || LinesError::Malformed { path: self.path.clone(), line: index + 1, form: "ID [# REMARK]".into() };
            match line.parse() {
                Ok(node) => {
                    nodes.insert(node);
                }
                Err(_) => first = first.or_else(|| Some(wrong())),
            }
        }
        Ok((nodes, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_has_an_id_a_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("allow");
        let file = AllowFile::at(path.clone());
        let (a, b) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
        assert!(matches!(file.read(), Err(LinesError::Io { .. })) && file.stamp().is_none());
        std::fs::write(&path, format!("# who may\n\n  {a} # Ada\n{b}\n")).expect("written");
        assert_eq!(file.read().expect("a list"), HashSet::from([a, b]));
        std::fs::write(&path, format!("{a}\nnobody\n")).expect("written");
        let error = file.read().expect_err("refused").to_string();
        assert!(error.contains("line 2") && error.contains("`ID [# REMARK]`"), "{error}");
    }
}
