//! The held directory where there is no openat: cap-std, looking at each component before it is stepped into.
//! Compiled in tests too, so that it is known to work.

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, OpenOptions};

use super::{Access, FileKind, Stat};
use crate::io::receive::umask::Mask;

#[derive(Debug)]
pub(super) struct Handle(Dir);

/// There are no permissions to leave out.
pub(super) fn create_dir_all(path: &Path, _: Mask) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

impl Handle {
    pub(super) fn ambient(path: &Path, _: Mask) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(Self)
    }

    pub(super) fn open_dir(&self, path: &str) -> io::Result<Self> {
        let (dir, name) = self.parent(path)?;
        step(&dir, name).map(Self)
    }

    pub(super) fn open(&self, path: &str, access: Access) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        if dir.symlink_metadata(name).is_ok_and(|m| !m.is_file()) {
            return Err(io::Error::other("not a regular file"));
        }
        let mut options = OpenOptions::new();
        options.read(true);
        match access {
            Access::Anew | Access::CreateNew => options.write(true).create_new(true),
            Access::OpenOrCreate => options.write(true),
            Access::Read => &mut options,
        };
        dir.open_with(name, &options).map(cap_std::fs::File::into_std)
    }

    pub(super) fn create_dir(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.create_dir(name)
    }

    pub(super) fn remove_file(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.remove_file(name)
    }

    pub(super) fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.remove_dir(name)
    }

    pub(super) fn stat(&self, path: &str) -> io::Result<Stat> {
        let (dir, name) = self.parent(path)?;
        let found = dir.symlink_metadata(name)?;
        let kind = kind_of(found.file_type());
        Ok(Stat {
            kind,
            len: found.len(),
            allocated: found.len(),
            executable: false,
            identity: None,
            links: 1,
            owner: None,
            stamp: None,
        })
    }

    pub(super) fn rename(&self, from: &str, to: &Self, new: &str, replace: bool) -> io::Result<()> {
        let (old_dir, old) = self.parent(from)?;
        let (new_dir, name) = to.parent(new)?;
        if replace {
            return old_dir.rename(old, &new_dir, name);
        }
        if old_dir.symlink_metadata(old)?.is_file() && old_dir.hard_link(old, &new_dir, name).is_ok() {
            return old_dir.remove_file(old);
        }
        if new_dir.symlink_metadata(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        old_dir.rename(old, &new_dir, name)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        self.0.entries()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    pub(super) fn entries(&self) -> io::Result<Vec<(String, FileKind)>> {
        let entries = self.0.entries()?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), kind_of(entry.file_type()?)))
        });
        entries.collect()
    }

    /// A directory cannot be synced everywhere; where it cannot, its names are as durable as they get.
    pub(super) fn sync(&self) -> io::Result<()> {
        let _ = self.0.try_clone()?.into_std_file().sync_all();
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "one signature on all platforms")]
    pub(super) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }

    #[expect(clippy::unused_self, reason = "one signature on all platforms")]
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        None
    }

    #[expect(clippy::unused_self, reason = "one signature on all platforms")]
    pub(super) fn device(&self) -> Option<u64> {
        None
    }

    #[expect(clippy::unused_self, reason = "one signature on all platforms")]
    pub(super) fn available(&self) -> Option<u64> {
        None
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "one signature on all platforms")]
    pub(super) fn takes_files(&self) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "one signature on all platforms")]
    pub(super) fn longest_name(&self) -> Option<u64> {
        None
    }

    fn parent<'p>(&self, path: &'p str) -> io::Result<(Dir, &'p str)> {
        let mut dir = self.0.try_clone()?;
        let mut rest = path;
        while let Some((first, below)) = rest.split_once('/') {
            dir = step(&dir, first)?;
            rest = below;
        }
        Ok((dir, rest))
    }
}

/// Steps into a directory that is no link. One swapped in after the look stays beneath: cap-std sees to that.
fn step(dir: &Dir, name: &str) -> io::Result<Dir> {
    if dir.symlink_metadata(name)?.is_dir() { dir.open_dir(name) } else { Err(io::Error::other("not a directory")) }
}

fn kind_of(kind: FileType) -> FileKind {
    match kind {
        _ if kind.is_dir() => FileKind::Directory,
        _ if kind.is_file() => FileKind::File,
        _ if kind.is_symlink() => FileKind::Link,
        _ => FileKind::Other,
    }
}
