//! Who gave of a content, beside its journal: whoever goes on asks them first, so that resuming needs no search.
//! Text, one `ID ADDR` a line, replaced as a whole. Invariant: it is a hint. What cannot be read is left out, what cannot be
//! written is done without, and an address in it is a claim: the pinned handshake decides.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use super::Names;
use crate::io::receive::dest::{Access, DestError, SafeDir};
use crate::model::{ContentId, NodeId, SafePath};

/// What its name ends in, where the journal's ends in `.journal`.
const ENDING: &str = ".givers";
/// Givers that are remembered: more than a transfer asks at a time.
const MOST: usize = 16;
/// Bytes that are read: a line has 52 characters for the id and at most 58 for a scoped address.
const READ: u64 = 4096;

/// The file.
#[derive(Debug, Clone)]
pub struct Givers {
    parent: SafeDir,
    name: SafePath,
    journal: SafePath,
}

impl Givers {
    /// Of a content, in the directory of its partial file.
    pub fn of(parent: &SafeDir, id: ContentId) -> Self {
        Self::beside(parent, &Names::of(id))
    }

    /// The same, of a transfer with these names.
    pub(in crate::io) fn beside(parent: &SafeDir, names: &Names) -> Self {
        let journal = names.journal.clone();
        let name = SafePath::parse(&journal.as_str().replace(".journal", ENDING)).expect("it differs in letters");
        Self { parent: parent.clone(), name, journal }
    }

    /// Who gave, the most important first. Nobody where there is no journal: then nothing is to be gone on with.
    pub fn read(&self) -> Vec<(NodeId, SocketAddr)> {
        let mut text = Vec::new();
        if !self.has_journal() {
            return Vec::new();
        }
        let file = self.parent.file(&self.name, Access::Read);
        if file.is_ok_and(|file| file.take(READ).read_to_end(&mut text).is_err()) {
            return Vec::new();
        }
        let mut known: Vec<(NodeId, SocketAddr)> = Vec::new();
        for (node, addr) in String::from_utf8_lossy(&text).lines().filter_map(parse) {
            if known.len() < MOST && known.iter().all(|(other, _)| *other != node) {
                known.push((node, addr));
            }
        }
        known
    }

    /// Replaces it, keeping those of earlier runs behind the others. Nothing is left beside a journal that has gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, givers: &[(NodeId, SocketAddr)]) -> Result<(), DestError> {
        let before = self.read();
        let earlier = before.iter().filter(|(node, _)| givers.iter().all(|(other, _)| other != node));
        let all = givers.iter().chain(earlier).take(MOST);
        let text: String = all.map(|(node, addr)| format!("{node} {addr}\n")).collect();
        let failed = |e| DestError::io("write", &self.parent.shown(&self.name), e);
        let file = self.parent.file(&self.name, Access::OpenOrCreate)?;
        replace(file, text.as_bytes()).map_err(failed)?;
        if self.has_journal() { Ok(()) } else { self.remove() }
    }

    /// Forgets all, if that is possible: a hint that stays does no harm.
    pub fn forget(&self) {
        if let Err(error) = self.remove() {
            tracing::debug!(%error, "a list of who gave cannot be removed");
        }
    }

    /// Forgets all.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<(), DestError> {
        self.parent.remove_file(&self.name)
    }

    fn has_journal(&self) -> bool {
        self.parent.stat(&self.journal).is_ok_and(|stat| stat.is_some())
    }
}

/// Killed between the two, it is empty or has a last line that is no line.
fn replace(mut file: File, text: &[u8]) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(text)
}

fn parse(line: &str) -> Option<(NodeId, SocketAddr)> {
    let (node, addr) = line.split_once(' ')?;
    Some((node.parse().ok()?, addr.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn giver(n: u8) -> (NodeId, SocketAddr) {
        (NodeId::of_public_key(&[n]), SocketAddr::from(([10, 0, 0, n], 4918)))
    }

    fn beside_a_journal() -> (tempfile::TempDir, Givers) {
        let dir = tempfile::tempdir().expect("a directory");
        let parent = SafeDir::open(dir.path()).expect("opened");
        let givers = Givers::of(&parent, ContentId::of(b"x"));
        parent.file(&givers.journal, Access::OpenOrCreate).expect("made");
        (dir, givers)
    }

    #[test]
    fn the_last_givers_come_first_and_the_earlier_ones_stay_behind_them() {
        let (_dir, givers) = beside_a_journal();
        assert_eq!(givers.read(), []);
        givers.write(&[giver(1), giver(2)]).expect("written");
        let moved = (giver(2).0, giver(9).1);
        givers.write(&[giver(3), moved]).expect("written");
        assert_eq!(givers.read(), [giver(3), moved, giver(1)]);
        let many: Vec<_> = (10..100).map(giver).collect();
        givers.write(&many).expect("written");
        assert_eq!(givers.read(), many[..MOST]);
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        let (dir, givers) = beside_a_journal();
        givers.write(&[giver(1)]).expect("written");
        let path = dir.path().join(givers.name.as_str());
        let line = std::fs::read_to_string(&path).expect("there");
        std::fs::write(
            &path,
            [b"x y\n\xff\n".as_slice(), line.as_bytes(), line.as_bytes(), &line.as_bytes()[..60]].concat(),
        )
        .expect("written");
        assert_eq!(givers.read(), [giver(1)]);
    }

    #[test]
    fn without_a_journal_there_is_nothing_to_go_on_with_and_nothing_is_left_behind() {
        let (dir, givers) = beside_a_journal();
        givers.write(&[giver(1)]).expect("written");
        std::fs::remove_file(dir.path().join(givers.journal.as_str())).expect("removed");
        assert_eq!(givers.read(), []);
        givers.write(&[giver(2)]).expect("written");
        assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0);
    }
}
