//! The nodes that are dialled again after a restart: a text file of `ID ADDR... [anchor] [lan]` lines, replaced as a whole.
//! What cannot be read is left out: it is only a start. Not responsible for who is worth remembering.

use std::path::Path;

use crate::io::home::lines::{Line, LineFile, LinesError};
use crate::model::address::Remembered;
use crate::wire::limits::ADDRESSES;

/// Lines that are read at most.
const LINES: usize = 1000;

/// The file. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct RememberedFile(LineFile<Remembered>);

impl RememberedFile {
    /// In the node's directory of a home.
    pub fn at(dir: &Path) -> Self {
        Self(LineFile::at(dir.join("neighbours")))
    }

    /// What it holds.
    pub fn read(&self) -> Vec<Remembered> {
        let mut lines = self.0.read_what_is_right().unwrap_or_default();
        lines.truncate(LINES);
        lines
    }

    /// Replaces it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, new: Vec<Remembered>) -> Result<(), LinesError> {
        self.0.change_what_is_right(|lines| {
            *lines = new;
            (true, ())
        })
    }
}

impl Line for Remembered {
    const FORM: &str = "ID ADDR... [anchor] [lan]";

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
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
        (!addrs.is_empty()).then_some(Self { node, addrs, anchor, lan })
    }

    fn text(&self) -> String {
        let addrs: Vec<String> = self.addrs.iter().map(ToString::to_string).collect();
        let anchor = if self.anchor { " anchor" } else { "" };
        let lan = if self.lan { " lan" } else { "" };
        format!("{} {}{anchor}{lan}", self.node, addrs.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeId;

    #[test]
    fn what_was_written_is_read_and_what_is_not_a_line_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RememberedFile::at(dir.path());
        assert_eq!(file.read(), []);
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        let line = |n: u8, anchor, lan| Remembered {
            node: NodeId::of_public_key(&[n]),
            addrs: addrs(&["10.0.0.7:4917", "[fd66::1]:4917"]),
            anchor,
            lan,
        };
        let lines = [line(1, true, false), line(2, false, true), line(3, true, true)];
        file.write(lines.to_vec()).expect("written");
        assert_eq!(file.read(), lines);
        let text = std::fs::read_to_string(dir.path().join("neighbours")).expect("there");
        std::fs::write(dir.path().join("neighbours"), format!("x\n\n{}\n{text}", lines[0].node)).expect("written");
        assert_eq!(file.read(), lines);
    }
}
