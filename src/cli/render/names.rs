//! Friends by name, wherever an id is shown to people. A name alone could be anybody's, so the id's beginning stays
//! beside it where there is room. JSON has whole ids, and names in fields of their own.

use std::sync::Arc;

use crate::model::{Friends, NodeId};

/// The names of this home's friends. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Friends>);

impl Names {
    /// Of these friends.
    pub(crate) fn new(friends: Friends) -> Self {
        Self(Arc::new(friends))
    }

    /// The name of a node, if it is a friend.
    pub(crate) fn of(&self, node: NodeId) -> Option<&str> {
        self.0.of(node).map(|friend| friend.name.as_str())
    }

    /// Whether there is no friend.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Everyone, for sentences: `your friends anna, bob`.
    pub(crate) fn all(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|friend| friend.name.as_str()).collect();
        match names.as_slice() {
            [] => "nobody yet: `qshare friends add NAME ID` adds a friend".to_owned(),
            names => format!("your friends {}", names.join(", ")),
        }
    }

    /// `anna (abcdefgh)`, or the whole id of a stranger.
    pub(crate) fn whole(&self, node: NodeId) -> String {
        self.of(node).map_or_else(|| node.to_string(), |name| format!("{name} ({})", node.short()))
    }

    /// `anna`, or the beginning of a stranger's id.
    pub(crate) fn short(&self, node: NodeId) -> String {
        self.of(node).map_or_else(|| node.short(), str::to_owned)
    }

    /// A sentence with friends' names in place of their ids, whole or shortened. What is to be pasted, `ID@HOST:PORT`,
    /// stays.
    pub(crate) fn in_sentence(&self, sentence: &str) -> String {
        let mut text = String::with_capacity(sentence.len());
        let mut rest = sentence;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let word = &rest[start..];
            let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            text.push_str(&rest[..start]);
            let friend = self.0.iter().find(|friend| word == friend.node.to_string() || word == friend.node.short());
            match friend {
                Some(friend) if !after.starts_with('@') => text.push_str(&self.whole(friend.node)),
                _ => text.push_str(word),
            }
            rest = after;
        }
        text + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Friend;

    #[test]
    fn friends_are_named_in_tables_and_in_sentences() {
        let (anna, other) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
        let name = "anna".parse().expect("a name");
        let names = Names::new(Friends::new([Friend { name, node: anna, at: None }]));
        let short = anna.short();
        assert_eq!((names.whole(anna), names.short(anna)), (format!("anna ({short})"), "anna".to_owned()));
        assert_eq!((names.whole(other), names.short(other)), (other.to_string(), other.short()));
        let shown = names.in_sentence(&format!("({anna}) and {short}, not {other} nor x{short} nor {anna}@h:1; naïve"));
        let expected = format!("(anna ({short})) and anna ({short}), not {other} nor x{short} nor {anna}@h:1; naïve");
        assert_eq!(shown, expected);
    }
}
