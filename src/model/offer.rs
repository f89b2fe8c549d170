//! What nodes share and what a search finds.

pub mod audience;
pub mod modified;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::list::at_most;
use crate::model::query::fold;
use crate::model::{ContentId, NodeId, Plane, Query, SafePath};
use modified::Modified;

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A directory tree; first, because it ranks before a file of the same name.
    Collection,
    /// One file.
    File,
}

/// Something that a node shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Under which name.
    pub name: SafePath,
    /// File bytes; for a collection the sum over its files.
    pub size: u64,
    /// Its content id, once hashed.
    pub id: Option<ContentId>,
    /// File or collection.
    pub kind: Kind,
    /// Files in a collection; 1 for a file.
    pub files: u32,
    /// Locked by a password.
    #[serde(default)]
    pub locked: bool,
    /// Whether the owner of a single file may execute it. It travels beside the id, only where it is so; the entries of a
    /// collection have their own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
    /// When its bytes were last changed, of a collection those of the youngest file; none where that is not known.
    #[serde(default, deserialize_with = "Modified::claimed", skip_serializing_if = "Option::is_none")]
    pub modified: Option<Modified>,
}

impl Offer {
    /// An open file that nobody may execute.
    #[must_use]
    pub const fn file(name: SafePath, size: u64, id: Option<ContentId>) -> Self {
        Self { name, size, id, kind: Kind::File, files: 1, locked: false, executable: false, modified: None }
    }

    /// Whether a file of that size can have that id; of a collection its list decides.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        is_possible(self.kind, self.id, self.size)
    }
}

fn is_possible(kind: Kind, id: Option<ContentId>, size: u64) -> bool {
    kind == Kind::Collection || id.is_none_or(|id| id.may_have(size))
}

/// A node that can send some chunks of a content id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Which node.
    pub node: NodeId,
    /// Where it was reached, best first; empty when only its own connection leads to it. At most
    /// [`Provider::MAX_ADDRESSES`].
    #[serde(deserialize_with = "at_most::<_, _, { Provider::MAX_ADDRESSES }>")]
    pub addrs: Vec<SocketAddr>,
}

impl Provider {
    /// The most addresses that travel with one provider.
    pub const MAX_ADDRESSES: usize = 8;
}

/// What a search found: one (id, kind, size), with the names and nodes that offer it.
/// Before it is hashed (`id` is none) one name at one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The content id, once hashed.
    pub id: Option<ContentId>,
    /// File or collection.
    pub kind: Kind,
    /// File bytes; for a collection the sum over its files.
    pub size: u64,
    /// Files in a collection; 1 for a file.
    pub files: u32,
    /// Locked by a password.
    #[serde(default)]
    pub locked: bool,
    /// Whether any of those who offer a single file say that it may be executed: whoever does not say so may only have
    /// lost the bit on the way, and an id proves the bytes whichever it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
    /// When its bytes were last changed, as those who offer it say: the earliest date that any of them tells.
    #[serde(default, deserialize_with = "Modified::claimed", skip_serializing_if = "Option::is_none")]
    pub modified: Option<Modified>,
    /// Names it is offered under, best-ranked first; at most [`Hit::MAX_NAMES`].
    #[serde(deserialize_with = "at_most::<_, _, { Hit::MAX_NAMES }>")]
    pub names: Vec<SafePath>,
    /// Who offers it; at most [`Hit::MAX_PROVIDERS`].
    #[serde(deserialize_with = "at_most::<_, _, { Hit::MAX_PROVIDERS }>")]
    pub providers: Vec<Provider>,
}

impl Hit {
    /// The most names that travel with one hit.
    pub const MAX_NAMES: usize = 8;
    /// The most providers that travel with one hit.
    pub const MAX_PROVIDERS: usize = 50;

    /// An open file that nobody may execute, of no name and no provider yet.
    #[must_use]
    pub fn file(id: Option<ContentId>, size: u64) -> Self {
        let (names, providers) = (Vec::new(), Vec::new());
        Self {
            id,
            kind: Kind::File,
            size,
            files: 1,
            locked: false,
            executable: false,
            modified: None,
            names,
            providers,
        }
    }

    /// As [`Offer::is_possible`].
    #[must_use]
    pub fn is_possible(&self) -> bool {
        is_possible(self.kind, self.id, self.size)
    }

    /// Leaves of the names those that match, or all where the id is meant; says whether there is one: whoever answers with
    /// another says what is not true.
    pub fn keep_what_answers(&mut self, query: &Query) -> bool {
        if !query.means(self.id) {
            self.names.retain(|name| query.matches(&fold(name.as_str())));
        }
        query.means(self.id) || !self.names.is_empty()
    }

    /// Whether both say that they are of one content, of one size.
    #[must_use]
    pub fn is_same_content(&self, other: &Self) -> bool {
        (self.id, self.kind, self.size) == (other.id, other.kind, other.size)
    }
}

impl From<Offer> for Hit {
    fn from(offer: Offer) -> Self {
        let Offer { name, size, id, kind, files, locked, executable, modified } = offer;
        Self { id, kind, size, files, locked, executable, modified, names: vec![name], providers: Vec::new() }
    }
}

/// A hit, with where it was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundHit {
    /// What was found.
    pub hit: Hit,
    /// Where.
    pub plane: Plane,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
