//! The held directory on Unix: openat2 on Linux, one no-follow step per component elsewhere.
//! Invariant: the system never resolves more than one name by itself, unless openat2 forbids it links and `..`.

mod rename;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

use self::rename::rename_new;
use super::{Access, FileKind, Stat};
use crate::io::receive::umask::Mask;
use crate::io::share::stamp::FileStamp;

/// Permissions of new files, and of new directories, where nothing is masked.
const FILES: u32 = 0o666;
const DIRECTORIES: u32 = 0o777;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// The system takes no path of 4096 bytes in one call; its parent and its name alone are shorter.
const LONGEST: usize = 4095;

/// openat2 says EAGAIN when a rename elsewhere raced with its look; that many in a row is no accident.
#[cfg(target_os = "linux")]
const RETRIES: usize = 256;

#[derive(Debug)]
pub(super) struct Handle {
    fd: OwnedFd,
    mask: Mask,
}

/// Makes a directory and those above it that are missing.
pub(super) fn create_dir_all(path: &Path, mask: Mask) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        match make_dir(fs::CWD, dir, mask) {
            // Somebody else was faster, or something else is there: opening the whole says so.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn make_dir(at: BorrowedFd<'_>, path: impl Arg + Copy, mask: Mask) -> Result<()> {
    fs::mkdirat(at, path, Mode::from_raw_mode(mask.making(DIRECTORIES)))?;
    let mode = || fs::statat(at, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| stat.st_mode).ok();
    match mask.given(DIRECTORIES, mode) {
        Some(mode) => fs::chmodat(at, path, Mode::from_raw_mode(mode), AtFlags::empty()),
        None => Ok(()),
    }
}

impl Handle {
    pub(super) fn ambient(path: &Path, mask: Mask) -> io::Result<Self> {
        Ok(Self { fd: fs::open(path, DIRECTORY | OFlags::CLOEXEC, Mode::empty())?, mask })
    }

    pub(super) fn open_dir(&self, path: &str) -> io::Result<Self> {
        Ok(Self { fd: beneath(self.fd.as_fd(), path, DIRECTORY, Mode::empty())?, mask: self.mask })
    }

    /// What is to be made must not be there, and what is there is not made: [`SafeDir`](super::SafeDir) tries both.
    pub(super) fn open(&self, path: &str, access: Access) -> io::Result<File> {
        let flags = match access {
            Access::Anew | Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            Access::OpenOrCreate => OFlags::RDWR,
            Access::Read => OFlags::RDONLY,
        };
        // NONBLOCK: a pipe that has taken a file's name must not hang us.
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let makes = flags.contains(OFlags::CREATE);
        let mode = if makes { Mode::from_raw_mode(self.mask.making(FILES)) } else { Mode::empty() };
        let file = match path.len() > LONGEST {
            true => self.within(path, |dir, name| beneath(dir, name, flags, mode))?,
            false => beneath(self.fd.as_fd(), path, flags, mode)?,
        };
        let is = || fs::fstat(&file).map(|stat| stat.st_mode).ok();
        if makes && let Some(mode) = self.mask.given(FILES, is) {
            fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        Ok(File::from(file))
    }

    pub(super) fn create_dir(&self, path: &str) -> io::Result<()> {
        self.within(path, |dir, name| make_dir(dir, name, self.mask))
    }

    pub(super) fn remove_file(&self, path: &str) -> io::Result<()> {
        self.within(path, |dir, name| fs::unlinkat(dir, name, AtFlags::empty()))
    }

    pub(super) fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.within(path, |dir, name| fs::unlinkat(dir, name, AtFlags::REMOVEDIR))
    }

    pub(super) fn stat(&self, path: &str) -> io::Result<Stat> {
        let stat = self.within(path, |dir, name| fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::RegularFile => FileKind::File,
            FileType::Symlink => FileKind::Link,
            _ => FileKind::Other,
        };
        Ok(Stat {
            kind,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            executable: Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR),
            identity: Some(identity(&stat)),
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the widths differ by platform")]
            links: stat.st_nlink as u64,
            owner: Some(stat.st_uid),
            stamp: Some(stamp(&stat)),
        })
    }

    pub(super) fn rename(&self, from: &str, to: &Self, new: &str, replace: bool) -> io::Result<()> {
        self.within(from, |old_dir, old| {
            to.nested(new, |new_dir, name| match replace {
                true => fs::renameat(old_dir, old, new_dir, name),
                false => rename_new(old_dir, old, new_dir, name),
            })
        })
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                found.push(name);
            }
        }
        Ok(found)
    }

    pub(super) fn entries(&self) -> io::Result<Vec<(String, FileKind)>> {
        // Asked again: a directory need not tell kinds. What vanished meanwhile is not there.
        let kind = |name: &str| self.stat(name).map_or(FileKind::Other, |stat| stat.kind);
        Ok(self.names()?.into_iter().map(|name| (kind(&name), name)).map(|(kind, name)| (name, kind)).collect())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.fd)?)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn sync_file_system(&self) -> io::Result<bool> {
        fs::syncfs(&self.fd)?;
        Ok(true)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "one signature on all platforms")]
    pub(super) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }

    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fs::fstat(&self.fd).ok().map(|stat| identity(&stat))
    }

    #[allow(clippy::unnecessary_cast, reason = "the width differs by platform")]
    pub(super) fn device(&self) -> Option<u64> {
        fs::fstat(&self.fd).ok().map(|s| s.st_dev as u64)
    }

    pub(super) fn available(&self) -> Option<u64> {
        let stat = fs::fstatvfs(&self.fd).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }

    pub(super) fn takes_files(&self) -> io::Result<()> {
        let access = fs::Access::WRITE_OK | fs::Access::EXEC_OK;
        fs::accessat(&self.fd, ".", access, AtFlags::EACCESS)?;
        // /proc and its like: root may write there, and yet nothing can be made.
        let stat = fs::fstatvfs(&self.fd)?;
        if stat.f_blocks == 0 && stat.f_files == 0 && stat.f_bavail == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(())
    }

    pub(super) fn longest_name(&self) -> Option<u64> {
        fs::fstatvfs(&self.fd).ok().map(|s| s.f_namemax).filter(|&n| n > 0)
    }

    fn within<T>(&self, path: &str, act: impl FnOnce(BorrowedFd<'_>, &str) -> Result<T>) -> io::Result<T> {
        Ok(self.nested(path, act)?)
    }

    /// Opens the directory that holds the path's last name, and acts on that name in it.
    fn nested<T>(&self, path: &str, act: impl FnOnce(BorrowedFd<'_>, &str) -> Result<T>) -> Result<T> {
        match path.rsplit_once('/') {
            None => act(self.fd.as_fd(), path),
            Some((parent, name)) => {
                let dir = beneath(self.fd.as_fd(), parent, DIRECTORY, Mode::empty())?;
                act(dir.as_fd(), name)
            }
        }
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the widths differ by platform")]
fn identity(stat: &fs::Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino.into())
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the widths differ by platform")]
fn stamp(stat: &fs::Stat) -> FileStamp {
    let nanos = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let (dev, ino) = identity(stat);
    FileStamp {
        dev,
        ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        executable: Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR),
    }
}

#[cfg(target_os = "linux")]
fn beneath(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RETRIES {
        match fs::openat2(dir, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A kernel before 5.6, or a sandbox that does not know the call.
            Err(Errno::NOSYS) => return step_by_step(dir, path, flags, mode),
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
use step_by_step as beneath;

/// Opens one component after the other, none of them through a link.
fn step_by_step(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let always = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut held: Option<OwnedFd> = None;
    let mut rest = path;
    while let Some((first, below)) = rest.split_once('/') {
        let from = held.as_ref().map_or(dir, AsFd::as_fd);
        held = Some(fs::openat(from, first, DIRECTORY | always, Mode::empty())?);
        rest = below;
    }
    fs::openat(held.as_ref().map_or(dir, AsFd::as_fd), rest, flags | always, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_openat2_no_component_may_be_a_link_either() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("made");
        std::os::unix::fs::symlink("a", dir.path().join("l")).expect("linked");
        std::os::unix::fs::symlink("b", dir.path().join("a/m")).expect("linked");
        let held = Handle::ambient(dir.path(), Mask::default()).expect("held");
        let open = |path| step_by_step(held.fd.as_fd(), path, DIRECTORY, Mode::empty()).map(drop);
        assert_eq!(open("a/b"), Ok(()));
        for path in ["l", "l/b", "a/m"] {
            assert!(matches!(open(path), Err(Errno::LOOP | Errno::NOTDIR)), "{path}");
        }
    }
}
