//! `HOME/node/kept`: what a home goes on offering; beside it likewise `inbox` and `puts`. Not responsible for what is in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::io::home::{secret, small};

/// Bytes of it at most: thousands of paths, or all offers of which the inbox knows with the longest names.
const LARGEST: u64 = 32 << 20;

/// The file; blocks on the disk.
#[derive(Debug, Clone)]
pub struct KeptFile(PathBuf);

impl KeptFile {
    /// In the node's directory.
    #[must_use]
    pub fn at(node: &Path) -> Self {
        Self(node.join("kept"))
    }

    /// What others offer to the home's person.
    #[must_use]
    pub fn inbox(node: &Path) -> Self {
        Self(node.join("inbox"))
    }

    /// What the home's node sends for commands that have left it.
    #[must_use]
    pub fn puts(node: &Path) -> Self {
        Self(node.join("puts"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is in it; nothing where it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or is far larger than it can be.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match small::read(&self.0, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// Writes it as a whole.
    ///
    /// # Errors
    /// When it cannot be written: then it stays as it was.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        secret::replace(&self.0, bytes)
    }
}
