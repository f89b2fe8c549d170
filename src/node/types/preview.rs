//! What a dry run finds out.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::{LocalPath, Modified, NodeId, Provider, SafePath};

/// What is at the target of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum There {
    /// Something that is never replaced: a link, a device, a directory for a file or a file for a directory.
    Blocked,
    /// A file of other content: replaced with `force`, else in the way.
    Differs,
    /// Nothing: the file would be new.
    New,
    /// A file of other content that is not older, where only older ones are replaced: it stays.
    Newer,
    /// A file of other content that is older, and replaced.
    Older,
    /// The same content.
    #[serde(rename = "here")]
    Same,
}

/// A file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PreviewFile {
    /// Its path in the collection, or its name.
    pub name: SafePath,
    /// Its size in bytes.
    pub size: u64,
    /// What is there.
    #[serde(rename = "state")]
    pub there: There,
    /// Where it would lie; none for a stream.
    pub path: Option<LocalPath>,
}

/// What a provider has of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Has {
    /// Only parts: it is fetching it itself. How many bytes, where that is known.
    Parts(Option<u64>),
    /// It did not say.
    Unknown,
    /// All of it.
    Whole,
}

/// A provider, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who.
    pub node: NodeId,
    /// Where; none where that is not known yet.
    pub addrs: Vec<SocketAddr>,
    /// How much.
    pub has: Has,
}

impl Holder {
    /// A provider that has so much.
    pub(crate) fn new(provider: &Provider, has: Has) -> Self {
        Self { node: provider.node, addrs: provider.addrs.clone(), has }
    }
}

/// Another process that is fetching the same into the same directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Which, when known.
    pub pid: Option<u32>,
    /// Bytes that it has.
    pub have: u64,
}

/// What a `get` would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preview {
    /// The files that were asked for.
    pub files: Vec<PreviewFile>,
    /// Bytes that would be fetched, once nothing is in the way; of files of the same content those of one.
    pub to_come: u64,
    /// Bytes of these files that an earlier run left, to be proven again: they would not be fetched.
    pub kept: u64,
    /// Whether files of other content would be replaced.
    pub force: bool,
    /// Everyone who is known to have it, or parts of it.
    pub holders: Vec<Holder>,
    /// When it was last changed, as those say.
    #[serde(default, deserialize_with = "Modified::claimed")]
    pub modified: Option<Modified>,
    /// Who is fetching it already: a `get` would wait for its end, and copy what it has made.
    pub busy: Option<Busy>,
}

impl Preview {
    /// How many files have this at their target.
    #[must_use]
    pub fn count(&self, there: There) -> usize {
        self.files.iter().filter(|file| file.there == there).count()
    }

    /// Whether anything would be put in place.
    #[must_use]
    pub fn comes(&self) -> bool {
        self.in_the_way() == 0 && self.count(There::Same) + self.count(There::Newer) < self.files.len()
    }

    /// How many files would keep it from doing anything.
    #[must_use]
    pub fn in_the_way(&self) -> usize {
        self.count(There::Blocked) + if self.force { 0 } else { self.count(There::Differs) }
    }
}
