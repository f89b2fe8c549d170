//! What the target has already, compared by content before any byte is fetched.
//! Invariant: only regular files are read, no link is followed, and nothing is changed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::io::receive::dest::{Access, DestError, FileKind, SafeDir, quoted};
use crate::io::share::hash::{Hashed, hash_held};
use crate::model::collection::Entry;
use crate::model::{Collection, ContentId, LocalPath, SafePath};

/// How many paths an error names.
const NAMED: usize = 20;

/// What is at the target; paths of the collection, or the target's own name for a file. Each sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// There, with the right content.
    pub same: Vec<SafePath>,
    /// Files with other content: what `--force` may replace.
    pub different: Vec<SafePath>,
    /// Not there.
    pub missing: Vec<SafePath>,
    /// In the way and never replaced: links, devices, a directory for a file or a file for a directory.
    pub blocked: Vec<SafePath>,
    /// What was read to find the same content: it need not be read again to be shared.
    pub proofs: Vec<(SafePath, Hashed)>,
}

/// What is at the target may not be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ExistingError {
    /// Links, devices, or a directory in place of a file.
    #[error("{} in the way and never replaced, as a link, a device or what is no file where one goes", listed(paths))]
    Blocked {
        /// All of them.
        paths: Vec<LocalPath>,
    },
    /// Files of other content.
    #[error("{} there with other content", listed(paths))]
    Different {
        /// All of them.
        paths: Vec<LocalPath>,
    },
}

impl Existing {
    /// Whether there is nothing to do.
    pub const fn is_complete(&self) -> bool {
        self.different.is_empty() && self.missing.is_empty() && self.blocked.is_empty()
    }

    /// One error that names all that stands in the way; `base` is what the paths are relative to.
    ///
    /// # Errors
    /// When something is blocked, or differs and `force` is not given.
    pub fn permit(&self, base: &SafeDir, force: bool) -> Result<(), ExistingError> {
        let named = |paths: &[SafePath]| paths.iter().map(|p| base.shown(p)).collect::<Vec<_>>();
        if !self.blocked.is_empty() {
            return Err(ExistingError::Blocked { paths: named(&self.blocked) });
        }
        if !force && !self.different.is_empty() {
            return Err(ExistingError::Different { paths: named(&self.different) });
        }
        Ok(())
    }

    fn add(&mut self, path: SafePath, (state, proof): Compared) {
        self.proofs.extend(proof.map(|hashed| (path.clone(), hashed)));
        match state {
            State::Blocked => self.blocked.push(path),
            State::Different => self.different.push(path),
            State::Missing => self.missing.push(path),
            State::Same => self.same.push(path),
        }
    }
}

/// Compares one file. `hashed` grows by the bytes that were read.
///
/// # Errors
/// When what is there cannot be read.
pub fn compare_file(
    parent: &SafeDir,
    target: &SafePath,
    id: ContentId,
    size: u64,
    hashed: &AtomicU64,
) -> Result<Existing, DestError> {
    let mut existing = Existing::default();
    existing.add(target.clone(), state_of_file(parent, target, id, size, hashed)?);
    Ok(existing)
}

/// Compares those entries of a collection that are wanted with the directory `target` in `parent`, in parallel.
/// A target that is no directory blocks, under its own name.
///
/// # Errors
/// When something that is there cannot be read, or the target needs something and is another file system.
pub fn compare_collection(
    parent: &SafeDir,
    target: &SafePath,
    collection: &Collection,
    wanted: impl Fn(&SafePath) -> bool + Sync,
    hashed: &AtomicU64,
) -> Result<Existing, DestError> {
    let entries = collection.entries().iter().filter(|(path, _)| wanted(path));
    let mut existing = Existing::default();
    match parent.stat(target)?.map(|s| s.kind) {
        None => existing.missing = entries.map(|(path, _)| path.clone()).collect(),
        Some(FileKind::Directory) => {
            let dir = parent.dir(target)?;
            let entries: Vec<_> = entries.collect();
            let states: Vec<_> = entries.par_iter().map(|(p, e)| state_of(&dir, p, e, hashed)).collect();
            for ((path, _), state) in entries.into_iter().zip(states) {
                existing.add(path.clone(), state?);
            }
            // What is built beside the target could not be renamed into it: better now than after the transfer.
            if dir.device() != parent.device() && !existing.is_complete() {
                return Err(DestError::io("build beside", dir.path(), io::ErrorKind::CrossesDevices.into()));
            }
        }
        Some(_) => existing.blocked = vec![target.clone()],
    }
    Ok(existing)
}

/// How something compares, and what was learned by reading it.
type Compared = (State, Option<Hashed>);

#[derive(Clone, Copy)]
enum State {
    Blocked,
    Different,
    Missing,
    Same,
}

fn state_of(dir: &SafeDir, path: &SafePath, entry: &Entry, hashed: &AtomicU64) -> Result<Compared, DestError> {
    match entry {
        Entry::Directory => match stat(dir, path)? {
            AtPath::Kind(FileKind::Directory, _) => Ok((State::Same, None)),
            AtPath::Nothing => Ok((State::Missing, None)),
            AtPath::Behind | AtPath::Kind(..) => Ok((State::Blocked, None)),
        },
        Entry::File { size, id, .. } => state_of_file(dir, path, *id, *size, hashed),
    }
}

fn state_of_file(
    dir: &SafeDir,
    path: &SafePath,
    id: ContentId,
    size: u64,
    hashed: &AtomicU64,
) -> Result<Compared, DestError> {
    match stat(dir, path)? {
        AtPath::Nothing => Ok((State::Missing, None)),
        AtPath::Kind(FileKind::File, len) if len != size => Ok((State::Different, None)),
        AtPath::Kind(FileKind::File, _) => {
            let file = dir.file(path, Access::Read)?;
            let progress = |bytes| {
                hashed.fetch_add(bytes, Ordering::Relaxed);
            };
            match hash_held(&file, &progress).map_err(|e| dir.explain("read", path, e))? {
                Some(proof) if proof.id == id => Ok((State::Same, Some(proof))),
                // Else, or it changed while it was read.
                _ => Ok((State::Different, None)),
            }
        }
        AtPath::Behind | AtPath::Kind(..) => Ok((State::Blocked, None)),
    }
}

enum AtPath {
    /// A link or a file stands where a directory above has to be.
    Behind,
    Kind(FileKind, u64),
    Nothing,
}

fn stat(dir: &SafeDir, path: &SafePath) -> Result<AtPath, DestError> {
    match dir.stat(path) {
        Ok(None) => Ok(AtPath::Nothing),
        Ok(Some(stat)) => Ok(AtPath::Kind(stat.kind, stat.len)),
        Err(DestError::Link { .. } | DestError::NotADirectory { .. }) => Ok(AtPath::Behind),
        Err(error) => Err(error),
    }
}

fn listed(paths: &[LocalPath]) -> String {
    let mut text = paths.iter().take(NAMED).map(|p| quoted(p)).collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        text.push_str(&format!(" and {} more ({} in all)", paths.len() - NAMED, paths.len()));
    }
    text.push_str(if paths.len() == 1 { " is" } else { " are" });
    text
}

#[cfg(test)]
mod tests;
