//! `HOME/sent/`: copies of standard input that is sent. Invariant: a copy stays as long as the command that makes it lives, or
//! somebody names it; whoever has the home removes the others.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::io::home::secret;

/// A copy that only its owner may read; removed when this is dropped, unless it is left.
#[derive(Debug)]
pub struct SentCopy {
    path: PathBuf,
    /// Locked: whoever makes it lives.
    file: File,
    is_left: bool,
}

impl SentCopy {
    /// An empty one of this name.
    ///
    /// # Errors
    /// When it cannot be made, or one of this name is there.
    pub fn begin(home: &Path, name: &str) -> io::Result<Self> {
        let dir = home.join("sent");
        secret::create_dir(&dir)?;
        let path = dir.join(name);
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            let file = options.write(true).create_new(true).open(&path)?;
            file.lock()?;
            // A node that has just begun may have removed it before it was locked.
            if path.exists() {
                return Ok(Self { path, file, is_left: false });
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What copies all of this into it, on whichever thread may block.
    ///
    /// # Errors
    /// When no further handle can be had; and there, when something cannot be read or written.
    pub fn filling<T: Read>(&self, mut from: T) -> io::Result<impl FnOnce() -> io::Result<()> + use<T>> {
        let mut to = self.file.try_clone()?;
        Ok(move || {
            io::copy(&mut from, &mut to)?;
            to.sync_all()?;
            // Whoever sends it may read it from now on, which some systems let nobody while it is locked for one alone.
            to.unlock()?;
            to.lock_shared()
        })
    }

    /// Lets it stay: somebody else names it.
    pub fn leave(mut self) {
        self.is_left = true;
    }
}

impl Drop for SentCopy {
    fn drop(&mut self) {
        if !self.is_left {
            // What cannot be removed now is removed by the next node of the home.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the copies that nobody makes and none of these names: for whoever has the home.
pub fn sweep(home: &Path, named: &[PathBuf]) {
    for path in copies(home).into_iter().filter(|path| !named.contains(path)) {
        let is_free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_free && let Err(error) = std::fs::remove_file(&path) {
            tracing::info!(path = %path.display(), %error, "a copy that nobody needs stays");
        }
    }
}

/// All copies that are there.
#[must_use]
pub fn copies(home: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(home.join("sent")).into_iter().flatten();
    all.flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_while_its_command_lives_or_somebody_names_it() {
        let home = tempfile::tempdir().expect("a directory");
        let begin = |name: &str| SentCopy::begin(home.path(), name).expect("made");
        let (alive, left, forgotten, dropped) = (begin("1"), begin("2"), begin("3"), begin("4"));
        alive.filling(&b"bytes"[..]).expect("a handle")().expect("copied");
        let (kept, path) = (left.path().to_owned(), alive.path().to_owned());
        left.leave();
        forgotten.leave();
        drop(dropped);
        sweep(home.path(), std::slice::from_ref(&kept));
        let mut there = copies(home.path());
        there.sort();
        assert_eq!(there, [path.clone(), kept]);
        assert_eq!(std::fs::read(path).expect("read"), b"bytes");
        drop(alive);
        sweep(home.path(), &[]);
        assert!(copies(home.path()).is_empty());
    }
}
