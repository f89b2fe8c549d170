//! Where this home has begun transfers, so that those which never ended can be told of: a text file of
//! `ID DIRECTORY` lines, newest last, bounded. What is unfinished says the directory itself; this only says where to look,
//! so lines that a crash has torn are done without.

use std::path::{Path, PathBuf};

use itertools::Itertools as _;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::io::receive::partial::Names;
use crate::model::ContentId;

/// Lines that are kept; the oldest go first.
const KEPT: usize = 256;

/// The file.
#[derive(Debug, Clone)]
pub struct BegunFile(LineFile<Begun>);

/// One transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Begun {
    id: ContentId,
    dir: PathBuf,
}

impl Line for Begun {
    const FORM: &str = "ID DIRECTORY";

    fn parse(text: &str) -> Option<Self> {
        let (id, dir) = text.split_once(' ')?;
        Some(Self { id: id.parse().ok()?, dir: dir.into() })
    }

    fn text(&self) -> String {
        format!("{} {}", self.id, self.dir.display())
    }
}

impl BegunFile {
    /// In this home; the file is made by the first transfer.
    pub fn at(home: &Path) -> Self {
        Self(LineFile::at(home.join("begun")))
    }

    /// Remembers that a transfer has its partial file in this directory, and forgets those that have gone from theirs.
    /// A directory that is not there may be on a disk that comes back. One whose path cannot be a line is left out.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remember(&self, id: ContentId, dir: &Path) -> Result<(), LinesError> {
        let Ok(dir) = dir.canonicalize() else { return Ok(()) };
        if dir.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
            return Ok(());
        }
        self.0.change_what_is_right(|lines| {
            let before = lines.clone();
            lines.retain(|line| line.is_there() && (line.id, &line.dir) != (id, &dir));
            lines.push(Begun { id, dir });
            lines.drain(..lines.len().saturating_sub(KEPT));
            (*lines != before, ())
        })
    }

    /// The directories, each once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dirs(&self) -> Result<Vec<PathBuf>, LinesError> {
        Ok(self.0.read_what_is_right()?.into_iter().map(|line| line.dir).sorted().dedup().collect())
    }
}

impl Begun {
    fn is_there(&self) -> bool {
        !self.dir.is_dir() || self.dir.join(Names::of(self.id).journal.as_str()).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_forgotten_and_what_is_out_of_reach_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = BegunFile::at(&dir.path().join("home"));
        let at = |name: &str| dir.path().canonicalize().expect("there").join(name);
        let begin = |name: &str| {
            let id = ContentId::of(name.as_bytes());
            std::fs::create_dir_all(at(name)).expect("made");
            std::fs::write(at(name).join(Names::of(id).journal.as_str()), "").expect("written");
            file.remember(id, &at(name)).expect("remembered");
            id
        };
        assert!(file.dirs().expect("none yet").is_empty());
        let ended = begin("ended");
        begin("un plugged");
        std::fs::remove_file(at("ended").join(Names::of(ended).journal.as_str())).expect("removed");
        std::fs::remove_dir_all(at("un plugged")).expect("removed");
        begin("now");
        assert_eq!(file.dirs().expect("read"), [at("now"), at("un plugged")]);
        // Torn by a crash: the rest counts.
        let text = std::fs::read_to_string(file.0.path()).expect("there");
        std::fs::write(file.0.path(), [b"\0\0\0\n", text.as_bytes(), &text.as_bytes()[..70]].concat())
            .expect("written");
        assert_eq!(file.dirs().expect("read").len(), 3, "one of them cut short");
        file.remember(ended, &at("now/../now")).expect("remembered");
        file.remember(ended, &at("line\nbreak")).expect("left out");
        assert!(matches!(file.0.read_good(), Ok((all, None)) if all.len() == 3));
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = BegunFile::at(dir.path());
        let id = |n: usize| ContentId::of(&n.to_be_bytes());
        let lines = (0..KEPT).map(|n| format!("{} {}/gone\n", id(n), dir.path().display()));
        std::fs::write(file.0.path(), lines.collect::<String>()).expect("written");
        file.remember(id(KEPT), dir.path()).expect("remembered");
        let (lines, wrong) = file.0.read_good().expect("read");
        assert!(wrong.is_none());
        assert_eq!((lines.len(), lines[0].id, lines[KEPT - 1].id), (KEPT, id(1), id(KEPT)));
    }
}
