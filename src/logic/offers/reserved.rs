//! What of a node's offers is for its friends alone. Invariant: what is offered to anybody as well is not reserved.

use std::collections::{BTreeSet, HashSet};

use crate::model::{ContentId, SafePath};

/// See above. The default reserves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Names that are shared for friends alone, each with all beneath it.
    roots: BTreeSet<SafePath>,
    /// Contents that are, or were, offered under those names and no others.
    ids: HashSet<ContentId>,
    all: bool,
}

impl Reserved {
    /// Of a node that serves its friends alone as long as it shares nothing for anybody.
    #[must_use]
    pub fn whole() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// These names with these contents; `all` when the node shares nothing else.
    #[must_use]
    pub const fn new(roots: BTreeSet<SafePath>, ids: HashSet<ContentId>, all: bool) -> Self {
        Self { roots, ids, all }
    }

    /// Whether strangers are served with nothing at all.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.all
    }

    /// Whether anything is reserved.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.all || !self.roots.is_empty()
    }

    /// Whether any name is.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Whether this name is, or lies beneath one that is.
    #[must_use]
    pub fn has_name(&self, name: &SafePath) -> bool {
        !self.roots.is_empty() && name.above().chain([name.as_str()]).any(|name| self.roots.contains(name))
    }

    /// Whether this content is.
    #[must_use]
    pub fn has_id(&self, id: ContentId) -> bool {
        self.ids.contains(&id)
    }

    /// The contents.
    pub fn ids(&self) -> impl Iterator<Item = ContentId> {
        self.ids.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reserved_with_all_beneath_it_and_nothing_beside_it() {
        let path = |name: &str| SafePath::parse(name).expect("valid");
        let reserved = Reserved::new(BTreeSet::from([path("a/b"), path("c")]), HashSet::new(), false);
        for name in ["a/b", "a/b/x", "a/b/x/y", "c", "c/x"] {
            assert!(reserved.has_name(&path(name)), "{name}");
        }
        for name in ["a", "a/bc", "a/x", "cc", "x/c"] {
            assert!(!reserved.has_name(&path(name)), "{name}");
        }
    }
}
