//! The friends of a home: the file HOME/friends, one `NAME ID [HOST[:PORT]]` a line, which people may edit too.
//! Invariant: no change leaves a name or a node twice. Every method blocks on the disk.

use std::path::Path;

use crate::io::home::lines::{Line, LineFile, LinesError, ListFile};
use crate::model::address::NODE_PORT;
use crate::model::{Friend, FriendName, Friends, NodeId, PeerTarget};

/// The file within a home.
pub const FRIENDS_FILE: &str = "friends";

impl Line for Friend {
    const FORM: &str = "NAME ID [HOST[:PORT]]";

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (name, node) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let at = match words.next() {
            Some(host_port) => Some(PeerTarget::parse(&format!("{node}@{host_port}"), NODE_PORT).ok()?),
            None => None,
        };
        words.next().is_none().then_some(Self { name, node, at })
    }

    fn text(&self) -> String {
        let at = self.at.as_ref().map(|at| format!(" {}", at.host_port())).unwrap_or_default();
        format!("{} {}{at}", self.name, self.node)
    }
}

/// What adding a friend came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is one now, or its address is this one now.
    Now,
    /// The name is another node's.
    NameOf(NodeId),
    /// The node has another name.
    NodeOf(FriendName),
}

/// The friends of a home.
#[derive(Debug, Clone)]
pub struct FriendFile(LineFile<Friend>);

impl FriendFile {
    /// Those of a home's root directory.
    pub fn at(home: &Path) -> Self {
        Self(LineFile::at(home.join(FRIENDS_FILE)))
    }

    /// What is wrong with a line that cannot be understood: whose it is, is no friend.
    pub fn broken(&self) -> Option<LinesError> {
        self.0.broken()
    }

    /// Adds a friend. Of one that is known the address is replaced, if one is given.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn add(&self, friend: &Friend) -> Result<Added, LinesError> {
        self.0.change(|known| {
            if let Some(other) = known.iter().find(|other| other.name == friend.name && other.node != friend.node) {
                return (false, Added::NameOf(other.node));
            }
            match known.iter_mut().find(|other| other.node == friend.node) {
                Some(other) if other.name != friend.name => (false, Added::NodeOf(other.name.clone())),
                Some(other) => {
                    let changed = friend.at.is_some() && other.at != friend.at;
                    if changed {
                        other.at.clone_from(&friend.at);
                    }
                    (changed, Added::Now)
                }
                None => {
                    known.push(friend.clone());
                    (true, Added::Now)
                }
            }
        })
    }

    /// Forgets a friend; tells which node it was.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&self, name: &FriendName) -> Result<Option<NodeId>, LinesError> {
        self.0.change(|known| {
            let node = known.iter().find(|friend| friend.name == *name).map(|friend| friend.node);
            known.retain(|friend| friend.name != *name);
            (node.is_some(), node)
        })
    }
}

impl ListFile for FriendFile {
    type List = Friends;

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read_good(&self) -> Result<(Friends, Option<LinesError>), LinesError> {
        let (friends, wrong) = self.0.read_good()?;
        Ok((Friends::new(friends), wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn friend(name: &str, key: &[u8], at: Option<&str>) -> Friend {
        let node = NodeId::of_public_key(key);
        let at = at.map(|at| format!("{node}@{at}").parse().expect("a target"));
        Friend { name: name.parse().expect("a name"), node, at }
    }

    #[test]
    fn friends_are_added_found_moved_and_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = FriendFile::at(&dir.path().join("home"));
        assert!(file.read().expect("read").is_empty() && file.stamp().is_none());
        let (anna, bob) = (friend("anna", b"a", None), friend("bob", b"b", Some("[fd66::1]:2")));
        for friend in [&anna, &bob] {
            assert_eq!(file.add(friend).expect("written"), Added::Now);
        }
        let moved = friend("anna", b"a", Some("h:7"));
        assert_eq!(file.add(&moved).expect("written"), Added::Now);
        assert_eq!(file.add(&anna).expect("written"), Added::Now, "the address stays");
        assert_eq!(file.read().expect("read"), Friends::new([moved, bob.clone()]));
        assert_eq!(file.remove(&anna.name).expect("written"), Some(anna.node));
        assert_eq!(file.remove(&anna.name).expect("written"), None);
        assert_eq!(file.read().expect("read"), Friends::new([bob]));
    }

    #[test]
    fn a_name_keeps_its_node_and_a_node_its_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = FriendFile::at(dir.path());
        let anna = friend("anna", b"a", None);
        file.add(&anna).expect("written");
        assert_eq!(file.add(&friend("anna", b"other", None)).expect("read"), Added::NameOf(anna.node));
        assert_eq!(file.add(&friend("hanna", b"a", None)).expect("read"), Added::NodeOf(anna.name.clone()));
        assert_eq!(file.read().expect("read"), Friends::new([anna]));
    }

    #[test]
    fn a_line_that_is_no_friend_is_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let id = NodeId::of_public_key(b"a");
        for line in ["anna".to_owned(), format!("an:na {id}"), format!("anna {id} h/"), format!("anna {id} h:1 more")] {
            std::fs::write(dir.path().join(FRIENDS_FILE), &line).expect("written");
            let error = FriendFile::at(dir.path()).read().expect_err(&line).to_string();
            assert!(error.contains("`NAME ID [HOST[:PORT]]`"), "{error}");
        }
    }
}
