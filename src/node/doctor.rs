//! `qshare doctor`: what of a node's surroundings works, by trying it: the socket, the interfaces, multicast, and for
//! each tracker and peer the path to it, whether it reaches this node, and its clock. Nothing is changed by it.

mod lan;
mod place;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::actors::serve::clock;
use crate::io::net::interfaces;
use crate::model::PeerTarget;
use crate::node::inner::Inner;
use crate::node::types::Guest;
use crate::wire::Role;

/// A clock that says less was never set: the beginning of 2025, in seconds since 1970.
const UNSET: u64 = 1_735_689_600;

/// One look at the surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: one word.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, and what to do about it where something is wrong: one sentence.
    pub message: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Fine,
    /// It works less well than it could.
    Doubtful,
    /// It does not work.
    Broken,
    /// It was not looked at.
    Skipped,
}

impl Verdict {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Doubtful => "warning",
            Self::Broken => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Whom and what to try.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// Trackers that should reach this node.
    pub trackers: Vec<PeerTarget>,
    /// Nodes that should answer.
    pub peers: Vec<PeerTarget>,
    /// The program that listens to the local network, if it is listened to.
    pub lan: Option<PathBuf>,
    /// The port that was asked for, where it had to be another one.
    pub wanted: Option<SocketAddr>,
}

/// Looks at one thing after the other, and tells each as soon as it is known.
pub(crate) async fn examine(inner: &Inner, of: &Examination, tell: mpsc::Sender<Check>) {
    let doctor = Doctor { inner, tell };
    doctor.home().await;
    doctor.port(of.wanted).await;
    doctor.buffers().await;
    doctor.interfaces().await;
    doctor.multicast(of.lan.as_deref()).await;
    doctor.clock().await;
    for target in &of.trackers {
        doctor.place(target, Role::Tracker).await;
    }
    for target in &of.peers {
        doctor.place(target, Role::Node).await;
    }
    if of.trackers.is_empty() {
        let message = "no tracker is configured, so nobody was asked whether this node can be reached from outside";
        doctor.say("reachable", Verdict::Skipped, message).await;
    }
}

/// Who looks.
struct Doctor<'a> {
    inner: &'a Inner,
    tell: mpsc::Sender<Check>,
}

impl Doctor<'_> {
    async fn say(&self, name: &'static str, verdict: Verdict, message: impl Into<String>) {
        // Whoever asked may have gone; the next thing to wait for will notice.
        let _ = self.tell.send(Check { name, verdict, message: message.into() }).await;
    }

    async fn home(&self) {
        let (root, id) = (self.inner.home.root().display(), self.inner.endpoint.node_id());
        let holder = || self.inner.home.holder(Role::Node);
        let (verdict, message) = match &self.inner.guest {
            Some(Guest::Homeless(error)) => (Verdict::Broken, error.to_string()),
            Some(Guest::Beside) => {
                let who = holder().map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                (Verdict::Fine, format!("{root} is in use by {who}; this is tried with a key of its own, node {id}"))
            }
            None => (Verdict::Fine, format!("{root}, node {id}")),
        };
        self.say("home", verdict, message).await;
    }

    async fn port(&self, wanted: Option<SocketAddr>) {
        let port = self.inner.endpoint.port();
        match wanted {
            Some(wanted) => {
                let message = format!(
                    "UDP {wanted} cannot be opened, port {port} is tried instead: see what uses it, or give another with \
                     `node.listen`"
                );
                self.say("port", Verdict::Broken, message).await;
            }
            None => self.say("port", Verdict::Fine, format!("UDP port {port} is open here")).await,
        }
    }

    async fn buffers(&self) {
        match self.inner.endpoint.warnings().as_slice() {
            [] => self.say("buffers", Verdict::Fine, "the UDP socket has the buffers that it asked for").await,
            sentences => self.say("buffers", Verdict::Doubtful, sentences.join("; ")).await,
        }
    }

    async fn interfaces(&self) {
        let all = interfaces::all();
        let names: Vec<String> = all
            .iter()
            .map(|(name, ips)| {
                let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
                format!("{name} {}", ips.join(" "))
            })
            .collect();
        let others = all.iter().flat_map(|(_, ips)| ips).any(|ip| !ip.is_loopback());
        if others {
            self.say("interfaces", Verdict::Fine, names.join(", ")).await;
        } else {
            let message =
                "there is no address but loopback, so only this machine can be reached: connect it to a network";
            self.say("interfaces", Verdict::Doubtful, message).await;
        }
    }

    async fn clock(&self) {
        if clock::now().as_secs() < UNSET {
            let message = "this machine's clock was never set: set it, or nobody can tell which file is newer";
            self.say("clock", Verdict::Broken, message).await;
        }
    }
}
