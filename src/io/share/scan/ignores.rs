//! What `--exclude` and `.qshareignore` leave out, and `.gitignore` where that is wanted, in gitignore syntax.
//! The innermost file that says anything about a path decides, after the command line.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};

use crate::io::share::scan::unseen::is_absence;
use crate::io::share::stamp::open_regular;

/// The names of ignore files; of one directory the later goes before the earlier.
const FILE_NAMES: [&str; 2] = [GIT, ".qshareignore"];
/// The name of git's.
const GIT: &str = ".gitignore";
/// The most that is read of one: some ten thousand patterns.
const MAX_FILE: u64 = 1 << 20;

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the pattern {pattern} is not a valid glob: {cause}")]
pub struct GlobError {
    pattern: String,
    cause: String,
}

/// The ignore files from the root down to one directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignores(Option<Arc<Layer>>);

#[derive(Debug)]
struct Layer {
    up: Ignores,
    patterns: Gitignore,
}

impl Ignores {
    /// What git's ignore files above a directory say of it, up to the top of its repository; nothing unless `git`.
    pub(super) fn above(dir: &Path, git: bool) -> Self {
        let mut above: Vec<&Path> = Vec::new();
        let mut inner = Some(dir).filter(|dir| git && !is_top(dir));
        while let Some(dir) = inner {
            let Some(parent) = dir.parent() else { return Self::default() };
            above.push(parent);
            inner = Some(parent).filter(|parent| !is_top(parent));
        }
        above.into_iter().rev().fold(Self::default(), |outer, dir| outer.with(dir, GIT).unwrap_or(outer))
    }

    /// With the ignore files of a directory, if it has any; lines that are no patterns are ignored.
    ///
    /// # Errors
    /// When it has one that cannot be read: what it leaves out is not known, so nothing there may be shared.
    pub(super) fn within(&self, dir: &Path, git: bool) -> io::Result<Self> {
        let mut names = FILE_NAMES.into_iter().filter(|name| git || *name != GIT);
        names.try_fold(self.clone(), |outer, name| outer.with(dir, name))
    }

    fn with(&self, dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let Some(text) = read(&path)? else { return Ok(self.clone()) };
        let mut builder = GitignoreBuilder::new(dir);
        for line in text.lines() {
            // A bad line leaves the others in force, as git does.
            let _ = builder.add_line(Some(path.clone()), line);
        }
        match builder.build() {
            Ok(patterns) => Ok(Self(Some(Arc::new(Layer { up: self.clone(), patterns })))),
            Err(_) => Ok(self.clone()),
        }
    }

    /// Whether a path in the directory is left out.
    pub(super) fn leave_out(&self, path: &Path, is_dir: bool) -> bool {
        let mut layer = self.0.as_ref();
        while let Some(here) = layer {
            match here.patterns.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => layer = here.up.0.as_ref(),
            }
        }
        false
    }
}

/// Whether a directory is the top of a git repository.
fn is_top(dir: &Path) -> bool {
    dir.join(".git").exists()
}

/// The patterns of the command line, for one root.
pub(super) fn excludes(root: &Path, patterns: &[String]) -> Result<Gitignore, GlobError> {
    let mut builder = GitignoreBuilder::new(root);
    // Git reads a bracket that is never closed as itself; who typed one is told.
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        let error = |e: ignore::Error| GlobError { pattern: pattern.clone(), cause: e.to_string() };
        builder.add_line(None, pattern).map_err(error)?;
    }
    let all = || patterns.join(" ");
    builder.build().map_err(|e| GlobError { pattern: all(), cause: e.to_string() })
}

/// The text of an ignore file; `None` where there is none, or something else under its name.
fn read(path: &Path) -> io::Result<Option<String>> {
    // Most directories have none: a failed stat is cheaper than a failed open with flags.
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => (),
        Ok(_) => return Ok(None),
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    match open_regular(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
