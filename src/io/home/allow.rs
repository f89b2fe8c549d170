//! The file of a tracker's allowed nodes: one node id a line, and what follows a `#` is a remark. People write it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::io::home::lines::{Line, LinesError, ListFile, good};
use crate::io::home::small;
use crate::model::NodeId;

/// Bytes that such a file may have: a quarter of a million ids.
const MOST: u64 = 16 << 20;

/// A line of it; none allowed where it is only a remark.
struct Entry(Option<NodeId>);

impl Line for Entry {
    const FORM: &str = "ID [# REMARK]";

    fn parse(text: &str) -> Option<Self> {
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() { Some(Self(None)) } else { text.parse().ok().map(|node| Self(Some(node))) }
    }

    fn text(&self) -> String {
        self.0.map(|node| node.to_string()).unwrap_or_default()
    }
}

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
}

impl ListFile for AllowFile {
    type List = HashSet<NodeId>;

    fn path(&self) -> &Path {
        &self.path
    }

    /// A file that is missing cannot be read.
    fn read_good(&self) -> Result<(HashSet<NodeId>, Option<LinesError>), LinesError> {
        let unreadable = |cause: std::io::Error| LinesError::Io { path: self.path.clone().into(), cause: cause.into() };
        let text = small::text(&self.path, MOST).map_err(unreadable)?;
        let (entries, wrong) = good(&self.path, &text);
        Ok((entries.into_iter().filter_map(|Entry(node)| node).collect(), wrong))
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
