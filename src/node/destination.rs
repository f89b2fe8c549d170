//! Where a result lands: which directory, under which name.

use std::path::{Path, PathBuf};

use crate::model::SafePath;
use crate::node::error::Error;
use crate::node::types::Output;

/// A place for one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The directory that holds it.
    pub(crate) parent: PathBuf,
    /// Its name there; one component.
    pub(crate) name: SafePath,
    /// Whether the directory is made when it is absent.
    pub(crate) make: bool,
}

impl Destination {
    /// Follows the design, section 9: into the current directory; into `DIR/` or an existing directory; or under
    /// the path's own name. `None` for a stream.
    ///
    /// # Errors
    /// When the path's own name is not one that a file can have everywhere.
    pub(crate) fn of(output: &Output, name: &SafePath) -> Result<Option<Self>, Error> {
        match output {
            Output::Here => Ok(Some(Self { parent: PathBuf::from("."), name: name.last(), make: false })),
            Output::Path(path) => Self::at(path, name).map(Some),
            Output::Stream(_) => Ok(None),
        }
    }

    fn at(path: &Path, name: &SafePath) -> Result<Self, Error> {
        let into = path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.ends_with(".") || path.ends_with("..");
        if into || path.is_dir() {
            return Ok(Self { parent: path.to_owned(), name: name.last(), make: true });
        }
        let text = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = SafePath::parse(&text).map_err(|cause| Error::BadTarget { path: path.to_owned(), cause })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_decides_directory_and_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = SafePath::parse("docs/a.txt").expect("valid");
        let at =
            |path: PathBuf| Destination::of(&Output::Path(path), &name).expect("valid").expect("not a stream").path();
        assert_eq!(at(dir.path().to_owned()), dir.path().join("a.txt"));
        assert_eq!(at(dir.path().join("new/")), dir.path().join("new/a.txt"));
        assert_eq!(at(dir.path().join("b.txt")), dir.path().join("b.txt"));
        assert_eq!(at(PathBuf::from("b.txt")), PathBuf::from("b.txt"));
        let here = Destination::of(&Output::Here, &name).expect("valid").expect("not a stream");
        assert_eq!(here.path(), PathBuf::from("a.txt"));
    }
}
