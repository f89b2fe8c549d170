//! Friends: names that a person has given to node ids. A name is of this home only and never travels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{ContentId, NodeId, PeerTarget};

/// The most bytes of a name.
const LONGEST: usize = 64;

/// Why a text is no friend's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a friend's name: give up to 64 letters, digits, `-`, `_` or `.`, but no id")]
pub struct FriendNameError(String);

/// A friend's name: letters, digits, `-`, `_` and `.`, and nothing that could be an id, an address or an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FriendName(String);

impl FriendName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FriendName {
    type Err = FriendNameError;

    fn from_str(text: &str) -> Result<Self, FriendNameError> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_id = text.parse::<NodeId>().is_ok() || text.parse::<ContentId>().is_ok();
        if text.is_empty() || text.len() > LONGEST || text.starts_with('-') || !text.chars().all(plain) || is_id {
            return Err(FriendNameError(text.chars().take(LONGEST).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FriendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node that a person knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// What the person calls it.
    pub name: FriendName,
    /// Which node it is.
    pub node: NodeId,
    /// Where it is, if that was given; with the node's id.
    pub at: Option<PeerTarget>,
}

/// All friends of a home: no name and no node twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Friends(Vec<Friend>);

impl Friends {
    /// Of a list; what has a name or a node of an earlier one is left out.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = Friend>) -> Self {
        let mut kept: Vec<Friend> = Vec::new();
        for friend in list {
            if kept.iter().all(|other| other.name != friend.name && other.node != friend.node) {
                kept.push(friend);
            }
        }
        Self(kept)
    }

    /// Whether this node is one.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.of(node).is_some()
    }

    /// The friend that is this node.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<&Friend> {
        self.0.iter().find(|friend| friend.node == node)
    }

    /// The friend of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Friend> {
        self.0.iter().find(|friend| friend.name.as_str() == name)
    }

    /// All, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Friend> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_id_no_address_and_no_option() {
        for name in ["anna", "Jürgen", "lab-3", "a.b_c", "benjamin", "宇", &"x".repeat(64)] {
            assert_eq!(name.parse::<FriendName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        let (node, content) = (NodeId::of_public_key(b"n").to_string(), ContentId::of(b"c").to_string());
        for wrong in ["", "-x", "a b", "a:1", "a@b", "a/b", "a\u{1b}", "a\u{202e}", &node, &content, &"x".repeat(65)] {
            assert!(wrong.parse::<FriendName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_of_a_name_or_a_node_counts() {
        let friend = |name: &str, key: &[u8]| {
            let (name, node) = (name.parse().expect(name), NodeId::of_public_key(key));
            Friend { name, node, at: None }
        };
        let friends = Friends::new([friend("a", b"1"), friend("a", b"2"), friend("b", b"1"), friend("c", b"3")]);
        let names: Vec<_> = friends.iter().map(|friend| friend.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(friends.named("a"), friends.of(NodeId::of_public_key(b"1")));
        assert!(!friends.contains(NodeId::of_public_key(b"2")) && friends.named("b").is_none());
    }
}
