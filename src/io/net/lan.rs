//! Nodes on the same network, by multicast DNS (RFC 6762) and DNS-SD (RFC 6763): the service `_qshare._udp.local`, one
//! instance a node, named by its node id. What comes from there is a hint: the pinned handshake decides.
//! A child process listens ([`daemon`] says why); here it is started and read.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use itertools::Itertools as _;
#[cfg(unix)]
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::model::address::is_link_local;
use crate::model::{Cause, LocalPath, NodeId};
use crate::wire::limits::ADDRESSES;

pub mod daemon;
mod question;

/// The service; its instances are nodes.
const SERVICE: &str = "_qshare._udp.local.";

/// What the program is called with to be the child: then come the node's id and, where it is announced, its port.
pub const LISTEN_LAN: &str = "listen-lan";

/// The LAN cannot be listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LanError {
    /// `mdns-sd` cannot do it, in its words.
    #[error("nodes on the local network cannot be found: {0}")]
    Daemon(String),
    /// The child has ended, with this status in the system's words.
    #[error("nodes on the local network cannot be found: the process for it has ended ({0})")]
    Ended(String),
    /// Somebody announces more than can be true, or faster than it can be taken in.
    #[error("somebody floods the local network with announcements, so it is not listened to for a while")]
    Flooded,
    /// There is no child.
    #[error("nodes on the local network cannot be found: {} cannot be started ({cause})", program.display())]
    Start {
        /// What was to be the child.
        program: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// The child cannot be read or written to.
    #[error("nodes on the local network cannot be found: the process for it cannot be read ({0})")]
    Unread(Cause),
}

impl LanError {
    /// The exit status with which the child says it: nothing that it writes may be read in time.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Flooded => FLOODED,
            _ => 1,
        }
    }
}

/// A node that was heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Which it says to be.
    pub node: NodeId,
    /// Where.
    pub addrs: Vec<SocketAddr>,
    /// The names of the interfaces on which it was heard.
    pub interfaces: BTreeSet<String>,
}

/// A line of the child's: what it heard, or why it cannot listen.
type Told = Result<Heard, LanError>;

/// The child's exit status when the network is flooded.
const FLOODED: u8 = 3;

/// The child that listens to the network. It says goodbye there and ends when this is dropped, or this process ends.
pub struct Lan {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Lan {
    /// Begins to listen, with `program` (`qshare` itself) as the child; with a port, the node is announced there too.
    ///
    /// # Errors
    /// When the child cannot be started. Why it could not listen is told by [`Self::heard`].
    pub fn start(program: &Path, own: NodeId, announce: Option<u16>) -> Result<Self, LanError> {
        let mut command = Command::new(program);
        command.arg(LISTEN_LAN).arg(own.to_string()).args(announce.map(|port| port.to_string()));
        // It is told to end by the end of its input, and must not keep a directory in use.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
        // A ctrl-c is for this process, which ends the child when it is done.
        #[cfg(unix)]
        command.process_group(0);
        let failed = |error: io::Error| LanError::Start { program: program.into(), cause: error.into() };
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(io::Error::other("no output")))?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// The next node that is heard of; may be dropped and asked again.
    ///
    /// # Errors
    /// When there will be none, because somebody floods the network or it cannot be listened to: start again after a
    /// pause.
    pub async fn heard(&mut self) -> Result<Heard, LanError> {
        let failed = |error: io::Error| LanError::Unread(error.into());
        let line = self.lines.next_line().await.map_err(failed)?;
        // The last line may be cut off.
        match line.and_then(|line| serde_json::from_str::<Told>(&line).ok()) {
            Some(told) => told,
            None => Err(ended(self.child.wait().await.map_err(failed)?)),
        }
    }
}

/// What the end of a child says that did not tell why.
fn ended(status: ExitStatus) -> LanError {
    // So a process ends that reaches its limit of memory.
    #[cfg(unix)]
    let aborted = status.signal() == Some(Signal::ABORT.as_raw());
    #[cfg(not(unix))]
    let aborted = false;
    if aborted || status.code() == Some(FLOODED.into()) {
        LanError::Flooded
    } else {
        LanError::Ended(status.to_string())
    }
}

/// The likeliest first, the same at each time.
fn in_order(addrs: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    addrs.sorted_by_key(|addr| (addr.ip().is_loopback(), is_link_local(*addr), *addr)).take(ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_child_keeps_the_scope_of_an_address() {
        let heard = Heard {
            node: NodeId::of_public_key(b"k"),
            addrs: ["10.0.0.1:4917", "[fe80::1%3]:4917"].map(|addr| addr.parse().expect("an address")).to_vec(),
            interfaces: BTreeSet::from(["eth0".to_owned()]),
        };
        let line = serde_json::to_string(&Told::Ok(heard.clone())).expect("written");
        assert!(line.contains(&heard.node.to_string()) && !line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Told>(&line).expect("read"), Ok(heard));
    }
    #[cfg(unix)]
    #[test]
    fn the_end_of_the_child_says_whether_it_was_a_flood() {
        let status = ExitStatus::from_raw;
        let flooded = i32::from(LanError::Flooded.exit_status()) << 8;
        assert_eq!(ended(status(flooded)), LanError::Flooded);
        assert_eq!(ended(status(Signal::ABORT.as_raw())), LanError::Flooded);
        for other in [0, 1 << 8, Signal::KILL.as_raw()] {
            assert!(matches!(ended(status(other)), LanError::Ended(_)), "{other}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_child_that_does_not_listen_is_told_with_its_end() {
        let heard = |program| async move {
            let own = NodeId::of_public_key(b"k");
            Lan::start(Path::new(program), own, None)?.heard().await
        };
        for (program, cause) in [("true", "exit status: 0"), ("false", "exit status: 1"), ("echo", "exit status: 0")] {
            let error = heard(program).await.expect_err(program).to_string();
            assert!(error.contains(cause), "{program}: {error}");
        }
        let error = heard("/nonexistent/qshare").await.expect_err("not there").to_string();
        assert!(error.contains("/nonexistent/qshare cannot be started"), "{error}");
    }
}
