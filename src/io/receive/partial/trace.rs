//! Whether anybody but us has touched a file since its bytes were proven: its state after each thing that we do to it is
//! noted, and compared before the next and at the end. Invariant: a file that is clean has nothing but what we wrote or
//! read back since its state was first noted. Not responsible for what to do about it: `publish` hashes it again.

use std::fs::File;
use std::io;

use crate::io::share::stamp::FileStamp;

/// What is known of one file. Small: a tree has one for each of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::io) enum Trace {
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// It is as we left it: inode, time of the last write, time of the last change.
    Clean(u64, i64, i64),
    /// Somebody else has done something to it.
    Touched,
}

impl Trace {
    fn of(stamp: &FileStamp) -> Self {
        Self::Clean(stamp.ino, stamp.mtime_ns, stamp.ctime_ns)
    }

    /// Looks at it for the first time, before anything in it is proven.
    pub(super) fn begin(&mut self, file: &File) -> io::Result<()> {
        if *self == Self::Unknown {
            *self = Self::of(&FileStamp::of_file(file)?);
        }
        Ok(())
    }

    /// Does something to the file, and notes whether somebody else did before.
    pub(in crate::io) fn over<T>(&mut self, file: &File, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let known = !matches!(self, Self::Unknown);
        let clean = !known || *self == Self::of(&FileStamp::of_file(file)?);
        let done = act(file);
        *self = if clean { Self::of(&FileStamp::of_file(file)?) } else { Self::Touched };
        done
    }

    /// All of it was hashed while it had this state, and is right.
    pub(in crate::io) fn proven(&mut self, stamp: &FileStamp) {
        *self = Self::of(stamp);
    }

    /// Whether it is as we left it.
    pub(in crate::io) fn is_clean(&self, stamp: Option<FileStamp>) -> bool {
        // Where stamps do not tell files apart, there is nothing to compare.
        stamp.is_none_or(|stamp| *self == Self::of(&stamp))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_others_do_is_seen_and_what_we_do_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a");
        std::fs::write(&path, "one").expect("written");
        let file = File::options().write(true).open(&path).expect("opened");
        let stamp = || FileStamp::of(&std::fs::symlink_metadata(&path).expect("there"));
        let mut trace = Trace::default();
        assert!(!trace.is_clean(Some(stamp())));
        trace.over(&file, |file| file.set_len(2)).expect("done");
        assert!(trace.is_clean(Some(stamp())));
        let others = File::options().write(true).open(&path).expect("opened");
        others.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).expect("set");
        assert!(!trace.is_clean(Some(stamp())));
        trace.over(&file, |file| file.set_len(1)).expect("done");
        assert_eq!(trace, Trace::Touched);
        trace.proven(&stamp());
        assert!(trace.is_clean(Some(stamp())));
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).expect("renamed");
        std::fs::write(&path, "o").expect("written");
        assert!(!trace.is_clean(Some(stamp())));
    }
}
