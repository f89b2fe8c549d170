//! Whether the destination can hold a set of names, asked of the file system itself before the first byte.
//! Invariant: nothing stays behind, and a set that can be held is never refused. Names that nothing is wrong
//! with anywhere are not tried at all.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::io::receive::dest::{Access, DestError, SafeDir, quoted};
use crate::model::{LocalPath, SafePath};

/// How many doubtful names or pairs are tried; a file system that holds that many kinds holds the rest.
const TRIED: usize = 1000;

/// Why the destination cannot hold the names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AcceptError {
    /// Two names are one there.
    #[error("{} cannot hold both `{first}` and `{second}`, which are one name to its file system", quoted(path))]
    Collision {
        /// The destination.
        path: LocalPath,
        /// One of them.
        first: SafePath,
        /// The other.
        second: SafePath,
    },
    /// The destination refused something else.
    #[error(transparent)]
    Dest(#[from] DestError),
    /// A name that the file system changes or refuses.
    #[error("{} cannot hold the name `{name}`", quoted(path))]
    Name {
        /// The destination.
        path: LocalPath,
        /// The path with that name.
        name: SafePath,
    },
    /// A name longer than the file system takes.
    #[error("`{name}` has a name of more than {longest} bytes, the most that {} takes", quoted(path))]
    TooLong {
        /// The destination.
        path: LocalPath,
        /// The path with that name.
        name: SafePath,
        /// What the file system takes, in bytes.
        longest: u64,
    },
}

/// Whether the file system of `dir` can hold all these paths beside each other.
///
/// # Errors
/// The first thing that it cannot hold.
pub fn accepts<'p>(dir: &SafeDir, paths: impl IntoIterator<Item = &'p SafePath>) -> Result<(), AcceptError> {
    let longest = dir.longest_name().unwrap_or(u64::MAX);
    let mut doubts = Doubts::default();
    for path in paths {
        if path.components().any(|name| name.len() as u64 > longest) {
            return Err(AcceptError::TooLong { path: dir.path().into(), name: path.clone(), longest });
        }
        doubts.note(path);
    }
    if doubts.names.is_empty() && doubts.pairs.is_empty() {
        return Ok(());
    }
    doubts.resolve(dir)
}

#[derive(Default)]
struct Doubts<'p> {
    /// The path noted last: its neighbours in a sorted row lie in the same directories.
    last: &'p str,
    /// By what a directory's path is to a file system that ignores case and composition: how it is written. Of that only
    /// a hash, for there may be very many and long ones; two that have the same by chance are tried in vain.
    seen: HashMap<u64, &'p str>,
    hashes: RandomState,
    names: Vec<&'p SafePath>,
    pairs: Vec<(&'p str, &'p str)>,
}

impl<'p> Doubts<'p> {
    fn note(&mut self, path: &'p SafePath) {
        if self.names.len() < TRIED && !path.is_portable() {
            self.names.push(path);
        }
        let text = path.as_str();
        let known = shared_directories(std::mem::replace(&mut self.last, text), text);
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        for end in ends.filter(|end| *end > known) {
            let prefix = &text[..end];
            let first = *self.seen.entry(self.hashes.hash_one(fold(prefix))).or_insert(prefix);
            if first != prefix && self.pairs.len() < TRIED {
                self.pairs.push((first, prefix));
            }
        }
    }

    fn resolve(&self, dir: &SafeDir) -> Result<(), AcceptError> {
        let probe = parsed(&format!(".qshare-probe-{:08x}", rand::random::<u32>()))?;
        dir.create_dirs(&probe)?;
        let outcome = dir.dir(&probe).map_err(AcceptError::from).and_then(|inside| self.try_in(dir, &inside));
        dir.remove_tree(&probe)?;
        outcome
    }

    fn try_in(&self, dir: &SafeDir, inside: &SafeDir) -> Result<(), AcceptError> {
        for name in &self.names {
            if name.components().any(|component| !holds(inside, component)) {
                return Err(AcceptError::Name { path: dir.path().into(), name: (*name).clone() });
            }
        }
        for (first, second) in &self.pairs {
            let mut differing = first.split('/').zip(second.split('/')).filter(|(a, b)| a != b);
            if differing.any(|(a, b)| !holds_both(inside, a, b)) {
                let (first, second) = (parsed(first)?, parsed(second)?);
                return Err(AcceptError::Collision { path: dir.path().into(), first, second });
            }
        }
        Ok(())
    }
}

/// Where the last directory ends that both paths lie in.
fn shared_directories(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes()).enumerate();
    let same = pairs.take_while(|(_, (a, b))| a == b);
    same.filter(|(_, (byte, _))| *byte == b'/').last().map_or(0, |(end, _)| end)
}

/// What a name is to the coarsest file system: decomposed, upper case (so that `ß` is `SS`).
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.nfd().flat_map(char::to_uppercase).collect()
}

/// Whether the name is kept as it is written.
fn holds(inside: &SafeDir, name: &str) -> bool {
    let Ok(path) = SafePath::parse(name) else { return false };
    let made = inside.file(&path, Access::CreateNew).is_ok();
    let kept = made && inside.entries(None).is_ok_and(|entries| entries.iter().any(|(there, _)| there == name));
    let _ = inside.remove_file(&path);
    kept
}

fn holds_both(inside: &SafeDir, first: &str, second: &str) -> bool {
    let (Ok(first), Ok(second)) = (SafePath::parse(first), SafePath::parse(second)) else { return false };
    let both = inside.file(&first, Access::CreateNew).is_ok() && inside.file(&second, Access::CreateNew).is_ok();
    let _ = (inside.remove_file(&first), inside.remove_file(&second));
    both
}

/// A part of a safe path is one.
fn parsed(text: &str) -> Result<SafePath, DestError> {
    SafePath::parse(text).map_err(|_| DestError::Foreign { path: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(texts: &[&str]) -> Vec<SafePath> {
        texts.iter().map(|t| SafePath::parse(t).expect("valid")).collect()
    }

    #[test]
    fn case_008_names_that_collide_elsewhere_are_accepted_where_they_can_be_held() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = SafeDir::open(dir.path()).expect("held");
        let names =
            paths(&["net/xt_DSCP.c", "net/xt_dscp.c", "e\u{301}", "\u{e9}", "stra\u{df}e", "STRASSE", "A/x", "a/y"]);
        let hard = paths(&["a:b", "aux.c", "trailing.", "back\\slash"]);
        accepts(&held, names.iter().chain(&hard)).expect("this file system tells them apart");
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing stays behind");
    }

    #[test]
    fn doubtful_names_and_pairs_are_found_once_each() {
        let names = paths(&["A/x", "a/y", "a/z", "b/\u{e9}", "b/e\u{301}", "c:d", "f/g"]);
        let mut doubts = Doubts::default();
        names.iter().for_each(|path| doubts.note(path));
        assert_eq!(doubts.names, [&names[5]]);
        assert!(doubts.pairs.contains(&("A", "a")) && doubts.pairs.contains(&("b/\u{e9}", "b/e\u{301}")));
        assert!(!doubts.pairs.iter().any(|(first, _)| first.starts_with('f')));
    }

    #[test]
    fn a_file_system_that_folds_is_told_from_one_that_does_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = SafeDir::open(dir.path()).expect("held");
        assert!(holds_both(&held, "a", "A") && holds(&held, "x:y"));
        // One name twice is what a folding file system makes of two.
        assert!(!holds_both(&held, "a", "a"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing stays behind");
    }
}
