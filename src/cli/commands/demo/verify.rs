//! Compares the fetched tree with the original, byte by byte: files, directories, executable bits, nothing else there.
//! Not responsible for what of the original is shared: that is the plan's.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::cli::commands::demo::job::Watch;
use crate::cli::failure::Result;
use crate::node::{ScannedRoot, shown};

/// What is compared at a time.
const PIECE: usize = 1 << 20;

/// What was found to be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Same {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) executables: u64,
    pub(super) bytes: u64,
}

/// Compares what was shared with what was fetched.
pub(super) fn compare(root: &ScannedRoot, copy: &Path, watch: &Watch) -> Result<Same> {
    Ok(Comparison { root, copy, watch, same: Same::default() }.run()?)
}

struct Comparison<'a> {
    root: &'a ScannedRoot,
    copy: &'a Path,
    watch: &'a Watch,
    same: Same,
}

impl Comparison<'_> {
    fn run(mut self) -> anyhow::Result<Same> {
        let (mut expected, mut directories) = (HashSet::new(), HashSet::new());
        for file in &self.root.files {
            let below = self.below(file.name.as_str());
            directories.extend(below.ancestors().skip(1).map(Path::to_owned));
            self.file(&file.path, &self.copy.join(&below))?;
            expected.insert(below);
        }
        for empty in &self.root.empty_dirs {
            let below = self.below(empty.as_str());
            directories.extend(below.ancestors().map(Path::to_owned));
        }
        // The top itself is no directory of the tree.
        directories.remove(Path::new(""));
        for directory in &directories {
            let path = self.copy.join(directory);
            if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                bail!("the directory {} was not fetched", shown(&path));
            }
        }
        self.same.directories = directories.len() as u64;
        expected.extend(directories);
        self.nothing_else(&expected)?;
        Ok(self.same)
    }

    /// A name without the root's.
    fn below(&self, name: &str) -> PathBuf {
        let below = name.strip_prefix(self.root.name.as_str()).unwrap_or(name);
        PathBuf::from(below.trim_start_matches('/'))
    }

    fn file(&mut self, original: &Path, copy: &Path) -> anyhow::Result<()> {
        let mut left = File::open(original).with_context(|| format!("{} cannot be read", shown(original)))?;
        let mut right = File::open(copy).with_context(|| format!("{} was not fetched", shown(copy)))?;
        let bytes = self.bytes(&mut left, &mut right).with_context(|| format!("{} cannot be read", shown(copy)))?;
        let bytes = bytes.ok_or_else(|| {
            anyhow!("{} differs from the original; if nobody changed that meanwhile, it is a fault", shown(copy))
        })?;
        let executable = is_executable(&left.metadata()?);
        if is_executable(&right.metadata()?) != executable {
            bail!("{} has another executable bit than the original", shown(copy));
        }
        self.same.files += 1;
        self.same.bytes += bytes;
        self.same.executables += u64::from(executable);
        Ok(())
    }

    /// How many bytes both have; none when they differ.
    fn bytes(&self, left: &mut File, right: &mut File) -> io::Result<Option<u64>> {
        let (mut one, mut other) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
        let mut bytes = 0;
        loop {
            one.clear();
            other.clear();
            left.take(PIECE as u64).read_to_end(&mut one)?;
            right.take(PIECE as u64).read_to_end(&mut other)?;
            if one != other || self.watch.is_cancelled() {
                return Ok(None);
            }
            if one.is_empty() {
                return Ok(Some(bytes));
            }
            bytes += one.len() as u64;
            self.watch.add(one.len() as u64);
        }
    }

    /// Nothing was fetched that is not in the original.
    fn nothing_else(&self, expected: &HashSet<PathBuf>) -> anyhow::Result<()> {
        let mut open = vec![self.copy.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("{} cannot be read", shown(&dir)))? {
                let path = entry?.path();
                if !path.strip_prefix(self.copy).is_ok_and(|below| expected.contains(below)) {
                    bail!("{} is not in the original", shown(&path));
                }
                if fs::symlink_metadata(&path)?.is_dir() {
                    open.push(path);
                }
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn is_executable(meta: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{SurveyOptions, survey};

    /// A tree and a copy of it.
    fn trees() -> (tempfile::TempDir, ScannedRoot, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let (left, right) = (dir.path().join("t"), dir.path().join("copy"));
        for root in [&left, &right] {
            fs::create_dir_all(root.join("a/b")).expect("made");
            fs::create_dir_all(root.join("empty/deep")).expect("made");
            fs::write(root.join("a/b/f"), b"some bytes").expect("written");
            fs::write(root.join("nothing"), b"").expect("written");
        }
        let plan = survey(&[left], &SurveyOptions::default()).expect("a plan");
        let root = plan.scanned.into_iter().next().expect("a root");
        (dir, root, right)
    }

    #[test]
    fn equal_trees_are_counted() {
        let (_dir, root, copy) = trees();
        let same = compare(&root, &copy, &Watch::default()).expect("equal");
        assert_eq!(same, Same { files: 2, directories: 4, executables: 0, bytes: 10 });
    }

    type Change = fn(&Path) -> io::Result<()>;

    #[test]
    fn every_difference_is_found() {
        let changes: [(&str, Change); 6] = [
            ("differs", |copy| fs::write(copy.join("a/b/f"), b"some bytez")),
            ("differs", |copy| fs::write(copy.join("a/b/f"), b"some bytes.")),
            ("was not fetched", |copy| fs::remove_file(copy.join("nothing"))),
            ("was not fetched", |copy| fs::remove_dir(copy.join("empty/deep"))),
            ("is not in the original", |copy| fs::write(copy.join("a/more"), b"")),
            ("executable", |copy| {
                #[cfg(unix)]
                fs::set_permissions(copy.join("nothing"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
                Ok(())
            }),
        ];
        for (expected, change) in changes {
            let (_dir, root, copy) = trees();
            change(&copy).expect(expected);
            let failure = compare(&root, &copy, &Watch::default()).expect_err(expected);
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
}
