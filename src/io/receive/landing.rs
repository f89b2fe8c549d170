//! Which directory a path leads to, told from one process to another: what is under one path may differ between them, as with a
//! private `/tmp` or in a container.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The nearest directory of a path that is there, with what tells it from all others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Landing {
    /// Where it is.
    pub dir: PathBuf,
    /// Its device and inode; none where the system has none.
    file: Option<(u64, u64)>,
}

impl Landing {
    /// That of a whole path. Blocks.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let dir = path.ancestors().find(|dir| dir.is_dir()).unwrap_or(path).to_owned();
        Self { file: file_of(&dir), dir }
    }

    /// Whether this process sees it, too. Blocks.
    pub fn is_here(&self) -> bool {
        file_of(&self.dir) == self.file
    }
}

#[cfg(unix)]
fn file_of(dir: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::stat(dir).ok()?;
    // The types differ among systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the types differ among systems")]
    Some((stat.st_dev as u64, stat.st_ino as u64))
}

#[cfg(not(unix))]
fn file_of(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_again_and_another_in_its_place_is_not_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("target");
        let new = Landing::of(&target.join("to/be/made"));
        assert_eq!(new.dir, dir.path());
        std::fs::create_dir(&target).expect("made");
        let landing = Landing::of(&target.join("file"));
        assert!(landing.is_here() && new.is_here() && landing.dir == target);
        // Made before the other goes, so that it cannot have its inode.
        std::fs::create_dir(dir.path().join("other")).expect("made");
        std::fs::remove_dir(&target).expect("removed");
        std::fs::rename(dir.path().join("other"), &target).expect("moved");
        assert_eq!(landing.is_here(), cfg!(not(unix)));
    }
}
