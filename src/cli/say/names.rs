//! Friends by name, wherever an id is shown to people. A name alone could be anybody's, so the id's beginning stays
//! beside it where there is room, and the whole id where nothing is shortened. JSON has whole ids, and names in fields of
//! their own.

use std::sync::Arc;

use crate::model::{Friends, NodeId};

/// The names of this home's friends. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    friends: Arc<Friends>,
    /// Whether every id is shown whole.
    wide: bool,
}

impl Names {
    /// Of these friends.
    pub(crate) fn new(friends: Friends) -> Self {
        Self { friends: Arc::new(friends), wide: false }
    }

    /// The same, with every id whole where that is so.
    pub(crate) fn wide(&self, wide: bool) -> Self {
        Self { wide, ..self.clone() }
    }

    /// The name of a node, if it is a friend.
    pub(crate) fn of(&self, node: NodeId) -> Option<&str> {
        self.friends.of(node).map(|friend| friend.name.as_str())
    }

    /// The friend of this name.
    pub(crate) fn node(&self, name: &str) -> Option<NodeId> {
        self.friends.named(name).map(|friend| friend.node)
    }

    /// Whether there is no friend.
    pub(crate) fn are_none(&self) -> bool {
        self.friends.is_empty()
    }

    /// Everyone, for sentences: `your friends anna, bob`.
    pub(crate) fn all(&self) -> String {
        let names: Vec<&str> = self.friends.iter().map(|friend| friend.name.as_str()).collect();
        match names.as_slice() {
            [] => "your friends, of whom there was none as this began: `qshare friends add NAME ID` adds one, who is served at once".to_owned(),
            names => format!("your friends {}", names.join(", ")),
        }
    }

    /// `anna (abcdefgh)`, or the whole id of a stranger.
    pub(crate) fn whole(&self, node: NodeId) -> String {
        self.of(node).map_or_else(|| node.to_string(), |name| format!("{name} ({})", self.id(node)))
    }

    /// `anna`, or the beginning of a stranger's id; where ids are whole, as [`Self::whole`].
    pub(crate) fn short(&self, node: NodeId) -> String {
        if self.wide {
            return self.whole(node);
        }
        self.of(node).map_or_else(|| node.short(), str::to_owned)
    }

    /// `anna (abcdefgh)`, or the beginning of a stranger's id.
    pub(crate) fn brief(&self, node: NodeId) -> String {
        self.of(node).map_or_else(|| self.id(node), |_| self.whole(node))
    }

    fn id(&self, node: NodeId) -> String {
        if self.wide { node.to_string() } else { node.short() }
    }

    /// What a person gave for a node: that of a friend who is named so by its id, whole or shortened.
    pub(crate) fn given(&self, text: &str) -> String {
        let friend = self.friends.iter().find(|friend| text == friend.node.to_string() || text == friend.node.short());
        friend.map_or_else(|| text.to_owned(), |friend| self.whole(friend.node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Friend;

    #[test]
    fn friends_are_named_wherever_a_node_is_shown() {
        let (anna, other) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
        let name = "anna".parse().expect("a name");
        let names = Names::new(Friends::new([Friend { name, node: anna, at: None }]));
        let short = anna.short();
        assert_eq!((names.whole(anna), names.short(anna)), (format!("anna ({short})"), "anna".to_owned()));
        assert_eq!((names.whole(other), names.short(other)), (other.to_string(), other.short()));
        assert_eq!((names.brief(anna), names.brief(other)), (format!("anna ({short})"), other.short()));
        let given = |text: &str| names.given(text);
        assert_eq!((given(&short), given(&anna.to_string())), (names.whole(anna), names.whole(anna)));
        assert_eq!((given(&other.short()), given("anna")), (other.short(), "anna".to_owned()));
        let (wide, whole) = (names.wide(true), format!("anna ({anna})"));
        for of in [Names::whole, Names::short, Names::brief] {
            assert_eq!((of(&wide, anna), of(&wide, other)), (whole.clone(), other.to_string()));
        }
    }
}
