//! The JSON lines: each an object with `event` first. The design, section 9, lists the fields of those that
//! programs wait for; `id`, `hashed`, `checked`, `status`, `trust`, `forgotten`, `friend` and `removed` are the results of the commands about this home,
//! `bench` and `benched` those of the bench, `check` the doctor's, `neighbour` the result of `neighbours`, `step`, `killed` and `verified` those of the demo.
//! Invariant: a field is there in every line of its event, null when unknown.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::cli::say::names::Names;
use crate::model::{ContentId, Friend, Hit, Kind, NodeId, PeerTarget, SafePath};
use crate::node::{
    Beyond, Busy, Cause, Direction, ErrorCode, Has, Hashing, Holder, NearRow, Outcome, Phase, Plane, Preview,
    PreviewFile, Progress, ProviderProgress, Share, Verdict, Why,
};

/// One line on standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    Announced {
        tracker: &'a str,
        offers: u64,
        hashed: u64,
    },
    /// One test of a bench; `rate` in bytes a second, processor time in seconds, round trips in microseconds.
    Bench {
        test: &'a str,
        direction: &'a str,
        bytes: u64,
        seconds: f64,
        rate: u64,
        bits: u64,
        cpu_here: f64,
        cpu_there: f64,
        rtt_us: u64,
        mtu: u16,
        sent: u64,
        lost: u64,
        memory_here: u64,
        memory_there: u64,
    },
    /// The end of a bench; the round trip is that of the idle network.
    Benched {
        node: NodeId,
        addr: String,
        tests: u64,
        rtt_us: u64,
    },
    /// One thing that the doctor looked at.
    Check {
        name: &'a str,
        state: Verdict,
        message: &'a str,
    },
    /// Whether a file has the id that a list says; `error` where it could not be read.
    Checked {
        path: Cow<'a, str>,
        id: ContentId,
        ok: bool,
        error: Option<String>,
    },
    Done(#[serde(with = "Ended")] &'a Outcome),
    /// Where the time of a `get` went; what limited it most is the first share. Seconds, microseconds, bytes.
    Explain {
        limit: Option<&'a str>,
        shares: Vec<Spent>,
        paths: Vec<Giver>,
    },
    Error {
        code: ErrorCode,
        exit: u8,
        message: String,
    },
    Forgotten {
        addr: &'a str,
    },
    /// A friend; `addr` as it was given.
    Friend {
        name: &'a str,
        node: NodeId,
        addr: Option<String>,
    },
    Hashed {
        id: ContentId,
        path: Cow<'a, str>,
    },
    /// A provider of the demo was killed, when this much of all was there.
    Killed {
        node: NodeId,
        addr: SocketAddr,
        bytes: u64,
        total: u64,
    },
    Hit {
        id: Option<ContentId>,
        name: Option<&'a SafePath>,
        names: &'a [SafePath],
        size: u64,
        kind: Kind,
        locked: bool,
        #[serde(serialize_with = "holding")]
        providers: Vec<Holder>,
        plane: Option<Plane>,
    },
    Id {
        node: NodeId,
    },
    Listening {
        addr: SocketAddr,
        node: NodeId,
    },
    /// A node near this one; `by` tells of it where it is not a neighbour itself.
    Neighbour {
        node: NodeId,
        name: Option<&'a str>,
        addr: Option<SocketAddr>,
        direction: Option<Direction>,
        rtt_us: Option<u64>,
        seconds: Option<f64>,
        offers: u64,
        by: Option<NodeId>,
    },
    Offer {
        id: ContentId,
        name: &'a SafePath,
        get: String,
    },
    Peer {
        node: NodeId,
        name: Option<&'a str>,
        addr: Option<SocketAddr>,
        offers: u64,
    },
    Phase {
        name: Phase,
    },
    Progress(#[serde(with = "Reached")] &'a Progress),
    /// A name that is no friend's now.
    Removed {
        name: &'a str,
    },
    /// The demo begins something.
    Step {
        number: u32,
        message: &'a str,
    },
    /// `more` is a lower bound where `at_least` says so.
    Summary {
        hits: u64,
        #[serde(flatten)]
        beyond: Beyond,
    },
    Trust {
        addr: &'a str,
        node: NodeId,
    },
    /// The demo compared every byte of the result with the original.
    Verified {
        files: u64,
        directories: u64,
        executables: u64,
        bytes: u64,
        seconds: f64,
        rate: u64,
        killed: bool,
    },
    Warning {
        message: &'a str,
    },
}

/// How a `get` has ended; of a dry run also what it found out.
#[derive(Serialize)]
#[serde(remote = "Outcome")]
struct Ended {
    id: ContentId,
    name: SafePath,
    #[serde(with = "crate::model::text::path")]
    path: Option<PathBuf>,
    bytes: u64,
    fetched: u64,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    elapsed: Duration,
    #[serde(getter = "given")]
    providers: Vec<Giver>,
    plane: Option<Plane>,
    #[serde(flatten, serialize_with = "previewed")]
    preview: Option<Preview>,
}

/// What is at the target of each file, bytes that would be fetched, bytes that an earlier run left, and how many files would
/// keep it from doing anything.
#[derive(Serialize)]
#[serde(remote = "Preview")]
struct Previewed {
    #[serde(rename = "plan")]
    files: Vec<PreviewFile>,
    to_come: u64,
    kept: u64,
    #[serde(getter = "Preview::in_the_way")]
    in_the_way: usize,
    /// Everyone who has it, or parts of it.
    #[serde(serialize_with = "holding")]
    holders: Vec<Holder>,
    /// Whether another process is fetching the same to the same place.
    #[serde(serialize_with = "is_some")]
    busy: Option<Busy>,
}

/// How far a transfer is. Hashing proves nothing, so it is no part of `bytes`.
#[derive(Serialize)]
#[serde(remote = "Progress")]
struct Reached {
    bytes: u64,
    fetched: u64,
    total: u64,
    rate: u64,
    #[serde(getter = "giving")]
    providers: Vec<Giver>,
    hashing: Option<Hashing>,
}

/// A provider of a transfer, and what its event tells of it.
#[derive(Debug, Serialize)]
pub(crate) struct Giver {
    node: NodeId,
    addr: SocketAddr,
    bytes: u64,
    #[serde(flatten)]
    more: Told,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    /// Of a transfer that has ended.
    Given {},
    /// Of one under way; `state` is why it gives nothing now: `busy`, `changed`, `hashing`, `unreachable`…
    Giving { rate: u64, state: Option<&'static str> },
    /// The path to it.
    Way { rtt_us: u64, mtu: u16, connections: usize },
}

/// A share of the time of a transfer; a provider's has its node.
#[derive(Debug, Serialize)]
pub(crate) struct Spent {
    what: &'static str,
    node: Option<NodeId>,
    share: f64,
    seconds: f64,
}

/// Who has something, and whether all of it, where it was asked.
#[derive(Serialize)]
struct Holding {
    node: NodeId,
    addr: Option<SocketAddr>,
    whole: Option<bool>,
}

fn givers(providers: &[ProviderProgress], more: impl Fn(&ProviderProgress) -> Told) -> Vec<Giver> {
    let giver = |p: &ProviderProgress| Giver { node: p.node, addr: p.addr, bytes: p.bytes, more: more(p) };
    providers.iter().map(giver).collect()
}

fn given(outcome: &Outcome) -> Vec<Giver> {
    givers(&outcome.providers, |_| Told::Given {})
}

fn giving(progress: &Progress) -> Vec<Giver> {
    givers(&progress.providers, |p| Told::Giving { rate: p.rate, state: p.why.map(Why::word) })
}

fn holding<S: Serializer>(holders: &[Holder], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(holders.iter().map(|holder| {
        let whole = match holder.has {
            Has::Parts(_) => Some(false),
            Has::Unknown => None,
            Has::Whole => Some(true),
        };
        Holding { node: holder.node, addr: holder.addrs.first().copied(), whole }
    }))
}

fn previewed<S: Serializer>(preview: &Option<Preview>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct One<'a>(#[serde(with = "Previewed")] &'a Preview);
    preview.as_ref().map(One).serialize(to)
}

fn is_some<T, S: Serializer>(it: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bool(it.is_some())
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// Microseconds, as round trips are told.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl<'a> Line<'a> {
    /// The event `hit`.
    pub(crate) fn hit(hit: &'a Hit, plane: Option<Plane>) -> Self {
        let unknown = hit.providers.iter().map(|provider| Holder::new(provider, Has::Unknown));
        Self::located(hit, plane, unknown.collect())
    }

    /// The event `hit`, of which each provider was asked how much it has.
    pub(crate) fn located(hit: &'a Hit, plane: Option<Plane>, providers: Vec<Holder>) -> Self {
        Self::Hit {
            id: hit.id,
            name: hit.names.first(),
            names: &hit.names,
            size: hit.size,
            kind: hit.kind,
            locked: hit.locked,
            providers,
            plane,
        }
    }

    /// The event `neighbour`.
    pub(crate) fn neighbour(row: &NearRow, names: &'a Names) -> Self {
        let direct = row.direct.as_ref();
        Self::Neighbour {
            node: row.peer.node,
            name: names.of(row.peer.node),
            addr: row.peer.addrs.first().copied(),
            direction: direct.map(|direct| direct.direction),
            rtt_us: direct.map(|direct| micros(direct.rtt)),
            seconds: direct.map(|direct| direct.since.as_secs_f64()),
            offers: row.peer.offers,
            by: row.by,
        }
    }

    /// The event `friend`.
    pub(crate) fn friend(friend: &'a Friend) -> Self {
        let addr = friend.at.as_ref().map(PeerTarget::host_port);
        Self::Friend { name: friend.name.as_str(), node: friend.node, addr }
    }
    /// The event `explain`.
    pub(crate) fn explain(outcome: &Outcome) -> Self {
        let spent = |share: &Share| Spent {
            what: share.cause.word(),
            node: if let Cause::Provider(node) = share.cause { Some(node) } else { None },
            share: f64::from(share.permille) / 1000.0,
            seconds: share.time.as_secs_f64(),
        };
        let way = |p: &ProviderProgress| Told::Way { rtt_us: micros(p.rtt), mtu: p.mtu, connections: p.connections };
        Self::Explain {
            limit: outcome.shares.first().map(|share| share.cause.word()),
            shares: outcome.shares.iter().map(spent).collect(),
            paths: givers(&outcome.providers, way),
        }
    }
}

/// The line to paste that fetches an offer without tracker or words.
pub(crate) fn paste(id: ContentId, node: NodeId, addr: SocketAddr) -> String {
    format!("qshare get {id} --from {node}@{addr}")
}

#[cfg(test)]
mod tests;
