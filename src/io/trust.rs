//! Which node was seen at which `HOST:PORT`: the file HOME/trust, one `HOST:PORT ID` a line.
//! Invariant: the file is replaced as a whole, under a lock beside it, so no reader sees half and no writer loses
//! another's line. What to remember is decided above. Every method blocks on the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::io::secret;
use crate::model::NodeId;

/// The file within a home.
pub const TRUST_FILE: &str = "trust";

/// Why remembered nodes cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file system refused.
    #[error("{path} cannot be read or written ({cause}): check its permissions", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line is not `HOST:PORT ID`.
    #[error("line {line} of {path} is not `HOST:PORT ID`: repair or remove it", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// The remembered nodes of a home.
#[derive(Debug, Clone)]
pub struct TrustStore {
    path: PathBuf,
}

impl TrustStore {
    /// Those of a home's root directory.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self { path: home.join(TRUST_FILE) }
    }

    /// The node that was remembered.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn lookup(&self, host_port: &str) -> Result<Option<NodeId>, TrustError> {
        Ok(self.list()?.into_iter().find(|(known, _)| known == host_port).map(|(_, node)| node))
    }

    /// All that are remembered, in the order in which they were.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn list(&self) -> Result<Vec<(String, NodeId)>, TrustError> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|cause| self.failed(cause))?,
        };
        text.lines().enumerate().map(|(index, line)| self.parse(index + 1, line)).collect()
    }

    /// Remembers a node; a different one that was remembered before is replaced.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remember(&self, host_port: &str, node: NodeId) -> Result<(), TrustError> {
        let _lock = self.lock().map_err(|cause| self.failed(cause))?;
        let mut known = self.list()?;
        match known.iter_mut().find(|(known, _)| known == host_port) {
            Some((_, known)) if *known == node => return Ok(()),
            Some((_, known)) => *known = node,
            None => known.push((host_port.to_owned(), node)),
        }
        self.write(&known)
    }

    /// Remembers a node if none is remembered yet; returns the one that now is.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remember_first(&self, host_port: &str, node: NodeId) -> Result<NodeId, TrustError> {
        let _lock = self.lock().map_err(|cause| self.failed(cause))?;
        let mut known = self.list()?;
        if let Some((_, first)) = known.iter().find(|(known, _)| known == host_port) {
            return Ok(*first);
        }
        known.push((host_port.to_owned(), node));
        self.write(&known).map(|()| node)
    }

    /// Forgets what was remembered; tells whether anything was.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn forget(&self, host_port: &str) -> Result<bool, TrustError> {
        let _lock = self.lock().map_err(|cause| self.failed(cause))?;
        let mut known = self.list()?;
        let before = known.len();
        known.retain(|(known, _)| known != host_port);
        if known.len() == before {
            return Ok(false);
        }
        self.write(&known).map(|()| true)
    }

    fn parse(&self, line: usize, text: &str) -> Result<(String, NodeId), TrustError> {
        let parsed = text.split_once(' ').and_then(|(host_port, id)| Some((host_port.to_owned(), id.parse().ok()?)));
        parsed.ok_or_else(|| TrustError::Malformed { path: self.path.clone(), line })
    }

    fn write(&self, known: &[(String, NodeId)]) -> Result<(), TrustError> {
        let text: String = known.iter().map(|(host_port, node)| format!("{host_port} {node}\n")).collect();
        secret::replace(&self.path, text.as_bytes()).map_err(|cause| self.failed(cause))
    }

    /// Locks a file of its own: the store itself is replaced by every write.
    fn lock(&self) -> io::Result<File> {
        if let Some(home) = self.path.parent() {
            secret::create_dir(home)?;
        }
        let path = self.path.with_extension("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn failed(&self, cause: io::Error) -> TrustError {
        TrustError::Io { path: self.path.clone(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::of_public_key(name.as_bytes())
    }

    #[test]
    fn what_is_remembered_is_found_replaced_and_forgotten() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = TrustStore::at(&dir.path().join("home"));
        assert_eq!(store.lookup("a:1").expect("read"), None);
        store.remember("a:1", node("a")).expect("written");
        store.remember("[fd66::1]:2", node("b")).expect("written");
        store.remember("a:1", node("c")).expect("written");
        let expected = vec![("a:1".to_owned(), node("c")), ("[fd66::1]:2".to_owned(), node("b"))];
        assert_eq!(store.list().expect("read"), expected);
        assert!(store.forget("a:1").expect("written"));
        assert!(!store.forget("a:1").expect("written"));
        assert_eq!(store.remember_first("[fd66::1]:2", node("z")).expect("written"), node("b"));
        assert_eq!(store.remember_first("d:4", node("d")).expect("written"), node("d"));
        assert_eq!(store.lookup("[fd66::1]:2").expect("read"), Some(node("b")));
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = TrustStore::at(dir.path());
        std::thread::scope(|scope| {
            for port in 1..=8 {
                let store = &store;
                scope.spawn(move || store.remember(&format!("h:{port}"), node("n")).expect("written"));
            }
        });
        assert_eq!(store.list().expect("read").len(), 8);
    }

    #[test]
    fn a_broken_line_is_named_and_the_file_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let store = TrustStore::at(dir.path());
        std::fs::write(dir.path().join(TRUST_FILE), format!("a:1 {}\nnonsense\n", node("a"))).expect("written");
        assert!(matches!(store.lookup("a:1"), Err(TrustError::Malformed { line: 2, .. })));
        assert!(store.remember("b:1", node("b")).is_err());
    }
}
