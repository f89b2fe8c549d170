//! From typed paths and lists to roots: names, links followed once, what takes `--all`.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use directories::BaseDirs;

use crate::io::share::scan::{BadName, Root, Rules, Skipped, SurveyError, Why};
use crate::io::share::secrets;
use crate::io::share::stamp::FileStamp;
use crate::model::{Kind, SafePath};

/// What is offered under no other name: the whole file system.
const WHOLE: &str = "root";

/// The roots of a survey by name, with what is left out of them.
#[derive(Default)]
pub(super) struct Roots {
    pub(super) by_name: BTreeMap<SafePath, Root>,
    pub(super) skipped: Vec<Skipped>,
}

/// What lies in a home and is its person's: what came there, and what is read from standard input to be sent.
const GIVEN: [&str; 2] = ["inbox", "sent"];

impl Roots {
    /// Adds a path that the user typed, under its own name or the one of a list.
    pub(super) fn add(&mut self, typed: &Path, name: Option<SafePath>, rules: &Rules) -> Result<(), SurveyError> {
        let missing = |error| unreachable(typed, &error);
        let path = fs::canonicalize(typed).map_err(missing)?;
        let meta = fs::symlink_metadata(&path).map_err(missing)?;
        match barred(&path, &meta, rules) {
            Some(Why::Whole) => return Err(SurveyError::Whole { path: path.into() }),
            Some(why) => {
                self.skipped.push(Skipped::new(path, why));
                return Ok(());
            }
            None => (),
        }
        let name = name.map_or_else(|| name_of(typed, &path), Ok)?;
        if name.is_reserved() {
            return Err(SurveyError::Name { path: typed.into(), cause: BadName::Reserved });
        }
        let kind = if meta.is_dir() { Kind::Collection } else { Kind::File };
        let path = std::path::absolute(typed).map_err(missing)?;
        self.insert(Root { name, path, kind, fixed: None })
    }

    fn insert(&mut self, root: Root) -> Result<(), SurveyError> {
        match self.by_name.get(&root.name) {
            Some(first) if canonical(&first.path) != canonical(&root.path) => Err(SurveyError::Duplicate {
                name: root.name,
                first: first.path.clone().into(),
                second: root.path.into(),
            }),
            Some(_) => Ok(()),
            None => {
                self.by_name.insert(root.name.clone(), root);
                Ok(())
            }
        }
    }
}

/// Why what lies at a root's path, links followed, is not to be shared at all. A link may lead elsewhere at each look.
pub(super) fn barred(path: &Path, meta: &Metadata, rules: &Rules) -> Option<Why> {
    if meta.is_dir() && !rules.all && (is_whole(path) || rules.whole.contains(meta)) {
        return Some(Why::Whole);
    }
    let secret = if rules.include_secrets { None } else { secrets::of_root(path, meta.is_dir(), meta.len()) };
    let is_own = |below: &Path| !GIVEN.iter().any(|given| below.starts_with(given));
    let own = rules.avoid.iter().any(|avoided| path.strip_prefix(avoided).is_ok_and(is_own));
    secret.map(|what| Why::Secret(what.into())).or_else(|| own.then_some(Why::Own))
}

/// The lines `name<TAB>path` of a list.
///
/// # Errors
/// When it cannot be read, or a line is none.
pub fn read_list(list: &Path) -> Result<Vec<(SafePath, PathBuf)>, SurveyError> {
    let missing = |error| unreachable(list, &error);
    let text = fs::read_to_string(list).map_err(missing)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let bad = |cause| SurveyError::List { list: list.into(), line: i + 1, cause };
            let parts = line.split_once('\t').filter(|(_, path)| !path.is_empty());
            let (name, path) = parts.ok_or_else(|| bad(BadName::NoPath))?;
            let name = SafePath::parse(name).map_err(|error| bad(error.into()))?;
            Ok((name, PathBuf::from(path)))
        })
        .collect()
}

fn unreachable(path: &Path, error: &std::io::Error) -> SurveyError {
    SurveyError::Missing { path: path.into(), cause: error.into() }
}

/// A path without links where it exists, else as it is.
pub(super) fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn name_of(typed: &Path, path: &Path) -> Result<SafePath, SurveyError> {
    let name = typed.file_name().or_else(|| path.file_name()).map_or(Some(WHOLE), |n| n.to_str());
    let bad = |cause| SurveyError::Name { path: typed.into(), cause };
    SafePath::parse(name.ok_or_else(|| bad(BadName::NotUtf8))?).map_err(|error| bad(error.into()))
}

/// The file system's root, where homes are kept, and homes themselves.
fn is_whole(path: &Path) -> bool {
    let own = BaseDirs::new().is_some_and(|dirs| canonical(dirs.home_dir()) == path);
    let kept = [Path::new("/home"), Path::new("/Users")];
    own || path.parent().is_none_or(|parent| kept.contains(&parent))
        || kept.contains(&path)
        || path == Path::new("/root")
}

/// What is never shared as a part of something else, by device and inode: another mount may show it at another path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole(Vec<(u64, u64)>);

impl Whole {
    /// As it is on this machine now. Blocks on the file system.
    pub fn here() -> Self {
        let own = BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
        let paths = ["/", "/home", "/Users", "/root"].map(PathBuf::from);
        Self::of(paths.into_iter().chain(own))
    }

    /// What lies at these paths.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().filter_map(|path| FileStamp::of(&fs::metadata(path).ok()?).identity()).collect())
    }

    /// Whether it is one of those.
    pub(super) fn contains(&self, meta: &Metadata) -> bool {
        FileStamp::of(meta).identity().is_some_and(|identity| self.0.contains(&identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_and_homes_are_whole() {
        for path in ["/", "/home", "/home/u", "/Users/u", "/root"] {
            assert!(is_whole(Path::new(path)), "{path}");
        }
        for path in ["/home/u/docs", "/srv", "/root/docs"] {
            assert!(!is_whole(Path::new(path)), "{path}");
        }
    }
}
