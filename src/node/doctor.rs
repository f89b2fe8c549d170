//! `qshare doctor`: what of a node's surroundings works, by trying it: the socket, the interfaces, multicast, and for
//! each tracker and peer the path to it, whether it reaches this node, and its clock. Nothing is changed by it.

mod lan;
mod place;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::io::clock::time_of_day;
use crate::io::net::frames::CallError;
use crate::io::net::interfaces;
use crate::io::net::lan::LanError;
use crate::io::net::udp::SmallBuffer;
use crate::model::{LocalPath, NodeId, PeerTarget};
use crate::node::error::{Error, Who};
use crate::node::inner::Inner;
use crate::node::types::Guest;
use crate::wire::Role;

/// A clock that says less was never set: the beginning of 2025, in seconds since 1970.
const UNSET: u64 = 1_735_689_600;

/// One look at the surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at: one word.
    pub name: Cow<'static, str>,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Buffers of the socket that are far smaller than they should be.
    Buffers(Vec<SmallBuffer>),
    /// At a tracker or a peer.
    At {
        /// Whom.
        who: Who,
        /// What was seen there.
        seen: SeenAt,
    },
    /// This machine's clock was never set.
    ClockUnset,
    /// The home cannot be used.
    Homeless(Box<Error>),
    /// The home, and who this is.
    Home {
        /// Where it is.
        root: LocalPath,
        /// This node.
        node: NodeId,
        /// Another process has the home; which, where that is known.
        other: Option<Option<u32>>,
    },
    /// The interfaces and their addresses.
    Interfaces(Vec<(String, Vec<IpAddr>)>),
    /// The local network cannot be listened to.
    Lan(LanError),
    /// Multicast is heard.
    Multicast {
        /// On these interfaces.
        interfaces: BTreeSet<String>,
        /// From so many other nodes.
        others: usize,
    },
    /// No tracker was asked whether it reaches this node.
    NoTracker,
    /// There is no link to it.
    NotConnected(Box<Error>),
    /// Multicast is not heard.
    NotHeard,
    /// The local network is not to be listened to.
    NotListened,
    /// The UDP port that is open here.
    Port {
        /// Which.
        port: u16,
        /// The address that was asked for and cannot be had.
        wanted: Option<SocketAddr>,
    },
}

/// What was seen at a tracker or a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeenAt {
    /// How far this machine's clock is from its.
    Clock {
        /// How far.
        apart: Duration,
        /// This machine's is the later one.
        ahead: bool,
    },
    /// It takes no announcement; no cause where it took too long.
    NotAnnounced(Option<CallError>),
    /// It does not answer in time.
    NotAnswered,
    /// It does not reach this UDP port of this node.
    NotReached(u16),
    /// It does not tell its time.
    NoTime {
        /// It serves only its friends.
        friends_only: bool,
    },
    /// The path to it.
    Path {
        /// The round trip.
        rtt: Duration,
        /// The largest UDP payload in bytes.
        mtu: u16,
        /// Something on the way cuts larger ones.
        cut: bool,
    },
    /// It reaches this node.
    Reached {
        /// At these addresses,
        at: Vec<SocketAddr>,
        /// and not at these.
        not: Vec<SocketAddr>,
    },
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It works.
    #[serde(rename = "ok")]
    Fine,
    /// It works less well than it could.
    #[serde(rename = "warning")]
    Doubtful,
    /// It does not work.
    #[serde(rename = "failed")]
    Broken,
    /// It was not looked at.
    #[serde(rename = "skipped")]
    Skipped,
}

/// Whom and what to try.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
        doctor.say("reachable", Verdict::Skipped, Seen::NoTracker).await;
    }
}

/// Who looks.
struct Doctor<'a> {
    inner: &'a Inner,
    tell: mpsc::Sender<Check>,
}

impl Doctor<'_> {
    async fn say(&self, name: &'static str, verdict: Verdict, seen: Seen) {
        // Whoever asked may have gone; the next thing to wait for will notice.
        let _ = self.tell.send(Check { name: name.into(), verdict, seen }).await;
    }

    async fn say_at(&self, who: &Who, name: &'static str, verdict: Verdict, seen: SeenAt) {
        self.say(name, verdict, Seen::At { who: who.clone(), seen }).await;
    }

    async fn home(&self) {
        let (root, node) = (self.inner.home.root().into(), self.inner.endpoint.node_id());
        let (verdict, seen) = match &self.inner.guest {
            Some(Guest::Homeless(error)) => (Verdict::Broken, Seen::Homeless(error.clone())),
            Some(Guest::Beside) => {
                (Verdict::Fine, Seen::Home { root, node, other: Some(self.inner.home.holder(Role::Node)) })
            }
            None => (Verdict::Fine, Seen::Home { root, node, other: None }),
        };
        self.say("home", verdict, seen).await;
    }

    async fn port(&self, wanted: Option<SocketAddr>) {
        let verdict = if wanted.is_some() { Verdict::Broken } else { Verdict::Fine };
        self.say("port", verdict, Seen::Port { port: self.inner.endpoint.port(), wanted }).await;
    }

    async fn buffers(&self) {
        let small = self.inner.endpoint.small_buffers().to_vec();
        let verdict = if small.is_empty() { Verdict::Fine } else { Verdict::Doubtful };
        self.say("buffers", verdict, Seen::Buffers(small)).await;
    }

    async fn interfaces(&self) {
        let all = interfaces::all();
        let others = all.iter().flat_map(|(_, ips)| ips).any(|ip| !ip.is_loopback());
        let verdict = if others { Verdict::Fine } else { Verdict::Doubtful };
        self.say("interfaces", verdict, Seen::Interfaces(all.into_iter().collect())).await;
    }

    async fn clock(&self) {
        if time_of_day().as_secs() < UNSET {
            self.say("clock", Verdict::Broken, Seen::ClockUnset).await;
        }
    }
}
