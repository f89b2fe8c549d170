//! The JSON lines: each an object with `event` first. The design, section 9, lists the fields of those that
//! programs wait for; `id`, `hashed`, `status`, `trust`, `forgotten`, `friend` and `removed` are the results of the commands about this home,
//! `bench` and `benched` those of the bench, `check` the doctor's, `neighbour` the result of `neighbours`, `step`, `killed` and `verified` those of the demo.
//! Invariant: a field is there in every line of its event, null when unknown.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::cli::say::names::Names;
use crate::model::{ContentId, Friend, Hit, NodeId, PeerTarget, Provider, SafePath};
use crate::node::{
    Cause, Has, Hashing, Holder, NearRow, Outcome, Plane, Preview, Progress, ProviderProgress, Share, Why,
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
        node: Text<NodeId>,
        addr: String,
        tests: u64,
        rtt_us: u64,
    },
    /// One thing that the doctor looked at.
    Check {
        name: &'a str,
        state: &'a str,
        message: &'a str,
    },
    Done {
        id: Text<ContentId>,
        name: &'a SafePath,
        path: Option<Text<std::path::Display<'a>>>,
        bytes: u64,
        fetched: u64,
        seconds: f64,
        providers: Vec<Giver>,
        plane: Option<&'a str>,
        /// Of a dry run only: what is at the target of each file, bytes that would be fetched, bytes that an earlier
        /// run left, and how many files would keep it from doing anything. Its providers have given nothing yet.
        #[serde(flatten)]
        preview: Option<Previewed<'a>>,
    },
    /// Where the time of a `get` went; what limited it most is the first share. Seconds, microseconds, bytes.
    Explain {
        limit: Option<&'a str>,
        shares: Vec<Spent>,
        paths: Vec<Giver>,
    },
    Error {
        code: &'a str,
        exit: u8,
        message: String,
    },
    Forgotten {
        addr: &'a str,
    },
    /// A friend; `addr` as it was given.
    Friend {
        name: &'a str,
        node: Text<NodeId>,
        addr: Option<String>,
    },
    Hashed {
        id: Text<ContentId>,
        path: Text<std::path::Display<'a>>,
    },
    /// A provider of the demo was killed, when this much of all was there.
    Killed {
        node: Text<NodeId>,
        addr: SocketAddr,
        bytes: u64,
        total: u64,
    },
    Hit {
        id: Option<Text<ContentId>>,
        name: Option<&'a SafePath>,
        names: &'a [SafePath],
        size: u64,
        kind: &'a str,
        locked: bool,
        providers: Vec<Where>,
        plane: Option<&'a str>,
    },
    Id {
        node: Text<NodeId>,
    },
    Listening {
        addr: SocketAddr,
        node: Text<NodeId>,
    },
    /// A node near this one; `by` tells of it where it is not a neighbour itself.
    Neighbour {
        node: Text<NodeId>,
        name: Option<&'a str>,
        addr: Option<SocketAddr>,
        direction: Option<&'a str>,
        rtt_us: Option<u64>,
        seconds: Option<f64>,
        offers: u64,
        by: Option<Text<NodeId>>,
    },
    Offer {
        id: Text<ContentId>,
        name: &'a SafePath,
        get: String,
    },
    Peer {
        node: Text<NodeId>,
        name: Option<&'a str>,
        addr: Option<SocketAddr>,
        offers: u64,
    },
    Phase {
        name: &'a str,
    },
    Progress {
        bytes: u64,
        fetched: u64,
        total: u64,
        rate: u64,
        providers: Vec<Giver>,
        /// How far hashing is, in its phase: that proves nothing, so it is no part of `bytes`.
        hashing: Option<Hashed>,
    },
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
        more: u64,
        at_least: bool,
    },
    Trust {
        addr: &'a str,
        node: Text<NodeId>,
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

/// A value in its text form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// A provider of a hit.
#[derive(Debug, Serialize)]
pub(crate) struct Where {
    node: Text<NodeId>,
    addr: Option<SocketAddr>,
    /// Whether it has all of it, where it was asked.
    whole: Option<bool>,
}

/// A provider of a transfer, and what its event tells of it.
#[derive(Debug, Serialize)]
pub(crate) struct Giver {
    node: Text<NodeId>,
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

fn givers(providers: &[ProviderProgress], more: impl Fn(&ProviderProgress) -> Told) -> Vec<Giver> {
    let giver = |p: &ProviderProgress| Giver { node: Text(p.node), addr: p.addr, bytes: p.bytes, more: more(p) };
    providers.iter().map(giver).collect()
}

/// Hashing at a provider, or here.
#[derive(Debug, Serialize)]
pub(crate) struct Hashed {
    done: u64,
    total: u64,
    node: Option<Text<NodeId>>,
}

/// A share of the time of a transfer; a provider's has its node.
#[derive(Debug, Serialize)]
pub(crate) struct Spent {
    what: &'static str,
    node: Option<Text<NodeId>>,
    share: f64,
    seconds: f64,
}

/// What a dry run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Previewed<'a> {
    plan: Vec<Planned<'a>>,
    to_come: u64,
    kept: u64,
    in_the_way: u64,
    /// Everyone who has it, or parts of it.
    holders: Vec<Where>,
    /// Whether another process is fetching the same to the same place.
    busy: bool,
}

/// A file that was asked for; `state` is `new`, `here`, `differs` or `blocked`.
#[derive(Debug, Serialize)]
pub(crate) struct Planned<'a> {
    name: &'a SafePath,
    size: u64,
    state: &'a str,
    path: Option<Text<std::path::Display<'a>>>,
}

impl<'a> Line<'a> {
    /// The event `hit`.
    pub(crate) fn hit(hit: &'a Hit, plane: Option<Plane>) -> Self {
        Self::Hit {
            id: hit.id.map(Text),
            name: hit.names.first(),
            names: &hit.names,
            size: hit.size,
            kind: hit.kind.word(),
            locked: hit.locked,
            providers: hit.providers.iter().map(at).collect(),
            plane: plane.map(Plane::word),
        }
    }

    /// The event `hit`, of which each provider was asked how much it has.
    pub(crate) fn located(hit: &'a Hit, plane: Plane, holders: &[Holder]) -> Self {
        let mut line = Self::hit(hit, Some(plane));
        if let Self::Hit { providers, .. } = &mut line {
            *providers = holders.iter().map(holds).collect();
        }
        line
    }

    /// The event `neighbour`.
    pub(crate) fn neighbour(row: &NearRow, names: &'a Names) -> Self {
        let direct = row.direct.as_ref();
        Self::Neighbour {
            node: Text(row.peer.node),
            name: names.of(row.peer.node),
            addr: row.peer.addrs.first().copied(),
            direction: direct.map(|direct| direct.direction.word()),
            rtt_us: direct.map(|direct| u64::try_from(direct.rtt.as_micros()).unwrap_or(u64::MAX)),
            seconds: direct.map(|direct| direct.since.as_secs_f64()),
            offers: row.peer.offers,
            by: row.by.map(Text),
        }
    }

    /// The event `friend`.
    pub(crate) fn friend(friend: &'a Friend) -> Self {
        let addr = friend.at.as_ref().map(PeerTarget::host_port);
        Self::Friend { name: friend.name.as_str(), node: Text(friend.node), addr }
    }

    /// The event `progress`.
    pub(crate) fn progress(progress: &Progress) -> Self {
        let hashed = |h: Hashing| Hashed { done: h.done, total: h.total, node: h.by.map(Text) };
        Self::Progress {
            bytes: progress.bytes,
            fetched: progress.fetched,
            total: progress.total,
            rate: progress.rate,
            providers: givers(&progress.providers, |p| Told::Giving { rate: p.rate, state: p.why.map(Why::word) }),
            hashing: progress.hashing.map(hashed),
        }
    }

    /// The event `done`; of a dry run with what would be done.
    pub(crate) fn done(outcome: &'a Outcome) -> Self {
        Self::Done {
            id: Text(outcome.id),
            name: &outcome.name,
            path: outcome.path.as_deref().map(path),
            bytes: outcome.bytes,
            fetched: outcome.fetched,
            seconds: outcome.elapsed.as_secs_f64(),
            providers: givers(&outcome.providers, |_| Told::Given {}),
            plane: outcome.plane.map(Plane::word),
            preview: outcome.preview.as_ref().map(previewed),
        }
    }

    /// The event `explain`.
    pub(crate) fn explain(outcome: &Outcome) -> Self {
        let spent = |share: &Share| Spent {
            what: share.cause.word(),
            node: if let Cause::Provider(node) = share.cause { Some(Text(node)) } else { None },
            share: f64::from(share.permille) / 1000.0,
            seconds: share.time.as_secs_f64(),
        };
        let way = |p: &ProviderProgress| Told::Way {
            rtt_us: u64::try_from(p.rtt.as_micros()).unwrap_or(u64::MAX),
            mtu: p.mtu,
            connections: p.connections,
        };
        Self::Explain {
            limit: outcome.shares.first().map(|share| share.cause.word()),
            shares: outcome.shares.iter().map(spent).collect(),
            paths: givers(&outcome.providers, way),
        }
    }

    /// The event `hashed`.
    pub(crate) fn hashed(id: ContentId, of: &'a Path) -> Self {
        Self::Hashed { id: Text(id), path: path(of) }
    }
}

fn at(provider: &Provider) -> Where {
    Where { node: Text(provider.node), addr: provider.addrs.first().copied(), whole: None }
}

fn holds(holder: &Holder) -> Where {
    let whole = match holder.has {
        Has::Parts(_) => Some(false),
        Has::Unknown => None,
        Has::Whole => Some(true),
    };
    Where { node: Text(holder.node), addr: holder.addrs.first().copied(), whole }
}

fn previewed(preview: &Preview) -> Previewed<'_> {
    let plan = preview.files.iter().map(|file| Planned {
        name: &file.name,
        size: file.size,
        state: file.there.word(),
        path: file.path.as_deref().map(path),
    });
    Previewed {
        plan: plan.collect(),
        to_come: preview.to_come,
        kept: preview.kept,
        in_the_way: preview.in_the_way() as u64,
        holders: preview.holders.iter().map(holds).collect(),
        busy: preview.busy.is_some(),
    }
}

fn path(path: &Path) -> Text<std::path::Display<'_>> {
    Text(path.display())
}

/// The line to paste that fetches an offer without tracker or words.
pub(crate) fn paste(id: ContentId, node: NodeId, addr: SocketAddr) -> String {
    format!("qshare get {id} --from {node}@{addr}")
}

#[cfg(test)]
mod tests;
