//! The nodes that this home has met, so that a person can name one by the first characters of its id, and it is found
//! again where it was. A text file, one node a line, newest last, bounded. An address is a hint: the pinned handshake decides.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::model::NodeId;

/// Nodes that are kept; the oldest go first.
const KEPT: usize = 4096;
/// That one was seen so soon after is not written.
const SOON: Duration = Duration::from_secs(60);

/// The file of them. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Met(LineFile<MetNode>);

/// A node that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetNode {
    /// Which.
    pub node: NodeId,
    /// Where there was a link to it last, if there was one.
    pub addr: Option<SocketAddr>,
    /// When there was a link to it last, in whole seconds since 1970, if that is known.
    pub seen: Option<Duration>,
}

impl Line for MetNode {
    const FORM: &str = "ID [ADDR [SECONDS]]";

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let node = words.next()?.parse().ok()?;
        let addr = words.next().and_then(|word| word.parse().ok());
        Some(Self { node, addr, seen: words.next().and_then(|word| word.parse().ok()).map(Duration::from_secs) })
    }

    fn text(&self) -> String {
        let Some(addr) = self.addr else { return self.node.to_string() };
        let seen = self.seen.map(|seen| format!(" {}", seen.as_secs())).unwrap_or_default();
        format!("{} {addr}{seen}", self.node)
    }
}

impl MetNode {
    /// Whether this one says nothing that the other does not.
    fn is_in(self, other: Self) -> bool {
        let is_soon = |seen: Duration| other.seen.is_some_and(|before| seen < before + SOON);
        self.node == other.node && (self.addr.is_none() || self.addr == other.addr) && self.seen.is_none_or(is_soon)
    }
}

impl Met {
    /// In this home; the file is made when the first node is remembered.
    pub fn at(home: &Path) -> Self {
        Self(LineFile::at(home.join("met")))
    }

    /// All nodes, oldest first. A file that cannot be read holds none: it is only a convenience.
    pub fn nodes(&self) -> Vec<MetNode> {
        self.0.read_what_is_right().unwrap_or_default()
    }

    /// Remembers nodes; an address takes the place of the one before.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn remember(&self, new: Vec<MetNode>) -> Result<(), LinesError> {
        let known = self.nodes();
        if new.iter().all(|new| known.iter().any(|known| new.is_in(*known))) {
            return Ok(());
        }
        self.0.change_what_is_right(|nodes| {
            for new in new {
                match nodes.iter_mut().find(|known| known.node == new.node) {
                    Some(known) => {
                        known.addr = new.addr.or(known.addr);
                        known.seen = new.seen.max(known.seen);
                    }
                    None => nodes.push(new),
                }
            }
            nodes.drain(..nodes.len().saturating_sub(KEPT));
            (true, ())
        })
    }

    /// The ids that begin with this prefix.
    pub fn with_prefix(&self, prefix: &str) -> Vec<NodeId> {
        self.nodes().iter().map(|met| met.node).filter(|id| id.to_string().starts_with(prefix)).collect()
    }

    /// Where a node was met, if it is known.
    pub fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        self.of(node)?.addr
    }

    /// What is remembered of a node.
    pub fn of(&self, node: NodeId) -> Option<MetNode> {
        self.nodes().into_iter().find(|met| met.node == node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(n: u8, addr: Option<&str>) -> MetNode {
        MetNode { node: NodeId::of_public_key(&[n]), addr: addr.map(|addr| addr.parse().expect(addr)), seen: None }
    }

    #[test]
    fn ids_are_found_by_their_first_characters() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Met::at(dir.path());
        let all: Vec<_> = (0..9).map(|n| met(n, None)).collect();
        file.remember(all.clone()).expect("written");
        file.remember(all[..2].to_vec()).expect("nothing new");
        assert_eq!(file.nodes(), all);
        assert_eq!(file.with_prefix(&all[3].node.short()), [all[3].node]);
        assert!(file.with_prefix("00000000").is_empty());
    }

    #[test]
    fn a_node_keeps_the_address_where_it_was_last() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Met::at(dir.path());
        for (new, kept) in [
            (None, None),
            (Some("10.0.0.1:1"), Some("10.0.0.1:1")),
            (None, Some("10.0.0.1:1")),
            (Some("[fd66::1]:2"), Some("[fd66::1]:2")),
        ] {
            file.remember(vec![met(1, new), met(2, None)]).expect("written");
            assert_eq!(file.nodes(), [met(1, kept), met(2, None)]);
            assert_eq!(file.address_of(met(1, None).node), met(1, kept).addr);
        }
    }

    #[test]
    fn when_a_node_was_seen_last_is_kept_by_the_minute() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Met::at(dir.path());
        let at = |seconds: u64| MetNode { seen: Some(Duration::from_secs(seconds)), ..met(1, Some("10.0.0.1:1")) };
        for (seen, kept) in [(1000, 1000), (1059, 1000), (1060, 1060), (5, 1060)] {
            file.remember(vec![at(seen)]).expect("written");
            assert_eq!(file.of(at(0).node), Some(at(kept)));
        }
        file.remember(vec![met(1, Some("10.0.0.1:2"))]).expect("written");
        assert_eq!(file.of(at(0).node).and_then(|met| met.seen), at(1060).seen, "it is not forgotten");
    }

    #[test]
    fn two_that_remember_at_once_lose_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Met::at(dir.path());
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = &file;
                scope.spawn(move || file.remember(vec![met(n, None)]).expect("written"));
            }
        });
        assert_eq!(file.nodes().len(), 8);
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_read_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, path) = (Met::at(dir.path()), dir.path().join("met"));
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        file.remember(vec![met(1, None)]).expect("replaced");
        assert_eq!(file.nodes(), [met(1, None)]);
        std::fs::File::create(&path).and_then(|file| file.set_len(1 << 30)).expect("too large");
        file.remember(vec![met(2, None)]).expect("replaced");
        assert_eq!(file.nodes(), [met(2, None)]);
    }
}
