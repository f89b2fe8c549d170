//! Small text files of a home that people may read and mend: one thing a line.
//! Invariant: the file is replaced as a whole, under a lock beside it, so no reader sees half and no writer loses
//! another's line. What the lines mean is decided above. Every method blocks on the disk.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::io::home::secret;
use crate::io::home::small;
use crate::io::share::stamp::FileStamp;
use crate::model::{Cause, LocalPath};

/// Bytes that such a file may have: 1024 lines with the longest paths, or tens of thousands of the usual ones.
const MOST: u64 = 1024 * (4096 + 128);

/// The state of a file, none when there is none: another value means that it may hold something else.
pub type Stamp = Option<FileStamp>;

/// One line of such a file.
pub trait Line: Sized {
    /// How it is written, for people.
    const FORM: &str;

    /// Reads it.
    fn parse(text: &str) -> Option<Self>;

    /// Writes it, without the line's end.
    fn text(&self) -> String;
}

/// The lines of a file's text that can be understood, and what is wrong with the first that cannot.
pub(super) fn good<T: Line>(path: &Path, text: &str) -> (Vec<T>, Option<LinesError>) {
    let malformed = |line| LinesError::Malformed { path: path.into(), line, form: T::FORM.into() };
    let (mut good, mut first) = (Vec::new(), None);
    for (index, line) in text.lines().enumerate() {
        match T::parse(line) {
            Some(one) => good.push(one),
            None => first = first.or_else(|| Some(malformed(index + 1))),
        }
    }
    (good, first)
}

/// A file whose lines together are a list. Every method blocks on the disk.
pub trait ListFile: Clone + Send + 'static {
    /// What it holds.
    type List: Default + Send + Sync + 'static;

    /// Where it is.
    fn path(&self) -> &Path;

    /// What it holds in lines that can be understood, and what is wrong with the first that cannot.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read_good(&self) -> Result<(Self::List, Option<LinesError>), LinesError>;

    /// What it holds, all of it.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    fn read(&self) -> Result<Self::List, LinesError> {
        let (list, wrong) = self.read_good()?;
        wrong.map_or(Ok(list), Err)
    }

    /// What it holds in lines that can be understood.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read_what_is_right(&self) -> Result<Self::List, LinesError> {
        Ok(self.read_good()?.0)
    }

    /// The stamp of this moment.
    fn stamp(&self) -> Stamp {
        std::fs::metadata(self.path()).ok().map(|meta| FileStamp::of(&meta))
    }
}

/// Why such a file cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LinesError {
    /// The file system refused.
    #[error("{} cannot be read or written ({cause})", path.display())]
    Io {
        /// Which file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// A line is not as it should be.
    #[error("line {line} of {path} is not `{form}`", path = path.display())]
    Malformed {
        /// Which file.
        path: LocalPath,
        /// Which line, from 1.
        line: usize,
        /// What it should be.
        form: Cow<'static, str>,
    },
}

/// Such a file.
#[derive(Debug)]
pub struct LineFile<T> {
    path: PathBuf,
    lines: PhantomData<fn() -> T>,
}

impl<T> Clone for LineFile<T> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), lines: PhantomData }
    }
}

impl<T: Line> LineFile<T> {
    /// At a path; the file is made by the first change.
    pub const fn at(path: PathBuf) -> Self {
        Self { path, lines: PhantomData }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines that can be understood, and what is wrong with the first that cannot; none when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_good(&self) -> Result<(Vec<T>, Option<LinesError>), LinesError> {
        Ok(good(&self.path, &self.contents()?))
    }

    /// All lines that can be understood: what a crash or an editor has torn is left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_what_is_right(&self) -> Result<Vec<T>, LinesError> {
        Ok(self.read_good()?.0)
    }

    /// What is wrong with the first line that cannot be understood.
    pub fn broken(&self) -> Option<LinesError> {
        self.read_good().ok()?.1
    }

    /// Changes the lines; the file is written when the closure says that they are others now. Lines that cannot be understood
    /// are kept, at the end: somebody may mend them.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn change<R>(&self, change: impl FnOnce(&mut Vec<T>) -> (bool, R)) -> Result<R, LinesError> {
        self.changed(true, change)
    }

    /// As [`LineFile::change`], where what cannot be read or understood is dropped, and a crash may take what is new: the file is
    /// a hint.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn change_what_is_right<R>(&self, change: impl FnOnce(&mut Vec<T>) -> (bool, R)) -> Result<R, LinesError> {
        self.changed(false, change)
    }

    fn changed<R>(&self, keeps: bool, change: impl FnOnce(&mut Vec<T>) -> (bool, R)) -> Result<R, LinesError> {
        let _lock = self.lock().map_err(|cause| self.failed(cause))?;
        let text = match self.contents() {
            Err(_) if !keeps => String::new(),
            text => text?,
        };
        let mut lines = text.lines().filter_map(T::parse).collect();
        let (changed, result) = change(&mut lines);
        if changed {
            let wrong = text.lines().filter(|line| keeps && T::parse(line).is_none());
            let all = lines.iter().map(T::text).chain(wrong.map(str::to_owned));
            let text: String = all.map(|line| line + "\n").collect();
            let replace = if keeps { secret::replace } else { secret::replace_hint };
            replace(&self.path, text.as_bytes()).map_err(|cause| self.failed(cause))?;
        }
        Ok(result)
    }

    /// The text; none when there is no file.
    fn contents(&self) -> Result<String, LinesError> {
        match small::text(&self.path, MOST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            text => text.map_err(|cause| self.failed(cause)),
        }
    }

    /// Locks a file of its own: the store itself is replaced by every write.
    fn lock(&self) -> io::Result<File> {
        if let Some(dir) = self.path.parent() {
            secret::create_dir(dir)?;
        }
        let path = self.path.with_extension("lock");
        // To read as well: opening a pipe to write alone waits for a reader.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn failed(&self, cause: io::Error) -> LinesError {
        LinesError::Io { path: self.path.clone().into(), cause: cause.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(u32);

    impl Line for Number {
        const FORM: &str = "NUMBER";

        fn parse(text: &str) -> Option<Self> {
            text.parse().ok().map(Self)
        }

        fn text(&self) -> String {
            self.0.to_string()
        }
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = LineFile::at(dir.path().join("numbers"));
        std::thread::scope(|scope| {
            for number in 1..=8 {
                let file = &file;
                scope.spawn(move || file.change(|lines| (true, lines.push(Number(number)))).expect("written"));
            }
        });
        assert!(matches!(file.read_good(), Ok((all, None)) if all.len() == 8));
    }

    #[test]
    fn a_broken_line_is_named_left_out_and_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("numbers");
        let file = LineFile::<Number>::at(path.clone());
        std::fs::write(&path, b"1\nnonsense\n2\n\xff").expect("written");
        let error = file.read_good().expect("read").1.expect("refused").to_string();
        assert!(error.starts_with("line 2 of ") && error.contains("`NUMBER`"), "{error}");
        assert_eq!(file.broken().map(|broken| broken.to_string()), Some(error));
        assert_eq!(file.read_what_is_right().expect("read").iter().map(|n| n.0).collect::<Vec<_>>(), [1, 2]);
        file.change(|lines| (true, lines.push(Number(3)))).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "1\n2\n3\nnonsense\n\u{fffd}\n");
        file.change_what_is_right(|lines| (true, lines.push(Number(4)))).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "1\n2\n3\n4\n");
        assert!(file.broken().is_none());
    }
}
