//! For whom something is offered.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{NodeId, SafePath};

/// Above a name that nobody is told stand one of these and at least so many digits: of what is sent, and of what has come so.
const ABOVE: ([&str; 2], usize) = (["given", "put"], 32);

/// For whom something is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audience {
    /// Whoever asks.
    #[default]
    Everybody,
    /// The friends of the node.
    Friends,
    /// These nodes, by its id alone: its name is told to nobody.
    Nodes(BTreeSet<NodeId>),
}

/// Who asks, as far as that decides what there is: each may know what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// Anybody.
    Stranger,
    /// A friend of the node.
    Friend,
    /// A node to which the content is given.
    Receiver,
}

impl Audience {
    /// Whether something that is for these is for one who asks so; of receivers the one to whom it is given.
    #[must_use]
    pub fn includes(&self, asker: Asker) -> bool {
        asker
            >= match self {
                Self::Everybody => Asker::Stranger,
                Self::Friends => Asker::Friend,
                Self::Nodes(_) => Asker::Receiver,
            }
    }

    /// Whether its name is told to nobody.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        matches!(self, Self::Nodes(_))
    }

    /// Whether it is the node's friends.
    #[must_use]
    pub const fn is_friends(&self) -> bool {
        matches!(self, Self::Friends)
    }
}

/// A name that is told to nobody, of something whose number is this.
#[must_use]
pub fn hidden(is_sent: bool, number: &str, name: &SafePath) -> SafePath {
    let above = SafePath::parse(&format!("{}/{number}", ABOVE.0[usize::from(is_sent)]));
    // It is short enough; and it is the audience that hides it.
    above.and_then(|above| above.join(name)).unwrap_or_else(|_| name.clone())
}

/// What of such a name people know; any other name is as it is.
#[must_use]
pub fn unhidden(name: &SafePath) -> SafePath {
    let is_number = |text: &str| text.len() >= ABOVE.1 && text.bytes().take(ABOVE.1).all(|b| b.is_ascii_hexdigit());
    let mut parts = name.as_str().splitn(3, '/');
    let is_hidden = parts.next().is_some_and(|dir| ABOVE.0.contains(&dir)) && parts.next().is_some_and(is_number);
    let known = parts.next().filter(|_| is_hidden).and_then(|known| SafePath::parse(known).ok());
    known.unwrap_or_else(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_know_a_hidden_name_without_what_hides_it() {
        let path = |text: &str| SafePath::parse(text).expect("a name");
        for (is_sent, number) in [(true, "0f".repeat(16) + "-3"), (false, "0f".repeat(32))] {
            let name = hidden(is_sent, &number, &path("album/one.bin"));
            assert_eq!((name.components().count(), unhidden(&name)), (4, path("album/one.bin")));
        }
        for other in ["put/papers/a", "put/ein-langer-name-mit-umlaut-äöüäöü/a", "put", "papers/a/b"] {
            assert_eq!(unhidden(&path(other)), path(other));
        }
    }
}
