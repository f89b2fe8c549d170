//! The directory where a user's nodes keep their identities and caches: `HOME/tracker` and `HOME/node`.
//! Invariant: at most one process at a time holds a role's lock; the system lets it go when the process ends.
//! What lies inside the directories belongs to others.

pub mod allow;
pub mod begun;
pub mod control;
pub mod friends;
pub mod identity;
pub mod jobs;
pub mod kept;
pub mod lines;
pub mod met;
pub mod remembered;
pub mod secret;
pub mod seen;
pub mod sent;
pub mod small;
pub mod trust;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use directories::{ProjectDirs, UserDirs};
use serde::{Deserialize, Serialize};

use crate::model::{Cause, LocalPath};
use crate::wire::Role;

/// Never a directory.
#[cfg(unix)]
const ABSENT: &str = "/dev/null/qshare";
/// Never a directory.
#[cfg(not(unix))]
const ABSENT: &str = "NUL\\qshare";
/// The lock file within a role's directory.
pub const LOCK_FILE: &str = "lock";
/// Looking at who holds a lock takes it for an instant, so a taken lock is tried this often before it counts.
const TRIES: u32 = 5;
/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Why a home cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HomeError {
    /// There is none.
    #[error("there is no home directory here")]
    Absent,
    /// The file system refused.
    #[error("the home directory {} cannot be used ({}: {source})", home.display(), path.display())]
    Io {
        /// Which home.
        home: LocalPath,
        /// Which path of it.
        path: LocalPath,
        /// Why.
        source: Cause,
    },
    /// Another process has it.
    #[error("{} is in use by {}", path.display(), holder_text(*pid))]
    Locked {
        /// The role's directory.
        path: LocalPath,
        /// The other process, when it could be read.
        pid: Option<u32>,
    },
}

/// A home directory; it is created when something is first kept in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at a path.
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether anything is kept to be offered by its node. Blocks on the disk.
    pub fn keeps_offers(&self) -> bool {
        // One that cannot be read is told of by the node.
        kept::KeptFile::at(&self.role_dir(Role::Node)).read().map_or(true, |bytes| !bytes.is_empty())
    }

    /// That of a user who has none: below a device nothing is found and nothing can be made, so everything that is only
    /// read from a home is absent.
    pub fn absent() -> Self {
        Self::at(PathBuf::from(ABSENT))
    }

    /// Whether it is the one that is not there.
    pub fn is_absent(&self) -> bool {
        self.root == Path::new(ABSENT)
    }

    /// The platform's directory for downloads, where it has one.
    #[must_use]
    pub fn downloads() -> Option<PathBuf> {
        UserDirs::new()?.download_dir().map(Path::to_owned)
    }

    /// The platform's data directory for this program; `None` where the user has no home directory.
    pub fn default_root() -> Option<PathBuf> {
        ProjectDirs::from("", "", "qshare").map(|dirs| dirs.data_dir().to_owned())
    }

    /// The path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a role, which may not exist yet.
    pub fn role_dir(&self, role: Role) -> PathBuf {
        self.root.join(match role {
            Role::Bench => "bench",
            Role::Node => "node",
            Role::Tracker => "tracker",
        })
    }

    /// Takes a role's lock, and makes its directory if need be. Blocks for a moment when the lock is taken.
    ///
    /// # Errors
    /// When another process has it, or the file system refuses.
    pub fn lock(&self, role: Role) -> Result<HomeLock, HomeError> {
        if self.is_absent() {
            return Err(HomeError::Absent);
        }
        let dir = self.role_dir(role);
        let path = dir.join(LOCK_FILE);
        let failed = |source: io::Error| HomeError::Io {
            home: self.root.clone().into(),
            path: path.clone().into(),
            source: source.into(),
        };
        secret::create_dir(&dir).map_err(failed)?;
        let mut file = open(&path).map_err(failed)?;
        for attempt in 1..=TRIES {
            match file.try_lock() {
                Ok(()) => {
                    write_holder(&mut file).map_err(failed)?;
                    let lock = HomeLock { file, control: dir.join(control::FILE) };
                    lock.remove_control();
                    return Ok(lock);
                }
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        let pid = read_pid(&mut file);
        Err(HomeError::Locked { path: dir.into(), pid })
    }

    /// The process that holds a role's lock, if one does.
    pub fn holder(&self, role: Role) -> Option<u32> {
        self.held(role).flatten()
    }

    /// Whether a process holds a role's lock, and which one, when that can be read.
    pub fn held(&self, role: Role) -> Option<Option<u32>> {
        let mut file = File::open(self.role_dir(role).join(LOCK_FILE)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_pid(&mut file)),
            _ => None,
        }
    }
}

/// A held lock; let go when dropped.
#[derive(Debug)]
pub struct HomeLock {
    file: File,
    /// Where the control socket is told: by whoever has the lock alone.
    control: PathBuf,
}

impl HomeLock {
    /// What an earlier holder left says where nobody is.
    fn remove_control(&self) {
        // It is not there, mostly; what cannot be removed is found out by whoever dials it.
        let _ = std::fs::remove_file(&self.control);
    }
}

impl Drop for HomeLock {
    fn drop(&mut self) {
        self.remove_control();
        // Only for people who look into the file; the lock itself goes with the file.
        let _ = self.file.set_len(0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // It is written: a second name would be that of somebody else's file.
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 1 {
        return Err(io::Error::other("it has another name as well"));
    }
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let program = std::env::args_os().next().unwrap_or_default();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}\n{}", std::process::id(), program.display())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    text.lines().next()?.parse().ok()
}

fn holder_text(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_has_a_role() {
        let dir = tempfile::tempdir().expect("tempdir");
        let home = Home::at(dir.path().join("home"));
        assert_eq!(home.holder(Role::Node), None);
        let lock = home.lock(Role::Node).expect("locked");
        assert_eq!(home.holder(Role::Node), Some(std::process::id()));
        let error = home.lock(Role::Node).expect_err("taken").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        let _other_role = home.lock(Role::Tracker).expect("locked");
        drop(lock);
        assert_eq!(home.holder(Role::Node), None);
        home.lock(Role::Node).expect("free again");
    }

    #[test]
    fn a_home_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = Home::at(file.clone()).lock(Role::Node).expect_err("not a directory").to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
