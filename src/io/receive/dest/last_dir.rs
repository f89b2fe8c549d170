//! The directory of paths that come in a row: opened once for all neighbours, not once for each.
//! Invariant: it was opened beneath the root as every path is; what is done in it takes one plain name.

use super::{DestError, SafeDir, Stat};
use crate::model::SafePath;

/// A directory tree, and the one directory in it that was used last.
#[derive(Debug)]
pub struct LastDir<'d> {
    root: &'d SafeDir,
    last: Option<(SafePath, SafeDir)>,
}

impl<'d> LastDir<'d> {
    /// Of this tree; nothing is opened yet.
    pub const fn of(root: &'d SafeDir) -> Self {
        Self { root, last: None }
    }

    /// The directory that holds the path, and the path's name in it; `None` when there is no such directory.
    ///
    /// # Errors
    /// When it cannot be opened, or is behind a link.
    pub fn find(&mut self, path: &SafePath) -> Result<Option<(&SafeDir, SafePath)>, DestError> {
        let Some(above) = path.parent() else { return Ok(Some((self.root, path.clone()))) };
        if self.last.as_ref().is_none_or(|(last, _)| *last != above) {
            match self.root.dir(&above) {
                Err(error) if error.is_missing() => return Ok(None),
                dir => self.last = Some((above, dir?)),
            }
        }
        Ok(self.last.as_ref().map(|(_, dir)| (dir, path.last())))
    }

    /// What has the path's name, as [`SafeDir::stat`] tells it.
    ///
    /// # Errors
    /// As [`SafeDir::stat`].
    pub fn stat(&mut self, path: &SafePath) -> Result<Option<Stat>, DestError> {
        self.find(path)?.map_or(Ok(None), |(dir, name)| dir.stat(&name))
    }

    /// Like [`LastDir::find`], where the directory is made when it is missing, with those above it.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn make(&mut self, path: &SafePath) -> Result<(&SafeDir, SafePath), DestError> {
        let above = path.parent();
        let known = self.last.as_ref().is_some_and(|(last, _)| Some(last) == above.as_ref());
        if let Some(above) = above.filter(|_| !known) {
            self.root.create_dirs(&above)?;
            let dir = self.root.dir(&above)?;
            self.last = Some((above, dir));
        }
        Ok(match &self.last {
            Some((_, dir)) if path.parent().is_some() => (dir, path.last()),
            _ => (self.root, path.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text).expect("valid")
    }

    #[test]
    fn neighbours_are_found_in_one_directory_and_links_in_none() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = SafeDir::open(dir.path()).expect("held");
        let mut places = LastDir::of(&root);
        assert!(places.find(&path("a/b/x")).expect("looked").is_none());
        for name in ["top", "a/b/x", "a/b/y", "a/c/x", "a/z", "top2"] {
            let (held, last) = places.make(&path(name)).expect("made");
            held.create_dirs(&last).expect("made");
            assert!(dir.path().join(name).is_dir(), "{name}");
            let (held, last) = places.find(&path(name)).expect("looked").expect("there");
            assert_eq!(&*held.shown(&last), dir.path().join(name));
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a", dir.path().join("link")).expect("linked");
            assert!(matches!(places.find(&path("link/b/x")), Err(DestError::Link { .. })));
            assert!(matches!(places.make(&path("link/b/x")), Err(DestError::Link { .. })));
        }
    }
}
