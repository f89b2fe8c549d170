//! A rename that replaces nothing.

use std::os::fd::BorrowedFd;

use rustix::fs::{self, AtFlags, FileType};
use rustix::io::{Errno, Result};

/// Renames without replacing; by a second name where the file system cannot say so in one call.
pub(super) fn rename_new(old_dir: BorrowedFd<'_>, old: &str, new_dir: BorrowedFd<'_>, new: &str) -> Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match fs::renameat_with(old_dir, old, new_dir, new, fs::RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        done => return done,
    }
    by_link(old_dir, old, new_dir, new)
}

/// A directory has no second name: there a look comes first, and only an empty directory made in between
/// could be replaced.
fn by_link(old_dir: BorrowedFd<'_>, old: &str, new_dir: BorrowedFd<'_>, new: &str) -> Result<()> {
    let kind = FileType::from_raw_mode(fs::statat(old_dir, old, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    if kind != FileType::Directory {
        match fs::linkat(old_dir, old, new_dir, new, AtFlags::empty()) {
            // A file system without second names, such as FAT.
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => {}
            linked => return linked.and_then(|()| fs::unlinkat(old_dir, old, AtFlags::empty())),
        }
    }
    match fs::statat(new_dir, new, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => fs::renameat(old_dir, old, new_dir, new),
        Ok(_) => Err(Errno::EXIST),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn without_renameat2_nothing_is_replaced_either() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for name in ["old", "taken"] {
            std::fs::write(dir.path().join(name), name).expect("written");
        }
        std::fs::create_dir_all(dir.path().join("tree/x")).expect("made");
        let held = std::fs::File::open(dir.path()).expect("held");
        let fd = held.as_fd();
        assert_eq!(by_link(fd, "old", fd, "taken"), Err(Errno::EXIST));
        assert_eq!(by_link(fd, "tree", fd, "taken"), Err(Errno::EXIST));
        assert_eq!(by_link(fd, "old", fd, "new"), Ok(()));
        assert_eq!(by_link(fd, "tree", fd, "grown"), Ok(()));
        assert_eq!(std::fs::read(dir.path().join("new")).expect("there"), b"old");
        assert!(!dir.path().join("old").exists() && dir.path().join("grown/x").exists());
    }
}
