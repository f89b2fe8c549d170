//! What lies at a shared path at this moment: the directory that its events come from, and which one that is.
//! Equal places are the same directory, but for a file system that gives a new one the number and the birth time of a
//! removed one; the watch itself tells of that.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::Kind;

/// Where a root's events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WatchedDir {
    /// The directory to be watched, without links. An editor replaces a file, so for a file its directory.
    pub(super) dir: PathBuf,
    /// Beneath which changes matter, without links.
    pub(super) target: PathBuf,
    identity: Identity,
}

/// Which directory it is: a path says where it was, not which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    dev: u64,
    ino: u64,
    born: Option<SystemTime>,
}

impl WatchedDir {
    /// What lies at a path now; its links are followed. Blocks for some ten system calls.
    ///
    /// # Errors
    /// When there is nothing (for a file: not even its directory), or it cannot be looked at.
    pub(super) fn of(named: &Path, kind: Kind) -> io::Result<Self> {
        let target = match (fs::canonicalize(named), kind) {
            // A file that is not there is awaited in its directory.
            (Err(error), Kind::File) if error.kind() == io::ErrorKind::NotFound => awaited(named, error)?,
            (result, _) => result?,
        };
        let dir = match kind {
            Kind::Collection => target.clone(),
            Kind::File => target.parent().unwrap_or(&target).to_owned(),
        };
        let meta = fs::symlink_metadata(&dir)?;
        if !meta.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { identity: Identity::of(&meta), dir, target })
    }
}

fn awaited(named: &Path, error: io::Error) -> io::Result<PathBuf> {
    match (named.parent(), named.file_name()) {
        (Some(parent), Some(name)) => Ok(fs::canonicalize(parent)?.join(name)),
        _ => Err(error),
    }
}

impl Identity {
    #[cfg(unix)]
    fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { dev: meta.dev(), ino: meta.ino(), born: meta.created().ok() }
    }

    #[cfg(not(unix))]
    fn of(meta: &Metadata) -> Self {
        Self { dev: 0, ino: 0, born: meta.created().ok() }
    }
}

/// Whether a failure to look means that nothing is there; any other failure says nothing about what is there.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether others may change the directory without this system hearing of it: it lies on a server, or behind a program.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(dir: &Path) -> bool {
    // statfs(2): AFS, Ceph, CIFS, FUSE, NFS, SMB 1, SMB 2, 9P.
    const REMOTE: [u32; 8] =
        [0x5346_414f, 0x00c3_6400, 0xff53_4d42, 0x6573_5546, 0x0000_6969, 0x0000_517b, 0xfe53_4d42, 0x0102_1997];
    // The field's type differs among architectures; the magic numbers are 32 bits.
    let kind = |stat: rustix::fs::StatFs| u32::try_from(stat.f_type & 0xffff_ffff).ok();
    rustix::fs::statfs(dir).ok().and_then(kind).is_some_and(|kind| REMOTE.contains(&kind))
}

/// Elsewhere the system's watch covers what it can, and the slow look the rest.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_: &Path) -> bool {
    false
}

/// The mount points beneath a directory: a file system that comes or goes there is no event of any directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mounts(String);

impl Mounts {
    /// What is mounted at this moment, as the kernel lists it; `None` where it does not, or where the list cannot be read.
    pub(super) fn now() -> Option<Self> {
        fs::read_to_string("/proc/self/mountinfo").ok().map(Self)
    }

    /// Those beneath a directory. The list's lines are told apart whole: mount, device and place.
    pub(super) fn beneath(&self, dir: &Path) -> Self {
        let beneath = |line: &&str| {
            // proc_pid_mountinfo(5): the fifth field is the mount point.
            let point = line.split(' ').nth(4).map(unescaped).unwrap_or_default();
            Path::new(&point).starts_with(dir) && Path::new(&point) != dir
        };
        Self(self.0.lines().filter(beneath).collect::<Vec<_>>().join("\n"))
    }
}

/// A path of the list, in which the characters that would end a field are octal.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &Path) -> WatchedDir {
        WatchedDir::of(path, Kind::Collection).expect("there")
    }

    #[test]
    fn another_directory_at_the_same_path_is_another_place() {
        let dir = tempfile::tempdir().expect("tempdir");
        let [at, next] = ["at", "next"].map(|name| dir.path().join(name));
        fs::create_dir(&at).expect("mkdir");
        let before = place(&at);
        assert_eq!(before, place(&at));
        fs::create_dir(&next).expect("mkdir");
        fs::rename(&at, dir.path().join("old")).expect("rename");
        assert!(is_absence(&WatchedDir::of(&at, Kind::Collection).expect_err("away")));
        fs::rename(&next, &at).expect("rename");
        assert_ne!(before, place(&at));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_elsewhere_is_another_place() {
        let dir = tempfile::tempdir().expect("tempdir");
        let link = dir.path().join("current");
        for release in ["1", "2"] {
            fs::create_dir(dir.path().join(release)).expect("mkdir");
        }
        std::os::unix::fs::symlink("1", &link).expect("symlink");
        let before = place(&link);
        assert_eq!(before, place(&dir.path().join("1")));
        fs::remove_file(&link).expect("remove");
        std::os::unix::fs::symlink("2", &link).expect("symlink");
        assert_ne!(before, place(&link));
    }

    #[test]
    fn a_file_that_is_not_there_is_awaited_in_its_directory() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("file");
        let before = WatchedDir::of(&file, Kind::File).expect("its directory is there");
        fs::write(&file, "x").expect("write");
        assert_eq!(WatchedDir::of(&file, Kind::File).expect("there"), before);
        assert!(WatchedDir::of(&dir.path().join("no/file"), Kind::File).is_err());
    }

    #[test]
    fn mounts_beneath_a_directory_are_told_from_others() {
        let line = |id: u32, point: &str| format!("{id} 1 0:{id} / {point} rw - tmpfs x rw");
        let mounts = |lines: &[String]| Mounts(lines.join("\n"));
        let before = mounts(&[line(1, "/"), line(2, "/srv/a\\040b"), line(3, "/srv/a\\040b/disk")]);
        let other = mounts(&[line(1, "/"), line(2, "/srv/a\\040b"), line(9, "/mnt")]);
        let dir = Path::new("/srv/a b");
        assert_eq!(before.beneath(dir), mounts(&[line(3, "/srv/a\\040b/disk")]));
        assert_eq!(other.beneath(dir), Mounts::default());
    }
}
