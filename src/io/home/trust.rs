//! Which node was seen at which `HOST:PORT`: the file HOME/trust, one `HOST:PORT ID` a line.
//! What to remember is decided above. Every method blocks on the disk.

use std::path::Path;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::model::NodeId;

/// The file within a home.
pub const TRUST_FILE: &str = "trust";

/// A node and where it was seen.
#[derive(Debug, Clone)]
struct Trusted {
    host_port: String,
    node: NodeId,
}

impl Line for Trusted {
    const FORM: &str = "HOST:PORT ID";

    fn parse(text: &str) -> Option<Self> {
        let (host_port, id) = text.split_once(' ')?;
        Some(Self { host_port: host_port.to_owned(), node: id.parse().ok()? })
    }

    fn text(&self) -> String {
        format!("{} {}", self.host_port, self.node)
    }
}

/// The remembered nodes of a home.
#[derive(Debug, Clone)]
pub struct TrustStore {
    file: LineFile<Trusted>,
    /// Whether a file that cannot be read counts as absent.
    is_lost: bool,
}

impl TrustStore {
    /// Those of a home's root directory.
    pub fn at(home: &Path) -> Self {
        Self { file: LineFile::at(home.join(TRUST_FILE)), is_lost: false }
    }

    /// The same of a home that cannot be used: what cannot be read there is not remembered.
    #[must_use]
    pub fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }

    /// What is wrong with a line that cannot be understood: what it remembered is not known.
    pub fn broken(&self) -> Option<LinesError> {
        self.file.broken()
    }

    /// The node that was remembered.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn lookup(&self, host_port: &str) -> Result<Option<NodeId>, LinesError> {
        let known = match self.file.read_what_is_right() {
            Err(LinesError::Io { .. }) if self.is_lost => Vec::new(),
            read => read?,
        };
        Ok(known.into_iter().find(|known| known.host_port == host_port).map(|known| known.node))
    }

    /// All that are remembered, in the order in which they were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self) -> Result<Vec<(String, NodeId)>, LinesError> {
        Ok(self.file.read_what_is_right()?.into_iter().map(|known| (known.host_port, known.node)).collect())
    }

    /// Remembers a node if none is remembered yet; returns the one that now is.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remember_first(&self, host_port: &str, node: NodeId) -> Result<NodeId, LinesError> {
        self.file.change(|known| match known.iter().find(|known| known.host_port == host_port) {
            Some(first) => (false, first.node),
            None => {
                known.push(Trusted { host_port: host_port.to_owned(), node });
                (true, node)
            }
        })
    }

    /// Forgets what was remembered; tells whether anything was.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn forget(&self, host_port: &str) -> Result<bool, LinesError> {
        self.file.change(|known| {
            let before = known.len();
            known.retain(|known| known.host_port != host_port);
            (known.len() != before, known.len() != before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::of_public_key(name.as_bytes())
    }

    #[test]
    fn what_is_remembered_is_found_and_forgotten() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = TrustStore::at(&dir.path().join("home"));
        assert_eq!(store.lookup("a:1").expect("read"), None);
        store.remember_first("a:1", node("c")).expect("written");
        store.remember_first("[fd66::1]:2", node("b")).expect("written");
        let expected = vec![("a:1".to_owned(), node("c")), ("[fd66::1]:2".to_owned(), node("b"))];
        assert_eq!(store.list().expect("read"), expected);
        assert!(store.forget("a:1").expect("written"));
        assert!(!store.forget("a:1").expect("written"));
        assert_eq!(store.remember_first("[fd66::1]:2", node("z")).expect("written"), node("b"));
        assert_eq!(store.remember_first("d:4", node("d")).expect("written"), node("d"));
        assert_eq!(store.lookup("[fd66::1]:2").expect("read"), Some(node("b")));
    }

    #[test]
    fn a_broken_line_is_named_and_takes_no_other_with_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = TrustStore::at(dir.path());
        std::fs::write(dir.path().join(TRUST_FILE), format!("a:1 {}\nnonsense\n", node("a"))).expect("written");
        assert!(matches!(store.broken(), Some(LinesError::Malformed { line: 2, .. })));
        assert_eq!(store.lookup("a:1").expect("read"), Some(node("a")));
        store.remember_first("b:1", node("b")).expect("written");
        assert_eq!(store.list().expect("read").len(), 2);
        assert!(matches!(store.broken(), Some(LinesError::Malformed { line: 3, .. })), "it is kept");
    }
}
