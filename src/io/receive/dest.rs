//! A held directory in which received content is placed.
//! Invariant: whatever is done lies beneath the handle and passes through no symlink; paths are [`SafePath`]s only.
//! Not responsible for what is placed, nor for when it is synced.

mod access;
mod error;
mod last_dir;
mod lock;
mod own;
#[cfg(any(not(unix), test))]
#[cfg_attr(unix, expect(dead_code, reason = "on Unix only its own tests use it"))]
mod portable;
#[cfg(unix)]
mod unix;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

#[cfg(not(unix))]
use portable::{Handle, create_dir_all};
#[cfg(unix)]
use unix::{Handle, create_dir_all};

use crate::io::receive::umask::Mask;
use crate::model::{LocalPath, SafePath};

pub(super) use crate::model::text::path::quoted;
pub use access::{Access, FileKind, Replace, Stat};
pub use error::DestError;
pub use last_dir::LastDir;
pub use lock::try_lock;
pub use own::set_executable;

/// A held directory. Cheap to clone; every operation blocks on the file system.
#[derive(Debug, Clone)]
pub struct SafeDir {
    handle: Arc<Handle>,
    path: PathBuf,
}

impl SafeDir {
    /// Holds a directory that the user named; links in that path are followed, this once.
    ///
    /// # Errors
    /// When it is not a directory that can be opened.
    pub fn open(path: &Path) -> Result<Self, DestError> {
        Self::open_masked(path, Mask::default())
    }

    /// Like [`SafeDir::open`]; what is made there and beneath gets no more permissions than this says.
    ///
    /// # Errors
    /// As there.
    pub fn open_masked(path: &Path, mask: Mask) -> Result<Self, DestError> {
        let handle = Handle::ambient(path, mask).map_err(|e| DestError::io("open", path, e))?;
        Ok(Self { handle: Arc::new(handle), path: path.to_owned() })
    }

    /// Like [`SafeDir::open_masked`], making the directory and those above it when missing.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn create(path: &Path, mask: Mask) -> Result<Self, DestError> {
        match create_dir_all(path, mask) {
            // What is there and is no directory is not to be replaced: opening it says what it is.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(DestError::io("create", path, error)),
            _ => Self::open_masked(path, mask),
        }
    }

    /// The path by which it was opened, for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where `below` is, for messages only.
    pub fn shown(&self, below: &SafePath) -> LocalPath {
        self.path.join(below.as_str()).into()
    }

    /// Holds a directory beneath.
    ///
    /// # Errors
    /// When it is missing, not a directory, or behind a link.
    pub fn dir(&self, path: &SafePath) -> Result<Self, DestError> {
        let handle = self.handle.open_dir(path.as_str()).map_err(|e| self.explain("open", path, e))?;
        Ok(Self { handle: Arc::new(handle), path: self.path.join(path.as_str()) })
    }

    /// Opens a file beneath; directories above it are made when it may be made itself.
    ///
    /// # Errors
    /// When it cannot be opened so.
    pub fn file(&self, path: &SafePath, access: Access) -> Result<File, DestError> {
        let mut opened = self.open_once(path, access);
        let missing = opened.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if missing && access != Access::Read && self.create_parents(path)? {
            opened = self.open_once(path, access);
        }
        let doing = if access == Access::Read { "read" } else { "write" };
        let (file, was_there) = opened.map_err(|e| self.explain(doing, path, e))?;
        // What was made by this very call is nobody else's.
        if was_there {
            self.check(path, &file, access != Access::Read)?;
        }
        Ok(file)
    }

    /// Opens it, and says whether it was there before.
    fn open_once(&self, path: &SafePath, access: Access) -> io::Result<(File, bool)> {
        let path = path.as_str();
        let made = match access {
            Access::Read => return Ok((self.handle.open(path, Access::Read)?, true)),
            _ => self.handle.open(path, Access::CreateNew),
        };
        match (made, access) {
            (Err(error), Access::OpenOrCreate) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok((self.handle.open(path, Access::OpenOrCreate)?, true))
            }
            (Err(error), Access::Anew) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.handle.remove_file(path)?;
                Ok((self.handle.open(path, Access::CreateNew)?, false))
            }
            (made, _) => Ok((made?, false)),
        }
    }

    /// Makes a directory and those above it; one that is there is left as it is.
    ///
    /// # Errors
    /// When something else has the name, or it cannot be made.
    pub fn create_dirs(&self, path: &SafePath) -> Result<(), DestError> {
        let mut made = self.handle.create_dir(path.as_str());
        let missing = made.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if missing && self.create_parents(path)? {
            made = self.handle.create_dir(path.as_str());
        }
        match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match self.stat(path)?.map(|s| s.kind) {
                Some(FileKind::Directory) => Ok(()),
                _ => Err(self.explain("create", path, e)),
            },
            other => other.map_err(|e| self.explain("create", path, e)),
        }
    }

    /// What has the name; `None` when nothing has, or nothing can because a directory above is missing.
    ///
    /// # Errors
    /// When a directory above it is a link or a file, or the file system fails.
    pub fn stat(&self, path: &SafePath) -> Result<Option<Stat>, DestError> {
        match self.handle.stat(path.as_str()) {
            Ok(stat) => Ok(Some(stat)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.explain("look at", path, e)),
        }
    }

    /// Names in the directory itself that begin so. Looks at none of them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>, DestError> {
        let mut names = self.handle.names().map_err(|e| DestError::io("read", &self.path, e))?;
        names.retain(|name| name.starts_with(beginning));
        Ok(names)
    }

    /// Names and kinds in the directory itself, or in one beneath.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self, path: Option<&SafePath>) -> Result<Vec<(String, FileKind)>, DestError> {
        let Some(path) = path else {
            return self.handle.entries().map_err(|e| DestError::io("read", &self.path, e));
        };
        let dir = self.dir(path)?;
        dir.handle.entries().map_err(|e| self.explain("read", path, e))
    }

    /// Moves a file or directory to another name, in this or another held directory of the same file system.
    /// Directories above the new name must be there.
    ///
    /// # Errors
    /// [`DestError::Exists`] when the new name is taken and may not be replaced.
    pub fn rename(&self, from: &SafePath, to: &Self, new: &SafePath, replace: Replace) -> Result<(), DestError> {
        if replace == Replace::File {
            match to.stat(new)?.map(|s| s.kind) {
                Some(FileKind::Link) => return Err(DestError::Link { path: to.shown(new) }),
                Some(FileKind::Directory | FileKind::Other) => return Err(DestError::Exists { path: to.shown(new) }),
                Some(FileKind::File) | None => {}
            }
        }
        let renamed = self.handle.rename(from.as_str(), &to.handle, new.as_str(), replace == Replace::File);
        renamed.map_err(|e| to.explain("rename to", new, e))
    }

    /// Removes a file or a link itself; nothing happens when it is missing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, path: &SafePath) -> Result<(), DestError> {
        self.missing_is_fine(path, self.handle.remove_file(path.as_str()))
    }

    /// Removes a directory and all beneath it, following nothing; nothing happens when it is missing.
    /// Only for directories that qshare made.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_tree(&self, path: &SafePath) -> Result<(), DestError> {
        match self.stat(path)?.map(|s| s.kind) {
            None => return Ok(()),
            Some(FileKind::Directory) => {}
            Some(_) => return self.remove_file(path),
        }
        for (name, kind) in self.entries(Some(path))? {
            let child = self.child(Some(path), &name)?;
            if kind == FileKind::Directory { self.remove_tree(&child)? } else { self.remove_file(&child)? }
        }
        self.missing_is_fine(path, self.handle.remove_dir(path.as_str()))
    }

    /// The path of a name found by [`SafeDir::entries`].
    ///
    /// # Errors
    /// [`DestError::Foreign`] when qshare never makes such a name.
    pub fn child(&self, parent: Option<&SafePath>, name: &str) -> Result<SafePath, DestError> {
        let shown = || LocalPath::from(parent.map_or_else(|| self.path.clone().into(), |p| self.shown(p)).join(name));
        let below = SafePath::parse(name).map_err(|_| DestError::Foreign { path: shown() })?;
        parent.map_or_else(|| Ok(below.clone()), |p| p.join(&below)).map_err(|_| DestError::Foreign { path: shown() })
    }

    /// Sets or clears the executable bit of a file, for all who may read it.
    ///
    /// # Errors
    /// When it cannot be opened or changed.
    pub fn set_executable(&self, path: &SafePath, executable: bool) -> Result<(), DestError> {
        set_executable(&self.file(path, Access::Read)?, executable)
            .map_err(|e| self.explain("change the mode of", path, e))
    }

    /// Sets when a file was last modified.
    ///
    /// # Errors
    /// When it cannot be opened or changed.
    pub fn set_modified(&self, path: &SafePath, time: SystemTime) -> Result<(), DestError> {
        // Windows asks for a file that may be written; elsewhere its owner may always.
        let file = self.file(path, if cfg!(windows) { Access::OpenOrCreate } else { Access::Read })?;
        file.set_modified(time).map_err(|e| self.explain("set the time of", path, e))
    }

    /// Makes the names in the directory durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), DestError> {
        self.handle.sync().map_err(|e| DestError::io("sync", &self.path, e))
    }

    /// Makes all that was written to the file system durable; false where that cannot be asked for.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync_file_system(&self) -> Result<bool, DestError> {
        self.handle.sync_file_system().map_err(|e| DestError::io("sync", &self.path, e))
    }

    /// Device and inode of the directory; `None` where there is no such thing.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.handle.identity()
    }

    /// The device that the directory is on; `None` where there is no such thing.
    pub fn device(&self) -> Option<u64> {
        self.handle.device()
    }

    /// Bytes that this user may still write here; `None` where that is not told.
    pub fn available(&self) -> Option<u64> {
        self.handle.available()
    }

    /// Whether a file could be made in it, as far as can be told without making one.
    ///
    /// # Errors
    /// What making one would say.
    pub fn takes_files(&self) -> Result<(), DestError> {
        self.handle.takes_files().map_err(|e| DestError::io("write in", &self.path, e))
    }

    /// The longest name in bytes that the file system takes; `None` where that is not told.
    pub fn longest_name(&self) -> Option<u64> {
        self.handle.longest_name()
    }

    fn create_parents(&self, path: &SafePath) -> Result<bool, DestError> {
        let Some(parent) = path.parent() else { return Ok(false) };
        self.create_dirs(&parent).map(|()| true)
    }

    fn missing_is_fine(&self, path: &SafePath, removed: io::Result<()>) -> Result<(), DestError> {
        match removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| self.explain("remove", path, e)),
        }
    }

    /// Finds the component that stood in the way, so that the error names it.
    pub(super) fn explain(&self, doing: &'static str, path: &SafePath, error: io::Error) -> DestError {
        let mut prefix = String::new();
        for component in path.components() {
            prefix.push_str(if prefix.is_empty() { "" } else { "/" });
            prefix.push_str(component);
            let Ok(stat) = self.handle.stat(&prefix) else { break };
            let last = prefix.len() == path.as_str().len();
            let at = LocalPath::from(self.path.join(&prefix));
            match stat.kind {
                FileKind::Link => return DestError::Link { path: at },
                FileKind::File | FileKind::Other if !last => {
                    return DestError::NotADirectory { path: at };
                }
                FileKind::Other => return DestError::NotAFile { path: at },
                FileKind::Directory if last && error.kind() == io::ErrorKind::IsADirectory => {
                    return DestError::NotAFile { path: at };
                }
                _ => {}
            }
        }
        DestError::io(doing, &self.shown(path), error)
    }
}

#[cfg(test)]
mod tests;
