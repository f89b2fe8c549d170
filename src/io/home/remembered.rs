//! The nodes that are dialled again after a restart: a text file of `ID ADDR... [anchor] [lan]` lines, replaced as a whole.
//! What cannot be read is left out: it is only a start. Not responsible for who is worth remembering.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::io::home::small;
use crate::model::NodeId;
use crate::wire::limits::ADDRESSES;

/// Lines that are read at most.
const LINES: usize = 1000;
/// Bytes that are read at most: as many lines with the most and longest addresses, and half as much again.
const MOST: u64 = 1 << 20;

/// The file.
#[derive(Debug, Clone)]
pub struct RememberedFile {
    path: PathBuf,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which node.
    pub node: NodeId,
    /// Where it was dialled.
    pub addrs: Vec<SocketAddr>,
    /// Whether it is dialled before the others.
    pub anchor: bool,
    /// Whether nothing but the local network told of it.
    pub lan: bool,
}

impl RememberedFile {
    /// In the node's directory of a home.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { path: dir.join("neighbours") }
    }

    /// What it holds.
    #[must_use]
    pub fn read(&self) -> Vec<Line> {
        let text = small::text(&self.path, MOST).unwrap_or_default();
        text.lines().take(LINES).filter_map(parse).collect()
    }

    /// Replaces it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, lines: &[Line]) -> io::Result<()> {
        let text: String = lines.iter().map(Line::text).collect();
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Line {
    fn text(&self) -> String {
        let addrs: Vec<String> = self.addrs.iter().map(ToString::to_string).collect();
        let anchor = if self.anchor { " anchor" } else { "" };
        let lan = if self.lan { " lan" } else { "" };
        format!("{} {}{anchor}{lan}\n", self.node, addrs.join(" "))
    }
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace().peekable();
    let node = words.next()?.parse().ok()?;
    let (mut addrs, mut anchor, mut lan) = (Vec::new(), false, false);
    for word in words {
        match word.parse() {
            Ok(addr) if addrs.len() < ADDRESSES => addrs.push(addr),
            _ => {
                anchor |= word == "anchor";
                lan |= word == "lan";
            }
        }
    }
    (!addrs.is_empty()).then_some(Line { node, addrs, anchor, lan })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_not_a_line_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RememberedFile::at(dir.path());
        assert_eq!(file.read(), []);
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        let line = |n: u8, anchor, lan| Line {
            node: NodeId::of_public_key(&[n]),
            addrs: addrs(&["10.0.0.7:4917", "[fd66::1]:4917"]),
            anchor,
            lan,
        };
        let lines = [line(1, true, false), line(2, false, true), line(3, true, true)];
        file.write(&lines).expect("written");
        assert_eq!(file.read(), lines);
        let text = std::fs::read_to_string(dir.path().join("neighbours")).expect("there");
        std::fs::write(dir.path().join("neighbours"), format!("x\n\n{}\n{text}", lines[0].node)).expect("written");
        assert_eq!(file.read(), lines);
    }
}
