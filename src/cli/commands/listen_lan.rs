//! `qshare listen-lan ID [PORT]`: not for people. A node runs its own program again as this, to listen to the local
//! network (`io/net/lan.rs`); it reads no settings and knows no home.

use std::ffi::OsString;

use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::io::net::lan::{LISTEN_LAN, daemon};
use crate::model::NodeId;

/// What the process was started with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListenLan {
    own: NodeId,
    announce: Option<u16>,
}

impl ListenLan {
    /// Whether a command line is this one.
    pub(crate) fn parse(line: &[OsString]) -> Option<Self> {
        let texts: Option<Vec<&str>> = line.iter().skip(1).map(|text| text.to_str()).collect();
        let (own, announce) = match *texts? {
            [LISTEN_LAN, id] => (id, None),
            [LISTEN_LAN, id, port] => (id, Some(port.parse().ok()?)),
            _ => return None,
        };
        Some(Self { own: own.parse().ok()?, announce })
    }

    /// Runs until standard input ends.
    pub(crate) async fn run(self) -> Exit {
        // Who stops the whole service stops its node, which ends this.
        let _signals = Signals::listen();
        daemon::run(self.own, self.announce).await.map_or_else(Exit::from, |()| Exit::DONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_command_line_is_taken() {
        let own = NodeId::of_public_key(b"k");
        let parse = |words: &[&str]| ListenLan::parse(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let id = own.to_string();
        assert_eq!(parse(&["qshare", "listen-lan", &id]), Some(ListenLan { own, announce: None }));
        assert_eq!(parse(&["qshare", "listen-lan", &id, "7"]), Some(ListenLan { own, announce: Some(7) }));
        for other in [&["qshare", "listen-lan"][..], &["qshare", "listen-lan", "x"], &["qshare", "get", &id]] {
            assert_eq!(parse(other), None);
        }
    }
}
