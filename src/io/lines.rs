//! Small text files of a home that people may read and mend: one thing a line.
//! Invariant: the file is replaced as a whole, under a lock beside it, so no reader sees half and no writer loses
//! another's line. What the lines mean is decided above. Every method blocks on the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use crate::io::secret;
use crate::io::stamp::{FileStamp, open_regular};
use crate::model::obstacle::{advice, cause as words};

/// Bytes of a file of hints that are read: 256 lines with the longest paths.
const HINTS: u64 = 256 * (4096 + 128);

/// The state of a file, none when there is none: another value means that it may hold something else.
pub type Stamp = Option<FileStamp>;

/// The stamp of a file at this moment.
#[must_use]
pub fn stamp(path: &Path) -> Stamp {
    std::fs::metadata(path).ok().map(|meta| FileStamp::of(&meta))
}

/// One line of such a file.
pub trait Line: Sized {
    /// How it is written, for people.
    const FORM: &str;

    /// Reads it.
    fn parse(text: &str) -> Option<Self>;

    /// Writes it, without the line's end.
    fn text(&self) -> String;
}

/// Why such a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The file system refused.
    #[error("{path} cannot be read or written ({}): {}", words(cause), advice(cause), path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line is not as it should be.
    #[error("line {line} of {path} is not `{form}`: repair or remove it", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What it should be.
        form: &'static str,
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
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path, lines: PhantomData }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines; none when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read(&self) -> Result<Vec<T>, LinesError> {
        let (lines, wrong) = self.read_good()?;
        wrong.map_or(Ok(lines), Err)
    }

    /// All lines that can be understood, and what is wrong with the first that cannot; none when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_good(&self) -> Result<(Vec<T>, Option<LinesError>), LinesError> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
            read => read.map_err(|cause| self.failed(cause))?,
        };
        let malformed = |line| LinesError::Malformed { path: self.path.clone(), line, form: T::FORM };
        let (mut good, mut first) = (Vec::new(), None);
        for (index, line) in text.lines().enumerate() {
            match T::parse(line) {
                Some(one) => good.push(one),
                None => first = first.or_else(|| Some(malformed(index + 1))),
            }
        }
        Ok((good, first))
    }

    /// All lines that can be understood, of a file that is only a hint: of a regular file, as far as it is read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_what_is_right(&self) -> Result<Vec<T>, LinesError> {
        let mut bytes = Vec::new();
        let opened = open_regular(&self.path).and_then(|file| file.take(HINTS).read_to_end(&mut bytes));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(cause) => Err(self.failed(cause)),
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).lines().filter_map(T::parse).collect()),
        }
    }

    /// As [`LineFile::change`], where what cannot be understood is dropped.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn change_what_is_right<R>(&self, change: impl FnOnce(&mut Vec<T>) -> (bool, R)) -> Result<R, LinesError> {
        self.changed(Self::read_what_is_right, change)
    }

    /// Changes the lines; the file is written when the closure says that they are others now.
    ///
    /// # Errors
    /// When the file cannot be read, understood or written.
    pub fn change<R>(&self, change: impl FnOnce(&mut Vec<T>) -> (bool, R)) -> Result<R, LinesError> {
        self.changed(Self::read, change)
    }

    fn changed<R>(
        &self,
        read: impl FnOnce(&Self) -> Result<Vec<T>, LinesError>,
        change: impl FnOnce(&mut Vec<T>) -> (bool, R),
    ) -> Result<R, LinesError> {
        let _lock = self.lock().map_err(|cause| self.failed(cause))?;
        let mut lines = read(self)?;
        let (changed, result) = change(&mut lines);
        if changed {
            let text: String = lines.iter().map(|line| line.text() + "\n").collect();
            secret::replace(&self.path, text.as_bytes()).map_err(|cause| self.failed(cause))?;
        }
        Ok(result)
    }

    /// Locks a file of its own: the store itself is replaced by every write.
    fn lock(&self) -> io::Result<File> {
        if let Some(dir) = self.path.parent() {
            secret::create_dir(dir)?;
        }
        let path = self.path.with_extension("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn failed(&self, cause: io::Error) -> LinesError {
        LinesError::Io { path: self.path.clone(), cause }
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
        assert_eq!(file.read().expect("read").len(), 8);
    }

    #[test]
    fn a_broken_line_is_named_and_the_file_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("numbers");
        let file = LineFile::<Number>::at(path.clone());
        std::fs::write(&path, "1\nnonsense\n").expect("written");
        let error = file.change(|lines| (true, lines.clear())).expect_err("refused");
        assert!(error.to_string().starts_with("line 2 of ") && error.to_string().contains("`NUMBER`"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "1\nnonsense\n");
    }
}
