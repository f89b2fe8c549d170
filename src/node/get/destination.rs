//! Where a result lands: which directory, under which name.

use std::path::{Component, Path, PathBuf};

use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::{Names, Partial, PartialError};
use crate::model::{ContentId, SafePath};
use crate::node::error::{Error, Result};

/// A place for one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetPath {
    /// The directory that holds it.
    pub(crate) parent: PathBuf,
    /// Its name there; one component.
    pub(crate) name: SafePath,
    /// Whether the directory is made when it is absent.
    pub(crate) make: bool,
}

impl TargetPath {
    /// Refuses at once what no result can be put to, whatever its name.
    ///
    /// # Errors
    /// When the path leads through a name that qshare gives to what is not finished, or its own name is not one that a
    /// file can have.
    pub(crate) fn check(output: Option<&Path>) -> Result<()> {
        let Some(path) = output else { return Ok(()) };
        let reserved = |part: Component<'_>| matches!(part, Component::Normal(name) if name.to_str().is_some_and(Names::is_reserved));
        if path.components().any(reserved) {
            return Err(PartialError::Reserved { path: path.into() }.into());
        }
        let any = SafePath::parse("x").map_err(|cause| Error::BadTarget { path: path.into(), cause })?;
        Self::at(path, &any, None).map(drop)
    }

    /// Follows the design, section 9: into the current directory; into `DIR/` or an existing directory; or under
    /// the path's own name. A directory that an earlier run has made of `id` under this very path, and
    /// was ended before it had cleared up, is that result and not a directory to put it into.
    ///
    /// # Errors
    /// When the path's own name is not one that a file can have everywhere.
    pub(crate) fn of(output: Option<&Path>, name: &SafePath, id: Option<ContentId>) -> Result<Self> {
        match output {
            None => Ok(Self { parent: PathBuf::from("."), name: name.last(), make: false }),
            Some(path) => Self::at(path, name, id),
        }
    }

    /// A directory named without a slash, in which most of these files lie at their places: it is an earlier result, and none to
    /// put this one into. Blocks.
    pub(crate) fn earlier(path: &Path, files: &[(SafePath, u64, ContentId)]) -> Option<Self> {
        let dir = SafeDir::open(path).ok().filter(|_| !is_into(path))?;
        let size = |path: &SafePath| Some(dir.stat(path).ok()??.stamp?.size);
        let there = files.iter().filter(|(path, expected, _)| size(path) == Some(*expected)).count();
        if there * 2 > files.len() { Self::itself(path).ok() } else { None }
    }

    fn at(path: &Path, name: &SafePath, id: Option<ContentId>) -> Result<Self> {
        let into = is_into(path);
        let is_dir = path.is_dir();
        if let Some(id) = id.filter(|_| is_dir && !into)
            && let Ok(itself) = Self::itself(path)
            && SafeDir::open(&itself.parent).is_ok_and(|parent| Partial::has_published(&parent, id, &itself.name))
        {
            return Ok(itself);
        }
        if into || is_dir {
            return Ok(Self { parent: path.to_owned(), name: name.last(), make: true });
        }
        Self::itself(path)
    }

    fn itself(path: &Path) -> Result<Self> {
        let text = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = SafePath::parse(&text).map_err(|cause| Error::BadTarget { path: path.into(), cause })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self { parent: parent.unwrap_or_else(|| Path::new(".")).to_owned(), name, make: false })
    }

    /// The whole path.
    pub(crate) fn path(&self) -> PathBuf {
        if self.parent == Path::new(".") {
            PathBuf::from(self.name.as_str())
        } else {
            self.parent.join(self.name.as_str())
        }
    }
}

/// Whether a path says by itself that it is a directory to put things into.
fn is_into(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.ends_with(".") || path.ends_with("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_decides_directory_and_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = SafePath::parse("docs/a.txt").expect("valid");
        let at = |path: PathBuf| TargetPath::of(Some(&path), &name, None).expect("valid").path();
        assert_eq!(at(dir.path().to_owned()), dir.path().join("a.txt"));
        assert_eq!(at(dir.path().join("new/")), dir.path().join("new/a.txt"));
        assert_eq!(at(dir.path().join("b.txt")), dir.path().join("b.txt"));
        assert_eq!(at(PathBuf::from("b.txt")), PathBuf::from("b.txt"));
        let here = TargetPath::of(None, &name, None).expect("valid");
        assert_eq!(here.path(), PathBuf::from("a.txt"));
    }

    #[test]
    fn a_directory_with_most_of_the_files_is_an_earlier_result() {
        let dir = tempfile::tempdir().expect("a directory");
        let fresh = dir.path().join("fresh");
        std::fs::create_dir_all(fresh.join("d")).expect("made");
        let file = |path: &str| (SafePath::parse(path).expect("valid"), 3, ContentId::of(b""));
        let files = [file("a"), file("d/b"), file("c")];
        let earlier = |path: &Path| TargetPath::earlier(path, &files).map(|target| target.path());
        std::fs::write(fresh.join("a"), "abc").expect("written");
        std::fs::write(fresh.join("c"), "other").expect("written");
        assert_eq!(earlier(&fresh), None, "one of three");
        std::fs::write(fresh.join("d/b"), "abc").expect("written");
        assert_eq!(earlier(&fresh), Some(fresh.clone()));
        assert_eq!(earlier(&fresh.join("")), None, "a slash says that it is one to put things into");
        assert_eq!(earlier(&fresh.join("absent")), None);
        assert_eq!(TargetPath::earlier(&fresh, &[]), None, "nothing is not most");
    }

    #[test]
    fn nothing_is_put_to_or_beneath_what_is_unfinished() {
        let check = |path: &str| TargetPath::check(Some(Path::new(path)));
        let part = ".qshare-0123456789abcdef.part";
        for path in [part, &format!("{part}/"), &format!("{part}/a/b"), &format!("out/{part}"), "./.qshare-probe-1"] {
            let error = check(path).expect_err(path).to_string();
            assert!(error.contains("unfinished transfers"), "{error}");
        }
        for path in [".qshare-notes", "out/", "a.txt", ".qshare-0123456789abcdef.parts"] {
            check(path).expect(path);
        }
        assert!(check("out/a\u{1}b").is_err(), "not a name");
    }
}
