//! Names that are shared and that other systems cannot hold, or cannot tell apart.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::io::share::scan::ScannedRoot;
use crate::model::{SafePath, safe_path};

/// Names that cannot exist on Windows or macOS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unportable {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: SafePath,
}

/// Names that some systems cannot hold, all together.
pub(super) fn unportable(roots: &[ScannedRoot]) -> Option<Unportable> {
    let names: Vec<&SafePath> = roots.iter().flat_map(|r| r.files.iter().map(|f| &f.name)).collect();
    let mut seen = may_collide(&names).then(HashSet::new);
    let mut portable = Portable::default();
    let (mut count, mut first) = (0_u64, None);
    for name in names {
        let collides = seen.as_mut().is_some_and(|seen| !seen.insert(lower(name.as_str())));
        if !portable.is(name) || collides {
            count += 1;
            first.get_or_insert(name);
        }
    }
    first.map(|first| Unportable { count, first: first.clone() })
}

/// Whether two names may be the same on a system that ignores case: never wrong about `false`. Most trees have none, and
/// keeping every name in lower case to be sure takes longer than all the rest of the look.
fn may_collide(names: &[&SafePath]) -> bool {
    let keys = RandomState::new();
    let mut hashes: Vec<u64> = names.par_iter().map(|name| keys.hash_one(lower(name.as_str()))).collect();
    hashes.par_sort_unstable();
    hashes.windows(2).any(|two| two[0] == two[1])
}

/// Tells portable names, and remembers the directory of the last one: names come in order.
#[derive(Default)]
struct Portable<'a> {
    parent: &'a str,
    is_bad: bool,
}

impl<'a> Portable<'a> {
    fn is(&mut self, name: &'a SafePath) -> bool {
        let Some((parent, last)) = name.as_str().rsplit_once('/') else { return name.is_portable() };
        if self.parent != parent {
            let bad = |dir: &str| !safe_path::is_portable(dir);
            (self.parent, self.is_bad) = (parent, parent.split('/').any(bad));
        }
        !self.is_bad && safe_path::is_portable(last)
    }
}

fn lower(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().flat_map(char::to_lowercase).collect()
}
