//! What tells that a file is still the one that was hashed: device, inode, size and times.
//! Invariant: two equal stamps of one running system mean the same bytes, but for writes within one tick of the
//! file system's clock (see [`FileStamp::is_settled`]).

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::Modified;

/// How close to the start of hashing a file's times make its stamp doubtful: a later write within the same tick
/// of the file system's clock would not change it. Kernel ticks are 1 to 10 ms; 100 ms covers slow clocks.
const RACY_NS: i64 = 100_000_000;

/// A file's identity and state; equal stamps mean "unchanged".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last write, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Time of the last change of the inode, in nanoseconds since 1970; nobody can set it back.
    pub ctime_ns: i64,
    /// Whether the owner may execute it.
    pub executable: bool,
}

/// What has become of a file since an earlier stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only what a change of permissions, owner, name or number of links alters: such a change says nothing about the
    /// bytes, but a write whose time was set back looks the same.
    Metadata,
    /// Nothing.
    None,
    /// Another file of the same size is in its place.
    Replaced,
    /// It has another size, so it has other bytes.
    Resized,
    /// It was written to or touched.
    Touched,
}

impl FileStamp {
    /// What has become of the file since it had the stamp `before`.
    pub fn since(&self, before: &Self) -> Change {
        if self == before {
            Change::None
        } else if self.size != before.size {
            Change::Resized
        } else if (self.dev, self.ino) != (before.dev, before.ino) {
            Change::Replaced
        } else if self.mtime_ns == before.mtime_ns {
            Change::Metadata
        } else {
            Change::Touched
        }
    }

    /// Bytes of [`FileStamp::key`].
    pub const KEY_LEN: usize = 40;
    /// Bytes at the front of [`FileStamp::key`] that name the inode.
    pub const INODE_LEN: usize = 16;

    /// The stamp in what `stat` said.
    #[cfg(unix)]
    pub fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let nanos = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanos(meta.ctime(), meta.ctime_nsec()),
            executable: meta.mode() & 0o100 != 0,
        }
    }

    /// The stamp in what the portable calls say: no inode, so it tells change but not identity.
    #[cfg(not(unix))]
    pub fn of(meta: &Metadata) -> Self {
        let nanos = |time: io::Result<SystemTime>| time.map_or(0, nanos_of);
        Self {
            dev: 0,
            ino: 0,
            size: meta.len(),
            mtime_ns: nanos(meta.modified()),
            ctime_ns: nanos(meta.created()),
            executable: false,
        }
    }

    /// The stamp of an open file (`fstat`).
    ///
    /// # Errors
    /// When the file system fails.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    /// Whether stamps name one file among all: without inode numbers they must not be a cache's key.
    pub const fn identifies() -> bool {
        cfg!(unix)
    }

    /// When its bytes were last changed, if that is a date; none that nanoseconds cannot count.
    pub fn modified(&self) -> Option<Modified> {
        if self.mtime_ns == i64::MAX {
            return None;
        }
        u64::try_from(self.mtime_ns.div_euclid(1_000_000_000)).ok().and_then(Modified::new)
    }

    /// Device and inode, where the platform tells them.
    pub fn identity(&self) -> Option<(u64, u64)> {
        Self::identifies().then_some((self.dev, self.ino))
    }

    /// Device, inode, size, mtime and ctime, big-endian; the executable bit is no part of the content.
    pub fn key(&self) -> [u8; Self::KEY_LEN] {
        let mut key = [0; Self::KEY_LEN];
        let fields = [self.dev, self.ino, self.size, self.mtime_ns.cast_unsigned(), self.ctime_ns.cast_unsigned()];
        for (to, field) in key.chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field.to_be_bytes());
        }
        key
    }

    /// The stamp of a key; the executable bit is no part of it.
    pub fn of_key(key: &[u8; Self::KEY_LEN]) -> Self {
        let mut fields = [0; 5];
        for (field, from) in fields.iter_mut().zip(key.as_chunks::<8>().0) {
            *field = u64::from_be_bytes(*from);
        }
        let [dev, ino, size, mtime, ctime] = fields;
        let (mtime_ns, ctime_ns) = (mtime.cast_signed(), ctime.cast_signed());
        Self { dev, ino, size, mtime_ns, ctime_ns, executable: false }
    }

    /// Whether a write after `now` must change the stamp: its times are not within 100 ms of it.
    /// The rule is git's for racily clean entries (git's Documentation/technical/racy-git.txt).
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let now = nanos_of(now);
        (now.saturating_sub(self.mtime_ns)).saturating_abs() > RACY_NS && self.ctime_ns < now.saturating_sub(RACY_NS)
    }

    /// How long after `now` the stamp is settled, if it is only a matter of waiting: at most some 100 ms.
    pub fn settles_in(&self, now: SystemTime) -> Duration {
        let age = nanos_of(now).saturating_sub(self.mtime_ns.max(self.ctime_ns));
        let left = RACY_NS.saturating_sub(age).saturating_add(1);
        // Times in the future say nothing about when they were set.
        Duration::from_nanos(u64::try_from(left).unwrap_or(0).min(if age < 0 { 0 } else { u64::MAX }))
    }
}

fn nanos_of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Opens a file for reading that was a regular file when it was scanned: never follows a link in its last
/// component, and does not hang if a pipe has taken its place.
///
/// # Errors
/// When there is none, it is a link, or it cannot be read.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_stamped(path).map(|(file, _)| file)
}

/// As [`open_regular`], with the file's stamp, for one `fstat`.
///
/// # Errors
/// As [`open_regular`].
pub fn open_stamped(path: &Path) -> io::Result<(File, FileStamp)> {
    open(path, Links::Refused)
}

/// The stamp of what is at a path, if that is a regular file.
pub fn stamp_at(path: &Path) -> Option<FileStamp> {
    std::fs::symlink_metadata(path).ok().filter(Metadata::is_file).map(|meta| FileStamp::of(&meta))
}

/// As [`open_stamped`] for a path that a person typed: its links are followed.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn open_typed(path: &Path) -> io::Result<(File, FileStamp)> {
    open(path, Links::Followed)
}

/// What to do about a link in a path's last component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

fn open(path: &Path, links: Links) -> io::Result<(File, FileStamp)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = if links == Links::Refused { OFlags::NOFOLLOW } else { OFlags::empty() };
        options.custom_flags((OFlags::NONBLOCK | no_follow).bits().cast_signed());
    }
    #[cfg(windows)]
    if links == Links::Refused {
        // FILE_FLAG_OPEN_REPARSE_POINT: a link is opened itself, and is no regular file.
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, 0x0020_0000);
    }
    let file = options.open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok((file, FileStamp::of(&meta)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_write_changes_the_stamp() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, "one").expect("write");
        let before = FileStamp::of(&fs::metadata(&path).expect("stat"));
        assert_eq!(FileStamp::of_file(&open_regular(&path).expect("open")).expect("fstat"), before);
        fs::write(&path, "three").expect("write");
        assert_ne!(FileStamp::of(&fs::metadata(&path).expect("stat")), before);
    }

    #[test]
    fn what_has_become_of_a_file_is_told_from_its_stamps() {
        let before = FileStamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5, executable: false };
        assert_eq!(before.since(&before), Change::None);
        assert_eq!(FileStamp { ctime_ns: 6, executable: true, ..before }.since(&before), Change::Metadata);
        assert_eq!(FileStamp { mtime_ns: 3, ctime_ns: 6, ..before }.since(&before), Change::Touched);
        assert_eq!(FileStamp { ino: 7, ..before }.since(&before), Change::Replaced);
        assert_eq!(FileStamp { ino: 7, size: 8, ..before }.since(&before), Change::Resized);
    }

    #[test]
    fn a_date_that_nanoseconds_cannot_count_is_none() {
        let stamp = FileStamp { dev: 1, ino: 2, size: 3, mtime_ns: 1_000_000_000, ctime_ns: 5, executable: false };
        assert_eq!(stamp.modified(), Modified::new(1));
        assert_eq!(FileStamp { mtime_ns: i64::MAX, ..stamp }.modified(), None);
        assert_eq!(FileStamp { mtime_ns: -1, ..stamp }.modified(), None);
    }

    #[test]
    fn a_file_written_just_now_is_not_settled() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a");
        fs::write(&path, "one").expect("write");
        let meta = fs::metadata(&path).expect("stat");
        let written = meta.modified().expect("time");
        let stamp = FileStamp::of(&meta);
        assert!(!stamp.is_settled(written));
        assert!(!stamp.is_settled(written + Duration::from_millis(99)));
        assert!(stamp.is_settled(written + Duration::from_millis(200)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn links_and_pipes_are_not_opened() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("a"), "one").expect("write");
        std::os::unix::fs::symlink("a", dir.path().join("link")).expect("symlink");
        assert!(open_regular(&dir.path().join("link")).is_err());
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("mkfifo");
        assert!(open_regular(&pipe).is_err());
    }
}
