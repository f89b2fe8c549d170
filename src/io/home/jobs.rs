//! Where a node keeps its jobs: one small file each, `HOME/node/jobs/NUMBER`, written whole and put in place by its rename.
//! Not responsible for what is in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::io::home::{secret, small};

/// Bytes of a file at most; a request with all its patterns has far fewer.
const LARGEST: u64 = 1 << 20;
/// Files that are read; more were never written.
const MOST: usize = 4096;

/// The directory.
#[derive(Debug, Clone)]
pub struct JobFiles(PathBuf);

/// What is kept of one.
#[derive(Debug)]
pub struct JobFile {
    /// Its number.
    pub number: u32,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it, if it can be read.
    pub bytes: io::Result<Vec<u8>>,
}

impl JobFiles {
    /// Those of a node; made with the first of them. Every method blocks on the disk.
    pub fn at(node: &Path) -> Self {
        Self(node.join("jobs"))
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// All of them, by their numbers. What has no number for its name is none.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn read(&self) -> io::Result<Vec<JobFile>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries.take(MOST) {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(number) = number {
                files.push(JobFile { number, bytes: small::read(&path, LARGEST), path });
            }
        }
        files.sort_by_key(|file| file.number);
        Ok(files)
    }

    /// Keeps one, in the place of what was kept of it.
    ///
    /// # Errors
    /// When it cannot be written: then what was kept of it stays.
    pub fn write(&self, number: u32, bytes: &[u8]) -> io::Result<()> {
        secret::replace(&self.path(number), bytes)
    }

    /// Forgets one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, number: u32) -> io::Result<()> {
        match std::fs::remove_file(self.path(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn path(&self, number: u32) -> PathBuf {
        self.0.join(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_torn_takes_nothing_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = JobFiles::at(dir.path());
        assert!(files.read().expect("none yet").is_empty());
        files.write(10, b"ten").expect("written");
        files.write(9, b"nine").expect("written");
        files.write(9, b"nine again").expect("written");
        std::fs::write(files.dir().join("notes"), "mine").expect("written");
        std::fs::create_dir(files.dir().join("11")).expect("made");
        let read: Vec<_> = files.read().expect("read").into_iter().map(|f| (f.number, f.bytes.ok())).collect();
        assert_eq!(read, [(9, Some(b"nine again".to_vec())), (10, Some(b"ten".to_vec())), (11, None)]);
        files.remove(9).expect("removed");
        files.remove(9).expect("gone");
        assert_eq!(files.read().expect("read").len(), 2);
    }
}
